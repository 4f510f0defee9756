from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from agent.vision.engine import DlibEngine, Face
from agent.vision.quality import Floors, turn, unusable
from drivers.camera import SensorNoise, load_picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

SHARED_DATA = Path(__file__).parents[2].parent / "shared/data"


@pytest.fixture(scope="module")
def portrait(hopper: Picture) -> Picture:
    return hopper


@pytest.fixture(scope="module")
def found(portrait: Picture, hog_engine: DlibEngine) -> Face:
    return hog_engine.detect(portrait)[0]


def noisy(picture: Picture) -> Picture:
    return SensorNoise((picture.shape[1], picture.shape[0]), levels=3, seed=1).over(picture)


def verdict(picture: Picture, face: Face, floors: Floors | None = None) -> str:
    return unusable(noisy(picture), face, floors or Floors(), "dlib")


def smear(picture: Picture, face: Face, *, share: float, is_upright: bool) -> Picture:
    length = max(2, round(share * face.box[2]))
    kernel = np.full((1, length), 1 / length, np.float32)
    return np.asarray(cv2.filter2D(picture, -1, kernel.T if is_upright else kernel), np.uint8)


def test_a_good_portrait_counts(portrait: Picture, found: Face) -> None:
    assert verdict(portrait, found) == ""


def test_another_good_portrait_counts(collins: Picture, hog_engine: DlibEngine) -> None:
    assert verdict(collins, hog_engine.detect(collins)[0]) == ""


@pytest.mark.parametrize("light", [0.3, 0.6, 1.4])
def test_a_face_in_dim_or_strong_light_counts(portrait: Picture, found: Face, light: float) -> None:
    assert verdict(np.clip(portrait * light, 0, 255).astype(np.uint8), found) == ""


def test_a_dark_face_is_too_dark(portrait: Picture, found: Face) -> None:
    assert verdict((portrait * 0.1).astype(np.uint8), found) == "too_dark"


def test_an_overexposed_face_is_too_bright(portrait: Picture, found: Face) -> None:
    assert verdict(np.clip(portrait * 3.5, 0, 255).astype(np.uint8), found) == "too_bright"


@pytest.mark.parametrize("light", [0.3, 1.0])
def test_a_blurred_face_is_blurred_in_any_light_and_noise(portrait: Picture, found: Face, light: float) -> None:
    blurred = cv2.GaussianBlur(portrait, (0, 0), 0.045 * found.box[2])
    assert verdict((blurred * light).astype(np.uint8), found) == "blurred"


@pytest.mark.parametrize("is_upright", [False, True])
def test_a_face_smeared_in_one_direction_is_blurred(portrait: Picture, found: Face, *, is_upright: bool) -> None:
    assert verdict(smear(portrait, found, share=0.3, is_upright=is_upright), found) == "blurred"


def test_a_small_face_is_too_far(portrait: Picture, found: Face) -> None:
    assert verdict(portrait, found, Floors(width_px=found.box[2] + 1)) == "too_far"
    assert verdict(portrait, found, Floors(width_px=found.box[2])) == ""


def test_a_face_larger_than_the_frame_is_too_close(portrait: Picture, found: Face) -> None:
    x, y, width, height = found.box
    assert verdict(np.ascontiguousarray(portrait[y : y + height, x : x + width]), found) == "too_close"


@pytest.mark.parametrize(
    "box", [(-150, 50, 200, 200), (50, -150, 200, 200), (5000, 50, 200, 200), (-900, -900, 200, 200)]
)
def test_a_face_half_outside_the_frame_is_too_close(
    portrait: Picture, found: Face, box: tuple[int, int, int, int]
) -> None:
    assert verdict(portrait, replace(found, box=box)) == "too_close"


@pytest.mark.parametrize("side", [-1, 1])
def test_a_face_that_looks_aside_is_turned_away(portrait: Picture, found: Face, side: int) -> None:
    points = found.landmarks.copy()
    across = (points[2] + points[3]) / 2 - (points[0] + points[1]) / 2
    points[4] += np.float32(side * 0.5) * across
    assert verdict(portrait, replace(found, landmarks=points)) == "turned_away"


@pytest.mark.parametrize("angle", [0, 20, -20, 90])
def test_a_tilted_head_is_not_turned_away(angle: float) -> None:
    straight = np.array([(30, 40), (50, 40), (110, 40), (90, 40), (70, 80)], np.float32)
    radians = np.radians(angle)
    spin = np.array([[np.cos(radians), -np.sin(radians)], [np.sin(radians), np.cos(radians)]], np.float32)
    assert abs(turn((straight @ spin.T).astype(np.float32), "dlib")) < 1e-5


def test_the_other_engines_landmarks_are_read_in_their_own_order() -> None:
    points = np.array([(40, 40), (100, 40), (100, 80), (50, 110), (90, 110)], np.float32)
    assert turn(points, "sface") == pytest.approx(0.5)


def test_landmarks_on_one_point_divide_by_nothing() -> None:
    assert turn(np.zeros((5, 2), np.float32), "dlib") == 0.0


def test_studio_portraits_count_and_their_bad_copies_do_not(london: list[Path], hog_engine: DlibEngine) -> None:
    refused, dark, blurred, smeared = [], [], [], []
    chosen = london[::8]
    for path in chosen:
        picture = load_picture(path)
        face = hog_engine.detect(picture)[0]
        refused += [path for _ in (1,) if verdict(picture, face)]
        dark.append(verdict((picture * 0.1).astype(np.uint8), face))
        blurred.append(verdict(cv2.GaussianBlur(picture, (0, 0), 0.045 * face.box[2]).astype(np.uint8), face))
        smeared.append(verdict(smear(picture, face, share=0.3, is_upright=False), face))
    assert refused == []
    assert dark.count("too_dark") == len(chosen)
    assert blurred.count("blurred") >= 0.9 * len(chosen)
    assert smeared.count("blurred") >= 0.9 * len(chosen)


@pytest.mark.parametrize("name", ["15cm", "30cm", "45cm", "60cm", "lisa1", "lisa2", "lisa3", "lisa4"])
def test_a_cooperative_face_at_any_distance_counts(name: str, hog_engine: DlibEngine) -> None:
    path = SHARED_DATA / "distance" / f"{name}.jpg"
    if not path.is_file():
        pytest.skip("needs the pictures in ../shared/data/distance")
    picture = load_picture(path)
    assert verdict(picture, hog_engine.detect(picture)[0]) == ""
