"""Appliances that are switched by their plugs: by somebody's order, and off when nobody has been inside for long.

The last order wins. What somebody ordered off stays off until somebody wants it on, at the plug or by an order: nothing
is switched on by rules, and nobody's coming in switches anything. What somebody ordered on while nobody is inside stays
on until somebody has been inside; then it is saved again like any other. The rules switch off once in each emptiness:
whoever switches it back on, at the plug or from afar, is not fought.

What food, a life or the network hang on (`Limits.is_never_switched`) is not switched whatever the settings say.
"""

from __future__ import annotations

from dataclasses import replace

from agent.core import saving, switch_orders, welfare
from agent.core.appliance import Appliance, Running
from agent.core.presence import Inside
from agent.core.problems import problem
from agent.core.saving import Saving
from agent.core.state import Rules, StationState
from agent.core.switch_orders import SwitchOrder
from agent.core.turn import Turn
from agent.effects import KeepNotes, SwitchAppliance
from agent.events import ApplianceSwitched, ControlRequested, Restored

FAULT = "appliance.not_switched"
NOT_OFF = "appliance.not_off"
_NO_ANSWER = "its plug did not answer"


def begin(turn: Turn, restored: Restored) -> None:
    """Go on with what somebody had ordered off; at the start, or once the disk can be read."""
    fitted = [name for name, each in turn.rules.appliances.items() if each.can_switch]
    notes = restored.notes.get(switch_orders.KIND, {})
    turn.set(switches=switch_orders.restored(notes, fitted, turn.now, turn.state.switches))


def order(turn: Turn, asked: ControlRequested) -> None:
    """Somebody wants an appliance on or off; the answer comes when its plug has said what became of it."""
    name, is_on = str(asked.arguments["appliance"]), bool(asked.arguments["on"])
    profile = turn.rules.appliances.get(name)
    if profile is None:
        turn.refuse(asked.request, problem("appliance.unknown", name))
    elif profile.limits.is_never_switched:
        turn.refuse(asked.request, problem("appliance.never_switched", name, profile.kind))
    elif not profile.can_switch:
        turn.refuse(asked.request, problem("appliance.no_switch", name))
    elif len(turn.state.switches.waiting.get(name, ())) >= switch_orders.MAX_WAITING:
        turn.refuse(asked.request, problem("request.busy", name, "its plug has not answered the last orders yet"))
    else:
        given = SwitchOrder(is_on, turn.now + switch_orders.ANSWER_S, asked.actor.name, asked.request)
        _give(turn, name, given)


def on_switched(turn: Turn, event: ApplianceSwitched) -> None:
    """The plug confirmed the order, or it did not; what was ordered and not done is a fault until an order is."""
    name = event.appliance
    switches, given = turn.state.switches.answered(name, is_on=event.is_on)
    turn.set(switches=switches)
    _close_order(turn, name, given or SwitchOrder(event.is_on, turn.now), event.reason)
    is_ours = given is None or not given.by
    if given is not None and given.by and not event.reason:
        turn.set(switches=turn.state.switches.taken(name, turn.now, is_on=event.is_on))
    if event.is_on and not event.reason:
        _keep_on(turn, name, is_ordered=not is_ours)
    elif not event.is_on:
        _follow_saving(turn, event, is_ours=is_ours)


def _close_order(turn: Turn, name: str, given: SwitchOrder, reason: str) -> None:
    """Log how an order ended, and tell who gave it."""
    body = {"appliance": name, "is_on": given.is_on, "is_done": not reason, **({"by": given.by} if given.by else {})}
    notes = () if reason or not given.by else (switch_orders.note(name, is_off=not given.is_on),)
    turn.log("appliance.switched", body, tag=given.request, notes=notes)
    if not reason:
        turn.clear_fault(FAULT, name)
    elif not turn.state.switches.is_waiting(name):  # else a newer order took its place, and tells how it is
        turn.word_fault(FAULT, name, reason)
    if not given.request:
        return
    if reason:
        turn.refuse(given.request, problem(FAULT, name, reason))
    else:
        turn.answer_when_logged(given.request, {"appliance": name, "on": given.is_on}, "appliances.switch")


def _keep_on(turn: Turn, name: str, *, is_ordered: bool) -> None:
    """Somebody wants it on: it is not switched off again before somebody has been inside."""
    known = turn.state.savings.get(name)
    if known is not None or (is_ordered and turn.state.presence.claim is not Inside.OCCUPIED):
        _put(turn, name, saving.over(known or Saving(turn.now)))
    turn.clear_fault(NOT_OFF, name)


def _follow_saving(turn: Turn, event: ApplianceSwitched, *, is_ours: bool) -> None:
    known = turn.state.savings.get(event.appliance)
    if known is None or known.is_over:
        return
    if not event.reason and (known.is_asked or not is_ours):
        _put(turn, event.appliance, replace(known, confirmed_at=turn.now, again_at=None))
    elif event.reason and is_ours and known.is_asked:
        _put(turn, event.appliance, saving.failed(known, turn.now))


def tend(turn: Turn) -> None:
    """Switch off what serves nobody, and see that what was switched off is off."""
    _close(turn)
    _give_up(turn)
    _watch_ordered_off(turn)
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
    answer_at = state.switches.deadline()
    if state.presence.claim is not Inside.EMPTY:
        return [answer_at]
    begin_at = [at for name, at in _unneeded(state, rules).items() if name not in state.savings]
    return [answer_at, *begin_at, *(each.deadline() for each in state.savings.values())]


def _unneeded(state: StationState, rules: Rules) -> dict[str, float]:
    return dict(welfare.to_switch_off(state.presence, state.appliances, rules.appliances))


def _order(turn: Turn, name: str) -> None:
    _put(turn, name, saving.asked(turn.state.savings.get(name), turn.now))
    _give(turn, name, SwitchOrder(is_on=False, until=turn.now + saving.ANSWER_S))


def _give(turn: Turn, name: str, given: SwitchOrder) -> None:
    turn.set(switches=turn.state.switches.asked(name, given))
    turn.do(SwitchAppliance(name, is_on=given.is_on))


def _give_up(turn: Turn) -> None:
    """Answers that never came. Of its own orders the rules keep count in `savings`."""
    for name, given in turn.state.switches.overdue(turn.now):
        turn.set(switches=turn.state.switches.given_up(name, given))
        if given.by:
            _close_order(turn, name, given, _NO_ANSWER)


def _watch_ordered_off(turn: Turn) -> None:
    """What somebody ordered off: a hand may have switched it on since, or it draws power all the same."""
    for name, since in tuple(turn.state.switches.ordered_off.items()):
        each = turn.state.appliances[name]
        if _is_on_again(turn, name, since):
            turn.set(switches=turn.state.switches.let_go(name))
            turn.do(KeepNotes((switch_orders.note(name, is_off=False),)))
            turn.clear_fault(NOT_OFF, name)
        elif _is_drawing(each, since):
            turn.raise_fault(NOT_OFF, name, f"{each.power_w or 0:.0f} W")


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
    if not _is_drawing(appliance, confirmed_at):
        return  # nothing was read since, or the next reading tells whether it is off
    after = saving.failed(each, turn.now)
    _put(turn, name, after)
    if after.is_over:
        turn.raise_fault(NOT_OFF, name, f"{appliance.power_w or 0:.0f} W")


def _is_drawing(appliance: Appliance, since: float) -> bool:
    """Whether it has been read since, and draws power."""
    is_fresh = appliance.read_at is not None and appliance.read_at >= since + saving.SETTLE_S
    return is_fresh and appliance.running not in (Running.UNKNOWN, Running.OFF) and appliance.raw is not Running.OFF


def _is_on_again(turn: Turn, name: str, confirmed_at: float) -> bool:
    """Whether the plug has told since that it is on: a hand was there."""
    meter = turn.rules.appliances[name].meter
    told = turn.state.sensors.get(f"sensors.{name if meter is None else meter}")
    is_on, at = (None, 0.0) if told is None else told.values.get("on", (None, 0.0))
    return is_on is True and at > confirmed_at


def _close(turn: Turn) -> None:
    """What draws nothing has gone off after all, also when it was found before the last start."""
    for name, profile in turn.rules.appliances.items():
        is_switched = profile.can_switch or profile.saving_after_s is not None
        if is_switched and (NOT_OFF, name) in turn.state.repairs and turn.state.appliances[name].running is Running.OFF:
            turn.clear_fault(NOT_OFF, name)


def _put(turn: Turn, name: str, after: Saving) -> None:
    turn.set(savings={**turn.state.savings, name: after})
