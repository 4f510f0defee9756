"""How quick the face engine is beside `face_recognition`, and whether both say the same.

Everything is measured in one process of its own, so that the reference (which calls `quit()` when its models do not
import, and loads networks that nothing else needs) never stands in the agent, and with one thread for each library.
Both sides get the same input, a few calls in turn after a warm-up; the figures are medians, and every sample is kept.
What counts:

- `embed`: from a frame with a known face to its vector. Ours is `FaceEngine.vector`, the reference the unmodified
  `face_encodings(frame, known_face_locations=[box])`, which finds 5 landmarks first: `landmarks_ms` is their part.
- `path`: from a 640 × 480 frame to a decision among 150 people, over frames with a face 90, 140 and 200 px wide (HOG
  looks for near faces first, so a far one takes it twice as long). Ours detects, judges the quality, makes the vector
  and asks the gallery; the reference is `face_locations`, `face_encodings` and `compare_faces`, as in its manual.
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
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from agent.core.gallery import build_gallery
from agent.vision.alignment import Aligner
from agent.vision.dlib_models import LandmarkPredictor
from agent.vision.embedder import load_embedder
from agent.vision.engine import Face, FaceEngine, load_engine
from agent.vision.models import is_installed
from agent.vision.people import door_gate
from agent.vision.quality import Floors

if TYPE_CHECKING:
    from numpy.typing import NDArray

TIMEOUT_S = 900  # a minute here; a small board takes some ten times as long
FACES_MIN = 50  # vectors compared: fewer say little about the largest difference
FACES_MAX = 200  # a folder may hold thousands, and each costs a reference vector
SAMPLES = 24  # of each side
_WARM_UP, _IN_A_ROW = 3, 4
_FACE_WIDTHS_PX = (90, 140, 200)  # in the frame, as people come up to a door
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
        frames = list(_frames(_portraits()))
        by_width = {width: _path(engine, reference, each, samples) for width, each in _by_width(frames).items()}
        times: dict[str, Samples] = {
            "embed": _embed(engine, reference, frames, samples),
            "path": _joined(by_width.values()),
            "match": _match(reference, samples),
        }
        detectors = _detectors(frames[0], models, Path(cache), samples)
    report: dict[str, Any] = {}
    for key, (ours, theirs) in times.items():
        report |= {f"{key}_ms": median(ours), f"{key}_reference_ms": median(theirs)}
        report[f"{key}_ratio"] = median(theirs) / median(ours)
    return {
        **report,
        "path_by_face_width_px": {
            width: {"ms": median(ours), "reference_ms": median(theirs)} for width, (ours, theirs) in by_width.items()
        },
        "max_abs_difference": max(differences),
        "faces": len(differences),
        "landmarks_ms": _landmarks_ms(engine, frames[0], samples),
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


def _in_turn(ours: Callable[[], object], theirs: Callable[[], object], count: int) -> Samples:
    """Samples of both in milliseconds: a few of the one, then of the other, so that a busy machine slows both.

    The first call of each turn only warms the caches that the other side has filled.
    """
    samples: Samples = ([], [])
    for work in (ours, theirs):
        for _ in range(min(_WARM_UP, count)):
            work()
    while len(samples[1]) < count:
        for work, kept in zip((ours, theirs), samples, strict=True):
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


def _embed(engine: FaceEngine, reference: Any, frames: list[NDArray[np.uint8]], samples: int) -> Samples:
    frame = frames[0]
    face = _largest(engine, frame)
    if face is None:
        raise BenchError("no face was found in the portrait")
    box = _css(face)
    return _in_turn(
        lambda: engine.vector(frame, face),
        lambda: reference.face_encodings(frame, known_face_locations=[box]),
        samples,
    )


def _path(engine: FaceEngine, reference: Any, frames: list[NDArray[np.uint8]], samples: int) -> Samples:
    people = _people(_MEMBERS)
    gallery = build_gallery(
        [(f"m-{n}", vector) for n, vector in enumerate(people)], engine="dlib", weights=engine.weights
    )
    known = list(people.astype(np.float64))
    gate = door_gate(engine, Floors())

    def decide(frame: NDArray[np.uint8]) -> object:
        face = _largest(engine, frame)
        if face is None or gate(frame, face):
            raise BenchError("a frame's face was not found, or refused for its quality")
        return gallery.identify(engine.vector(frame, face))

    def usual(frame: NDArray[np.uint8]) -> object:
        boxes = reference.face_locations(frame)
        (vector, *_) = reference.face_encodings(frame, boxes)
        return reference.compare_faces(known, vector)

    ours: list[float] = []
    theirs: list[float] = []
    for frame in frames:
        mine, others = _in_turn(partial(decide, frame), partial(usual, frame), max(1, samples // 6))
        ours += mine
        theirs += others
    return ours, theirs


def _by_width(frames: list[NDArray[np.uint8]]) -> dict[int, list[NDArray[np.uint8]]]:
    """The frames of every portrait by the width of the face in them."""
    count = len(_FACE_WIDTHS_PX)
    return {width: frames[number::count] for number, width in enumerate(_FACE_WIDTHS_PX)}


def _joined(parts: Iterable[Samples]) -> Samples:
    both = list(parts)
    return [ms for ours, _ in both for ms in ours], [ms for _, theirs in both for ms in theirs]


def _match(reference: Any, samples: int) -> Samples:
    people = _people(_MATCH_MEMBERS)
    gallery = build_gallery([(f"m-{n}", vector) for n, vector in enumerate(people)], engine="dlib", weights="")
    known = people.astype(np.float64)
    query = _people(1, seed=1)[0]
    wide = query.astype(np.float64)
    return _in_turn(
        lambda: gallery.identify(query),
        lambda: (reference.face_distance(known, wide), reference.compare_faces(known, wide)),
        samples,
    )


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


def _frames(portraits: list[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    """640 × 480 frames with one face in the middle, at several widths."""
    from agent.vision.detector import HogDetector

    for portrait in portraits:
        (found, *_) = HogDetector().detect(portrait)
        x, y, width, height = found.box
        for wanted in _FACE_WIDTHS_PX:
            scale = wanted / width
            shift = (320 - scale * (x + width / 2), 240 - scale * (y + height / 2))
            matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float64)
            frame = cv2.warpAffine(portrait, matrix, (640, 480), borderMode=cv2.BORDER_REPLICATE)
            yield np.asarray(frame, np.uint8)


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
