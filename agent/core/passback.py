"""Anti-passback and capacity: who may come in goes also by who is inside.

A member who is inside cannot come in: their card was handed out to somebody, or they left unseen. Soft lets them in and
says so in the log, hard refuses. Only what is certain counts: while somebody has left without saying who, anybody may
have been the one, and nobody is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from agent.core.access import Reason
from agent.core.occupancy import Occupancy


class Passback(StrEnum):
    """What becomes of a member who is inside already."""

    OFF = "off"
    SOFT = "soft"
    HARD = "hard"


@dataclass(frozen=True, slots=True)
class VisitRules:
    """`limit_s`: how long a visit lasts at most. `capacity`: how many may be inside, None: as many as come."""

    limit_s: float = 43_200.0
    capacity: int | None = None
    passback: Passback = Passback.OFF


def is_inside(occupancy: Occupancy, member_id: str) -> bool:
    """Whether this member is inside for certain."""
    return occupancy.unnamed_exits == 0 and any(each.member_id == member_id for each in occupancy.visits)


def refusal_of(occupancy: Occupancy, member_id: str, rules: VisitRules) -> Reason | None:
    """Why this member cannot come in just now; None: they can."""
    if rules.passback is Passback.HARD and is_inside(occupancy, member_id):
        return Reason.ALREADY_INSIDE
    has_visit = any(each.member_id == member_id for each in occupancy.visits)  # coming again makes nobody more
    return Reason.FULL if is_full(occupancy, rules) and not has_visit else None


def is_full(occupancy: Occupancy, rules: VisitRules) -> bool:
    """Whether as many are inside as may be."""
    return rules.capacity is not None and occupancy.count >= rules.capacity
