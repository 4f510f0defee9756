"""The only importer of dlib: the HOG face detector, the 5-point landmarks, and the face chip.

dlib holds the interpreter's lock while it computes; none of these takes longer than a few tens of milliseconds on a
camera's frame, and some 100 ms on a photo. The network that makes vectors is not here: `embedder` runs it without dlib.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import dlib
import numpy as np

from agent.vision.models import EngineError, packaged_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

LANDMARKS_FILE = "shape_predictor_5_face_landmarks.dat"  # public domain; the 68-point file's terms exclude commerce
HOG_WINDOW_PX = 80  # the detector's window: the smallest face it can find
# How dlib's `serialize` writes three fields of the detector's scanner (scan_fhog_pyramid): at most 1,000 levels of the
# pyramid, and none less than 64 pixels wide or high. They can be set nowhere else from Python.
_LEVELS_FIELD, _SIDES_FIELDS = b"\x02\xe8\x03", b"\x01\x40\x01\x40"


class FrontalFaceDetector:
    """dlib's HOG detector: five linear filters over a pyramid (six fifths a step). One thread at a time.

    `levels`: of the pyramid, from the picture's own size; None: all. Three find faces of 80 to 115 px (some 70 to 130,
    for a window is not strict), at two thirds of the cost of all. A dlib that writes its detector in another way than
    version 20 is left with all levels: it finds the same and more, only slower.
    """

    def __init__(self, levels: int | None = None) -> None:
        self._detector = dlib.get_frontal_face_detector()
        if levels is not None:
            self._detector = _with_levels(self._detector, levels)

    def find(self, picture: NDArray[np.uint8], threshold: float) -> list[tuple[tuple[int, int, int, int], float]]:
        """Boxes (x, y, width, height) and scores above `threshold`. `picture`: (H, W) grey or (H, W, 3) RGB uint8."""
        boxes, scores, _ = self._detector.run(np.ascontiguousarray(picture), 0, threshold)
        return [((b.left(), b.top(), b.width(), b.height()), float(s)) for b, s in zip(boxes, scores, strict=True)]


def _with_levels(detector: Any, levels: int) -> Any:
    """The same detector with at most so many (1 to 127) levels, through a file in memory."""
    handle = os.memfd_create("detector")
    with os.fdopen(handle, "r+b") as file:
        path = f"/proc/self/fd/{handle}"
        detector.save(path)
        data = file.read()
        if data.count(_LEVELS_FIELD + _SIDES_FIELDS) != 1:
            return detector
        file.seek(0)
        file.truncate()
        file.write(data.replace(_LEVELS_FIELD + _SIDES_FIELDS, bytes((1, levels)) + _SIDES_FIELDS))
        file.flush()
        return dlib.fhog_object_detector(path)


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
