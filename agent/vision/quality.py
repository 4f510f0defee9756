"""Which faces count: size, light and sharpness. Each refusal is a reason that the rider can mend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.vision.engine import Face

TOO_CLOSE = 0.9  # of the frame's height: wider than this the chin or the brow is cut off
_PATCH_PX = 96  # faces are measured at one size, so that the floor of sharpness means the same near and far


@dataclass(frozen=True, slots=True)
class Floors:
    """Widths in pixels of the frame, levels 0 to 255; sharpness: variance of the Laplacian at 96 px."""

    width_px: int = 80
    score: float | None = None
    darkest: float = 35.0
    brightest: float = 225.0
    sharpness: float = 8.0


def unusable(picture: NDArray[np.uint8], face: Face, floors: Floors) -> str:
    """Why a face does not count, as a refusal code, or empty. `picture`: (H, W, 3) uint8 RGB."""
    width = face.box[2]
    if width < floors.width_px:
        return "too_far"
    if width > TOO_CLOSE * picture.shape[0]:
        return "too_close"
    patch = _grey_patch(picture, face)
    if patch is None:
        return "too_close"
    light = float(patch.mean())
    if light < floors.darkest:
        return "too_dark"
    if light > floors.brightest:
        return "too_bright"
    if float(cv2.Laplacian(patch, cv2.CV_32F).var()) < floors.sharpness:
        return "blurred"
    return ""


def _grey_patch(picture: NDArray[np.uint8], face: Face) -> NDArray[np.uint8] | None:
    x, y, width, height = face.box
    rows, columns = picture.shape[:2]
    inside = picture[max(0, y) : min(rows, y + height), max(0, x) : min(columns, x + width)]
    if min(inside.shape[:2]) < width / 2:
        return None  # half of the face is outside the frame
    grey = cv2.cvtColor(np.ascontiguousarray(inside), cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (_PATCH_PX, _PATCH_PX), interpolation=cv2.INTER_AREA), np.uint8)
