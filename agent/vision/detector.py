"""Finds faces: `hog` (dlib, always there) and `yunet` (OpenCV, when the operator installed its file)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np

from agent.vision.dlib_models import FrontalFaceDetector
from agent.vision.models import EngineError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Above the false second face in the Collins portrait (0 to 0.3 at several scales; the true one has 1.5). True faces go
# lower: of 3,734 press photos 105 have none above 0.4, and in 79 of these the best box above 0 is the face. So where
# nothing reaches the floor, the best one alone is looked at. Of the same photos with the face painted over, 0.7 % hold
# a false face above 0.4 and 1.6 % one above 0: a wrong one then only costs a vector that is nobody's.
HOG_SCORE_FLOOR = 0.4
HOG_LAST_RESORT_FLOOR = 0.0
YUNET_SCORE_FLOOR = 0.8  # true ones have 0.86 to 0.95 there
# Long sides of the pictures that HOG looks at; what they cost at 4:3 on the machine of the bench is in the docstring.
HOG_NEAR_PX, HOG_FAR_PX = 320, 533
HOG_FAR_LEVELS = 3  # windows of 96, 115 and 138 px of a 640 px frame; the next is 160, the near look's smallest
HOG_PHOTO_PX, HOG_DETAIL_PX = 640, 1280  # of a photo
HOG_DETAIL_LEVELS = 4  # likewise
YUNET_SIDE_PX = 320  # faces down to some 10 px of it are found: enough for a door, and 9 ms or less


Box = tuple[int, int, int, int]  # x, y, width, height in pixels; may reach over the frame's edge


@dataclass(frozen=True)
class Detection:
    """A face in a frame. `score`: the detector's own.

    `points`: (5, 2) float32, x and y in pixels; YuNet's (both eyes, nose, both corners of the mouth) or, once aligned,
    dlib's; None from HOG.
    """

    box: Box
    score: float
    points: NDArray[np.float32] | None = field(default=None, repr=False)


class Detector(Protocol):
    """One thread at a time."""

    name: str

    def detect(
        self, frame_rgb: NDArray[np.uint8], *, exhaustive: bool = False, within: Box | None = None
    ) -> list[Detection]:
        """The faces in an (H, W, 3) uint8 RGB frame above the score floor, largest first.

        `exhaustive`: look for small faces too where a large one was found (a photo that must show one person).
        `within`: a detector to which far faces are dear may look for them in this box alone; None: everywhere.
        """


class HogDetector:
    """See `Detector`. Finds faces from 80 px up in a 640 × 480 frame, from an eighth of the long side in a larger one.

    A near face, from a quarter of the long side up, is looked for first, in a picture of half the size: 5 ms. Only
    where there is none a second look goes for those between, at the sizes that the first one lacks: 9 ms, or the less
    the smaller the box is that it may look in. Of 169 faces, each at eight widths from 80 to 260 px, the two looks
    find all but three of those that a second one at all sizes finds in the picture as it is, for 18 ms; these three
    are 80 px wide, or 140. A photo is looked at at 640 px, and for smaller faces once more at up to 1,280 px, where one
    of a sixteenth of the long side is found: 100 ms for a square photo, and no more for any.
    """

    name = "hog"

    def __init__(self) -> None:
        self._detector = FrontalFaceDetector()
        self._far_detector = FrontalFaceDetector(HOG_FAR_LEVELS)
        self._detail_detector = FrontalFaceDetector(HOG_DETAIL_LEVELS)

    def detect(
        self, frame_rgb: NDArray[np.uint8], *, exhaustive: bool = False, within: Box | None = None
    ) -> list[Detection]:
        """See `Detector`. Unless `exhaustive`, a face under a quarter of the long side is missed beside a larger.

        Where no face is above the floor, the best one above `HOG_LAST_RESORT_FLOOR`; never when `exhaustive`, for a
        photo that somebody enrols with must leave no doubt.
        """
        longest = max(frame_rgb.shape[:2])
        if exhaustive:
            return self._find_all(frame_rgb, longest)
        weak: list[Detection] = []
        for detector, side, part in (
            (self._detector, HOG_NEAR_PX, None),
            (self._far_detector, HOG_FAR_PX, within),
        ):
            if side > HOG_NEAR_PX >= longest:
                break  # the first look saw it as it is
            found = self._find(detector, frame_rgb, min(side, longest), HOG_LAST_RESORT_FLOOR, part)
            strong = [each for each in found if each.score > HOG_SCORE_FLOOR]
            if strong:
                return strong
            weak += found
        return [max(weak, key=lambda each: each.score)] if weak else []

    def _find_all(self, photo_rgb: NDArray[np.uint8], longest: int) -> list[Detection]:
        """Every sure face of a photo. One enlarged before shows its face at 640 px only, so both looks are needed."""
        found = self._find(self._detector, photo_rgb, min(HOG_PHOTO_PX, longest), HOG_SCORE_FLOOR)
        if longest > HOG_PHOTO_PX:
            small = self._find(self._detail_detector, photo_rgb, min(HOG_DETAIL_PX, longest), HOG_SCORE_FLOOR)
            found += [each for each in small if not any(_is_inside(each.box, other.box) for other in found)]
        return _sorted(found)

    def _find(
        self,
        detector: FrontalFaceDetector,
        frame_rgb: NDArray[np.uint8],
        side: int,
        floor: float,
        within: Box | None = None,
    ) -> list[Detection]:
        """The faces in the frame, or a part of it, as they are with the frame's long side at `side`, largest first."""
        part, left, top = _cut(frame_rgb, within)
        if not part.size:
            return []
        picture, scale = _shrink(part, side * max(part.shape[:2]) / max(frame_rgb.shape[:2]))
        grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)  # a quarter faster than colour
        faces = []
        for box, score in detector.find(grey, floor):
            x, y, width, height = _enlarge(box, scale)
            faces.append(Detection((x + left, y + top, width, height), score))
        return _sorted(faces)


class YuNetDetector:
    """See `Detector`. OpenCV's `FaceDetectorYN` on a frame of at most 320 px."""

    name = "yunet"

    def __init__(self, model: bytes) -> None:
        empty = np.empty(0, np.uint8)
        size = (YUNET_SIDE_PX, YUNET_SIDE_PX)
        try:
            with _quiet():
                self._net = cv2.FaceDetectorYN.create(
                    "onnx", np.frombuffer(model, np.uint8), empty, size, YUNET_SCORE_FLOOR
                )
        except cv2.error as error:
            raise EngineError(f"OpenCV {cv2.__version__} cannot read YuNet's file: {error.err}") from error

    def detect(
        self,
        frame_rgb: NDArray[np.uint8],
        *,
        exhaustive: bool = False,  # noqa: ARG002 - far faces cost nothing more here, so they are always found
        within: Box | None = None,  # noqa: ARG002
    ) -> list[Detection]:
        """See `Detector`; small faces are always found, everywhere."""
        picture, scale = _shrink(frame_rgb, YUNET_SIDE_PX)
        self._net.setInputSize((picture.shape[1], picture.shape[0]))
        result: Any = self._net.detect(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]  # None: no face, unlike its stub
        faces = []
        for row in () if result is None else result:
            points = (row[4:14].reshape(5, 2) / scale).astype(np.float32)
            faces.append(Detection(_enlarge(row[:4], scale), float(row[14]), points))
        return _sorted(faces)


@contextmanager
def _quiet() -> Iterator[None]:
    """OpenCV 5.0's detector sets a target that its new engine then warns about, on the standard error."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)


def _cut(frame_rgb: NDArray[np.uint8], box: Box | None) -> tuple[NDArray[np.uint8], int, int]:
    """What lies in the box, and its left and top in the frame."""
    if box is None:
        return frame_rgb, 0, 0
    x, y, width, height = box
    left, top = max(0, x), max(0, y)
    return frame_rgb[top : max(0, y + height), left : max(0, x + width)], left, top


def _shrink(frame_rgb: NDArray[np.uint8], side: float) -> tuple[NDArray[np.uint8], float]:
    """The frame with its long side at most `side`, and how much smaller it is; never enlarged."""
    height, width = frame_rgb.shape[:2]
    scale = min(1.0, side / max(height, width))
    if scale == 1.0:
        return frame_rgb, scale
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(frame_rgb, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False), scale


def _enlarge(box: Iterable[float], scale: float) -> Box:
    x, y, width, height = (round(float(value) / scale) for value in box)
    return x, y, width, height


def _is_inside(small: Box, large: Box) -> bool:
    """Whether the middle of the one box lies in the other, so that both are of one face."""
    x, y = small[0] + small[2] / 2, small[1] + small[3] / 2
    return large[0] <= x <= large[0] + large[2] and large[1] <= y <= large[1] + large[3]


def _sorted(faces: list[Detection]) -> list[Detection]:
    return sorted(faces, key=lambda face: face.box[2] * face.box[3], reverse=True)
