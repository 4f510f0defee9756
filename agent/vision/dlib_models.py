"""The only importer of dlib: the HOG face detector, the 5-point landmarks, and the face chip.

dlib holds the interpreter's lock while it computes; none of these takes longer than a few tens of milliseconds. The
network that makes vectors is not here: `embedder` runs it without dlib.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dlib
import numpy as np

from agent.vision.models import EngineError, packaged_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

LANDMARKS_FILE = "shape_predictor_5_face_landmarks.dat"  # public domain; the 68-point file's terms exclude commerce
HOG_WINDOW_PX = 80  # the detector's window: the smallest face it can find


class FrontalFaceDetector:
    """dlib's HOG detector: five linear filters over a pyramid (six fifths a step). One thread at a time."""

    def __init__(self) -> None:
        self._detector = dlib.get_frontal_face_detector()

    def find(self, picture: NDArray[np.uint8], threshold: float) -> list[tuple[tuple[int, int, int, int], float]]:
        """Boxes (x, y, width, height) and scores above `threshold`. `picture`: (H, W) grey or (H, W, 3) RGB uint8."""
        boxes, scores, _ = self._detector.run(np.ascontiguousarray(picture), 0, threshold)
        return [((b.left(), b.top(), b.width(), b.height()), float(s)) for b, s in zip(boxes, scores, strict=True)]


class LandmarkPredictor:
    """dlib's 5 points: both corners of the image's right eye, both of its left eye, base of the nose. One thread."""

    def __init__(self) -> None:
        path = packaged_file(LANDMARKS_FILE)
        try:
            self._predictor = dlib.shape_predictor(str(path))
        except RuntimeError as error:
            raise EngineError(f"{path} is damaged ({error}): install face_recognition_models again") from error

    def predict(self, frame_rgb: NDArray[np.uint8], box: tuple[int, int, int, int]) -> NDArray[np.float32]:
        """The points, (5, 2) float32 x and y in whole pixels. `frame_rgb`: (H, W, 3) uint8; `box` as HOG draws it."""
        shape = self._predictor(frame_rgb, _rectangle(box))
        return np.array([(point.x, point.y) for point in shape.parts()], np.float32)


def face_chip(
    frame_rgb: NDArray[np.uint8], landmarks: NDArray[np.float32], *, size: int, padding: float
) -> NDArray[np.uint8]:
    """The aligned face, (size, size, 3) uint8 RGB, exactly as dlib cuts it for its network; any thread."""
    points = [dlib.point(round(float(x)), round(float(y))) for x, y in landmarks]
    shape: Any = dlib.full_object_detection(dlib.rectangle(0, 0, 1, 1), points)  # the chip depends on the points alone
    chip: NDArray[np.uint8] = dlib.get_face_chip(frame_rgb, shape, size=size, padding=padding)
    return chip


def _rectangle(box: tuple[int, int, int, int]) -> Any:
    x, y, width, height = box
    return dlib.rectangle(x, y, x + width - 1, y + height - 1)  # dlib's right and bottom are inside
