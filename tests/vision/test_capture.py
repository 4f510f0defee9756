from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
import pytest

from agent.vision.capture import BUFFERS, Capture, Frame
from drivers.camera import CameraSourceError
from drivers.errors import DeviceError
from tests.drivers.waiting import eventually

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
    Shot = tuple[Picture, float]

FRESH_S = 0.25
STEP_S = 0.005


class ScriptedSource:
    """A camera that does what a function says for each frame, numbered from 0 over all openings."""

    def __init__(self, shot: Callable[[int], Shot], numbers: Iterator[int]) -> None:
        self._shot = shot
        self._numbers = numbers
        self.is_closed = False

    def read(self) -> Shot:
        time.sleep(STEP_S)
        return self._shot(next(self._numbers))

    def close(self) -> None:
        self.is_closed = True


def picture(number: int) -> Picture:
    return np.full((8, 8, 3), number % 251, np.uint8)


def live(number: int) -> Shot:
    return picture(number), time.monotonic()


@contextmanager
def capturing(shot: Callable[[int], Shot]) -> Iterator[tuple[Capture, list[ScriptedSource]]]:
    opened: list[ScriptedSource] = []
    numbers = count()

    def open_source() -> ScriptedSource:
        opened.append(ScriptedSource(shot, numbers))
        return opened[-1]

    capture = Capture(open_source, (DeviceError,), FRESH_S)
    try:
        yield capture, opened
    finally:
        capture.close()


def take(capture: Capture, frames: int) -> list[Frame]:
    taken: list[Frame] = []
    deadline = time.monotonic() + 10
    while len(taken) < frames and time.monotonic() < deadline:
        frame = capture.next(taken[-1].number if taken else 0, 0.1)
        if frame is not None:
            taken.append(frame)
    return taken


def test_frames_come_newest_first_and_are_counted() -> None:
    with capturing(live) as (capture, _):
        frames = take(capture, 5)
        assert len(frames) == 5
        passed_over = frames[-1].number + 1
        assert eventually(lambda: capture.next(passed_over, 0.0) is not None)
        late = capture.next(frames[-1].number, 1.0)
        assert late is not None
        assert late.number > passed_over  # no backlog
        assert time.monotonic() - late.at < FRESH_S
        assert capture.failure() == ""


@pytest.mark.parametrize("ring", [1, 2, 4, BUFFERS])
def test_a_camera_that_repeats_its_buffers_gives_no_evidence(ring: int) -> None:
    with capturing(lambda number: live(number if number < 20 else 20 - ring + number % ring)) as (capture, _):
        assert eventually(lambda: "stands still" in capture.failure())
        last = capture.next(0, 0.0)
        assert last is not None
        assert last.number <= 20
        assert capture.next(last.number, 10 * STEP_S) is None


def test_a_camera_that_moves_again_is_no_failure_any_more() -> None:
    is_frozen = threading.Event()
    is_frozen.set()
    with capturing(lambda number: live(0 if is_frozen.is_set() else number)) as (capture, opened):
        assert eventually(lambda: bool(capture.failure()))
        is_frozen.clear()
        assert eventually(lambda: not capture.failure())
        assert len(opened) == 1


def test_a_frame_that_is_not_newer_is_no_evidence() -> None:
    begun_at = time.monotonic()
    with capturing(lambda number: (picture(number), begun_at - number)) as (capture, _):
        assert len(take(capture, 1)) == 1
        assert capture.next(1, 20 * STEP_S) is None
        assert eventually(lambda: bool(capture.failure()))


def test_stamps_that_jump_back_do_not_blind_the_camera_for_long() -> None:
    def shot(number: int) -> Shot:
        return picture(number), time.monotonic() + (500.0 if number < 5 else 0.0)  # a stamp from the future

    with capturing(shot) as (capture, _):
        frames = take(capture, 10)
        assert len(frames) == 10
        assert all(frame.at <= time.monotonic() for frame in frames)


def test_a_camera_that_is_unplugged_is_opened_again_until_it_is_back() -> None:
    is_plugged = threading.Event()

    def shot(number: int) -> Shot:
        if not is_plugged.is_set():
            raise DeviceError("no cable")
        return live(number)

    with capturing(shot) as (capture, opened):
        assert eventually(lambda: capture.failure() == "no cable")
        is_plugged.set()
        assert len(take(capture, 3)) == 3
        assert capture.failure() == ""
        assert len(opened) >= 2
        assert all(source.is_closed for source in opened[:-1])


def test_a_driver_that_throws_anything_is_tried_again() -> None:
    def shot(number: int) -> Shot:
        if number == 0:
            raise ZeroDivisionError
        return live(number)

    with capturing(shot) as (capture, opened):
        assert len(take(capture, 2)) == 2
        assert len(opened) == 2


def test_a_camera_that_cannot_even_be_closed_is_tried_again() -> None:
    class Stubborn(ScriptedSource):
        def close(self) -> None:
            raise DeviceError("cannot close")

    numbers = count()

    def shot(number: int) -> Shot:
        if number == 0:
            raise DeviceError("no cable")
        return live(number)

    capture = Capture(lambda: Stubborn(shot, numbers), (DeviceError,), FRESH_S)
    try:
        assert len(take(capture, 2)) == 2
    finally:
        capture.close()


def test_a_source_that_has_ended_is_not_begun_again() -> None:
    def shot(number: int) -> Shot:
        if number == 3:
            raise CameraSourceError("the video has ended")
        return live(number)

    with capturing(shot) as (capture, opened):
        assert eventually(lambda: capture.failure() == "the video has ended")
        time.sleep(0.7)  # past the first wait
        assert len(opened) == 1


def test_a_read_that_hangs_is_told_and_recovers_when_it_returns() -> None:
    is_hanging, is_released = threading.Event(), threading.Event()

    def shot(number: int) -> Shot:
        if number == 3:
            is_hanging.set()
            is_released.wait(20)
        return live(number)

    with capturing(shot) as (capture, _):
        try:
            assert is_hanging.wait(10)
            assert eventually(lambda: "does not answer" in capture.failure())
            assert capture.is_stuck(FRESH_S / 2)
            assert not capture.is_stuck(60)
        finally:
            is_released.set()
        assert eventually(lambda: not capture.failure())
        assert eventually(lambda: not capture.is_stuck(FRESH_S))


def test_frames_may_change_their_size() -> None:
    def shot(number: int) -> Shot:
        return np.full((1 + number % 7, 3, 3), number % 251, np.uint8), time.monotonic()

    with capturing(shot) as (capture, _):
        assert len(take(capture, 10)) == 10
