"""A start without the disk: what it says, and what changes when the disk can be opened after all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.core import outbox
from agent.core.door import Mode
from agent.core.outbox import Limits, Outbox
from agent.core.supplies import Supply, SupplyRules
from agent.effects import BuildGallery, EnergiseLock, ReadOutbox, SaveMember
from agent.events import (
    STORAGE_NOT_OPENED,
    OpenVisit,
    OutboxRead,
    Restored,
    StorageFailed,
    StorageOpened,
    StorageRecovered,
)
from tests.core.station_play import RULES, Play, begin, member
from tests.core.test_commands import noted, send, statuses, write

FAULT = ("storage.failed", "storage")
CLOSED = Restored(problems=((STORAGE_NOT_OPENED, "the disk is full"),), is_read=False)


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


def test_the_order_to_the_door_that_could_not_be_read_holds_once_it_can() -> None:
    play = started_without_storage()
    play.put(StorageOpened(play.now, Restored((member("m-1", 3),), order="locked_down")))
    assert play.state.door.mode is Mode.LOCKED_DOWN
    play.build_gallery()
    play.take()
    play.see_face(3)
    assert play.lock_orders() == []
    assert [each["reason"] for each in play.logged("access.refused")] == ["locked_down"]


@pytest.mark.parametrize("action", ["door.resume", "door.hold_open"])
def test_an_order_that_was_given_meanwhile_is_the_newer_one(action: str) -> None:
    play = started_without_storage()
    play.ask(action)
    before = play.state.door.mode
    play.put(StorageOpened(play.now, Restored(order="locked_down")))
    assert play.state.door.mode is before


def test_who_left_without_a_name_before_the_start_is_not_inside_again() -> None:
    play = started_without_storage()
    visits = tuple(OpenVisit(f"old-{n}", f"m-{n}") for n in range(3))
    play.put(StorageOpened(play.now, Restored(open_visits=visits, inside=1)))
    assert play.inside == 1


def test_no_revision_is_believed_while_nobody_knows_which_there_were() -> None:
    play = started_without_storage()
    play.connect()
    play.take()
    send(play, "members.erase", "c-1", revision=3, arguments={"id": "m-1"})
    assert statuses(play, "c-1") == ["refused: busy"]
    notes = {"revision": {"central-1": {"revision": 5}}}
    play.put(StorageOpened(play.now, Restored((member("m-1", 3),), notes=notes)))
    send(play, "members.erase", "c-1", revision=3, arguments={"id": "m-1"})
    assert statuses(play, "c-1")[-1] == "refused: stale_revision"
    send(play, "members.suspend", "c-2", revision=6, arguments={"id": "m-1"})
    assert statuses(play, "c-2") == ["accepted"]


def test_commands_go_on_over_a_storage_that_opens_late() -> None:
    found = Restored((member("m-1", 3), member("m-2", 4)), problems=CLOSED.problems)
    play = begin(restored=found)
    play.connect()
    play.take()
    send(play, "members.suspend", "c-1", revision=8, arguments={"id": "m-1"})
    send(play, "door.unlock", "c-2")
    play.put(StorageOpened(play.now, found))
    send(play, "members.erase", "c-3", revision=7, arguments={"id": "m-2"})
    assert statuses(play, "c-3") == ["refused: stale_revision"], "it was accepted, though the disk does not have it yet"
    write(play)
    play.wait(60.0)
    assert statuses(play, "c-2") == ["accepted", "done"]
    assert set(noted(play)["revision"]) == {"central-1"}


def test_nobody_gets_an_id_while_nobody_knows_whose_it_is() -> None:
    play = started_without_storage()
    play.ask("members.add", id="m-1", name="Somebody else")
    assert play.problem_codes() == ["storage.failed"]
    assert play.found(SaveMember) == []
    play.put(StorageOpened(play.now, Restored((member("m-1", 3),))))
    play.ask("members.add", id="m-1", name="Somebody else", request="r-2")
    assert play.problem_codes("r-2") == ["member.exists"]


def test_what_was_counted_meanwhile_is_newer_than_what_the_disk_has() -> None:
    rules = replace(RULES, supplies={"water": SupplyRules(), "tea": SupplyRules()})
    play = begin(rules=rules, restored=CLOSED)
    play.ask("supplies.check", supply="water", quantity=9)
    old: dict[str, Any] = {"quantity": 4, "best_before": None, "checked_at": None, "loans": []}
    play.put(StorageOpened(play.now, Restored(notes={"supply": {"water": old, "tea": old}})))
    assert (play.state.supplies["water"].quantity, play.state.supplies["tea"]) == (9, Supply(4))


def test_who_is_erased_before_the_disk_opens_has_borrowed_nothing_after_it() -> None:
    play = started_without_storage()
    play.rules = replace(play.rules, supplies={"power_bank": SupplyRules(lend_s=86_400.0)})
    play.ask("members.erase", id="m-1")
    loans = [{"member": "m-1", "at": None}, {"member": "m-2", "at": None}]
    note = {"quantity": 3, "best_before": None, "checked_at": None, "loans": loans}
    play.put(StorageOpened(play.now, Restored(newest=(1, 1), notes={"supply": {"power_bank": note}})))
    assert [each.member_id for each in play.state.supplies["power_bank"].loans] == [None, "m-2"]
