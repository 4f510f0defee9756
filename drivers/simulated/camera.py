"""A camera without hardware: real portraits before a drawn wall, by the direction of a small file, the *stage*.

It makes frames as a camera at a door would: a still wall with sensor noise, and a person of whom every frame differs a
little in place, size and tilt, for nobody stands still. Faults of real cameras are played too: a frozen picture, a
pulled cable, a `read` that never returns.

It does not: turn or deform a head (the person is a flat picture, as a print held before the lens is), blink, blur by
motion, change the light, cover a face, show two people at once, or stamp frames with a kernel's time.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from drivers.camera import Frame, SensorNoise, load_picture
from drivers.errors import DeviceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Fault = Literal["freeze", "unplug", "hang"]
FAULTS: tuple[Fault, ...] = ("freeze", "unplug", "hang")
MAX_STAGE_BYTES = 4096  # a name and a fault; more is no stage
FACE_WIDTH_PX = 200  # at 640 columns and a usual lens: a rider at 40 cm
_NOISE_LEVELS = 3
_HANG_POLL_S = 0.05
_SWAY_PX, _SWAY_SCALE, _SWAY_DEGREES = 9.0, 0.025, 2.5  # a person who stands and waits


@dataclass(frozen=True, slots=True)
class Scene:
    """What the stage file says: who stands before the camera (None: nobody), and which fault it has."""

    subject: str | None = None
    fault: Fault | None = None


class Stage:
    """The file that directs a `SimulatedCamera`, from any process. Written in one step, so it is never read half."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def show(self, subject: str) -> None:
        """The person of this name stands before the camera."""
        self.write(Scene(subject=subject))

    def clear(self) -> None:
        """Nobody stands before the camera, and it works."""
        self.write(Scene())

    def fail(self, fault: Fault) -> None:
        """The camera fails in this way; who stands before it stays."""
        self.write(Scene(subject=self.read().subject, fault=fault))

    def write(self, scene: Scene) -> None:
        """Replace the file. One writer at a time. Raises `OSError`."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        temporary.write_text(json.dumps({"subject": scene.subject, "fault": scene.fault}))
        temporary.replace(self.path)

    def read(self) -> Scene:
        """What the file says; an empty scene when there is no file. Raises `DeviceError` when it is no stage."""
        try:
            with self.path.open("rb") as file:
                scene = json.loads(file.read(MAX_STAGE_BYTES))
            subject, fault = scene["subject"], scene["fault"]
        except FileNotFoundError:
            return Scene()
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise DeviceError(
                f"the stage {self.path} cannot be read ({type(error).__name__}): write it anew"
            ) from error
        if not (subject is None or isinstance(subject, str)) or not (fault is None or fault in FAULTS):
            raise DeviceError(f"the stage {self.path} has a wrong subject or fault: write it anew")
        return Scene(subject, fault)


@dataclass(frozen=True, slots=True)
class Portrait:
    """A picture of one person. `face`: x, y, width, height in its pixels; None: assumed in the upper middle."""

    path: Path
    face: tuple[int, int, int, int] | None = None


class SimulatedCamera:
    """See the module. Raises `DeviceError` like a real camera; not safe to call from two threads at once."""

    def __init__(
        self,
        stage: Path,
        portraits: Mapping[str, Portrait],
        *,
        size: tuple[int, int] = (640, 480),
        fps: float = 10.0,
        face_width_px: int = FACE_WIDTH_PX,
        seed: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`size`: columns, rows. Each portrait is loaded when it is first shown."""
        self._stage = Stage(stage)
        self._portraits = dict(portraits)
        self._size = size
        self._fps = fps
        self._face_width_px = face_width_px
        self._clock = clock
        self._noise = SensorNoise(size, levels=_NOISE_LEVELS, seed=seed)
        self._wall = _draw_wall(size)
        self._cutouts: dict[str, _Cutout] = {}
        self._is_closed = False
        self._seen: tuple[int, int, int] | None = None
        self._scene = Scene()
        self._next_at = clock()
        self._shown_since = self._next_at
        self._last = self._noise.over(self._wall)
        self._follow_stage()
        self._check_cable()

    def read(self) -> Frame:
        """The frame of this moment; blocks until it is due. Raises `DeviceError`."""
        wait_s = self._next_at - self._clock()
        if wait_s > 0:
            time.sleep(wait_s)
        now = self._clock()
        self._next_at = max(self._next_at + 1 / self._fps, now)
        self._follow_stage()
        while self._scene.fault == "hang" and not self._is_closed:
            time.sleep(_HANG_POLL_S)
            self._follow_stage()
        self._check_cable()
        if self._scene.fault == "freeze":
            return self._last.copy(), now
        self._last = self._compose(now)
        return self._last, now

    def close(self) -> None:
        """Ends a `read` that hangs, too. May be called twice, from any thread."""
        self._is_closed = True

    def _follow_stage(self) -> None:
        try:
            status = self._stage.path.stat()
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
        except OSError:
            seen = (0, 0, 0)
        if seen == self._seen:
            return
        subject = self._scene.subject
        self._scene = self._stage.read()
        self._seen = seen
        if self._scene.subject != subject:
            self._shown_since = self._clock()

    def _check_cable(self) -> None:
        if self._scene.fault == "unplug":
            raise DeviceError("the simulated camera is unplugged: plug it in on its stage")
        if self._is_closed:
            raise DeviceError("the simulated camera is closed")

    def _compose(self, now: float) -> NDArray[np.uint8]:
        name = self._scene.subject
        if name is None:
            return self._noise.over(self._wall)
        cutout = self._cutouts.get(name)
        if cutout is None:
            if name not in self._portraits:
                raise DeviceError(f"the stage names nobody of the {len(self._portraits)} portraits: show one of them")
            cutout = self._cutouts[name] = _cut_out(self._portraits[name])
        pose = self._pose(cutout, now - self._shown_since)
        return self._noise.over(_stand_before(self._wall, cutout, pose))

    def _pose(self, cutout: _Cutout, seconds: float) -> NDArray[np.float64]:
        """The affine map (2, 3) from the portrait to the frame: slow sway of periods that do not meet."""
        sway = [math.sin(2 * math.pi * seconds / period + period) for period in (3.1, 2.3, 4.7, 3.7)]
        scale = self._face_width_px / cutout.face_width_px * (1 + _SWAY_SCALE * sway[2])
        angle = math.radians(_SWAY_DEGREES * sway[3])
        cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
        x, y = cutout.face_centre
        to_x = self._size[0] * 0.5 + _SWAY_PX * sway[0]
        to_y = self._size[1] * 0.42 + _SWAY_PX * 0.6 * sway[1]
        return np.array([[cosine, -sine, to_x - cosine * x + sine * y], [sine, cosine, to_y - sine * x - cosine * y]])


@dataclass(frozen=True)
class _Cutout:
    """Head and shoulders. `picture`: (H, W, 3) uint8 RGB; `cover`: (H, W) uint8, 255 where the person is."""

    picture: NDArray[np.uint8]
    cover: NDArray[np.uint8]
    face_centre: tuple[float, float]
    face_width_px: float


def _cut_out(portrait: Portrait) -> _Cutout:
    """Head and shoulders by two ellipses around the face, with soft edges; the outline is a guess, the face is not."""
    import cv2

    picture = load_picture(portrait.path)
    rows, columns = picture.shape[:2]
    x, y, width, height = portrait.face or (columns * 0.3, rows * 0.2, columns * 0.4, columns * 0.4)
    centre_x, centre_y = x + width / 2, y + height / 2
    cover = np.zeros((rows, columns), np.uint8)
    head = ((centre_x, centre_y - 0.1 * height), (1.7 * width, 2.2 * height), 0.0)
    shoulders = ((centre_x, centre_y + 2.4 * height), (3.6 * width, 3.4 * height), 0.0)
    for ellipse in (head, shoulders):
        cv2.ellipse(cover, ellipse, (255,), -1)
    cover = np.asarray(cv2.GaussianBlur(cover, (0, 0), max(1.0, width / 25)), dtype=np.uint8)
    return _Cutout(picture, cover, (centre_x, centre_y), float(width))


def _stand_before(wall: NDArray[np.uint8], person: _Cutout, pose: NDArray[np.float64]) -> NDArray[np.uint8]:
    import cv2

    size = (wall.shape[1], wall.shape[0])
    method = cv2.INTER_AREA if np.linalg.det(pose[:, :2]) < 1 else cv2.INTER_LINEAR
    picture = cv2.warpAffine(person.picture, pose, size, flags=method, borderMode=cv2.BORDER_REPLICATE)
    cover = cv2.cvtColor(cv2.warpAffine(person.cover, pose, size, flags=method), cv2.COLOR_GRAY2RGB)
    front = cv2.multiply(picture, cover, scale=1 / 255)
    behind = cv2.multiply(wall, cv2.bitwise_not(cover), scale=1 / 255)
    scene: NDArray[np.uint8] = np.asarray(cv2.add(front, behind), dtype=np.uint8)
    return scene


def _draw_wall(size: tuple[int, int]) -> NDArray[np.uint8]:
    """A street at dusk, roughly: a wall with a gradient, a window, a lamp post. Nothing a detector takes for a face."""
    import cv2

    columns, rows = size
    wall = np.empty((rows, columns, 3), np.uint8)
    wall[:] = np.linspace(150, 95, rows, dtype=np.float32)[:, None, None] + np.array([6, 2, -6], np.float32)
    cv2.rectangle(wall, (columns * 3 // 4, rows // 8), (columns * 15 // 16, rows // 2), (70, 80, 95), -1)
    cv2.rectangle(wall, (columns // 10, 0), (columns // 10 + 12, rows), (60, 60, 64), -1)
    return wall
