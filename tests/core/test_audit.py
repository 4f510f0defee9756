"""What a gallery means for the door, in words."""

from __future__ import annotations

import json

import numpy as np
import pytest

from agent.core.audit import FEW, audit
from agent.core.gallery import Gallery, build_gallery
from tests.crowd import Crowd


def _gallery(unlike: float, count: int, ceiling: float | None = None) -> Gallery:
    people = Crowd(unlike, moods=0.05).people(count)
    templates = ((f"m{number}", vectors) for number, vectors in enumerate(people))
    return build_gallery(templates, engine="dlib", weights="w", ceiling=ceiling)


def _english(gallery: Gallery, strangers_a_day: float = 50) -> str:
    return "\n".join(words.en for words in audit(gallery, strangers_a_day).in_words())


def test_expected_wrong_openings_follow_the_target() -> None:
    found = audit(_gallery(0.36, 100), 20)

    assert found.expected_fpir == pytest.approx(0.01, rel=1e-6)  # the ceiling is not reached, so the target is
    assert found.wrong_openings_a_year == pytest.approx(73, rel=1e-6)
    assert "about 73 times a year" in _english(_gallery(0.36, 100), 20)


def test_a_ceiling_below_the_threshold_lets_fewer_in() -> None:
    found = audit(_gallery(0.57, 100, ceiling=0.22), 20)

    assert found.threshold == 0.22
    assert found.expected_fpir < 0.001


def test_closest_pairs_are_named_nearest_first() -> None:
    gallery = _gallery(0.57, 30)
    twin = gallery.vectors[4] + 0.005 * gallery.vectors[9]
    found = audit(gallery.with_member("twin", twin), 10, pairs=3)

    assert found.closest[0][:2] == ("m4", "twin")
    assert [pair[2] for pair in found.closest] == sorted(pair[2] for pair in found.closest)
    assert len(found.closest) == 3
    assert "m4 and twin" in _english(gallery.with_member("twin", twin))
    assert "may take one for the other" in _english(gallery.with_member("twin", twin))


def test_gallery_too_large_is_told_to_ask_for_a_code() -> None:
    text = _english(_gallery(0.24, 300))

    assert "too large" in text
    assert "a number, a card or a pass" in text
    assert "too large" not in _english(_gallery(0.60, 50))


def test_empty_gallery_is_said_to_be_empty() -> None:
    found = audit(build_gallery([], engine="dlib", weights="w"), 50)

    assert found.expected_fpir == 0
    assert found.closest == ()
    assert [words.en for words in found.in_words()] == ["Nobody is enrolled, so no face opens the door."]


def test_few_members_are_no_measure_of_how_many_there_may_be() -> None:
    few, enough = _english(_gallery(0.57, FEW - 1), 20), _english(_gallery(0.57, FEW), 20)

    assert "at most about 73 wrong openings a year: that is the bound" in few
    assert "target [recognition] target_fpir = 0.01 allows, and not a measurement. A lower target lowers it" in few
    assert "suits up to about" not in few
    assert "suits up to about" in enough
    assert "not a measurement" not in enough


def test_unusable_templates_are_named() -> None:
    gallery = build_gallery([("m1", np.full(128, np.nan))], engine="dlib", weights="w")

    assert "enrol again: m1" in _english(gallery)


def test_every_sentence_is_there_in_both_languages() -> None:
    for words in audit(_gallery(0.24, 300), 50).in_words():
        assert any("一" <= character <= "鿿" for character in words.zh)
        assert words.en.isascii()


def test_an_audit_goes_over_the_wire_as_json() -> None:
    found = audit(_gallery(0.40, 12), 20)
    values = json.loads(json.dumps(found.as_dict()))

    assert values["members"] == 12
    assert values["closest"][0] == list(found.closest[0])
    assert values["refused"] == []
    assert [each["en"] for each in values["words"]] == [words.en for words in found.in_words()]
