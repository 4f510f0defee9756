"""A pass as people get it: in a terminal and as a picture, and both can be read."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from agent.core.passes import Pass, in_order
from agent.qr_codes import QUIET_MODULES, draw, png, terminal_lines
from agent.signatures import generate, sign

TEXT = sign(generate(1), Pass(1, "0123456789abcdef", "m" * 20, stations=in_order(["station-0001"])))


def read(modules: NDArray[np.uint8]) -> str:
    picture = np.kron(255 - 255 * modules, np.ones((6, 6), np.uint8)).astype(np.uint8)
    return str(cv2.QRCodeDetectorAruco().detectAndDecode(picture)[0])


def test_the_longest_pass_makes_a_code_of_41_modules() -> None:
    modules = draw(TEXT)
    assert modules.shape == (41 + 2 * QUIET_MODULES,) * 2
    assert read(modules) == TEXT


def test_the_picture_can_be_read() -> None:
    picture = cv2.imdecode(np.frombuffer(png(TEXT), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    assert cv2.QRCodeDetectorAruco().detectAndDecode(picture)[0] == TEXT


@pytest.mark.parametrize("is_coloured", [False, True])
def test_the_terminal_shows_the_same_modules(is_coloured: bool) -> None:
    rows: list[list[int]] = []
    for line in terminal_lines(TEXT, is_coloured=is_coloured):
        assert line.startswith("\x1b[38;5;16;48;5;231m") is is_coloured
        assert line.endswith("\x1b[0m") is is_coloured
        blocks = [each for each in line if each in " ▀▄█"]
        rows += [[int(each in "▀█") for each in blocks], [int(each in "▄█") for each in blocks]]
    modules = draw(TEXT)
    assert np.array_equal(np.array(rows)[: len(modules)], modules)


@pytest.mark.parametrize("text", ["lower case", "X" * 5000])
def test_what_is_not_alphanumeric_or_too_long_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        draw(text)
