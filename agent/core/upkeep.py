"""Faults and alarms in their closed loop: the register of alarms, and what people ask and say about both."""

from __future__ import annotations

from typing import Any

from agent.core import alarms, answering, people, repairs
from agent.core.door import Alarm as DoorAlarm
from agent.core.problems import problem
from agent.core.repairs import Answer, Stage
from agent.core.state import StationState
from agent.core.turn import Turn
from agent.effects import KeepNotes, Reply
from agent.events import ControlRequested, Restored

_ONLY_A_REMINDER = frozenset({DoorAlarm.OPEN_WARNING})


def begin(turn: Turn, restored: Restored) -> None:
    """Go on with the repairs that were open, and the alarms that nobody had acknowledged."""
    turn.set(
        repairs={**repairs.restored(restored.notes.get(repairs.KIND, {})), **turn.state.repairs},
        alarms={**alarms.restored(restored.notes.get(alarms.KIND, {})), **turn.state.alarms},
    )


def active(state: StationState) -> frozenset[str]:
    """The alarms that are so now."""
    of_door = (each.value for each in state.door.alarms - _ONLY_A_REMINDER)
    of_call = () if state.call is None else ("call",)
    of_room = () if state.welfare.check is None else (people.ALARM,)
    return frozenset((*of_door, *state.codes.alarms, *of_call, *of_room))


def follow_alarms(turn: Turn) -> None:
    """Bring the register up to what is so now."""
    changed = alarms.changes(turn.state.alarms, active(turn.state), turn.utc())
    if changed:
        turn.set(alarms=alarms.changed_by(turn.state.alarms, changed))
        turn.do(KeepNotes(alarms.notes(changed)))


def list_faults(turn: Turn, asked: ControlRequested) -> None:
    """Every fault with how far its repair is."""
    rows = [each.as_dict() for each in turn.state.repairs.values()]
    for row in rows:
        row["since"] = None  # station time; `raised_at` tells it to people
    turn.do(Reply(asked.request, ok=True, result={"rows": rows, "timezone": turn.rules.plate.timezone}))


def update_fault(turn: Turn, asked: ControlRequested) -> None:
    """Somebody saw it, repairs it, has put it right, or has checked that."""
    name, stage = str(asked.arguments["fault"]), Stage(asked.arguments["stage"])
    repair = next((each for key, each in turn.state.repairs.items() if repairs.identity(key) == name), None)
    if repair is None:
        turn.refuse(asked.request, problem("fault.unknown", name))
        return
    if stage is Stage.CHECKED and repair.is_present:
        turn.refuse(asked.request, problem("fault.still_there", name))
        return
    after, answer = repairs.advance(repair, stage, turn.utc(), asked.actor.name)
    if answer is Answer.NOT_PUT_RIGHT:
        turn.refuse(asked.request, problem("fault.not_put_right", name))
        return
    result: dict[str, Any] = {"fault": name, "stage": after.stage.value}
    if answer is Answer.ALREADY:
        turn.do(Reply(asked.request, ok=True, result=result))
        return
    known = dict(turn.state.repairs)
    if stage is Stage.CHECKED:
        del known[repair.key]
        kept = repairs.forgotten(repair.key)
    else:
        known[repair.key] = after
        kept = repairs.note(after)
    turn.set(repairs=known)
    body = {"code": repair.problem.code, "where": repair.problem.where, "stage": stage.value, "by": asked.actor.name}
    turn.log("fault.updated", body, tag=asked.request, notes=(kept,))
    turn.answer_when_logged(asked.request, result, asked.action)


def report_fault(turn: Turn, asked: ControlRequested) -> None:
    """Somebody reports what no sensor sees."""
    found = problem(repairs.REPORTED[asked.arguments["what"]], str(asked.arguments["where"]), "", turn.now)
    key = (found.code, found.where)
    result = {"fault": repairs.identity(key)}
    if key in turn.state.repairs:
        turn.do(Reply(asked.request, ok=True, result=result))  # the same fault is not raised twice
        return
    if len(turn.state.repairs) >= repairs.MAX_REPAIRS:
        turn.refuse(asked.request, problem("fault.too_many", asked.action, str(repairs.MAX_REPAIRS)))
        return
    repair = repairs.begin(found, turn.utc(), asked.actor.name, is_present=False)
    turn.set(repairs={**turn.state.repairs, key: repair})
    body = {"code": found.code, "where": found.where, "severity": found.severity.value, "by": asked.actor.name}
    turn.log("fault.raised", body, tag=asked.request, notes=(repairs.note(repair),))
    turn.answer_when_logged(asked.request, result, asked.action)


def list_alarms(turn: Turn, asked: ControlRequested) -> None:
    """Those that are active, and those that nobody has acknowledged."""
    rows = alarms.listed(turn.state.alarms)
    turn.do(Reply(asked.request, ok=True, result={"rows": rows, "timezone": turn.rules.plate.timezone}))


def acknowledge_alarm(turn: Turn, asked: ControlRequested) -> None:
    """Somebody has seen it."""
    name = str(asked.arguments["alarm"])
    if name not in turn.state.alarms:
        turn.refuse(asked.request, problem("alarm.unknown", name))
        return
    changed = {name: alarms.acknowledged(turn.state.alarms[name])}
    turn.set(alarms=alarms.changed_by(turn.state.alarms, changed))
    if name == "call":
        answering.answer(turn, asked.actor, "answered")  # and whoever called is told that
    if name == people.ALARM:
        people.acknowledge(turn)
    result = {"alarm": name}
    body = {"alarm": name, "by": asked.actor.name}
    turn.log("alarm.acknowledged", body, tag=asked.request, notes=alarms.notes(changed))
    turn.answer_when_logged(asked.request, result, asked.action)
