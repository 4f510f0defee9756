"""The face engine: faces in a frame, and the vector of one. It knows no people.

`load_engine` puts a detector and a recogniser together. A vector means something only among vectors of the same engine
and the same weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np

from agent.vision.alignment import Aligner
from agent.vision.detector import Box, Detection, Detector, HogDetector, YuNetDetector
from agent.vision.dlib_weights import VECTOR_LENGTH
from agent.vision.embedder import ResNetEmbedder, load_embedder
from agent.vision.models import PUBLISHED, EngineError, Model, is_installed, read_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

ENGINES = ("dlib", "sface")
DETECTORS = ("auto", "hog", "yunet")


@dataclass(frozen=True)
class Face:
    """A face in a frame. `score`: the detector's own, only comparable within one detector.

    `box`: x, y, width, height in pixels, may reach over the frame's edge; in the dlib engine the square that the
    landmarks were predicted from, about as wide as the face whichever detector found it.
    `landmarks`: (5, 2) float32 x and y in pixels, those that this engine's `vector` aligns with.
    """

    box: Box
    score: float
    landmarks: NDArray[np.float32] = field(compare=False, repr=False)


class FaceEngine(Protocol):
    """One thread at a time. `name` and `weights` (sha256 of the source file) name what makes the vectors."""

    name: str
    weights: str
    detector_name: str

    def detect(
        self, frame_rgb: NDArray[np.uint8], *, exhaustive: bool = False, within: Box | None = None
    ) -> list[Face]:
        """Faces above the score floor, largest first. `frame_rgb`: (H, W, 3) uint8 RGB, else ValueError.

        `exhaustive`: look for small faces too where a large one was found (a photo that must show one person).
        `within`: far faces may be looked for in this box alone (x, y, width, height in pixels); near ones everywhere.
        """

    def vector(self, frame_rgb: NDArray[np.uint8], face: Face) -> NDArray[np.float32]:
        """(128,) float32 of length 1 of a face that `detect` found in this frame.

        Raises `EngineError` when the network gives anything but finite numbers.
        """


def load_engine(
    *,
    engine: str = "dlib",
    detector: str = "auto",
    models: Path | None,
    cache: Path,
    published: Mapping[str, Model] = PUBLISHED,
) -> FaceEngine:
    """Build the engine: `dlib` or `sface`, with `hog`, `yunet`, or `auto` (YuNet where its file is installed).

    `models`: the folder of files that an operator installed; `cache`: where the converted network is kept. Raises
    `EngineError` when a file is missing, damaged or not the published one, ValueError for an unknown name.
    """
    if engine not in ENGINES or detector not in DETECTORS:
        raise ValueError(f"engine is one of {ENGINES} and detector one of {DETECTORS}, not {engine!r}, {detector!r}")
    if detector == "auto":
        detector = "yunet" if engine == "sface" or is_installed("yunet", models, published) else "hog"
    if engine == "sface" and detector != "yunet":
        raise EngineError("the engine sface aligns with YuNet's landmarks: set the detector to yunet")
    finder: Detector
    finder = HogDetector() if detector == "hog" else YuNetDetector(read_model("yunet", models, published))
    if engine == "sface":
        return SFaceEngine(finder, read_model("sface", models, published), published["sface"].sha256)
    return DlibEngine(finder, Aligner(), load_embedder(cache))


class DlibEngine:
    """See `FaceEngine`. Either detector's box leads to dlib's own 5 landmarks, so the vector is of one kind."""

    name = "dlib"

    def __init__(self, detector: Detector, aligner: Aligner, embedder: ResNetEmbedder) -> None:
        self.weights = embedder.weights
        self.detector_name = detector.name
        self._detector = detector
        self._aligner = aligner
        self._embedder = embedder

    def detect(
        self, frame_rgb: NDArray[np.uint8], *, exhaustive: bool = False, within: Box | None = None
    ) -> list[Face]:
        """See `FaceEngine`."""
        frame_rgb = _checked(frame_rgb)
        found = self._detector.detect(frame_rgb, exhaustive=exhaustive, within=within)
        return _faces([self._aligner.align(frame_rgb, detection) for detection in found])

    def vector(self, frame_rgb: NDArray[np.uint8], face: Face) -> NDArray[np.float32]:
        """See `FaceEngine`."""
        return _normalise(self._embedder.embed(self._aligner.chip(_checked(frame_rgb), face.landmarks)))


class SFaceEngine:
    """See `FaceEngine`. OpenCV's `FaceRecognizerSF`, aligned with YuNet's landmarks (its training's alignment)."""

    name = "sface"

    def __init__(self, detector: Detector, model: bytes, weights: str) -> None:
        self.weights = weights
        self.detector_name = detector.name
        self._detector = detector
        try:
            self._net = cv2.FaceRecognizerSF.create("onnx", np.frombuffer(model, np.uint8), np.empty(0, np.uint8))
        except cv2.error as error:
            raise EngineError(f"OpenCV {cv2.__version__} cannot read SFace's file: {error.err}") from error

    def detect(
        self, frame_rgb: NDArray[np.uint8], *, exhaustive: bool = False, within: Box | None = None
    ) -> list[Face]:
        """See `FaceEngine`."""
        return _faces(self._detector.detect(_checked(frame_rgb), exhaustive=exhaustive, within=within))

    def vector(self, frame_rgb: NDArray[np.uint8], face: Face) -> NDArray[np.float32]:
        """See `FaceEngine`."""
        row = np.concatenate((face.box, face.landmarks.ravel(), (face.score,))).astype(np.float32)[None]
        chip = self._net.alignCrop(cv2.cvtColor(_checked(frame_rgb), cv2.COLOR_RGB2BGR), row)
        vector = np.array(self._net.feature(chip), np.float32).ravel()
        if vector.shape != (VECTOR_LENGTH,):
            raise EngineError(
                f"SFace's file gives {vector.size} numbers, not {VECTOR_LENGTH}: install the published one"
            )
        return _normalise(vector)


def _checked(frame_rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The frame in one block of memory, as dlib and OpenCV want it; ValueError when it is not a frame."""
    if frame_rgb.ndim != 3 or frame_rgb.shape[2] != 3 or frame_rgb.dtype != np.uint8 or not frame_rgb.size:
        raise ValueError(f"a frame is (H, W, 3) uint8 RGB, not {frame_rgb.shape} {frame_rgb.dtype}")
    return np.ascontiguousarray(frame_rgb)


def _faces(detections: list[Detection]) -> list[Face]:
    faces = [Face(found.box, found.score, found.points) for found in detections if found.points is not None]
    return sorted(faces, key=lambda face: face.box[2] * face.box[3], reverse=True)


def _normalise(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    length = float(np.linalg.norm(vector.astype(np.float64)))
    if not np.isfinite(length) or length == 0.0:
        raise EngineError("the network gave a vector without a direction: the model's file does not fit this engine")
    return (vector / np.float32(length)).astype(np.float32)
