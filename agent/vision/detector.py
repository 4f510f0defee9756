"""Finds faces: `hog` (dlib, always there) and `yunet` (OpenCV, when the operator installed its file)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np

from agent.vision.dlib_models import FrontalFaceDetector
from agent.vision.models import EngineError

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOG_SCORE_FLOOR = 0.4
YUNET_SCORE_FLOOR = 0.8
# HOG looks at a picture of this long side first (4 ms), and at the larger one only when it found nothing there.
HOG_SIDES_PX = (320, 640)
YUNET_SIDE_PX = 320


@dataclass(frozen=True)
class Detection:
    """A face as a detector found it: `box` (x, y, width, height) in pixels of the frame, `score` its own.

    `points`: (5, 2) float32, both eyes, nose, both corners of the mouth, from a detector that gives them.
    """

    box: tuple[float, float, float, float]
    score: float
    points: NDArray[np.float32] | None = field(default=None, repr=False)


class Detector(Protocol):
    """One thread at a time."""

    name: str

    def detect(self, frame_rgb: NDArray[np.uint8]) -> list[Detection]:
        """The faces in an (H, W, 3) uint8 RGB frame above the score floor, largest first."""


class HogDetector:
    """See `Detector`. Finds faces from 80 px in a 640 × 480 frame, from an eighth of the long side in a larger one."""

    name = "hog"

    def __init__(self) -> None:
        self._detector = FrontalFaceDetector()

    def detect(self, frame_rgb: NDArray[np.uint8]) -> list[Detection]:
        """See `Detector`. Where a near face is found, faces under half that smallest size are not looked for."""
        last_scale = 0.0
        for side in HOG_SIDES_PX:
            picture, scale = _shrink(frame_rgb, side)
            if scale == last_scale:
                break
            last_scale = scale
            grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
            found = self._detector.find(grey, HOG_SCORE_FLOOR)
            if found:
                faces = [Detection(_enlarge(box, scale), score) for box, score in found]
                return sorted(faces, key=_area, reverse=True)
        return []


class YuNetDetector:
    """See `Detector`. OpenCV's `FaceDetectorYN` on a frame of at most 320 px."""

    name = "yunet"

    def __init__(self, model: bytes) -> None:
        empty = np.empty(0, np.uint8)
        try:
            self._net = cv2.FaceDetectorYN.create(
                "onnx", np.frombuffer(model, np.uint8), empty, (YUNET_SIDE_PX, YUNET_SIDE_PX), YUNET_SCORE_FLOOR
            )
        except cv2.error as error:
            raise EngineError(f"OpenCV {cv2.__version__} cannot read YuNet's file: {error.err}") from error

    def detect(self, frame_rgb: NDArray[np.uint8]) -> list[Detection]:
        """See `Detector`."""
        picture, scale = _shrink(frame_rgb, YUNET_SIDE_PX)
        self._net.setInputSize((picture.shape[1], picture.shape[0]))
        result: Any = self._net.detect(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]  # None: no face, unlike its stub
        faces = []
        for row in () if result is None else result:
            x, y, width, height = (float(value) / scale for value in row[:4])
            points = (row[4:14].reshape(5, 2) / scale).astype(np.float32)
            faces.append(Detection((x, y, width, height), float(row[14]), points))
        return sorted(faces, key=_area, reverse=True)


def _shrink(frame_rgb: NDArray[np.uint8], side: int) -> tuple[NDArray[np.uint8], float]:
    """The frame with its long side at most `side`, and how much smaller it is; never enlarged."""
    height, width = frame_rgb.shape[:2]
    scale = min(1.0, side / max(height, width))
    if scale == 1.0:
        return frame_rgb, scale
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(frame_rgb, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False), scale


def _enlarge(box: tuple[int, int, int, int], scale: float) -> tuple[float, float, float, float]:
    x, y, width, height = box
    return x / scale, y / scale, width / scale, height / scale


def _area(detection: Detection) -> float:
    return detection.box[2] * detection.box[3]
