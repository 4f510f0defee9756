"""People inside, as the station follows them: what each fact says of presence, and the checks that follow from it.

Visits stay what they are, a record of who came in and left (`core.occupancy`). Presence is what all sensors say
together, and the two may differ: who comes in behind another has no visit.
"""

from __future__ import annotations

from agent import events
from agent.core import presence, welfare
from agent.core.state import Rules, StationState
from agent.core.turn import Turn

MOTION = "motion"  # the one motion sensor, as the settings call it
ALARM = "welfare"  # the alarm that a check is
_STUCK = "sensor.stuck"


def on_motion(turn: Turn, event: events.MotionChanged) -> None:
    """Something begins or ends to move inside."""
    turn.set(is_moving=event.is_moving, presence=presence.moved(turn.state.presence, MOTION, event.is_moving, event.at))


def on_presence(turn: Turn, event: events.PresenceSensed) -> None:
    """A radar sees somebody, or nobody. It is called here as in its faults, by which it is lost."""
    turn.set(
        presence=presence.sensed(
            turn.state.presence, f"sensors.{event.sensor}", event.is_present, event.is_moving, event.at
        )
    )


def on_counted(turn: Turn, event: events.PersonCounted) -> None:
    """A counter in the door saw somebody go in or out."""
    turn.set(presence=presence.passed(turn.state.presence, event.is_entering, event.at, by_counter=True))


def on_passed(turn: Turn, *, is_entering: bool) -> None:
    """Somebody whom the door let in or out has passed it."""
    turn.set(presence=presence.passed(turn.state.presence, is_entering, turn.now))


def on_used(turn: Turn) -> None:
    """An appliance was started that only a hand starts."""
    turn.set(presence=presence.used(turn.state.presence, turn.now))


def on_lost(turn: Turn, sensor: str) -> None:
    """A sensor failed: what it saw last says nothing any more."""
    turn.set(presence=presence.lose(turn.state.presence, sensor))


def tend(turn: Turn) -> None:
    """Follow the door, let time pass, and look whether all is well."""
    inside = turn.state.presence
    has_moved = turn.state.contact.level is not inside.is_open
    due_at = min(at for at in deadlines(turn.state, turn.rules) if at is not None)
    if not has_moved and inside.at < turn.now < due_at:
        return  # nothing was seen in this turn, and nothing is due
    if turn.state.contact.level is not inside.is_open:
        inside = presence.door_moved(inside, turn.state.contact.level, turn.now)
    inside = presence.tend(inside, turn.now)
    turn.set(presence=inside)
    for name, sensor in inside.sensors.items():
        if sensor.is_stuck:
            turn.raise_fault(_STUCK, name)
        elif sensor.has_changed:
            turn.clear_fault(_STUCK, name)
    after, found = welfare.tend(turn.state.welfare, inside, turn.rules.welfare, turn.now)
    turn.set(welfare=after)
    for each in found:
        if each.kind is not None:
            turn.log("welfare.raised", {"check": each.kind, "lasted_s": round(each.lasted_s)})


def deadlines(state: StationState, rules: Rules) -> list[float | None]:
    """When `tend` has something to do."""
    return [presence.deadline(state.presence), welfare.deadline(state.welfare, state.presence, rules.welfare)]


def acknowledge(turn: Turn) -> None:
    """The station master has looked after whoever is inside: quiet for a while."""
    turn.set(welfare=welfare.acknowledge(turn.state.welfare, turn.rules.welfare, turn.now))
