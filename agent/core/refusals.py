"""Refused requests in the log: the first at once, those that follow as one number a minute.

Whoever may look may be refused thousands of times a second, and an entry of the log stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from agent.events import Actor

LOGGED_EVERY_S = 60.0
MAX_KEPT = 256  # a dozen accounts that each try everything


@dataclass(frozen=True, slots=True)
class Refused:
    """One account's attempts at one action. `more`: those since the entry of `logged_at`."""

    role: str
    logged_at: float
    more: int = 0


Refusals = Mapping[tuple[str, str], Refused]
"""By account and action, the one logged longest ago first."""


def note(refusals: Refusals, actor: Actor, action: str, now: float) -> tuple[Refusals, Mapping[str, Any] | None]:
    """Count one; returns the body to log, or None for one that is only counted."""
    key = (actor.name, action)
    known = refusals.get(key)
    if known is not None:
        return {**refusals, key: replace(known, role=actor.role, more=known.more + 1)}, None
    kept = list(refusals.items())[-(MAX_KEPT - 1) :]
    return dict([*kept, (key, Refused(actor.role, now))]), _body(key, actor.role)


def tell_due(refusals: Refusals, now: float) -> tuple[Refusals, tuple[Mapping[str, Any], ...]]:
    """Forget who has stopped; returns the bodies to log of who has not."""
    due = {key: each for key, each in refusals.items() if now >= each.logged_at + LOGGED_EVERY_S}
    if not due:
        return refusals, ()
    going_on = {key: Refused(each.role, now) for key, each in due.items() if each.more}
    kept = {key: each for key, each in refusals.items() if key not in due}
    bodies = tuple({**_body(key, each.role), "more": each.more} for key, each in due.items() if each.more)
    return {**kept, **going_on}, bodies


def deadline(refusals: Refusals) -> float | None:
    """When `tell_due` has something to do."""
    return min((each.logged_at + LOGGED_EVERY_S for each in refusals.values()), default=None)


def _body(key: tuple[str, str], role: str) -> dict[str, Any]:
    return {"action": key[1], "actor": key[0], "role": role}
