"""One photo of one person becomes a vector, whatever bytes it is."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from agent.vision.quality import Floors, unusable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.vision.engine import FaceEngine

FORMATS = ("JPEG", "PNG")
MAX_PIXELS = {"JPEG": 50_000_000, "PNG": 16_000_000}
"""Today's largest phone photos. A JPEG is reduced while it is decoded; a PNG takes 4 bytes a pixel and a second."""
MIN_SIDE_PX = 40  # smaller than any face that could count
LONGEST_SIDE_PX = 1280  # larger ones are reduced first: a face keeps far more pixels than the network takes
MIN_FACE_PX = 80
_GROUND = (255, 255, 255, 255)  # what shows through a transparent picture


class PhotoRefusedError(Exception):
    """The photo cannot be used; `reason` is the code for `PhotoRefused`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def encode_photo(data: bytes, engine: FaceEngine) -> NDArray[np.float32]:
    """The vector, (128,) float32 of length 1, of the one face in a JPEG or PNG file. Raises `PhotoRefusedError`."""
    picture = decode_photo(data)
    faces = engine.detect(picture, exhaustive=True)
    if not faces:
        raise PhotoRefusedError("no_face")
    if len(faces) > 1:
        raise PhotoRefusedError("two_faces")
    if faces[0].box[2] < MIN_FACE_PX:
        raise PhotoRefusedError("face_too_small")
    reason = unusable(picture, faces[0], Floors(MIN_FACE_PX), engine.name)
    if reason:
        raise PhotoRefusedError(reason)
    return engine.vector(picture, faces[0])


def decode_photo(data: bytes) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB, upright by its EXIF, at most `LONGEST_SIDE_PX`. Raises `PhotoRefusedError`.

    The size is read before anything is decoded.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of sizes that are refused here anyway
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                _check_size(*image.size, MAX_PIXELS[image.format or "PNG"])
                # A JPEG is decoded at a half, a quarter or an eighth where that is large enough.
                image.draft(None, (LONGEST_SIDE_PX, LONGEST_SIDE_PX))
                return _to_rgb(image)
    except Image.DecompressionBombError:
        raise PhotoRefusedError("too_large") from None
    except (OSError, ValueError, SyntaxError):  # what its decoders raise for damaged files
        raise PhotoRefusedError("not_a_picture") from None


def _check_size(width: int, height: int, most: int) -> None:
    if width * height > most:
        raise PhotoRefusedError("too_large")
    if min(width, height) < MIN_SIDE_PX:
        raise PhotoRefusedError("too_small")


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I"):  # 16-bit grey: Pillow would cut it off at 255
        image = Image.fromarray(np.clip(np.asarray(image, np.float32) / 257, 0, 255).astype(np.uint8))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, _GROUND), layer)
    image = image.convert("RGB")
    image.thumbnail((LONGEST_SIDE_PX, LONGEST_SIDE_PX), Image.Resampling.BOX)
    return np.array(image, np.uint8)
