"""Whom the demo notifies: what arrives is counted and found, and what is no message is not."""

from __future__ import annotations

import json
import stat
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest

from agent.demo.recipient import MAX_BYTES, WAY, NoticeRecipient


@pytest.fixture
def recipient() -> Iterator[NoticeRecipient]:
    with NoticeRecipient() as running:
        yield running


def _post(recipient: NoticeRecipient, folder: Path, body: bytes) -> int:
    file = folder / "notify.urls"
    if not file.exists():
        recipient.give_url(file)
    url = tomllib.loads(file.read_text())[WAY].replace("json://", "http://")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, body), timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        error.close()
        return error.code


def test_a_message_is_counted_and_found_by_its_words(recipient: NoticeRecipient, tmp_path: Path) -> None:
    status = _post(recipient, tmp_path, json.dumps({"title": "Demo: microwave", "message": "it runs"}).encode())
    assert (status, recipient.count) == (200, 1)
    assert recipient.wait_for("microwave", 0, 0.0)
    assert recipient.wait_for("it runs", 0, 0.0)
    assert not recipient.wait_for("fridge", 0, 0.0)
    assert not recipient.wait_for("microwave", 1, 0.0)  # it came before


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b"[" * (MAX_BYTES + 1)])
def test_what_is_no_message_does_not_count(recipient: NoticeRecipient, tmp_path: Path, body: bytes) -> None:
    assert _post(recipient, tmp_path, body) == 400
    assert recipient.count == 0


def test_the_file_of_urls_is_for_its_owner_alone(recipient: NoticeRecipient, tmp_path: Path) -> None:
    recipient.give_url(tmp_path / "urls")
    assert stat.S_IMODE((tmp_path / "urls").stat().st_mode) == 0o600
