"""The protocol of an evaluation, on made-up people whose answers are known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.core.gallery import build_gallery
from agent.vision.engine import DlibEngine
from agent.vision.evaluate import EvaluationReport, Protocol, evaluate, judge, wilson
from agent.vision.people import People, PeopleError
from tests.crowd import Crowd

_LONDON = Path(__file__).parents[2].parent / "shared/data/london"

Vectors = tuple[NDArray[np.float32] | None, ...]


def _people(vectors: NDArray[np.float32], first: int = 0) -> dict[str, Vectors]:
    return {f"p{first + number:04}": tuple(each) for number, each in enumerate(vectors)}


def _judge(
    vectors: Mapping[str, Vectors], protocol: Protocol, failures: Mapping[str, int] | None = None
) -> EvaluationReport:
    return judge(People(vectors, failures or {}), protocol, engine="dlib", weights="w")


def test_people_who_look_unlike_are_told_apart() -> None:
    report = _judge(_people(Crowd().people(200, 5)), Protocol(40, splits=5))

    assert report.fpir <= 0.01
    assert report.fnir <= 0.02
    assert report.gallery == 40
    assert report.strangers == 160
    assert report.probes == 5 * 200
    assert report.threshold_range[0] <= report.threshold <= report.threshold_range[1]


def test_strangers_who_are_copies_of_members_all_get_in() -> None:
    members = Crowd().people(30, 5)
    copies = members[:, :4]  # too few pictures to be enrolled, so always strangers
    report = _judge({**_people(members), **_people(copies, first=30)}, Protocol(30, splits=3))

    assert report.fpir == 1.0
    assert report.fpir_p95 == 1.0
    assert report.fpir_interval[1] == 1.0


def test_members_whose_later_pictures_show_somebody_else_are_all_refused() -> None:
    crowd = Crowd().people(80, 5)
    apart = Crowd(seed=1).people(80 * 5)[:, 0].reshape(80, 5, 128)  # every picture another person

    right = _judge(_people(crowd), Protocol(40, splits=3))
    wrong = _judge(_people(apart), Protocol(40, splits=3))

    assert right.fnir == 0.0
    assert wrong.fnir >= 0.95


def test_members_without_a_face_count_as_refused_and_strangers_without_one_not_at_all() -> None:
    crowd = _people(Crowd().people(100, 5))
    faceless: dict[str, Vectors] = {name: (None,) * 5 for name in list(crowd)[:50]}
    report = _judge({**crowd, **faceless}, Protocol(99, splits=20), {"no_face": 250})

    assert report.fnir == pytest.approx(0.5, abs=0.02)
    assert report.probes < 20 * 100  # the one stranger often had no face
    assert report.failed_to_acquire == 0.5
    assert report.failures == {"no_face": 250}


def test_a_try_goes_on_with_the_frames_that_have_a_face() -> None:
    crowd = {name: (*each[:4], None) for name, each in _people(Crowd().people(100, 5)).items()}
    report = _judge(crowd, Protocol(40, enrol=3, probe=2, splits=5))

    assert report.fnir <= 0.02


def test_the_threshold_knows_only_what_was_enrolled() -> None:
    members = Crowd().people(60)
    people = {name: each * 6 for name, each in _people(members).items()}  # whichever picture is taken, it is the same
    gallery = build_gallery(zip(people, members, strict=True), engine="dlib", weights="w")

    for strangers in (Crowd(seed=9).people(50, 2), members[:50].repeat(2, axis=1)):
        report = _judge({**people, **_people(strangers, first=60)}, Protocol(60, enrol=4, splits=1))
        assert report.threshold == pytest.approx(gallery.threshold, abs=1e-3)


def test_the_same_seed_gives_the_same_report_and_another_another() -> None:
    people = _people(Crowd(0.42).people(120, 5))

    assert _judge(people, Protocol(30, splits=4, seed=5)) == _judge(people, Protocol(30, splits=4, seed=5))
    assert _judge(people, Protocol(30, splits=4, seed=5)) != _judge(people, Protocol(30, splits=4, seed=6))


def test_everybody_with_enough_pictures_for_a_try_is_a_stranger() -> None:
    many, few, single = Crowd().people(30, 5), Crowd(seed=1).people(40, 2), Crowd(seed=2).people(50, 1)
    people = {**_people(many), **_people(few, first=30), **_people(single, first=70)}

    assert _judge(people, Protocol(20, splits=2)).strangers == 10 + 40
    assert _judge(people, Protocol(20, enrol=1, probe=1, splits=2)).strangers == 10 + 40 + 50


@pytest.mark.parametrize("gallery", [31, 30])
def test_too_few_people_are_refused_with_what_there_is(gallery: int) -> None:
    people = _people(Crowd().people(30, 5))

    with pytest.raises(PeopleError, match="there are 30 such people"):
        _judge(people, Protocol(gallery))


@pytest.mark.parametrize(
    ("gallery", "enrol", "target"), [(0, 3, 0.01), (5, 0, 0.01), (5, 3, 0.0), (5, 3, 1.0), (5, 3, float("nan"))]
)
def test_numbers_that_make_no_sense_are_refused(gallery: int, enrol: int, target: float) -> None:
    with pytest.raises(PeopleError):
        Protocol(gallery, enrol=enrol, target_fpir=target)


def test_report_is_json_with_the_agreed_keys() -> None:
    report = _judge(_people(Crowd().people(40, 5)), Protocol(10, splits=2))
    values = json.loads(json.dumps(report.as_dict()))

    agreed = [
        "fpir",
        "fpir_p95",
        "fnir",
        "fnir_p95",
        "threshold",
        "gallery",
        "strangers",
        "probes",
        "failed_to_acquire",
    ]
    assert set(agreed) <= set(values)
    for rate in ("fpir", "fpir_p95", "fnir", "fnir_p95", "failed_to_acquire"):
        low, high = values[f"{rate}_interval"]
        assert 0 <= low <= values[rate] <= high <= 1


def test_wilson_interval_is_the_textbook_one() -> None:
    assert wilson(0.0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert wilson(0.3, 0) == (0.0, 1.0)


@pytest.mark.skipif(not _LONDON.is_dir(), reason="needs the London faces in ../shared/data/london")
def test_real_cooperative_faces_meet_their_bar(hog_engine: DlibEngine) -> None:
    report = evaluate(_LONDON, gallery=50, enrol=1, probe=1, seed=11, engine=hog_engine)

    assert report.pictures == 204
    assert report.strangers == 52
    assert report.fpir <= 0.015
    assert report.fnir <= 0.02
