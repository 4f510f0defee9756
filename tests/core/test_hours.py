"""The schedule at the door: what it changes, and what it leaves to others."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from agent.core.hours import READ_EVERY_S
from agent.core.schedule import DAY_MIN, Admission, Schedule, Span
from agent.effects import ReadClock
from agent.events import ClockRead, DoorContactChanged, ExitButtonPressed
from tests.core.station_play import RULES, Play, member, ready

DAY = (Span(480, 1080, Admission.OPEN), Span(1320, 1800, Admission.TWO_FACTORS))
SCHEDULE = Schedule(zone=UTC, weekdays=(DAY,) * 7, untrusted=Admission.MEMBERS)
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


def station(schedule: Schedule | None = SCHEDULE) -> Play:
    return ready(member("m-1", 1), rules=replace(RULES, schedule=schedule))


def read(play: Play, hour: float, *, is_trusted: bool = True) -> None:
    """The clock shows this hour of the Monday."""
    play.put(ClockRead(play.now, MONDAY + timedelta(hours=hour), is_trusted))


def mode_of(play: Play) -> str:
    return play.state.door.mode.value


def test_opening_hours_unlock_the_door_and_their_end_locks_it() -> None:
    play = station()
    read(play, 8)
    assert (play.lock_orders(), play.state.door.mode.value) == ([True], "unlocked")
    read(play, 18)
    assert (play.lock_orders(), play.state.door.mode.value) == ([True, False], "normal")
    assert play.logged("schedule.changed") == [
        {"admission": "open", "was": "members"},
        {"admission": "members", "was": "open"},
    ]


def test_the_clock_is_asked_every_minute_and_at_each_change() -> None:
    play = station()
    read(play, 8 - 20 / 3600)
    play.take()
    play.wait(19)
    assert play.found(ReadClock) == []
    play.wait(1.5)
    assert len(play.found(ReadClock)) == 1
    read(play, 9)
    play.take()
    play.wait(10 * READ_EVERY_S)
    assert len(play.found(ReadClock)) == 10


def test_a_station_without_a_schedule_admits_members_at_any_time() -> None:
    play = station(None)
    read(play, 3, is_trusted=False)
    play.see_face(1)
    assert play.lock_orders() == [True]
    assert play.state.faults == {}


def test_a_face_alone_is_not_enough_where_two_factors_are_asked_for() -> None:
    play = station()
    read(play, 23)
    play.see_face(1)
    assert play.lock_orders() == []
    assert play.logged("access.first_factor") == [{"way": "face", "member": "m-1"}]
    play.ask("access.present_code", member_id="m-1")
    play.wait(11)
    play.see_face(1, track=2)
    assert play.lock_orders() == [True]


def test_nobody_comes_in_while_closed_but_by_the_master_and_everybody_gets_out() -> None:
    play = station(replace(SCHEDULE, weekdays=((Span(0, DAY_MIN, Admission.CLOSED),),) * 7))
    read(play, 12)
    play.see_face(1)
    assert play.logged("access.refused")[-1]["reason"] == "outside_hours"
    assert play.lock_orders() == []
    play.put(ExitButtonPressed(play.now))
    assert play.lock_orders() == [True]
    play.wait(10)
    play.ask("door.unlock")
    assert play.lock_orders() == [True, False, True]


@pytest.mark.parametrize(
    ("order", "mode"), [("lock_down", "locked_down"), ("block", "blocked"), ("hold_open", "held_open")]
)
def test_a_masters_order_stands_through_opening_hours_until_it_is_taken_back(order: str, mode: str) -> None:
    play = station()
    play.ask(f"door.{order}")
    read(play, 8)
    assert mode_of(play) == mode
    play.ask("door.resume", request="r-2")
    assert mode_of(play) == "unlocked"
    read(play, 18)
    assert mode_of(play) == "normal"


def test_a_clock_that_nobody_set_goes_by_the_setting_and_says_so() -> None:
    play = station()
    read(play, 8)
    read(play, 9, is_trusted=False)
    assert mode_of(play) == "normal"
    assert ("clock.untrusted", "clock") in play.state.faults
    play.ask("status")
    assert play.replies()[-1].result["parts"]["door"]["admission"] == "members"
    read(play, 9)
    assert mode_of(play) == "unlocked"
    assert play.state.faults == {}


def test_a_station_may_go_by_a_clock_that_nobody_set() -> None:
    play = station(replace(SCHEDULE, untrusted=None))
    read(play, 9, is_trusted=False)
    assert play.state.door.mode.value == "unlocked"
    assert ("clock.untrusted", "clock") in play.state.faults


@pytest.mark.parametrize(
    ("untrusted", "first"),
    [
        (None, "members"),
        (Admission.OPEN, "members"),
        (Admission.CLOSED, "closed"),
        (Admission.TWO_FACTORS, "two_factors"),
    ],
)
def test_before_the_clock_is_read_the_door_is_never_open_to_all(untrusted: Admission | None, first: str) -> None:
    play = station(replace(SCHEDULE, untrusted=untrusted))
    assert play.state.admission.value == first
    assert play.state.door.mode.value == "normal"


def test_a_clock_that_jumps_changes_the_hours_once_and_back() -> None:
    play = station()
    for hour in (9, 20, 9, 9, 20):
        read(play, hour)
    assert play.lock_orders() == [True, False, True, False]


def test_who_opened_just_before_the_end_of_opening_hours_forced_nothing() -> None:
    play = station()
    read(play, 17.99)
    play.put(DoorContactChanged(play.now, True))
    play.put(ClockRead(play.now + 0.02, MONDAY + timedelta(hours=18), True))
    play.wait(1)
    assert play.logged("door.alarm_raised") == []
