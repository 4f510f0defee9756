"""What sensors measure: kept by the minute, and what it says of the appliances."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from agent import events
from agent.core import appliance, appliance_faults, floats, people
from agent.core.appliance import Appliance, Reading, Running
from agent.core.problems import problem
from agent.core.state import Rules, StationState
from agent.core.turn import Turn
from agent.effects import KeepNotes, Note, PublishReadings, WriteReading

Notes = Mapping[str, Mapping[str, Mapping[str, Any]]]

NOTES = "appliance"  # the kind of note that keeps what was learned of each
KEEP_EVERY_S = 3600.0  # a commit an hour on the card; a crash loses less than an hour of what took days to learn
PUT_ON_S = 60.0  # after an order: a plug reports the power that it gives within some seconds
QUANTITIES = ("power_w", "energy_kwh", "voltage_v", "temperature_c")  # in the order of `Reading`
MAINS_LOST = ("mains.lost", "mains")

MAX_READINGS = 5_000
"""Minutes that wait to be published: a hundred quantities for most of an hour; the oldest go first."""


def on_reading(turn: Turn, event: events.SensorRead) -> None:
    """Values that a sensor was read."""
    for quantity, value in event.values.items():
        if math.isfinite(value):
            turn.do(WriteReading(event.at, event.sensor, quantity, value))
    reading = Reading(*(event.values.get(each) for each in QUANTITIES))
    for name, profile in turn.rules.appliances.items():
        known = turn.state.appliances[name]
        if (name if profile.meter is None else profile.meter) == event.sensor:
            seen = appliance.see(known, profile, reading, event.at)
            _set_appliance(turn, name, appliance.rested(seen) if _is_put_out(turn, name) else seen)
        elif profile.thermometer == event.sensor and reading.temperature_c is not None:
            _set_appliance(turn, name, appliance.feel(known, profile, reading.temperature_c, event.at))
        else:
            continue
        _look(turn, name)


def begin(rules: Rules, notes: Notes) -> dict[str, Appliance]:
    """Appliances as they were noted by an earlier run; of an unreadable note nothing is known."""
    return {name: _noted(notes, name) or Appliance() for name in rules.appliances}


def rejoin(turn: Turn, notes: Notes) -> None:
    """What could not be read at the start is added to what was learned since."""
    after = dict(turn.state.appliances)
    for name, each in turn.state.appliances.items():
        before = _noted(notes, name)
        if before is not None:
            after[name] = appliance.joined(each, before)
    turn.set(appliances=after)


def keep(turn: Turn) -> None:
    """Note totals and what was learned, for the next start."""
    turn.set(appliances_kept_at=turn.now)
    read = {name: each for name, each in turn.state.appliances.items() if each.read_at is not None}
    if read:
        notes = tuple(Note(NOTES, name, appliance.saved(each)) for name, each in read.items())
        turn.do(KeepNotes(notes, may_wait=True))


def tend(turn: Turn) -> None:
    """Let time pass for the appliances whose time it is; the others were looked at when they were read."""
    _follow_mains(turn)
    for name, each in turn.state.appliances.items():
        due_at = appliance_faults.deadline(each, turn.rules.appliances[name])
        is_water_news = each.is_water_empty is not None and each.is_water_empty is not ("water.empty" in each.faults)
        if is_water_news or (due_at is not None and turn.now >= due_at):
            _look(turn, name)
    _end_older_faults(turn)
    if turn.now >= turn.state.appliances_kept_at + KEEP_EVERY_S:
        keep(turn)


def replaced(turn: Turn, asked: events.ControlRequested) -> None:
    """Another appliance stands in its place: what was learned of the old one says nothing about it."""
    name = str(asked.arguments["appliance"])
    known = turn.state.appliances.get(name)
    if known is None:
        turn.refuse(asked.request, problem("appliance.unknown", name))
        return
    after = appliance.relearn(known)
    turn.set(appliances={**turn.state.appliances, name: after})
    turn.clear_fault("appliance.weak", name)
    note = Note(NOTES, name, appliance.saved(after))
    turn.log("appliance.replaced", {"appliance": name, "by": asked.actor.name}, tag=asked.request, notes=(note,))
    turn.answer_when_logged(asked.request, {"appliance": name}, asked.action)


def deadlines(state: StationState, rules: Rules) -> list[float | None]:
    """When `tend` has something to do."""
    ends = [appliance_faults.deadline(each, rules.appliances[name]) for name, each in state.appliances.items()]
    return [*ends, state.appliances_kept_at + KEEP_EVERY_S if state.appliances else None]


def _look(turn: Turn, name: str) -> None:
    """Raise or clear what is wrong with one."""
    has_mains = not turn.has_fault(*MAINS_LOST)
    profile = turn.rules.appliances[name]
    after, found = appliance_faults.tend(turn.state.appliances[name], profile, turn.now, has_mains=has_mains)
    _set_appliance(turn, name, after)
    for finding in found:
        if finding.is_wrong:
            turn.raise_fault(finding.code, name, finding.detail)
        else:
            turn.clear_fault(finding.code, name)


def _is_put_out(turn: Turn, name: str) -> bool:
    """Whether its plug is off, and may be: somebody ordered it, or it only serves whoever is inside."""
    if name in turn.state.switches.ordered_off:
        return True
    profile = turn.rules.appliances[name]
    told = turn.state.sensors.get(f"sensors.{name if profile.meter is None else profile.meter}")
    if profile.saving_after_s is None or told is None:
        return False
    is_on, _ = told.values.get("on", (None, 0.0))
    return is_on is False


def _was_put_on(turn: Turn, name: str) -> bool:
    """Whether its plug was switched on from afar just now: that it runs then shows nobody."""
    at = turn.state.switches.ordered_on.get(name)
    return at is not None and turn.now < at + PUT_ON_S


def _end_older_faults(turn: Turn) -> None:
    for code, name in [key for key in turn.state.repairs if key not in turn.state.faults]:
        each = turn.state.appliances.get(name)
        if each is not None and appliance_faults.is_over(each, turn.rules.appliances[name], code, turn.now):
            turn.clear_fault(code, name)


def _follow_mains(turn: Turn) -> None:
    """Raise or clear the loss of the mains; where nothing says anything it stays as it is."""
    contact = floats.level(turn.state, turn.rules.mains_signal)
    # A plug that speaks has mains: that it measures none means that it is switched off.
    meters = [
        each
        for name, each in turn.state.appliances.items()
        if not turn.rules.appliances[name].is_plug or (each.voltage_v or 0.0) >= appliance.MAINS_W_V
    ]
    is_present = appliance_faults.is_mains_present(meters, contact)
    if is_present is False:
        turn.raise_fault(*MAINS_LOST)
    elif is_present:
        turn.clear_fault(*MAINS_LOST)


def _noted(notes: Notes, name: str) -> Appliance | None:
    note = notes.get(NOTES, {}).get(name)
    if note is None:
        return None
    try:
        return appliance.restored(note)
    except (KeyError, TypeError, ValueError):
        return None  # an older agent's, or a damaged one


def _set_appliance(turn: Turn, name: str, after: Appliance) -> None:
    before = turn.state.appliances[name]
    if after is before:
        return
    turn.set(appliances={**turn.state.appliances, name: after})
    if after.state is not before.state:
        body = {"appliance": name, "state": after.state.value, "was": before.state.value}
        turn.log("appliance.changed", body, may_wait=True)  # its live state is told at once
    if after.running is not before.running:
        if after.running is Running.UNKNOWN:
            turn.raise_fault("sensor.stale", name)
        else:
            turn.clear_fault("sensor.stale", name)
    has_started = after.cycles.count > before.cycles.count and before.running is not Running.UNKNOWN
    is_by_hand = turn.rules.appliances[name].limits.is_used_by_hand and not _was_put_on(turn, name)
    if has_started and is_by_hand:
        people.on_used(turn)


def on_readings(turn: Turn, event: events.MinutesMeasured) -> None:
    """A minute of readings is over; it waits to be published."""
    if turn.rules.readings_every_s is None:
        return
    waiting = (*turn.state.readings, *event.readings)
    lost = turn.state.readings_lost + event.lost + max(0, len(waiting) - MAX_READINGS)
    due_at = turn.state.readings_due_at or turn.now + turn.rules.readings_every_s
    turn.set(readings=waiting[-MAX_READINGS:], readings_lost=lost, readings_due_at=due_at)


def publish_readings(turn: Turn) -> None:
    """Publish them when they are due."""
    due_at = turn.state.readings_due_at
    if due_at is not None and turn.now >= due_at:
        turn.do(PublishReadings(turn.state.readings, turn.state.readings_lost))
        turn.set(readings=(), readings_lost=0, readings_due_at=None)
