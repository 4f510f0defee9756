"""The counter in the door: anonymous visits, exits that nobody asked for, and nobody twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.codes import CodeRules
from agent.core.schedule import Admission, Schedule
from agent.core.tally import MAX_WAITING, OPEN_PAIR_S, PAIR_S, CounterRules, Direction
from agent.effects import AppendEntry, BeginVisit, FindCard
from agent.events import (
    CardFound,
    CardRead,
    ClockRead,
    ExitButtonPressed,
    PersonCounted,
    ShutdownRequested,
)
from tests.core.station_play import RULES, Play, member, ready

COUNTED = replace(RULES, counter=CounterRules(is_fitted=True), codes=CodeRules(readers={"front": False, "exit": True}))


def station(*numbers: int) -> Play:
    return ready(*(member(f"m-{n}", n) for n in numbers), rules=COUNTED)


def held_open(*numbers: int) -> Play:
    """A door that is held open with its leaf open."""
    play = station(*numbers)
    play.ask("door.hold_open")
    play.move_leaf(is_open=True)
    play.take()
    return play


def counted(play: Play, *, is_entering: bool = True, times: int = 1) -> None:
    for _ in range(times):
        play.put(PersonCounted(play.now, is_entering))
        play.wait(0.5)


def entered(play: Play) -> list[tuple[object, object]]:
    return [(each["way"], each["member"]) for each in play.logged("visit.entered")]


def test_who_comes_in_while_the_door_is_held_open_is_an_anonymous_visit() -> None:
    play = held_open()
    at = play.now
    counted(play)
    assert play.inside == 0  # a face may still tell who it was
    play.wait(PAIR_S)
    assert play.logged("visit.entered") == [
        {"way": "counter", "member": None, "visit": "a-1", "ended": [], "inside": 1}
    ]
    (entry,) = [each for each in play.found(AppendEntry) if each.type == "station.visit.entered"]
    assert entry.visits == (BeginVisit("a-1", None, at),)
    assert entry.at == at + PAIR_S


def test_without_a_counter_nobody_is_counted() -> None:
    play = ready(rules=replace(COUNTED, counter=CounterRules()))
    play.ask("door.hold_open")
    play.move_leaf(is_open=True)
    counted(play, times=3)
    play.wait(60)
    assert play.inside == 0


def test_a_member_who_is_let_in_and_counted_is_one_visit() -> None:
    play = station(1)
    play.see_face(1)
    play.move_leaf(is_open=True)
    counted(play)
    play.wait(60)
    assert entered(play) == [("face", "m-1")]
    assert play.logged("door.alarm_raised") == [{"alarm": "open_too_long"}]


def test_a_member_who_is_recognised_on_the_way_through_an_open_door_is_one_visit() -> None:
    play = held_open(1)
    counted(play)
    play.see_face(1)
    play.wait(60)
    assert entered(play) == [("face", "m-1")]


def test_a_member_recognised_before_an_open_door_and_then_counted_is_one_visit() -> None:
    play = held_open(1)
    play.see_face(1)
    play.wait(OPEN_PAIR_S / 2)
    counted(play)
    play.wait(60)
    assert entered(play) == [("face", "m-1")]


def test_who_was_let_in_and_never_counted_hides_nobody_for_long() -> None:
    play = held_open(1)
    play.see_face(1)
    play.wait(OPEN_PAIR_S + 1)
    counted(play)
    play.wait(60)
    assert entered(play) == [("face", "m-1"), ("counter", None)]


def test_who_follows_a_member_in_is_an_alarm_and_inside() -> None:
    play = station(1)
    play.see_face(1)
    play.move_leaf(is_open=True)
    counted(play, times=2)
    play.move_leaf(is_open=False)
    play.wait(PAIR_S)
    assert play.logged("door.alarm_raised") == [{"alarm": "tailgating"}]
    assert entered(play) == [("face", "m-1"), ("counter", None)]
    assert play.inside == 2


def test_who_is_counted_out_of_an_open_door_has_left() -> None:
    play = held_open()
    counted(play, times=2)
    play.wait(PAIR_S)
    counted(play, is_entering=False)
    play.wait(PAIR_S)
    assert play.logged("visit.left") == [{"way": "counter", "visits": ["a-1"], "inside": 1}]


def test_who_leaves_by_the_button_and_is_counted_leaves_once() -> None:
    play = held_open()
    counted(play, times=3)
    play.wait(PAIR_S)
    play.ask("door.resume")
    play.move_leaf(is_open=False)
    play.put(ExitButtonPressed(play.now))
    play.move_leaf(is_open=True)
    counted(play, is_entering=False)
    play.move_leaf(is_open=False)
    play.wait(PAIR_S)
    assert play.inside == 2


def test_two_who_leave_by_one_press_have_both_left() -> None:
    play = held_open()
    counted(play, times=3)
    play.wait(PAIR_S)
    play.ask("door.resume")
    play.move_leaf(is_open=False)
    play.put(ExitButtonPressed(play.now))
    play.move_leaf(is_open=True)
    counted(play, is_entering=False, times=2)
    play.move_leaf(is_open=False)
    play.wait(PAIR_S)
    assert play.inside == 1


def test_who_leaves_by_the_exit_reader_and_is_counted_leaves_once_and_by_name() -> None:
    play = station(1, 2)
    for number in (1, 2):
        play.see_face(number, track=number)
        play.move_leaf(is_open=True)
        counted(play)
        play.move_leaf(is_open=False)
    play.put(CardRead(play.now, "exit", "4711"))
    play.put(CardFound(play.now, play.found(FindCard)[-1].request, "m-1"))
    play.move_leaf(is_open=True)
    counted(play, is_entering=False)
    play.move_leaf(is_open=False)
    play.wait(60)
    assert [each.member_id for each in play.state.occupancy.visits] == ["m-2"]
    assert play.inside == 1


def test_nobody_leaves_an_empty_room_by_the_counter() -> None:
    play = held_open()
    counted(play, is_entering=False, times=2)
    play.wait(60)
    assert play.logged("visit.left") == []
    counted(play)
    play.wait(60)
    assert play.inside == 1


def test_who_was_just_counted_is_in_the_log_when_the_agent_ends() -> None:
    play = held_open()
    counted(play)
    play.put(ShutdownRequested(play.now, "SIGTERM"))
    assert entered(play) == [("counter", None)]
    assert play.log_types()[-1] == "stopping"


def test_a_counter_that_chatters_is_not_believed_for_ever() -> None:
    play = held_open()
    for _ in range(1000):
        play.put(PersonCounted(play.now, True))
    play.wait(60)
    assert play.inside == MAX_WAITING


def test_who_is_expected_is_bounded_and_forgotten() -> None:
    direction = Direction()
    for n in range(1000):
        direction = direction.expect(float(n) / 1000, 100.0)
    assert len(direction.expected) == MAX_WAITING
    assert direction.count(200.0) == Direction(counted=(200.0,))


@settings(max_examples=60)
@given(st.lists(st.tuples(st.booleans(), st.floats(-2.5, 12.0)), max_size=12))
def test_each_person_who_passes_is_counted_once(people: Sequence[tuple[bool, float]]) -> None:
    """Each is recognised or not, and counted a little before that or some seconds after."""
    play = held_open(*range(12))
    for number, (is_known, after_s) in enumerate(people):
        count = PersonCounted(play.now + max(after_s, 0.0), True)
        if after_s < 0:
            play.put(count)
            play.wait(-after_s)
        if is_known:
            play.see_face(number, track=number)
        if after_s >= 0:
            play.put(count, now=max(play.now, count.at))
        play.wait(30.0)
    assert play.inside == len(people)
    known = [f"m-{number}" for number, (is_known, _) in enumerate(people) if is_known]
    assert [each.member_id for each in play.state.occupancy.visits if each.member_id] == known


def test_who_comes_in_in_opening_hours_is_an_anonymous_visit() -> None:
    always = Schedule(zone=UTC, otherwise=Admission.OPEN)
    play = ready(rules=replace(COUNTED, schedule=always))
    play.put(ClockRead(play.now, datetime(2026, 11, 23, tzinfo=UTC), True))
    play.move_leaf(is_open=True)
    counted(play)
    play.move_leaf(is_open=False)
    play.wait(PAIR_S)
    assert entered(play) == [("counter", None)]
    assert play.logged("door.alarm_raised") == []
