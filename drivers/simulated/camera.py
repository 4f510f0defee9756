"""A camera without hardware: real portraits before a drawn wall, by the direction of a small file, the *stage*.

It makes frames as a camera at a door would: a still wall with sensor noise, and a moving person or an imitation of one
(see `rider`). Faults of real cameras are played too: a frozen picture, a pulled cable, a `read` that never returns.

It does not: change the light, cover a face, show two people at once, or stamp frames with a kernel's time; nor what
`rider` does not.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from drivers.camera import Frame, SensorNoise, load_picture
from drivers.errors import DeviceError
from drivers.simulated.rider import KINDS, MOVEMENTS, FaceOutline, Kind, Movement, MovingSubject

if TYPE_CHECKING:
    from numpy.typing import NDArray

Fault = Literal["freeze", "unplug", "hang"]
FAULTS: tuple[Fault, ...] = ("freeze", "unplug", "hang")
MAX_STAGE_BYTES = 4096  # a name and a fault; more is no stage
MAX_MOVEMENTS = 100  # of one scene; keeps the file within its bound
_NOISE_LEVELS = 3
_HANG_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Scene:
    """What the stage file says: who stands before the camera (None: nobody), as what, and which fault it has.

    `movements`: where the head was told to turn since it came, in order; see `MovingSubject.turn`.
    """

    subject: str | None = None
    fault: Fault | None = None
    kind: Kind = "rider"
    movements: tuple[Movement, ...] = ()


class Stage:
    """The file that directs a `SimulatedCamera`, from any process. Written in one step, so it is never read half."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def show(self, subject: str, kind: Kind = "rider") -> None:
        """The person of this name stands before the camera, or a picture of them is held up."""
        self.write(Scene(subject=subject, kind=kind))

    def turn(self, movement: Movement) -> None:
        """Whoever stands there now turns the head to their own left or right, and back; in a replay, as recorded."""
        scene = self.read()
        if len(scene.movements) < MAX_MOVEMENTS:
            self.write(replace(scene, movements=(*scene.movements, movement)))

    def clear(self) -> None:
        """Nobody stands before the camera, and it works."""
        self.write(Scene())

    def fail(self, fault: Fault) -> None:
        """The camera fails in this way; who stands before it stays."""
        self.write(replace(self.read(), fault=fault))

    def write(self, scene: Scene) -> None:
        """Replace the file. One writer at a time. Raises `OSError`."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(asdict(scene)))
        temporary.replace(self.path)

    def read(self) -> Scene:
        """What the file says; an empty scene when there is no file. Raises `DeviceError` when it is no stage."""
        try:
            with self.path.open("rb") as file:
                scene = json.loads(file.read(MAX_STAGE_BYTES))
            subject, fault, kind = scene["subject"], scene["fault"], scene.get("kind", "rider")
            movements = tuple(scene.get("movements", ()))
        except FileNotFoundError:
            return Scene()
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise DeviceError(
                f"the stage {self.path} cannot be read ({type(error).__name__}): write it anew"
            ) from error
        is_known = fault in (None, *FAULTS) and kind in KINDS and all(each in MOVEMENTS for each in movements)
        if not (subject is None or isinstance(subject, str)) or not is_known:
            raise DeviceError(f"the stage {self.path} has a wrong subject, kind, fault or movement: write it anew")
        return Scene(subject, fault, kind, movements)


@dataclass(frozen=True, slots=True)
class Portrait:
    """A picture of one person. `face`: where it is; None: assumed in the upper middle."""

    path: Path
    face: FaceOutline | None = None


class SimulatedCamera:
    """See the module. Raises `DeviceError` like a real camera; not safe to call from two threads at once."""

    def __init__(
        self,
        stage: Path,
        portraits: Mapping[str, Portrait],
        *,
        size: tuple[int, int] = (640, 480),
        fps: float = 10.0,
        seed: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`size`: columns, rows. Each portrait is loaded when it is shown; `seed` and its name say how it moves."""
        self._stage = Stage(stage)
        self._portraits = dict(portraits)
        self._size = size
        self._fps = fps
        self._clock = clock
        self._seed = seed
        self._noise = SensorNoise(size, levels=_NOISE_LEVELS, seed=seed)
        self._wall = _draw_wall(size)
        self._subject: tuple[str, Kind, MovingSubject] | None = None
        self._is_closed = False
        self._seen: tuple[int, int, int] | None = None
        self._scene = Scene()
        self._next_at = clock()
        self._shown_since = self._next_at
        self._turned = 0  # how many of the scene's movements have begun
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
        before, is_first = self._scene, self._seen is None
        self._scene = self._stage.read()
        self._seen = seen
        if (self._scene.subject, self._scene.kind) != (before.subject, before.kind):
            self._shown_since = self._clock()
            if self._turned:
                self._subject, self._turned = None, 0  # comes anew, and turns no more
        if is_first:
            self._turned = len(self._scene.movements)  # asked of another camera, which is gone
        if self._scene.subject is not None:
            for movement in self._scene.movements[self._turned :]:
                self._turned += 1
                self._person().turn(movement, self._clock() - self._shown_since)

    def _check_cable(self) -> None:
        if self._scene.fault == "unplug":
            raise DeviceError("the simulated camera is unplugged: plug it in on its stage")
        if self._is_closed:
            raise DeviceError("the simulated camera is closed")

    def _compose(self, now: float) -> NDArray[np.uint8]:
        if self._scene.subject is None:
            return self._noise.over(self._wall)
        return self._person().frame(now - self._shown_since)

    def _person(self) -> MovingSubject:
        name, kind = self._scene.subject or "", self._scene.kind
        if self._subject is None or self._subject[:2] != (name, kind):
            self._subject = (name, kind, self._load(name, kind))
        return self._subject[2]

    def _load(self, name: str, kind: Kind) -> MovingSubject:
        if name not in self._portraits:
            raise DeviceError(f"the stage names nobody of the {len(self._portraits)} portraits: show one of them")
        portrait = self._portraits[name]
        picture = load_picture(portrait.path)
        rows, columns = picture.shape[:2]
        side = round(columns * 0.4)
        face = portrait.face or FaceOutline((round(columns * 0.3), round(rows * 0.2), side, side))
        seed = self._seed + zlib.crc32(name.encode())
        return MovingSubject(picture, face, kind, seed, size=self._size, wall=self._wall)


def _draw_wall(size: tuple[int, int]) -> NDArray[np.uint8]:
    """A street at dusk, roughly: a wall with a gradient, a window, a lamp post. Nothing a detector takes for a face."""
    import cv2

    columns, rows = size
    wall = np.empty((rows, columns, 3), np.uint8)
    wall[:] = np.linspace(150, 95, rows, dtype=np.float32)[:, None, None] + np.array([6, 2, -6], np.float32)
    cv2.rectangle(wall, (columns * 3 // 4, rows // 8), (columns * 15 // 16, rows // 2), (70, 80, 95), -1)
    cv2.rectangle(wall, (columns // 10, 0), (columns // 10 + 12, rows), (60, 60, 64), -1)
    return wall
