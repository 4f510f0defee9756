"""From a detector's box to the chip that the network was trained on: dlib's 5 points, 150 × 150, padding 0.25."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agent.vision.detector import Detection
from agent.vision.dlib_models import LandmarkPredictor, face_chip
from agent.vision.dlib_weights import CHIP_PX

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHIP_PADDING = 0.25


class Aligner:
    """Landmarks and chips. One thread at a time."""

    def __init__(self) -> None:
        self._predictor = LandmarkPredictor()

    def landmarks(self, frame_rgb: NDArray[np.uint8], detection: Detection) -> NDArray[np.float32]:
        """dlib's 5 points, (5, 2) float32. `frame_rgb`: (H, W, 3) uint8 RGB."""
        x, y, width, height = detection.box
        box = (round(x), round(y), round(width), round(height))
        return self._predictor.predict(frame_rgb, box)

    def chip(self, frame_rgb: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> NDArray[np.uint8]:
        """The face, upright and centred, (150, 150, 3) uint8 RGB."""
        return face_chip(frame_rgb, landmarks, size=CHIP_PX, padding=CHIP_PADDING)
