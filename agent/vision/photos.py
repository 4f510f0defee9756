"""One photo of one person becomes a vector, whatever bytes it is."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.vision.engine import FaceEngine

MAX_PIXELS = 50_000_000  # today's largest phone photos; 150 MB once decoded
MIN_SIDE_PX = 40  # smaller than any face that could count
LONGEST_SIDE_PX = 1280  # larger ones are reduced first: a face keeps far more pixels than the network takes
MIN_FACE_PX = 80


class PhotoRefusedError(Exception):
    """The photo cannot be used; `reason` is the code for `PhotoRefused`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def encode_photo(data: bytes, engine: FaceEngine) -> NDArray[np.float32]:
    """The vector, (128,) float32 of length 1, of the one face in a JPEG or PNG file. Raises `PhotoRefusedError`."""
    picture = _decode(data)
    faces = engine.detect(picture, exhaustive=True)
    if not faces:
        raise PhotoRefusedError("no_face")
    if len(faces) > 1:
        raise PhotoRefusedError("two_faces")
    if faces[0].box[2] < MIN_FACE_PX:
        raise PhotoRefusedError("face_too_small")
    return engine.vector(picture, faces[0])


def _decode(data: bytes) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB, upright by its EXIF. The size is read before anything is decoded."""
    width, height = _size(data)
    if width * height > MAX_PIXELS:
        raise PhotoRefusedError("too_large")
    if min(width, height) < MIN_SIDE_PX:
        raise PhotoRefusedError("too_small")
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        bgr = None
    if bgr is None:
        raise PhotoRefusedError("not_a_picture")
    scale = LONGEST_SIDE_PX / max(bgr.shape[:2])
    if scale < 1:
        bgr = cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def _size(data: bytes) -> tuple[int, int]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of sizes that are refused here anyway
            with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
                return image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise PhotoRefusedError("not_a_picture") from None
