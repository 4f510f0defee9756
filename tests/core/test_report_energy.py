"""Energy of a month: counters that begin anew, meters that are changed, and power where there is no counter."""

from __future__ import annotations

import random

import pytest

from agent.core.report_energy import EnergyMeters

HOUR = 494_000


def counter(hour: int, lowest: float, highest: float) -> dict[str, object]:
    return {
        "sensor": "fridge", "quantity": "energy_kwh", "hour": HOUR + hour, "minutes": 60, "minimum": lowest,
        "maximum": highest, "total": 0.0,
    }  # fmt: skip


def energy(*rows: dict[str, object]) -> tuple[float, int]:
    meters = EnergyMeters()
    for each in rows:
        meters.take(each)
    (found,) = meters.rows()
    assert found["by"] == "counter"
    return found["energy_kwh"], found["resets"]


def test_a_counter_counts_what_it_rose_also_over_a_gap() -> None:
    assert energy(counter(0, 100.0, 100.2), counter(1, 100.2, 100.5), counter(9, 103.0, 103.1)) == (3.1, 0)


def test_a_counter_that_begins_anew_between_two_hours_goes_on_from_there() -> None:
    assert energy(counter(0, 100.0, 100.3), counter(1, 0.0, 0.4)) == (0.7, 1)


def test_a_counter_that_begins_anew_within_an_hour_loses_nothing() -> None:
    assert energy(counter(0, 100.0, 100.1), counter(1, 0.0, 100.3), counter(2, 0.2, 0.5)) == (0.8, 1)


def test_another_meter_with_a_greater_counter_is_no_energy() -> None:
    assert energy(counter(0, 100.0, 100.2), counter(1, 5000.0, 5000.3)) == (0.5, 1)


def test_without_a_counter_the_power_counts_for_the_minutes_that_were_measured() -> None:
    meters = EnergyMeters()
    for hour, minutes in ((0, 60), (1, 30)):
        meters.take(
            {"sensor": "lamp", "quantity": "power_w", "hour": HOUR + hour, "minutes": minutes, "total": 120.0 * minutes}
        )
    assert meters.rows() == [{"sensor": "lamp", "energy_kwh": 0.18, "by": "power", "minutes": 90, "resets": 0}]


@pytest.mark.parametrize("seed", range(20))
def test_any_resets_between_hours_leave_the_sum_as_it_was(seed: int) -> None:
    dice = random.Random(seed)
    at, truth, rows, resets = dice.uniform(0, 1000), 0.0, [], 0
    for hour in range(200):
        if hour and dice.random() < 0.05 and at > 3:
            at, resets = 0.0, resets + 1
        rose = dice.uniform(0, 2.5)
        rows.append(counter(hour, at, at + rose))
        at, truth = at + rose, truth + rose
    counted, found_resets = energy(*rows)
    assert counted == pytest.approx(truth, abs=0.001)
    assert found_resets == resets
