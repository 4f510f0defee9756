"""What sensors measure: kept by the minute, and what it says of the appliances."""

from __future__ import annotations

import math

from agent import events
from agent.core import appliance
from agent.core.appliance import Appliance
from agent.core.turn import Turn
from agent.effects import PublishReadings, WriteReading

MAX_READINGS = 5_000
"""Minutes that wait to be published: a hundred quantities for most of an hour; the oldest go first."""


def on_reading(turn: Turn, event: events.SensorRead) -> None:
    """Values that a sensor was read."""
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


def on_readings(turn: Turn, event: events.ReadingsWritten) -> None:
    """A minute of readings is on the disk; it waits to be published."""
    if turn.rules.readings_every_s is None:
        return
    waiting = (*turn.state.readings, *event.readings)[-MAX_READINGS:]
    due_at = turn.state.readings_due_at or turn.now + turn.rules.readings_every_s
    turn.set(readings=waiting, readings_due_at=due_at)


def publish_readings(turn: Turn) -> None:
    """Publish them when they are due."""
    due_at = turn.state.readings_due_at
    if due_at is not None and turn.now >= due_at:
        turn.do(PublishReadings(turn.state.readings))
        turn.set(readings=(), readings_due_at=None)


def age(turn: Turn) -> None:
    """What was read too long ago makes an appliance's state unknown."""
    for name, each in turn.state.appliances.items():
        _set_appliance(turn, name, appliance.age(each, turn.rules.appliances[name], turn.now))
