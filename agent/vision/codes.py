"""Codes of passes in frames: read at a bounded pace, and each one told once.

A code is looked for only in frames that the motion gate let through: nothing of this runs while nobody is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PACE_S = 0.4  # between two looks: a rider holds a code up for a second or two, and faces need the time in between
AGAIN_S = 5.0  # a code that stays in view is one presentation; out of view for so long, it is another
TEXT_MAX = 200  # characters; a pass has 165 at the most
CODES_MAX = 4  # in one look, and remembered: a phone before a coat and a parcel; bounds what a printed wall can bring
ENLARGED = 2.0
"""The second look's scale. The finder works on whole pixels, and small modules want more of them: without it an eighth
of the blurred codes of `bench/codes.py` is lost."""


class CodeReader:
    """One thread."""

    def __init__(self) -> None:
        self._detector = cv2.QRCodeDetectorAruco()
        self._looked_at = float("-inf")
        self._seen: dict[str, float] = {}

    def take(self, picture: NDArray[np.uint8], at: float) -> list[str]:
        """The texts of codes that come into view, each at most `TEXT_MAX` printable ASCII characters.

        `picture`: (H, W, 3) uint8 RGB, captured at `at` seconds.
        """
        if at - self._looked_at < PACE_S:
            return []
        self._looked_at = at
        found = read_codes(picture, self._detector)
        fresh = [text for text in found if at - self._seen.get(text, float("-inf")) >= AGAIN_S]
        seen = {**self._seen, **dict.fromkeys(found, at)}
        newest = sorted(seen.items(), key=lambda each: each[1])[-CODES_MAX:]
        self._seen = {text: seen_at for text, seen_at in newest if at - seen_at < AGAIN_S}
        return fresh


def read_codes(picture: NDArray[np.uint8], detector: cv2.QRCodeDetectorAruco) -> list[str]:
    """The texts of the codes in a frame, (H, W, 3) uint8 RGB, but for what no pass can be; each once."""
    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
    texts = _decode(grey, detector)
    if not texts:
        size = (round(grey.shape[1] * ENLARGED), round(grey.shape[0] * ENLARGED))
        texts = _decode(np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_CUBIC), np.uint8), detector)
    possible = (each for each in texts if 0 < len(each) <= TEXT_MAX and each.isascii() and each.isprintable())
    return list(dict.fromkeys(possible))[:CODES_MAX]


def _decode(grey: NDArray[np.uint8], detector: cv2.QRCodeDetectorAruco) -> list[str]:
    try:
        return [text for text in detector.detectAndDecodeMulti(grey)[1] if text]
    except (cv2.error, UnicodeDecodeError):  # a shape that it chokes on; a code of bytes that are no text
        return []
