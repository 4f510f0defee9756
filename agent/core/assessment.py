"""How the station does in its own eyes: one to five stars by a table of limits, each with its reason.

Whoever visits unannounced scores the same things. What there is nothing to judge by is left out, and said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import floor
from typing import Any


class Criterion(StrEnum):
    """What is judged. Percents are the better the higher, hours the lower."""

    AVAILABILITY = "availability_percent"
    REPAIR = "repair_h"
    SUPPLIES = "supplies_percent"
    ROUNDS = "rounds_percent"
    ALARMS = "alarms_h"


LOWER_IS_BETTER = frozenset({Criterion.REPAIR, Criterion.ALARMS})

Limits = tuple[float, float, float, float]
"""Where five, four, three and two stars end; what is beyond all of them has one."""


@dataclass(frozen=True, slots=True)
class Scale:
    """`weight` 0: not judged."""

    limits: Limits
    weight: float = 1.0


DEFAULT: Mapping[Criterion, Scale] = {
    Criterion.AVAILABILITY: Scale((99.0, 97.0, 90.0, 75.0), 3.0),
    Criterion.REPAIR: Scale((24.0, 48.0, 96.0, 168.0), 2.0),
    Criterion.SUPPLIES: Scale((98.0, 95.0, 90.0, 75.0), 2.0),
    Criterion.ROUNDS: Scale((98.0, 95.0, 90.0, 75.0), 2.0),
    Criterion.ALARMS: Scale((0.5, 2.0, 8.0, 24.0), 1.0),
}


@dataclass(frozen=True, slots=True)
class Assessment:
    """`stars`: one to five, None when nothing could be judged. `parts`: a line for each criterion."""

    stars: int | None
    parts: tuple[Mapping[str, Any], ...] = field(default=())


def assess(measured: Mapping[Criterion, float | None], scales: Mapping[Criterion, Scale]) -> Assessment:
    """Judge each criterion, and the whole by their weighted mean, halves upwards. None: nothing to judge by."""
    parts: list[Mapping[str, Any]] = []
    total = weights = 0.0
    for criterion, scale in scales.items():
        value = measured.get(criterion)
        stars = None if value is None or not scale.weight else stars_of(criterion, value, scale.limits)
        if stars is not None:
            total += scale.weight * stars
            weights += scale.weight
        parts.append({
            "criterion": criterion.value,
            "value": value,
            "stars": stars,
            "weight": scale.weight,
            "limits": list(scale.limits),
        })  # fmt: skip
    return Assessment(floor(total / weights + 0.5) if weights else None, tuple(parts))


def stars_of(criterion: Criterion, value: float, limits: Limits) -> int:
    """One to five; a limit itself still counts."""
    reached = (value <= each if criterion in LOWER_IS_BETTER else value >= each for each in limits)
    return next((5 - missed for missed, is_reached in enumerate(reached) if is_reached), 1)


def is_ordered(criterion: Criterion, limits: Limits) -> bool:
    """Whether each limit is easier to reach than the one before."""
    ordered = sorted(limits, reverse=criterion not in LOWER_IS_BETTER)
    return list(limits) == ordered
