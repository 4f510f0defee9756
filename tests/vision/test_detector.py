from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from agent.vision import detector as detector_module
from agent.vision.detector import HOG_SCORE_FLOOR, Detection, Detector, HogDetector, YuNetDetector
from agent.vision.dlib_models import FrontalFaceDetector
from agent.vision.models import EngineError, read_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLLINS_EYES = (223, 105)  # between them, in her portrait of 512 × 512


@pytest.fixture(scope="module", params=["hog", "yunet"])
def detector(request: pytest.FixtureRequest) -> Detector:
    if request.param == "hog":
        return HogDetector()
    return YuNetDetector(read_model("yunet", request.getfixturevalue("yunet_models")))


def _holds(found: Detection, x: float, y: float) -> bool:
    left, top, width, height = found.box
    return left < x < left + width and top < y < top + height


def _on_grey(picture: NDArray[np.uint8], x: int, y: int) -> NDArray[np.uint8]:
    """A 640 × 480 frame with the picture at (x, y)."""
    frame = np.full((480, 640, 3), 90, np.uint8)
    part = picture[: 480 - y, : 640 - x]
    frame[y : y + part.shape[0], x : x + part.shape[1]] = part
    return frame


def _resized(picture: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=method), np.uint8)


def test_the_one_face_of_a_portrait_is_found(detector: Detector, collins: NDArray[np.uint8]) -> None:
    (face,) = detector.detect(collins)
    assert _holds(face, *COLLINS_EYES)


@pytest.mark.parametrize("factor", [0.85, 0.95, 1.0, 1.1, 1.25, 1.6])
def test_the_false_second_face_is_below_the_score_floor(factor: float, collins: NDArray[np.uint8]) -> None:
    picture = _resized(collins, factor)
    faces = HogDetector().detect(picture, exhaustive=True)
    assert all(_holds(face, COLLINS_EYES[0] * factor, COLLINS_EYES[1] * factor) for face in faces)
    assert len(faces) == 1


@pytest.mark.parametrize("factor", [0.85, 0.95, 1.0, 1.1, 1.25, 1.6])
def test_beside_a_true_face_a_false_one_never_counts(factor: float, collins: NDArray[np.uint8]) -> None:
    picture = _resized(collins, factor)
    (face,) = HogDetector().detect(picture)
    assert _holds(face, COLLINS_EYES[0] * factor, COLLINS_EYES[1] * factor)


class _Scores:
    """A detector that gives these scores, whatever the picture."""

    def __init__(self, *scores: float) -> None:
        self.scores = scores

    def find(self, picture: NDArray[np.uint8], threshold: float) -> list[tuple[tuple[int, int, int, int], float]]:
        return [((0, 0, 80 + n, 80 + n), score) for n, score in enumerate(self.scores) if score > threshold]


def test_where_no_face_is_sure_the_best_alone_counts_but_not_for_a_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = np.zeros((240, 320, 3), np.uint8)
    for scores, found, sure in (
        ((0.1, 0.3, 0.2), [0.3], []),
        ((0.3, 0.5, 0.9), [0.9, 0.5], [0.9, 0.5]),
        ((-0.2,), [], []),
    ):
        monkeypatch.setattr(
            detector_module, "FrontalFaceDetector", lambda _levels=None, scores=scores: _Scores(*scores)
        )
        hog = HogDetector()
        assert [each.score for each in hog.detect(frame)] == found
        assert [each.score for each in hog.detect(frame, exhaustive=True)] == sure


def test_without_the_floor_hog_sees_a_second_face(collins: NDArray[np.uint8]) -> None:
    """Else the floor would guard against nothing."""
    scores = [
        score for factor in (1.0, 1.1, 1.25) for _, score in FrontalFaceDetector().find(_resized(collins, factor), 0.0)
    ]
    assert any(0 < score < HOG_SCORE_FLOOR for score in scores)


@pytest.mark.parametrize("width_px", [85, 110, 200])
def test_faces_from_80_px_up_are_found_in_a_frame(
    width_px: int, detector: Detector, collins: NDArray[np.uint8]
) -> None:
    factor = width_px / 88  # HOG draws 88 px in the portrait
    picture = _resized(collins[:200, 120:330], factor)
    (face,) = detector.detect(_on_grey(picture, 60, 10))
    assert _holds(face, 60 + 103 * factor, 10 + 105 * factor)


def test_the_largest_face_comes_first(
    detector: Detector, collins: NDArray[np.uint8], hopper: NDArray[np.uint8]
) -> None:
    frame = _on_grey(_resized(hopper[100:400, 100:420], 1.0), 0, 100)
    frame[0:200, 400:610] = collins[:200, 120:330]
    faces = detector.detect(frame, exhaustive=True)
    assert len(faces) == 2
    assert _holds(faces[0], 165, 240)
    assert _holds(faces[1], 503, 105)


def _faces_scene(picture: NDArray[np.uint8], width_px: int) -> NDArray[np.uint8]:
    return _on_grey(_resized(picture[:200, 120:330], width_px / 88), 60, 10)


@pytest.mark.parametrize("width_px", [90, 110])
def test_a_far_face_is_looked_for_where_it_is_said_to_be(width_px: int, collins: NDArray[np.uint8]) -> None:
    frame = _faces_scene(collins, width_px)
    factor = width_px / 88
    x, y = 60 + round(103 * factor), 10 + round(105 * factor)
    (face,) = HogDetector().detect(frame, within=(x - width_px, y - width_px, 2 * width_px, 2 * width_px))
    assert _holds(face, x, y)
    (anywhere,) = HogDetector().detect(frame)
    assert abs(face.box[0] - anywhere.box[0]) <= 10
    assert abs(face.box[1] - anywhere.box[1]) <= 10


def test_a_far_face_is_not_looked_for_elsewhere(collins: NDArray[np.uint8]) -> None:
    assert HogDetector().detect(_faces_scene(collins, 90), within=(400, 200, 200, 200)) == []


def test_a_near_face_is_found_wherever_it_is(collins: NDArray[np.uint8]) -> None:
    frame = _faces_scene(collins, 200)
    assert len(HogDetector().detect(frame, within=(500, 400, 100, 70))) == 1


@pytest.mark.parametrize(
    "within",
    [(700, 10, 50, 50), (-90, -90, 50, 50), (10, 10, 0, 0), (10, 10, -5, 5), (0, 0, 1, 480), (-500, -500, 3000, 3000)],
)
def test_a_box_that_lies_outside_or_is_empty_is_survived(
    within: tuple[int, int, int, int], detector: Detector, collins: NDArray[np.uint8]
) -> None:
    found = detector.detect(_faces_scene(collins, 90), within=within)
    assert len(found) in {0, 1}


def test_so_many_levels_of_the_pyramid_are_searched_as_asked(collins: NDArray[np.uint8]) -> None:
    """Else a dlib that writes its detector in another way would go unnoticed, and the second look be slower."""
    grey = cv2.cvtColor(_resized(collins[:300, 80:380], 2.0), cv2.COLOR_RGB2GRAY).astype(np.uint8)  # a face 176 px wide
    assert FrontalFaceDetector(3).find(grey, HOG_SCORE_FLOOR) == []
    whole = FrontalFaceDetector().find(grey, HOG_SCORE_FLOOR)
    assert len(whole) == 1
    assert FrontalFaceDetector(127).find(grey, HOG_SCORE_FLOOR) == whole


def test_a_grey_picture_holds_the_same_face(detector: Detector, collins: NDArray[np.uint8]) -> None:
    grey = cv2.cvtColor(cv2.cvtColor(collins, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    (face,) = detector.detect(np.asarray(grey, np.uint8))
    assert _holds(face, *COLLINS_EYES)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (79, 79), (2, 5000), (480, 640)])
def test_a_picture_without_a_face_has_none(size: tuple[int, int], detector: Detector) -> None:
    assert detector.detect(np.full((*size, 3), 128, np.uint8)) == []


def test_a_face_in_a_huge_picture_is_found(detector: Detector, hopper: NDArray[np.uint8]) -> None:
    picture = np.repeat(np.repeat(hopper, 12, axis=0), 12, axis=1)  # 44 megapixels
    (face,) = detector.detect(picture)
    assert _holds(face, 265 * 12, 230 * 12)


def test_a_file_that_is_not_yunet_is_refused() -> None:
    with pytest.raises(EngineError, match="cannot read YuNet's file"):
        YuNetDetector(b"not a network")


def test_loading_yunet_says_nothing_on_the_standard_error(
    yunet_models: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    YuNetDetector(read_model("yunet", yunet_models))
    assert capfd.readouterr().err == ""
