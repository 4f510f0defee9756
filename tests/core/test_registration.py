"""Enrolment: the consent first, then photos or the camera, from frames that differ."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.core import enrolment
from agent.core.consent import ConsentRules
from agent.core.enrolment import EnrolmentRules
from agent.effects import EncodePhoto, EnrolFromCamera, RecordConsent, SaveMember, WatchAgain
from agent.events import (
    ConsentRecorded,
    EnrolmentFrameTaken,
    EnrolmentFrameUnusable,
    MemberSaved,
    PhotoEncoded,
    SubscriberLeft,
    VisionStopped,
)
from tests.core.station_play import CONSENT, RULES, Play, face_of, ready

STATION = replace(RULES, enrolment=EnrolmentRules(min_frames=3))


def near(person: int, step: int) -> NDArray[np.float32]:
    """Another picture of that person: 0.1 away from every other step."""
    vector = face_of(person) + 0.07 * face_of(100 + step)
    unit: NDArray[np.float32] = (vector / np.linalg.norm(vector)).astype(np.float32)
    return unit


def begin_camera(play: Play, request: str = "r-1", **arguments: Any) -> None:
    play.ask("members.enrol", request=request, id="m-1", name="Somebody", camera=True, consent=CONSENT, **arguments)


def frame(
    play: Play, turn: float = 0.0, *, nod: float = 0.5, width_px: int = 100, step: int = 0, person: int = 5
) -> None:
    play.put(EnrolmentFrameTaken(play.now, "r-1", near(person, step), turn, nod, width_px))


# --- consent first ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [{"photos": (b"a", b"b", b"c")}, {"camera": True}])
def test_without_a_consent_nothing_is_looked_at_and_nothing_is_recorded(source: dict[str, Any]) -> None:
    play = ready(rules=STATION)
    play.ask("members.enrol", id="m-1", name="Somebody", **source)
    assert play.problem_codes() == ["consent.missing"]
    assert not play.found(RecordConsent) + play.found(EncodePhoto) + play.found(EnrolFromCamera)


@pytest.mark.parametrize("source", [{"photos": (b"a", b"b", b"c")}, {"camera": True}])
def test_no_face_is_looked_at_before_the_consent_is_on_the_disk(source: dict[str, Any]) -> None:
    play = ready(rules=STATION)
    play.ask("members.enrol", id="m-1", name="Somebody", consent=CONSENT, **source)
    (order,) = play.found(RecordConsent)
    assert (order.member_id, order.consent.version, order.consent.recorded_by) == ("m-1", "v-1", "master")
    play.wait(5.0)
    assert not play.found(EncodePhoto) + play.found(EnrolFromCamera)
    play.record_consent()
    assert len(play.found(EncodePhoto)) == 3 or len(play.found(EnrolFromCamera)) == 1


def test_what_is_saved_rests_on_the_consent_that_was_recorded() -> None:
    play = ready()
    play.ask("members.enrol", id="m-1", name="Somebody", photos=(b"a",), consent=CONSENT)
    play.record_consent()
    play.put(PhotoEncoded(play.now, play.found(EncodePhoto)[0].order, face_of(5)))
    assert play.found(SaveMember)[0].consent_id == "c-1"


def test_a_clock_that_was_never_set_enrols_nobody() -> None:
    play = ready()
    play.ask("members.enrol", id="m-1", name="Somebody", photos=(b"a",), consent=CONSENT)
    play.put(ConsentRecorded(play.now, "r-1", "m-1", "", ""))
    assert play.problem_codes() == ["clock.not_set"]
    assert not play.found(EncodePhoto)


def test_a_disk_that_does_not_take_the_consent_ends_the_enrolment() -> None:
    play = ready()
    play.ask("members.enrol", id="m-1", name="Somebody", photos=(b"a",), consent=CONSENT)
    play.wait(enrolment.PATIENCE_S)
    assert play.problem_codes() == ["storage.failed"]
    play.record_consent()
    assert not play.found(EncodePhoto)


def test_the_text_is_shown_and_one_that_is_not_there_is_said_so() -> None:
    play = ready()
    play.ask("consent.show", language="zh")
    assert play.replies()[-1].result["text"] == "同意。"
    assert play.replies()[-1].result["min_frames"] == play.rules.enrolment.min_frames
    bare = ready(rules=replace(RULES, consent=ConsentRules("v-9")))
    bare.ask("consent.show", language="zh")
    bare.ask("members.enrol", request="r-2", id="m-1", name="x", photos=(b"a",), consent={**CONSENT, "version": "v-9"})
    assert bare.problem_codes() == bare.problem_codes("r-2") == ["consent.no_text"]


# --- photos ----------------------------------------------------------------------------------------------------------


def test_three_photos_that_differ_are_enough_and_two_are_refused_at_once() -> None:
    play = ready(rules=STATION)
    play.ask("members.enrol", id="m-1", name="Somebody", photos=(b"a", b"b"), consent=CONSENT)
    assert play.problem_codes() == ["enrolment.too_few"]
    assert not play.found(RecordConsent)
    play.ask("members.enrol", request="r-2", id="m-1", name="Somebody", photos=(b"a", b"b", b"c"), consent=CONSENT)
    play.record_consent()
    for step, order in enumerate(play.found(EncodePhoto)):
        play.put(PhotoEncoded(play.now, order.order, near(5, step)))
    assert len(play.found(SaveMember)) == 1


def test_one_photo_three_times_is_one_photo() -> None:
    play = ready(rules=STATION)
    play.ask("members.enrol", id="m-1", name="Somebody", photos=(b"a", b"a", b"a"), consent=CONSENT)
    play.record_consent()
    for order in play.found(EncodePhoto):
        play.put(PhotoEncoded(play.now, order.order, near(5, 0)))
    assert play.problem_codes() == ["enrolment.too_few"]
    assert not play.found(SaveMember)


def test_photos_of_two_people_are_refused() -> None:
    play = ready(rules=STATION)
    play.ask("members.enrol", id="m-1", name="Somebody", photos=(b"a", b"b", b"c"), consent=CONSENT)
    play.record_consent()
    for person, order in zip((5, 5, 6), play.found(EncodePhoto), strict=True):
        play.put(PhotoEncoded(play.now, order.order, near(person, person)))
    assert play.problem_codes() == ["enrolment.two_people"]
    assert not play.found(SaveMember)


# --- the camera ------------------------------------------------------------------------------------------------------


def test_frames_of_three_poses_enrol_somebody_who_is_told_what_to_do() -> None:
    play = ready(rules=STATION)
    begin_camera(play)
    play.record_consent()
    (order,) = play.found(EnrolFromCamera)
    assert (order.order, order.seconds) == ("r-1", enrolment.CAMERA_S)
    for step, turn in enumerate((0.0, 0.1, -0.1)):
        play.wait(0.3)
        frame(play, turn, step=step)
    told = [(each.result["frames"], each.is_last) for each in play.replies()]
    assert told == [(0, False), (1, False), (2, False)]
    assert all(set(each.result["advice"]) == {"zh", "en"} for each in play.replies())
    (saving,) = play.found(SaveMember)
    assert len(play.found(WatchAgain)) == 1
    play.put(MemberSaved(play.now, saving.member, saving.request))
    play.write_log()
    assert (play.replies()[-1].ok, play.replies()[-1].is_last, play.replies()[-1].result["frames"]) == (True, True, 3)


@pytest.mark.parametrize("other", [{"turn": 0.1}, {"nod": 0.6}, {"width_px": 120}])
def test_a_turn_a_nod_and_a_step_nearer_each_show_another_side(other: dict[str, Any]) -> None:
    play = ready(rules=STATION)
    begin_camera(play)
    play.record_consent()
    frame(play)
    frame(play, **{"turn": 0.0, **other})
    assert [len(each.vectors) for each in play.state.enrolments.values()] == [2]


def test_somebody_who_stands_still_is_asked_to_turn_and_is_refused_after_a_minute() -> None:
    play = ready(rules=STATION)
    begin_camera(play)
    play.record_consent()
    began = play.now
    while play.now < began + enrolment.CAMERA_S - 0.5:
        play.wait(0.25)
        frame(play, 0.01)
    assert 20 <= len(play.replies()) <= 40  # often enough to follow, seldom enough to read
    play.wait(1.0)
    assert play.problem_codes() == ["enrolment.too_few"]
    assert "1 / 3" in play.replies()[-1].problems[0]["text"]["en"]
    assert len(play.found(WatchAgain)) == 1
    assert not play.found(SaveMember)


def test_a_face_that_does_not_count_is_told_why() -> None:
    play = ready(rules=STATION)
    begin_camera(play)
    play.record_consent()
    play.wait(3.0)
    play.put(EnrolmentFrameUnusable(play.now, "r-1", "too_far"))
    assert play.replies()[-1].result["advice"]["en"] == "Please come closer."


def test_another_person_before_the_camera_ends_the_enrolment() -> None:
    play = ready(rules=STATION)
    begin_camera(play)
    play.record_consent()
    frame(play)
    frame(play, 0.1, person=6)
    assert play.problem_codes() == ["enrolment.two_people"]
    assert len(play.found(WatchAgain)) == 1


def test_only_one_person_at_a_time_stands_before_the_camera() -> None:
    play = ready(rules=STATION)
    begin_camera(play)
    begin_camera(play, "r-2")
    assert play.problem_codes("r-2") == ["request.busy"]
    begin_camera(play, "r-3", photos=(b"a",))
    assert play.problem_codes("r-3") == ["request.busy"]


def test_photos_and_the_camera_at_once_are_refused() -> None:
    play = ready(rules=STATION)
    begin_camera(play, photos=(b"a", b"b", b"c"))
    assert play.problem_codes() == ["request.invalid"]


def test_whoever_leaves_in_the_middle_gives_the_camera_back_to_the_door() -> None:
    play = ready(rules=STATION)
    begin_camera(play)
    play.record_consent()
    play.put(SubscriberLeft(play.now, "r-1"))
    assert len(play.found(WatchAgain)) == 1
    assert not play.state.enrolments
    frame(play)
    assert not play.found(SaveMember)


def test_vision_that_dies_ends_it_at_once() -> None:
    play = ready(rules=STATION)
    begin_camera(play)
    play.record_consent()
    play.put(VisionStopped(play.now, "killed"))
    assert play.problem_codes() == ["vision.stopped"]
    play.see_engine()
    frame(play)
    assert not play.state.enrolments
