"""What the vision child reports: itself, its camera, and the faces it sees."""

from __future__ import annotations

from agent import events
from agent.core import challenge, movement, recognition, registration, supervision, templates, verification, ways_in
from agent.core.access import Reason
from agent.core.admission import admit, is_resting
from agent.core.codes import KEYPAD
from agent.core.door import Cause
from agent.core.passage import advise, await_face, keep_tracks, refuse_entry
from agent.core.problems import problem
from agent.core.recognition import (
    CodeNeeded,
    FrontAsked,
    MovementDue,
    MovementFailed,
    NotLive,
    Recognised,
    TurnAsked,
    Unrecognised,
)
from agent.core.turn import Turn
from agent.effects import Reply

_BY_NUMBER = "number+face"


def on_vision_started(turn: Turn, event: events.VisionStarted) -> None:
    """The child runs; what it makes of faces must fit the gallery."""
    engine = (event.engine, event.weights)
    turn.set(vision=supervision.started(turn.state.vision, turn.now), engine=engine, gallery=None)
    turn.clear_fault("vision.stopped", "vision")
    templates.rebuild_gallery(turn)


def on_vision_stopped(turn: Turn, event: events.VisionStopped) -> None:
    """The child ended, or was ended."""
    turn.set(
        vision=supervision.stopped(turn.state.vision, turn.now),
        engine=None,
        gallery=None,
        gallery_request=turn.state.gallery_request + 1,  # one that is still being built may not fit the next engine
    )
    keep_tracks(turn, {})
    turn.clear_fault("camera.failed", "camera")  # the next child says anew what is wrong with its camera
    turn.raise_fault("vision.stopped", "vision", event.reason)
    for request in turn.state.enrolments:
        registration.stop(turn, request, problem("vision.stopped", "vision", "it stopped meanwhile"))


def on_vision_beat(turn: Turn, _event: events.VisionBeat) -> None:
    """The child is alive."""
    _heard(turn)


def on_camera_failed(turn: Turn, event: events.CameraFailed) -> None:
    """No pictures: whoever was before the camera is forgotten."""
    _heard(turn)
    keep_tracks(turn, {})
    turn.raise_fault("camera.failed", "camera", event.reason)


def on_camera_recovered(turn: Turn, _event: events.CameraRecovered) -> None:
    """Pictures again."""
    _heard(turn)
    turn.clear_fault("camera.failed", "camera")


def on_face(turn: Turn, event: events.FaceSeen) -> None:
    """A good face, with how it looks to the engine."""
    _heard(turn)
    if turn.state.gallery is None:
        return  # still being built, within moments of a start
    code = verification.in_force(turn.state.code, event.at)
    way = "face" if code is None else code.way_in
    tracks, decision = recognition.observe(turn.state.tracks, event, turn.state.gallery, turn.rules.recognition, code)
    turn.set(tracks=tracks)
    match decision:
        case Recognised(member_id, _distance, first_at):
            _come_in(turn, event.track, Cause(way, member_id, first_at), member_id)
        case Unrecognised(_):
            _turn_away(turn, way)
        case CodeNeeded(_):
            refuse_entry(turn, Reason.CODE_NEEDED, way)
        case NotLive(_):
            refuse_entry(turn, Reason.NOT_LIVE, way)
        case TurnAsked(_):
            advise(turn, Reason.TURN_HEAD)
        case FrontAsked(_):
            advise(turn, Reason.TURNED_AWAY)
        case MovementDue():
            challenge.ask(turn, event.track, decision, event.at)
        case MovementFailed():
            challenge.refuse(turn, decision, event.at)
        case None:
            pass


def _come_in(turn: Turn, track: int, cause: Cause, member_id: str) -> None:
    turn.set(code=None, challenges=movement.passed(turn.state.challenges, member_id))  # one code, one person
    if cause.way == "face" and is_resting(turn, member_id):
        turn.set(tracks=recognition.rest_until(turn.state.tracks, track, turn.state.rests[member_id]))
        return
    refusal = admit(turn, cause)
    if cause.way == _BY_NUMBER:
        ways_in.count_right(turn, KEYPAD, refusal)


def _turn_away(turn: Turn, way: str) -> None:
    refuse_entry(turn, Reason.NOT_ENROLLED, way)
    if way == _BY_NUMBER:  # each number is one more try for the same face, and begins its rests anew
        ways_in.count_wrong(turn, KEYPAD)


def on_unusable_face(turn: Turn, event: events.FaceUnusable) -> None:
    """A face that is not good enough: the rider is told what to do."""
    _heard(turn)
    if event.reason in set(Reason):
        advise(turn, Reason(event.reason))


def on_track_ended(turn: Turn, event: events.TrackEnded) -> None:
    """Whoever was before the camera is gone."""
    _heard(turn)
    keep_tracks(turn, recognition.end(turn.state.tracks, event.track))


def on_code(turn: Turn, event: events.CodePresented) -> None:
    """A code that a face must confirm."""
    await_face(turn, event.way, event.member_ids, event.at)


def _heard(turn: Turn) -> None:
    turn.set(vision=supervision.heard(turn.state.vision, turn.now))


def on_gallery(turn: Turn, event: events.GalleryBuilt) -> None:
    """The gallery is built anew."""
    if event.request == turn.state.gallery_request:
        turn.set(gallery=event.gallery)
        templates.judge_gallery(turn, event.gallery)


def on_audited(turn: Turn, event: events.GalleryAudited) -> None:
    """The audit of the gallery is there for who asked."""
    if turn.forget(event.request) is not None:
        turn.do(Reply(event.request, ok=True, result=event.report))
