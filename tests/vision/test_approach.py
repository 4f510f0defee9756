from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from agent.vision.approach import FACE_WIDTHS_PX, FRAME_S, empty_doorway, frames_of
from agent.vision.gate import MotionGate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.vision.engine import DlibEngine


@pytest.mark.parametrize("width_px", FACE_WIDTHS_PX)
def test_the_face_is_so_wide_and_the_gate_sees_who_has_come(
    width_px: int, hopper: NDArray[np.uint8], hog_engine: DlibEngine
) -> None:
    gate = MotionGate()
    gate.is_open(empty_doorway(), 0.0)
    frames = [*frames_of(hopper, width_px, count=3)]
    assert len(frames) == 3
    for number, frame in enumerate(frames, 1):
        assert frame.shape == (480, 640, 3)
        (face,) = hog_engine.detect(frame)
        assert face.box[2] == pytest.approx(width_px, rel=0.25)
        assert gate.is_open(frame, number * FRAME_S, is_learning=False)
        assert gate.moved is not None
        x, y, width, height = gate.moved
        left, top, face_width, face_height = face.box
        assert x <= left + face_width / 4
        assert x + width >= left + 0.75 * face_width
        assert y <= top + face_height / 4
        assert y + height >= top + 0.75 * face_height
    assert not np.array_equal(frames[0], frames[1])
