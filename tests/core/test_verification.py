"""A code names members, and for a while only their faces open the door."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core.access import Reason
from agent.core.gallery import build_gallery
from agent.core.recognition import RecognitionSettings
from agent.core.verification import in_force, present
from agent.events import CodePresented, GalleryBuilt
from tests.core.station_play import ENGINE, RULES, Play, member, ready

WINDOW_S = RecognitionSettings().code_window_s


def crowded() -> Play:
    """A station whose target is so strict that two members are too many for it."""
    play = ready(member("m-1", 1), member("m-2", 2))
    people = [(each.id, each.templates[0].vector) for each in play.state.members.values()]
    gallery = build_gallery(people, engine=ENGINE[0], weights=ENGINE[1], target_fpir=1e-5)
    assert gallery.is_too_large
    play.put(GalleryBuilt(play.now, play.state.gallery_request, gallery))
    play.take()
    return play


@pytest.mark.parametrize(("at", "is_in_force"), [(5.0, True), (14.9, True), (15.0, False), (1000.0, False)])
def test_a_code_is_in_force_until_its_time_is_over(at: float, is_in_force: bool) -> None:
    code = present("card", ("m-1", "m-1", "m-2"), 0.0, 15.0)
    assert code.member_ids == ("m-1", "m-2")
    assert (in_force(code, at) is code) is is_in_force
    assert in_force(None, at) is None


def test_a_code_and_its_face_open_the_door_and_the_log_says_both() -> None:
    play = ready(member("m-1", 1), member("m-2", 2))
    play.put(CodePresented(play.now, "card", ("m-1",)))
    assert play.patterns() == ["look_here"]
    play.see_face(1)
    assert play.lock_orders() == [True]
    assert play.logged("access.granted") == [{"way": "card+face", "member": "m-1"}]


def test_a_code_does_not_open_to_another_members_face() -> None:
    play = ready(member("m-1", 1), member("m-2", 2))
    play.put(CodePresented(play.now, "card", ("m-1",)))
    play.see_face(2, frames=5)
    assert play.lock_orders() == []
    assert play.logged("access.refused") == [{"way": "card+face", "reason": "not_enrolled", "member": None}]


def test_a_code_is_used_up_by_the_admission() -> None:
    play = ready(member("m-1", 1), member("m-2", 2))
    play.put(CodePresented(play.now, "card", ("m-1",)))
    play.see_face(1)
    play.see_face(2, track=2)
    assert [each["way"] for each in play.logged("access.granted")] == ["card+face", "face"]


def test_after_its_time_faces_are_judged_without_the_code() -> None:
    play = ready(member("m-1", 1), member("m-2", 2))
    play.put(CodePresented(play.now, "card", ("m-1",)))
    play.wait(WINDOW_S)
    play.see_face(2)
    assert [each["way"] for each in play.logged("access.granted")] == ["face"]


def test_how_long_a_code_holds_is_a_setting() -> None:
    rules = replace(RULES, recognition=RecognitionSettings(code_window_s=60.0))
    play = ready(member("m-1", 1), rules=rules)
    play.put(CodePresented(play.now, "card", ("m-1",)))
    play.wait(59.0)
    play.see_face(1)
    assert [each["way"] for each in play.logged("access.granted")] == ["card+face"]


def test_frames_from_before_the_code_do_not_count() -> None:
    play = ready(member("m-1", 1))
    play.see_face(1, frames=1)
    play.put(CodePresented(play.now, "card", ("m-1",)))
    play.see_face(1, frames=1)
    assert play.lock_orders() == []


def test_a_suspended_member_stays_out_with_code_and_face() -> None:
    play = ready(member("m-1", 1, is_suspended=True))
    play.put(CodePresented(play.now, "card", ("m-1",)))
    play.see_face(1)
    assert play.lock_orders() == []
    assert [each["reason"] for each in play.logged("access.refused")] == ["suspended"]


def test_a_gallery_too_large_admits_nobody_by_the_face_alone() -> None:
    play = crowded()
    play.see_face(1, frames=10)
    assert play.lock_orders() == []
    assert play.patterns() == ["refused"]
    assert play.logged("access.refused") == [{"way": "face", "reason": Reason.CODE_NEEDED.value, "member": None}]


def test_whoever_was_asked_for_a_code_need_not_wait_once_it_is_there() -> None:
    play = crowded()
    play.see_face(1, frames=5)
    play.put(CodePresented(play.now, "keypad", ("m-1", "m-2")))
    play.see_face(1)
    assert [each["member"] for each in play.logged("access.granted")] == ["m-1"]
