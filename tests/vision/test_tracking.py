from __future__ import annotations

import numpy as np
import pytest

from agent.vision.engine import Face
from agent.vision.tracking import LOST_S, OTHER_PERSON, Tracker

FRAME_S = 0.1


def face(x: int = 200, y: int = 100, width: int = 100) -> Face:
    return Face((x, y, width, width), 1.0, np.zeros((5, 2), np.float32))


def apart(distance: float) -> tuple[np.ndarray, np.ndarray]:
    """Two vectors of length 1 that lie `distance` apart."""
    angle = 2 * np.arcsin(distance / 2)
    one, other = np.zeros(128, np.float32), np.zeros(128, np.float32)
    one[0] = 1
    other[:2] = np.cos(angle), np.sin(angle)
    return one, other


def test_a_face_that_moves_a_little_stays_one_track() -> None:
    tracker = Tracker()
    numbers = set()
    for frame in range(30):
        track, ended = tracker.follow(face(200 + 20 * frame, 100, 100 + 3 * frame), frame * FRAME_S)
        assert track is not None
        assert ended is None
        numbers.add(track.number)
    assert numbers == {1}


@pytest.mark.parametrize("after", [face(300), face(200, 190), face(200, 100, 170), face(230, 130, 60)])
def test_a_jump_in_place_or_size_begins_another_track(after: Face) -> None:
    tracker = Tracker()
    tracker.follow(face(), 0.0)
    track, ended = tracker.follow(after, FRAME_S)
    assert ended == 1
    assert track is not None
    assert (track.number, track.first_at) == (2, FRAME_S)


def test_a_face_missed_for_a_moment_is_still_the_same_track() -> None:
    tracker = Tracker()
    tracker.follow(face(), 0.0)
    assert tracker.follow(None, 0.5) == (None, None)
    track, ended = tracker.follow(face(), 0.9)
    assert track is not None
    assert (track.number, ended) == (1, None)


def test_a_face_that_is_gone_for_long_ends_its_track_once() -> None:
    tracker = Tracker()
    tracker.follow(face(), 0.0)
    assert tracker.follow(None, LOST_S + 0.1) == (None, 1)
    assert tracker.follow(None, LOST_S + 0.2) == (None, None)


def test_a_face_after_a_gap_without_frames_is_another_track() -> None:
    tracker = Tracker()
    tracker.follow(face(), 0.0)
    track, ended = tracker.follow(face(), LOST_S + 0.1)
    assert track is not None
    assert (track.number, ended) == (2, 1)


def test_a_vector_of_another_person_is_not_added_to_the_track() -> None:
    tracker = Tracker()
    track, _ = tracker.follow(face(), 0.0)
    assert track is not None
    one, other = apart(OTHER_PERSON + 0.02)
    assert tracker.is_same_person(track, one, 0.0)
    assert not tracker.is_same_person(track, other, 0.1)
    assert track.vectors == 1
    replacing, ended = tracker.replace(face(), 0.1)
    assert (ended, replacing.number, replacing.vector) == (1, 2, None)


def test_a_vector_of_the_same_person_is_added() -> None:
    tracker = Tracker()
    track, _ = tracker.follow(face(), 0.0)
    assert track is not None
    one, other = apart(OTHER_PERSON - 0.02)
    assert tracker.is_same_person(track, one, 0.0)
    assert tracker.is_same_person(track, other, 0.1)
    assert track.vectors == 2


def test_numbers_are_never_used_twice() -> None:
    tracker = Tracker()
    numbers = []
    for step in range(5):
        track, _ = tracker.follow(face(), step * 10.0)
        assert track is not None
        numbers.append(track.number)
        assert tracker.end() == track.number
    assert numbers == [1, 2, 3, 4, 5]
    assert tracker.end() is None
