"""A writer on a real directory, closed at the end of the test."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from pydantic import ValidationError

from agent.clock import Clock, SystemClock
from agent.contract.entries import PREFIX, body_model
from agent.events import Restored
from agent.storage.chain import Position
from agent.storage.log import Entry, Log
from agent.storage.writer import StorageWriter
from tests.storage.inbox import Inbox

WRITTEN_HERE = frozenset(
    {"log.epoch_began", "log.entries_lost", "log.pruned", "ledger.applied", "vault.sealed", "member.consented"}
)
"""Types of entries that the storage writes by itself; the others come from the rules."""

Opener = Callable[..., tuple[StorageWriter, Restored]]


@pytest.fixture(autouse=True)
def held_to_the_contract(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever any of these tests makes the storage write fits the contract, but what a test writes by itself."""
    if "makes_entries_itself" in request.keywords:
        yield
        return
    append, wrong = Log.append, list[str]()

    def checked(log: Log, entries: Sequence[Entry], *, new_epoch: int | None = None) -> list[Position]:
        for entry in entries:
            kind = entry.type.removeprefix(PREFIX)
            if kind in WRITTEN_HERE:
                try:
                    body_model(kind).model_validate_json(entry.body)
                except ValidationError as error:  # kept for the end: the writer takes errors for the disk's
                    wrong.append(f"{kind}: {error}")
        return append(log, entries, new_epoch=new_epoch)

    monkeypatch.setattr(Log, "append", checked)
    yield
    assert wrong == []


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def open_writer(tmp_path: Path, inbox: Inbox) -> Iterator[Opener]:
    """Open the storage in `directory` (the test's own by default); every writer is closed at the end."""
    writers: list[StorageWriter] = []

    def open_(directory: Path = tmp_path / "state", clock: Clock | None = None) -> tuple[StorageWriter, Restored]:
        writer = StorageWriter(directory, "test-1", clock or SystemClock(), inbox)
        restored = writer.open()
        writers.append(writer)
        return writer, restored

    yield open_
    for writer in writers:
        writer.close(5.0)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 2 MiB; it needs the right to mount."""
    directory = tmp_path / "disk"
    directory.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs root; limits of pages and of permission stand for it in other tests")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(directory)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this root may not mount a tmpfs; limits of pages stand for it in other tests")
    yield directory
    subprocess.run(["umount", "-l", str(directory)], check=True)


def fill(directory: Path) -> Path:
    """Take all the space that is left; deleting the file returned gives it back."""
    ballast = directory / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            pass
    return ballast
