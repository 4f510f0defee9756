"""Wires that say one thing: fire, the break glass, tampering and the lock's bolt.

Each is debounced like the door contact. A signal that can no longer be read keeps saying what it said last, for neither
a fire nor its end may be made up; the fault tells. Only of the bolt is nothing known then.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent.core import debounce, floats
from agent.core.debounce import Debounced
from agent.core.door import Input
from agent.core.passage import put
from agent.core.state import Rules, StationState
from agent.core.turn import Turn
from agent.events import SignalChanged

_UNREAD: Debounced[bool | None] = Debounced(None, None)

_INPUTS: Mapping[str, Mapping[bool | None, Input]] = {
    "fire": {True: Input.FIRE_BEGAN, False: Input.FIRE_ENDED},
    "tamper": {True: Input.TAMPERED, False: Input.TAMPER_ENDED},
    "bolt": {True: Input.BOLT_SECURED, False: Input.BOLT_RELEASED, None: Input.BOLT_LOST},
}
SIGNALS = frozenset({*_INPUTS, "emergency"})


def take(turn: Turn, event: SignalChanged) -> None:
    """One raw edge."""
    floats.take(turn, event)
    if event.signal not in SIGNALS or (event.is_active is None and event.signal != "bolt"):
        return
    settle(turn, event.at)
    known = turn.state.signals.get(event.signal, _UNREAD)
    turn.set(signals={**turn.state.signals, event.signal: debounce.see(known, event.is_active, event.at)})


def settle(turn: Turn, until: float) -> None:
    """Let levels that have held long enough by `until` (station time) count."""
    for name, before in turn.state.signals.items():
        after = debounce.settle(before, until, turn.rules.contact_debounce_s)
        if after.level == before.level:
            continue
        turn.set(signals={**turn.state.signals, name: after})
        if name == "emergency":
            follow_emergency(turn)
        else:
            put(turn, _INPUTS[name][after.level])


def deadline(state: StationState, rules: Rules) -> float | None:
    """When `settle` will have something to say."""
    ends = [each.deadline(rules.contact_debounce_s) for each in state.signals.values()]
    return min((at for at in ends if at is not None), default=None)


def is_glass_broken(state: StationState) -> bool:
    """Whether the break glass says so now."""
    return state.signals.get("emergency", _UNREAD).level is True


def follow_emergency(turn: Turn) -> None:
    """An emergency lasts while the glass is broken or the station master wants it; off where it is not offered."""
    is_wanted = turn.rules.has_emergency and (turn.state.is_emergency_ordered or is_glass_broken(turn.state))
    if is_wanted is not turn.state.door.wishes.is_emergency:
        put(turn, Input.EMERGENCY_BEGAN if is_wanted else Input.EMERGENCY_ENDED)
