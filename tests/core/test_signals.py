"""Fire, break glass, tampering, the bolt and the counter, from the wire to the lock."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core.door import LockKind
from agent.core.signals import SIGNALS
from agent.events import DoorContactChanged, ExitButtonPressed, PersonCounted, Restored, SignalChanged
from tests.core.station_play import RULES, VIEWER, Play, begin, member, ready

EMERGENCY = replace(RULES, has_emergency=True)


def signal(play: Play, name: str, is_active: bool | None, wait_s: float = 0.5) -> None:
    """The wire says so, and goes on saying it."""
    play.put(SignalChanged(play.now, name, is_active))
    play.wait(wait_s)


@pytest.mark.parametrize("order", ["", "lock_down", "block", "hold_open"])
@pytest.mark.parametrize("kind", LockKind)
def test_fire_releases_the_door_whatever_was_ordered_and_the_order_comes_back(order: str, kind: LockKind) -> None:
    play = ready(rules=replace(RULES, lock_kind=kind))
    if order:
        play.ask(f"door.{order}")
    before = play.state.door
    signal(play, "fire", True)
    assert (play.state.door.mode.value, play.state.door.lock.value) == ("released_by_fire", "released")
    assert play.logged("door.alarm_raised") == [{"alarm": "fire"}]
    signal(play, "fire", False)
    assert (play.state.door.mode, play.state.door.lock) == (before.mode, before.lock)
    last = play.lock_orders()[-1]
    assert last is ((before.lock.value == "released") == (kind is LockKind.FAIL_SECURE))


def test_a_spike_on_the_wire_is_no_fire() -> None:
    play = ready()
    signal(play, "fire", True, 0.01)
    signal(play, "fire", False)
    assert play.lock_orders() == []


def test_a_fire_that_was_there_before_the_start_is_obeyed() -> None:
    play = begin()
    signal(play, "fire", True)
    assert play.state.door.mode.value == "released_by_fire"


def test_a_wire_that_cannot_be_read_makes_up_neither_a_fire_nor_its_end() -> None:
    play = ready()
    signal(play, "fire", None)
    assert play.state.door.mode.value == "normal"
    signal(play, "fire", True)
    signal(play, "fire", None)
    assert play.state.door.mode.value == "released_by_fire"


def test_the_break_glass_opens_a_locked_down_door_with_the_alarm() -> None:
    play = ready(rules=EMERGENCY)
    play.ask("door.lock_down")
    play.take()
    signal(play, "emergency", True)
    assert play.lock_orders() == [True]
    assert play.patterns() == ["alarm"]
    assert play.logged("door.alarm_raised") == [{"alarm": "emergency"}]
    assert play.logged("door.mode_changed") == [{"mode": "emergency"}]
    signal(play, "emergency", False)
    assert (play.lock_orders(), play.state.door.mode.value) == ([True, False], "locked_down")
    assert play.patterns()[-1] == "off"


def test_a_station_that_offers_no_emergency_has_none() -> None:
    play = ready()
    signal(play, "emergency", True)
    play.ask("door.emergency")
    assert play.problem_codes() == ["door.no_emergency"]
    assert play.lock_orders() == []


def test_fire_stands_above_an_emergency_that_goes_on_after_it() -> None:
    play = ready(rules=EMERGENCY)
    signal(play, "emergency", True)
    signal(play, "fire", True)
    assert play.state.door.mode.value == "released_by_fire"
    signal(play, "fire", False)
    assert play.state.door.mode.value == "emergency"
    assert play.lock_orders() == [True]


def test_the_master_may_order_an_emergency_and_end_it() -> None:
    play = ready(rules=EMERGENCY)
    play.ask("door.emergency")
    play.write_log()
    assert play.replies()[-1].result["mode"] == "emergency"
    play.ask("door.emergency_over", request="r-2")
    assert play.state.door.mode.value == "normal"
    assert play.lock_orders() == [True, False]


def test_an_emergency_lasts_while_the_glass_is_broken() -> None:
    play = ready(rules=EMERGENCY)
    signal(play, "emergency", True)
    play.ask("door.emergency", request="r-0")
    play.ask("door.emergency_over")
    assert play.problem_codes() == ["door.glass_broken"]
    assert play.state.door.mode.value == "emergency"
    signal(play, "emergency", False)
    assert play.state.door.mode.value == "normal"


@pytest.mark.parametrize("action", ["door.block", "door.emergency", "door.emergency_over"])
def test_a_viewer_gives_no_orders(action: str) -> None:
    play = ready(rules=EMERGENCY)
    play.ask(action, actor=VIEWER)
    assert play.problem_codes() == ["request.forbidden"]


def test_the_siren_goes_on_when_a_lesser_alarm_ends() -> None:
    play = ready(rules=EMERGENCY)
    play.move_leaf(is_open=True)
    signal(play, "emergency", True)
    signal(play, "tamper", True)
    signal(play, "tamper", False)
    assert play.patterns() == ["alarm"]


def test_tampering_is_logged_until_it_ends() -> None:
    play = ready()
    signal(play, "tamper", True)
    signal(play, "tamper", False)
    assert play.log_types() == ["door.alarm_raised", "door.alarm_cleared"]
    assert play.lock_orders() == []


def test_a_bolt_that_stays_thrown_is_a_lock_fault() -> None:
    play = ready(member("m-1", 1))
    signal(play, "bolt", True)
    play.see_face(1)
    play.wait(3)
    assert play.logged("door.alarm_raised") == [{"alarm": "lock_fault"}]
    signal(play, "bolt", None)
    assert play.logged("door.alarm_cleared") == [{"alarm": "lock_fault", "open_s": None}]


def test_a_second_person_behind_a_grant_is_tailgating_and_one_who_leaves_is_not() -> None:
    play = ready(member("m-1", 1))
    play.see_face(1)
    play.move_leaf(is_open=True)
    for is_entering in (True, False, False):
        play.put(PersonCounted(play.now, is_entering))
    assert play.logged("door.alarm_raised") == []
    play.put(PersonCounted(play.now, True))
    assert play.logged("door.alarm_raised") == [{"alarm": "tailgating"}]


def test_a_signal_that_nobody_knows_changes_nothing() -> None:
    play = ready()
    signal(play, "moon", True)
    assert play.log_types() == []
    assert {"fire", "emergency", "tamper", "bolt"} == SIGNALS


def test_edges_of_a_signal_that_were_read_late_count_as_they_were() -> None:
    play = ready()
    at = play.now + 1
    play.put_late(at + 5, SignalChanged(at, "fire", True), SignalChanged(at + 2, "fire", False))
    play.wait(1)
    assert [each["mode"] for each in play.logged("door.mode_changed")] == ["released_by_fire", "normal"]


def test_a_blocked_door_lets_out_and_refuses_the_master_s_unlock() -> None:
    play = ready(member("m-1", 1))
    play.ask("door.block")
    play.see_face(1)
    assert play.logged("access.refused") == [{"way": "face", "reason": "blocked", "member": "m-1"}]
    play.ask("door.unlock", request="r-2")
    assert play.problem_codes("r-2") == ["door.blocked"]
    assert play.lock_orders() == []
    play.put(ExitButtonPressed(play.now))
    assert play.lock_orders() == [True]


@pytest.mark.parametrize("action", ["door.hold_open", "door.block"])
def test_an_order_that_a_lock_down_does_not_take_is_refused(action: str) -> None:
    play = ready()
    play.ask("door.lock_down")
    play.ask(action, request="r-2")
    assert play.problem_codes("r-2") == ["door.locked_down"]
    assert play.state.door.mode.value == "locked_down"


def test_a_break_in_that_is_read_late_is_still_a_break_in() -> None:
    play = ready(member("m-1", 1))
    play.see_face(1)
    play.move_leaf(is_open=True)
    play.put(DoorContactChanged(play.now, False))
    play.wait(0.1)  # the strike still falls in when everything stands still
    play.put_late(play.now + 30, DoorContactChanged(play.now + 20, True))
    play.wait(1)
    assert play.logged("door.alarm_raised") == [{"alarm": "forced"}]


def test_a_contact_that_cannot_be_read_from_the_start_is_an_alarm() -> None:
    play = begin()
    play.put(DoorContactChanged(play.now, None))
    assert play.logged("door.alarm_raised") == [{"alarm": "contact_fault"}]


def test_a_reminder_is_shown_and_not_logged() -> None:
    play = ready(member("m-1", 1))
    play.see_face(1)
    play.move_leaf(is_open=True)
    play.wait(25)
    assert play.patterns()[-1] == "close_the_door"
    assert play.logged("door.alarm_raised") == []
    assert "open_warning" in {alarm.value for alarm in play.state.door.alarms}


def test_a_member_who_needs_longer_has_longer() -> None:
    play = ready(replace(member("m-1", 1), needs_longer=True))
    play.see_face(1)
    play.wait(14)
    assert play.lock_orders() == [True]
    play.wait(2)
    assert play.lock_orders() == [True, False]


def test_an_order_is_logged_for_the_next_start_also_while_a_fire_stands_above_it() -> None:
    play = ready()
    signal(play, "fire", True)
    play.ask("door.lock_down")
    assert play.logged("door.ordered") == [{"order": "locked_down"}]
    assert [each["mode"] for each in play.logged("door.mode_changed")] == ["released_by_fire"]
    again = begin(restored=Restored(order="locked_down"))
    assert again.state.door.mode.value == "locked_down"
    play.ask("door.resume", request="r-2")
    assert play.logged("door.ordered")[-1] == {"order": "none"}
