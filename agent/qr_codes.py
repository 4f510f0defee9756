"""QR codes of passes: drawn for a terminal and as PNG. The one importer of segno."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import segno

if TYPE_CHECKING:
    from numpy.typing import NDArray

QUIET_MODULES = 4  # the margin that ISO/IEC 18004 asks for
_PNG_SCALE = 12  # pixels a module: sharp on a phone, some 600 pixels wide
_HALVES = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}
_BLACK_ON_WHITE, _AS_BEFORE = "\x1b[38;5;16;48;5;231m", "\x1b[0m"


def draw(text: str) -> NDArray[np.uint8]:
    """The modules of the code of `text`, margin included: (N, N) uint8, 1 where dark.

    Alphanumeric mode; error correction L, or more where that costs no larger code: modules that are larger read better
    from afar than more correction (`bench/codes.py`). Raises ValueError for a text that is not alphanumeric.
    """
    return np.pad(np.array(_encode(text).matrix, np.uint8), QUIET_MODULES)


def png(text: str) -> bytes:
    """The code as the bytes of a PNG file, black on white. Raises ValueError."""
    file = io.BytesIO()
    _encode(text).save(file, kind="png", scale=_PNG_SCALE, border=QUIET_MODULES)
    return file.getvalue()


def terminal_lines(text: str, *, is_coloured: bool) -> Iterator[str]:
    """The code in half blocks, two rows of modules a line.

    `is_coloured`: black on white whatever the terminal's own colours are, for a code in inverse is often not read.
    """
    modules = draw(text)
    if len(modules) % 2:
        modules = np.pad(modules, ((0, 1), (0, 0)))
    for upper, lower in zip(modules[::2], modules[1::2], strict=True):
        line = "".join(_HALVES[int(above), int(below)] for above, below in zip(upper, lower, strict=True))
        yield f"{_BLACK_ON_WHITE}{line}{_AS_BEFORE}" if is_coloured else line


def _encode(text: str) -> segno.QRCode:
    try:
        return segno.make_qr(text, mode="alphanumeric", error="l", boost_error=True)
    except segno.DataOverflowError:
        raise ValueError("the text is too long for a QR code") from None
