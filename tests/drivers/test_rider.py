"""What stands before the simulated camera: heads with depth, and pictures without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from drivers.simulated.relief import Lens, Pose, Sheet
from drivers.simulated.rider import KINDS, RANGES, TURNING, FaceOutline, Kind, Movement, MovingSubject

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

SIZE = (320, 240)
FACE = FaceOutline((120, 90, 160, 160))


@pytest.fixture(scope="module")
def portrait() -> Picture:
    """Dots with corners on skin, so that movement can be seen anywhere."""
    random = np.random.default_rng(1)
    coarse = random.integers(90, 230, (40, 40, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (400, 400), interpolation=cv2.INTER_CUBIC), np.uint8)


def subject(portrait: Picture, kind: Kind, seed: int = 3) -> MovingSubject:
    return MovingSubject(portrait, FACE, kind, seed, size=SIZE)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_moment_is_the_same_frame_and_another_is_not(portrait: Picture, kind: Kind) -> None:
    first = subject(portrait, kind).frame(0.5)
    assert first.shape == (240, 320, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, subject(portrait, kind).frame(0.5))
    assert not np.array_equal(first, subject(portrait, kind).frame(0.6))
    assert not np.array_equal(first, subject(portrait, kind, seed=4).frame(0.5))


@pytest.mark.parametrize("kind", KINDS)
def test_a_face_has_the_width_that_the_ranges_say(portrait: Picture, kind: Kind) -> None:
    low, high = (0.5 * each for each in RANGES[kind]["face_px"])  # at half the columns
    _, _, width, _ = subject(portrait, kind).box(5.0)
    assert 0.75 * low <= width <= 1.25 * high


def left_by_a_homography(portrait: Picture, kind: Kind, seed: int) -> float:
    """The largest distance of a grid on the face from where the best homography puts it, face widths."""
    one = subject(portrait, kind, seed)
    x, y = (each.ravel() for each in np.meshgrid(np.linspace(-0.35, 0.35, 6), np.linspace(-0.35, 0.35, 6)))
    at = []
    for seconds in (0.2, 1.2):
        surface, pose = one._surface_at(seconds), one._pose(seconds)
        height = surface.height(x.astype(np.float32)[None], y.astype(np.float32)[None])[0]
        points = np.column_stack([x, y, -height.astype(np.float64)])
        pivot = np.array(pose.pivot)
        at.append(one._lens.project((points - pivot) @ pose.rotation.T + pivot + np.array(pose.place)))
    homography, _ = cv2.findHomography(at[0], at[1], 0)
    moved = cv2.perspectiveTransform(at[0][None], np.asarray(homography, np.float64))[0]
    return float(np.hypot(*(moved - at[1]).T).max() / one.box(1.2)[2])


def test_a_print_moves_by_a_homography_and_a_head_does_not(portrait: Picture) -> None:
    prints = [left_by_a_homography(portrait, "print", seed) for seed in range(6)]
    heads = [left_by_a_homography(portrait, "rider", seed) for seed in range(6)]
    assert max(prints) < 0.002  # the lens's distortion
    assert np.median(heads) > 5 * max(prints)


def test_a_head_hides_and_shows_the_wall_behind_it(portrait: Picture) -> None:
    wall = np.full((240, 320, 3), (0, 255, 0), np.uint8)
    one = MovingSubject(portrait, FACE, "rider", 3, size=SIZE, wall=wall)
    frames = [one.frame(at) for at in (0.3, 1.1)]
    is_wall = [(frame[..., 1] > 150) & (frame[..., 0] < 60) for frame in frames]
    assert 0.1 < is_wall[0].mean() < 0.9
    assert (is_wall[0] != is_wall[1]).mean() > 0.005


def test_a_print_is_turned_by_25_degrees_at_the_most() -> None:
    for name in ("yaw", "pitch"):
        assert RANGES["print"][f"{name}_degrees"][1] + RANGES["print"][f"{name}_offset_degrees"][1] <= 25


def test_a_ray_that_is_projected_back_comes_from_its_pixel() -> None:
    lens = Lens(SIZE, 300.0, 0.08)
    pose = Pose(0.3, -0.2, 0.1, (0.2, -0.1, 3.0))
    x, y = lens.look_at(Sheet(), pose)
    points = np.column_stack([x.ravel(), y.ravel(), np.zeros(x.size)])
    pixels = lens.project(points @ pose.rotation.T + np.array(pose.place))
    across, down = np.meshgrid(np.arange(0, 324, 4), np.arange(0, 244, 4))
    assert np.abs(pixels - np.column_stack([across.ravel(), down.ravel()])).max() < 0.01


def yaw_of(one: MovingSubject, seconds: float) -> float:
    return float(np.degrees(one._pose(seconds).yaw))


@pytest.mark.parametrize(("movement", "side"), [("left", -1), ("right", 1)])
def test_a_rider_who_is_asked_turns_the_head_that_way_and_comes_back(
    portrait: Picture, movement: Movement, side: int
) -> None:
    for seed in range(5):
        one, still = subject(portrait, "rider", seed), subject(portrait, "rider", seed)
        one.turn(movement, 2.0)
        earliest = 2.0 + TURNING["reaction_s"][0]
        over_at = 2.0 + TURNING["reaction_s"][1] + 2 * TURNING["turn_s"][1] + TURNING["held_s"][1]
        before, after = np.arange(0, earliest, 0.1), np.arange(over_at, 8, 0.1)
        for seconds in (*before, *after):
            assert yaw_of(one, seconds) == yaw_of(still, seconds)
        furthest = max(side * yaw_of(one, seconds) for seconds in np.arange(earliest, over_at, 0.02))
        assert TURNING["turn_degrees"][0] - 1 <= furthest <= TURNING["turn_degrees"][1] + 1


def test_the_own_left_of_a_rider_is_the_right_of_the_frame(portrait: Picture) -> None:
    one = subject(portrait, "rider")
    one.turn("left", 0.0)
    nose = np.array([[0.0, 0.0, -1.0]])
    at = TURNING["reaction_s"][1] + TURNING["turn_s"][1]
    yaw = min(yaw_of(one, seconds) for seconds in np.arange(0, 2 * at, 0.05))
    assert (nose @ Pose(np.radians(yaw), 0, 0, (0, 0, 3)).rotation.T)[0, 0] > 0.3


def test_a_replay_shows_the_turn_that_was_recorded_and_a_print_shows_none(portrait: Picture) -> None:
    kinds: tuple[tuple[Kind, bool], ...] = (("replay", True), ("print", False))
    for kind, does_turn in kinds:
        one, still = subject(portrait, kind), subject(portrait, kind)
        one.turn("left", 1.0)
        assert np.array_equal(one.frame(1.1), still.frame(1.1))
        assert any(not np.array_equal(one.frame(at), still.frame(at)) for at in (1.8, 2.2, 2.6)) is does_turn
