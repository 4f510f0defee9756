"""From a detector's box to the chip that the network was trained on: dlib's 5 points, 150 × 150, padding 0.25.

dlib's predictor follows its box: HOG draws squares on a pyramid whose steps are six fifths, YuNet draws tall boxes
round the same face, and the points differ by a pixel or so, the vector with them. So the points are predicted twice,
the second time from the box that the first points themselves ask for; what found the face is then mostly forgotten.

The constants are means over the 204 studio portraits of the Face Research Lab London Set, from what HOG draws there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from agent.vision.detector import Box, Detection
from agent.vision.dlib_models import LandmarkPredictor, face_chip
from agent.vision.dlib_weights import CHIP_PX

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHIP_PADDING = 0.25  # of the network's training

# HOG's square against YuNet's box of the same face, in roots of that box's area: moved down, and a little smaller.
_YUNET_DOWN, _YUNET_SIDE = 0.09, 0.93
# HOG's square against the points: its side in distances between the eyes and from the eyes to the nose (the one shrinks
# as a head turns, the other as it nods, so their mean is used), and how far below the eyes its centre is, in sides.
_SIDE_PER_EYES, _SIDE_PER_NOSE, _DOWN_PER_SIDE = 2.38, 3.32, 0.21


class Aligner:
    """Landmarks and chips. One thread at a time."""

    def __init__(self) -> None:
        self._predictor = LandmarkPredictor()

    def align(self, frame_rgb: NDArray[np.uint8], detection: Detection) -> Detection:
        """The same face with dlib's 5 points, and with the square box that they were predicted from.

        `frame_rgb`: (H, W, 3) uint8 RGB. dlib's own recipe, given that box, predicts exactly these points.
        """
        box = _hog_like(detection)
        points = self._predictor.predict(frame_rgb, box)
        box = box_of_points(points) or box
        return replace(detection, box=box, points=self._predictor.predict(frame_rgb, box))

    def chip(self, frame_rgb: NDArray[np.uint8], points: NDArray[np.float32]) -> NDArray[np.uint8]:
        """The face, upright and centred, (150, 150, 3) uint8 RGB. `points`: dlib's five, (5, 2) float32."""
        return face_chip(frame_rgb, points, size=CHIP_PX, padding=CHIP_PADDING)


def _hog_like(detection: Detection) -> Box:
    """HOG's own box, or the square that HOG would on average have drawn round YuNet's face."""
    if detection.points is None:
        return detection.box
    x, y, width, height = detection.box
    size = float(np.sqrt(max(1, width) * max(1, height)))
    return _square(x + width / 2, y + height / 2 + _YUNET_DOWN * size, _YUNET_SIDE * size)


def box_of_points(points: NDArray[np.float32]) -> Box | None:
    """The upright square round dlib's 5 points (5, 2), in whole pixels; None where they are too close for a face."""
    right, left, nose = (points[0] + points[1]) / 2, (points[2] + points[3]) / 2, points[4]
    eyes = (right + left) / 2
    across = right - left
    distance = float(np.hypot(*across))
    side = (_SIDE_PER_EYES * distance + _SIDE_PER_NOSE * float(np.hypot(*(nose - eyes)))) / 2
    if distance < 1 or side < 2:
        return None
    down = np.array((-across[1], across[0])) / distance
    if float(np.dot(down, nose - eyes)) < 0:  # the two eyes' order in a mirrored or upside-down picture
        down = -down
    centre = eyes + _DOWN_PER_SIDE * side * down
    return _square(float(centre[0]), float(centre[1]), side)


def _square(centre_x: float, centre_y: float, side: float) -> Box:
    return round(centre_x - side / 2), round(centre_y - side / 2), round(side), round(side)
