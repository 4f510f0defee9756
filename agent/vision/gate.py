"""The motion gate: nothing but a cheap difference runs while nobody is there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.vision.detector import Box

SIZE = (80, 60)  # columns, rows: a face at the far end of the range is still a dozen pixels
LEVELS = 12.0  # a difference above this is no sensor noise (some 3 levels before averaging down)
SHARE = 0.006  # of the picture: 29 of 4,800 pixels, about a third of a face 80 px wide in 640 × 480
FORGET_S = 4.0  # time constant of the background: what changed for good (a parked bicycle) is part of it in some 15 s
LINGER_S = 2.0  # stays open after the last movement, for somebody who stands still


class MotionGate:
    """Compares frames with a slowly learnt background. One thread.

    `moved`: the box in the newest frame (x, y, width, height, pixels) round all that differs from the background; None
    where that is too little for a movement, or not known yet.
    """

    def __init__(self) -> None:
        self.moved: Box | None = None
        self._background: NDArray[np.float32] | None = None
        self._taken_at = 0.0
        self._open_until = float("-inf")

    def is_open(self, picture: NDArray[np.uint8], at: float, *, is_learning: bool = True) -> bool:
        """Take a frame, (H, W, 3) uint8 RGB captured at `at` seconds; whether anything moves, or did just now.

        `is_learning`: false while a face is followed, so that somebody who stands still never becomes the background.
        """
        # Every other row and column of the green channel, averaged down: most of the light, an eighth of the work.
        small = cv2.resize(np.ascontiguousarray(picture[::2, ::2, 1]), SIZE, interpolation=cv2.INTER_AREA)
        grey = small.astype(np.float32)
        self.moved = None
        if self._background is None:
            self._background = grey
            self._taken_at = at
            self._open_until = at + LINGER_S  # somebody may already stand there
            return True
        difference = np.abs(grey - self._background)
        # A cloud or a lamp changes everything a little: only what differs from the general change is movement.
        difference = np.abs(difference - np.median(difference))
        differs = difference > LEVELS
        if float(differs.mean()) > SHARE:
            self.moved = _bounds(differs, picture.shape[1] / SIZE[0], picture.shape[0] / SIZE[1])
            self._open_until = at + LINGER_S
        if is_learning:
            cv2.accumulateWeighted(grey, self._background, 1 - math.exp(-max(0.0, at - self._taken_at) / FORGET_S))
        self._taken_at = at
        return at < self._open_until

    def forget(self) -> None:
        """Begin anew with the next frame, as after a gap."""
        self._background = None


def _bounds(differs: NDArray[np.bool_], column_px: float, row_px: float) -> Box:
    """The box round every cell that is set, of `column_px` by `row_px` pixels each."""
    rows, columns = (np.flatnonzero(differs.any(axis=axis)) for axis in (1, 0))
    left, right = int(columns[0] * column_px), math.ceil((columns[-1] + 1) * column_px)
    top, bottom = int(rows[0] * row_px), math.ceil((rows[-1] + 1) * row_px)
    return left, top, right - left, bottom - top
