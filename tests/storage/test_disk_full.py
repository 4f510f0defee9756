"""A real file system that is full: a small tmpfs, which needs the right to mount."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from agent.effects import WriteReading
from agent.events import StorageFailed, StorageRecovered
from agent.storage.database import open_readonly
from agent.storage.head import read_head
from agent.storage.log import read_after, verify
from tests.storage.conftest import Opener, fill
from tests.storage.inbox import Inbox, append, entry


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
