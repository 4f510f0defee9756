"""Appliances that were switched by their plugs."""

from __future__ import annotations

from agent.core.turn import Turn
from agent.events import ApplianceSwitched

FAULT = "appliance.not_switched"


def on_switched(turn: Turn, event: ApplianceSwitched) -> None:
    """The plug confirmed the order, or it did not; what was ordered and not done is a fault until an order is."""
    body = {"appliance": event.appliance, "is_on": event.is_on, "is_done": not event.reason}
    turn.log("appliance.switched", body)
    if event.reason:
        turn.word_fault(FAULT, event.appliance, event.reason)
    else:
        turn.clear_fault(FAULT, event.appliance)
