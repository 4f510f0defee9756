"""The last bytes of a small disk: the log has them, readings go without, and people are told in time."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.effects import WriteReading
from agent.events import DiskSpaceChanged, MinutesMeasured, StorageFailed
from agent.storage import late, orders, space, worker
from agent.storage.database import open_readonly
from agent.storage.head import read_head
from agent.storage.log import read_after, verify
from agent.storage.space import RESERVE_FILE
from agent.storage.writer import StorageWriter
from tests.storage.conftest import Opener, fill
from tests.storage.inbox import Inbox, append, entry, eventually

KIB = 1024


@pytest.fixture(autouse=True)
def of_a_small_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proportions of a disk of 2 MiB; the free space is looked at more often."""
    monkeypatch.setattr(space, "RESERVE_BYTES", 512 * KIB)
    monkeypatch.setattr(space, "STEP_BYTES", 64 * KIB)
    monkeypatch.setattr(space, "READINGS_BYTES", 256 * KIB)
    monkeypatch.setattr(space, "LOW_BYTES", 768 * KIB)
    monkeypatch.setattr(space, "_MARGIN_BYTES", 64 * KIB)
    monkeypatch.setattr(worker, "_SPACE_S", 0.05)
    monkeypatch.setattr(worker, "_TICK_S", 0.05)
    monkeypatch.setattr(late, "_FIRST_RETRY_S", 60.0)  # only the first attempt of a start is looked at


@pytest.fixture
def begun(small_disk: Path, open_writer: Opener) -> tuple[StorageWriter, Path]:
    """A writer on a small disk with its reserve made."""
    state = small_disk / "state"
    writer, _ = open_writer(state)
    eventually(lambda: held(state) == 512 * KIB, "the reserve is made")
    return writer, state


def held(state: Path) -> int:
    reserve = state / RESERVE_FILE
    return reserve.stat().st_blocks * 512 if reserve.exists() else 0


def minutes_in(state: Path) -> int:
    with closing(open_readonly(state / "readings.db")) as database:
        return int(database.conn.execute("SELECT count(*) FROM minutes").fetchone()[0])


def test_a_full_disk_keeps_no_entry_waiting_while_the_reserve_lasts(
    begun: tuple[StorageWriter, Path], small_disk: Path, inbox: Inbox
) -> None:
    writer, state = begun
    ballast = fill(small_disk)
    for number in range(20):
        append(writer, inbox, f"t{number}", padding="x" * 500)
    assert inbox.all(StorageFailed) == []
    assert held(state) < 512 * KIB
    assert inbox.wait(DiskSpaceChanged, lambda each: each.is_low).free_mb == 0

    ballast.unlink()
    inbox.wait(DiskSpaceChanged, lambda each: not each.is_low)
    eventually(lambda: held(state) == 512 * KIB, "the reserve is made anew")
    assert writer.close(5.0)
    with closing(open_readonly(state / "station.db")) as database:
        assert verify(database, read_head(state / "head")).first_break is None
        assert len(read_after(database, 0, 0, 1000)) == 1 + 20


def test_whatever_else_fills_the_disk_takes_no_more_of_the_reserve_than_a_step_at_a_time(
    begun: tuple[StorageWriter, Path], small_disk: Path, inbox: Inbox
) -> None:
    writer, _ = begun
    is_over = threading.Event()

    def devour() -> None:
        with (small_disk / "runaway").open("wb", buffering=0) as file:
            while not is_over.wait(0.001):
                try:
                    file.write(b"\0" * 16 * KIB)
                except OSError:
                    continue

    thread = threading.Thread(target=devour)
    thread.start()
    try:
        for number in range(3):
            eventually(lambda: space.Space(small_disk).free_bytes() == 0, "the disk is full")
            append(writer, inbox, f"t{number}")
        assert inbox.all(StorageFailed) == []
    finally:
        is_over.set()
        thread.join()


def test_when_the_reserve_is_used_up_entries_wait_and_none_is_lost(
    begun: tuple[StorageWriter, Path], small_disk: Path, inbox: Inbox
) -> None:
    writer, state = begun
    ballast = fill(small_disk)
    sent = 0
    while not inbox.all(StorageFailed):
        writer.submit(entry(f"t{sent}", padding="x" * 2000))
        sent += 1
        eventually(lambda: len(inbox.receipts()) == sent or bool(inbox.all(StorageFailed)), "it is written or waits")  # noqa: B023
    assert sent > 20, "the reserve served for a while"
    assert held(state) == 0
    ballast.unlink()
    inbox.wait_for_tag(f"t{sent - 1}")
    assert [receipt.tag for receipt in inbox.receipts()] == [f"t{n}" for n in range(sent)]


def test_readings_take_nothing_of_the_last_space_and_are_written_once_there_is_more(
    small_disk: Path, inbox: Inbox
) -> None:
    state = small_disk / "state"
    writer = StorageWriter(state, "test-1", SystemClock(), inbox, commit_readings_s=0.0)
    writer.open()
    try:
        eventually(lambda: held(state) == 512 * KIB, "the reserve is made")
        ballast = fill(small_disk)
        with ballast.open("r+b") as file:  # room for them, if they were let
            file.truncate(ballast.stat().st_size - 128 * KIB)
        writer.submit(WriteReading(100.0, "meter", "power_w", 1.0))
        inbox.wait(MinutesMeasured)
        append(writer, inbox, "later")
        assert minutes_in(state) == 0
        ballast.unlink()
        eventually(lambda: minutes_in(state) == 1, "the minute is written")
    finally:
        assert writer.close(5.0)


def test_readings_that_had_to_go_are_counted_for_the_log_and_for_the_wire(
    small_disk: Path, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "WAITING_ORDERS", 10)
    state = small_disk / "state"
    writer = StorageWriter(state, "test-1", SystemClock(), inbox)
    writer.open()
    ballast = fill(small_disk)
    (state / RESERVE_FILE).unlink(missing_ok=True)
    for number in range(6):
        writer.submit(entry(f"t{number}", padding="x" * 50_000))
    inbox.wait(StorageFailed)
    for _ in range(7):
        writer.submit(WriteReading(100.0, "meter", "power_w", 1.0))
    eventually(lambda: sum(each.lost for each in inbox.all(MinutesMeasured)) == 7, "the wire is told")
    ballast.unlink()
    inbox.wait_for_tag("t5")
    assert writer.close(5.0)
    with closing(open_readonly(state / "station.db")) as database:
        found = read_after(database, 0, 0, 1000)
    assert [each.body for each in found if each.type == "station.log.entries_lost"] == ['{"entries":0,"readings":7}']
    assert {f"t{n}" for n in range(6)} <= {receipt.tag for receipt in inbox.receipts()}, "readings went first"


def test_a_start_on_a_full_disk_takes_what_it_needs_from_the_reserve(
    begun: tuple[StorageWriter, Path], small_disk: Path, open_writer: Opener, inbox: Inbox
) -> None:
    writer, state = begun
    append(writer, inbox, "before")
    assert writer.close(5.0)
    fill(small_disk)
    again, restored = open_writer(state)
    assert restored.problems == ()
    append(again, inbox, "after")
    assert inbox.all(StorageFailed) == []


def test_a_disk_that_is_short_of_space_has_no_reserve_taken_from_it(
    small_disk: Path, open_writer: Opener, inbox: Inbox
) -> None:
    ballast = small_disk / "much"
    ballast.write_bytes(b"\0" * (2048 - 600) * KIB)
    writer, _ = open_writer(small_disk / "state")
    append(writer, inbox, "a")
    assert inbox.wait(DiskSpaceChanged).is_low
    assert held(small_disk / "state") == 0
