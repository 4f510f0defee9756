"""Energy by a meter's counter, and by its power where it has none."""

from __future__ import annotations

import pytest

from agent.core.energy import Energy, count, integrate


def counted(*said: tuple[float, float], wrap_kwh: float | None = None) -> float:
    state = Energy()
    for at, kwh in said:
        state = count(state, kwh, at, wrap_kwh)
    return state.total_kwh


def test_a_counter_is_counted_from_where_it_stood() -> None:
    assert counted((0, 512.3), (3600, 512.9), (7200, 513.3)) == pytest.approx(1.0)


def test_a_counter_that_was_reset_goes_on_and_the_total_never_falls() -> None:
    assert counted((0, 512.0), (3600, 513.0), (7200, 0.25)) == pytest.approx(1.25)


def test_a_counter_that_wraps_loses_nothing() -> None:
    assert counted((0, 9999.5), (3600, 0.5), wrap_kwh=10_000.0) == pytest.approx(1.0)


def test_a_wrong_value_that_no_appliance_could_have_used_adds_nothing() -> None:
    assert counted((0, 10.0), (10, 700.0), (20, 10.1), (3620, 10.6)) == pytest.approx(0.5)


@pytest.mark.parametrize("kwh", [float("nan"), float("inf"), -1.0])
def test_what_is_not_a_count_is_no_reading(kwh: float) -> None:
    state = count(Energy(), 5.0, 0.0)
    assert count(state, kwh, 10.0) is state


def test_without_a_counter_the_power_is_summed_and_with_one_it_is_not() -> None:
    assert integrate(Energy(), 1000.0, 1800.0).total_kwh == pytest.approx(0.5)
    state = count(Energy(), 5.0, 0.0)
    assert integrate(state, 1000.0, 1800.0) is state
