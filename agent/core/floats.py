"""Floats and contacts that the settings give a meaning: water that is out, mains that is there.

Each is debounced for longer than a door: water has waves, and mains that blinks is no outage. One that cannot be read
says nothing: what it said last neither stays nor ends, and the fault of the device tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from agent.core import debounce
from agent.core.appliance import Appliance
from agent.core.debounce import Debounced
from agent.core.state import Rules, StationState
from agent.core.turn import Turn
from agent.events import SignalChanged

HOLD_S = 5.0

_UNREAD: Debounced[bool | None] = Debounced(None, None)


def names(rules: Rules) -> frozenset[str]:
    """The signals that mean something here."""
    found = {each.water_signal for each in rules.appliances.values()} | {rules.mains_signal}
    return frozenset(found - {""}) | rules.contacts.keys()


def take(turn: Turn, event: SignalChanged) -> None:
    """One raw edge; of others nothing is known."""
    if event.signal not in names(turn.rules):
        return
    settle(turn, event.at)
    known = turn.state.contacts.get(event.signal, _UNREAD)
    seen = debounce.see(known, event.is_active, event.at)
    turn.set(contacts={**turn.state.contacts, event.signal: seen})


def settle(turn: Turn, until: float) -> None:
    """Let levels that have held long enough by `until` (station time) count."""
    after = {name: debounce.settle(each, until, HOLD_S) for name, each in turn.state.contacts.items()}
    if all(after[name] is each for name, each in turn.state.contacts.items()):
        return
    turn.set(contacts=after, appliances=_with_water(turn.state, turn.rules, after))


def deadline(state: StationState) -> float | None:
    """When `settle` will have something to say."""
    ends = [each.deadline(HOLD_S) for each in state.contacts.values()]
    return min((at for at in ends if at is not None), default=None)


def level(state: StationState, name: str) -> bool | None:
    """What a signal says; None: nothing."""
    return state.contacts.get(name, _UNREAD).level


def _with_water(
    state: StationState, rules: Rules, after: Mapping[str, Debounced[bool | None]]
) -> Mapping[str, Appliance]:
    return {
        name: replace(each, is_water_empty=after.get(rules.appliances[name].water_signal, _UNREAD).level)
        for name, each in state.appliances.items()
    }
