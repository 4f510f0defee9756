"""Frames of somebody who has come up to a door, made from a portrait, for measuring what a frame costs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

FRAME_PX = (640, 480)
FRAME_S = 0.1
FACE_WIDTHS_PX = (90, 120, 160, 220)  # in the frame, as people come nearer
_ASIDE, _ABOVE = 1.7, 1.2  # face widths that are cut out round a face: a person's shoulders, and a hat; below, all
_NOISE_LEVELS = 3.0  # of a sensor
_STEP_PX = 4.0  # between two frames


def empty_doorway() -> Picture:
    """A wall, a little darker on one side, (480, 640, 3) uint8 RGB."""
    columns = np.linspace(120, 150, FRAME_PX[0]).astype(np.uint8)
    return np.broadcast_to(columns[None, :, None], (FRAME_PX[1], FRAME_PX[0], 3)).copy()


def frames_of(portrait: Picture, face_px: int, *, count: int = 4) -> Iterator[Picture]:
    """Frames before that wall, each a step aside of the last, with fresh noise; the face so wide as HOG draws it."""
    from agent.vision.detector import HogDetector

    (found, *_) = HogDetector().detect(portrait)
    x, y, width, height = found.box
    centre_x, centre_y = x + width / 2, y + height / 2
    scale = face_px / width
    left, right = round(centre_x - _ASIDE * width), round(centre_x + _ASIDE * width)
    mask = np.zeros(portrait.shape[:2], np.uint8)
    mask[max(0, round(centre_y - _ABOVE * width)) :, max(0, left) : right] = 255
    noise = np.random.default_rng(0)
    for number in range(count):
        aside = _STEP_PX * (number - count / 2)
        shift = (FRAME_PX[0] / 2 + aside - scale * centre_x, FRAME_PX[1] / 2 - scale * centre_y)
        matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float64)
        person = cv2.warpAffine(portrait, matrix, FRAME_PX)
        frame = np.where(cv2.warpAffine(mask, matrix, FRAME_PX)[..., None] > 127, person, empty_doorway())
        frame = frame + _NOISE_LEVELS * noise.standard_normal(frame.shape, np.float32)
        yield np.clip(frame, 0, 255).astype(np.uint8)
