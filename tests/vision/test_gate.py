from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from agent.vision.gate import LINGER_S, MotionGate
from drivers.camera import SensorNoise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

SIZE = (640, 480)
FRAME_S = 0.1


@pytest.fixture(scope="module")
def wall() -> Picture:
    picture = np.full((480, 640, 3), 120, np.uint8)
    cv2.rectangle(picture, (400, 60), (600, 260), (60, 70, 80), -1)
    return picture


def open_moments(scene: Callable[[float], Picture], until: float, gate: MotionGate | None = None) -> list[float]:
    """When the gate was open, over a scene with a sensor's noise."""
    gate = gate or MotionGate()
    noise = SensorNoise(SIZE, levels=3, seed=1)
    moments = []
    for frame in range(int(until / FRAME_S)):
        at = frame * FRAME_S
        if gate.is_open(noise.over(scene(at)), at):
            moments.append(at)
    return moments


def with_person(wall: Picture, width: float, x: float = 320) -> Picture:
    picture = wall.copy()
    cv2.ellipse(picture, ((x, 200.0), (width, width * 1.4), 0.0), (190, 160, 140), -1)
    return picture


def test_the_noise_of_a_sensor_does_not_open_it(wall: Picture) -> None:
    assert max(open_moments(lambda _at: wall, 30)) < LINGER_S


def test_a_person_who_walks_in_opens_it_at_once(wall: Picture) -> None:
    person = with_person(wall, 80)
    moments = [at for at in open_moments(lambda at: person if at >= 10 else wall, 11) if at > LINGER_S]
    assert moments[0] == pytest.approx(10)


def test_somebody_who_comes_slowly_opens_it(wall: Picture) -> None:
    def approach(at: float) -> Picture:
        return with_person(wall, 30 + 4 * max(0.0, at - 5))  # a metre in half a minute

    moments = [at for at in open_moments(approach, 35) if at > LINGER_S]
    assert moments
    assert 30 + 4 * (moments[0] - 5) <= 80  # before the face is large enough to count


def test_what_moved_lies_in_its_box(wall: Picture) -> None:
    gate = MotionGate()
    noise = SensorNoise(SIZE, levels=3, seed=1)
    gate.is_open(noise.over(wall), 0.0)
    assert gate.moved is None  # nothing is known yet
    gate.is_open(noise.over(wall), 0.1)
    assert gate.moved is None
    gate.is_open(noise.over(with_person(wall, 100, x=200)), 0.2)
    assert gate.moved is not None
    x, y, width, height = gate.moved
    assert 200 - 50 - 16 <= x <= 200 - 50 + 8
    assert 200 + 50 - 8 <= x + width <= 200 + 50 + 16
    assert 200 - 70 - 16 <= y <= 200 - 70 + 8
    assert 200 + 70 - 8 <= y + height <= 200 + 70 + 16
    gate.is_open(noise.over(wall), 0.3)
    assert gate.moved is None


def test_after_a_gap_it_is_not_known_what_moved(wall: Picture) -> None:
    gate = MotionGate()
    gate.is_open(wall, 0.0)
    gate.is_open(with_person(wall, 100), 0.1)
    assert gate.moved is not None
    gate.forget()
    gate.is_open(with_person(wall, 100), 0.2)
    assert gate.moved is None


@pytest.mark.parametrize("levels", [40, -40])
def test_a_lamp_that_lights_everything_hardly_opens_it(wall: Picture, levels: int) -> None:
    lit = np.clip(wall.astype(int) + levels, 0, 255).astype(np.uint8)
    assert max(open_moments(lambda at: lit if at >= 10 else wall, 20)) < LINGER_S


def test_a_lamp_that_lights_one_side_does_not_keep_it_open(wall: Picture) -> None:
    lit = wall.copy()
    lit[:, 320:] = np.clip(lit[:, 320:].astype(int) * 1.8, 0, 255).astype(np.uint8)
    moments = open_moments(lambda at: lit if at >= 10 else wall, 40)
    assert any(at > 10 for at in moments)
    assert max(moments) < 10 + 20


def test_somebody_who_stands_still_while_followed_is_never_forgotten(wall: Picture) -> None:
    gate = MotionGate()
    noise = SensorNoise(SIZE, levels=3, seed=1)
    assert gate.is_open(noise.over(wall), 0.0)
    person = with_person(wall, 120)
    for frame in range(1, 600):
        assert gate.is_open(noise.over(person), frame * FRAME_S, is_learning=False)
    left = [frame for frame in range(600, 700) if gate.is_open(noise.over(wall), frame * FRAME_S)]
    assert len(left) <= LINGER_S / FRAME_S + 1  # and the wall behind them is still known


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 3, 3), (120, 160, 3), (1080, 1920, 3)])
def test_a_frame_of_another_size_is_taken(wall: Picture, shape: tuple[int, int, int]) -> None:
    gate = MotionGate()
    gate.is_open(wall, 0.0)
    gate.is_open(np.zeros(shape, np.uint8), 0.1)
    gate.is_open(wall, 0.2)
    assert gate.is_open(np.full(shape, 200, np.uint8), 0.3)


def test_time_that_goes_backwards_is_survived(wall: Picture) -> None:
    gate = MotionGate()
    gate.is_open(wall, 100.0)
    gate.is_open(wall, 50.0)
    assert gate.is_open(with_person(wall, 120), 50.1)
