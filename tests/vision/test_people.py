"""Reading a folder of people: real portraits, and files that are none."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from agent.vision.engine import DlibEngine, Face
from agent.vision.people import LONGEST_SIDE_PX, PeopleError, read_people


def _write(path: Path, picture: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture)


@pytest.fixture
def folder(tmp_path: Path, collins_path: Path, hopper_path: Path) -> Path:
    for name, path in (("collins", collins_path), ("hopper", hopper_path)):
        (tmp_path / name).mkdir()
        shutil.copy(path, tmp_path / name / f"1{path.suffix}")
    return tmp_path


def test_portraits_of_a_folder_become_vectors_of_their_people(folder: Path, hog_engine: DlibEngine) -> None:
    collins = cv2.imread(str(folder / "collins/1.png"))
    assert collins is not None
    for suffix in ("webp", "bmp", "jpg", "tiff"):
        _write(folder / f"collins/2.{suffix}", np.asarray(collins, np.uint8))
    seen: list[tuple[int, int]] = []

    people = read_people(folder, hog_engine, progress=lambda done, total: seen.append((done, total)))

    assert list(people.vectors) == ["collins", "hopper"]
    assert people.failures == {}
    assert people.pictures == 6
    assert seen == [(number, 6) for number in range(1, 7)]
    first, *rest = people.vectors["collins"]
    other = people.vectors["hopper"][0]
    assert first is not None
    assert other is not None
    assert all(vector is not None and np.linalg.norm(first - vector) < 0.1 for vector in rest)
    assert np.linalg.norm(first - other) > 0.4


def test_pictures_without_a_usable_face_are_counted_by_reason(folder: Path, hog_engine: DlibEngine) -> None:
    person = folder / "collins"
    _write(person / "2-dot.png", np.full((1, 1, 3), 200, np.uint8))
    _write(person / "3-grey.png", np.full((240, 320), 128, np.uint8))
    _write(person / "4-deep.png", np.zeros((50, 50), np.uint16))
    (person / "5-cut.png").write_bytes((person / "1.png").read_bytes()[:60])
    (person / "notes.txt").write_text("not a picture, so passed over", encoding="utf-8")
    (person / "empty.jpg").write_bytes(b"")
    (person / ".hidden.png").write_bytes((person / "1.png").read_bytes())
    (folder / "nobody").mkdir()
    (folder / "stray.png").write_bytes((person / "1.png").read_bytes())

    people = read_people(folder, hog_engine)

    assert list(people.vectors) == ["collins", "hopper"]
    assert [vector is None for vector in people.vectors["collins"]] == [False, True, True, True, True]
    assert people.failures == {"no_face": 3, "not_a_picture": 1}


def test_a_face_that_the_quality_refuses_does_not_count(folder: Path, hog_engine: DlibEngine) -> None:
    def too_dark(frame_rgb: NDArray[np.uint8], face: Face) -> str | None:
        assert frame_rgb.dtype == np.uint8
        assert face.box[2] > 0
        return "too_dark"

    people = read_people(folder, hog_engine, quality=too_dark)

    assert people.vectors == {"collins": (None,), "hopper": (None,)}
    assert people.failures == {"too_dark": 2}


def test_a_picture_of_many_megapixels_is_shrunk_before_it_is_searched(folder: Path, hog_engine: DlibEngine) -> None:
    sizes: list[tuple[int, ...]] = []
    collins = cv2.imread(str(folder / "collins/1.png"))
    assert collins is not None
    _write(folder / "collins/2.jpg", np.asarray(cv2.resize(collins, (6000, 6000)), np.uint8))

    def keep_size(frame_rgb: NDArray[np.uint8], _: Face) -> None:
        sizes.append(frame_rgb.shape)

    people = read_people(folder, hog_engine, quality=keep_size)

    assert (LONGEST_SIDE_PX, LONGEST_SIDE_PX, 3) in sizes
    assert people.failures == {}


def test_a_folder_without_people_is_refused(tmp_path: Path, hog_engine: DlibEngine) -> None:
    with pytest.raises(PeopleError, match="is not a folder"):
        read_people(tmp_path / "missing", hog_engine)
    with pytest.raises(PeopleError, match="holds no pictures"):
        read_people(tmp_path, hog_engine)
