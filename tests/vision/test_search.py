from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from agent.vision.engine import Face
from agent.vision.search import MARGIN, STEP, WHOLE_S, FaceSearch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.vision.detector import Box

FRAME = np.zeros((480, 640, 3), np.uint8)
FRAME_S = 0.1
MOVED: Box = (200, 160, 240, 320)


class LookingEngine:
    """Finds what it is told to, and remembers where it was asked to look."""

    name, weights, detector_name = "dlib", "", "hog"

    def __init__(self) -> None:
        self.faces: list[Face] = []
        self.looks: list[Box | None] = []

    def detect(
        self, frame_rgb: NDArray[np.uint8], *, exhaustive: bool = False, within: Box | None = None
    ) -> list[Face]:
        assert frame_rgb is FRAME
        assert not exhaustive
        self.looks.append(within)
        return self.faces

    def vector(self, frame_rgb: NDArray[np.uint8], face: Face) -> NDArray[np.float32]:
        raise AssertionError


@pytest.fixture
def engine() -> LookingEngine:
    return LookingEngine()


def face(*box: int) -> Face:
    x, y, width, height = box
    return Face((x, y, width, height), 1.0, np.zeros((5, 2), np.float32))


def holds(outer: Box | None, inner: Box, by: float = 0) -> bool:
    assert outer is not None
    left, top, width, height = outer
    x, y, w, h = inner
    is_across = left <= x - by and left + width >= x + w + by
    return is_across and top <= y - by and top + height >= y + h + by


def test_who_has_just_moved_is_looked_for_there(engine: LookingEngine) -> None:
    FaceSearch(engine).find(FRAME, MOVED, 100.0)
    (look,) = engine.looks
    assert holds(look, MOVED, MARGIN * 640)
    assert look is not None
    assert look[2] < 400


def test_where_nothing_is_known_the_whole_frame_is_looked_at(engine: LookingEngine) -> None:
    search = FaceSearch(engine)
    for number in range(8):
        search.find(FRAME, None, number * FRAME_S)
    assert engine.looks == [None] * 8


def test_the_whole_frame_is_looked_at_again_and_again(engine: LookingEngine) -> None:
    engine.faces = [face(280, 200, 90, 90)]
    search = FaceSearch(engine)
    at = [number * FRAME_S for number in range(60)]
    for moment in at:
        search.find(FRAME, MOVED, moment)
    whole = [moment for moment, look in zip(at, engine.looks, strict=True) if look is None]
    gaps = np.diff([0.0, *whole, at[-1]])
    assert gaps.max() <= WHOLE_S + FRAME_S + 1e-6  # nobody is missed for longer, wherever they stand
    assert len(whole) <= at[-1] / WHOLE_S  # and most looks are cheap


def test_everybody_who_was_seen_is_looked_for_again_with_room_for_a_step(engine: LookingEngine) -> None:
    engine.faces = [face(300, 200, 100, 100), face(20, 100, 90, 90)]
    search = FaceSearch(engine)
    search.find(FRAME, MOVED, 0.0)
    search.find(FRAME, None, 0.1)
    for each in engine.faces:
        assert holds(engine.looks[1], each.box, STEP * each.box[2])


def test_a_newcomer_beside_somebody_who_is_followed_is_looked_for_at_once(engine: LookingEngine) -> None:
    engine.faces = [face(300, 200, 100, 100)]
    search = FaceSearch(engine)
    search.find(FRAME, (260, 150, 180, 330), 0.0)
    search.find(FRAME, (10, 120, 430, 360), 0.1)
    assert holds(engine.looks[1], (10, 120, 90, 90))


@pytest.mark.parametrize("then", [60.0, -60.0])
def test_after_a_pause_old_faces_are_forgotten(then: float, engine: LookingEngine) -> None:
    engine.faces = [face(20, 20, 90, 90)]
    search = FaceSearch(engine)
    search.find(FRAME, MOVED, 0.0)
    search.find(FRAME, MOVED, then)
    assert engine.looks[1] == engine.looks[0]  # where something moved, and not where they stood
