"""Surfaces before a pinhole camera: a head, a sheet of paper, a bent sheet; seen ray by ray.

Units are face widths; x right, y down, both from the middle of the face in its portrait; the height `h` points towards
the camera. A frame is made backwards: for every fourth pixel the ray is followed to the surface (relief mapping: linear
steps from the front, then secants), and between those points the map is interpolated. A nose hides a cheek in this way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[np.float32]

NODE_PX = 4  # of the frame: the maps bend so little over this that interpolation errs by a hundredth of a pixel
_STEPS = 20
_SECANTS = 4


class Surface(Protocol):
    """A height over the portrait's plane."""

    highest: float
    lowest: float

    def height(self, x: Plane, y: Plane) -> Plane:
        """`h` at these places, all in face widths."""

    def on_portrait(self, x: Plane, y: Plane) -> tuple[Plane, Plane]:
        """Where in the portrait the surface at (x, y) has its colour from."""


@dataclass(frozen=True, slots=True)
class HeadShape:
    """A head as a superellipsoid with a nose, sockets, lips and a chin; lengths in face widths.

    A face width is some 14 cm (bizygomatic breadth). `eyes`, `nose`: places in the portrait's plane.
    """

    eyes: tuple[tuple[float, float], tuple[float, float]]
    nose: tuple[float, float]
    half_width: float
    half_height: float
    depth: float
    roundness: float
    nose_height: float
    nose_width: float
    socket_depth: float
    chin_height: float


class Head:
    """See `HeadShape`. The heights are worked out once on a grid and looked up from then on."""

    CENTRE_Y = -0.12  # the skull reaches further up than the face
    _REACH, _CELL = 1.6, 0.01

    def __init__(self, shape: HeadShape) -> None:
        side = np.arange(-self._REACH, self._REACH + self._CELL / 2, self._CELL, dtype=np.float32)
        x, y = np.meshgrid(side, side)
        self._grid = _head_heights(shape, x, y, self.CENTRE_Y)
        self.highest = float(self._grid.max())
        self.lowest = float(self._grid.min())
        gradient_y, gradient_x = np.gradient(self._grid, self._CELL)
        # Seen from the front the side of the head is a cliff; its normal is of no use for shading.
        self._slopes = np.dstack([np.clip(gradient_x, -2, 2), np.clip(gradient_y, -2, 2)]).astype(np.float32)

    def height(self, x: Plane, y: Plane) -> Plane:
        """See `Surface`."""
        return self._look_up(self._grid, x, y)

    def on_portrait(self, x: Plane, y: Plane) -> tuple[Plane, Plane]:
        """See `Surface`."""
        return x, y

    def normals(self, x: Plane, y: Plane) -> NDArray[np.float32]:
        """Unit normals (…, 3) towards the camera's side: x right, y down, z away."""
        slopes = self._look_up(self._slopes, x, y)
        normals = np.dstack([-slopes[..., 0], -slopes[..., 1], -np.ones_like(x)])
        normals /= np.linalg.norm(normals, axis=2, keepdims=True)
        return np.asarray(normals, np.float32)

    def _look_up(self, grid: NDArray[np.float32], x: Plane, y: Plane) -> NDArray[np.float32]:
        import cv2

        column = ((x + self._REACH) / self._CELL).astype(np.float32)
        row = ((y + self._REACH) / self._CELL).astype(np.float32)
        found = cv2.remap(grid, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(found, np.float32)


def _head_heights(shape: HeadShape, x: Plane, y: Plane, centre_y: float) -> Plane:
    power = shape.roundness
    radius = np.hypot(x / shape.half_width, (y - centre_y) / shape.half_height)
    heights = shape.depth * (1 - np.minimum(radius, 1) ** power) ** (1 / power)
    nose_x, nose_y = shape.nose
    brow_y = (shape.eyes[0][1] + shape.eyes[1][1]) / 2
    along = np.clip((y - brow_y) / max(0.05, nose_y - brow_y), 0, 1)  # 0 between the eyes, 1 at the tip
    below = np.exp(-(np.maximum(y - nose_y, 0) ** 2) / (2 * 0.03**2))
    heights += shape.nose_height * along * below * np.exp(-((x - nose_x) ** 2) / (2 * shape.nose_width**2))
    for eye_x, eye_y in shape.eyes:
        heights -= shape.socket_depth * np.exp(-((x - eye_x) ** 2 + (y - eye_y) ** 2) / (2 * 0.09**2))
    mouth_y = nose_y + 0.2
    for bump_y, bump, wide in ((mouth_y, 0.5, 0.10), (mouth_y + 0.2, 1.0, 0.09)):
        heights += shape.chin_height * bump * np.exp(-((x - nose_x) ** 2 + (y - bump_y) ** 2) / (2 * wide**2))
    return np.asarray(heights, np.float32)


class Sheet:
    """A flat sheet."""

    highest = lowest = 0.0

    def height(self, x: Plane, y: Plane) -> Plane:  # noqa: ARG002
        """See `Surface`."""
        return np.zeros_like(x)

    def on_portrait(self, x: Plane, y: Plane) -> tuple[Plane, Plane]:
        """See `Surface`."""
        return x, y


class BentSheet:
    """A sheet bent round a cylinder of `radius` (face widths), towards the camera in its middle; paper cannot stretch.

    `axis`: direction of the cylinder's axis, radians from upright.
    """

    def __init__(self, radius: float, axis: float) -> None:
        self._radius = radius
        self._cosine, self._sine = np.float32(np.cos(axis)), np.float32(np.sin(axis))
        self._reach = 0.98 * radius
        self.highest = 0.0
        self.lowest = float(np.sqrt(radius**2 - self._reach**2) - radius)

    def height(self, x: Plane, y: Plane) -> Plane:
        """See `Surface`."""
        across = np.clip(x * self._cosine + y * self._sine, -self._reach, self._reach)
        return np.asarray(np.sqrt(self._radius**2 - across**2) - self._radius, np.float32)

    def on_portrait(self, x: Plane, y: Plane) -> tuple[Plane, Plane]:
        """See `Surface`. Arc length on the cylinder is length on the paper; beyond its edge there is no paper."""
        across = x * self._cosine + y * self._sine
        arc = self._radius * np.arcsin(np.clip(across / self._radius, -0.98, 0.98))
        arc = np.where(np.abs(across) > self._reach, np.float32(100.0), arc)
        extra = (arc - across).astype(np.float32)
        return x + extra * self._cosine, y + extra * self._sine


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a surface is: turned by (yaw, pitch, roll), radians, about `pivot`, then moved; face widths.

    `place`: where the pivot's origin (the middle of the portrait's face) is from the lens: right, down, away.
    """

    yaw: float
    pitch: float
    roll: float
    place: tuple[float, float, float]
    pivot: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def rotation(self) -> NDArray[np.float64]:
        """(3, 3), object to camera."""
        (cy, sy), (cp, sp), (cr, sr) = ((np.cos(a), np.sin(a)) for a in (self.yaw, self.pitch, self.roll))
        yaw = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        pitch = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
        roll = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
        return np.asarray(roll @ pitch @ yaw, np.float64)


class Lens:
    """A pinhole with first-order radial distortion. `focal_px` in pixels, `distortion` per squared tangent."""

    def __init__(self, size: tuple[int, int], focal_px: float, distortion: float) -> None:
        columns, rows = size
        self.size = size
        self.focal_px = focal_px
        across = np.arange(0, columns + NODE_PX, NODE_PX, dtype=np.float32)
        down = np.arange(0, rows + NODE_PX, NODE_PX, dtype=np.float32)
        x, y = np.meshgrid((across - columns / 2) / focal_px, (down - rows / 2) / focal_px)
        stretch = 1 + distortion * (x * x + y * y)
        self._rays = np.dstack([x * stretch, y * stretch, np.ones_like(x)]).astype(np.float32)
        self._distortion = distortion

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 3) in camera coordinates to (N, 2) pixels."""
        ideal = points[:, :2] / points[:, 2:]
        seen = ideal.copy()
        for _ in range(5):  # contracts by the distortion's size each time
            seen = ideal / (1 + self._distortion * (seen**2).sum(axis=1, keepdims=True))
        return np.asarray(seen * self.focal_px + np.array(self.size) / 2, np.float64)

    def look_at(self, surface: Surface, pose: Pose) -> tuple[Plane, Plane]:
        """Places (x, y) on the surface where the rays of the nodes meet it, in face widths."""
        rotation = pose.rotation
        pivot = np.array(pose.pivot)
        origin = (rotation.T @ -(np.array(pose.place) + pivot) + pivot).astype(np.float32)
        direction = self._rays @ rotation.astype(np.float32)
        depth = np.maximum(direction[..., 2], np.float32(0.05))  # never so slanted with what is rendered here
        slope_x, slope_y = direction[..., 0] / depth, direction[..., 1] / depth

        def at(height: Plane | np.float32) -> tuple[Plane, Plane]:
            ahead = -height - origin[2]
            return origin[0] + slope_x * ahead, origin[1] + slope_y * ahead

        if surface.highest == surface.lowest:
            return at(np.float32(surface.highest))
        return at(_first_meeting(surface, at, slope_x.shape))


def _first_meeting(surface: Surface, at: _At, shape: tuple[int, ...]) -> Plane:
    """The height at which each ray first goes below the surface."""
    levels = np.linspace(surface.highest + 0.01, surface.lowest - 0.01, _STEPS, dtype=np.float32)
    above = np.full(shape, levels[0], np.float32)
    gap_above = above - surface.height(*at(above))
    below, gap_below = above.copy(), gap_above.copy()
    is_met = np.zeros(shape, bool)
    for level in levels[1:]:
        here = np.full(shape, level, np.float32)
        gap = here - surface.height(*at(here))
        new = ~is_met & (gap <= 0)
        below[new], gap_below[new] = level, gap[new]
        is_met |= new
        above[~is_met], gap_above[~is_met] = level, gap[~is_met]
    below[~is_met], gap_below[~is_met] = levels[-1], np.float32(-1e-3)
    for _ in range(_SECANTS):
        share = gap_above / np.maximum(gap_above - gap_below, np.float32(1e-9))
        here = above + (below - above) * np.clip(share, 0.1, 0.9)
        gap = here - surface.height(*at(here))
        is_below = gap <= 0
        below, gap_below = np.where(is_below, here, below), np.where(is_below, gap, gap_below)
        above, gap_above = np.where(is_below, above, here), np.where(is_below, gap_above, gap)
    share = gap_above / np.maximum(gap_above - gap_below, np.float32(1e-9))
    return np.asarray(above + (below - above) * np.clip(share, 0, 1), np.float32)


if TYPE_CHECKING:
    from collections.abc import Callable

    _At = Callable[[Plane | np.float32], tuple[Plane, Plane]]
