from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from agent.events import Movement
from agent.vision.capture import Frame
from agent.vision.detector import Box
from agent.vision.engine import DlibEngine, Face
from agent.vision.gate import LINGER_S
from agent.vision.pipeline import ADVICE_S, BRISK_VECTORS, Pipeline
from agent.vision.protocol import (
    Challenge,
    ChallengeAnswered,
    FaceSeen,
    FaceUnusable,
    Fact,
    TrackEnded,
    decode_vector,
)
from agent.vision.quality import Floors, eyes_and_nose
from drivers.camera import SensorNoise
from drivers.simulated.camera import Portrait, SimulatedCamera, Stage
from drivers.simulated.rider import FaceOutline
from tests.vision.conftest import read_rgb

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

FRAME_S = 0.1
START = 1000.0


class CountingEngine:
    """The real engine, and how often it was asked."""

    def __init__(self, engine: DlibEngine) -> None:
        self._engine = engine
        self.name = engine.name
        self.weights = engine.weights
        self.detector_name = engine.detector_name
        self.detections = 0

    def detect(self, frame_rgb: Picture, *, exhaustive: bool = False, within: Box | None = None) -> list[Face]:
        self.detections += 1
        return self._engine.detect(frame_rgb, exhaustive=exhaustive, within=within)

    def vector(self, frame_rgb: Picture, face: Face) -> NDArray[np.float32]:
        return self._engine.vector(frame_rgb, face)


class Door:
    """A simulated camera by a clock that is set by hand, and the pipeline that looks through it."""

    def __init__(self, engine: DlibEngine, portraits: dict[str, Path], stage: Path) -> None:
        self.now = START
        self.engine = CountingEngine(engine)
        self.stage = Stage(stage)
        self.stage.clear()
        people = {name: Portrait(path, outline(engine, read_rgb(path))) for name, path in portraits.items()}
        self.camera = SimulatedCamera(stage, people, fps=10, clock=lambda: self.now)
        self.pipeline = Pipeline(self.engine, Floors(), "door")
        self._noise = SensorNoise((640, 480), levels=3, seed=5)
        self._number = 0

    def watch(self, seconds: float) -> list[Fact]:
        return self._take(seconds, None)

    def hold(self, picture: Picture, seconds: float) -> list[Fact]:
        """One picture that does not move, but for the noise."""
        return self._take(seconds, picture)

    def _take(self, seconds: float, still: Picture | None) -> list[Fact]:
        facts: list[Fact] = []
        for _ in range(round(seconds / FRAME_S)):
            self.now += FRAME_S
            self._number += 1
            picture = self.camera.read()[0] if still is None else self._noise.over(still)
            facts += self.pipeline.take(Frame(picture, self.now, self._number))
        return facts


@pytest.fixture
def door(hog_engine: DlibEngine, collins_path: Path, hopper_path: Path, tmp_path: Path) -> Iterator[Door]:
    door = Door(hog_engine, {"collins": collins_path, "hopper": hopper_path}, tmp_path / "stage")
    yield door
    door.camera.close()


def outline(engine: DlibEngine, picture: Picture) -> FaceOutline:
    face = engine.detect(picture)[0]
    return FaceOutline(face.box, *eyes_and_nose(face.landmarks, engine.name))


def seen(facts: list[Fact]) -> list[FaceSeen]:
    return [fact for fact in facts if isinstance(fact, FaceSeen)]


def advice(facts: list[Fact]) -> list[str]:
    return [fact.reason for fact in facts if isinstance(fact, FaceUnusable)]


def portrait_vector(engine: DlibEngine, picture: Picture) -> NDArray[np.float32]:
    return engine.vector(picture, engine.detect(picture)[0])


def test_no_detector_runs_while_nobody_is_there(door: Door) -> None:
    assert door.watch(10) == []
    assert door.engine.detections <= LINGER_S / FRAME_S + 1


def test_a_person_is_seen_within_three_frames(door: Door, hog_engine: DlibEngine, collins: Picture) -> None:
    door.watch(5)
    door.stage.show("collins")
    came_at = door.now
    facts = seen(door.watch(0.3))
    assert len(facts) >= 2
    assert facts[0].first_at <= came_at + 2 * FRAME_S
    reference = portrait_vector(hog_engine, collins)
    for fact in facts:
        assert float(np.linalg.norm(decode_vector(fact.vector) - reference)) < 0.25  # the head turns


def test_a_decision_gets_its_vectors_briskly_and_waiting_costs_little(door: Door) -> None:
    door.stage.show("collins")
    facts = seen(door.watch(BRISK_VECTORS * FRAME_S + 3))
    assert len([fact for fact in facts if fact.at <= START + (BRISK_VECTORS + 1) * FRAME_S]) == BRISK_VECTORS
    assert BRISK_VECTORS + 4 <= len(facts) <= BRISK_VECTORS + 7


def test_somebody_who_stands_still_is_followed_to_the_end(door: Door, tmp_path: Path) -> None:
    door.watch(3)
    door.stage.show("collins")
    door.watch(0.5)
    still = door.camera.read()[0]
    facts = door.hold(still, 6)
    assert not [fact for fact in facts if isinstance(fact, TrackEnded)]
    assert seen(facts)[-1].at > door.now - 1
    door.stage.clear()
    assert [type(fact) for fact in door.watch(3)] == [TrackEnded]
    door.watch(3)
    before = door.engine.detections
    door.watch(3)
    assert door.engine.detections == before  # and the gate is shut again


def test_another_person_in_the_same_place_ends_the_track(door: Door, hog_engine: DlibEngine, hopper: Picture) -> None:
    door.stage.show("collins")
    first = seen(door.watch(1))
    door.stage.show("hopper")
    facts = door.watch(1)
    second = seen(facts)
    assert {fact.track for fact in first} == {1}
    assert [fact.track for fact in facts if isinstance(fact, TrackEnded)] == [1]
    assert {fact.track for fact in second} == {2}
    reference = portrait_vector(hog_engine, hopper)
    for fact in second:
        assert float(np.linalg.norm(decode_vector(fact.vector) - reference)) < 0.25  # the head turns
        assert fact.first_at > first[-1].at


def test_who_leaves_and_comes_again_is_a_new_track(door: Door) -> None:
    door.stage.show("collins")
    door.watch(1)
    door.stage.clear()
    assert [type(fact) for fact in door.watch(2)] == [TrackEnded]
    door.stage.show("collins")
    assert {fact.track for fact in seen(door.watch(1))} == {2}


def test_a_track_is_dropped_when_the_camera_fails(door: Door) -> None:
    door.stage.show("collins")
    door.watch(1)
    (ended,) = door.pipeline.drop_track(door.now)
    assert isinstance(ended, TrackEnded)
    assert door.pipeline.drop_track(door.now) == []
    assert seen(door.watch(0.5))[0].track == 2


def test_two_people_as_near_as_each_other_are_both_refused(door: Door, collins: Picture, hopper: Picture) -> None:
    scene = np.full((480, 640, 3), 120, np.uint8)
    scene[100:420, :320] = cv2.resize(collins[20:220, 120:320], (320, 320))
    scene[100:420, 320:] = cv2.resize(hopper[40:440, 60:460], (320, 320))
    facts = door.hold(scene, 3)
    assert seen(facts) == []
    assert set(advice(facts)) == {"two_faces"}
    assert 2 <= len(facts) <= 3 / ADVICE_S + 1


def test_advice_is_given_once_a_second_and_never_over_good_frames(door: Door) -> None:
    door.stage.show("collins")
    door.watch(0.5)
    person = door.camera.read()[0]
    dark = (person * 0.12).astype(np.uint8)
    assert advice(door.hold(person, 1)) == []
    one_bad_frame = door.hold(dark, 0.1)
    assert advice(one_bad_frame) == []
    facts = door.hold(dark, 3)
    assert seen(facts) == []
    assert set(advice(facts)) <= {"too_dark"}
    assert len(advice(facts)) <= 3 / ADVICE_S + 1


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 700, 3), (120, 160, 3), (1080, 1920, 3)])
def test_a_frame_of_another_size_in_the_middle_is_survived(door: Door, shape: tuple[int, int, int]) -> None:
    door.stage.show("collins")
    door.watch(0.5)
    odd = np.full(shape, 90, np.uint8)
    door.pipeline.take(Frame(odd, door.now + 0.01, 100))
    facts = door.watch(1)
    assert seen(facts)


# --- a movement is asked for -----------------------------------------------------------------------------------------

CALM = "rider-4293"  # by this name somebody stands so still that they never seem to turn when they do not
OTHER: dict[Movement, Movement] = {"left": "right", "right": "left"}


@pytest.fixture
def calm(hog_engine: DlibEngine, collins_path: Path, hopper_path: Path, tmp_path: Path) -> Iterator[Door]:
    """Collins has stood there for a moment."""
    door = Door(hog_engine, {CALM: collins_path, "hopper": hopper_path}, tmp_path / "stage")
    door.stage.show(CALM)
    assert {fact.track for fact in seen(door.watch(0.5))} == {1}
    yield door
    door.camera.close()


def ask(door: Door, movement: Movement, track: int = 1) -> list[Fact]:
    return door.pipeline.challenge(Challenge(id="c-1", track=track, movement=movement, seconds=4.0), door.now)


def answers(facts: list[Fact]) -> list[str]:
    return [fact.answer for fact in facts if isinstance(fact, ChallengeAnswered)]


@pytest.mark.parametrize("movement", ["left", "right"])
@pytest.mark.parametrize("obeys", [True, False])
def test_a_head_that_turns_is_answered_once_and_seen_all_the_while(calm: Door, movement: Movement, obeys: bool) -> None:
    assert ask(calm, movement) == []
    calm.stage.turn(movement if obeys else OTHER[movement])
    facts = calm.watch(6)
    assert answers(facts) == ["turned" if obeys else "wrong_way"]
    (answer,) = [fact for fact in facts if isinstance(fact, ChallengeAnswered)]
    assert (answer.challenge, answer.track, answer.order) == ("c-1", 1, "door")
    before = [fact for fact in seen(facts) if fact.at <= answer.at]
    furthest = max((fact.turn for fact in before), key=abs)
    assert (furthest > 0) == (movement == ("left" if obeys else "right"))
    assert max(later.at - earlier.at for earlier, later in pairwise(before)) < 0.45  # vectors all the way
    after = [fact for fact in seen(facts) if answer.at < fact.at < answer.at + 0.35]
    assert len(after) >= 2
    assert {fact.track for fact in seen(facts)} == {1}


def test_a_head_that_does_not_move_has_not_turned_in_time(calm: Door) -> None:
    ask(calm, "left")
    assert answers(calm.watch(4.3)) == ["not_in_time"]
    assert answers(calm.watch(2)) == []


def test_another_person_while_somebody_is_asked_is_a_change(calm: Door) -> None:
    ask(calm, "left")
    calm.watch(0.3)
    calm.stage.show("hopper")
    facts = calm.watch(1)
    assert answers(facts) == ["changed"]
    kinds = [type(fact) for fact in facts if not isinstance(fact, FaceSeen)]
    assert kinds == [ChallengeAnswered, TrackEnded]


def test_who_leaves_while_asked_and_whose_camera_fails_did_not_turn(calm: Door) -> None:
    ask(calm, "left")
    calm.stage.clear()
    assert answers(calm.watch(2)) == ["changed"]
    calm.stage.show(CALM)
    calm.watch(0.5)
    ask(calm, "left", track=2)
    assert answers(calm.pipeline.drop_track(calm.now)) == ["changed"]


def test_nobody_is_judged_for_a_track_that_is_not_there(calm: Door) -> None:
    assert answers(ask(calm, "left", track=2)) == ["changed"]
    calm.stage.turn("left")
    assert answers(calm.watch(4)) == []


def test_a_picture_that_stands_still_is_no_head_that_turns(calm: Door) -> None:
    ask(calm, "left")
    picture = calm.camera.read()[0]
    facts: list[Fact] = []
    for n in range(30):
        facts += calm.pipeline.take(Frame(picture, calm.now + (n + 1) * FRAME_S, 1000 + n))
    assert answers(facts) == ["changed"]
