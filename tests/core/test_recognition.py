"""Vectors of one track become one person or nobody."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import pytest

from agent.core import recognition
from agent.core.gallery import Gallery, build_gallery
from agent.core.recognition import (
    ASK_AGAIN_S,
    BACK_OFF_MAX_S,
    BACK_OFF_S,
    LIVE_WITHIN_S,
    MAX_TRACKS,
    TURN_HEAD_S,
    CodeNeeded,
    NotLive,
    Recognised,
    RecognitionSettings,
    Tracks,
    TurnAsked,
    Unrecognised,
    end,
    observe,
)
from agent.core.verification import Code, present
from agent.events import FaceSeen
from tests.core.station_play import face_of

SETTINGS = RecognitionSettings(frames_needed=2, refuse_after=5, again_s=10.0)
Decision = recognition.Decision | None
Liveness = Literal["live", "undecided", "attack"]


@pytest.fixture(scope="module")
def gallery() -> Gallery:
    return build_gallery([("m-1", face_of(1)), ("m-2", face_of(2))], engine="dlib", weights="0" * 64)


def watch(
    gallery: Gallery, person: int, *times: float, tracks: Tracks | None = None, track: int = 1
) -> tuple[Tracks, list[Decision]]:
    """One face at these times; its track began at the first of them."""
    seen = tracks or {}
    decisions: list[Decision] = []
    for at in times:
        seen, decision = observe(
            seen, FaceSeen(at, track, times[0], face_of(person), liveness="live"), gallery, SETTINGS
        )
        decisions.append(decision)
    return seen, decisions


def test_a_member_is_recognised_as_soon_as_there_are_frames_enough(gallery: Gallery) -> None:
    _, decisions = watch(gallery, 1, 5.0, 5.1)
    assert decisions[0] is None
    assert isinstance(decisions[1], Recognised)
    assert (decisions[1].member_id, decisions[1].first_at) == ("m-1", 5.0)


def test_a_stranger_is_refused_once_and_only_after_the_last_try(gallery: Gallery) -> None:
    _, decisions = watch(gallery, 9, *[n / 10 for n in range(10)])
    assert decisions == [None] * 4 + [Unrecognised(0.0)] + [None] * 5


def test_every_further_refusal_of_one_track_rests_twice_as_long(gallery: Gallery) -> None:
    tracks: Tracks = {}
    refused_at: list[float] = []
    for n in range(3000):
        tracks, decision = observe(tracks, FaceSeen(n / 10, 1, 0.0, face_of(9), liveness="live"), gallery, SETTINGS)
        if isinstance(decision, Unrecognised):
            refused_at.append(n / 10)
    rests_s = [later - earlier for earlier, later in pairwise(refused_at)]
    assert rests_s[:3] == pytest.approx([BACK_OFF_S + 0.4, 2 * BACK_OFF_S + 0.4, 4 * BACK_OFF_S + 0.4], abs=0.2)
    assert max(rests_s) <= BACK_OFF_MAX_S + 0.6


def test_a_member_who_stays_is_recognised_again_only_after_a_rest(gallery: Gallery) -> None:
    tracks, _ = watch(gallery, 1, 0.0, 0.1)
    tracks, decisions = watch(gallery, 1, 1.0, 9.0, tracks=tracks)
    assert decisions == [None, None]
    _, decisions = watch(gallery, 1, 10.2, 10.3, tracks=tracks)
    assert isinstance(decisions[1], Recognised)


def test_after_a_rest_the_time_of_the_first_sign_is_the_first_frame_after_it(gallery: Gallery) -> None:
    tracks, _ = watch(gallery, 1, 0.0, 0.1)
    for at in (10.2, 10.3):
        tracks, decision = observe(tracks, FaceSeen(at, 1, 0.0, face_of(1), liveness="live"), gallery, SETTINGS)
    assert isinstance(decision, Recognised)
    assert decision.first_at == 10.2


def test_a_stranger_does_not_delay_the_member_beside_them(gallery: Gallery) -> None:
    tracks, _ = watch(gallery, 9, *[n / 10 for n in range(5)], track=1)
    _, decisions = watch(gallery, 2, 0.6, 0.7, tracks=tracks, track=2)
    assert isinstance(decisions[1], Recognised)
    assert decisions[1].member_id == "m-2"


def test_frames_of_two_faces_are_never_mixed(gallery: Gallery) -> None:
    tracks, _ = watch(gallery, 1, 0.0, track=1)
    _, decisions = watch(gallery, 1, 0.1, tracks=tracks, track=2)
    assert decisions == [None]


def test_a_track_that_ended_begins_anew(gallery: Gallery) -> None:
    tracks, _ = watch(gallery, 1, 0.0)
    assert end(tracks, 1) == {}
    assert end(tracks, 7) == tracks
    _, decisions = watch(gallery, 1, 0.1, tracks=end(tracks, 1))
    assert decisions == [None]


def test_a_tracker_that_goes_mad_piles_up_nothing(gallery: Gallery) -> None:
    tracks: Tracks = {}
    for n in range(100):
        tracks, _ = watch(gallery, 9, float(n), tracks=tracks, track=n)
    assert set(tracks) == set(range(100 - MAX_TRACKS, 100))
    for n in range(100, 200):
        tracks, _ = watch(gallery, 9, float(n), tracks=tracks, track=1)
        assert all(len(each.vectors) < SETTINGS.refuse_after for each in tracks.values())


def test_nobody_is_recognised_in_an_empty_gallery() -> None:
    empty = build_gallery([], engine="dlib", weights="0" * 64)
    _, decisions = watch(empty, 1, *[n / 10 for n in range(5)])
    assert decisions == [None] * 4 + [Unrecognised(0.0)]


# --- with a code -----------------------------------------------------------------------------------------------------


def watch_with(code: Code | None, gallery: Gallery, person: int, frames: int = 5) -> list[Decision]:
    tracks: Tracks = {}
    decisions: list[Decision] = []
    for n in range(frames):
        tracks, decision = observe(
            tracks, FaceSeen(n / 10, 1, 0.0, face_of(person), liveness="live"), gallery, SETTINGS, code
        )
        decisions.append(decision)
    return decisions


@pytest.fixture(scope="module")
def crowded() -> Gallery:
    """Members too many for a very strict target."""
    people = [(f"m-{n}", face_of(n)) for n in range(2)]
    gallery = build_gallery(people, engine="dlib", weights="0" * 64, target_fpir=1e-7)
    assert gallery.is_too_large
    return gallery


def test_with_a_code_only_the_member_it_names_is_recognised(gallery: Gallery) -> None:
    code = present("card", ("m-1",), 0.0, 15.0)
    (right,) = [each for each in watch_with(code, gallery, 1, frames=2) if each]
    assert isinstance(right, Recognised)
    assert right.member_id == "m-1"
    assert watch_with(code, gallery, 2) == [None] * 4 + [Unrecognised(0.0)]


def test_a_code_of_several_finds_the_one_whose_face_it_is(gallery: Gallery) -> None:
    code = present("keypad", ("m-2", "m-1"), 0.0, 15.0)
    (found,) = [each for each in watch_with(code, gallery, 1, frames=2) if each]
    assert isinstance(found, Recognised)
    assert found.member_id == "m-1"


def test_a_code_that_nobody_has_refuses_as_a_wrong_face_does(gallery: Gallery) -> None:
    nobody = watch_with(present("card", (), 0.0, 15.0), gallery, 1)
    assert nobody == watch_with(present("card", ("m-2",), 0.0, 15.0), gallery, 1)


def test_a_gallery_too_large_asks_for_a_code_and_admits_with_one(crowded: Gallery) -> None:
    own = face_of(1)
    tracks, decision = observe({}, FaceSeen(0.0, 1, 0.0, own, liveness="live"), crowded, SETTINGS)
    tracks, decision = observe(tracks, FaceSeen(0.1, 1, 0.0, own, liveness="live"), crowded, SETTINGS)
    assert decision == CodeNeeded(0.0)
    _, decision = observe(tracks, FaceSeen(0.2, 1, 0.0, own, liveness="live"), crowded, SETTINGS)
    assert decision is None  # said once, then it rests

    code = present("card", ("m-1",), 0.0, 15.0)
    tracks, _ = observe({}, FaceSeen(0.0, 1, 0.0, own, liveness="live"), crowded, SETTINGS, code)
    _, decision = observe(tracks, FaceSeen(0.1, 1, 0.0, own, liveness="live"), crowded, SETTINGS, code)
    assert isinstance(decision, Recognised)
    assert decision.member_id == "m-1"


def decisions(gallery: Gallery, *faces: tuple[float, Liveness]) -> list[tuple[float, Decision]]:
    tracks: Tracks = {}
    found: list[tuple[float, Decision]] = []
    for at, liveness in faces:
        tracks, decision = observe(tracks, FaceSeen(at, 1, 0.0, face_of(1), liveness=liveness), gallery, SETTINGS)
        if decision is not None:
            found.append((at, decision))
    return found


def test_a_member_who_is_not_known_to_be_live_waits_and_comes_in_once_they_are(gallery: Gallery) -> None:
    found = decisions(gallery, (0.0, "undecided"), (0.1, "undecided"), (0.5, "undecided"), (0.9, "live"))
    assert [at for at, _ in found] == [0.9]
    assert isinstance(found[0][1], Recognised)


def test_a_member_who_stands_still_is_asked_to_turn_the_head_and_refused_in_the_end(gallery: Gallery) -> None:
    found = decisions(gallery, *((n / 10, "undecided") for n in range(round(10 * (LIVE_WITHIN_S + 1)))))
    assert [type(each) for _, each in found[:-1]] == [TurnAsked, TurnAsked]
    assert isinstance(found[-1][1], NotLive)
    assert TURN_HEAD_S <= found[0][0] <= TURN_HEAD_S + 0.3
    assert found[1][0] - found[0][0] >= ASK_AGAIN_S - 0.01


def test_a_picture_is_refused_whoever_is_on_it_and_has_to_wait_ever_longer(gallery: Gallery) -> None:
    found = decisions(gallery, *((n / 10, "attack") for n in range(150)))
    assert {type(each) for _, each in found} == {NotLive}
    times = [at for at, _ in found]
    assert len(times) == 3
    assert times[2] - times[1] > times[1] - times[0] >= BACK_OFF_S


def test_a_member_who_was_live_and_is_no_longer_does_not_come_in(gallery: Gallery) -> None:
    assert decisions(gallery, (0.0, "live"), (0.1, "undecided"), (0.2, "undecided")) == []
