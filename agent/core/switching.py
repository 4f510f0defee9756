"""Appliances that are switched by their plugs: what only serves people goes off when nobody has been inside for long.

Once in each emptiness: whoever switches it back on, at the plug or from afar, is not fought. Nothing is switched on by
rules.
"""

from __future__ import annotations

from dataclasses import replace

from agent.core import saving, welfare
from agent.core.appliance import Running
from agent.core.presence import Inside
from agent.core.saving import Saving
from agent.core.state import Rules, StationState
from agent.core.turn import Turn
from agent.effects import SwitchAppliance
from agent.events import ApplianceSwitched

FAULT = "appliance.not_switched"
NOT_OFF = "appliance.not_off"
_NO_ANSWER = "its plug did not answer"


def on_switched(turn: Turn, event: ApplianceSwitched) -> None:
    """The plug confirmed the order, or it did not; what was ordered and not done is a fault until an order is."""
    body = {"appliance": event.appliance, "is_on": event.is_on, "is_done": not event.reason}
    turn.log("appliance.switched", body)
    if event.reason:
        turn.word_fault(FAULT, event.appliance, event.reason)
    else:
        turn.clear_fault(FAULT, event.appliance)
    known = turn.state.savings.get(event.appliance)
    if known is None or known.is_over:
        return
    if event.is_on:
        if not event.reason:
            _put(turn, event.appliance, saving.over(known))
    elif known.is_asked:
        after = saving.failed(known, turn.now) if event.reason else replace(known, confirmed_at=turn.now)
        _put(turn, event.appliance, after)


def tend(turn: Turn) -> None:
    """Switch off what serves nobody, and see that it is off."""
    _close(turn)
    claim = turn.state.presence.claim
    if claim is Inside.OCCUPIED and turn.state.savings:
        turn.set(savings={})
    if claim is not Inside.EMPTY:
        return
    for name, at in _unneeded(turn.state, turn.rules).items():
        if turn.now >= at and name not in turn.state.savings:
            turn.log("appliance.unneeded", {"appliance": name, "empty_s": round(turn.now - turn.state.presence.since)})
            _order(turn, name)
    for name, each in tuple(turn.state.savings.items()):
        due_at = each.deadline()
        if due_at is not None and turn.now >= due_at:
            _go_on(turn, name, each)
        elif each.confirmed_at is not None and not each.is_over:
            _look(turn, name, each, each.confirmed_at)


def deadlines(state: StationState, rules: Rules) -> list[float | None]:
    """When `tend` has something to do."""
    if state.presence.claim is not Inside.EMPTY:
        return []
    begin_at = [at for name, at in _unneeded(state, rules).items() if name not in state.savings]
    return [*begin_at, *(each.deadline() for each in state.savings.values())]


def _unneeded(state: StationState, rules: Rules) -> dict[str, float]:
    return dict(welfare.to_switch_off(state.presence, state.appliances, rules.appliances))


def _order(turn: Turn, name: str) -> None:
    _put(turn, name, saving.asked(turn.state.savings.get(name), turn.now))
    turn.do(SwitchAppliance(name, is_on=False))


def _go_on(turn: Turn, name: str, each: Saving) -> None:
    """A pause is over, or an answer never came."""
    if each.again_at is not None:
        _order(turn, name)
        return
    after = saving.failed(each, turn.now)
    _put(turn, name, after)
    if after.is_over:
        turn.raise_fault(FAULT, name, _NO_ANSWER)


def _look(turn: Turn, name: str, each: Saving, confirmed_at: float) -> None:
    """Its plug said that it is off: what does the power say?"""
    appliance = turn.state.appliances[name]
    if appliance.running is Running.OFF or _is_on_again(turn, name, confirmed_at):
        _put(turn, name, saving.over(each))
        return
    is_fresh = appliance.read_at is not None and appliance.read_at >= confirmed_at + saving.SETTLE_S
    if not is_fresh or appliance.running is Running.UNKNOWN or appliance.raw is Running.OFF:
        return  # nothing was read since, or the next reading tells whether it is off
    after = saving.failed(each, turn.now)
    _put(turn, name, after)
    if after.is_over:
        turn.raise_fault(NOT_OFF, name, f"{appliance.power_w or 0:.0f} W")


def _is_on_again(turn: Turn, name: str, confirmed_at: float) -> bool:
    """Whether the plug has told since that it is on: a hand was there."""
    meter = turn.rules.appliances[name].meter
    told = turn.state.sensors.get(f"sensors.{name if meter is None else meter}")
    is_on, at = (None, 0.0) if told is None else told.values.get("on", (None, 0.0))
    return is_on is True and at > confirmed_at


def _close(turn: Turn) -> None:
    """What draws nothing has gone off after all, also when it was found before the last start."""
    for name, profile in turn.rules.appliances.items():
        is_known = profile.saving_after_s is not None and (NOT_OFF, name) in turn.state.repairs
        if is_known and turn.state.appliances[name].running is Running.OFF:
            turn.clear_fault(NOT_OFF, name)


def _put(turn: Turn, name: str, after: Saving) -> None:
    turn.set(savings={**turn.state.savings, name: after})
