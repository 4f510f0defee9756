"""Cameras: a V4L2 device, a video file or a folder of pictures, read one frame at a time. The one user of VideoCapture.

`read` blocks until the next frame is there. It may also hang for ever or repeat its last frame after a camera was
unplugged (both are known of OpenCV and of UVC drivers): whoever reads does so on a thread that can be given up, and
compares frames. Nothing here is safe to call from two threads at once.
"""

from __future__ import annotations

import contextlib
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from drivers.errors import DeviceError

if TYPE_CHECKING:
    import cv2
    from numpy.typing import NDArray

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
_MAX_PICTURES = 10_000  # a folder is listed once and kept in memory
_MAX_STAMP_AGE_S = 1.0  # a driver's time stamp is believed when it lies this close before our own
_SENSOR_NOISE_LEVELS = 2  # ± levels added to stills; a real sensor's frames are never twice the same

Frame = tuple["NDArray[np.uint8]", float]
"""(H, W, 3) uint8 RGB, and when it was captured, seconds of CLOCK_MONOTONIC."""


class CameraSourceError(DeviceError):
    """The source has no frame and will have none, however often it is tried: a video that ended, a file of text."""

    can_retry = False


class Camera(Protocol):
    """Something that has frames."""

    def read(self) -> Frame:
        """The next frame; blocks for it. Raises `DeviceError`."""

    def close(self) -> None:
        """Let go of the device. May be called twice."""


def open_camera(
    source: str,
    *,
    size: tuple[int, int] = (640, 480),
    fps: float = 10.0,
    is_looping: bool = False,
    shown_s: float = 1.0,
    clock: Callable[[], float] = time.monotonic,
) -> Camera:
    """Open what `source` names: a device (`/dev/video0` or `0`), a video file, or a folder of JPEG and PNG pictures.

    `size`: columns and rows asked of a device (it may give others) and made from pictures. `is_looping`: a video file
    or a folder begins again at its end; otherwise its end is a `CameraSourceError`. `shown_s`: how long each picture is
    shown. Raises `DeviceError`.
    """
    path = Path(f"/dev/video{source}") if source.isdecimal() else Path(source)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise DeviceError(f"camera {path}: {error.strerror or error}; plug it in or correct `camera.source`") from error
    if stat.S_ISCHR(mode):
        return DeviceCamera(path, size=size, fps=fps, clock=clock)
    if stat.S_ISDIR(mode):
        return PictureCamera(path, size=size, fps=fps, is_looping=is_looping, shown_s=shown_s, clock=clock)
    return VideoCamera(path, is_looping=is_looping, clock=clock)


class DeviceCamera:
    """A USB (UVC) camera through V4L2."""

    def __init__(self, path: Path, *, size: tuple[int, int], fps: float, clock: Callable[[], float]) -> None:
        import cv2

        self._name = str(path)
        self._clock = clock
        self._capture = cv2.VideoCapture(self._name, cv2.CAP_V4L2)
        if not self._capture.isOpened():
            self._capture.release()
            raise DeviceError(
                f"camera {path} cannot be opened: another program may hold it, or this user is not in group video"
            )
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
        self._capture.set(cv2.CAP_PROP_FPS, fps)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # old frames are of no use at a door

    def read(self) -> Frame:
        """See `Camera`. The driver's own time stamp is used when it is plausible."""
        import cv2

        is_read, frame = self._capture.read()
        now = self._clock()
        if not is_read:
            raise DeviceError(f"camera {self._name} gives no frame: check its cable")
        stamp = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
        return _to_rgb(frame), stamp if now - _MAX_STAMP_AGE_S <= stamp <= now else now

    def close(self) -> None:
        """See `Camera`."""
        self._capture.release()


class VideoCamera:
    """A video file as if it were a camera: it plays in real time, and frames that nobody fetched are skipped."""

    def __init__(self, path: Path, *, is_looping: bool, clock: Callable[[], float]) -> None:
        self._path = path
        self._is_looping = is_looping
        self._clock = clock
        self._capture = self._open()
        self._begun_at = clock()
        self._next = 0

    def _open(self) -> cv2.VideoCapture:
        import cv2

        capture = cv2.VideoCapture(str(self._path), cv2.CAP_FFMPEG)
        self._fps = capture.get(cv2.CAP_PROP_FPS) if capture.isOpened() else 0.0
        if not 0.1 <= self._fps <= 1000:
            capture.release()
            raise CameraSourceError(f"{self._path} is not a video that can be played: give another file")
        return capture

    def read(self) -> Frame:
        """See `Camera`. At the end of a video that does not loop: `CameraSourceError`."""
        late_frames = int((self._clock() - self._begun_at) * self._fps) - self._next
        for _ in range(max(0, late_frames)):
            if not self._capture.grab():
                break
            self._next += 1
        is_read, frame = self._capture.read()
        if not is_read:
            if not self._is_looping or self._next == 0:
                raise CameraSourceError(f"the video {self._path} has ended")
            self._capture.release()
            self._capture = self._open()
            self._begun_at, self._next = self._clock(), 0
            return self.read()
        _sleep_until(self._begun_at + self._next / self._fps, self._clock)
        self._next += 1
        return _to_rgb(frame), self._clock()

    def close(self) -> None:
        """See `Camera`."""
        self._capture.release()


def read_video(path: Path) -> Iterator[Frame]:
    """The frames of a video file one after another as fast as they are fetched, with their times from its beginning.

    A picture is a video of one frame. Raises `CameraSourceError` for anything else.
    """
    import cv2

    if path.suffix.lower() in PICTURE_SUFFIXES:
        yield load_picture(path), 0.0
        return
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        fps = capture.get(cv2.CAP_PROP_FPS) if capture.isOpened() else 0.0
        if not 0.1 <= fps <= 1000:
            raise CameraSourceError(f"{path} is not a video that can be played: give another file")
        number = 0
        while True:
            is_read, frame = capture.read()
            if not is_read:
                return
            yield _to_rgb(frame), number / fps
            number += 1
    finally:
        capture.release()


class PictureCamera:
    """A folder of pictures as if each stood before a camera for a while, in the order of their names.

    Each is fitted into the frame on grey. A still has no sensor noise, and equal frames count as a frozen camera, so a
    noise of ± 2 levels is laid over it. It does not move the picture.
    """

    def __init__(
        self,
        folder: Path,
        *,
        size: tuple[int, int],
        fps: float,
        is_looping: bool,
        shown_s: float,
        clock: Callable[[], float],
    ) -> None:
        try:
            paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)
        except OSError as error:
            raise DeviceError(f"the folder {folder} cannot be read: {error.strerror or error}") from error
        if not paths:
            raise CameraSourceError(f"the folder {folder} has no JPEG or PNG picture")
        self._paths = paths[:_MAX_PICTURES]
        self._size = size
        self._fps = fps
        self._is_looping = is_looping
        self._shown_s = shown_s
        self._clock = clock
        self._begun_at = clock()
        self._next = 0
        self._shown = -1
        self._still = np.zeros((size[1], size[0], 3), np.uint8)
        self._noise = SensorNoise(size, levels=_SENSOR_NOISE_LEVELS, seed=0)

    def read(self) -> Frame:
        """See `Camera`. At the end of a folder that does not loop: `CameraSourceError`."""
        _sleep_until(self._begun_at + self._next / self._fps, self._clock)
        now = self._clock()
        self._next = max(self._next + 1, int((now - self._begun_at) * self._fps))
        index = int((now - self._begun_at) / self._shown_s)
        if index >= len(self._paths) and not self._is_looping:
            raise CameraSourceError("every picture of the folder has been shown")
        if index != self._shown:
            self._still = self._fit(self._paths[index % len(self._paths)])
            self._shown = index
        return self._noise.over(self._still), now

    def _fit(self, path: Path) -> NDArray[np.uint8]:
        import cv2

        columns, rows = self._size
        picture = load_picture(path)
        scale = min(columns / picture.shape[1], rows / picture.shape[0])
        width, height = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
        fitted = np.full((rows, columns, 3), 128, np.uint8)
        left, top = (columns - width) // 2, (rows - height) // 2
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        fitted[top : top + height, left : left + width] = cv2.resize(picture, (width, height), interpolation=method)
        return fitted

    def close(self) -> None:
        """See `Camera`."""


class SensorNoise:
    """A sensor's noise: uniform, ± `levels`, never the same twice in a row, at the price of one addition per frame.

    One field somewhat larger than the frame is made once; each frame takes another part of it.
    """

    _MARGIN = 64

    def __init__(self, size: tuple[int, int], *, levels: int, seed: int) -> None:
        self._size = size
        self._half = np.full((size[1], size[0], 3), levels, np.uint8)
        self._random = np.random.default_rng(seed)
        shape = (size[1] + self._MARGIN, size[0] + self._MARGIN, 3)
        self._field = self._random.integers(0, 2 * levels + 1, shape, dtype=np.uint8)
        self._offset = (0, 0)

    def over(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A new frame: `picture` (H, W, 3) uint8 with noise. Its levels are clipped, as a sensor's are."""
        import cv2

        offset = self._offset
        while offset == self._offset:
            offset = (int(self._random.integers(self._MARGIN)), int(self._random.integers(self._MARGIN)))
        self._offset = offset
        row, column = offset
        part = self._field[row : row + self._size[1], column : column + self._size[0]]
        return np.asarray(cv2.add(cv2.subtract(picture, self._half), part), np.uint8)


def load_picture(path: Path) -> NDArray[np.uint8]:
    """The picture of a trusted file as (H, W, 3) uint8 RGB, turned upright by its EXIF. Raises `CameraSourceError`."""
    import cv2

    with contextlib.suppress(cv2.error):
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is not None:
            return _to_rgb(picture)
    raise CameraSourceError(f"{path} is not a picture that can be read: give a JPEG or PNG file")


def _to_rgb(bgr: NDArray[Any]) -> NDArray[np.uint8]:
    import cv2

    rgb: NDArray[np.uint8] = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)
    return rgb


def _sleep_until(at: float, clock: Callable[[], float]) -> None:
    wait_s = at - clock()
    if wait_s > 0:
        time.sleep(wait_s)
