"""Whether the face of a track is a head or a flat picture of one: mode `photo`.

A flat picture moves by one homography, a head does not. A patch of the face is kept as a reference; every later frame
is brought back onto it by the best homography, and corners are tracked between the two, forward and back. What they
still move, as a root mean square in face widths, is the *residual*: noise for paper, parallax for a head. Where the
picture turned so far that a head would have shown parallax and none is there, it is flat.

Replayed video of a moving head, a bent print and a mask leave a residual as well: this mode does not stop them. Patches
live as long as a track and are never stored.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.vision.detector import Box

    Grey = NDArray[np.uint8]
    Points = NDArray[np.float32]

Verdict = Literal["live", "attack", "undecided"]
Reason = Literal["depth", "flat", "too_short", "still", "few_points", "frozen", "jump"]

RESIDUAL_LIVE = 0.0032
"""Face widths. The third largest of a track, rendered from the London set: with these constants and 14 people, flat
prints up to 0.0008, stills on a screen up to 0.0026, heads within 2 s 0.0035 and more. With a reference of 1.2 s and 14
other people, prints up to 0.0013 (with and without compression), bent ones up to 0.0034, heads 0.0034 and more."""
RESIDUAL_FLAT = RESIDUAL_LIVE / 2
NOISE_FACTOR = 3.0  # a residual counts as depth only so far above what the tracking itself is unsure of
SLANT = 0.008  # face widths by which a homography is no similarity; of those 14 heads none was flat where reached
RUN_S = 2.0  # a reference is used so long: who turns slowly has turned far enough by then
PACE_S = 0.055  # between two frames that are looked at: all of 15 a second, every second of 30
EVIDENCE = 3  # frames that must say the same
GAP_S = 1.0  # frozen or missing for longer, as in `tracking`: what comes then is something else until shown

_FACE_PX = 128  # of a patch
_PATCH_PX = 192
_CORNERS = 60
_CORNERS_MIN = 24
_CORNER_QUALITY = 0.01
_CORNER_APART_PX = 5
_INNER = (0.40, 0.44)  # half axes of the ellipse that corners are taken from, face widths: beside it is background
_RETURN_PX = 0.6  # forward and back must meet so closely
_KEPT = 0.9  # the share of corners that a homography is fitted to: gloss and lids are not the surface
_LOST = 0.4  # with fewer of the corners found again it is not the same surface
_STEP = 0.35  # face widths between two frames that are looked at, at the most
_LIGHT_PX = 21  # side: wider than a corner, narrower than a reflection or a shadow
_NOISE_LEVELS = 3.0  # differences of this size are a sensor's noise, and are not made larger
_WINDOW = (15, 15)
_CRITERIA = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.01)


@dataclass(frozen=True, slots=True)
class Liveness:
    """What is known of a track. `reason`: what decided it, or what is missing."""

    verdict: Verdict
    reason: Reason


@dataclass(frozen=True, slots=True)
class Sample:
    """One frame against its reference, in face widths; `noise`: how far forward and back fail to meet."""

    at: float
    residual: float
    noise: float
    slant: float


class PhotoLiveness:
    """Judges one track; frames in order, one thread."""

    def __init__(self) -> None:
        self._reference: _Reference | None = None
        self._samples: deque[Sample] = deque(maxlen=64)  # bounds RUN_S of any frame rate
        self._seen: deque[int] = deque(maxlen=64)
        self._taken_at = float("-inf")
        self._state = Liveness("undecided", "too_short")

    @property
    def state(self) -> Liveness:
        """What is known by now."""
        return self._state

    @property
    def newest(self) -> Sample | None:
        """The last frame that was measured."""
        return self._samples[-1] if self._samples else None

    def take(self, picture: NDArray[np.uint8], box: Box, at: float) -> Liveness:
        """Add a frame, (H, W, 3) uint8 RGB, with the face at `box` (x, y, width, height) captured at `at` seconds."""
        if 0 <= at - self._taken_at < PACE_S:
            return self._state
        if self._reference is not None and not 0 < at - self._taken_at <= GAP_S:
            self._begin_anew("frozen")
        grey = _grey_around(picture, box)
        if grey is None:
            return self._begin_anew("few_points")
        mark = hash(grey.picture.tobytes())
        if mark in self._seen:
            # The same picture twice is no evidence; for longer than GAP_S, or in a loop, everything begins anew.
            return self._state if mark == self._seen[-1] else self._begin_anew("frozen")
        self._seen.append(mark)
        self._taken_at = at
        if self._reference is None:
            return self._refer_to(grey, box, at)
        sample = self._reference.measure(grey, at)
        if sample is None or not self._reference.is_over(box):
            self._begin_anew("jump")
            return self._refer_to(grey, box, at)
        self._samples.append(sample)
        self._judge(at)
        return self._refer_to(grey, box, at) if at - self._reference.at >= RUN_S else self._state

    def _refer_to(self, grey: _Crop, box: Box, at: float) -> Liveness:
        self._reference = _Reference.make(grey, box, at)
        return self._state if self._reference is not None else self._begin_anew("few_points")

    def _begin_anew(self, why: Reason) -> Liveness:
        self._reference = None
        self._samples.clear()
        self._state = Liveness("undecided", why)
        return self._state

    def _judge(self, at: float) -> None:
        while self._samples and at - self._samples[0].at > RUN_S:
            self._samples.popleft()
        deep = [s for s in self._samples if s.residual >= max(RESIDUAL_LIVE, NOISE_FACTOR * s.noise)]
        slanted = [s for s in self._samples if s.slant >= SLANT]
        flat = [s for s in slanted if s.residual <= RESIDUAL_FLAT]
        if len(deep) >= EVIDENCE:
            self._state = Liveness("live", "depth")
        elif self._state.verdict == "undecided":
            if len(flat) >= EVIDENCE and len(flat) == len(slanted):
                self._state = Liveness("attack", "flat")
            else:
                self._state = Liveness("undecided", "too_short" if len(self._samples) < EVIDENCE else "still")


@dataclass(frozen=True, slots=True)
class _Crop:
    """Part of a frame in grey, from column `x` and row `y` of the frame."""

    picture: Grey
    x: int
    y: int


def _grey_around(picture: NDArray[np.uint8], box: Box) -> _Crop | None:
    """The frame around a face, with room for how far it moves in a step."""
    x, y, width, height = box
    if width < 1 or height < 1:
        return None
    rows, columns = picture.shape[:2]
    left, right = max(0, x - width // 2), min(columns, x + width + width // 2)
    top, bottom = max(0, y - height // 2), min(rows, y + height + height // 2)
    if right - left < width // 2 or bottom - top < height // 2:
        return None
    inside = np.ascontiguousarray(picture[top:bottom, left:right])
    return _Crop(np.asarray(cv2.cvtColor(inside, cv2.COLOR_RGB2GRAY), np.uint8), left, top)


class _Reference:
    """The patch that later frames are compared with, and where it was last."""

    def __init__(self, patch: Grey, corners: Points, place: NDArray[np.float64], at: float) -> None:
        self.at = at
        self._patch = patch
        self._corners = corners
        self._place = place  # (3, 3): from the patch to the frame, as last seen
        self._start = place

    @classmethod
    def make(cls, crop: _Crop, box: Box, at: float) -> _Reference | None:
        """None when there is too little to hold on to."""
        x, y, width, height = box
        scale = width / _FACE_PX
        place = np.array(
            [
                [scale, 0, x + width / 2 - scale * _PATCH_PX / 2],
                [0, scale, y + height / 2 - scale * _PATCH_PX / 2],
                [0, 0, 1],
            ]
        )
        patch = _bring_back(crop, place)
        mask = np.zeros_like(patch)
        axes = (round(_INNER[0] * _FACE_PX), round(_INNER[1] * _FACE_PX))
        cv2.ellipse(mask, (_PATCH_PX // 2, _PATCH_PX // 2), axes, 0, 0, 360, (255,), -1)
        found: Any = cv2.goodFeaturesToTrack(patch, _CORNERS, _CORNER_QUALITY, _CORNER_APART_PX, mask=mask)
        if found is None or len(found) < _CORNERS_MIN:
            return None
        return cls(patch, np.asarray(found, np.float32).reshape(-1, 2), place, at)

    def measure(self, crop: _Crop, at: float) -> Sample | None:
        """Find the corners again and fit; None when it is not the same surface."""
        place = self._place
        for _ in range(2):  # once to follow the movement, once more to measure without it
            found = self._track(_bring_back(crop, place))
            if found is None:
                return None
            kept, moved, noise_px = found
            fit = _fit(self._corners[kept], moved)
            if fit is None:
                return None
            homography, residual_px = fit
            place = place @ homography
            place /= place[2, 2]
        ends = _project(place, _OUTLINE)
        step = np.abs(ends - _project(self._place, _OUTLINE)).max() / (self._start[0, 0] * _FACE_PX)
        if not np.isfinite(step) or step > _STEP:
            return None
        self._place = place
        since_start = np.asarray(np.linalg.solve(self._start, place), np.float64)
        slant = _slant(since_start, self._corners)
        return Sample(at, residual_px / _FACE_PX, noise_px / _FACE_PX, slant)

    def is_over(self, box: Box) -> bool:
        """Whether the patch is still where the detector sees the face."""
        x, y, width, height = box
        middle = _project(self._place, np.array([[_PATCH_PX / 2, _PATCH_PX / 2]]))[0]
        return bool(np.hypot(*(middle - (x + width / 2, y + height / 2))) < _STEP * width)

    def _track(self, patch: Grey) -> tuple[NDArray[np.bool_], Points, float] | None:
        """Which corners were found, where, and how far forward and back fail to meet (rms, pixels)."""
        there, is_there = _flow(self._patch, patch, self._corners)
        back, is_back = _flow(patch, self._patch, there)
        apart = np.hypot(*(back - self._corners).T)
        kept = np.asarray(is_there & is_back & (apart < _RETURN_PX), np.bool_)
        if kept.sum() < max(_LOST * len(kept), _CORNERS_MIN / 2):
            return None
        return kept, there[kept], float(np.sqrt(np.mean(apart[kept] ** 2)))


_OUTLINE = np.array([(x, y) for x in (32.0, 160.0) for y in (32.0, 160.0)])


def _flow(before: Grey, after: Grey, corners: Points) -> tuple[Points, NDArray[np.bool_]]:
    """Where corners of one patch are in another, and which were found."""
    there, is_found, _ = cv2.calcOpticalFlowPyrLK(
        before, after, corners, corners.copy(), winSize=_WINDOW, maxLevel=3, criteria=_CRITERIA
    )
    return np.asarray(there, np.float32), np.asarray(is_found.ravel() == 1, np.bool_)


def _bring_back(crop: _Crop, place: NDArray[np.float64]) -> Grey:
    """The patch that `place` maps onto the frame."""
    into_crop = np.array([[1.0, 0, -crop.x], [0, 1, -crop.y], [0, 0, 1]]) @ place
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    patch = cv2.warpPerspective(
        crop.picture, into_crop, (_PATCH_PX, _PATCH_PX), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return _without_light(np.asarray(patch, np.float32))


def _without_light(patch: NDArray[np.float32]) -> Grey:
    """Only what differs from its surroundings, in units of how much things differ there.

    Tracking takes a reflection or a shadow that moves over the picture for movement: on paper with a lamp's gloss this
    leaves a tenth of the residual.
    """
    detail = patch - cv2.blur(patch, (_LIGHT_PX, _LIGHT_PX))
    around = 2 * _LIGHT_PX - 1
    contrast = np.sqrt(cv2.blur(detail * detail, (around, around)) + _NOISE_LEVELS**2)
    return np.asarray(np.clip(detail * (48 / contrast) + 128, 0, 255), np.uint8)


def _fit(before: Points, after: Points) -> tuple[NDArray[np.float64], float] | None:
    """The homography that leaves least of the best `_KEPT` of the corners, and the rms of what it leaves, pixels."""
    kept = np.ones(len(before), bool)
    homography = np.eye(3)
    left = np.zeros(len(before))
    for _ in range(3):
        fitted: Any = cv2.findHomography(before[kept], after[kept], 0)[0]  # None where it cannot, unlike its stub
        if fitted is None or not np.isfinite(fitted).all():
            return None
        homography = np.asarray(fitted, np.float64)
        left = np.hypot(*(_project(homography, before) - after).T)
        kept = left <= np.quantile(left, _KEPT)
    return homography, float(np.sqrt(np.mean(left[kept] ** 2)))


def _project(homography: NDArray[np.float64], points: NDArray[np.float64] | Points) -> NDArray[np.float64]:
    through = np.column_stack([points, np.ones(len(points))]).astype(np.float64) @ homography.T
    return np.asarray(through[:, :2] / through[:, 2:], np.float64)


def _slant(homography: NDArray[np.float64], corners: Points) -> float:
    """How far a homography is from moving, turning and scaling alone: rms over the corners, face widths."""
    moved = _project(homography, corners)
    before, after = corners - corners.mean(axis=0), moved - moved.mean(axis=0)
    one, other = before[:, 0] + 1j * before[:, 1], after[:, 0] + 1j * after[:, 1]
    turn = np.vdot(one, other) / max(1e-9, np.vdot(one, one).real)
    return float(np.sqrt(np.mean(np.abs(other - turn * one) ** 2)) / _FACE_PX)
