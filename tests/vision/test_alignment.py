from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from agent.vision.alignment import Aligner, box_of_points
from agent.vision.detector import Detection
from agent.vision.dlib_models import LandmarkPredictor
from agent.vision.engine import DlibEngine, Face
from tests.vision.conftest import read_rgb

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A third of the thresholds that a gallery gets (0.25 to 0.28).
ALLOWED_DISTANCE = 0.083


def test_boxes_that_differ_lead_to_nearly_one_vector(
    hog_engine: DlibEngine, collins: NDArray[np.uint8], hopper: NDArray[np.uint8]
) -> None:
    aligner, predictor = Aligner(), LandmarkPredictor()
    once: list[float] = []
    twice: list[float] = []
    for picture in (collins, hopper):
        face = hog_engine.detect(picture)[0]
        x, y, side, _ = face.box
        off = round(0.08 * side)
        boxes = [
            (x, y, side, side),
            *((x + dx, y + dy, side, side) for dx, dy in ((off, 0), (-off, 0), (0, off), (0, -off))),
        ]
        aligned = [aligner.align(picture, Detection(box, 1.0)) for box in boxes]
        once += _spread(hog_engine, picture, face, [predictor.predict(picture, box) for box in boxes])
        twice += _spread(hog_engine, picture, face, [found.points for found in aligned if found.points is not None])
    assert len(once) == len(twice) == 20
    assert max(twice) <= ALLOWED_DISTANCE
    assert np.mean(twice) < 0.7 * np.mean(once)


def _spread(
    engine: DlibEngine, picture: NDArray[np.uint8], face: Face, landmarks: list[NDArray[np.float32]]
) -> list[float]:
    """The distances between the vectors of every two of these."""
    vectors = [engine.vector(picture, replace(face, landmarks=points)) for points in landmarks]
    return [float(np.linalg.norm(one - other)) for one, other in combinations(vectors, 2)]


def test_points_that_coincide_ask_for_no_box() -> None:
    assert box_of_points(np.full((5, 2), 40, np.float32)) is None


def test_a_box_beyond_the_frame_does_no_harm(hopper: NDArray[np.uint8]) -> None:
    aligned = Aligner().align(hopper, Detection((-500, -500, 90, 90), 1.0))
    assert aligned.points is not None
    assert np.isfinite(aligned.points).all()
    assert Aligner().chip(hopper, aligned.points).shape == (150, 150, 3)


def test_the_portraits_vectors_hardly_depend_on_the_detector(
    hog_engine: DlibEngine, yunet_engine: DlibEngine, collins: NDArray[np.uint8], hopper: NDArray[np.uint8]
) -> None:
    for picture in (collins, hopper):
        assert _distance(hog_engine, yunet_engine, picture) <= ALLOWED_DISTANCE


def test_a_vector_does_not_depend_on_what_found_the_face(
    hog_engine: DlibEngine, yunet_engine: DlibEngine, london: list[Path]
) -> None:
    distances = [_distance(hog_engine, yunet_engine, read_rgb(path)) for path in london[::4]]
    assert len(distances) >= 50
    assert max(distances) <= ALLOWED_DISTANCE
    assert float(np.median(distances)) <= 0.02


@pytest.mark.parametrize("angle", [-20, 20])
def test_a_tilted_head_is_turned_upright(angle: float, hog_engine: DlibEngine, hopper: NDArray[np.uint8]) -> None:
    turn = cv2.getRotationMatrix2D((265, 240), angle, 1.0)
    tilted = np.asarray(cv2.warpAffine(hopper, turn, (512, 600)), np.uint8)
    upright, turned = (hog_engine.vector(picture, hog_engine.detect(picture)[0]) for picture in (hopper, tilted))
    assert np.linalg.norm(upright - turned) < 0.25


def _distance(one: DlibEngine, other: DlibEngine, picture: NDArray[np.uint8]) -> float:
    vectors = [engine.vector(picture, engine.detect(picture)[0]) for engine in (one, other)]
    return float(np.linalg.norm(vectors[0] - vectors[1]))
