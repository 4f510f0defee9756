"""Frames for an enrolment: real faces, their pose measured, and reasons for what does not count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from agent.vision.capture import Frame
from agent.vision.enrolment import ADVICE_S, PACE_S, EnrolmentPipeline
from agent.vision.protocol import EnrolmentFrame, EnrolmentUnusable, Fact, decode_vector
from agent.vision.quality import Floors, nod, turn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.vision.engine import DlibEngine

    Picture = NDArray[np.uint8]


def frames_of(pipeline: EnrolmentPipeline, picture: Picture, seconds: float, began: float = 0.0) -> list[Fact]:
    facts: list[Fact] = []
    for n in range(round(seconds * 10)):
        facts += pipeline.take(Frame(picture, began + n / 10, n + 1))
    return facts


@pytest.fixture
def pipeline(hog_engine: DlibEngine) -> EnrolmentPipeline:
    return EnrolmentPipeline(hog_engine, Floors(), "r-1", until=100.0)


def test_good_frames_come_at_their_pace_with_the_persons_vector(
    pipeline: EnrolmentPipeline, hog_engine: DlibEngine, collins: Picture
) -> None:
    facts = frames_of(pipeline, collins, 1.5)
    assert {type(fact) for fact in facts} == {EnrolmentFrame}
    assert 3 <= len(facts) <= 1.5 / PACE_S + 1
    first = facts[0]
    assert isinstance(first, EnrolmentFrame)
    face = hog_engine.detect(collins)[0]
    np.testing.assert_allclose(decode_vector(first.vector), hog_engine.vector(collins, face), atol=1e-5)
    assert (first.turn, first.width_px) == (turn(face.landmarks, hog_engine.name), face.box[2])


def test_a_face_that_is_too_far_is_said_once_a_second(hog_engine: DlibEngine, collins: Picture) -> None:
    pipeline = EnrolmentPipeline(hog_engine, Floors(width_px=400), "r-1", until=100.0)
    facts = frames_of(pipeline, collins, 2.0)
    assert {fact.reason for fact in facts if isinstance(fact, EnrolmentUnusable)} == {"too_far"}
    assert len(facts) <= 2.0 / ADVICE_S + 1


def test_two_faces_are_nobody(pipeline: EnrolmentPipeline, collins: Picture, hopper: Picture) -> None:
    scene = np.full((480, 640, 3), 120, np.uint8)
    scene[100:420, :320] = cv2.resize(collins[20:220, 120:320], (320, 320))
    scene[100:420, 320:] = cv2.resize(hopper[40:440, 60:460], (320, 320))
    facts = frames_of(pipeline, scene, 0.3)
    assert [fact.reason for fact in facts if isinstance(fact, EnrolmentUnusable)] == ["two_faces"]
    assert not [fact for fact in facts if isinstance(fact, EnrolmentFrame)]


def test_an_empty_picture_says_nothing(pipeline: EnrolmentPipeline) -> None:
    assert frames_of(pipeline, np.full((480, 640, 3), 90, np.uint8), 0.5) == []


@pytest.mark.parametrize("engine", ["dlib", "sface"])
def test_a_nose_that_moves_aside_is_a_turn_and_one_that_moves_down_a_nod(engine: str) -> None:
    def landmarks(x: float, y: float, angle: float = 0.0) -> NDArray[np.float32]:
        eyes = [[0, 0], [100, 0]] if engine == "sface" else [[-10, 0], [10, 0], [90, 0], [110, 0]]
        points = np.array([*eyes, [50 + x, 60 + y]], np.float32)
        points = np.vstack((points, np.zeros((5 - len(points), 2), np.float32)))
        rotation = cv2.getRotationMatrix2D((0, 0), angle, 2.0)[:, :2]
        return (points @ rotation.T).astype(np.float32)

    assert turn(landmarks(0, 0), engine) == pytest.approx(0)
    assert nod(landmarks(0, 0), engine) == pytest.approx(0.6)
    assert turn(landmarks(10, 0), engine) == pytest.approx(0.1)
    assert nod(landmarks(10, 0), engine) == pytest.approx(0.6)
    assert nod(landmarks(0, -10), engine) == pytest.approx(0.5)
    # Neither changes when the whole head is tilted or nearer.
    assert turn(landmarks(10, 0, angle=20), engine) == pytest.approx(0.1, abs=1e-5)
    assert nod(landmarks(0, -10, angle=20), engine) == pytest.approx(0.5, abs=1e-5)
