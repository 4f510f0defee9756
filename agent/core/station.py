"""The rules as one function: `step(state, event, now) -> (state, effects)`.

`HANDLERS` names the rule of every event; what no event brings (deadlines) is looked at after each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from agent import events
from agent.core import (
    answering,
    appliance,
    challenge,
    command_desk,
    confirming,
    contacts,
    counting,
    credentials,
    delivery,
    devices,
    diagnosis,
    door,
    encryption,
    floats,
    hours,
    membership,
    noticeboard,
    notifying,
    occupancy,
    particulars,
    pass_entry,
    people,
    presence,
    publication,
    recognition,
    records,
    refusals,
    registration,
    replaying,
    requests,
    roster,
    saving,
    sensing,
    sensors,
    sight,
    signals,
    stock,
    supervision,
    switching,
    upkeep,
    vault,
    ways_in,
    welfare,
)
from agent.core.occupancy import Visit, resume
from agent.core.outbox import Outbox
from agent.core.passage import (
    drive_lock,
    end_long_visits,
    settle_contact,
)
from agent.core.state import Rules, StationState
from agent.core.supervision import Supervision
from agent.core.turn import Turn
from agent.effects import Effect, Exit, ShowIndication
from agent.events import Event, Restored

Result = tuple[StationState, tuple[Effect, ...]]


def begin(rules: Rules, restored: Restored, now: float) -> Result:
    """The state at the start, the lock secured before anything else is done."""
    visits = tuple(Visit(each.id, each.member_id, now) for each in restored.open_visits)
    state = StationState(
        started_at=now,
        members={member.id: member for member in restored.members},
        vouched=hours.vouched(restored, now),
        is_read=restored.is_read,
        passes=pass_entry.begin(restored.revoked_passes),
        door=door.standing(restored.order),
        occupancy=resume(visits, restored.inside),
        appliances=sensing.begin(rules, restored.notes),
        appliances_kept_at=now,
        presence=presence.begin(0 if restored.inside is None else restored.inside, now),
        vision=supervision.begin(now) if rules.has_vision else Supervision(),
        outbox=Outbox(newest=restored.newest, cursor=restored.cursor),
        refresh_at=now,
        clock_due_at=now,
        review_at=now + roster.FIRST_REVIEW_S,
    )
    turn = Turn(state, rules, now)
    upkeep.begin(turn, restored)
    stock.begin(turn, restored)
    switching.begin(turn, restored)
    noticeboard.begin(turn, restored)
    command_desk.begin(turn, restored)
    confirming.begin(turn, restored)
    notifying.begin(turn, restored)
    drive_lock(turn)
    hours.begin(turn)
    encryption.begin(turn)
    turn.log("started", {"version": rules.version, "inside": state.occupancy.count})
    if all(place != events.STORAGE_NOT_OPENED for place, _ in restored.problems):
        turn.clear_fault("storage.failed", "storage")  # one from before: that it could be opened proves it over
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
    told = sensors.after(state.sensors, rules.sensors, event)
    if told is not state.sensors:
        turn.set(sensors=told)
    devices.end_older_fault(turn, event)
    HANDLERS[type(event)](turn, event)
    if not turn.state.is_ending:  # nothing is carried out after `Exit`
        _look_at_deadlines(turn, min(event.at, now))
    return turn.state, tuple(turn.effects)


def next_deadline(state: StationState, rules: Rules) -> float | None:
    """The station time at which `step` must be called though nothing happened."""
    candidates = [
        devices.door_deadline(state, rules),
        state.contact.deadline(rules.contact_debounce_s),
        signals.deadline(state, rules),
        state.clock_due_at,
        state.lock_retry_at,
        state.vision.deadline(),
        state.passes.deadline(),
        state.codes.deadline(),
        None if state.call is None else state.call.until,
        state.tally.deadline(),
        occupancy.deadline(state.occupancy, rules.visits.limit_s),
        state.outbox.deadline(rules.outbox),
        None if state.replay is None else state.replay.deadline(state.outbox, rules.outbox),
        requests.deadline(state.waiting, state.enrolments),
        command_desk.deadline(state.commands),
        refusals.deadline(state.refusals),
        state.refresh_at,
        state.readings_due_at,
        state.review_at,
        notifying.deadline(state),
        noticeboard.deadline(state),
    ]
    candidates += sensing.deadlines(state, rules)
    candidates += switching.deadlines(state, rules)
    candidates += [floats.deadline(state), *people.deadlines(state, rules)]
    return min((at for at in candidates if at is not None), default=None)


def _look_at_deadlines(turn: Turn, known_until: float) -> None:
    """Do what is due. Facts up to `known_until` have been taken; later ones may wait in the inbox."""
    settle_contact(turn, known_until)
    signals.settle(turn, known_until)
    devices.tend(turn)
    hours.ask_when_due(turn)
    floats.settle(turn, known_until)
    contacts.tend(turn)
    sensing.tend(turn)
    people.tend(turn)
    switching.tend(turn)
    vision, orders = supervision.tend(turn.state.vision, turn.now)
    turn.set(vision=vision)
    turn.do(*orders)
    pass_entry.give_up(turn)
    ways_in.tend(turn)
    answering.give_up(turn)
    counting.settle(turn, turn.now)
    end_long_visits(turn)
    requests.answer_in_time(turn)
    requests.tell_refusals(turn)
    sensing.publish_readings(turn)
    roster.review_when_due(turn)
    upkeep.follow_alarms(turn)
    notifying.tend(turn)
    noticeboard.tend(turn)
    publication.tell_changes(turn)
    delivery.ask(turn)
    command_desk.collect(turn)


def _on_subscriber_left(turn: Turn, event: events.SubscriberLeft) -> None:
    turn.set(subscribers=tuple(each for each in turn.state.subscribers if each != event.request))
    registration.leave(turn, event.request)
    ways_in.leave(turn, event.request)


def _on_clock(turn: Turn, event: events.ClockRead) -> None:
    hours.take(turn, event)
    encryption.review(turn)
    stock.review(turn)
    membership.end_suspensions(turn)


def _on_time(_turn: Turn, _event: events.TimePassed) -> None:
    """Deadlines are looked at after every event; this one brings nothing else."""


def _on_what_is_only_shown(_turn: Turn, _event: Event) -> None:
    """`sensors.after` keeps it for people who look; no rule goes by it."""


def _on_skip(turn: Turn, event: events.PauseSkipped) -> None:
    """Put off what waits for real processes: they did not live through the pause."""
    state = turn.state
    turn.set(
        vision=supervision.put_off(state.vision, event.seconds),
        passes=pass_entry.put_off(state.passes, event.seconds),
        codes=state.codes.put_off(event.seconds),
        tracks=recognition.put_off(state.tracks, event.seconds),
        appliances={name: appliance.put_off(each, event.seconds) for name, each in state.appliances.items()},
        presence=presence.put_off(state.presence, event.seconds),
        welfare=welfare.put_off(state.welfare, event.seconds),
        savings=saving.put_off(state.savings, event.seconds),
        switches=state.switches.put_off(event.seconds),
        notices=notifying.put_off(state.notices, event.seconds),
        replay=replaying.put_off(state.replay, event.seconds),
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
    counting.settle_all(turn)
    turn.log("stopping", {"reason": reason})
    sensing.keep(turn)
    turn.do(Exit(code, reason))


HANDLERS: Mapping[type[Event], Callable[[Turn, Any], None]] = {
    events.DoorContactChanged: devices.on_contact,
    events.ExitButtonPressed: devices.on_exit_button,
    events.CallButtonPressed: answering.on_press,
    events.MotionChanged: people.on_motion,
    events.PresenceSensed: people.on_presence,
    events.SignalChanged: signals.take,
    events.PersonCounted: counting.on_count,
    events.ClockRead: _on_clock,
    events.SensorRead: sensing.on_reading,
    events.SensorStateTold: _on_what_is_only_shown,
    events.ApplianceSwitched: switching.on_switched,
    events.DeviceFailed: devices.on_device_failed,
    events.DeviceRecovered: devices.on_device_recovered,
    events.VisionStarted: sight.on_vision_started,
    events.VisionStopped: sight.on_vision_stopped,
    events.VisionBeat: sight.on_vision_beat,
    events.CameraFailed: sight.on_camera_failed,
    events.CameraRecovered: sight.on_camera_recovered,
    events.FaceSeen: sight.on_face,
    events.FaceUnusable: sight.on_unusable_face,
    events.TrackEnded: sight.on_track_ended,
    events.ChallengeAnswered: challenge.on_answered,
    events.GalleryBuilt: sight.on_gallery,
    events.GalleryAudited: sight.on_audited,
    events.CodePresented: sight.on_code,
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
    events.CredentialsRefused: particulars.on_not_sealed,
    events.CredentialsLoaded: ways_in.on_loaded,
    events.ConsentRecorded: registration.on_consent,
    events.ConsentWithdrawn: roster.on_withdrawn,
    events.EnrolmentFrameTaken: registration.on_frame,
    events.EnrolmentFrameUnusable: registration.on_unusable_frame,
    events.RetentionRead: roster.on_dates,
    events.PhotoEncoded: registration.on_photo_encoded,
    events.PhotoRefused: registration.on_photo_refused,
    events.EntriesLogged: records.on_logged,
    events.EntriesLost: records.on_lost,
    events.StorageFailed: records.on_storage_failed,
    events.StorageOpened: records.on_storage_opened,
    events.StorageRecovered: records.on_storage_recovered,
    events.DiskSpaceChanged: records.on_disk_space,
    events.OutboxRead: delivery.on_outbox,
    events.EntriesRead: delivery.on_entries,
    events.MinutesMeasured: sensing.on_readings,
    events.QueryAnswered: records.on_query,
    events.DiagnosticsCollected: diagnosis.on_collected,
    events.MemberSaved: registration.on_saved,
    events.MemberErased: roster.on_erased,
    events.MemberSealed: particulars.on_sealed,
    events.MemberPut: particulars.on_put,
    events.PutRefused: particulars.on_refused,
    events.MemberSuspended: membership.on_suspended,
    events.VaultDescribed: vault.on_described,
    events.VaultRotated: vault.on_rotated,
    events.VaultRefused: vault.on_refused,
    events.VaultExamined: vault.on_examined,
    events.BrokerConnected: delivery.on_connected,
    events.BrokerDisconnected: delivery.on_disconnected,
    events.EntriesAcknowledged: delivery.on_acknowledged,
    events.EntryReplayed: delivery.on_replayed,
    events.CertificateRead: encryption.take,
    events.CommandReceived: command_desk.on_received,
    events.CommandRejected: command_desk.on_rejected,
    events.NotifyDone: notifying.on_done,
    events.NotifyExamined: notifying.on_examined,
    events.ControlRequested: requests.handle,
    events.SubscriberLeft: _on_subscriber_left,
    events.TimePassed: _on_time,
    events.PauseSkipped: _on_skip,
    events.WorkerFailed: _on_worker_failed,
    events.ShutdownRequested: _on_shutdown,
}
