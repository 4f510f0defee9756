"""Heads that turn as they are asked to, and everything else."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from agent.events import Movement, MovementAnswer
from agent.vision.challenge import FAR, FRONTAL, GAP_S, REACTION_S, RETURN_S, STILL, TurnJudge, turn_to_own_left

ASKED_AT, LIMIT_S = 100.0, 4.0
FRAME_S = 0.1
SIDE: dict[Movement, int] = {"left": 1, "right": -1}
OTHER: dict[Movement, Movement] = {"left": "right", "right": "left"}


def judge(
    turns: Sequence[float | None], movement: Movement = "left", *, before: float | None = 0.0, unknown_over: float = 9.0
) -> tuple[MovementAnswer | None, float]:
    """Play the turns of frames from just after it was asked; None: no face. Returns the answer and when it came."""
    one = TurnJudge(movement, ASKED_AT, LIMIT_S, before)
    for n, turn in enumerate(turns, 1):
        at = ASKED_AT + n * FRAME_S
        answer = one.miss(at) if turn is None else one.take(turn, at, is_known=abs(turn) <= unknown_over)
        if answer is not None:
            return answer, at - ASKED_AT
    return None, len(turns) * FRAME_S


def turning(
    by: float, *, wait_s: float = 0.5, turn_s: float = 0.5, held_s: float = 0.3, base: float = 0.0, then_s: float = 5.0
) -> list[float]:
    """A head that turns by so much, as evenly as can be, and comes back."""
    times = [0, wait_s, wait_s + turn_s, wait_s + turn_s + held_s, wait_s + 2 * turn_s + held_s]
    at = np.arange(1, round((times[-1] + then_s) / FRAME_S)) * FRAME_S
    return [float(each) for each in base + np.interp(at, times, [0, 0, by, by, 0])]


@pytest.mark.parametrize("movement", ["left", "right"])
@pytest.mark.parametrize("base", [-0.1, 0.0, 0.1])
def test_a_head_that_turns_as_asked_and_comes_back_has_turned(movement: Movement, base: float) -> None:
    turns = turning(SIDE[movement] * 0.25, base=base)
    answer, at = judge(turns, movement, before=base)
    assert answer == "turned"
    assert 1.5 < at < 2.0  # not before it is back
    assert judge(turns, OTHER[movement], before=base)[0] == "wrong_way"


def test_the_first_way_counts_whatever_comes_after() -> None:
    there, back = turning(-0.25, then_s=0.1), turning(0.25, wait_s=0.1)
    assert judge(there + back)[0] == "wrong_way"
    assert judge(there + back, "right")[0] == "turned"


def test_a_head_that_stays_there_or_never_goes_has_not_turned() -> None:
    answer, at = judge(turning(0.25, held_s=10.0))
    assert answer == "not_in_time"
    assert at < LIMIT_S + RETURN_S
    answer, at = judge([0.0] * 100)
    assert (answer, round(at, 1)) == ("not_in_time", LIMIT_S + FRAME_S)
    assert judge(turning(FAR - 0.02))[0] == "not_in_time"
    assert judge(turning(0.25, wait_s=LIMIT_S))[0] == "not_in_time"


def test_a_head_that_drifts_there_does_not_turn_because_it_is_asked() -> None:
    assert judge(turning(0.25, turn_s=2.5))[0] == "not_in_time"


@pytest.mark.parametrize("by", [0.25, -0.25])
def test_a_head_that_moves_before_anybody_could_react_is_too_early(by: float) -> None:
    assert judge(turning(by, wait_s=0.0, turn_s=0.3))[0] == "too_early"
    assert judge(turning(by, wait_s=REACTION_S + FRAME_S, turn_s=0.4), "left" if by > 0 else "right")[0] == "turned"


def test_a_head_that_is_not_frontal_or_not_still_when_asked_is_too_early() -> None:
    aside = FRONTAL + 0.02
    assert judge(turning(0.25, base=aside), before=aside)[0] == "too_early"
    assert judge(turning(0.25, base=-aside), before=-aside)[0] == "too_early"
    assert judge(turning(0.25), before=STILL + 0.02)[0] == "too_early"


def test_a_step_that_no_neck_makes_is_another_face() -> None:
    assert judge([0.0] * 6 + [0.35] * 5 + [0.0] * 5)[0] == "changed"


def test_a_frame_of_the_far_side_must_be_known_and_one_is_enough() -> None:
    wide = turning(0.5, turn_s=0.5)
    assert judge(wide, unknown_over=0.35)[0] == "turned"
    assert judge(wide, unknown_over=FAR - 0.01)[0] == "not_in_time"


def test_one_frame_on_the_far_side_may_be_a_slip_of_the_landmarks() -> None:
    assert judge([0.0, 0.0, 0.0, 0.0, 0.08, FAR + 0.02, 0.05, *[0.0] * 40])[0] == "not_in_time"


def test_a_face_that_is_lost_for_long_is_another_one() -> None:
    turns: list[float | None] = list(turning(0.25))
    turns[9:12] = [None] * 3
    assert judge(turns)[0] == "turned"
    missing = round(GAP_S / FRAME_S) + 1
    turns[9 : 9 + missing] = [None] * missing
    assert judge(turns)[0] == "changed"
    assert judge([None] * 30)[0] == "changed"


def test_frames_that_were_on_their_way_when_it_was_asked_only_say_where_the_head_was() -> None:
    one = TurnJudge("left", ASKED_AT, LIMIT_S)
    for turn in (0.3, -0.3, 0.1):
        assert one.take(turn, ASKED_AT - 0.1, is_known=True) is None
    answers = [
        one.take(turn, ASKED_AT + n * FRAME_S, is_known=True) for n, turn in enumerate(turning(0.25, base=0.1), 1)
    ]
    assert "turned" in answers
    assert next(each for each in answers if each) == "turned"


def face(
    nose_x: float, flip: Callable[[float], float] = lambda x: x
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Dlib's five landmarks of a face in a frame: the corners of the eye at its right first."""
    points = [(160, 100), (140, 100), (80, 100), (100, 100), (nose_x, 140)]
    return np.array([(flip(x), y) for x, y in points], np.float32)


def test_the_own_left_is_the_right_of_the_frame_unless_it_is_mirrored() -> None:
    assert turn_to_own_left(face(132), "dlib", is_mirrored=False) == pytest.approx(0.2)
    assert turn_to_own_left(face(108), "dlib", is_mirrored=False) == pytest.approx(-0.2)
    mirrored = face(132, lambda x: 240 - x)
    assert turn_to_own_left(mirrored, "dlib", is_mirrored=True) == pytest.approx(0.2)
    yunet = np.array([(90, 100), (150, 100), (132, 140), (0, 0), (0, 0)], np.float32)
    assert turn_to_own_left(yunet, "sface", is_mirrored=False) == pytest.approx(0.2)
