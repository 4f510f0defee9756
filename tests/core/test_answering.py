"""Calls from the door: made once, counted, answered, or given up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core.answering import ANSWERED, CALLED, UNANSWERED
from agent.core.calls import BOUNCE_S, CallRules
from agent.core.problems import CATALOGUE
from agent.events import CallButtonPressed, DeviceFailed
from drivers.indicator import PATTERNS
from tests.core.station_play import RULES, VIEWER, Play, ready

SHORT = replace(RULES, calls=CallRules(waits_s=60.0))


def press(play: Play) -> None:
    play.put(CallButtonPressed(play.now))
    play.wait(1.0)


def alarms(play: Play) -> object:
    return play.published("door")[-1]["alarms"]


def test_a_call_is_logged_published_and_told_to_the_one_who_calls() -> None:
    play = ready(rules=SHORT)
    play.connect()
    press(play)
    assert play.logged("call.made") == [{"waits_s": 60.0}]
    assert alarms(play) == ["call"]
    assert play.patterns() == ["called"]
    assert play.lock_orders() == []


def test_a_button_that_bounces_calls_once() -> None:
    play = ready()
    for n in range(20):
        play.put(CallButtonPressed(play.now + n / 100))
    play.ask("door.answer")
    assert [each["presses"] for each in play.logged("call.ended")] == [1]
    assert play.patterns() == ["called", "called"]


def test_who_goes_on_pressing_is_counted_and_told_but_calls_no_second_time() -> None:
    play = ready(rules=SHORT)
    for _ in range(5):
        press(play)
    assert len(play.logged("call.made")) == 1
    assert play.patterns() == ["called"] * 5
    play.ask("door.unlock")
    (ended,) = play.logged("call.ended")
    assert ended == {"how": "opened", "actor": "master", "presses": 5, "waited_s": 5.0}


@pytest.mark.parametrize(("action", "how"), [("door.unlock", "opened"), ("door.hold_open", "opened")])
def test_opening_the_door_answers_the_call(action: str, how: str) -> None:
    play = ready()
    play.connect()
    press(play)
    play.ask(action)
    assert [each["how"] for each in play.logged("call.ended")] == [how]
    assert alarms(play) == []


def test_an_answer_opens_nothing_and_is_told_at_the_door() -> None:
    play = ready()
    press(play)
    play.take()
    play.ask("door.answer")
    play.write_log()
    assert play.lock_orders() == []
    assert play.patterns() == [ANSWERED.pattern]
    assert [each["how"] for each in play.logged("call.ended")] == ["answered"]
    assert play.replies()[-1].ok
    assert play.replies()[-1].result["waited_s"] == 1.0


def test_an_answer_does_not_wait_for_a_lock_that_is_broken() -> None:
    play = ready()
    press(play)
    play.put(DeviceFailed(play.now, "lock", "no current"))
    play.take()
    play.ask("door.answer")
    play.write_log()
    assert play.replies()[-1].ok


def test_a_call_that_nobody_answers_ends_and_the_next_press_calls_again() -> None:
    play = ready(rules=SHORT)
    press(play)
    play.wait(60.0)
    assert [each["how"] for each in play.logged("call.ended")] == ["unanswered"]
    assert play.patterns()[-1] == UNANSWERED.pattern
    press(play)
    assert len(play.logged("call.made")) == 2


def test_pressing_on_does_not_make_a_call_last_longer() -> None:
    play = ready(rules=SHORT)
    for _ in range(61):
        press(play)
    assert [each["waited_s"] for each in play.logged("call.ended")] == [60.0]


def test_an_unlock_that_is_refused_answers_nobody() -> None:
    play = ready()
    press(play)
    play.ask("door.block")
    play.ask("door.unlock", request="r-2")
    assert play.problem_codes("r-2") == ["door.blocked"]
    assert play.logged("call.ended") == []


def test_without_a_call_there_is_nothing_to_answer() -> None:
    play = ready()
    play.ask("door.answer")
    assert play.problem_codes() == ["door.no_call"]
    assert "door.no_call" in CATALOGUE
    play.ask("door.unlock", request="r-2")
    assert play.logged("call.ended") == []


def test_who_may_only_look_answers_no_call() -> None:
    play = ready()
    press(play)
    play.ask("door.answer", actor=VIEWER)
    assert play.problem_codes() == ["request.forbidden"]
    assert play.state.call is not None


def test_a_press_right_after_an_answer_is_the_same_bounce() -> None:
    play = ready()
    play.put(CallButtonPressed(play.now))
    play.ask("door.answer")
    play.put(CallButtonPressed(play.now + BOUNCE_S / 2))
    assert len(play.logged("call.made")) == 1


def test_whoever_calls_is_told_in_two_languages_with_a_pattern_that_there_is() -> None:
    for advice in (CALLED, ANSWERED, UNANSWERED):
        assert advice.pattern in PATTERNS
        assert advice.words.zh
        assert advice.words.en
