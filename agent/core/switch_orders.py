"""Orders to plugs that wait for their answers, and what somebody ordered off.

A plug answers each order once, in their order, and its answer names no order: it belongs to the oldest one that waits
and wants the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from agent.effects import Note

KIND = "switched_off"
ANSWER_S = 30.0  # a driver says after 5 s that its device did not confirm; more is a driver that does not answer
MAX_WAITING = 4  # of one appliance: who presses on and off again and again is told to wait


@dataclass(frozen=True, slots=True)
class SwitchOrder:
    """`by`: the account that gave it; empty: the rules did. `request`: who is told how it ended, before `until`."""

    is_on: bool
    until: float
    by: str = ""
    request: str = ""


@dataclass(frozen=True, slots=True)
class Switches:
    """`waiting`: orders by appliance, the oldest first. Times are station time.

    `ordered_off`: what somebody ordered off and what took it, since when; `ordered_on`: the same, at the last time.
    """

    waiting: Mapping[str, tuple[SwitchOrder, ...]] = field(default_factory=dict)
    ordered_off: Mapping[str, float] = field(default_factory=dict)
    ordered_on: Mapping[str, float] = field(default_factory=dict)

    def asked(self, appliance: str, order: SwitchOrder) -> Switches:
        """One more that waits."""
        return replace(self, waiting={**self.waiting, appliance: (*self.waiting.get(appliance, ()), order)})

    def answered(self, appliance: str, *, is_on: bool) -> tuple[Switches, SwitchOrder | None]:
        """The order that this answers; None: it was given up, or nobody here gave it."""
        orders = self.waiting.get(appliance, ())
        found = next((each for each in orders if each.is_on is is_on), None)
        return (self, None) if found is None else (self._without(appliance, found), found)

    def overdue(self, now: float) -> list[tuple[str, SwitchOrder]]:
        """Those whose answer never came."""
        return [(name, each) for name, orders in self.waiting.items() for each in orders if now >= each.until]

    def given_up(self, appliance: str, order: SwitchOrder) -> Switches:
        """Nobody waits for its answer any more."""
        return self._without(appliance, order)

    def is_waiting(self, appliance: str) -> bool:
        """Whether an order to it is under way."""
        return appliance in self.waiting

    def deadline(self) -> float | None:
        """When an answer is late."""
        return min((each.until for orders in self.waiting.values() for each in orders), default=None)

    def taken(self, appliance: str, now: float, *, is_on: bool) -> Switches:
        """Its switch took what somebody ordered."""
        if is_on:
            return replace(self.let_go(appliance), ordered_on={**self.ordered_on, appliance: now})
        return replace(self, ordered_off={**self.ordered_off, appliance: now})

    def let_go(self, appliance: str) -> Switches:
        """It is on again."""
        if appliance not in self.ordered_off:
            return self
        return replace(self, ordered_off={key: at for key, at in self.ordered_off.items() if key != appliance})

    def put_off(self, seconds: float) -> Switches:
        """Station time jumped ahead, plugs did not."""
        later = {
            name: tuple(replace(each, until=each.until + seconds) for each in orders)
            for name, orders in self.waiting.items()
        }
        return replace(self, waiting=later)

    def _without(self, appliance: str, order: SwitchOrder) -> Switches:
        orders = list(self.waiting[appliance])
        orders.remove(order)
        rest = {name: each for name, each in self.waiting.items() if name != appliance}
        return replace(self, waiting={**rest, appliance: tuple(orders)} if orders else rest)


def note(appliance: str, *, is_off: bool) -> Note:
    """What a start finds again: that it was ordered off."""
    return Note(KIND, appliance, {} if is_off else None)


def restored(
    notes: Mapping[str, Mapping[str, Any]], fitted: Collection[str], now: float, known: Switches | None = None
) -> Switches:
    """With what the disk says was ordered off. `fitted`: what can be switched; `known`: of this start, and newer."""
    known = known or Switches()
    found = {name: now for name in notes if name in fitted and name not in known.ordered_on}
    return replace(known, ordered_off={**found, **known.ordered_off})
