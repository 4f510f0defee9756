"""Cameras from files, and the one without hardware."""

from __future__ import annotations

import contextlib
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from drivers.camera import CameraSourceError, Frame, SensorNoise, load_picture, open_camera
from drivers.errors import DeviceError
from drivers.simulated.camera import (
    FAULTS,
    MAX_MOVEMENTS,
    MAX_STAGE_BYTES,
    Fault,
    Portrait,
    Scene,
    SimulatedCamera,
    Stage,
)
from tests.drivers.waiting import eventually

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

SIZE = (160, 120)
FPS = 50.0


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def write(path: Path, rgb: tuple[int, int, int], size: tuple[int, int] = (80, 60)) -> Path:
    cv2.imwrite(str(path), np.full((size[1], size[0], 3), rgb[::-1], np.uint8))
    return path


def write_video(path: Path, frames: int) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, SIZE)
    assert writer.isOpened()
    for number in range(frames):
        writer.write(np.full((SIZE[1], SIZE[0], 3), (20, 40, 10 + 10 * number), np.uint8))
    writer.release()
    return path


# --- what can be opened ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["/dev/video99", "99", "/nowhere/at/all"])
def test_a_camera_that_is_not_there_says_which_and_what_to_do(source: str) -> None:
    with pytest.raises(DeviceError, match=r"(video99|nowhere).*plug it in or correct") as caught:
        open_camera(source)
    assert caught.value.can_retry


def test_a_device_that_is_no_camera_is_refused() -> None:
    with pytest.raises(DeviceError, match=r"/dev/null cannot be opened"):
        open_camera("/dev/null")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x00" * 5000])
def test_a_file_that_is_no_video_is_refused_for_good(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    with pytest.raises(CameraSourceError, match="not a video") as caught:
        open_camera(str(path))
    assert not caught.value.can_retry


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(CameraSourceError, match="no JPEG or PNG"):
        open_camera(str(tmp_path))


# --- video -----------------------------------------------------------------------------------------------------------


def test_a_video_plays_in_real_time_in_rgb_and_ends(tmp_path: Path) -> None:
    camera = open_camera(str(write_video(tmp_path / "film.avi", 10)))
    began_at = time.monotonic()
    frames: list[Frame] = []
    with contextlib.suppress(CameraSourceError):
        frames += iter(camera.read, None)
    with pytest.raises(CameraSourceError, match="has ended"):
        camera.read()
    camera.close()
    camera.close()
    assert 1 <= len(frames) <= 10  # a slow machine skips some
    assert time.monotonic() - began_at >= 9 / FPS - 0.01
    picture, _ = frames[0]
    assert picture.shape == (SIZE[1], SIZE[0], 3)
    assert picture.dtype == np.uint8
    assert abs(int(picture[60, 80, 2]) - 20) < 12  # blue is last
    stamps = [at for _, at in frames]
    assert stamps == sorted(stamps)


def test_a_looping_video_begins_again(tmp_path: Path) -> None:
    camera = open_camera(str(write_video(tmp_path / "film.avi", 3)), is_looping=True)
    assert len([camera.read() for _ in range(8)]) == 8
    camera.close()


def test_frames_of_a_video_that_nobody_fetched_are_skipped(tmp_path: Path) -> None:
    clock = Hand()
    camera = open_camera(str(write_video(tmp_path / "film.avi", 20)), clock=clock)
    first, _ = camera.read()
    clock.now += 10 / FPS
    later, _ = camera.read()
    camera.close()
    assert int(later[60, 80, 0]) - int(first[60, 80, 0]) > 80  # the red rises by 10 a frame


# --- a folder --------------------------------------------------------------------------------------------------------


def test_pictures_of_a_folder_are_shown_in_turn_each_frame_with_noise_of_its_own(tmp_path: Path) -> None:
    write(tmp_path / "1.png", (200, 10, 20))
    write(tmp_path / "2.jpg", (10, 200, 20))
    (tmp_path / "notes.txt").write_text("no picture")
    clock = Hand()
    camera = open_camera(str(tmp_path), size=SIZE, fps=10, shown_s=1.0, clock=clock)
    frames = []
    for _ in range(20):
        frames.append(camera.read()[0])
        clock.now += 0.1001
    with pytest.raises(CameraSourceError, match="every picture"):
        camera.read()
    assert frames[0].shape == (SIZE[1], SIZE[0], 3)
    assert int(frames[0][60, 80, 0]) > 190
    assert int(frames[-1][60, 80, 1]) > 190
    assert not any(np.array_equal(one, other) for one, other in pairwise(frames))


def test_a_looping_folder_begins_again(tmp_path: Path) -> None:
    write(tmp_path / "1.png", (200, 10, 20))
    clock = Hand()
    camera = open_camera(str(tmp_path), size=SIZE, fps=10, is_looping=True, shown_s=0.1, clock=clock)
    for _ in range(5):
        assert int(camera.read()[0][60, 80, 0]) > 190
        clock.now += 0.2
    camera.close()


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (4000, 3)])
def test_a_picture_of_any_size_is_fitted(size: tuple[int, int], tmp_path: Path) -> None:
    write(tmp_path / "1.png", (250, 250, 250), size)
    camera = open_camera(str(tmp_path), size=SIZE)
    assert camera.read()[0].shape == (SIZE[1], SIZE[0], 3)


def test_a_damaged_picture_in_a_folder_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    camera = open_camera(str(tmp_path), size=SIZE)
    with pytest.raises(CameraSourceError, match=r"broken\.png"):
        camera.read()


def test_a_grey_picture_becomes_rgb(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((20, 30), 77, np.uint8))
    assert load_picture(tmp_path / "grey.png").tolist() == np.full((20, 30, 3), 77).tolist()


def test_noise_stays_within_its_levels_and_never_repeats() -> None:
    noise = SensorNoise(SIZE, levels=3, seed=1)
    still = np.full((SIZE[1], SIZE[0], 3), 100, np.uint8)
    frames = [noise.over(still) for _ in range(20)]
    assert all(frame.min() >= 97 and frame.max() <= 103 for frame in frames)
    assert all(abs(float(frame.mean()) - 100) < 0.2 for frame in frames)
    assert not any(np.array_equal(one, other) for one, other in pairwise(frames))


def test_noise_is_clipped_and_not_wrapped() -> None:
    noise = SensorNoise(SIZE, levels=3, seed=1)
    assert noise.over(np.zeros((SIZE[1], SIZE[0], 3), np.uint8)).max() <= 6
    assert noise.over(np.full((SIZE[1], SIZE[0], 3), 255, np.uint8)).min() >= 249


# --- the stage -------------------------------------------------------------------------------------------------------


def test_a_stage_without_a_file_is_empty(tmp_path: Path) -> None:
    assert Stage(tmp_path / "none").read() == Scene()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_stage_is_read_as_it_was_written(fault: Fault, tmp_path: Path) -> None:
    stage = Stage(tmp_path / "deep" / "stage")
    stage.show("collins")
    stage.fail(fault)
    assert stage.read() == Scene("collins", fault)
    stage.clear()
    assert stage.read() == Scene()


def test_a_stage_says_that_a_print_is_held_up(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "stage")
    stage.show("collins", "print")
    stage.fail("freeze")
    assert stage.read() == Scene("collins", "freeze", "print")


def test_a_stage_says_how_often_a_head_was_told_to_turn_and_not_without_end(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "stage")
    stage.show("collins")
    stage.turn("left")
    stage.turn("right")
    assert stage.read() == Scene("collins", movements=("left", "right"))
    for _ in range(2 * MAX_MOVEMENTS):
        stage.turn("left")
    assert len(stage.read().movements) == MAX_MOVEMENTS
    stage.show("collins")
    assert stage.read() == Scene("collins")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"subject": 3, "fault": null}',
        '{"subject": null, "fault": "explode"}',
        '{"subject": null, "fault": null, "kind": "ghost"}',
        '{"subject": null, "fault": null, "movements": ["nod"]}',
        '{"subject": null, "fault": null, "movements": 3}',
        '{"subject": null, "fault": null, "movements": [[]]}',
        "[" * MAX_STAGE_BYTES,
    ],
)
def test_a_file_that_is_no_stage_is_a_fault_that_passes(text: str, tmp_path: Path) -> None:
    path = tmp_path / "stage"
    path.write_text(text)
    with pytest.raises(DeviceError, match="stage") as caught:
        Stage(path).read()
    assert caught.value.can_retry


# --- the simulated camera --------------------------------------------------------------------------------------------


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "stage")


@pytest.fixture
def portraits(tmp_path: Path) -> dict[str, Portrait]:
    return {"red": Portrait(write(tmp_path / "red.png", (250, 0, 0), (300, 300)))}


def is_red(picture: Picture) -> bool:
    red, green, _ = (int(level) for level in picture[120, 160])
    return red > green + 100


def simulated(stage: Stage, portraits: dict[str, Portrait]) -> SimulatedCamera:
    return SimulatedCamera(stage.path, portraits, size=(320, 240), fps=100.0)


def test_who_is_shown_stands_before_the_wall_until_the_stage_is_cleared(
    stage: Stage, portraits: dict[str, Portrait]
) -> None:
    camera = simulated(stage, portraits)
    assert not is_red(camera.read()[0])
    stage.show("red")
    assert is_red(camera.read()[0])
    stage.clear()
    assert not is_red(camera.read()[0])


def test_frames_come_at_their_rate_and_each_is_new(stage: Stage, portraits: dict[str, Portrait]) -> None:
    camera = simulated(stage, portraits)
    frames = [camera.read() for _ in range(20)]
    stamps = [at for _, at in frames]
    assert stamps[-1] - stamps[0] >= 19 / 100 - 0.01
    assert all(later > earlier for earlier, later in pairwise(stamps))
    assert not any(np.array_equal(one[0], other[0]) for one, other in pairwise(frames))


def test_a_frozen_camera_repeats_its_last_frame_with_new_stamps(stage: Stage, portraits: dict[str, Portrait]) -> None:
    camera = simulated(stage, portraits)
    stage.show("red")
    last, at = camera.read()
    stage.fail("freeze")
    frozen = [camera.read() for _ in range(5)]
    assert all(np.array_equal(picture, last) for picture, _ in frozen)
    assert frozen[-1][1] > at
    stage.show("red")
    assert not np.array_equal(camera.read()[0], last)


def test_an_unplugged_camera_can_neither_be_read_nor_opened(stage: Stage, portraits: dict[str, Portrait]) -> None:
    camera = simulated(stage, portraits)
    stage.fail("unplug")
    with pytest.raises(DeviceError, match="unplugged") as caught:
        camera.read()
    assert caught.value.can_retry
    with pytest.raises(DeviceError, match="unplugged"):
        simulated(stage, portraits)
    stage.clear()
    assert camera.read()[0].shape == (240, 320, 3)


def test_a_hanging_read_returns_when_the_fault_is_over(stage: Stage, portraits: dict[str, Portrait]) -> None:
    camera = simulated(stage, portraits)
    stage.fail("hang")
    frames: list[Picture] = []
    reading = threading.Thread(target=lambda: frames.append(camera.read()[0]))
    reading.start()
    reading.join(0.2)
    assert reading.is_alive()
    stage.clear()
    assert eventually(lambda: bool(frames))
    reading.join()


def test_closing_ends_a_read_that_hangs(stage: Stage, portraits: dict[str, Portrait]) -> None:
    camera = simulated(stage, portraits)
    stage.fail("hang")
    errors: list[DeviceError] = []

    def read() -> None:
        try:
            camera.read()
        except DeviceError as error:
            errors.append(error)

    reading = threading.Thread(target=read)
    reading.start()
    camera.close()
    assert eventually(lambda: bool(errors))
    reading.join()
    camera.close()


def test_somebody_without_a_portrait_is_a_fault_that_names_nobody(stage: Stage, portraits: dict[str, Portrait]) -> None:
    camera = simulated(stage, portraits)
    stage.show("somebody")
    with pytest.raises(DeviceError) as caught:
        camera.read()
    assert "somebody" not in str(caught.value)
    stage.show("red")
    assert is_red(camera.read()[0])
