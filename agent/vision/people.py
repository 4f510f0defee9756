"""Reads a folder of people, a sub-folder each, into face vectors, for measuring how well they are told apart.

One picture is in memory at a time, and nothing is written anywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from agent.vision.engine import Face, FaceEngine
from agent.vision.models import EngineError
from agent.vision.quality import Floors, unusable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Quality = Callable[[NDArray[np.uint8], Face], str | None]

# A camera's frame is no larger; a picture of 100 megapixels would only cost time, in detection and alignment.
LONGEST_SIDE_PX = 1920


class PeopleError(Exception):
    """The folder cannot be evaluated; the message says what it lacks."""


@dataclass(frozen=True)
class People:
    """Vectors by person, in the order of the file names; None where no usable face was found.

    `failures`: how many pictures gave none, by reason (`not_a_picture`, `no_face`, `no_vector`, or the quality's).
    """

    vectors: Mapping[str, tuple[NDArray[np.float32] | None, ...]] = field(repr=False)
    failures: Mapping[str, int]

    @property
    def pictures(self) -> int:
        """How many pictures there were."""
        return sum(len(each) for each in self.vectors.values())


def door_gate(engine: FaceEngine, floors: Floors) -> Quality:
    """The quality that the door asks of a face, as `read_people` takes it."""

    def judge(frame_rgb: NDArray[np.uint8], face: Face) -> str | None:
        if floors.score is not None and face.score < floors.score:
            return "low_score"
        return unusable(frame_rgb, face, floors, engine.name) or None

    return judge


def read_people(
    directory: Path,
    engine: FaceEngine,
    *,
    quality: Quality | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> People:
    """Find and encode the largest face of every picture under `directory/PERSON/`.

    Files that are not pictures are passed over, damaged pictures count as failures. `quality(frame_rgb, face)` returns
    why a face does not count, or None. `progress(done, total)` is called after every picture. Raises `PeopleError`
    when there is no folder or no picture in it.
    """
    files = _pictures(directory)
    total = sum(len(each) for each in files.values())
    if not total:
        raise PeopleError(f"{directory} holds no pictures: give a folder with one sub-folder for each person")
    failures: Counter[str] = Counter()
    vectors: dict[str, tuple[NDArray[np.float32] | None, ...]] = {}
    done = 0
    for person, paths in files.items():
        found: list[NDArray[np.float32] | None] = []
        for path in paths:
            answer = _encode(path, engine, quality)
            if isinstance(answer, str):
                failures[answer] += 1
                found.append(None)
            else:
                found.append(answer)
            done += 1
            if progress is not None:
                progress(done, total)
        vectors[person] = tuple(found)
    return People(vectors, dict(failures))


def _pictures(directory: Path) -> dict[str, list[Path]]:
    if not directory.is_dir():
        raise PeopleError(f"{directory} is not a folder: give one with a sub-folder for each person")
    people = sorted(path for path in directory.iterdir() if path.is_dir() and not path.name.startswith("."))
    files = {person.name: sorted(path for path in person.iterdir() if _is_picture(path)) for person in people}
    return {person: paths for person, paths in files.items() if paths}


def _is_picture(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and bool(cv2.haveImageReader(str(path)))


def _encode(path: Path, engine: FaceEngine, quality: Quality | None) -> NDArray[np.float32] | str:
    frame = _read(path)
    if frame is None:
        return "not_a_picture"
    faces = engine.detect(frame)
    if not faces:
        return "no_face"
    if quality is not None and (reason := quality(frame, faces[0])) is not None:
        return reason
    try:
        return engine.vector(frame, faces[0])
    except EngineError:
        return "no_vector"


def _read(path: Path) -> NDArray[np.uint8] | None:
    """(H, W, 3) uint8 RGB, upright as the file says, at most 1920 px long; None when OpenCV cannot read it."""
    try:
        frame = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    except cv2.error:  # such as more pixels than OpenCV's own bound
        return None
    if frame is None or not frame.size:
        return None
    height, width = frame.shape[:2]
    scale = LONGEST_SIDE_PX / max(height, width)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        frame = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(frame, np.uint8)
