"""What the station shows of itself: the parts of its live state, and when each is told again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.core import alarms, appliance, confirming, noticeboard, room, stock, supplies
from agent.core.appliance import Appliance
from agent.core.outbox import Outbox
from agent.core.presence import Inside
from agent.core.problems import Severity
from agent.core.sensing import MAINS_LOST
from agent.core.state import Rules, StationState
from agent.core.supplies import Supply
from agent.core.turn import Turn
from agent.effects import PublishState, Reply

REFRESH_S = 30.0
"""Everything is told again this often; the beat of `health` shows that the deciding thread decides."""

MAX_TOLD_FAULTS = 16  # each with two languages and a remedy has up to 3 KB, and a message 64 KiB

# What moves all the time is not worth a message of its own.
_WITHIN_A_REFRESH = {
    "power_w",
    "energy_kwh",
    "in_use_s",
    "temperature_c",
    "humidity_percent",
    "co2_ppm",
    "confidence",
    "uptime_s",
    "backlog",
    "confirmed",
}

Body = Mapping[str, Any]


def parts(state: StationState, rules: Rules, now: float) -> dict[str, Body]:
    """Every part by its name in the topic `state/PART`."""
    shown: dict[str, Body] = {"door": _door(state), "occupancy": _occupancy(state)}
    for name, each in state.appliances.items():
        shown[f"appliances/{name}"] = _appliance(state, name, each, now)
    for name, supply in state.supplies.items():
        shown[f"supplies/{name}"] = _supply(state, rules, name, supply)
    if rules.room:
        shown["environment"] = room.environment(state.sensors, rules.room, now)
    shown["notice"] = noticeboard.shown(state)
    shown["health"] = _health(state, now)
    return shown


def backlog(outbox: Outbox) -> int:
    """How many entries the broker has not acknowledged; of an earlier epoch's only the newer one's are counted."""
    behind = outbox.newest[1] - outbox.cursor[1] if outbox.newest[0] == outbox.cursor[0] else outbox.newest[1]
    return max(0, behind)


def tell_changes(turn: Turn) -> None:
    """Publish what looks different from what was told last, and everything once in `REFRESH_S`."""
    is_refresh = turn.now >= turn.state.refresh_at
    if is_refresh:
        turn.set(refresh_at=turn.now + REFRESH_S)
    shown = parts(turn.state, turn.rules, turn.now)
    told = turn.state.published
    for part, body in shown.items():
        has_changed = _appearance(body) != _appearance(told.get(part, {}))
        if has_changed or is_refresh:
            _tell(turn, part, body)
        if has_changed:
            for request in turn.state.subscribers:
                turn.do(Reply(request, ok=True, result={"part": part, "body": body}, is_last=False))
    turn.set(published=shown)


def tell_all(turn: Turn) -> None:
    """Publish every part, as after a reconnect."""
    for part, body in parts(turn.state, turn.rules, turn.now).items():
        _tell(turn, part, body)


def _tell(turn: Turn, part: str, body: Body) -> None:
    if turn.state.session is not None:
        turn.do(PublishState(part, turn.now, body))


def _appearance(body: Body) -> Body:
    return {key: value is None if key in _WITHIN_A_REFRESH else value for key, value in body.items()}


def _door(state: StationState) -> Body:
    door = state.door
    is_obeyed = ("lock.failed", "lock") not in state.faults
    return {
        "mode": door.mode.value,
        "admission": state.admission.value,
        "lock": door.lock.value if is_obeyed else "unknown",
        "contact": door.contact.value,
        "alarms": sorted(
            [*(alarm.value for alarm in door.alarms), *state.codes.alarms, *([] if state.call is None else ["call"])]
        ),
    }


def _occupancy(state: StationState) -> Body:
    """The visits that are open, and what all sensors say together; visits decide where these claim nothing."""
    inside = state.presence
    is_unknown = inside.claim is Inside.UNKNOWN
    return {
        "count": state.occupancy.count,
        "is_occupied": state.occupancy.count > 0 if is_unknown else inside.claim is Inside.OCCUPIED,
        "state": inside.claim.value,
        "confidence": round(inside.confidence, 2),
        "estimate": inside.estimate,
        "since": inside.since,
        "stuck": list(inside.stuck),
        "check": state.welfare.check,
    }


def _appliance(state: StationState, name: str, each: Appliance, now: float) -> Body:
    is_off = name in state.switches.ordered_off
    is_out = is_off or MAINS_LOST in state.faults
    return {
        "state": each.state.value,
        "usable": (appliance.Usable.NO if is_out else appliance.usable(each, now)).value,
        "switched_off": is_off,
        "since": each.changed_at,
        "power_w": each.power_w,
        "energy_kwh": round(each.energy.total_kwh, 3),
        "cycles": each.cycles.count,
        "in_use_s": round(appliance.in_use_s(each, now), 1),
        "temperature_c": each.temperature_c,
        "faults": sorted(each.faults),
    }


def _faults(state: StationState) -> list[Body]:
    """The worst first, and of those the oldest; as many as a message holds."""
    found = sorted(
        state.repairs.values(), key=lambda each: (each.problem.severity is Severity.WARNING, not each.is_present)
    )
    return [
        {
            **each.problem.as_dict(),
            "stage": each.stage.value,
            "is_present": each.is_present,
            "raised_at": each.steps[0].at,
        }
        for each in found[:MAX_TOLD_FAULTS]
    ]


def _supply(state: StationState, rules: Rules, name: str, supply: Supply) -> Body:
    counted = supplies.body(supply)
    del counted["loans"]  # who has one is nobody else's business
    return {**counted, "lent": len(supply.loans), **stock.judgement(state, rules.supplies[name], name)}


def _health(state: StationState, now: float) -> Body:
    return {
        "faults": _faults(state),
        "fault_count": len(state.repairs),
        "alarms": alarms.listed(state.alarms),
        "uptime_s": round(now - state.started_at, 3),
        "vision": state.vision.phase.value,
        "storage": "failed" if ("storage.failed", "storage") in state.faults else "ok",
        "confirmed": confirming.as_dict(state.confirmed),
        "backlog": backlog(state.outbox),
    }
