"""A start without the disk: what it says, and what changes when the disk can be opened after all."""

from __future__ import annotations

from agent.core import outbox
from agent.core.outbox import Limits, Outbox
from agent.effects import BuildGallery, EnergiseLock, ReadOutbox
from agent.events import (
    STORAGE_NOT_OPENED,
    OpenVisit,
    OutboxRead,
    Restored,
    StorageFailed,
    StorageOpened,
    StorageRecovered,
)
from tests.core.station_play import Play, begin, member

FAULT = ("storage.failed", "storage")
CLOSED = Restored(problems=((STORAGE_NOT_OPENED, "the disk is full"),))


def started_without_storage() -> Play:
    play = begin(restored=CLOSED)
    play.put(StorageFailed(0.0, "the disk is full"))
    play.move_leaf(is_open=False)
    play.see_engine()
    return play


def test_a_start_without_storage_is_the_fault_of_a_failing_disk_until_it_writes() -> None:
    play = started_without_storage()
    assert set(play.state.faults) == {FAULT}
    assert len(play.logged("fault.raised")) == 1
    play.ask("door.unlock")
    assert play.found(EnergiseLock), "the door does not wait for the disk"
    play.put(StorageOpened(play.now, Restored(newest=(1, 1))))
    assert set(play.state.faults) == {FAULT}, "what waited is not written yet"
    play.put(StorageRecovered(play.now))
    assert not play.state.faults


def test_members_and_visits_that_could_not_be_read_are_known_once_it_opens() -> None:
    play = started_without_storage()
    play.ask("door.unlock")
    play.move_leaf(is_open=True)
    play.move_leaf(is_open=False)
    assert play.inside == 1
    play.take()
    play.put(StorageOpened(play.now, Restored((member("m-1", 3),), (OpenVisit("old-1", "m-1"),), newest=(1, 9))))
    assert play.inside == 2
    assert [each.id for each in play.found(BuildGallery)[-1].members] == ["m-1"]
    play.build_gallery()
    play.take()
    play.see_face(3)
    assert play.lock_orders() == [True]


def test_what_had_to_be_mended_when_it_opened_is_shown() -> None:
    play = started_without_storage()
    problems = (("log_epoch_began", "the log begins epoch 2"),)
    play.put(StorageOpened(play.now, Restored(newest=(2, 1), problems=problems)))
    assert ("storage.mended", "log_epoch_began") in play.state.faults


def test_what_the_broker_had_before_is_not_sent_again() -> None:
    play = started_without_storage()
    play.connect()
    assert not play.found(ReadOutbox)
    play.put(StorageOpened(play.now, Restored(cursor=(1, 700), newest=(1, 702))))
    (asked,) = play.found(ReadOutbox)
    assert (asked.epoch, asked.after) == (1, 700)


def test_a_log_that_opens_late_is_read_at_once_though_a_read_before_gave_nothing() -> None:
    play = begin(restored=Restored(cursor=(1, 5), newest=(1, 8), problems=CLOSED.problems))
    play.connect()
    play.put(OutboxRead(play.now, ()))
    play.take()
    play.put(StorageOpened(play.now, Restored(cursor=(1, 5), newest=(2, 1))))
    (asked,) = play.found(ReadOutbox)
    assert (asked.epoch, asked.after) == (1, 5)


def test_what_is_under_way_is_not_sent_twice_when_the_log_opens() -> None:
    sending = Outbox(newest=(1, 9), cursor=(1, 5), sent=(1, 8), in_flight=((1, 6), (1, 7), (1, 8)), session="s")
    opened = outbox.opened(sending, (1, 5), (1, 9))
    assert opened == sending
    moved, _ = outbox.acknowledge(opened, "s", (1, 6))
    _, (asked,) = outbox.ask(moved, 1.0, Limits())
    assert asked == ReadOutbox(1, 8, 98)
