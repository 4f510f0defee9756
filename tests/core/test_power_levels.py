"""Levels that are learned, and what is too little to learn from."""

from __future__ import annotations

import pytest

from agent.core.power_levels import BINS, FORGET_AT_S, MIN_WATCHED_S, PowerHistogram, add, levels


def watched(*spent: tuple[float, float]) -> PowerHistogram:
    state = PowerHistogram()
    for power_w, seconds in spent:
        state = add(state, power_w, seconds)
    return state


def test_standby_and_running_are_found_though_it_seldom_runs() -> None:
    found = levels(watched((2.1, MIN_WATCHED_S), (1180.0, 600.0), (1210.0, 600.0)))
    assert found is not None
    assert found.standby_w == pytest.approx(2.1, rel=0.2)
    assert found.running_w == pytest.approx(1200.0, rel=0.2)
    assert 10 < found.split_w < 200
    assert found.floor_w == pytest.approx(2.1, rel=0.2)


def test_an_appliance_that_draws_nothing_at_rest_has_a_split_as_well() -> None:
    found = levels(watched((0.0, MIN_WATCHED_S), (1800.0, 900.0)))
    assert found is not None
    assert (found.standby_w, found.floor_w) == (0.0, 0.0)
    assert 1 < found.split_w < 1000


@pytest.mark.parametrize(
    "spent",
    [
        ((2.0, MIN_WATCHED_S - 3600), (1200.0, 1800.0)),  # not watched for long enough
        ((2.0, MIN_WATCHED_S), (1200.0, 100.0)),  # it hardly ran
        ((50.0, MIN_WATCHED_S), (90.0, 5000.0)),  # one level that wavers
        ((0.2, MIN_WATCHED_S), (3.0, 5000.0)),  # a meter that wavers at nothing
        ((1200.0, 2 * MIN_WATCHED_S),),  # one level only
        (),
    ],
)
def test_too_little_teaches_nothing(spent: tuple[tuple[float, float], ...]) -> None:
    assert levels(watched(*spent)) is None


def test_it_stays_small_and_what_is_old_counts_less() -> None:
    state = PowerHistogram()
    for _ in range(60):
        state = add(state, 2.0, 86_400.0)
    assert len(state.seconds) == BINS
    assert state.watched_s < FORGET_AT_S
    assert sum(state.seconds) == pytest.approx(state.watched_s)
