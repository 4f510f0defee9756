"""Keys of passes: what they sign is a fact, nothing else is, and the private half stays private."""

from __future__ import annotations

import base64
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core import base45
from agent.core.passes import SIGNED_PREFIX, Pass, pack, station_digest
from agent.signatures import (
    ForgedPassError,
    KeyFileError,
    UnreadablePassError,
    generate,
    load,
    public_key,
    read,
    save,
    sign,
    verify,
)

KEY = generate(7)
KEYS = {7: public_key(KEY.public_text)}
PASS = Pass(7, "0123456789abcdef", "m-1", False, (station_digest("station-0001"),), 1_000, 2_000, True)


def test_what_a_known_key_signed_is_a_fact() -> None:
    text = sign(KEY, PASS)
    assert verify(text, KEYS) == PASS
    assert len(base45.decode(text)) <= 110


@pytest.mark.parametrize("keys", [{}, {8: KEYS[7]}, {7: public_key(generate(7).public_text)}])
def test_a_pass_of_another_key_is_forged(keys: dict[int, object]) -> None:
    with pytest.raises(ForgedPassError):
        verify(sign(KEY, PASS), keys)  # type: ignore[arg-type]
    assert read(sign(KEY, PASS)) == PASS


def test_a_signature_made_for_something_else_is_none_of_a_pass() -> None:
    body = pack(PASS)
    assert verify(base45.encode(body + KEY.private.sign(SIGNED_PREFIX + body)), KEYS) == PASS
    with pytest.raises(ForgedPassError):
        verify(base45.encode(body + KEY.private.sign(body)), KEYS)


def test_a_signature_has_no_second_form() -> None:
    """S + L would verify under a lax reader (RFC 8032, section 5.1.7)."""
    order = 2**252 + 27742317777372353535851937790883648493
    token = base45.decode(sign(KEY, PASS))
    larger = int.from_bytes(token[-32:], "little") + order
    with pytest.raises(ForgedPassError):
        verify(base45.encode(token[:-32] + larger.to_bytes(32, "little")), KEYS)


@pytest.mark.parametrize("text", ["", "HELLO WORLD", "https://example.org", "A" * 201, "文", "0" * 165])
def test_any_other_code_is_no_pass(text: str) -> None:
    with pytest.raises(UnreadablePassError):
        verify(text, KEYS)


# Points of order 1, 2, 4 and 8, and forms of them that are not canonical: anybody can sign for these.
_WEAK = [
    bytes(32),
    bytes(31) + b"\x80",
    b"\x01" + bytes(31),
    b"\xec" + b"\xff" * 30 + b"\x7f",
    b"\xed" + b"\xff" * 30 + b"\x7f",
    b"\xee" + b"\xff" * 30 + b"\x7f",
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),
]


@pytest.mark.parametrize("raw", _WEAK)
def test_a_key_that_everybody_can_sign_for_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="no key of anybody"):
        public_key(base64.b64encode(raw).decode())


@pytest.mark.parametrize("text", ["", "x", "AAAA", KEY.public_text[:-1], KEY.public_text + "\n", KEY.public_text * 2])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not base64 of 32 bytes"):
        public_key(text)


def test_a_key_file_is_for_its_owner_only_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key"
    save(KEY, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load(path).public_text == KEY.public_text
    assert load(path).key_id == 7
    before = path.read_bytes()
    with pytest.raises(KeyFileError, match="there already"):
        save(generate(1), path)
    assert path.read_bytes() == before
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match="chmod 600"):
        load(path)


@pytest.mark.parametrize("content", [b"", b"station-agent pass key 7\n", b"x\n", b"station-agent pass key 300\n{pem}"])
def test_what_is_no_key_file_is_refused(tmp_path: Path, content: bytes) -> None:
    save(KEY, tmp_path / "good")
    pem = (tmp_path / "good").read_bytes().partition(b"\n")[2]
    path = tmp_path / "key"
    path.write_bytes(content.replace(b"{pem}", pem))
    path.chmod(0o600)
    with pytest.raises(KeyFileError):
        load(path)
    with pytest.raises(KeyFileError):
        load(tmp_path / "none")


def test_nothing_shows_a_private_key() -> None:
    assert "private" not in repr(KEY)
    assert replace(KEY, key_id=8).key_id == 8
