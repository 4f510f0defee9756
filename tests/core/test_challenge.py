"""A movement is asked for before the door opens."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.core.movement import BACK_S, FRONTAL, RECOGNISED_AGAIN_S, WITHIN_S, choose
from agent.core.recognition import TURN_HEAD_S
from agent.effects import ChallengeFace
from agent.events import (
    CameraFailed,
    ChallengeAnswered,
    CodePresented,
    FaceSeen,
    MovementAnswer,
    PauseSkipped,
    TrackEnded,
    VisionStarted,
    VisionStopped,
)
from tests.core.station_play import ENGINE, RULES, Play, face_of, member, ready

SECRET = b"a secret of the test"
CHALLENGING = replace(RULES, recognition=replace(RULES.recognition, is_movement_needed=True), challenge_secret=SECRET)
AGAIN_S = CHALLENGING.recognition.again_s


@pytest.fixture
def play() -> Play:
    return ready(member("m-1", 1), member("m-2", 2), rules=CHALLENGING)


def see(
    play: Play, person: int = 1, *, frames: int = 2, track: int = 1, turn: float = 0.0, liveness: str = "live"
) -> None:
    """So many frames of this face, a tenth of a second apart, the first a tenth of a second from now."""
    for _ in range(frames):
        at = play.now + 0.1
        play.put(FaceSeen(at, track, at, face_of(person), liveness=liveness, turn=turn))  # type: ignore[arg-type]


def answer(play: Play, what: MovementAnswer = "turned", *, track: int = 1) -> None:
    """The child answers the newest challenge."""
    order = play.found(ChallengeFace)[-1]
    play.put(ChallengeAnswered(play.now + 1.0, order.challenge, track, what))


def reasons(play: Play) -> list[str]:
    return [each["reason"] for each in play.logged("access.refused")]


def test_who_is_recognised_is_asked_to_turn_and_comes_in_after_it(play: Play) -> None:
    see(play)
    (order,) = play.found(ChallengeFace)
    assert (order.track, order.within_s) == (1, WITHIN_S)
    assert order.movement == choose(SECRET, 1)
    assert play.patterns() == [f"look_{order.movement}"]
    see(play, frames=10, turn=0.2)
    assert play.lock_orders() == []
    answer(play)
    assert play.lock_orders() == []  # the faces until then have proved who was asked, not who turned
    see(play)
    assert play.lock_orders() == [True]
    assert [each["member"] for each in play.logged("access.granted")] == ["m-1"]


def test_who_has_just_come_in_is_not_asked_again_at_once(play: Play) -> None:
    see(play)
    answer(play)
    see(play)
    assert play.lock_orders() == [True]
    play.put(TrackEnded(play.now, 1))
    see(play, track=2, frames=10)
    assert len(play.found(ChallengeFace)) == 1


def test_a_stranger_is_asked_nothing(play: Play) -> None:
    see(play, 9, frames=20)
    assert play.found(ChallengeFace) == []
    assert reasons(play) == ["not_enrolled"]


def test_whoever_is_asked_often_is_asked_both_ways(play: Play) -> None:
    for _ in range(20):
        see(play)
        answer(play)
        see(play)
        play.wait(60)
    asked = [order.movement for order in play.found(ChallengeFace)]
    assert len(asked) == 20
    assert {"left", "right"} == set(asked)
    assert len({order.challenge for order in play.found(ChallengeFace)}) == 20


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("wrong_way", "turned_wrong_way"),
        ("not_in_time", "not_turned"),
        ("too_early", "turned_too_early"),
        ("changed", "face_changed"),
    ],
)
def test_a_movement_that_fails_is_refused_logged_and_rested(play: Play, what: MovementAnswer, reason: str) -> None:
    see(play)
    answer(play, what)
    assert play.patterns()[-1] == "refused"
    assert play.logged("access.refused") == [{"reason": reason, "way": "face", "member": "m-1"}]
    failed_at = play.now
    play.put(TrackEnded(play.now, 1))  # and comes again at once as another track
    while play.now < failed_at + AGAIN_S - 0.5:
        see(play, track=2)
    assert len(play.found(ChallengeFace)) == 1
    while len(play.found(ChallengeFace)) == 1:
        see(play, track=2)
    assert play.now <= failed_at + AGAIN_S + 1.0
    assert play.lock_orders() == []


def test_the_rest_of_one_member_is_not_that_of_another(play: Play) -> None:
    see(play)
    answer(play, "wrong_way")
    play.put(TrackEnded(play.now, 1))
    see(play, 2, track=2)
    assert [order.track for order in play.found(ChallengeFace)] == [1, 2]


def test_a_member_put_in_the_place_of_another_one_after_the_movement_does_not_come_in(play: Play) -> None:
    see(play)
    answer(play)
    see(play, 2, frames=10 * round(RECOGNISED_AGAIN_S) + 5)
    assert play.lock_orders() == []
    assert reasons(play) == ["face_changed"]


def beside(one: int, other: int, share: float) -> NDArray[np.float32]:
    mixed = face_of(one) + share * face_of(other)
    return np.asarray(mixed / np.linalg.norm(mixed), np.float32)


def test_somebody_else_as_near_to_the_member_as_the_first_one_does_not_come_in_either(play: Play) -> None:
    before, after = beside(1, 20, 0.18), beside(1, 20, -0.18)  # each near enough to be taken for the member
    for n in range(2):
        play.put(FaceSeen(play.now + 0.1, 1, 0.0, before, liveness="live"))
        assert len(play.found(ChallengeFace)) == n
    answer(play)
    for _ in range(10 * round(RECOGNISED_AGAIN_S) + 5):
        play.put(FaceSeen(play.now + 0.1, 1, 0.0, after, liveness="live"))
    assert play.lock_orders() == []
    assert reasons(play) == ["face_changed"]


def test_who_turned_but_is_not_known_to_be_live_does_not_come_in(play: Play) -> None:
    see(play, liveness="undecided")
    answer(play)
    see(play, frames=10 * round(RECOGNISED_AGAIN_S) + 5, liveness="undecided")
    assert play.lock_orders() == []
    assert reasons(play) == ["not_live"]


def test_a_picture_that_is_found_out_while_it_is_asked_is_refused_at_once(play: Play) -> None:
    see(play, liveness="undecided")
    see(play, frames=1, liveness="attack")
    assert reasons(play) == ["not_live"]
    answer(play)
    see(play, frames=5)
    assert play.lock_orders() == []


def test_a_face_is_asked_only_from_the_front_and_told_so(play: Play) -> None:
    see(play, frames=10 * round(TURN_HEAD_S) + 5, turn=FRONTAL + 0.05)
    assert play.found(ChallengeFace) == []
    assert play.patterns() == ["look_here"]
    see(play, frames=1, turn=FRONTAL - 0.05)
    assert len(play.found(ChallengeFace)) == 1


def test_an_answer_that_never_comes_is_a_refusal(play: Play) -> None:
    see(play)
    see(play, frames=10 * round(WITHIN_S + BACK_S) + 5)
    assert reasons(play) == ["not_turned"]
    answer(play)
    see(play, frames=5)
    assert play.lock_orders() == []


def test_an_answer_after_its_time_or_to_another_question_opens_nothing(play: Play) -> None:
    see(play)
    order = play.found(ChallengeFace)[-1]
    play.put(ChallengeAnswered(play.now, "c-99", 1, "turned"))
    play.put(ChallengeAnswered(play.now, order.challenge, 2, "turned"))
    see(play, frames=5)
    assert play.lock_orders() == []
    play.wait(WITHIN_S + BACK_S)
    play.put(ChallengeAnswered(play.now, order.challenge, 1, "turned"))
    see(play, frames=5)
    assert play.lock_orders() == []
    assert reasons(play) == ["not_turned"]


def test_a_second_answer_does_not_undo_or_repeat_the_first(play: Play) -> None:
    see(play)
    answer(play, "wrong_way")
    answer(play, "turned")
    see(play, frames=5)
    assert play.lock_orders() == []
    assert reasons(play) == ["turned_wrong_way"]


@pytest.mark.parametrize("after", ["asked", "turned"])
@pytest.mark.parametrize("end", ["vision", "camera", "track"])
def test_a_challenge_that_is_cut_short_is_over_and_draws_no_new_lot(play: Play, end: str, after: str) -> None:
    see(play)
    if after == "turned":
        answer(play)
    if end == "vision":
        play.put(VisionStopped(play.now, "killed"))
        play.put(VisionStarted(play.now, *ENGINE))
        play.build_gallery()
    elif end == "camera":
        play.put(CameraFailed(play.now, "unplugged"))
    else:
        play.put(TrackEnded(play.now, 1))
    answer(play)
    see(play, frames=20)
    assert play.lock_orders() == []
    assert reasons(play) == []
    assert len(play.found(ChallengeFace)) == (1 if after == "asked" else 2)


def test_a_code_given_meanwhile_lets_the_one_it_names_go_on_and_nobody_draw_a_new_lot(play: Play) -> None:
    see(play)
    play.put(CodePresented(play.now, "card", ("m-1",)))
    answer(play)
    see(play)
    assert play.lock_orders() == [True]
    play.wait(60)
    play.take()
    see(play, 2)
    play.put(CodePresented(play.now, "card", ("m-1",)))
    answer(play)
    see(play, 2, frames=5)
    assert play.lock_orders() == []
    play.put(CodePresented(play.now, "card", ("m-2",)))
    see(play, 2, frames=5)
    assert len(play.found(ChallengeFace)) == 1  # and it rests


def test_a_skipped_pause_takes_no_time_from_who_is_asked(play: Play) -> None:
    see(play)
    play.now += 60
    play.put(PauseSkipped(play.now, 60.0))
    answer(play)
    see(play)
    assert play.lock_orders() == [True]


def test_without_the_mode_nobody_is_asked() -> None:
    play = ready(member("m-1", 1), rules=replace(RULES, challenge_secret=SECRET))
    see(play)
    assert play.found(ChallengeFace) == []
    assert play.lock_orders() == [True]


def test_the_secret_is_not_shown_with_the_rules() -> None:
    assert "secret" not in repr(CHALLENGING).replace("a secret of the test", "")
    assert repr(SECRET) not in repr(CHALLENGING)
