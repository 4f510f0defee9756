"""Which faces count: size, pose, light and sharpness. Each refusal is a reason that the rider can mend.

The bounds stand where the vector goes wrong, measured on 50 people of the Face Research Lab London Set: one photo as it
is against another made worse, with sensor noise. Untouched, the median distance of one person's two photos is 0.15 and
that of the nearest other person 0.42.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.vision.engine import Face

TOO_CLOSE = 0.9  # of the frame's height: wider than this the chin or the brow is cut off
DARKEST = 25.0  # mean level: at 20 the distance is 0.24, at 26 0.20; untouched, the darkest skin of the set has 66
CLIPPED_LEVEL, CLIPPED_SHARE = 250, 0.5  # of a face without drawing left: at 0.47 the distance is 0.22, at 0.71 0.30
SHARPNESS_FLOOR = 0.6
"""See `sharpness`. Untouched faces have 2.2 and more; blurred by a Gaussian of 2 % of a face's width 0.84 (distance
0.28), of 3 % 0.52 (0.31); smeared sideways by 9 % 1.4 (0.27), by 15 % 0.74 (0.36). Compressed clips: 0.7 and more."""
TURNED = 0.35  # of the distance between the eyes that the nose stands aside: about 30 degrees
_PATCH_PX = 96  # faces are measured at one size, so that a bound means the same near and far
_DENOISE_PX = 1.5  # sigma at that size: noise of a sensor must not pass for detail
_EDGE = np.array([[1.0, -2.0, 1.0]], np.float32)


@dataclass(frozen=True, slots=True)
class Floors:
    """What a face must have at least: width in pixels of the frame, and the detector's score (None: its own floor)."""

    width_px: int = 80
    score: float | None = None


def unusable(picture: NDArray[np.uint8], face: Face, floors: Floors, engine: str) -> str:
    """Why a face does not count, as a refusal code, or empty.

    `picture`: (H, W, 3) uint8 RGB; `engine`: the name of the one that found the landmarks.
    """
    width = face.box[2]
    if width < floors.width_px:
        return "too_far"
    if width > TOO_CLOSE * picture.shape[0]:
        return "too_close"
    patch = _grey_patch(picture, face)
    if patch is None:
        return "too_close"
    if float(patch.mean()) < DARKEST:
        return "too_dark"
    if float((patch >= CLIPPED_LEVEL).mean()) > CLIPPED_SHARE:
        return "too_bright"
    if abs(turn(face.landmarks, engine)) > TURNED:
        return "turned_away"
    if sharpness(patch) < SHARPNESS_FLOOR:
        return "blurred"
    return ""


def sharpness(patch: NDArray[np.uint8]) -> float:
    """How much fine drawing a grey square (N, N) uint8 of a face has, by the direction that has least.

    The variance of the second difference, in thousandths of the picture's own, so that it does not depend on the light;
    of both directions, for a smear leaves one of them sharp.
    """
    smooth = cv2.GaussianBlur(patch.astype(np.float32), (0, 0), _DENOISE_PX)
    across = float(cv2.filter2D(smooth, cv2.CV_32F, _EDGE).var())
    down = float(cv2.filter2D(smooth, cv2.CV_32F, _EDGE.T).var())
    return 1000 * min(across, down) / max(1.0, float(smooth.var()))


def turn(landmarks: NDArray[np.float32], engine: str) -> float:
    """How far the nose stands aside of the eyes' middle, in distances between the eyes; 0 from the front.

    `landmarks`: (5, 2) float32, x and y: for `sface` YuNet's (eye, eye, nose, two of the mouth), else dlib's (two of
    each eye, nose).
    """
    one, other, nose = _eyes_and_nose(landmarks, engine)
    across = other - one
    return float(np.dot(nose - (one + other) / 2, across) / max(1.0, float(np.dot(across, across))))


def nod(landmarks: NDArray[np.float32], engine: str) -> float:
    """How far the nose stands off the line between the eyes, in distances between the eyes; see `turn`.

    A face that looks up or down has another value than from the front; what that is differs between people.
    """
    one, other, nose = _eyes_and_nose(landmarks, engine)
    across, down = other - one, nose - (one + other) / 2
    cross = float(across[0] * down[1] - across[1] * down[0])
    return abs(cross) / max(1.0, float(np.dot(across, across)))


def _eyes_and_nose(
    landmarks: NDArray[np.float32], engine: str
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    if engine == "sface":
        return landmarks[0], landmarks[1], landmarks[2]
    return (landmarks[0] + landmarks[1]) / 2, (landmarks[2] + landmarks[3]) / 2, landmarks[4]


def eyes_and_nose(
    landmarks: NDArray[np.float32], engine: str
) -> tuple[tuple[tuple[float, float], tuple[float, float]], tuple[float, float]]:
    """((left eye, right eye), nose) in pixels, left and right as in the picture; see `turn`."""
    one, other, nose = _eyes_and_nose(landmarks, engine)
    left, right = sorted(((float(one[0]), float(one[1])), (float(other[0]), float(other[1]))))
    return (left, right), (float(nose[0]), float(nose[1]))


def _grey_patch(picture: NDArray[np.uint8], face: Face) -> NDArray[np.uint8] | None:
    x, y, width, height = face.box
    rows, columns = picture.shape[:2]
    inside = picture[max(0, y) : max(0, min(rows, y + height)), max(0, x) : max(0, min(columns, x + width))]
    if min(inside.shape[:2]) < width / 2:
        return None  # half of the face is outside the frame
    grey = cv2.cvtColor(np.ascontiguousarray(inside), cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (_PATCH_PX, _PATCH_PX), interpolation=cv2.INTER_AREA), np.uint8)
