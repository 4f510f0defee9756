"""Contacts with a meaning: each says that something is to be looked at, as a fault, until it says that it is over.

What they say is debounced by `core.floats`. Water that an appliance names is that appliance's affair, and the mains are
`core.sensing`'s. `other` is only shown.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent.core import floats
from agent.core.turn import Turn

CODES: Mapping[str, str] = {
    "water": "water.empty",
    "waste": "contact.waste_full",
    "aed_cabinet": "contact.aed_opened",
    "first_aid": "contact.first_aid_opened",
    "leak": "contact.leak",
    "smoke": "contact.smoke",
    "tamper": "contact.tampered",
    "battery_low": "contact.battery_low",
}
"""The kind of a contact → the fault that it is."""


def tend(turn: Turn) -> None:
    """Raise what contacts say now, and clear what they say is over; one that cannot be read changes nothing."""
    for name, kind in turn.rules.contacts.items():
        code, where = CODES.get(kind), f"contacts.{name}"
        if code is None or _is_of_appliance(turn, name):
            continue
        is_so = floats.level(turn.state, name)
        if is_so:
            turn.raise_fault(code, where)
        elif is_so is False:
            turn.clear_fault(code, where)


def _is_of_appliance(turn: Turn, name: str) -> bool:
    return any(each.water_signal == name for each in turn.rules.appliances.values())
