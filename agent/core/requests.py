"""Requests over the control socket: which role may do what, and what is done.

The agent decides, never the process that asks: a web page that is taken over has no more rights than its login.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agent.core import (
    answering,
    audit,
    confirming,
    credentials,
    delivery,
    diagnosis,
    figures,
    membership,
    noticeboard,
    notifying,
    particulars,
    pass_entry,
    publication,
    refusals,
    registration,
    roster,
    sensing,
    sensors,
    signals,
    stock,
    switching,
    upkeep,
    vault,
)
from agent.core.access import REASON_OF
from agent.core.door import Cause, Input, Mode
from agent.core.enrolment import Enrolment
from agent.core.passage import await_face, open_for, put, settle_contact
from agent.core.problems import problem
from agent.core.state import Waiting
from agent.core.turn import Turn
from agent.effects import AuditGallery, Reply, RunQuery
from agent.events import ControlRequested

ROLES = ("viewer", "master", "administrator")
"""From least to most; each may do what the ones before it may."""

MAX_SUBSCRIBERS = 16  # a few screens and a command line; bounds what a forgotten script can pile up


@dataclass(frozen=True, slots=True)
class Action:
    """What a request may ask for. `role`: the least that may."""

    role: str
    carry_out: Callable[[Turn, ControlRequested], None]


def handle(turn: Turn, asked: ControlRequested) -> None:
    """Carry out a request, or refuse it with what is wrong."""
    action = ACTIONS.get(asked.action)
    if action is None:
        turn.refuse(asked.request, problem("request.unknown", asked.action, asked.action))
        return
    if asked.actor.role not in ROLES or ROLES.index(asked.actor.role) < ROLES.index(action.role):
        _log_refusal(turn, asked)
        turn.refuse(asked.request, problem("request.forbidden", asked.action, f"{asked.action}: {action.role}"))
        return
    action.carry_out(turn, asked)


def tell_refusals(turn: Turn) -> None:
    """Log how many more were refused of those who go on trying."""
    counted, bodies = refusals.tell_due(turn.state.refusals, turn.now)
    turn.set(refusals=counted)
    for body in bodies:
        turn.log("control.refused", body)


def _log_refusal(turn: Turn, asked: ControlRequested) -> None:
    counted, body = refusals.note(turn.state.refusals, asked.actor, asked.action, turn.now)
    turn.set(refusals=counted)
    if body is not None:
        turn.log("control.refused", body)


def answer_in_time(turn: Turn) -> None:
    """Tell those whose answer waits for something that does not come."""
    for request, waiting in turn.state.waiting.items():
        if turn.now >= waiting.until:
            give_up(turn, request)
    for each in turn.state.enrolments.values():
        if turn.now >= each.until:
            registration.run_out(turn, each)


def deadline(waiting: Mapping[str, Waiting], enrolments: Mapping[str, Enrolment]) -> float | None:
    """When `answer_in_time` is due."""
    ends = [each.until for each in waiting.values()] + [each.until for each in enrolments.values()]
    return min(ends, default=None)


def give_up(turn: Turn, request: str) -> None:
    """Say what did not come; nothing for a request that has had its answer."""
    waiting = turn.forget(request)
    if waiting is not None:
        turn.do(Reply(request, ok=False, result=waiting.result, problems=(waiting.late.as_dict(),)))


def answer_logged(turn: Turn, request: str, epoch: int, sequence: int) -> None:
    """The entry of this request is durable: now it is done."""
    waiting = turn.forget(request)
    if waiting is None:
        return
    result = {**waiting.result, "epoch": epoch, "sequence": sequence}
    broken = turn.state.faults.get(("lock.failed", "lock")) if waiting.needs_lock else None
    if broken is None:
        turn.do(Reply(request, ok=True, result=result))
    else:
        turn.do(Reply(request, ok=False, result=result, problems=(broken.as_dict(),)))


def _status(turn: Turn, asked: ControlRequested) -> None:
    turn.do(Reply(asked.request, ok=True, result=_snapshot(turn)))


def _subscribe(turn: Turn, asked: ControlRequested) -> None:
    if len(turn.state.subscribers) >= MAX_SUBSCRIBERS:
        turn.refuse(asked.request, problem("request.busy", "subscribe", f"{MAX_SUBSCRIBERS} subscribers already"))
        return
    turn.set(subscribers=(*turn.state.subscribers, asked.request))
    turn.do(Reply(asked.request, ok=True, result=_snapshot(turn), is_last=False))


def _snapshot(turn: Turn) -> dict[str, Any]:
    state, plate = turn.state, turn.rules.plate
    return {
        "version": turn.rules.version,
        "station": {"id": plate.id, "name": plate.name, "timezone": plate.timezone},
        "fitted": {"contact": plate.has_contact},
        "labels": plate.labels,
        "parts": publication.parts(state, turn.rules, turn.now),
        "members": len(state.members),
        "broker": {
            "enabled": plate.has_broker,
            "connected": state.session is not None,
            "acknowledged": state.outbox.acknowledged_count,
        },
        "log": {"epoch": state.outbox.newest[0], "sequence": state.outbox.newest[1]},
    }


def _read_sensors(turn: Turn, asked: ControlRequested) -> None:
    rows = sensors.rows(turn.state.sensors, turn.rules.sensors, turn.now)
    turn.do(Reply(asked.request, ok=True, result={"rows": rows}))


def _unlock(turn: Turn, asked: ControlRequested) -> None:
    reason = REASON_OF.get(turn.state.door.mode)
    if reason is not None:
        _refuse_at_door(turn, asked, reason.value)
        return
    open_for(turn, Cause("remote", seen_at=asked.at))
    answering.answer(turn, asked.actor, "opened")
    _record(turn, asked, {"lock": turn.state.door.lock.value})


def _answer_call(turn: Turn, asked: ControlRequested) -> None:
    """Say that somebody has seen the call, which opens nothing."""
    call = turn.state.call
    if call is None:
        turn.refuse(asked.request, problem("door.no_call", "door"))
        return
    answering.answer(turn, asked.actor, "answered")
    _record(turn, asked, {"waited_s": round(turn.now - call.began_at, 3)}, needs_lock=False)


def _refuse_at_door(turn: Turn, asked: ControlRequested, reason: str) -> None:
    turn.log("control.refused", {"action": asked.action, "actor": asked.actor.name, "reason": reason})
    turn.refuse(asked.request, problem(f"door.{reason}", "door"))


def _begin_emergency(turn: Turn, asked: ControlRequested) -> None:
    if not turn.rules.has_emergency:
        _refuse_at_door(turn, asked, "no_emergency")
        return
    turn.set(is_emergency_ordered=True)
    signals.follow_emergency(turn)
    _record(turn, asked, {"mode": turn.state.door.mode.value})


def _end_emergency(turn: Turn, asked: ControlRequested) -> None:
    turn.set(is_emergency_ordered=False)
    if signals.is_glass_broken(turn.state) and turn.state.door.wishes.is_emergency:
        _refuse_at_door(turn, asked, "glass_broken")
        return
    settle_contact(turn, math.inf)  # as for a change of mode
    signals.follow_emergency(turn)
    _record(turn, asked, {"mode": turn.state.door.mode.value})


def _change_mode(what: Input) -> Callable[[Turn, ControlRequested], None]:
    def carry_out(turn: Turn, asked: ControlRequested) -> None:
        if turn.state.door.wishes.order is Mode.LOCKED_DOWN and what in (Input.HOLD_OPEN, Input.BLOCK):
            _refuse_at_door(turn, asked, Mode.LOCKED_DOWN.value)
            return
        settle_contact(turn, math.inf)  # who opened just before the lock is secured has passed, and forced nothing
        turn.set(was_ordered=True)
        put(turn, what)
        if what is Input.HOLD_OPEN:
            answering.answer(turn, asked.actor, "opened")
        _record(turn, asked, {"mode": turn.state.door.mode.value})

    return carry_out


def _record(turn: Turn, asked: ControlRequested, result: Mapping[str, Any], *, needs_lock: bool = True) -> None:
    """Log who told the door what, and answer when that is durable and the lock obeyed."""
    body = {"action": asked.action, "actor": asked.actor.name, "kind": asked.actor.kind, **result}
    turn.log("control.done", body, tag=asked.request)
    turn.answer_when_logged(asked.request, result, asked.action, needs_lock=needs_lock)


def _query(name: str) -> Callable[[Turn, ControlRequested], None]:
    def carry_out(turn: Turn, asked: ControlRequested) -> None:
        turn.do(RunQuery(asked.request, name, asked.arguments))
        turn.expect(asked.request, problem("request.timed_out", asked.action, "the disk is slow"))

    return carry_out


def _present_code(turn: Turn, asked: ControlRequested) -> None:
    """The master vouches for a code by naming the member; the face at the door is still to confirm it."""
    member_id = asked.arguments["member_id"]
    if member_id not in turn.state.members:
        turn.refuse(asked.request, problem("member.unknown", member_id))
        return
    if not turn.state.members[member_id].templates:
        turn.refuse(asked.request, problem("member.no_face", member_id))
        return
    if turn.state.gallery is None or member_id not in turn.state.gallery.members:
        detail = "no gallery" if turn.state.gallery is None else member_id
        code = "vision.stopped" if turn.state.gallery is None else "template.refused"
        turn.refuse(asked.request, problem(code, asked.action, detail))
        return
    await_face(turn, "master", (member_id,), asked.at)
    _record(turn, asked, {"member": member_id, "within_s": turn.rules.recognition.code_window_s})


def _audit_faces(turn: Turn, asked: ControlRequested) -> None:
    if turn.state.gallery is None:
        turn.refuse(asked.request, problem("vision.stopped", "vision", "there is no gallery"))
        return
    strangers = asked.arguments.get("strangers_a_day", audit.STRANGERS_A_DAY)
    turn.do(AuditGallery(asked.request, turn.state.gallery, strangers))
    turn.expect(asked.request, problem("request.timed_out", asked.action, "the gallery is large and the machine busy"))


ACTIONS: Mapping[str, Action] = {
    "status": Action("viewer", _status),
    "subscribe": Action("viewer", _subscribe),
    "door.unlock": Action("master", _unlock),
    "door.answer": Action("master", _answer_call),
    "door.hold_open": Action("master", _change_mode(Input.HOLD_OPEN)),
    "door.block": Action("master", _change_mode(Input.BLOCK)),
    "door.emergency": Action("master", _begin_emergency),
    "door.emergency_over": Action("master", _end_emergency),
    "door.lock_down": Action("master", _change_mode(Input.LOCK_DOWN)),
    "door.resume": Action("master", _change_mode(Input.RESUME)),
    "access.present_code": Action("master", _present_code),
    "alarms.acknowledge": Action("master", upkeep.acknowledge_alarm),
    "alarms.list": Action("viewer", upkeep.list_alarms),
    "faults.list": Action("viewer", upkeep.list_faults),
    "faults.report": Action("master", upkeep.report_fault),
    "faults.update": Action("master", upkeep.update_fault),
    "faces.audit": Action("master", _audit_faces),
    "appliances.replaced": Action("master", sensing.replaced),
    "appliances.switch": Action("master", switching.order),
    "consent.show": Action("master", registration.show_consent),
    "log.confirm": Action("administrator", confirming.confirm),
    "log.replay": Action("administrator", delivery.replay),
    "diagnostics.collect": Action("administrator", diagnosis.collect),
    "members.add": Action("master", membership.add),
    "members.card": Action("master", credentials.add_card),
    "members.data": Action("master", roster.read_data),
    "members.enrol": Action("master", registration.begin),
    "members.erase": Action("master", roster.erase),
    "members.list": Action("master", _query("members_list")),
    "members.pin": Action("master", credentials.set_pin),
    "members.put": Action("master", particulars.change),
    "members.resume": Action("master", membership.resume),
    "members.suspend": Action("master", membership.suspend),
    "members.uncard": Action("master", credentials.remove_cards),
    "members.unpin": Action("master", credentials.remove_pin),
    "members.withdraw": Action("master", roster.withdraw),
    "notice.clear": Action("master", noticeboard.clear),
    "notice.put": Action("master", noticeboard.put),
    "notify.list": Action("master", notifying.list_recipients),
    "notify.test": Action("master", notifying.send_test),
    "passes.revoke": Action("master", pass_entry.revoke),
    "report.month": Action("master", figures.read_month),
    "roster.digest": Action("master", roster.read_digest),
    "roster.put": Action("master", particulars.put),
    "sensors.read": Action("viewer", _read_sensors),
    "supplies.check": Action("master", stock.check),
    "supplies.list": Action("viewer", stock.list_supplies),
    "supplies.return": Action("master", stock.give_back),
    "supplies.take": Action("master", stock.take),
    "vault.rotate": Action("administrator", vault.rotate),
    "vault.status": Action("administrator", vault.describe),
    "visits.list": Action("master", _query("visits_list")),
    "visits.page": Action("master", _query("visits_page")),
}
