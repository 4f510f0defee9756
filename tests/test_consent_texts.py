"""The texts that people consent to: those that come with the agent, and an operator's own."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from agent.consent_texts import BYTES_MAX, load_texts
from agent.face_settings import ConsentSettings


def test_the_texts_of_the_default_version_come_in_both_languages() -> None:
    texts = load_texts(None, ConsentSettings().version)
    assert set(texts) == {"zh", "en"}
    assert "单独同意" in texts["zh"].text
    assert "Separate consent" in texts["en"].text
    for text in texts.values():
        assert ConsentSettings().version in text.text


def test_an_operators_own_text_is_known_by_its_hash(tmp_path: Path) -> None:
    (tmp_path / "v-2.zh.md").write_bytes("同意。\n".encode())
    texts = load_texts(tmp_path, "v-2")
    assert set(texts) == {"zh"}
    assert texts["zh"].sha256 == hashlib.sha256("同意。\n".encode()).hexdigest()


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * (BYTES_MAX + 1)])
def test_a_file_that_is_no_text_is_left_out(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "v-2.zh.md").write_bytes(content)
    assert load_texts(tmp_path, "v-2") == {}
