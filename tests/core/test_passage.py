"""Coming in and going out: what the door reports becomes visits, entries, light and sound."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core.door import LockKind
from agent.effects import AppendEntry, BeginVisit, EndVisit, EnergiseLock
from agent.events import DoorContactChanged, ExitButtonPressed, OpenVisit, Restored
from drivers.indicator import PATTERNS
from tests.core.station_play import RULES, Play, begin, member, ready


def enter(play: Play, person: int, *, track: int = 1) -> None:
    """A member comes, opens, and the door closes behind them."""
    play.see_face(person, track=track)
    play.move_leaf(is_open=True)
    play.move_leaf(is_open=False)


def leave(play: Play) -> None:
    """Somebody presses the button and goes."""
    play.put(ExitButtonPressed(play.now))
    play.move_leaf(is_open=True)
    play.move_leaf(is_open=False)


def test_a_member_comes_in_and_the_door_locks_behind_them() -> None:
    play = ready(member("m-1", 1))
    enter(play, 1)
    assert play.lock_orders() == [True, False]
    assert play.log_types() == ["access.granted", "visit.entered"]
    (entry,) = [each for each in play.found(AppendEntry) if each.visits]
    assert entry.body == {"way": "face", "member": "m-1", "visit": "a-1", "ended": [], "inside": 1}
    (change,) = entry.visits
    assert isinstance(change, BeginVisit)
    assert (change.visit, change.member_id) == ("a-1", "m-1")
    assert play.inside == 1


def test_the_relay_comes_before_the_log() -> None:
    play = ready(member("m-1", 1))
    play.see_face(1)
    first = play.orders[0]
    assert isinstance(first, EnergiseLock)


def test_the_order_to_the_lock_says_when_the_face_was_first_seen() -> None:
    play = ready(member("m-1", 1))
    play.wait(3.0)
    first_at = play.now
    play.see_face(1)
    assert play.found(EnergiseLock) == [EnergiseLock(seen_at=first_at)]


def test_the_order_to_the_lock_says_when_the_button_was_pressed() -> None:
    play = ready()
    pressed_at = play.now
    play.put(ExitButtonPressed(pressed_at), now=pressed_at + 0.2)
    assert play.found(EnergiseLock) == [EnergiseLock(seen_at=pressed_at)]


def test_a_stranger_stays_outside_and_is_told_so() -> None:
    play = ready(member("m-1", 1))
    play.see_face(9, frames=5)
    assert play.lock_orders() == []
    assert play.logged("access.refused") == [{"way": "face", "reason": "not_enrolled", "member": None}]
    assert play.patterns() == ["refused"]


def test_a_suspended_member_stays_outside() -> None:
    play = ready(member("m-1", 1, is_suspended=True))
    play.see_face(1)
    assert play.lock_orders() == []
    assert play.logged("access.refused") == [{"way": "face", "reason": "suspended", "member": "m-1"}]


def test_a_member_who_does_not_go_in_makes_no_visit() -> None:
    play = ready(member("m-1", 1))
    play.see_face(1)
    play.wait(6.0)
    assert play.lock_orders() == [True, False]
    assert play.log_types() == ["access.granted", "access.not_taken"]
    assert play.inside == 0


def test_the_one_inside_leaves_by_the_button() -> None:
    play = ready(member("m-1", 1))
    enter(play, 1)
    play.take()
    leave(play)
    assert play.log_types() == ["access.exit_requested", "visit.left"]
    (entry,) = [each for each in play.found(AppendEntry) if each.visits]
    assert entry.body == {"way": "exit_button", "visits": ["a-1"], "inside": 0}
    (change,) = entry.visits
    assert isinstance(change, EndVisit)
    assert (change.visit, change.how) == ("a-1", "exit_button")


def test_an_exit_from_an_empty_room_opens_and_changes_nothing() -> None:
    play = ready()
    leave(play)
    assert play.lock_orders() == [True, False]
    assert play.log_types() == ["access.exit_requested"]
    assert play.inside == 0


def test_a_bouncing_button_is_one_request_and_one_exit() -> None:
    play = ready(member("m-1", 1), member("m-2", 2))
    enter(play, 1)
    enter(play, 2, track=2)
    play.take()
    for _ in range(5):
        play.put(ExitButtonPressed(play.now))
        play.wait(0.01)
    play.move_leaf(is_open=True)
    play.move_leaf(is_open=False)
    assert play.log_types() == ["access.exit_requested", "visit.left"]
    assert play.inside == 1


def test_the_last_of_several_ends_every_visit() -> None:
    play = ready(member("m-1", 1), member("m-2", 2))
    enter(play, 1)
    enter(play, 2, track=2)
    leave(play)
    play.take()
    leave(play)
    (entry,) = [each for each in play.found(AppendEntry) if each.visits]
    assert entry.body == {"way": "exit_button", "visits": ["a-1", "a-2"], "inside": 0}
    assert {type(each) for each in entry.visits} == {EndVisit}


def test_a_visit_of_before_the_restart_ends_like_any_other_and_ids_never_meet() -> None:
    before = Restored(open_visits=(OpenVisit("a-1", "m-1"),))
    play = ready(member("m-2", 2), rules=replace(RULES, visit_prefix="b"), restored=before)
    assert play.inside == 1
    enter(play, 2)
    assert {each.id for each in play.state.occupancy.visits} == {"a-1", "b-1"}
    leave(play)
    leave(play)
    assert play.logged("visit.left")[-1]["visits"] == ["a-1", "b-1"]


def test_a_door_that_is_broken_open_raises_the_alarm_until_it_is_closed() -> None:
    play = ready()
    play.move_leaf(is_open=True)
    assert play.logged("door.alarm_raised") == [{"alarm": "forced"}]
    assert play.patterns() == ["alarm"]
    play.wait(9.5)
    play.move_leaf(is_open=False)
    (cleared,) = play.logged("door.alarm_cleared")
    assert cleared["alarm"] == "forced"
    assert cleared["open_s"] == pytest.approx(10, abs=0.1)
    assert play.inside == 0


def test_a_door_held_open_raises_the_alarm_after_its_time() -> None:
    play = ready(member("m-1", 1))
    play.see_face(1)
    play.move_leaf(is_open=True)
    play.wait(29.0)
    assert play.logged("door.alarm_raised") == []
    play.wait(2.0)
    assert play.logged("door.alarm_raised") == [{"alarm": "open_too_long"}]
    assert play.patterns()[-1] == "door_open_too_long"
    play.move_leaf(is_open=False)
    assert len(play.logged("door.alarm_cleared")) == 1
    assert play.inside == 1


def test_without_a_contact_a_grant_is_an_entry_and_the_button_an_exit() -> None:
    play = begin(member("m-1", 1))
    play.see_engine()
    play.take()
    play.see_face(1)
    play.wait(10.0)
    assert play.inside == 1
    play.put(ExitButtonPressed(play.now))
    play.wait(10.0)
    assert play.inside == 0
    assert play.lock_orders() == [True, False, True, False]


def test_a_contact_that_fails_under_a_rider_keeps_their_visit() -> None:
    play = ready(member("m-1", 1))
    play.see_face(1)
    play.move_leaf(is_open=None)
    play.wait(10.0)
    assert play.inside == 1
    assert play.lock_orders() == [True, False]


def test_a_leaf_that_opens_in_the_last_moment_is_an_entry_and_no_break_in() -> None:
    play = ready(member("m-1", 1))
    play.see_face(1)
    release_ends_at = play.state.door.release_ends_at
    assert release_ends_at is not None
    play.put(DoorContactChanged(release_ends_at - 0.01, True))
    play.wait(5.0)
    assert play.inside == 1
    assert play.logged("door.alarm_raised") == []
    assert play.lock_orders() == [True, False]


def test_a_leaf_that_only_shook_in_the_last_moment_does_not_keep_the_lock_open() -> None:
    play = ready(member("m-1", 1))
    play.see_face(1)
    release_ends_at = play.state.door.release_ends_at
    assert release_ends_at is not None
    for n in range(40):
        play.put(DoorContactChanged(release_ends_at - 0.01 + n * 0.02, n % 2 == 0))
    assert play.lock_orders() == [True, False]
    assert play.now <= release_ends_at + 1
    assert play.inside == 0


def test_edges_that_were_read_late_count_as_they_were() -> None:
    play = ready(member("m-1", 1))
    play.see_face(1)
    bounced_at = play.now + 1
    edges = [(0.0, True), (0.005, False), (0.01, True), (0.8, False), (0.81, True), (0.82, False)]
    play.put_late(bounced_at + 2, *[DoorContactChanged(bounced_at + after_s, each) for after_s, each in edges])
    play.wait(0.1)
    assert play.inside == 1
    assert play.log_types() == ["access.granted", "visit.entered"]
    assert play.state.door.contact.value == "closed"
    assert play.lock_orders() == [True, False]


def test_a_bounce_that_was_read_late_is_no_opening() -> None:
    play = ready()
    at = play.now + 1
    play.put_late(at + 2, DoorContactChanged(at, True), DoorContactChanged(at + 0.005, False))
    play.wait(1.0)
    assert play.log_types() == []


def test_a_leaf_read_late_is_still_seen_before_the_release_ends() -> None:
    play = ready(member("m-1", 1))
    play.see_face(1)
    opened_at = play.now + 4.9
    play.put_late(opened_at + 1, DoorContactChanged(opened_at, True))
    play.wait(1.0)
    assert play.inside == 1
    assert play.logged("door.alarm_raised") == []
    assert play.lock_orders() == [True, False]


@pytest.mark.parametrize(("kind", "expected"), [(LockKind.FAIL_SECURE, False), (LockKind.FAIL_SAFE, True)])
def test_the_lock_is_secured_before_anything_else_happens(kind: LockKind, expected: bool) -> None:
    play = begin(rules=replace(RULES, lock_kind=kind))
    assert isinstance(play.orders[0], EnergiseLock) is expected
    assert play.lock_orders() == [expected]


def test_every_light_that_the_rules_ask_for_exists() -> None:
    play = ready(member("m-1", 1))
    enter(play, 1)
    play.see_face(9, frames=5, track=2)
    play.move_leaf(is_open=True)
    play.move_leaf(is_open=False)
    enter(play, 1, track=3)
    play.move_leaf(is_open=True)
    play.wait(60.0)
    assert set(play.patterns()) >= {"granted", "refused", "alarm", "off"}
    assert set(play.patterns()) <= set(PATTERNS)


# --- who is a member no longer as they pass --------------------------------------------------------------------------


def test_who_is_erased_between_grant_and_passing_goes_in_as_somebody() -> None:
    play = ready(member("m-1", 1))
    play.see_face(1)
    play.ask("members.erase", id="m-1")
    play.take()
    play.move_leaf(is_open=True)
    (entered,) = play.logged("visit.entered")
    assert (entered["way"], entered["member"], entered["inside"]) == ("face", None, 1)
    assert "m-1" not in repr(play.found(AppendEntry))


def test_who_is_erased_and_does_not_come_is_named_by_nothing_either() -> None:
    play = ready(member("m-1", 1))
    play.see_face(1)
    play.ask("members.erase", id="m-1")
    play.take()
    play.wait(60.0)
    assert play.logged("access.not_taken") == [{"way": "face", "member": None}]


def test_who_is_suspended_between_grant_and_passing_begins_no_visit_of_theirs() -> None:
    play = ready(member("m-1", 1))
    play.see_face(1)
    play.ask("members.suspend", id="m-1")
    play.move_leaf(is_open=True)
    assert [each["member"] for each in play.logged("visit.entered")] == [None]
    assert play.state.occupancy.visits[0].member_id is None
