"""What is let in as a command: signatures, forms and bounds, with real keys."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import OctKey, OKPKey

from agent import command_keys
from agent.command_gate import CommandClaims, CommandGate, command_key, sign
from agent.core.commands import Refusal
from agent.events import CommandReceived, CommandRejected
from agent.mqtt.payloads import MAX_PAYLOAD_BYTES

SIGNER = command_keys.generate("central-1")
OTHER = command_keys.generate("central-2")
GATE = CommandGate("demo-1", {"central-1": command_key(SIGNER.public_text, ("open", "roster"))})
CLAIMS = CommandClaims(
    id="c-1",
    station="demo-1",
    name="members.erase",
    arguments={"id": "m-1"},
    issued_at="2026-11-22T03:04:05Z",
    revision=7,
)


def receive(message: bytes | str) -> CommandReceived | CommandRejected:
    payload = message.encode() if isinstance(message, str) else message
    return GATE.receive(payload, 12.5, is_retained=False)


def reason(message: bytes | str) -> str:
    found = receive(message)
    assert isinstance(found, CommandRejected), found
    return found.reason


def signed(body: bytes | str, header: dict[str, Any] | None = None, key: OKPKey = SIGNER.private) -> str:
    head = {"alg": "Ed25519", "kid": "central-1"} if header is None else header
    return jws.serialize_compact(head, body, key, algorithms=["Ed25519", "EdDSA"])


def test_a_signed_command_is_let_in_with_the_scopes_of_its_key() -> None:
    found = receive(sign(CLAIMS, "central-1", SIGNER.private))
    assert isinstance(found, CommandReceived)
    assert (found.at, found.id, found.name, found.arguments) == (12.5, "c-1", "members.erase", {"id": "m-1"})
    assert (found.key, found.scopes, found.revision) == ("central-1", frozenset({"open", "roster"}), 7)


def test_each_message_brings_entropy_of_its_own() -> None:
    message = sign(CLAIMS, "central-1", SIGNER.private)
    first, second = receive(message), receive(message)
    assert isinstance(first, CommandReceived)
    assert isinstance(second, CommandReceived)
    assert first.entropy != second.entropy
    assert len(first.entropy) == 32
    assert first.entropy not in repr(first)


def test_another_keys_signature_is_not_this_ones() -> None:
    assert reason(sign(CLAIMS, "central-1", OTHER.private)) == Refusal.BAD_SIGNATURE
    assert reason(sign(CLAIMS, "central-2", OTHER.private)) == Refusal.UNKNOWN_KEY


def test_a_changed_byte_breaks_the_signature() -> None:
    head, _body, signature = sign(CLAIMS, "central-1", SIGNER.private).split(".")
    body = base64.urlsafe_b64encode(CLAIMS.model_copy(update={"revision": 8}).model_dump_json().encode()).rstrip(b"=")
    assert reason(f"{head}.{body.decode()}.{signature}") == Refusal.BAD_SIGNATURE


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "EdDSA", "kid": "central-1"},
        {"alg": "Ed25519"},
        {"alg": "Ed25519", "kid": 7},
        {"alg": "Ed25519", "kid": "central-1", "jwk": {}},
        {"alg": "Ed25519", "kid": "central-1", "b64": False, "crit": ["b64"]},
    ],
)
def test_only_one_form_of_header_is_taken(header: dict[str, Any]) -> None:
    body = CLAIMS.model_dump_json()
    segments = [base64.urlsafe_b64encode(each.encode()).rstrip(b"=").decode() for each in (json.dumps(header), body)]
    signature = signed(body).rsplit(".", 1)[1]
    assert reason(".".join([*segments, signature])) in {
        Refusal.MALFORMED,
        Refusal.UNKNOWN_KEY,
        Refusal.BAD_SIGNATURE,
    }


def test_no_signature_at_all_and_one_by_the_public_key_as_a_password_are_refused() -> None:
    head = base64.urlsafe_b64encode(b'{"alg":"none","kid":"central-1"}').rstrip(b"=").decode()
    body = base64.urlsafe_b64encode(CLAIMS.model_dump_json().encode()).rstrip(b"=").decode()
    assert reason(f"{head}.{body}.") == Refusal.BAD_SIGNATURE
    secret = OctKey.import_key(base64.b64decode(SIGNER.public_text))
    forged = jws.serialize_compact({"alg": "HS256", "kid": "central-1"}, CLAIMS.model_dump_json(), secret)
    assert reason(forged) == Refusal.BAD_SIGNATURE


def test_another_stations_command_is_refused_with_its_id() -> None:
    found = receive(sign(CLAIMS.model_copy(update={"station": "demo-2"}), "central-1", SIGNER.private))
    assert found == CommandRejected(12.5, Refusal.WRONG_STATION, "c-1", "central-1")


@pytest.mark.parametrize(
    "change",
    [
        {"arguments": {}},
        {"arguments": {"id": "m-1", "more": 1}},
        {"arguments": {"id": 5}},
        {"name": "nonce.request", "arguments": {"x": 1}},
        {"name": "members.suspend", "arguments": {"id": "m-1", "until": "9999-12-31T23:59:59-14:00"}},
    ],
)
def test_arguments_that_do_not_fit_are_refused(change: dict[str, Any]) -> None:
    assert reason(sign(CLAIMS.model_copy(update=change), "central-1", SIGNER.private)) == Refusal.BAD_ARGUMENTS


@pytest.mark.parametrize(
    "change",
    [{"id": "no spaces"}, {"revision": 0}, {"revision": 2**60}, {"revision": "7"}, {"extra": 1}, {"issued_at": "now"}],
)
def test_claims_by_another_model_are_malformed(change: dict[str, Any]) -> None:
    body = {**CLAIMS.model_dump(exclude_none=True), **change}
    found = receive(signed(json.dumps(body)))
    assert isinstance(found, CommandRejected)
    assert found.reason == Refusal.MALFORMED
    assert found.id == ("" if "id" in change else "c-1")


def put_with(**arguments: Any) -> CommandReceived | CommandRejected:
    claims = CLAIMS.model_copy(update={"name": "members.put", "arguments": {"id": "m-1", **arguments}})
    return receive(sign(claims, "central-1", SIGNER.private))


def test_what_is_null_is_told_from_what_is_not_given() -> None:
    given: dict[str, Any] = {"valid_from": None, "valid_until": "2027-01-01T00:00:00+08:00", "pin": None, "cards": []}
    found = put_with(**given)
    assert isinstance(found, CommandReceived)
    assert found.arguments == {"id": "m-1", **given}
    nothing = put_with()
    assert isinstance(nothing, CommandReceived)
    assert nothing.arguments == {"id": "m-1"}


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": "Li Na"},
        {"name": None},
        {"photos": ["AAAA"]},
        {"duress": "2581"},
        {"valid_until": "2027-01-01T00:00:00"},
        {"valid_from": "tomorrow"},
        {"valid_from": 1_800_000_000},
        {"categories": [0]},
        {"categories": [9]},
        {"categories": [1, 1]},
        {"categories": None},
        {"categories": [True]},
        {"needs_longer": None},
        {"needs_longer": 1},
        {"cards": None},
        {"cards": ["not a number"]},
        {"cards": ["1"] * 9},
        {"pin": "12a4"},
        {"number": "7"},
        {"number": "7", "pin": None},
        {"number": "12345678901", "pin": "2580"},
    ],
)
def test_no_name_and_nothing_that_does_not_fit_is_put_from_afar(arguments: dict[str, Any]) -> None:
    found = put_with(**arguments)
    assert isinstance(found, CommandRejected)
    assert (found.reason, found.id) == (Refusal.BAD_ARGUMENTS, "c-1")
    assert "Li Na" not in repr(found)


def test_no_card_and_no_pin_of_a_command_is_ever_printed() -> None:
    found = put_with(cards=["987654321"], pin="258036914", number="4242424242")
    assert isinstance(found, CommandReceived)
    assert found.arguments["cards"] == ["987654321"]
    claims = CLAIMS.model_copy(update={"arguments": dict(found.arguments)})
    for secret in ("987654321", "258036914", "4242424242"):
        assert secret not in repr(found)
        assert secret not in repr(claims)


@pytest.mark.parametrize("arguments", [{"limit": 0}, {"limit": 201}, {"after": "../x"}, {"offset": 1}])
def test_a_page_of_the_digest_has_its_bounds(arguments: dict[str, Any]) -> None:
    claims = CLAIMS.model_copy(update={"name": "members.digest", "arguments": arguments})
    assert reason(sign(claims, "central-1", SIGNER.private)) == Refusal.BAD_ARGUMENTS


def test_a_message_beyond_the_bound_is_not_even_read() -> None:
    assert reason(b"x" * (MAX_PAYLOAD_BYTES + 1)) == Refusal.TOO_LARGE


@pytest.mark.parametrize("message", ["", ".", "..", "a.b.c", "{}", "\x00" * 100, "e30.e30.e30", signed("[" * 20_000)])
def test_rubbish_is_malformed(message: str) -> None:
    assert reason(message) in {Refusal.MALFORMED, Refusal.UNKNOWN_KEY}


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(lambda text: text.encode(errors="replace"))))
def test_no_bytes_are_too_much_for_the_gate(payload: bytes) -> None:
    assert isinstance(receive(payload), CommandRejected)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_nothing_that_is_signed_is_too_much_either(body: Any) -> None:
    assert reason(signed(json.dumps(body))) == Refusal.MALFORMED


def test_a_key_survives_its_file_and_nobody_else_reads_it(tmp_path: Any) -> None:
    path = tmp_path / "central.key"
    command_keys.save(SIGNER, path)
    assert path.stat().st_mode & 0o777 == 0o600
    loaded = command_keys.load(path)
    assert loaded.public_text == SIGNER.public_text
    assert isinstance(receive(sign(CLAIMS, loaded.name, loaded.private)), CommandReceived)
    with pytest.raises(command_keys.CommandKeyError, match="never overwritten"):
        command_keys.save(SIGNER, path)
    path.chmod(0o644)
    with pytest.raises(command_keys.CommandKeyError, match="chmod 600"):
        command_keys.load(path)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"kid": "x", "kty": "oct", "k": "AAAA"}', "\x00"])
def test_a_file_that_is_no_key_is_refused_with_words(tmp_path: Any, content: str) -> None:
    path = tmp_path / "central.key"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(command_keys.CommandKeyError, match=r"station keys generate"):
        command_keys.load(path)
    with pytest.raises(command_keys.CommandKeyError):
        command_keys.load(tmp_path / "absent")
