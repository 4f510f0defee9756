"""Passes as a cheap camera sees them: frames of 640 × 480 with a code 200 px wide, distorted in known ranges.

The width is that of the code itself, without its margin, before it is turned: a phone at about 25 cm. Every range is
uniform and was written down before the reader was tuned; `RANGES` is what the figures are about. A frame is composed in
one projective step from a code drawn at 12 px a module, so that nothing is sampled twice, then:

blur    a Gaussian, or a motion in any direction, whichever is drawn (each half of the time)
tilt    the phone turned about its upright and its level axis, and in the picture's plane
noise   the sensor's, on each channel, then JPEG as cheap cameras send it
glare   a bright spot on the screen's glass, and a lift of its blacks

Each kind alone and all four together; the others then stand at `MILD`, for no camera is perfect. A seed gives the same
frames everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.core.passes import Pass, in_order
from agent.qr_codes import QUIET_MODULES, draw
from agent.signatures import SigningKey, sign

COLUMNS, ROWS, CODE_PX = 640, 480, 200
_MODULE_PX = 12
_FOCAL_PX = 700.0  # a lens of 49 degrees across, as most webcams have


@dataclass(frozen=True, slots=True)
class Ranges:
    """Upper ends, all from 0: pixels of blur, degrees, levels of 255, shares."""

    gaussian_px: float
    motion_px: float
    yaw_degrees: float
    pitch_degrees: float
    roll_degrees: float
    noise_levels: float
    jpeg_loss: int
    glare: float
    glare_radius_px: float
    lifted_black: float


RANGES = Ranges(
    gaussian_px=1.5,
    motion_px=5.0,
    yaw_degrees=30.0,
    pitch_degrees=30.0,
    roll_degrees=30.0,
    noise_levels=20.0,
    jpeg_loss=50,
    glare=0.8,
    glare_radius_px=45.0,
    lifted_black=0.35,
)
MILD = Ranges(0.5, 1.0, 5.0, 5.0, 5.0, 4.0, 15, 0.0, 1.0, 0.1)
KINDS = ("blur", "tilt", "noise", "glare", "all")


@dataclass(frozen=True, slots=True)
class Shot:
    """A frame, (480, 640, 3) uint8 RGB, and what its code says."""

    picture: NDArray[np.uint8]
    text: str
    kind: str


def ranges_of(kind: str) -> Ranges:
    """What is drawn from for one kind of distortion."""
    if kind == "all":
        return RANGES
    mine = {
        "blur": ("gaussian_px", "motion_px"),
        "tilt": ("yaw_degrees", "pitch_degrees", "roll_degrees"),
        "noise": ("noise_levels", "jpeg_loss"),
        "glare": ("glare", "glare_radius_px", "lifted_black"),
    }[kind]
    return replace(MILD, **{name: getattr(RANGES, name) for name in mine})


def shots(kind: str, count: int, key: SigningKey, seed: int) -> Iterator[Shot]:
    """`count` frames, each with a pass of its own: 85 + 6 to 110 bytes."""
    dice = np.random.default_rng([seed, KINDS.index(kind)])
    for _ in range(count):
        text = sign(key, _any_pass(dice, key.key_id))
        yield Shot(_photograph(draw(text), ranges_of(kind), dice), text, kind)


def _any_pass(dice: np.random.Generator, key_id: int) -> Pass:
    """For one station, its holder's id of 4 to 20 characters: 94 to 110 bytes."""
    holder = "m" + dice.bytes(10).hex()[: int(dice.integers(3, 20))]
    begins = int(dice.integers(29_000_000, 31_000_000))
    return Pass(
        key_id=key_id,
        pass_id=dice.bytes(8).hex(),
        holder=holder,
        stations=in_order([f"station-{dice.integers(1, 15_000):05}"]),
        valid_from=begins,
        valid_until=begins + int(dice.integers(60, 100_000)),
        is_once=bool(dice.integers(2)),
    )


def _photograph(modules: NDArray[np.uint8], most: Ranges, dice: np.random.Generator) -> NDArray[np.uint8]:
    code = cv2.resize(255 - 255 * modules, None, fx=_MODULE_PX, fy=_MODULE_PX, interpolation=cv2.INTER_NEAREST)
    # Before it is made small, so that no module falls between two pixels unseen.
    scale = CODE_PX / (_MODULE_PX * (len(modules) - 2 * QUIET_MODULES))
    code = cv2.GaussianBlur(code, (0, 0), 0.4 / scale)
    lift = dice.uniform(0, most.lifted_black)
    white = dice.uniform(180, 255)
    screen = white * (lift + (1 - lift) * code.astype(np.float32) / 255)
    view = _projection(len(code), scale, most, dice)
    frame = cv2.warpPerspective(screen, view, (COLUMNS, ROWS), flags=cv2.INTER_LINEAR)
    cover = cv2.warpPerspective(np.ones_like(screen), view, (COLUMNS, ROWS), flags=cv2.INTER_LINEAR)
    picture = np.asarray(frame + (1 - cover) * _background(dice), np.float32)
    picture = _glare(picture, np.asarray(cover, np.float32), most, dice)
    picture = _blur(picture, most, dice)
    colours = picture[:, :, None] * dice.uniform(0.92, 1.0, 3) + dice.normal(
        0, dice.uniform(0, most.noise_levels), (ROWS, COLUMNS, 3)
    )
    bytes_ = np.clip(np.rint(colours), 0, 255).astype(np.uint8)
    quality = 95 - int(dice.integers(0, most.jpeg_loss + 1))
    _, packed = cv2.imencode(".jpg", bytes_, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)  # in and out in one order of colours


def _projection(size: int, scale: float, most: Ranges, dice: np.random.Generator) -> NDArray[np.float64]:
    """From the drawing to the frame: turned about its middle in space, then seen by the lens."""
    yaw, pitch, roll = (
        math.radians(dice.uniform(-each, each)) for each in (most.yaw_degrees, most.pitch_degrees, most.roll_degrees)
    )
    turn = _about(1, yaw) @ _about(0, pitch) @ _about(2, roll)
    middle = np.array([COLUMNS / 2 + dice.uniform(-120, 120), ROWS / 2 + dice.uniform(-60, 60)])
    to_middle = np.array([[scale, 0, -scale * size / 2], [0, scale, -scale * size / 2], [0, 0, 1]])
    # At the distance at which the lens shows a pixel as a pixel, so that the code is as wide as it should be.
    plane = np.column_stack([turn[:, 0], turn[:, 1], np.array([0, 0, _FOCAL_PX])])
    lens = np.array([[_FOCAL_PX, 0, middle[0]], [0, _FOCAL_PX, middle[1]], [0, 0, 1]])
    view: NDArray[np.float64] = lens @ plane @ to_middle
    return view


def _about(axis: int, angle: float) -> NDArray[np.float64]:
    vector = np.zeros(3)
    vector[axis] = angle
    return np.asarray(cv2.Rodrigues(vector)[0], np.float64)


def _background(dice: np.random.Generator) -> NDArray[np.float32]:
    """A wall and somebody's coat: a gradient with a few soft blocks."""
    small = dice.uniform(30, 170, (6, 8)).astype(np.float32)
    wall = np.asarray(cv2.resize(small, (COLUMNS, ROWS), interpolation=cv2.INTER_CUBIC), np.float32)
    for _ in range(6):
        left, top = int(dice.integers(0, COLUMNS)), int(dice.integers(0, ROWS))
        right, bottom = left + int(dice.integers(20, 160)), top + int(dice.integers(20, 160))
        cv2.rectangle(wall, (left, top), (right, bottom), float(dice.uniform(10, 220)), -1)
    return wall


def _glare(
    picture: NDArray[np.float32], cover: NDArray[np.float32], most: Ranges, dice: np.random.Generator
) -> NDArray[np.float32]:
    rows, columns = np.nonzero(cover > 0.5)
    at = int(dice.integers(len(rows)))
    radius = dice.uniform(0.3, 1.0) * most.glare_radius_px
    distance = (np.arange(COLUMNS)[None] - columns[at]) ** 2 + (np.arange(ROWS)[:, None] - rows[at]) ** 2
    spot = dice.uniform(0, most.glare) * np.exp(-distance / (2 * radius**2))
    return np.asarray(picture + (255 - picture) * spot, np.float32)


def _blur(picture: NDArray[np.float32], most: Ranges, dice: np.random.Generator) -> NDArray[np.float32]:
    if dice.integers(2):
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), max(0.1, dice.uniform(0, most.gaussian_px))), np.float32)
    length, angle = dice.uniform(0, most.motion_px), dice.uniform(0, math.pi)
    kernel = np.zeros((15, 15), np.float32)
    for step in np.linspace(-length / 2, length / 2, 41):
        x, y = 7 + step * math.cos(angle), 7 + step * math.sin(angle)
        column, row = int(x), int(y)
        for over, down in ((0, 0), (0, 1), (1, 0), (1, 1)):
            kernel[row + down, column + over] += (1 - abs(x - column - over)) * (1 - abs(y - row - down))
    return np.asarray(cv2.filter2D(picture, -1, kernel / kernel.sum()), np.float32)
