"""A real file system that is full: a small tmpfs, which needs the right to mount."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.effects import WriteReading
from agent.events import StorageFailed, StorageRecovered
from agent.storage.database import StorageError, open_readonly
from agent.storage.head import read_head
from agent.storage.log import read_after, verify
from tests.storage.conftest import Opener
from tests.storage.inbox import WAIT_S, Inbox, append, entry


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "disk"
    directory.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs root; the limit of pages in test_writer stands for it")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(directory)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this root may not mount a tmpfs; the limit of pages in test_writer stands for it")
    yield directory
    subprocess.run(["umount", "-l", str(directory)], check=True)


def fill(directory: Path) -> Path:
    ballast = directory / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            pass
    return ballast


def test_a_full_disk_keeps_entries_waiting_and_loses_none(small_disk: Path, open_writer: Opener, inbox: Inbox) -> None:
    state = small_disk / "state"
    writer, _ = open_writer(state)
    append(writer, inbox, "before")
    ballast = fill(small_disk)
    sent = [f"t{n}" for n in range(200)]
    for tag in sent:
        writer.submit(entry(tag, padding="x" * 500))
        writer.submit(WriteReading(100.0, "meter", "power_w", 1.0))
    assert "disk" in inbox.wait(StorageFailed).reason
    ballast.unlink()
    inbox.wait(StorageRecovered)
    assert [receipt.tag for receipt in inbox.receipts()] == ["before", *sent]
    assert writer.close(5.0)
    with closing(open_readonly(state / "station.db")) as database:
        assert verify(database, read_head(state / "head")).first_break is None
        assert len(read_after(database, 0, 0, 1000)) == 2 + len(sent)


def test_starting_on_a_full_disk_says_so_and_works_once_there_is_space(
    small_disk: Path, open_writer: Opener, inbox: Inbox
) -> None:
    ballast = fill(small_disk)
    with pytest.raises(StorageError, match=r"space|full"):
        open_writer(small_disk / "state")
    ballast.unlink()
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            writer, restored = open_writer(small_disk / "state")
            break
        except StorageError:
            assert time.monotonic() < deadline
    assert restored.newest[1] == 1
    append(writer, inbox, "a")
