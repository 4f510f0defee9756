"""What the rules know of the station, for a support engineer: no member, no name, no card, nobody's account.

By construction: each section names what it tells. A place of a fault is told only where it is one of the station's
own things, for a few faults are about a person or a recipient; a fault's particulars only where a driver or the disk
speaks. The worker (`agent.diagnostics`) adds the machine's own and makes the bundle.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from agent.core import alarms, appliance, publication, sensors
from agent.core.problems import problem
from agent.core.repairs import Repair
from agent.core.state import Rules, StationState, Waiting
from agent.core.turn import Turn
from agent.effects import CollectDiagnostics, Reply
from agent.events import ControlRequested, DiagnosticsCollected

ACTION = "diagnostics.collect"
PATIENCE_S = 35.0  # the worker ends within 25 s; less than the control server waits
LEFT_OUT = "(left out)"

PLACES = frozenset(
    {
        *(
            "lock",
            "contact",
            "exit_button",
            "call_button",
            "button",
            "motion",
            "counter",
            "indicator",
            "gpio",
            "camera",
        ),
        *("vision", "gallery", "storage", "clock", "mqtt", "mains", "vault", "consent", "credentials"),
        *("fire", "emergency", "tamper", "bolt", "station.db", "readings.db", "head", "ledger"),
        *("mqtt.tls.enabled", "notify.urls_file"),
    }
)
"""Where a fault may be, besides what the settings name."""

TOLD_IN_FULL = ("appliance.", "camera.", "contact.", "device.", "fridge.", "lock.", "sensor.", "storage.", "vision.")
"""Faults whose particulars are a device's or the disk's own words."""


def collect(turn: Turn, asked: ControlRequested) -> None:
    """Order a bundle; one at a time, for each asks the whole machine."""
    if any(each.late.where == ACTION for each in turn.state.waiting.values()):
        turn.refuse(asked.request, problem("request.busy", ACTION, "another bundle is being collected"))
        return
    turn.do(CollectDiagnostics(asked.request, sections(turn.state, turn.rules, turn.now)))
    late = problem("request.timed_out", ACTION, "the machine is too busy to describe itself")
    turn.set(waiting={**turn.state.waiting, asked.request: Waiting(turn.now + PATIENCE_S, late)})
    turn.log("diagnostics.requested", {"by": asked.actor.name, "kind": asked.actor.kind})


def on_collected(turn: Turn, event: DiagnosticsCollected) -> None:
    """The bundle is whole, in parts that each stand by themselves."""
    if turn.forget(event.request) is not None:
        turn.do(Reply(event.request, ok=True, result={"parts": list(event.parts)}))


def sections(state: StationState, rules: Rules, now: float) -> dict[str, Any]:
    """JSON values by section; a list is rows."""
    return {
        "station": _station(state, rules, now),
        "outbox": _outbox(state),
        "faults": [_fault(each, rules, now) for each in state.repairs.values()],
        "alarms": alarms.listed(state.alarms),
        "appliances": [_appliance(state, rules, name, now) for name in rules.appliances],
        "sensors": [_sensor(row) for row in sensors.rows(state.sensors, rules.sensors, now)],
    }


def _station(state: StationState, rules: Rules, now: float) -> dict[str, Any]:
    engine, weights = state.engine or (None, None)
    clock = state.clock
    return {
        "id": rules.plate.id,
        "agent": rules.version,
        "timezone": rules.plate.timezone,
        "utc": None if clock is None else (clock.utc + timedelta(seconds=now - clock.at)).isoformat(timespec="seconds"),
        "is_clock_trusted": None if clock is None else clock.is_trusted,
        "uptime_s": round(now - state.started_at, 1),
        "door": publication.parts(state, rules, now)["door"],
        "inside": state.occupancy.count,
        "presence": state.presence.claim.value,
        "members": len(state.members),
        "gallery": None if state.gallery is None else len(state.gallery.members),
        "vision": state.vision.phase.value,
        "engine": engine,
        "weights": weights,
        "is_storage_read": state.is_read,
        "has_notice": state.board.notice is not None,
        "subscribers": len(state.subscribers),
        "waiting_requests": len(state.waiting),
        "running_commands": len(state.commands.running),
        "readings_waiting": len(state.readings),
    }


def _outbox(state: StationState) -> dict[str, Any]:
    outbox = state.outbox
    return {
        "is_connected": state.session is not None,
        "cursor": list(outbox.cursor),
        "newest": list(outbox.newest),
        "sent": list(outbox.sent),
        "in_flight": len(outbox.in_flight),
        "acknowledged": outbox.acknowledged_count,
        "backlog": publication.backlog(outbox),
    }


def _fault(repair: Repair, rules: Rules, now: float) -> dict[str, Any]:
    found = repair.problem
    return {
        "code": found.code,
        "where": _place(found.where, rules),
        "severity": found.severity.value,
        "stage": repair.stage.value,
        "is_present": repair.is_present,
        "raised_at": repair.steps[0].at,
        "for_s": None if found.since is None else round(now - found.since, 1),
        "text": found.text.en if found.code.startswith(TOLD_IN_FULL) else None,
    }


def _place(where: str, rules: Rules) -> str:
    named = where.partition(".")[2] if where.startswith("readers.") else where
    known = {
        *rules.sensors,
        *rules.appliances,
        *rules.supplies,
        *rules.contacts,
        *rules.codes.readers,
        *rules.link.files,
    }
    return where if where in PLACES or named in known else LEFT_OUT


def _appliance(state: StationState, rules: Rules, name: str, now: float) -> dict[str, Any]:
    each, profile = state.appliances[name], rules.appliances[name]
    standby_w, running_w = appliance.thresholds(each, profile)
    return {
        "appliance": name,
        "kind": profile.kind,
        "state": each.state.value,
        "usable": appliance.usable(each, now).value,
        "switched_off": name in state.switches.ordered_off,
        "power_w": _finite(each.power_w),
        "standby_above_w": round(standby_w, 2),
        "running_above_w": round(running_w, 2),
        "cycles": each.cycles.count,
        "read_s": None if each.read_at is None else round(now - each.read_at, 1),
        "faults": sorted(each.faults),
    }


def _sensor(row: Mapping[str, Any]) -> dict[str, Any]:
    values = [{**each, "value": _finite(each["value"])} for each in row["values"]]
    return {**row, "values": values}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
