"""How quick the face engine is beside `face_recognition`, and whether both say the same.

Everything is measured in one process of its own, so that the reference (which calls `quit()` when its models do not
import, and loads networks that nothing else needs) never stands in the agent, and with one thread for each library.
Both sides get the same input, a few calls in turn after a warm-up; the figures are medians, and every sample is kept.
What counts:

- `embed`: from a frame with a known face to its vector. Ours is `FaceEngine.vector`, the reference the unmodified
  `face_encodings(frame, known_face_locations=[box])`, which finds 5 landmarks first: `landmarks_ms` is their part.
- `path`: from a 640 × 480 frame to a decision among 150 people, over frames with a face 90, 120, 160 and 220 px wide
  (HOG looks for near faces first, so a far one takes it longer). The reference is `face_locations`, `face_encodings`
  and `compare_faces`, as in its manual. Ours is what the pipeline does with each of somebody's frames, from the first
  on: movement, detection, quality, vector, gallery; without what the recipe lacks as well (liveness, codes). It knows
  the empty doorway and gets the frames in turn, so that most looks for far faces go where something moved, and one
  every half second over the whole frame, as at the door. The median is one of the former, which is what a rider waits
  for. `path_whole` is the same for a frame of which nothing is known, such as the first after a start, or a photo.
- `match`: one query against 10,000. Ours is `Gallery.identify`, the reference `face_distance` and `compare_faces`.
- `max_abs_difference`: the largest difference of any of the 128 numbers, before they are brought to length 1.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from agent.core.gallery import build_gallery
from agent.vision.alignment import Aligner
from agent.vision.approach import FACE_WIDTHS_PX, FRAME_S, empty_doorway, frames_of
from agent.vision.dlib_models import LandmarkPredictor
from agent.vision.embedder import load_embedder
from agent.vision.engine import Face, FaceEngine, load_engine
from agent.vision.gate import MotionGate
from agent.vision.models import is_installed
from agent.vision.people import door_gate
from agent.vision.quality import Floors
from agent.vision.search import FaceSearch

if TYPE_CHECKING:
    from numpy.typing import NDArray

TIMEOUT_S = 900  # a minute here; a small board takes some ten times as long
FACES_MIN = 50  # vectors compared: fewer say little about the largest difference
FACES_MAX = 200  # a folder may hold thousands, and each costs a reference vector
SAMPLES = 24  # of each side
_WARM_UP, _IN_A_ROW = 3, 4
_MEMBERS, _MATCH_MEMBERS = 150, 10_000
_ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


Samples = tuple[list[float], list[float]]  # milliseconds, ours and the reference's
_Times = dict[str, dict[str, list[float]]]  # milliseconds by detector and size of the picture


class BenchError(Exception):
    """The comparison cannot be made; the message says what is missing."""


def run_bench(directory: Path | None = None, models: Path | None = None, samples: int = SAMPLES) -> dict[str, Any]:
    """Measure in a process of its own; blocks for a minute or so. Raises `BenchError`.

    `directory`: pictures to compare vectors on, at any depth; without it the two public-domain portraits, varied.
    `models`: the folder with YuNet's file, to time that detector too. `samples`: of each side of each comparison.
    """
    arguments = [str(samples), str(directory.resolve()) if directory else "", str(models.resolve()) if models else ""]
    command = [sys.executable, "-W", "ignore", "-m", "agent.vision.bench", *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            command,
            capture_output=True,
            env={**os.environ, **_ONE_THREAD},
            stdin=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BenchError(f"it was not done after {TIMEOUT_S} s: is something else using the machine?") from None
    lines = done.stdout.decode(errors="replace").splitlines()
    if done.returncode or not lines:
        words = done.stderr.decode(errors="replace").strip().splitlines() or lines or ["it said nothing"]
        raise BenchError(words[-1][:300])
    report: dict[str, Any] = json.loads(lines[-1])
    return report


# --- in the process of its own ---------------------------------------------------------------------------------------


def main(samples: str, directory: str, models: str) -> int:
    """Measure, and print the report as one line of JSON. Returns the exit code."""
    cv2.setNumThreads(1)
    try:
        reference = _load_reference()
        folders = [Path(each) if each else None for each in (directory, models)]
        print(json.dumps(measure(reference, *folders, samples=int(samples))))
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _load_reference() -> Any:
    try:
        import face_recognition
    except (ImportError, SystemExit) as error:  # it calls quit() when its models do not import
        raise BenchError(
            "face_recognition or its models are not there to compare with: install the packages face-recognition and"
            f" face_recognition_models, and setuptools below 81 ({error})"
        ) from error
    return face_recognition


def measure(reference: Any, directory: Path | None, models: Path | None, *, samples: int) -> dict[str, Any]:
    """Measure against the module `face_recognition` on this process; see `run_bench`."""
    with tempfile.TemporaryDirectory(prefix="station-bench-") as cache:
        engine = load_engine(detector="hog", models=None, cache=Path(cache))
        differences = _differences(engine, reference, Path(cache), directory)
        portraits = _portraits()
        by_width = {width: _path(engine, reference, portraits, width, samples) for width in FACE_WIDTHS_PX}
        frame = next(frames_of(portraits[0], FACE_WIDTHS_PX[0], count=1))
        times: dict[str, Samples] = {
            "embed": _embed(engine, reference, frame, samples),
            "path": _joined(path for path, _whole in by_width.values()),
            "path_whole": _joined(whole for _path, whole in by_width.values()),
            "match": _match(reference, samples),
        }
        detectors = _detectors(frame, models, Path(cache), samples)
    report: dict[str, Any] = {}
    for key, (ours, theirs) in times.items():
        report |= {f"{key}_ms": median(ours), f"{key}_reference_ms": median(theirs)}
        report[f"{key}_ratio"] = median(theirs) / median(ours)
    return {
        **report,
        "path_by_face_width_px": {
            width: {"ms": median(path[0]), "reference_ms": median(path[1]), "whole_ms": median(whole[0])}
            for width, (path, whole) in by_width.items()
        },
        "max_abs_difference": max(differences),
        "faces": len(differences),
        "landmarks_ms": _landmarks_ms(engine, frame, samples),
        "detectors": {name: {size: median(each) for size, each in found.items()} for name, found in detectors.items()},
        "samples_ms": {key: {"ours": ours, "reference": theirs} for key, (ours, theirs) in times.items()},
        "samples_detectors_ms": detectors,
        "differences": differences,
        "machine": {"processor": platform.machine(), "python": platform.python_version(), "opencv": cv2.__version__},
    }


def _ms(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)


def _in_turn(count: int, *works: Callable[[], object]) -> list[list[float]]:
    """Samples of each in milliseconds: a few of the one, then of the other, so that a busy machine slows all.

    The first call of each turn only warms the caches that the others have filled.
    """
    samples: list[list[float]] = [[] for _ in works]
    for work in works:
        for _ in range(min(_WARM_UP, count)):
            work()
    while len(samples[-1]) < count:
        for work, kept in zip(works, samples, strict=True):
            work()
            kept += [_ms(work) for _ in range(min(_IN_A_ROW, count))]
    return samples


def _largest(engine: FaceEngine, picture: NDArray[np.uint8]) -> Face | None:
    faces = engine.detect(picture)
    return faces[0] if faces else None


def _css(face: Face) -> tuple[int, int, int, int]:
    """The box as `face_recognition` takes it: top, right, bottom, left, the last two inside."""
    x, y, width, height = face.box
    return y, x + width - 1, y + height - 1, x


def _embed(engine: FaceEngine, reference: Any, frame: NDArray[np.uint8], samples: int) -> Samples:
    face = _largest(engine, frame)
    if face is None:
        raise BenchError("no face was found in the portrait")
    box = _css(face)
    ours, theirs = _in_turn(
        samples,
        lambda: engine.vector(frame, face),
        lambda: reference.face_encodings(frame, known_face_locations=[box]),
    )
    return ours, theirs


def _path(
    engine: FaceEngine, reference: Any, portraits: list[NDArray[np.uint8]], width: int, samples: int
) -> tuple[Samples, Samples]:
    """Frames in turn as they come to the door, and each as if nothing were known of it."""
    people = _people(_MEMBERS)
    gallery = build_gallery(
        [(f"m-{n}", vector) for n, vector in enumerate(people)], engine="dlib", weights=engine.weights
    )
    known = list(people.astype(np.float64))
    quality = door_gate(engine, Floors())

    def decide(frame: NDArray[np.uint8], faces: list[Face]) -> object:
        if not faces or quality(frame, faces[0]):
            raise BenchError("a frame's face was not found, or refused for its quality")
        return gallery.identify(engine.vector(frame, faces[0]))

    def next_frame(door: _Doorway) -> object:
        return decide(*door.look())

    def same_frame(door: _Doorway) -> object:
        return decide(door.frame, engine.detect(door.frame))

    def usual(door: _Doorway) -> object:
        boxes = reference.face_locations(door.frame)
        (vector, *_) = reference.face_encodings(door.frame, boxes)
        return reference.compare_faces(known, vector)

    path, whole = [], []
    for portrait in portraits:
        door = _Doorway(engine, cycle([*frames_of(portrait, width)]))
        works = [partial(each, door) for each in (next_frame, same_frame, usual)]
        ours, blind, theirs = _in_turn(max(1, samples // len(portraits)), *works)
        path.append((ours, theirs))
        whole.append((blind, theirs))
    return _joined(path), _joined(whole)


class _Doorway:
    """Finds the faces in frame after frame, as the pipeline does."""

    def __init__(self, engine: FaceEngine, frames: Iterator[NDArray[np.uint8]]) -> None:
        self._gate, self._search = MotionGate(), FaceSearch(engine)
        self._gate.is_open(empty_doorway(), 0.0)
        self._frames = frames
        self._at = 0.0
        self.frame = empty_doorway()

    def look(self) -> tuple[NDArray[np.uint8], list[Face]]:
        """The next frame and the faces in it."""
        self.frame = next(self._frames)
        self._at += FRAME_S
        self._gate.is_open(self.frame, self._at, is_learning=False)
        return self.frame, self._search.find(self.frame, self._gate.moved, self._at)


def _joined(parts: Iterable[Samples]) -> Samples:
    both = list(parts)
    return [ms for ours, _ in both for ms in ours], [ms for _, theirs in both for ms in theirs]


def _match(reference: Any, samples: int) -> Samples:
    people = _people(_MATCH_MEMBERS)
    gallery = build_gallery([(f"m-{n}", vector) for n, vector in enumerate(people)], engine="dlib", weights="")
    known = people.astype(np.float64)
    query = _people(1, seed=1)[0]
    wide = query.astype(np.float64)
    ours, theirs = _in_turn(
        samples,
        lambda: gallery.identify(query),
        lambda: (reference.face_distance(known, wide), reference.compare_faces(known, wide)),
    )
    return ours, theirs


def _people(count: int, seed: int = 0) -> NDArray[np.float32]:
    """(count, 128) float32 of length 1: made up, since how long a comparison takes does not depend on the faces."""
    rows = np.random.default_rng(seed).normal(size=(count, 128))
    people: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return people


def _differences(engine: FaceEngine, reference: Any, cache: Path, directory: Path | None) -> list[float]:
    aligner, predictor, embedder = Aligner(), LandmarkPredictor(), load_embedder(cache)
    found: list[float] = []
    for picture in _pictures(directory):
        face = _largest(engine, picture)
        if face is None:
            continue
        vectors = reference.face_encodings(picture, known_face_locations=[_css(face)])
        ours = embedder.embed(aligner.chip(picture, predictor.predict(picture, face.box)))
        found.append(float(np.abs(ours - vectors[0]).max()))
        if len(found) >= FACES_MAX:
            break
    if len(found) < FACES_MIN:
        raise BenchError(
            f"only {len(found)} faces were found to compare vectors on: give at least {FACES_MIN} pictures"
        )
    return found


def _pictures(directory: Path | None) -> Iterator[NDArray[np.uint8]]:
    if directory is None:
        yield from _variations(_portraits())
        return
    for path in sorted(directory.rglob("*")):
        if path.is_file() and cv2.haveImageReader(str(path)):
            picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
            if picture is not None:
                yield np.ascontiguousarray(picture, np.uint8)


def _portraits() -> list[NDArray[np.uint8]]:
    """Eileen Collins (NASA) and Grace Hopper (US Navy), public domain, inside the wheels that the demo needs."""
    from agent.demo.portraits import find_portraits

    pictures = [cv2.imread(str(path), cv2.IMREAD_COLOR_RGB) for path in find_portraits().values()]
    usable = [np.asarray(each, np.uint8) for each in pictures if each is not None]
    if len(usable) < 2:
        raise BenchError("the portraits are not there: install the packages scikit-image and matplotlib")
    return usable


def _variations(portraits: list[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    """Each portrait larger and smaller, lighter and darker, cut closer, and mirrored: 72 pictures."""
    for portrait in portraits:
        rows, columns = portrait.shape[:2]
        for cut in (0.0, 0.05):
            inside = portrait[: round(rows * (1 - cut)), round(columns * cut) :]
            for scale in (1.0, 1.15, 1.4):
                size = (round(inside.shape[1] * scale), round(inside.shape[0] * scale))
                resized = cv2.resize(inside, size, interpolation=cv2.INTER_LINEAR)
                for gain in (0.6, 1.0, 1.3):
                    lit = cv2.convertScaleAbs(resized, alpha=gain).astype(np.uint8)
                    yield lit
                    yield np.ascontiguousarray(lit[:, ::-1])


def _detectors(frame: NDArray[np.uint8], models: Path | None, cache: Path, samples: int) -> _Times:
    small = np.asarray(cv2.resize(frame, (320, 240), interpolation=cv2.INTER_AREA), np.uint8)
    names = ("hog", "yunet") if is_installed("yunet", models) else ("hog",)
    found: _Times = {}
    for name in names:
        engine = load_engine(detector=name, models=models, cache=cache)
        found[name] = {}
        for size, picture in (("640x480", frame), ("320x240", small)):
            for _ in range(_WARM_UP):
                engine.detect(picture)
            found[name][size] = [_ms(partial(engine.detect, picture)) for _ in range(samples)]
    return found


def _landmarks_ms(engine: FaceEngine, frame: NDArray[np.uint8], samples: int) -> float:
    face, predictor = _largest(engine, frame), LandmarkPredictor()
    if face is None:
        return 0.0
    return median(_ms(lambda: predictor.predict(frame, face.box)) for _ in range(samples))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
