"""Enrolling somebody: the consent goes to the disk, then photos or the camera are looked at, then all is saved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agent import events
from agent.core import consent, enrolment, templates
from agent.core.access import WORDS, Reason
from agent.core.enrolment import Enrolment
from agent.core.gallery import GalleryError
from agent.core.problems import Problem, Words, problem
from agent.core.state import Removal
from agent.core.supervision import Phase
from agent.core.turn import Turn
from agent.effects import EncodePhoto, EnrolFromCamera, RecordConsent, Reply, SaveMember, WatchAgain
from agent.events import ControlRequested, Member, Template

MAX_ENROLMENTS = 4  # one station master enrols one rider at a time; bounds the photos in memory

_WHERE = "members.enrol"
_LOOK = Words("请看镜头。", "Please look at the camera.")
_TURN = Words(
    "很好。请慢慢把头转向一侧,或靠近一点。", "Good. Now turn your head a little to one side, or come a little closer."
)


def show_consent(turn: Turn, asked: ControlRequested) -> None:
    """Give out the text that somebody is to consent to, and how many pictures they will need then."""
    rules = turn.rules.consent
    language = asked.arguments.get("language", "zh")
    text = rules.texts.get(language)
    if text is None:
        turn.refuse(asked.request, problem("consent.no_text", "consent.version", f"{rules.version}.{language}.md"))
        return
    shown = {
        "version": rules.version,
        "language": language,
        "text": text.text,
        "valid_days": rules.valid_days,
        "under_age": rules.under_age,
        "min_frames": turn.rules.enrolment.min_frames,
    }
    turn.do(Reply(asked.request, ok=True, result=shown))


def begin(turn: Turn, asked: ControlRequested) -> None:
    """Check the request and record the consent; no face is looked at before that is on the disk."""
    photos, is_camera = asked.arguments.get("photos", ()), asked.arguments.get("camera", False)
    given = consent.given(asked.arguments.get("consent"), turn.rules.consent, asked.actor.name)
    is_again, member_id = asked.arguments.get("again", False), asked.arguments["id"]
    refusal = taken(turn, member_id, is_again=is_again) or _refusal(turn, photos, is_camera=is_camera)
    if refusal is None and isinstance(given, Problem):
        refusal = given
    if refusal is not None or isinstance(given, Problem):
        turn.refuse(asked.request, *([refusal] if refusal else []))
        return
    until = turn.now + (enrolment.CAMERA_S if is_camera else enrolment.PATIENCE_S)
    begun = Enrolment(
        asked.request,
        member_id,
        asked.arguments["name"],
        until,
        photos=photos,
        is_camera=is_camera,
        is_again=is_again,
    )
    turn.set(enrolments={**turn.state.enrolments, asked.request: begun})
    turn.do(RecordConsent(asked.request, member_id, given, turn.now))


def on_consent(turn: Turn, event: events.ConsentRecorded) -> None:
    """The consent is on the disk: look at the photos, or through the camera."""
    begun = turn.state.enrolments.get(event.request)
    if begun is None or begun.consent_id:
        return
    if not event.consent_id:
        stop(turn, event.request, problem("clock.not_set", "clock"))
        return
    begun = replace(begun, consent_id=event.consent_id, photos=())
    if begun.is_camera:
        _put(turn, replace(begun, told_at=turn.now))
        turn.do(EnrolFromCamera(begun.request, enrolment.CAMERA_S))
        _tell(turn, begun, _LOOK)
        return
    photos = turn.state.enrolments[event.request].photos
    orders = [EncodePhoto(enrolment.order_of(begun.request, n), photo) for n, photo in enumerate(photos, 1)]
    _put(turn, replace(begun, waiting=frozenset(each.order for each in orders)))
    turn.do(*orders)


def on_photo_encoded(turn: Turn, event: events.PhotoEncoded) -> None:
    """One photo has its vector."""
    begun = turn.state.enrolments.get(enrolment.request_of(event.order))
    if begun is not None and begun.consent_id:
        _carry_on(turn, enrolment.encoded(begun, event.order, event.vector))


def on_photo_refused(turn: Turn, event: events.PhotoRefused) -> None:
    """One photo cannot be used."""
    begun = turn.state.enrolments.get(enrolment.request_of(event.order))
    if begun is not None and begun.consent_id:
        _carry_on(turn, enrolment.refused(begun, event.order, event.reason))


def on_frame(turn: Turn, event: events.EnrolmentFrameTaken) -> None:
    """A good frame of the camera: kept when it shows the face from another side."""
    begun = turn.state.enrolments.get(event.order)
    if begun is None or not begun.is_looking or turn.state.engine is None:
        return
    after = enrolment.framed(begun, event)
    if after is begun:
        _advise(turn, begun, _TURN)
        return
    if enrolment.is_of_two(after.vectors, turn.state.engine[0]):
        stop(turn, begun.request, problem("enrolment.two_people", _WHERE))
        return
    if len(after.vectors) >= turn.rules.enrolment.min_frames:
        _finish(turn, after)
        return
    _put(turn, replace(after, told_at=turn.now))
    _tell(turn, after, _TURN)


def on_unusable_frame(turn: Turn, event: events.EnrolmentFrameUnusable) -> None:
    """A face is there but does not count: say what to do."""
    begun = turn.state.enrolments.get(event.order)
    if begun is not None and begun.is_looking and event.reason in set(Reason):
        _advise(turn, begun, WORDS[Reason(event.reason)])


def on_saved(turn: Turn, event: events.MemberSaved) -> None:
    """The member is on the disk."""
    removal = turn.state.removals.get(event.member.id)
    if removal is not None:
        _on_saved_in_vain(turn, event, removal)
        return
    known = turn.state.members.get(event.member.id)
    saved = event.member
    if known is not None:  # who was suspended since their pictures were taken is so still
        saved = replace(known, templates=event.member.templates)
    turn.set(members={**turn.state.members, saved.id: saved})
    templates.rebuild_gallery(turn)
    waiting = turn.forget(event.request)
    if event.member.templates:
        look_alikes = waiting.result.get("look_alikes", []) if waiting else []
        turn.log("member.enrolled", {"member": event.member.id, "look_alikes": look_alikes}, tag=event.request)
    else:
        turn.log("member.added", {"member": event.member.id}, tag=event.request)
    if waiting:
        turn.answer_when_logged(event.request, waiting.result, _WHERE)


def _on_saved_in_vain(turn: Turn, event: events.MemberSaved, removal: Removal) -> None:
    """What was ordered after it takes the member, or their face, off the disk next; no entry may name them then."""
    if not removal.is_erasure:
        turn.set(members={**turn.state.members, event.member.id: replace(event.member, templates=())})
    if turn.forget(event.request) is not None:
        turn.refuse(event.request, problem("request.invalid", "id", "an erasure or a withdrawal came in between"))


def stop(turn: Turn, request: str, *reasons: Problem) -> None:
    """End an enrolment that is under way and say why; its photos and vectors are forgotten."""
    leave(turn, request)
    turn.refuse(request, *reasons)


def leave(turn: Turn, request: str) -> None:
    """End an enrolment that is under way without a word; nothing for a request that is none."""
    begun = turn.state.enrolments.get(request)
    if begun is None:
        return
    turn.set(enrolments={key: each for key, each in turn.state.enrolments.items() if key != request})
    if begun.is_looking:
        turn.do(WatchAgain())


def run_out(turn: Turn, begun: Enrolment) -> None:
    """Its time is over: say what did not come."""
    if not begun.consent_id:
        reason = problem("storage.failed", _WHERE, "the consent is not on the disk yet")
    elif begun.is_camera:
        needed = turn.rules.enrolment.min_frames
        reason = problem("enrolment.too_few", _WHERE, f"{len(begun.vectors)} / {needed}")
    else:
        reason = problem("request.timed_out", _WHERE, "face recognition is silent")
    stop(turn, begun.request, reason)


def taken(turn: Turn, member_id: str, *, is_again: bool) -> Problem | None:
    """An id is one person's for as long as they are a member: nobody takes it over, not by a slip either."""
    if not turn.state.is_read:
        return problem("storage.failed", "id", "no member is known until the disk can be read")
    if member_id in turn.state.members and not is_again:
        return problem("member.exists", "id", member_id)
    if not is_again and any(each.result.get("member") == member_id for each in turn.state.waiting.values()):
        return problem("request.busy", "id", "this id is being saved for somebody")
    if is_again and member_id not in turn.state.members:
        return problem("member.unknown", member_id)
    return None


def _refusal(turn: Turn, photos: tuple[bytes, ...], *, is_camera: bool) -> Problem | None:
    if turn.state.vision.phase is not Phase.RUNNING or turn.state.engine is None:
        return problem("vision.stopped", "vision", "photos cannot be read")
    if len(turn.state.enrolments) >= MAX_ENROLMENTS:
        return problem("request.busy", _WHERE, "other enrolments are under way")
    if is_camera and any(each.is_camera for each in turn.state.enrolments.values()):
        return problem("request.busy", _WHERE, "somebody else stands before the camera")
    if is_camera and photos:
        return problem("request.invalid", "photos", "either photos or the camera")
    if not is_camera and not 1 <= len(photos) <= enrolment.MAX_PHOTOS:
        return problem("request.invalid", "photos", f"1 to {enrolment.MAX_PHOTOS} photos, not {len(photos)}")
    needed = turn.rules.enrolment.min_frames
    if not is_camera and len(photos) < needed:
        return problem("enrolment.too_few", "photos", f"{len(photos)} / {needed}")
    return None


def _carry_on(turn: Turn, begun: Enrolment) -> None:
    if not begun.is_complete:
        _put(turn, begun)
    elif begun.problems:
        stop(turn, begun.request, *begun.problems)
    else:
        _finish(turn, begun)


def _finish(turn: Turn, begun: Enrolment) -> None:
    """Every vector is there: fuse them, compare with the others, and save."""
    leave(turn, begun.request)
    if turn.state.engine is None:
        turn.refuse(begun.request, problem("vision.stopped", "vision", "it stopped meanwhile"))
        return
    if turn.state.gallery is None:
        turn.refuse(begun.request, problem("request.busy", _WHERE, "the gallery is still being built"))
        return
    try:
        template = Template(*turn.state.engine, enrolment.template_vector(begun))
        likenesses = enrolment.compare(turn.state.gallery, template, begun.member_id)
    except GalleryError as error:
        turn.refuse(begun.request, problem("photo.unusable", "photos", str(error)))
        return
    known = turn.state.members.get(begun.member_id)
    found = enrolment.fault_in(begun, turn.state.engine[0], turn.rules.enrolment)
    if found is None:  # somebody may have got this id since this began
        found = taken(turn, begun.member_id, is_again=begun.is_again)
    if found is not None:
        turn.refuse(begun.request, found)
    elif known is not None and enrolment.is_of_another(known, template):
        turn.refuse(begun.request, problem("member.other_person", "id", begun.member_id))
    elif likenesses.enrolled_as is not None:
        turn.refuse(begun.request, problem("member.already_enrolled", _WHERE, likenesses.enrolled_as))
    else:
        _save(turn, begun, template, likenesses)


def _save(turn: Turn, begun: Enrolment, template: Template, likenesses: enrolment.Likenesses) -> None:
    known = turn.state.members.get(begun.member_id)
    member = replace(known or Member(begun.member_id), templates=templates.renewed(known, template))
    order_save(turn, SaveMember(begun.request, member, begun.name, turn.now, begun.consent_id))
    result = {
        "member": begun.member_id,
        "again": begun.is_again,
        "frames": len(begun.vectors),
        "look_alikes": list(likenesses.look_alikes),
        "warnings": likenesses.warnings(),
    }
    turn.expect(begun.request, problem("storage.failed", _WHERE, "the member is not on the disk yet"), result)


def order_save(turn: Turn, order: SaveMember) -> None:
    """Have a member saved; `on_saved` follows."""
    # What removes a former member of this id was ordered before.
    turn.set(removals={key: each for key, each in turn.state.removals.items() if key != order.member.id})
    turn.do(order)


def _advise(turn: Turn, begun: Enrolment, words: Words) -> None:
    """Say what to do, but not so often that nobody can follow."""
    if turn.now - begun.told_at >= enrolment.ADVICE_S:
        _put(turn, replace(begun, told_at=turn.now))
        _tell(turn, begun, words)


def _tell(turn: Turn, begun: Enrolment, words: Words) -> None:
    progress: dict[str, Any] = {
        "frames": len(begun.vectors),
        "needed": turn.rules.enrolment.min_frames,
        "advice": {"zh": words.zh, "en": words.en},
    }
    turn.do(Reply(begun.request, ok=True, result=progress, is_last=False))


def _put(turn: Turn, begun: Enrolment) -> None:
    turn.set(enrolments={**turn.state.enrolments, begun.request: begun})
