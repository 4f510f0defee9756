"""Heads and flat pictures of them, by what a homography leaves."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from agent.vision.engine import DlibEngine
from agent.vision.footage import FootageError, judge, judge_file
from agent.vision.liveness import EVIDENCE, GAP_S, PhotoLiveness, Verdict
from agent.vision.quality import eyes_and_nose
from drivers.simulated.rider import FaceOutline, Kind, MovingSubject

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
    Box = tuple[int, int, int, int]

FPS = 10.0
TURNING = 4  # a seed whose rider turns much


@pytest.fixture(scope="module")
def outline(hog_engine: DlibEngine, collins: Picture) -> FaceOutline:
    face = hog_engine.detect(collins)[0]
    return FaceOutline(face.box, *eyes_and_nose(face.landmarks, hog_engine.name))


def film(
    portrait: Picture, outline: FaceOutline, kind: Kind, seed: int, seconds: float
) -> list[tuple[Picture, Box, float]]:
    subject = MovingSubject(portrait, outline, kind, seed)
    return [(subject.frame(n / FPS), box_of(subject, n / FPS), n / FPS) for n in range(round(seconds * FPS))]


def box_of(subject: MovingSubject, at: float) -> Box:
    x, y, width, height = (round(each) for each in subject.box(at))
    return x, y, width, height


@pytest.fixture(scope="module")
def rider(collins: Picture, outline: FaceOutline) -> list[tuple[Picture, Box, float]]:
    return film(collins, outline, "rider", TURNING, 2.5)


@pytest.fixture(scope="module")
def flat(collins: Picture, outline: FaceOutline) -> list[tuple[Picture, Box, float]]:
    return film(collins, outline, "print", TURNING, 2.5)


def verdicts(frames: Iterable[tuple[Picture, Box, float]], liveness: PhotoLiveness | None = None) -> list[Verdict]:
    liveness = liveness or PhotoLiveness()
    return [liveness.take(*frame).verdict for frame in frames]


def test_a_head_that_turns_is_live_within_two_seconds(rider: list[tuple[Picture, Box, float]]) -> None:
    found = verdicts(rider[:20])
    assert found[-1] == "live"
    assert set(found[:EVIDENCE]) == {"undecided"}


@pytest.mark.parametrize("kind", ["print", "screen"])
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_a_flat_picture_is_never_live(collins: Picture, outline: FaceOutline, kind: Kind, seed: int) -> None:
    assert "live" not in verdicts(film(collins, outline, kind, seed, 2.5))


def test_a_print_that_is_tilted_is_called_an_attack(collins: Picture, outline: FaceOutline) -> None:
    assert verdicts(film(collins, outline, "print", 5, 2.0))[-1] == "attack"


def test_one_frame_and_a_still_picture_are_never_live(rider: list[tuple[Picture, Box, float]]) -> None:
    picture, box, _ = rider[0]
    random = np.random.default_rng(0)
    assert verdicts([(picture, box, n / FPS) for n in range(30)]) == ["undecided"] * 30
    noisy = [cv2.add(picture, random.integers(0, 6, picture.shape, dtype=np.uint8)) for _ in range(30)]
    still = [(np.asarray(each, np.uint8), box, n / FPS) for n, each in enumerate(noisy)]
    assert verdicts(still) == ["undecided"] * 30


def test_a_head_that_freezes_is_no_longer_live(rider: list[tuple[Picture, Box, float]]) -> None:
    liveness = PhotoLiveness()
    assert verdicts(rider, liveness)[-1] == "live"
    picture, box, at = rider[-1]
    frozen = [(picture, box, at + n / FPS) for n in range(1, 16)]
    late = [n for n, (_, _, when) in enumerate(frozen) if when - at > GAP_S]
    found = verdicts(frozen, liveness)
    assert {found[n] for n in late} == {"undecided"}


def test_frames_that_come_a_second_time_begin_anew(rider: list[tuple[Picture, Box, float]]) -> None:
    liveness = PhotoLiveness()
    assert verdicts(rider, liveness)[-1] == "live"
    again = [(picture, box, 2.5 + at) for picture, box, at in rider[5:]]
    assert set(verdicts(again, liveness)) == {"undecided"}


def test_a_print_put_before_a_live_head_has_to_prove_itself(
    rider: list[tuple[Picture, Box, float]], collins: Picture, outline: FaceOutline
) -> None:
    liveness = PhotoLiveness()
    assert verdicts(rider, liveness)[-1] == "live"
    swapped = [(picture, box, 2.5 + at) for picture, box, at in film(collins, outline, "print", 11, 2.0)]
    assert "live" not in verdicts(swapped, liveness)


@pytest.mark.parametrize("box", [(0, 0, 0, 0), (-900, -900, 50, 50), (600, 400, 200, 200), (0, 0, 3, 3)])
def test_boxes_beside_the_frame_are_undecided(rider: list[tuple[Picture, Box, float]], box: Box) -> None:
    assert set(verdicts((picture, box, at) for picture, _, at in rider[:5])) == {"undecided"}


def test_a_face_without_drawing_is_undecided() -> None:
    blank = [np.full((480, 640, 3), 120 + n, np.uint8) for n in range(10)]
    assert set(verdicts((each, (200, 150, 160, 160), n / FPS) for n, each in enumerate(blank))) == {"undecided"}


# --- videos ----------------------------------------------------------------------------------------------------------


def test_a_video_of_a_head_is_live_and_one_of_a_print_is_not(
    tmp_path: Path,
    hog_engine: DlibEngine,
    rider: list[tuple[Picture, Box, float]],
    flat: list[tuple[Picture, Box, float]],
) -> None:
    found = {}
    for name, frames in (("rider", rider), ("print", flat)):
        path = tmp_path / f"{name}.mp4"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), FPS, (640, 480))
        for picture, _, _ in frames:
            writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        writer.release()
        found[name] = judge_file(path, hog_engine).verdict
    assert found["rider"] == "live"
    assert found["print"] != "live"


def test_a_picture_file_is_one_frame_so_never_live(hog_engine: DlibEngine, collins_path: Path) -> None:
    found = judge_file(collins_path, hog_engine)
    assert (found.verdict, found.reason) == ("undecided", "too_short")


def test_a_video_without_a_face_is_undecided(hog_engine: DlibEngine) -> None:
    empty = [(np.full((120, 160, 3), 90, np.uint8), n / FPS) for n in range(5)]
    assert judge(empty, hog_engine).reason == "no_face"


def test_a_file_that_is_no_video_is_refused_by_name(hog_engine: DlibEngine, tmp_path: Path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("no video")
    with pytest.raises(FootageError, match=r"text\.mp4"):
        judge_file(path, hog_engine)
