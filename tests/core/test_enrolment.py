"""Photos become one template, or reasons why not."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from agent.core import enrolment
from agent.core.enrolment import (
    MAX_PHOTOS,
    PATIENCE_S,
    Enrolment,
    encoded,
    order_of,
    refused,
    request_of,
    template_vector,
)
from agent.core.gallery import GalleryError
from agent.core.turn import DISK_PATIENCE_S
from tests.core.station_play import face_of

ORDERS = frozenset({order_of("r-1", 1), order_of("r-1", 2)})
BEGUN = Enrolment("r-1", "m-1", "Somebody", 30.0, ORDERS)


@pytest.mark.parametrize("request_", ["r-1", "control-7", "a:b"])
def test_an_order_names_its_request(request_: str) -> None:
    assert request_of(order_of(request_, 12)) == request_


def test_it_is_complete_when_every_photo_was_answered() -> None:
    state = encoded(BEGUN, order_of("r-1", 2), face_of(1))
    assert not state.is_complete
    state = refused(state, order_of("r-1", 1), "no_face")
    assert state.is_complete


def test_an_answer_counts_once_and_a_strange_one_not_at_all() -> None:
    state = encoded(BEGUN, order_of("r-1", 1), face_of(1))
    assert encoded(state, order_of("r-1", 1), face_of(2)) is state
    assert refused(state, order_of("r-1", 1), "no_face") is state
    assert encoded(state, order_of("r-1", 9), face_of(2)) is state
    assert len(state.vectors) == 1


@pytest.mark.parametrize(
    ("reason", "code"),
    [("no_face", "photo.no_face"), ("two_faces", "photo.two_faces"), ("not_a_picture", "photo.unusable")],
)
def test_a_refused_photo_says_which_one_and_why(reason: str, code: str) -> None:
    (found,) = refused(BEGUN, order_of("r-1", 2), reason).problems
    assert found.code == code
    assert found.where == "photos[2]"


def test_the_template_is_one_vector_of_length_one_between_the_photos() -> None:
    state = encoded(encoded(BEGUN, order_of("r-1", 1), face_of(1)), order_of("r-1", 2), face_of(2))
    vector = template_vector(state)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
    assert vector[1] == pytest.approx(vector[2])


def test_photos_that_cancel_each_other_out_are_nobody() -> None:
    state = encoded(encoded(BEGUN, order_of("r-1", 1), face_of(1)), order_of("r-1", 2), -face_of(1))
    with pytest.raises(GalleryError):
        template_vector(state)


def test_the_name_is_not_in_the_text_of_an_enrolment() -> None:
    assert "Somebody" not in repr(BEGUN)


def test_whoever_enrols_hears_of_it_before_the_socket_gives_up() -> None:
    from agent.control.server import ANSWER_S

    assert PATIENCE_S + 2 * DISK_PATIENCE_S > ANSWER_S - 10  # the bounds are meant to be near each other
    assert PATIENCE_S < ANSWER_S
    assert MAX_PHOTOS >= 3


def test_every_reason_to_refuse_a_photo_has_words_in_both_languages() -> None:
    root = Path(enrolment.__file__).parents[1]
    told = re.findall(r'PhotoRefusedError\("(\w+)"\)', (root / "vision/photos.py").read_text())
    told += re.findall(r'PhotoRefused\(.*"(\w+)"\)', (root / "vision/supervisor.py").read_text())
    told += re.findall(r'reason="(\w+)"', (root / "vision/process.py").read_text())
    told += re.findall(r'return "(\w+)"', (root / "vision/quality.py").read_text())

    assert len(set(told)) >= 12
    assert set(told) - set(enrolment.PHOTO_WORDS) == {"no_face", "two_faces"}
    assert all(words.en.isascii() and not words.zh.isascii() for words in enrolment.PHOTO_WORDS.values())
