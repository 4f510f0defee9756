"""A writer on a real directory, closed at the end of the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.events import Restored
from agent.storage.writer import StorageWriter
from tests.storage.inbox import Inbox

Opener = Callable[..., tuple[StorageWriter, Restored]]


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def open_writer(tmp_path: Path, inbox: Inbox) -> Iterator[Opener]:
    """Open the storage in `directory` (the test's own by default); every writer is closed at the end."""
    writers: list[StorageWriter] = []

    def open_(directory: Path = tmp_path / "state") -> tuple[StorageWriter, Restored]:
        writer = StorageWriter(directory, "test-1", SystemClock(), inbox)
        restored = writer.open()
        writers.append(writer)
        return writer, restored

    yield open_
    for writer in writers:
        writer.close(5.0)
