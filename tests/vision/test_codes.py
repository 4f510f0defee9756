"""Codes before the camera: read although they are spoilt, each told once, and no picture breaks the reader."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from agent.core.passes import Pass
from agent.qr_codes import draw
from agent.signatures import generate, sign
from agent.vision import codes
from agent.vision.capture import Frame
from agent.vision.codes import AGAIN_S, CODES_MAX, PACE_S, TEXT_MAX, CodeReader, read_codes
from agent.vision.pipeline import Pipeline
from agent.vision.protocol import CodeSeen, CodeText
from agent.vision.quality import Floors
from bench.codes import READ_MIN
from bench.distortions import KINDS, RANGES, shots

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.vision.engine import DlibEngine

    Picture = NDArray[np.uint8]

KEY = generate(1)
FRAMES = 12
SEED = 4


def picture_of(*texts: str, module_px: int = 5) -> Picture:
    """A frame with these codes side by side on a grey wall."""
    frame = np.full((480, 640), 120, np.uint8)
    for n, text in enumerate(texts):
        code = np.kron(255 - 255 * draw(text), np.ones((module_px, module_px), np.uint8))
        frame[60 : 60 + len(code), 20 + 310 * n : 20 + 310 * n + len(code)] = code
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_GRAY2RGB), np.uint8)


@pytest.fixture
def detector() -> cv2.QRCodeDetectorAruco:
    return cv2.QRCodeDetectorAruco()


@pytest.mark.parametrize("kind", KINDS)
def test_spoilt_codes_are_read(kind: str, detector: cv2.QRCodeDetectorAruco) -> None:
    read = sum(shot.text in read_codes(shot.picture, detector) for shot in shots(kind, FRAMES, KEY, SEED))
    assert read >= READ_MIN * FRAMES


def test_the_ranges_are_those_that_were_written_down() -> None:
    assert (RANGES.gaussian_px, RANGES.motion_px, RANGES.noise_levels, RANGES.glare) == (1.5, 5.0, 20.0, 0.8)
    assert (RANGES.yaw_degrees, RANGES.pitch_degrees, RANGES.roll_degrees) == (30.0, 30.0, 30.0)


def test_the_same_seed_makes_the_same_frames() -> None:
    one, other = (next(shots("all", 1, KEY, 3)) for _ in range(2))
    assert np.array_equal(one.picture, other.picture)
    assert one.text == other.text


def test_a_code_is_told_once_while_it_stays_in_view_and_again_after_it_was_away() -> None:
    reader = CodeReader()
    code, wall = picture_of("PASS 1"), np.full((480, 640, 3), 120, np.uint8)
    told = [at for at in np.arange(0.0, 20.0, 0.1) if reader.take(code, at)]
    assert told == [0.0]
    assert reader.take(wall, 21.0) == []
    assert reader.take(code, 21.0 + AGAIN_S) == ["PASS 1"]


def test_two_codes_in_turn_are_each_told_once() -> None:
    reader = CodeReader()
    told = [reader.take(picture_of(f"PASS {n % 2}"), 10.0 + n) for n in range(6)]
    assert told == [["PASS 0"], ["PASS 1"], [], [], [], []]


def test_a_pass_is_read_beside_another_code() -> None:
    assert sorted(CodeReader().take(picture_of("PASS 1", "A PARCEL"), 1.0)) == ["A PARCEL", "PASS 1"]


def test_frames_are_looked_at_at_a_bounded_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    looked: list[float] = []

    def look(*_: object) -> list[str]:
        looked.append(clock[0])
        return []

    monkeypatch.setattr(codes, "read_codes", look)
    reader = CodeReader()
    for clock[0] in np.arange(0.0, 10.0, 0.05):
        reader.take(np.zeros((1, 1, 3), np.uint8), clock[0])
    assert all(later - sooner >= PACE_S for sooner, later in pairwise(looked))
    assert len(looked) >= 10.0 / PACE_S / 1.3


def test_what_is_remembered_is_bounded() -> None:
    reader = CodeReader()
    for n in range(3 * CODES_MAX):
        reader.take(picture_of(f"PASS {n}"), n * PACE_S * 1.01)
    assert len(reader._seen) <= CODES_MAX


@pytest.mark.parametrize("text", ["X" * (TEXT_MAX + 1), "你好", "a\tb"])
def test_what_no_pass_can_be_is_passed_over(text: str, detector: cv2.QRCodeDetectorAruco) -> None:
    encoder = cv2.QRCodeEncoder.create()
    code = np.asarray(encoder.encode(text), np.uint8)
    code = np.asarray(np.kron(np.pad(code, 4, constant_values=255), np.ones((5, 5))), np.uint8)
    frame = np.asarray(cv2.cvtColor(code, cv2.COLOR_GRAY2RGB), np.uint8)
    assert read_codes(frame, detector) == []


def test_no_picture_breaks_the_reader(detector: cv2.QRCodeDetectorAruco) -> None:
    dice = np.random.default_rng(1)
    code = picture_of("PASS 1")
    pictures: list[Picture] = [np.zeros((480, 640, 3), np.uint8), np.full((480, 640, 3), 255, np.uint8)]
    pictures += [dice.integers(0, 256, (480, 640, 3), np.uint8) for _ in range(3)]
    pictures += [np.roll(code, int(dice.integers(640)), axis=1) for _ in range(5)]
    pictures += [np.asarray(np.where(dice.random((480, 640, 1)) < 0.3, 255 - code, code), np.uint8) for _ in range(5)]
    for picture in pictures:
        assert set(read_codes(picture, detector)) <= {"PASS 1"}


class Broken:
    """Fails as the native code does."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def detectAndDecodeMulti(self, _: Picture) -> Any:  # noqa: N802 - OpenCV's name
        raise self._error


@pytest.mark.parametrize("error", [cv2.error("assertion"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid")])
def test_a_detector_that_fails_finds_nothing(error: Exception) -> None:
    broken: Any = Broken(error)
    assert read_codes(picture_of("PASS 1"), broken) == []


def test_the_pipeline_tells_a_code_that_is_held_up(hog_engine: DlibEngine) -> None:
    text = sign(KEY, Pass(1, "0123456789abcdef", "g-1", is_guest=True))
    pipeline = Pipeline(hog_engine, Floors(), "door")
    wall = np.full((480, 640, 3), 120, np.uint8)
    frames = [wall, *([picture_of(text)] * 8)]
    facts = [fact for n, each in enumerate(frames) for fact in pipeline.take(Frame(each, 100 + n / 10, n + 1))]
    assert [fact for fact in facts if isinstance(fact, CodeSeen)] == [CodeSeen(at=100.4, order="door", text=text)]


def test_the_protocol_takes_what_the_reader_tells() -> None:
    assert f"max_length={TEXT_MAX}" in repr(CodeText)
