"""Where in a frame faces are looked for: near ones everywhere, far ones where something moved.

A far face is dear to find (`HogDetector`), and nobody comes without moving: what differs from the background since they
came holds them, their companions and whoever joins them. That is a bet on the gate's background, so it is never made
for long: the whole frame is looked at again every `WHOLE_S`, and at once where nothing is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from agent.vision.detector import Box
    from agent.vision.engine import Face, FaceEngine

WHOLE_S = 0.5  # between two looks at the whole frame: a quarter of what a rider is willing to stand still for
MARGIN = 1 / 16  # of the frame's long side, round a movement: half of the smallest face that counts
STEP = 0.6  # face widths, round a face that was seen: as far as `tracking` lets it move


class FaceSearch:
    """Looks through the frames of one camera, in order. One thread."""

    def __init__(self, engine: FaceEngine) -> None:
        self._engine = engine
        self._seen: list[Face] = []
        self._looked_at = float("-inf")
        self._whole_at = float("-inf")

    def find(self, frame_rgb: NDArray[np.uint8], moved: Box | None, at: float) -> list[Face]:
        """The faces in a frame, (H, W, 3) uint8 RGB captured at `at` seconds, largest first.

        `moved`: the box round all that differs from the background, as `MotionGate` has it; None: not known.
        """
        if not 0 <= at - self._looked_at <= WHOLE_S:
            # Nobody was looked for until now, so whoever is there has just moved; the count begins here.
            self._seen, self._whole_at = [], at
        self._looked_at = at
        within = self._within(frame_rgb.shape[:2], moved) if at - self._whole_at < WHOLE_S else None
        if within is None:
            self._whole_at = at
        self._seen = self._engine.detect(frame_rgb, within=within)
        return self._seen

    def _within(self, shape: tuple[int, ...], moved: Box | None) -> Box | None:
        boxes = [_widened(face.box, round(STEP * face.box[2])) for face in self._seen]
        if moved is not None:
            boxes.append(_widened(moved, round(MARGIN * max(shape))))
        if not boxes:
            return None
        left, top = (min(box[axis] for box in boxes) for axis in (0, 1))
        right, bottom = (max(box[axis] + box[axis + 2] for box in boxes) for axis in (0, 1))
        return left, top, right - left, bottom - top


def _widened(box: Box, by: int) -> Box:
    x, y, width, height = box
    return x - by, y - by, width + 2 * by, height + 2 * by
