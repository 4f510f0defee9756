"""The rules as one function: `step(state, event, now) -> (state, effects)`.

`HANDLERS` names the rule of every event; what no event brings (deadlines) is looked at after each of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from agent import events
from agent.core import (
    appliance,
    credentials,
    debounce,
    door,
    hours,
    occupancy,
    outbox,
    pass_entry,
    publication,
    recognition,
    refusals,
    registration,
    requests,
    roster,
    signals,
    supervision,
    templates,
    vault,
    verification,
    ways_in,
)
from agent.core.access import Reason
from agent.core.appliance import Appliance
from agent.core.door import Cause
from agent.core.occupancy import Visit, rejoin, resume
from agent.core.outbox import Outbox
from agent.core.passage import (
    admit,
    advise,
    await_face,
    drive_lock,
    end_long_visits,
    let_out,
    put,
    refuse_entry,
    settle_contact,
)
from agent.core.problems import problem
from agent.core.recognition import CodeNeeded, NotLive, Recognised, TurnAsked, Unrecognised
from agent.core.state import Rules, StationState
from agent.core.supervision import Supervision
from agent.core.turn import Turn
from agent.effects import Effect, Exit, PublishReadings, Reply, ShowIndication, WriteReading
from agent.events import Event, Restored

MAX_READINGS = 5_000
"""Minutes that wait to be published: a hundred quantities for most of an hour; the oldest go first."""

Result = tuple[StationState, tuple[Effect, ...]]

LOCK_RETRY_S = 2.0  # a relay that failed is given its order again this often


def begin(rules: Rules, restored: Restored, now: float) -> Result:
    """The state at the start, the lock secured before anything else is done."""
    visits = tuple(Visit(each.id, each.member_id, now) for each in restored.open_visits)
    state = StationState(
        started_at=now,
        members={member.id: member for member in restored.members},
        passes=pass_entry.begin(restored.revoked_passes),
        door=door.standing(restored.order),
        occupancy=resume(visits, restored.inside),
        appliances={name: Appliance() for name in rules.appliances},
        vision=supervision.begin(now) if rules.has_vision else Supervision(),
        outbox=Outbox(newest=restored.newest, cursor=restored.cursor),
        refresh_at=now,
        clock_due_at=now,
        review_at=now + roster.FIRST_REVIEW_S,
    )
    turn = Turn(state, rules, now)
    drive_lock(turn)
    hours.begin(turn)
    turn.log("started", {"version": rules.version, "inside": state.occupancy.count})
    for place, detail in restored.problems:
        if place == events.STORAGE_NOT_OPENED:
            turn.raise_fault("storage.failed", "storage", detail)
        else:
            turn.raise_fault("storage.mended", place, detail)
    vault.raise_faults(turn, restored.faults)
    turn.do(ShowIndication("ready"))
    ways_in.load(turn)
    _look_at_deadlines(turn, now)
    return turn.state, tuple(turn.effects)


def step(state: StationState, event: Event, now: float, rules: Rules) -> Result:
    """Take one event. `now` is station time and never earlier than at the last call."""
    turn = Turn(state, rules, now)
    HANDLERS[type(event)](turn, event)
    if not turn.state.is_ending:  # nothing is carried out after `Exit`
        _look_at_deadlines(turn, min(event.at, now))
    return turn.state, tuple(turn.effects)


def next_deadline(state: StationState, rules: Rules) -> float | None:
    """The station time at which `step` must be called though nothing happened."""
    candidates = [
        _door_deadline(state, rules),
        state.contact.deadline(rules.contact_debounce_s),
        signals.deadline(state, rules),
        state.clock_due_at,
        state.lock_retry_at,
        state.vision.deadline(),
        state.passes.deadline(),
        state.codes.deadline(),
        occupancy.deadline(state.occupancy, rules.visits.limit_s),
        state.outbox.deadline(rules.outbox),
        requests.deadline(state.waiting, state.enrolments),
        refusals.deadline(state.refusals),
        state.refresh_at,
        state.readings_due_at,
        state.review_at,
    ]
    candidates += [each.deadline(rules.appliances[name]) for name, each in state.appliances.items()]
    return min((at for at in candidates if at is not None), default=None)


def _look_at_deadlines(turn: Turn, known_until: float) -> None:
    """Do what is due. Facts up to `known_until` have been taken; later ones may wait in the inbox."""
    settle_contact(turn, known_until)
    signals.settle(turn, known_until)
    door_at = _door_deadline(turn.state, turn.rules)
    if door_at is not None and turn.now >= door_at:
        settle_contact(turn, turn.now)
        for what in door.due(turn.state.door, turn.now):
            put(turn, what)
    _try_lock_again(turn)
    hours.ask_when_due(turn)
    for name, each in turn.state.appliances.items():
        _set_appliance(turn, name, appliance.age(each, turn.rules.appliances[name], turn.now))
    vision, orders = supervision.tend(turn.state.vision, turn.now)
    turn.set(vision=vision)
    turn.do(*orders)
    pass_entry.give_up(turn)
    ways_in.tend(turn)
    end_long_visits(turn)
    requests.answer_in_time(turn)
    requests.tell_refusals(turn)
    _publish_readings(turn)
    roster.review_when_due(turn)
    publication.tell_changes(turn)
    sending, orders = outbox.ask(turn.state.outbox, turn.now, turn.rules.outbox)
    turn.set(outbox=sending)
    turn.do(*orders)


# --- wires -----------------------------------------------------------------------------------------------------------


def _on_contact(turn: Turn, event: events.DoorContactChanged) -> None:
    if event.is_open is None and turn.state.contact.raw is None and turn.state.contact.level is None:
        put(turn, door.Input.CONTACT_LOST)  # fitted, and not to be read from the start
    settle_contact(turn, event.at)  # the level before this edge may have held, though nobody looked then
    turn.set(contact=debounce.see(turn.state.contact, event.is_open, event.at))
    if event.is_open is None:
        turn.raise_fault("device.failed", "contact", "it cannot be read")
    else:
        turn.clear_fault("device.failed", "contact")


def _door_deadline(state: StationState, rules: Rules) -> float | None:
    """The door's own, but not while a leaf that moved before it still bounces: who opened in time is no intruder."""
    due_at = state.door.deadline()
    settled_at = state.contact.deadline(rules.contact_debounce_s)
    if due_at is None or settled_at is None or state.contact.raw_since > due_at:
        return due_at
    return max(due_at, settled_at)


def _on_exit_button(turn: Turn, event: events.ExitButtonPressed) -> None:
    let_out(turn, event.at)


def _on_motion(turn: Turn, event: events.MotionChanged) -> None:
    turn.set(is_moving=event.is_moving)


def _on_reading(turn: Turn, event: events.SensorRead) -> None:
    for quantity, value in event.values.items():
        if math.isfinite(value):
            turn.do(WriteReading(event.at, event.sensor, quantity, value))
    known = turn.state.appliances.get(event.sensor)
    power_w = event.values.get("power_w")
    if known is not None and power_w is not None:
        profile = turn.rules.appliances[event.sensor]
        _set_appliance(turn, event.sensor, appliance.read(known, profile, power_w, event.at))


def _set_appliance(turn: Turn, name: str, after: Appliance) -> None:
    before = turn.state.appliances[name]
    if after is before:
        return
    turn.set(appliances={**turn.state.appliances, name: after})
    if after.running is not before.running:
        body = {"appliance": name, "state": after.running.value, "was": before.running.value}
        turn.log("appliance.changed", body)
        if after.running is appliance.Running.UNKNOWN:
            turn.raise_fault("sensor.stale", name)
        else:
            turn.clear_fault("sensor.stale", name)


def _on_device_failed(turn: Turn, event: events.DeviceFailed) -> None:
    turn.raise_fault("lock.failed" if event.device == "lock" else "device.failed", event.device, event.reason)
    if event.device == "lock":
        turn.set(lock_retry_at=turn.now + LOCK_RETRY_S)


def _on_device_recovered(turn: Turn, event: events.DeviceRecovered) -> None:
    turn.clear_fault("lock.failed" if event.device == "lock" else "device.failed", event.device)
    if event.device == "lock":
        turn.set(lock_retry_at=None)


def _try_lock_again(turn: Turn) -> None:
    """An order that failed may have been the one to secure the lock: it is given until it is carried out."""
    if turn.state.lock_retry_at is not None and turn.now >= turn.state.lock_retry_at:
        turn.set(lock_retry_at=turn.now + LOCK_RETRY_S)
        drive_lock(turn)


# --- vision ----------------------------------------------------------------------------------------------------------


def _on_vision_started(turn: Turn, event: events.VisionStarted) -> None:
    engine = (event.engine, event.weights)
    turn.set(vision=supervision.started(turn.state.vision, turn.now), engine=engine, gallery=None)
    turn.clear_fault("vision.stopped", "vision")
    templates.rebuild_gallery(turn)


def _on_vision_stopped(turn: Turn, event: events.VisionStopped) -> None:
    turn.set(
        vision=supervision.stopped(turn.state.vision, turn.now),
        tracks={},
        engine=None,
        gallery=None,
        gallery_request=turn.state.gallery_request + 1,  # one that is still being built may not fit the next engine
    )
    turn.clear_fault("camera.failed", "camera")  # the next child says anew what is wrong with its camera
    turn.raise_fault("vision.stopped", "vision", event.reason)
    for request in turn.state.enrolments:
        registration.stop(turn, request, problem("vision.stopped", "vision", "it stopped meanwhile"))


def _on_vision_beat(turn: Turn, _event: events.VisionBeat) -> None:
    _heard(turn)


def _on_camera_failed(turn: Turn, event: events.CameraFailed) -> None:
    _heard(turn)
    turn.set(tracks={})
    turn.raise_fault("camera.failed", "camera", event.reason)


def _on_camera_recovered(turn: Turn, _event: events.CameraRecovered) -> None:
    _heard(turn)
    turn.clear_fault("camera.failed", "camera")


def _on_face(turn: Turn, event: events.FaceSeen) -> None:
    _heard(turn)
    if turn.state.gallery is None:
        return  # still being built, within moments of a start
    code = verification.in_force(turn.state.code, event.at)
    way = "face" if code is None else code.way_in
    tracks, decision = recognition.observe(turn.state.tracks, event, turn.state.gallery, turn.rules.recognition, code)
    turn.set(tracks=tracks)
    match decision:
        case Recognised(member_id, _distance, first_at):
            turn.set(code=None)  # one code is one person's
            admit(turn, Cause(way, member_id, first_at))
        case Unrecognised(_):
            refuse_entry(turn, Reason.NOT_ENROLLED, way)
        case CodeNeeded(_):
            refuse_entry(turn, Reason.CODE_NEEDED, way)
        case NotLive(_):
            refuse_entry(turn, Reason.NOT_LIVE, way)
        case TurnAsked(_):
            advise(turn, Reason.TURN_HEAD)
        case None:
            pass


def _on_unusable_face(turn: Turn, event: events.FaceUnusable) -> None:
    _heard(turn)
    if event.reason in set(Reason):
        advise(turn, Reason(event.reason))


def _on_track_ended(turn: Turn, event: events.TrackEnded) -> None:
    _heard(turn)
    turn.set(tracks=recognition.end(turn.state.tracks, event.track))


def _on_code(turn: Turn, event: events.CodePresented) -> None:
    await_face(turn, event.way, event.member_ids, event.at)


def _heard(turn: Turn) -> None:
    turn.set(vision=supervision.heard(turn.state.vision, turn.now))


def _on_gallery(turn: Turn, event: events.GalleryBuilt) -> None:
    if event.request == turn.state.gallery_request:
        turn.set(gallery=event.gallery)
        templates.judge_gallery(turn, event.gallery)


def _on_audited(turn: Turn, event: events.GalleryAudited) -> None:
    if turn.forget(event.request) is not None:
        turn.do(Reply(event.request, ok=True, result=event.report))


# --- storage and broker ----------------------------------------------------------------------------------------------


def _on_logged(turn: Turn, event: events.EntriesLogged) -> None:
    for receipt in event.receipts:
        turn.set(outbox=outbox.logged(turn.state.outbox, (receipt.epoch, receipt.sequence)))
        if receipt.tag:
            requests.answer_logged(turn, receipt.tag, receipt.epoch, receipt.sequence)
    turn.set(entries_logged=turn.state.entries_logged + len(event.receipts))


def _on_lost(turn: Turn, event: events.EntriesLost) -> None:
    turn.raise_fault("storage.lost", "storage", str(len(event.tags)))
    for request in event.tags:
        requests.give_up(turn, request)


def _on_storage_opened(turn: Turn, event: events.StorageOpened) -> None:
    """Go on from what is on the disk, as a start does; what happened since is written to it next."""
    found = event.restored
    visits = tuple(Visit(each.id, each.member_id, turn.now) for each in found.open_visits)
    turn.set(
        members={each.id: each for each in found.members},
        occupancy=rejoin(turn.state.occupancy, visits),
        outbox=outbox.opened(turn.state.outbox, found.cursor, found.newest),
    )
    templates.rebuild_gallery(turn)
    ways_in.load(turn)
    for place, detail in found.problems:
        turn.raise_fault("storage.mended", place, detail)
    vault.raise_faults(turn, found.faults)
    pass_entry.learn(turn, found.revoked_passes)


def _on_storage_failed(turn: Turn, event: events.StorageFailed) -> None:
    turn.raise_fault("storage.failed", "storage", event.reason)


def _on_storage_recovered(turn: Turn, _event: events.StorageRecovered) -> None:
    turn.clear_fault("storage.failed", "storage")


def _on_outbox(turn: Turn, event: events.OutboxRead) -> None:
    sending, orders = outbox.take(turn.state.outbox, event.entries, turn.now, turn.rules.outbox)
    turn.set(outbox=sending)
    turn.do(*orders)


def _on_readings(turn: Turn, event: events.ReadingsWritten) -> None:
    if turn.rules.readings_every_s is None:
        return
    waiting = (*turn.state.readings, *event.readings)[-MAX_READINGS:]
    due_at = turn.state.readings_due_at or turn.now + turn.rules.readings_every_s
    turn.set(readings=waiting, readings_due_at=due_at)


def _publish_readings(turn: Turn) -> None:
    due_at = turn.state.readings_due_at
    if due_at is not None and turn.now >= due_at:
        turn.do(PublishReadings(turn.state.readings))
        turn.set(readings=(), readings_due_at=None)


def _on_query(turn: Turn, event: events.QueryAnswered) -> None:
    waiting = turn.forget(event.request)
    if waiting is None:
        return
    if event.error:
        turn.refuse(event.request, problem("request.invalid", "query", event.error))
    else:
        rows = roster.rows_for(turn, waiting.result, event.rows)
        result = {"rows": rows, "timezone": turn.rules.plate.timezone}
        turn.do(Reply(event.request, ok=True, result=result))


def _on_connected(turn: Turn, event: events.BrokerConnected) -> None:
    turn.set(session=event.session)
    turn.clear_fault("broker.disconnected", "mqtt")
    publication.tell_all(turn)  # live state first, the backlog after it
    turn.set(outbox=outbox.connected(turn.state.outbox, event.session, turn.now, turn.rules.outbox))


def _on_disconnected(turn: Turn, event: events.BrokerDisconnected) -> None:
    turn.set(session=None, outbox=outbox.disconnected(turn.state.outbox))
    turn.raise_fault("broker.disconnected", "mqtt", event.reason)


def _on_acknowledged(turn: Turn, event: events.EntryAcknowledged) -> None:
    position = (event.epoch, event.sequence)
    sending, orders = outbox.acknowledge(turn.state.outbox, event.session, position)
    turn.set(outbox=sending)
    turn.do(*orders)


# --- those who ask, and the end --------------------------------------------------------------------------------------


def _on_subscriber_left(turn: Turn, event: events.SubscriberLeft) -> None:
    turn.set(subscribers=tuple(each for each in turn.state.subscribers if each != event.request))
    registration.leave(turn, event.request)
    ways_in.leave(turn, event.request)


def _on_time(_turn: Turn, _event: events.TimePassed) -> None:
    """Deadlines are looked at after every event; this one brings nothing else."""


def _on_skip(turn: Turn, event: events.PauseSkipped) -> None:
    """Put off what waits for real processes: they did not live through the pause."""
    state = turn.state
    turn.set(
        vision=supervision.put_off(state.vision, event.seconds),
        passes=pass_entry.put_off(state.passes, event.seconds),
        codes=state.codes.put_off(event.seconds),
        appliances={
            name: replace(each, read_at=None if each.read_at is None else each.read_at + event.seconds)
            for name, each in state.appliances.items()
        },
        waiting={key: replace(each, until=each.until + event.seconds) for key, each in state.waiting.items()},
        enrolments={key: replace(each, until=each.until + event.seconds) for key, each in state.enrolments.items()},
    )


def _on_worker_failed(turn: Turn, event: events.WorkerFailed) -> None:
    _end(turn, 1, f"{event.worker}: {event.reason}")


def _on_shutdown(turn: Turn, event: events.ShutdownRequested) -> None:
    _end(turn, 0, event.reason)


def _end(turn: Turn, code: int, reason: str) -> None:
    if turn.state.is_ending:
        return
    turn.set(is_ending=True)
    turn.log("stopping", {"reason": reason})
    turn.do(Exit(code, reason))


HANDLERS: Mapping[type[Event], Callable[[Turn, Any], None]] = {
    events.DoorContactChanged: _on_contact,
    events.ExitButtonPressed: _on_exit_button,
    events.MotionChanged: _on_motion,
    events.SignalChanged: signals.take,
    events.PersonCounted: signals.count,
    events.ClockRead: hours.take,
    events.SensorRead: _on_reading,
    events.DeviceFailed: _on_device_failed,
    events.DeviceRecovered: _on_device_recovered,
    events.VisionStarted: _on_vision_started,
    events.VisionStopped: _on_vision_stopped,
    events.VisionBeat: _on_vision_beat,
    events.CameraFailed: _on_camera_failed,
    events.CameraRecovered: _on_camera_recovered,
    events.FaceSeen: _on_face,
    events.FaceUnusable: _on_unusable_face,
    events.TrackEnded: _on_track_ended,
    events.GalleryBuilt: _on_gallery,
    events.GalleryAudited: _on_audited,
    events.CodePresented: _on_code,
    events.CodeSeen: pass_entry.on_code,
    events.PassChecked: pass_entry.on_checked,
    events.PassRedeemed: pass_entry.on_redeemed,
    events.PassRevoked: pass_entry.on_revoked,
    events.CardRead: ways_in.on_card,
    events.KeyPressed: ways_in.on_key,
    events.CardFound: ways_in.on_card_found,
    events.PinChecked: ways_in.on_pin_checked,
    events.CodeUnchecked: ways_in.on_unchecked,
    events.CardSealed: credentials.on_card_sealed,
    events.PinSealed: credentials.on_pin_sealed,
    events.CredentialsChanged: credentials.on_changed,
    events.CredentialsRefused: credentials.on_refused,
    events.CredentialsLoaded: ways_in.on_loaded,
    events.ConsentRecorded: registration.on_consent,
    events.ConsentWithdrawn: roster.on_withdrawn,
    events.EnrolmentFrameTaken: registration.on_frame,
    events.EnrolmentFrameUnusable: registration.on_unusable_frame,
    events.RetentionRead: roster.on_dates,
    events.PhotoEncoded: registration.on_photo_encoded,
    events.PhotoRefused: registration.on_photo_refused,
    events.EntriesLogged: _on_logged,
    events.EntriesLost: _on_lost,
    events.StorageFailed: _on_storage_failed,
    events.StorageOpened: _on_storage_opened,
    events.StorageRecovered: _on_storage_recovered,
    events.OutboxRead: _on_outbox,
    events.ReadingsWritten: _on_readings,
    events.QueryAnswered: _on_query,
    events.MemberSaved: registration.on_saved,
    events.MemberErased: roster.on_erased,
    events.VaultDescribed: vault.on_described,
    events.VaultRotated: vault.on_rotated,
    events.VaultRefused: vault.on_refused,
    events.VaultExamined: vault.on_examined,
    events.BrokerConnected: _on_connected,
    events.BrokerDisconnected: _on_disconnected,
    events.EntryAcknowledged: _on_acknowledged,
    events.ControlRequested: requests.handle,
    events.SubscriberLeft: _on_subscriber_left,
    events.TimePassed: _on_time,
    events.PauseSkipped: _on_skip,
    events.WorkerFailed: _on_worker_failed,
    events.ShutdownRequested: _on_shutdown,
}
