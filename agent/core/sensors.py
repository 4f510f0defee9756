"""What each sensor said last, raw: for people who look whether one works. Nothing is decided by it.

Named as in faults: `sensors.NAME`, `contacts.NAME`, `motion`, `counter`. Bounded by the settings, which name what is
fitted, and by `MAX_VALUES` of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from agent import events
from agent.events import Event

MAX_VALUES = 40  # a meter of three phases gives 18, a converter with eight inputs a dozen
MAX_REASON = 300  # characters, as of a fault

Value = float | bool | None
"""A number, one of two states, or what cannot be read."""


@dataclass(frozen=True, slots=True)
class Told:
    """`values`: by quantity or state, each with the station time it was told at. `error`: why it fails; empty: not."""

    values: Mapping[str, tuple[Value, float]] = field(default_factory=dict)
    error: str = ""
    failed_at: float | None = None


def after(known: Mapping[str, Told], fitted: Mapping[str, str], event: Event) -> Mapping[str, Told]:
    """What is known after an event; the same mapping where it is about no sensor that is fitted."""
    match event:
        case events.SensorRead():
            return _say(known, fitted, f"sensors.{event.sensor}", event.at, dict(event.values))
        case events.SensorStateTold():
            return _say(known, fitted, f"sensors.{event.sensor}", event.at, {event.state: event.is_active})
        case events.PresenceSensed():
            said = {"present": event.is_present, "moving": event.is_moving}
            return _say(known, fitted, f"sensors.{event.sensor}", event.at, said)
        case events.SignalChanged():
            return _say(known, fitted, f"contacts.{event.signal}", event.at, {"active": event.is_active})
        case events.MotionChanged():
            return _say(known, fitted, "motion", event.at, {"moving": event.is_moving})
        case events.PersonCounted():
            return _count(known, fitted, "entered" if event.is_entering else "left", event.at)
        case events.DeviceFailed() if event.device in fitted:
            told = known.get(event.device, Told())
            return {**known, event.device: replace(told, error=event.reason[:MAX_REASON], failed_at=event.at)}
        case events.DeviceRecovered() if event.device in fitted:
            told = known.get(event.device, Told())
            return {**known, event.device: replace(told, error="", failed_at=None)}
        case _:
            return known


def shown_to_work(event: Event) -> str:
    """The device that this event could not come from while it fails; empty: it proves nothing of any."""
    match event:
        case events.SensorRead() | events.SensorStateTold() | events.PresenceSensed():
            return f"sensors.{event.sensor}"
        case events.MotionChanged():
            return "motion"
        case events.PersonCounted():
            return "counter"
        case _:
            return ""


def rows(known: Mapping[str, Told], fitted: Mapping[str, str], now: float) -> list[dict[str, Any]]:
    """JSON values: every sensor that is fitted, also one that has said nothing yet."""
    return [_row(name, kind, known.get(name, Told()), now) for name, kind in fitted.items()]


def _say(
    known: Mapping[str, Told], fitted: Mapping[str, str], device: str, at: float, said: Mapping[str, Value]
) -> Mapping[str, Told]:
    if device not in fitted or not said:
        return known
    told = known.get(device, Told())
    values = {**told.values, **{name: (value, at) for name, value in said.items()}}
    return {**known, device: replace(told, values=dict(list(values.items())[:MAX_VALUES]))}


def _count(known: Mapping[str, Told], fitted: Mapping[str, str], way: str, at: float) -> Mapping[str, Told]:
    before, _ = known.get("counter", Told()).values.get(way, (0, at))
    return _say(known, fitted, "counter", at, {way: (before or 0) + 1})


def _row(name: str, kind: str, told: Told, now: float) -> dict[str, Any]:
    return {
        "sensor": name,
        "kind": kind,
        "values": [
            {"quantity": quantity, "value": value, "age_s": round(max(0.0, now - at), 1)}
            for quantity, (value, at) in told.values.items()
        ],
        "error": told.error,
        "failed_s": None if told.failed_at is None else round(max(0.0, now - told.failed_at), 1),
    }
