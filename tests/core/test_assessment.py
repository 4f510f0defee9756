"""The stars: by which limits, how they are weighed, and what is left out."""

from __future__ import annotations

import pytest

from agent.core.assessment import DEFAULT, Criterion, Scale, assess, is_ordered, stars_of

PERCENT = (99.0, 97.0, 90.0, 75.0)
HOURS = (24.0, 48.0, 96.0, 168.0)


@pytest.mark.parametrize(
    ("value", "stars"), [(100, 5), (99, 5), (98.9, 4), (97, 4), (90, 3), (75, 2), (74.9, 1), (0, 1)]
)
def test_of_percents_the_higher_are_the_better_and_a_limit_counts(value: float, stars: int) -> None:
    assert stars_of(Criterion.AVAILABILITY, value, PERCENT) == stars


@pytest.mark.parametrize(("value", "stars"), [(0, 5), (24, 5), (24.1, 4), (96, 3), (168, 2), (169, 1)])
def test_of_hours_the_lower_are_the_better(value: float, stars: int) -> None:
    assert stars_of(Criterion.REPAIR, value, HOURS) == stars


def test_the_whole_is_the_weighted_mean_with_halves_upwards() -> None:
    scales = {Criterion.AVAILABILITY: Scale(PERCENT, 1.0), Criterion.REPAIR: Scale(HOURS, 1.0)}
    assert assess({Criterion.AVAILABILITY: 99.5, Criterion.REPAIR: 30.0}, scales).stars == 5  # 4.5
    heavier = {**scales, Criterion.REPAIR: Scale(HOURS, 3.0)}
    assert assess({Criterion.AVAILABILITY: 99.5, Criterion.REPAIR: 30.0}, heavier).stars == 4  # 4.25


def test_what_cannot_be_judged_or_has_no_weight_is_left_out() -> None:
    scales = {Criterion.AVAILABILITY: Scale(PERCENT, 1.0), Criterion.REPAIR: Scale(HOURS, 0.0)}
    found = assess({Criterion.AVAILABILITY: None, Criterion.REPAIR: 1.0}, scales)
    assert found.stars is None
    assert [part["stars"] for part in found.parts] == [None, None]
    assert assess({Criterion.AVAILABILITY: 98.0, Criterion.REPAIR: 1000.0}, scales).stars == 4


def test_the_limits_of_the_defaults_are_in_order() -> None:
    assert all(is_ordered(criterion, scale.limits) for criterion, scale in DEFAULT.items())
    assert not is_ordered(Criterion.AVAILABILITY, HOURS)
    assert not is_ordered(Criterion.REPAIR, PERCENT)
