"""Requests over the control socket: who may do what, and one answer for each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.control.protocol import ARGUMENTS
from agent.core import audit, enrolment
from agent.core.registration import MAX_ENROLMENTS
from agent.core.requests import ACTIONS, MAX_SUBSCRIBERS, ROLES
from agent.core.turn import DISK_PATIENCE_S
from agent.effects import (
    AppendEntry,
    AuditGallery,
    BuildGallery,
    EncodePhoto,
    EraseMember,
    RecordConsent,
    RunQuery,
    SaveMember,
)
from agent.events import (
    Actor,
    EntriesLost,
    GalleryAudited,
    GalleryBuilt,
    Member,
    MemberErased,
    MemberSaved,
    PhotoEncoded,
    PhotoRefused,
    QueryAnswered,
    SubscriberLeft,
    Template,
    VisionStarted,
    VisionStopped,
)
from agent.storage.queries import QUERIES
from tests.core.station_play import CONSENT, ENGINE, MASTER, VIEWER, Play, begin, face_of, member, ready


def enrol(play: Play, member_id: str = "m-1", *, photos: int = 1, request: str = "r-1", **again: Any) -> list[str]:
    """Ask for an enrolment; returns the orders to vision."""
    already = len(play.found(EncodePhoto))
    pictures = tuple(b"photo" for _ in range(photos))
    consents = len(play.found(RecordConsent))
    play.ask("members.enrol", request=request, id=member_id, name="Somebody", photos=pictures, consent=CONSENT, **again)
    if len(play.found(RecordConsent)) > consents:
        assert len(play.found(EncodePhoto)) == already
        play.record_consent()
    return [each.order for each in play.found(EncodePhoto)[already:]]


def save(play: Play) -> None:
    """The disk has the member, then the entry."""
    order = play.found(SaveMember)[-1]
    play.put(MemberSaved(play.now, order.member, order.request))
    play.write_log()


def finals(play: Play, request: str = "r-1") -> int:
    """How many last answers a request has had."""
    return sum(each.is_last for each in play.replies(request))


# --- roles -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("role", [*ROLES, "guest", ""])
def test_an_action_is_refused_to_every_role_below_its_own(action: str, role: str) -> None:
    play = ready()
    given: dict[str, Any] = {
        "id": "m-1",
        "member_id": "m-1",
        "pass_id": "0" * 16,
        "name": "x",
        "photos": (b"photo",),
        "pin": "2580",
        "alarm": "forced",
        "fault": "camera.failed@camera",
        "stage": "seen",
        "where": "microwave",
        "appliance": "microwave",
        "on": False,
        "zh": "停水",
        "en": "No water",
        "supply": "gold",
        "quantity": 1,
        "what": "broken",
        "recipient": "nobody",
        "month": "2026-11",
        "part": "log",
        "epoch": 1,
        "first": 1,
        "last": 2,
        "sequence": 1,
        "hash": "0" * 64,
    }
    play.ask(action, actor=Actor("local", "somebody", role), **given)
    may = role in ROLES and ROLES.index(role) >= ROLES.index(ACTIONS[action].role)
    is_forbidden = (
        bool(play.replies())
        and play.replies()[-1].problems[:1] != ()
        and (play.problem_codes() == ["request.forbidden"])
    )
    assert is_forbidden is not may
    if not may:
        assert play.logged("control.refused") == [{"action": action, "actor": "somebody", "role": role}]
        assert play.lock_orders() == []
        assert finals(play) == 1


def test_an_action_that_does_not_exist_is_refused() -> None:
    play = ready()
    play.ask("door.explode")
    assert play.problem_codes() == ["request.unknown"]
    assert finals(play) == 1


def test_a_viewer_may_only_look() -> None:
    assert {name for name, action in ACTIONS.items() if action.role == "viewer"} == {
        "alarms.list",
        "faults.list",
        "sensors.read",
        "status",
        "subscribe",
        "supplies.list",
    }


def test_the_socket_knows_the_same_actions_as_the_rules() -> None:
    assert set(ARGUMENTS) == set(ACTIONS)


# --- the door --------------------------------------------------------------------------------------------------------


def test_an_unlock_opens_at_once_and_is_done_once_it_is_on_the_disk() -> None:
    play = ready()
    play.ask("door.unlock")
    assert play.lock_orders() == [True]
    assert play.replies() == []
    play.write_log()
    (reply,) = play.replies()
    assert (reply.ok, reply.result["lock"]) == (True, "released")
    assert (reply.result["epoch"], reply.result["sequence"]) >= (1, 1)
    (done,) = play.logged("control.done")
    assert done == {"action": "door.unlock", "actor": "master", "kind": "local", "lock": "released"}
    play.wait(60.0)
    assert finals(play) == 1


def test_an_unlock_is_refused_in_a_lock_down() -> None:
    play = ready()
    play.ask("door.lock_down")
    play.take()
    play.ask("door.unlock", request="r-2")
    assert play.problem_codes("r-2") == ["door.locked_down"]
    assert play.lock_orders() == []
    assert play.logged("control.refused") == [{"action": "door.unlock", "actor": "master", "reason": "locked_down"}]


@pytest.mark.parametrize(
    ("action", "mode"),
    [
        ("door.hold_open", "held_open"),
        ("door.block", "blocked"),
        ("door.lock_down", "locked_down"),
        ("door.resume", "normal"),
    ],
)
def test_a_mode_is_changed_and_said_on_the_disk(action: str, mode: str) -> None:
    play = ready()
    play.ask(action)
    play.write_log()
    assert play.replies()[-1].result["mode"] == mode
    assert play.state.door.mode.value == mode


def test_a_disk_that_stands_still_is_said_once_and_the_late_entry_is_no_second_answer() -> None:
    play = ready()
    play.ask("door.unlock")
    play.wait(DISK_PATIENCE_S)
    assert play.problem_codes() == ["storage.failed"]
    assert play.replies()[-1].result == {"lock": "released"}  # it was opened all the same
    play.write_log()
    play.wait(60.0)
    assert finals(play) == 1


def test_an_entry_that_was_lost_is_said_at_once() -> None:
    play = ready()
    play.ask("door.unlock")
    play.put(EntriesLost(play.now, ("r-1",)))
    assert play.problem_codes() == ["storage.failed"]
    play.wait(60.0)
    assert finals(play) == 1


# --- looking ---------------------------------------------------------------------------------------------------------


def test_the_status_tells_every_part_and_no_name() -> None:
    play = ready(member("m-1", 1))
    play.ask("status", actor=VIEWER)
    (reply,) = play.replies()
    assert reply.is_last
    assert set(reply.result["parts"]) == {"door", "occupancy", "appliances/microwave", "notice", "health"}
    assert reply.result["members"] == 1
    assert reply.result["broker"] == {"enabled": True, "connected": False, "acknowledged": 0}


def test_a_subscriber_hears_every_change_until_they_leave() -> None:
    play = ready()
    play.ask("subscribe", actor=VIEWER)
    (first,) = play.replies()
    assert (first.is_last, set(first.result["parts"]["door"])) == (
        False,
        {"mode", "admission", "lock", "contact", "alarms"},
    )
    play.take()
    play.ask("door.unlock", request="r-2")
    parts = [each.result["part"] for each in play.replies()]
    assert parts == ["door"]
    play.put(SubscriberLeft(play.now, "r-1"))
    play.take()
    play.wait(10.0)
    assert play.replies() == []


def test_subscribers_are_bounded_and_one_who_leaves_makes_room() -> None:
    play = ready()
    for n in range(MAX_SUBSCRIBERS):
        play.ask("subscribe", request=f"s-{n}")
    play.ask("subscribe")
    assert play.problem_codes() == ["request.busy"]
    play.put(SubscriberLeft(play.now, "s-0"))
    play.ask("subscribe", request="r-2")
    assert play.replies("r-2")[-1].ok


@pytest.mark.parametrize("action", ["members.list", "visits.list", "visits.page"])
def test_a_query_is_answered_by_the_disk_or_by_time(action: str) -> None:
    play = ready()
    play.ask(action, limit=5)
    (order,) = play.found(RunQuery)
    assert order.query in QUERIES
    assert set(order.arguments) <= set(QUERIES[order.query].defaults)
    play.put(QueryAnswered(play.now, "r-1", ({"id": "m-1"},)))
    assert play.replies()[-1].result == {"rows": [{"id": "m-1"}], "timezone": "UTC"}
    play.ask(action, request="r-2")
    play.put(QueryAnswered(play.now, "r-2", (), "no such argument"))
    assert play.problem_codes("r-2") == ["request.invalid"]
    play.ask(action, request="r-3")
    play.wait(DISK_PATIENCE_S)
    assert play.problem_codes("r-3") == ["request.timed_out"]
    play.put(QueryAnswered(play.now, "r-3", ()))
    assert [finals(play, f"r-{n}") for n in (1, 2, 3)] == [1, 1, 1]


# --- enrolment -------------------------------------------------------------------------------------------------------


def test_photos_become_a_member_who_can_come_in() -> None:
    play = ready()
    for order in enrol(play, photos=3):
        play.put(PhotoEncoded(play.now, order, face_of(5)))
    (saving,) = play.found(SaveMember)
    assert (saving.member.id, saving.name) == ("m-1", "Somebody")
    assert play.replies() == []
    save(play)
    assert play.replies()[-1].ok
    play.build_gallery()
    play.take()
    play.see_face(5)
    assert play.lock_orders() == [True]


def test_the_name_is_in_no_entry_and_on_no_topic() -> None:
    play = ready()
    play.connect()
    for order in enrol(play):
        play.put(PhotoEncoded(play.now, order, face_of(5)))
    save(play)
    play.wait(60.0)
    others = [each for each in play.orders if not isinstance(each, SaveMember)]
    assert "Somebody" not in repr(others)
    assert "Somebody" not in repr(play.orders)


def test_one_bad_photo_refuses_the_whole_enrolment_with_every_reason() -> None:
    play = ready()
    first, second, third = enrol(play, photos=3)
    play.put(PhotoRefused(play.now, first, "no_face"))
    play.put(PhotoEncoded(play.now, second, face_of(5)))
    assert play.replies() == []
    play.put(PhotoRefused(play.now, third, "two_faces"))
    assert play.problem_codes() == ["photo.no_face", "photo.two_faces"]
    assert play.found(SaveMember) == []
    play.wait(60.0)
    assert finals(play) == 1


def test_photos_that_are_nobody_are_refused() -> None:
    play = ready()
    first, second = enrol(play, photos=2)
    play.put(PhotoEncoded(play.now, first, face_of(5)))
    play.put(PhotoEncoded(play.now, second, -face_of(5)))
    assert play.problem_codes() == ["photo.unusable"]


def test_vision_that_dies_in_the_middle_ends_the_enrolment_at_once() -> None:
    play = ready()
    first, second = enrol(play, photos=2)
    play.put(PhotoEncoded(play.now, first, face_of(5)))
    play.put(VisionStopped(play.now, "killed"))
    assert play.problem_codes() == ["vision.stopped"]
    play.see_engine()
    play.put(PhotoEncoded(play.now, second, face_of(5)))
    play.wait(60.0)
    assert finals(play) == 1
    assert play.found(SaveMember) == []


def test_vision_that_says_nothing_ends_the_enrolment_in_time() -> None:
    play = ready()
    (order,) = enrol(play)
    play.wait(enrolment.PATIENCE_S)
    assert finals(play) == 1
    play.put(PhotoEncoded(play.now, order, face_of(5)))
    play.wait(60.0)
    assert finals(play) == 1
    assert play.found(SaveMember) == []


def test_nobody_is_enrolled_without_vision() -> None:
    play = begin()
    enrol(play)
    assert play.problem_codes() == ["vision.stopped"]


@pytest.mark.parametrize("photos", [0, enrolment.MAX_PHOTOS + 1])
def test_the_number_of_photos_is_bounded(photos: int) -> None:
    play = ready()
    enrol(play, photos=photos)
    assert play.problem_codes() == ["request.invalid"]


def test_enrolments_at_once_are_bounded() -> None:
    play = ready()
    for n in range(MAX_ENROLMENTS):
        enrol(play, f"m-{n}", request=f"e-{n}")
    enrol(play, "m-9")
    assert play.problem_codes() == ["request.busy"]


def test_a_member_that_is_not_saved_in_time_is_said_and_a_late_save_is_no_second_answer() -> None:
    play = ready()
    (order,) = enrol(play)
    play.put(PhotoEncoded(play.now, order, face_of(5)))
    play.wait(DISK_PATIENCE_S)
    assert play.problem_codes() == ["storage.failed"]
    save(play)
    play.wait(60.0)
    assert finals(play) == 1
    assert "m-1" in play.state.members


def test_a_new_enrolment_does_not_lift_a_suspension() -> None:
    play = ready(member("m-1", 1, is_suspended=True))
    (order,) = enrol(play, again=True)
    play.put(PhotoEncoded(play.now, order, near(1, 0.1)))
    save(play)
    play.build_gallery()
    play.take()
    play.see_face(1)
    assert play.lock_orders() == []
    assert [each["reason"] for each in play.logged("access.refused")] == ["suspended"]


# --- erasing ---------------------------------------------------------------------------------------------------------


def test_a_member_is_refused_from_the_moment_they_are_to_be_erased() -> None:
    play = ready(member("m-1", 1))
    play.ask("members.erase", id="m-1")
    assert [each.member_id for each in play.found(EraseMember)] == ["m-1"]
    assert play.state.gallery is not None
    assert "m-1" in play.state.gallery.members  # still the old one
    play.see_face(1)
    assert play.lock_orders() == []
    assert play.logged("access.refused") == [{"way": "face", "reason": "not_enrolled", "member": None}]


def test_an_erasure_is_done_once_it_and_its_entry_are_on_the_disk() -> None:
    play = ready(member("m-1", 1), member("m-2", 2))
    play.ask("members.erase", id="m-1")
    assert play.replies() == []
    play.put(MemberErased(play.now, "m-1", "r-1", existed=True))
    assert play.replies() == []
    assert [each.id for each in play.found(BuildGallery)[-1].members] == ["m-2"]
    play.write_log()
    assert play.replies()[-1].ok
    assert play.logged("member.erased") == [{"why": "asked"}]
    play.wait(60.0)
    assert finals(play) == 1


def test_whoever_is_not_there_cannot_be_erased() -> None:
    play = ready()
    play.ask("members.erase", id="m-9")
    play.put(MemberErased(play.now, "m-9", "r-1", existed=False))
    assert play.problem_codes() == ["member.unknown"]
    assert play.logged("member.erased") == []
    play.wait(60.0)
    assert finals(play) == 1


@pytest.mark.parametrize("existed", [True, False])
def test_an_erasure_that_comes_late_is_no_second_answer(existed: bool) -> None:
    play = ready(member("m-1", 1))
    play.ask("members.erase", id="m-1")
    play.wait(DISK_PATIENCE_S)
    assert play.problem_codes() == ["storage.failed"]
    play.put(MemberErased(play.now, "m-1", "r-1", existed))
    play.write_log()
    play.wait(60.0)
    assert finals(play) == 1
    assert len(play.logged("member.erased")) == existed


def test_an_erasure_ends_an_enrolment_of_the_same_member() -> None:
    play = ready()
    (order,) = enrol(play)
    (other,) = enrol(play, "m-2", request="r-2")
    play.ask("members.erase", request="r-3", id="m-1")
    assert play.problem_codes("r-1") == ["request.invalid"]
    play.put(PhotoEncoded(play.now, order, face_of(5)))
    assert play.found(SaveMember) == []
    play.put(PhotoEncoded(play.now, other, face_of(6)))
    assert [each.member.id for each in play.found(SaveMember)] == ["m-2"]


def test_an_older_gallery_never_takes_the_place_of_a_newer_one() -> None:
    play = ready(member("m-1", 1))
    old = play.state.gallery
    assert old is not None
    play.ask("members.erase", id="m-1")
    play.put(MemberErased(play.now, "m-1", "r-1", existed=True))
    play.build_gallery()
    play.put(GalleryBuilt(play.now, 1, old))
    assert play.state.gallery is not None
    assert play.state.gallery.members == ()


def test_the_master_who_asks_is_named_by_account_only() -> None:
    play = ready()
    play.ask("door.unlock", actor=MASTER)
    (done,) = play.logged("control.done")
    assert (done["actor"], done["kind"]) == ("master", "local")


# --- who looks like whom ---------------------------------------------------------------------------------------------


def near(person: int, distance: float, other: int = 90) -> NDArray[np.float32]:
    """(128,) float32, length 1, so far from the face of that person."""
    cosine = 1 - distance**2 / 2
    vector: NDArray[np.float32] = (cosine * face_of(person) + np.sqrt(1 - cosine**2) * face_of(other)).astype(
        np.float32
    )
    return vector


def test_somebody_already_enrolled_under_another_id_is_refused_and_the_id_named() -> None:
    play = ready(member("m-1", 1), member("m-2", 2))
    (order,) = enrol(play, "m-3")
    play.put(PhotoEncoded(play.now, order, near(2, 0.1)))
    assert play.problem_codes() == ["member.already_enrolled"]
    assert "m-2" in play.replies()[-1].problems[0]["text"]["en"]
    assert play.found(SaveMember) == []
    assert "m-2" not in repr(play.found(AppendEntry))
    play.wait(60.0)
    assert finals(play) == 1


def test_a_member_may_enrol_again_under_their_own_id() -> None:
    play = ready(member("m-1", 1), member("m-2", 2))
    (order,) = enrol(play, "m-2", again=True)
    play.put(PhotoEncoded(play.now, order, near(2, 0.1)))
    save(play)
    assert play.replies()[-1].ok
    assert play.replies()[-1].result["again"] is True


def test_an_id_that_is_taken_is_refused_before_a_consent_is_recorded_or_a_face_looked_at() -> None:
    play = ready(member("m-1", 1))
    assert enrol(play, "m-1") == []
    assert play.problem_codes() == ["member.exists"]
    assert "--again" in play.replies()[-1].problems[0]["remedy"]["en"]
    assert play.found(RecordConsent) == []


def test_another_face_does_not_take_over_an_id_even_again() -> None:
    play = ready(member("m-1", 1), member("m-2", 2))
    (order,) = enrol(play, "m-1", again=True)
    play.put(PhotoEncoded(play.now, order, face_of(3)))
    assert play.problem_codes() == ["member.other_person"]
    assert play.found(SaveMember) == []
    assert np.array_equal(play.state.members["m-1"].templates[0].vector, face_of(1))


def test_again_needs_a_member_who_exists() -> None:
    play = ready()
    assert enrol(play, "m-1", again=True) == []
    assert play.problem_codes() == ["member.unknown"]


def test_of_two_who_enrol_under_one_id_at_once_the_second_is_refused() -> None:
    play = ready()
    (first,) = enrol(play, "m-1")
    (second,) = enrol(play, "m-1", request="r-2")
    play.put(PhotoEncoded(play.now, first, face_of(3)))
    save(play)
    play.build_gallery()
    play.put(PhotoEncoded(play.now, second, face_of(4)))
    assert play.problem_codes("r-2") == ["member.exists"]
    assert len(play.found(SaveMember)) == 1


def test_who_withdrew_enrols_again_though_there_is_no_face_to_compare_with() -> None:
    play = ready(Member("m-1"))
    (order,) = enrol(play, "m-1", again=True)
    play.put(PhotoEncoded(play.now, order, face_of(3)))
    assert len(play.found(SaveMember)) == 1


def test_look_alikes_are_enrolled_with_a_warning_in_the_answer_and_in_the_log() -> None:
    play = ready(member("m-1", 1), member("m-2", 2))
    assert play.state.gallery is not None
    distance = play.state.gallery.threshold + play.state.gallery.min_margin / 2
    (order,) = enrol(play, "m-3")
    play.put(PhotoEncoded(play.now, order, near(2, distance)))
    save(play)
    (reply,) = play.replies()
    assert reply.ok
    assert reply.result["look_alikes"] == ["m-2"]
    assert [each["code"] for each in reply.result["warnings"]] == ["member.looks_alike"]
    assert play.logged("member.enrolled") == [{"member": "m-3", "look_alikes": ["m-2"]}]


def test_who_looks_like_nobody_is_enrolled_without_a_warning() -> None:
    play = ready(member("m-1", 1))
    (order,) = enrol(play, "m-3")
    play.put(PhotoEncoded(play.now, order, face_of(3)))
    save(play)
    assert play.replies()[-1].result["warnings"] == []
    assert play.logged("member.enrolled") == [{"member": "m-3", "look_alikes": []}]


def test_nobody_is_enrolled_uncompared_while_the_gallery_is_being_built() -> None:
    play = begin(member("m-1", 1))
    play.put(VisionStarted(play.now, *ENGINE))
    (order,) = enrol(play, "m-3")
    play.put(PhotoEncoded(play.now, order, face_of(3)))
    assert play.problem_codes() == ["request.busy"]
    assert play.found(SaveMember) == []


def test_enrolling_with_a_new_engine_keeps_the_template_of_the_old() -> None:
    old = Template("sface", "1" * 64, face_of(4))
    play = ready(Member("m-1", (old,)))
    (order,) = enrol(play, "m-1", again=True)
    play.put(PhotoEncoded(play.now, order, face_of(5)))
    (saving,) = play.found(SaveMember)
    assert [each.engine for each in saving.member.templates] == ["sface", ENGINE[0]]


# --- codes and the audit ---------------------------------------------------------------------------------------------


def test_the_master_names_a_member_and_the_face_confirms() -> None:
    play = ready(member("m-1", 1), member("m-2", 2))
    play.ask("access.present_code", member_id="m-1")
    play.write_log()
    assert play.replies()[-1].result["within_s"] == play.rules.recognition.code_window_s
    (done,) = play.logged("control.done")
    assert done["member"] == "m-1"
    play.see_face(2, frames=5)
    assert play.lock_orders() == []
    play.see_face(1, track=2)
    assert play.logged("access.granted") == [{"way": "master+face", "member": "m-1"}]


def test_a_member_who_is_not_there_or_has_no_face_here_cannot_be_confirmed() -> None:
    play = ready(member("m-1", 1), Member("m-2", (Template("sface", "1" * 64, face_of(2)),)), Member("m-3", ()))
    play.ask("access.present_code", member_id="m-9")
    assert play.problem_codes() == ["member.unknown"]
    play.ask("access.present_code", request="r-4", member_id="m-3")
    assert play.problem_codes("r-4") == ["member.no_face"]
    play.ask("access.present_code", request="r-2", member_id="m-2")
    assert play.problem_codes("r-2") == ["template.refused"]
    play.put(VisionStopped(play.now, "killed"))
    play.ask("access.present_code", request="r-3", member_id="m-1")
    assert play.problem_codes("r-3") == ["vision.stopped"]
    assert play.state.code is None


def test_an_audit_is_done_by_the_worker_and_answered_once() -> None:
    play = ready(member("m-1", 1))
    play.ask("faces.audit", strangers_a_day=50.0)
    (order,) = play.found(AuditGallery)
    assert order.strangers_a_day == 50.0
    assert order.gallery is play.state.gallery
    assert play.replies() == []
    play.put(GalleryAudited(play.now, "r-1", {"members": 1}))
    play.put(GalleryAudited(play.now, "r-1", {"members": 1}))
    assert [each.result for each in play.replies()] == [{"members": 1}]


def test_an_audit_that_takes_too_long_is_said_and_its_late_answer_dropped() -> None:
    play = ready(member("m-1", 1))
    play.ask("faces.audit")
    play.wait(DISK_PATIENCE_S)
    assert play.problem_codes() == ["request.timed_out"]
    play.put(GalleryAudited(play.now, "r-1", {"members": 1}))
    assert finals(play) == 1


def test_without_a_gallery_there_is_nothing_to_audit() -> None:
    play = begin(member("m-1", 1))
    play.ask("faces.audit")
    assert play.problem_codes() == ["vision.stopped"]


def test_the_socket_and_the_rules_expect_the_same_number_of_strangers() -> None:
    assert ARGUMENTS["faces.audit"]().model_dump() == {"strangers_a_day": audit.STRANGERS_A_DAY}
