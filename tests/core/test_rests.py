"""After somebody was let in: their face alone does not open a second time at once, and who comes back comes in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core.admission import MAX_RESTS
from agent.core.codes import CodeRules
from agent.effects import FindCard
from agent.events import CardFound, CardRead, ExitButtonPressed
from tests.core.station_play import RULES, Play, member, ready

AGAIN_S = RULES.recognition.again_s


def station(**changes: object) -> Play:
    rules = replace(RULES, codes=CodeRules(readers={"front": False}), **changes)  # type: ignore[arg-type]
    return ready(member("m-1", 1), member("m-2", 2), rules=rules)


def go_in(play: Play, person: int = 1, track: int = 1) -> None:
    play.see_face(person, track=track)
    play.move_leaf(is_open=True)
    play.move_leaf(is_open=False)
    play.wait(0.5)


def go_out(play: Play) -> None:
    play.put(ExitButtonPressed(play.now))
    play.move_leaf(is_open=True)
    play.move_leaf(is_open=False)
    play.wait(0.5)


def granted(play: Play) -> list[str]:
    return [each["member"] for each in play.logged("access.granted")]


def test_a_face_that_is_found_again_behind_who_went_in_opens_nothing() -> None:
    play = station()
    go_in(play)
    play.take()
    for track in (2, 3, 4):
        play.see_face(1, track=track, frames=4)
    assert (granted(play), play.lock_orders(), play.patterns()) == ([], [], [])
    assert play.logged("access.refused") == []


def test_another_member_comes_in_meanwhile() -> None:
    play = station()
    go_in(play)
    go_in(play, 2, track=2)
    assert granted(play) == ["m-1", "m-2"]


def test_after_the_rest_the_same_track_counts_again() -> None:
    play = station()
    go_in(play)
    play.see_face(1, track=2)
    play.wait(AGAIN_S)
    play.see_face(1, track=2)
    assert granted(play) == ["m-1", "m-1"]


def test_who_leaves_and_comes_back_within_seconds_comes_in() -> None:
    play = station()
    go_in(play)
    go_out(play)
    play.see_face(1, track=2)
    assert granted(play) == ["m-1", "m-1"]
    play.move_leaf(is_open=True)
    assert play.inside == 1


def test_who_did_not_open_in_time_is_let_in_again_before_the_rest_is_over() -> None:
    play = station()
    play.see_face(1)
    play.wait(play.rules.door.release_s + 1)
    assert play.logged("access.not_taken") != []
    play.see_face(1, track=2)
    assert granted(play) == ["m-1", "m-1"]


def test_a_card_is_a_wish_to_come_in_at_any_time_and_makes_the_face_rest() -> None:
    play = station()
    for _ in range(2):
        play.put(CardRead(play.now, "front", "4711"))
        play.put(CardFound(play.now, play.found(FindCard)[-1].request, "m-1"))
        play.see_face(1, track=7)
        play.move_leaf(is_open=True)
        play.move_leaf(is_open=False)
    assert [each["way"] for each in play.logged("access.granted")] == ["card", "card"]
    assert [each["way"] for each in play.logged("visit.entered")] == ["card", "card"]


@pytest.mark.parametrize("again_s", [4.0, 600.0])
def test_the_rest_is_as_long_as_the_settings_say(again_s: float) -> None:
    play = station(recognition=replace(RULES.recognition, again_s=again_s))
    go_in(play)
    rested_until = play.state.rests["m-1"]
    play.wait_until(rested_until - 0.3)
    play.see_face(1, track=2)
    assert len(granted(play)) == 1
    play.wait_until(rested_until + 0.1)
    play.see_face(1, track=3)
    assert len(granted(play)) == 2


def test_what_is_remembered_is_bounded() -> None:
    people = [member(f"m-{n}", n) for n in range(20)]
    play = ready(*people, rules=replace(RULES, recognition=replace(RULES.recognition, again_s=600.0)))
    play.state = replace(play.state, rests={f"x-{n}": 1e9 for n in range(MAX_RESTS)})
    play.see_face(1)
    assert len(play.state.rests) == MAX_RESTS
    assert "m-1" in play.state.rests
