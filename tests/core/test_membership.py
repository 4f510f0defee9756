"""Members apart from their faces: taken up, changed, suspended and resumed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.effects import PutMember, SaveMember, SuspendMember
from agent.events import (
    ClockRead,
    Member,
    MemberPut,
    MemberSaved,
    MemberSuspended,
    PhotoEncoded,
    Restored,
    StorageOpened,
)
from tests.core.station_play import MASTER, VIEWER, Play, begin, face_of, member, ready
from tests.core.test_requests import enrol

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def station() -> Play:
    return ready(member("m-1", 1), member("m-2", 2))


def read_clock(play: Play, utc: datetime, *, is_trusted: bool = True) -> None:
    play.put(ClockRead(play.now, utc, is_trusted))


def write(play: Play, *, existed: bool = True) -> None:
    """The disk has carried out the newest order for a suspension."""
    order = play.found(SuspendMember)[-1]
    play.put(
        MemberSuspended(play.now, order.request, order.member_id, existed, order.is_suspended, order.until, order.why)
    )


def come(play: Play, person: int = 1) -> list[object]:
    """They come to the camera; returns why they were refused, if they were."""
    play.take()
    play.wait(30.0)  # whatever refused them before is over
    play.see_face(person, track=person + 10, frames=5)
    return [each["reason"] for each in play.logged("access.refused")]


# --- taking up and changing ------------------------------------------------------------------------------------------


def test_somebody_without_a_face_is_taken_up_and_done_is_said_once_it_is_durable() -> None:
    play = ready()
    play.ask("members.add", id="m-7", name="Somebody", needs_longer=True)
    (order,) = play.found(SaveMember)
    assert order.member == Member("m-7", needs_longer=True)
    assert play.state.members == {}
    play.put(MemberSaved(play.now, order.member, order.request))
    assert play.logged("member.added") == [{"member": "m-7"}]
    assert play.replies() == []
    play.write_log()
    assert play.replies()[-1].ok
    assert play.state.members["m-7"].needs_longer


def test_an_id_that_is_taken_is_nobody_elses() -> None:
    play = station()
    play.ask("members.add", id="m-1", name="Another")
    assert play.problem_codes() == ["member.exists"]
    play.ask("members.add", request="r-2", id="m-7", name="One")
    play.ask("members.add", request="r-3", id="m-7", name="Another")
    assert play.problem_codes("r-3") == ["request.busy"]
    assert [each.name for each in play.found(SaveMember)] == ["One"]


def test_a_name_is_corrected_and_the_log_does_not_have_it() -> None:
    play = station()
    play.ask("members.put", id="m-1", name="Wang Fang")
    (order,) = play.found(PutMember)
    assert (order.name, order.given, order.may_create) == ("Wang Fang", frozenset({"name"}), False)
    play.put(MemberPut(play.now, order.request, Member("m-1"), changed=("name",)))
    assert play.logged("member.changed") == [{"member": "m-1", "changed": ["name"]}]
    assert "Wang" not in repr(play.orders)


def test_who_needs_longer_has_the_door_s_longer_times_from_then_on() -> None:
    play = station()
    play.ask("members.put", id="m-1", needs_longer=True)
    play.put(MemberPut(play.now, "r-1", Member("m-1", needs_longer=True), changed=("needs_longer",)))
    assert come(play) == []
    play.wait(play.rules.door.extended_release_s - 1)
    assert play.lock_orders() == [True]
    play.ask("members.put", request="r-2", id="m-1", needs_longer=False)
    play.put(MemberPut(play.now, "r-2", Member("m-1"), changed=("needs_longer",)))
    assert not play.state.members["m-1"].needs_longer


@pytest.mark.parametrize(
    ("arguments", "code"),
    [({"id": "m-9", "name": "x"}, "member.unknown"), ({"id": "m-1"}, "request.invalid")],
)
def test_a_change_of_nobody_or_of_nothing_is_refused(arguments: dict[str, Any], code: str) -> None:
    play = station()
    play.ask("members.put", **arguments)
    assert play.problem_codes() == [code]
    assert play.found(PutMember) == []


# --- suspending ------------------------------------------------------------------------------------------------------


def test_a_suspended_member_is_refused_at_once_and_done_is_said_once_it_is_durable() -> None:
    play = station()
    play.ask("members.suspend", id="m-1")
    assert play.logged("control.done") == [
        {"action": "members.suspend", "actor": MASTER.name, "kind": "local", "member": "m-1", "until": None}
    ]
    assert play.replies() == []
    write(play)
    assert play.logged("member.suspended") == [{"member": "m-1", "until": None}]
    play.write_log()
    assert play.replies()[-1].ok
    assert come(play) == ["suspended"]
    assert play.lock_orders() == []
    assert come(play, 2) == []


def test_a_disk_that_does_not_write_keeps_nobody_in_the_rules_waiting() -> None:
    play = station()
    play.ask("members.suspend", id="m-1")
    assert come(play) == ["suspended"]


def test_a_resumed_member_comes_in_again() -> None:
    play = station()
    play.ask("members.suspend", id="m-1")
    write(play)
    play.ask("members.resume", request="r-2", id="m-1")
    write(play)
    assert play.logged("member.resumed") == [{"member": "m-1", "why": "asked"}]
    assert come(play) == []
    assert play.lock_orders() == [True]


def test_a_suspension_with_an_end_is_over_when_a_clock_that_counts_says_so() -> None:
    play = station()
    read_clock(play, NOON)
    play.ask("members.suspend", id="m-1", until="2026-11-22T21:00:00+08:00")
    assert play.found(SuspendMember)[-1].until == NOON + timedelta(hours=1)
    write(play)
    assert play.logged("member.suspended") == [{"member": "m-1", "until": "2026-11-22T13:00:00Z"}]
    read_clock(play, NOON + timedelta(minutes=59))
    assert come(play) == ["suspended"]
    read_clock(play, NOON + timedelta(hours=9), is_trusted=False)
    assert come(play) == ["suspended"], "a clock that nobody vouches for ends nothing"
    read_clock(play, NOON + timedelta(hours=1))
    assert [each.why for each in play.found(SuspendMember)] == ["until"]
    write(play)
    assert play.logged("member.resumed") == [{"member": "m-1", "why": "until"}]
    assert come(play) == []


def test_a_suspension_that_a_start_finds_ends_in_its_time() -> None:
    who = Member("m-1", is_suspended=True, suspended_until=NOON)
    play = begin(who)
    read_clock(play, NOON - timedelta(seconds=1))
    assert play.found(SuspendMember) == []
    read_clock(play, NOON)
    read_clock(play, NOON + timedelta(minutes=1))
    assert [(each.member_id, each.is_suspended) for each in play.found(SuspendMember)] == [("m-1", False)]


@pytest.mark.parametrize("action", ["members.suspend", "members.resume"])
def test_nobody_is_no_member_to_suspend(action: str) -> None:
    play = station()
    play.ask(action, id="m-9")
    assert play.problem_codes() == ["member.unknown"]
    play.ask(action, actor=VIEWER, request="r-2", id="m-1")
    assert play.problem_codes("r-2") == ["request.forbidden"]
    assert play.found(SuspendMember) == []


def test_an_end_that_has_passed_is_refused() -> None:
    play = station()
    read_clock(play, NOON)
    play.ask("members.suspend", id="m-1", until="2026-11-22T12:00:00Z")
    assert play.problem_codes() == ["request.invalid"]
    assert come(play) == []


def test_who_is_suspended_while_they_enrol_again_stays_so() -> None:
    play = station()
    (photo,) = enrol(play, "m-1", again=True)
    play.put(PhotoEncoded(play.now, photo, face_of(1)))
    (order,) = play.found(SaveMember)
    play.ask("members.suspend", request="r-2", id="m-1")
    play.put(MemberSaved(play.now, order.member, order.request))
    play.build_gallery()
    assert play.state.members["m-1"].is_suspended
    assert come(play) == ["suspended"]


def test_enrolling_again_changes_nothing_but_the_face() -> None:
    play = ready(Member("m-1", member("m-1", 1).templates, needs_longer=True))
    (photo,) = enrol(play, "m-1", again=True)
    play.put(PhotoEncoded(play.now, photo, face_of(1)))
    assert play.found(SaveMember)[0].member.needs_longer


def test_storage_that_opens_late_lifts_no_suspension_that_is_not_on_it_yet() -> None:
    play = station()
    play.ask("members.suspend", id="m-1")
    play.put(StorageOpened(play.now, Restored(members=(member("m-1", 1), member("m-2", 2)))))
    play.build_gallery()
    assert come(play) == ["suspended"]
    play.put(MemberSuspended(play.now, "r-1", "m-1", True, True))
    assert dict(play.state.suspensions) == {}


def test_a_late_answer_to_an_earlier_order_changes_nothing() -> None:
    play = station()
    play.ask("members.suspend", id="m-1")
    (first,) = play.found(SuspendMember)
    play.ask("members.resume", request="r-2", id="m-1")
    play.put(MemberSuspended(play.now, first.request, "m-1", True, True))
    assert not play.state.members["m-1"].is_suspended
    assert play.state.suspensions["m-1"].request == "r-2"


def test_a_member_who_was_erased_meanwhile_is_unknown() -> None:
    play = station()
    play.ask("members.suspend", id="m-1")
    play.ask("members.erase", request="r-2", id="m-1")
    write(play, existed=False)
    assert play.problem_codes() == ["member.unknown"]
    assert play.logged("member.suspended") == []
