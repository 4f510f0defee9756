"""Modelled days with known truth: state, cycles, faults and occupancy."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.core import modelled_days
from tests.core.day_play import APPLIANCES, PEOPLE, ApplianceDay, play_appliance, play_people, starts
from tests.core.modelled_days import DAY_S, Fridge, Readings

BROKEN_AT = DAY_S + 40_000.0  # in the second day's noon, after a day to learn from
SLOW_S = 10.0  # a meter read this seldom will do to find a fault


@pytest.mark.parametrize("kind", APPLIANCES)
def test_a_healthy_day_is_seen_as_it_was(kind: str) -> None:
    right = minutes = 0
    for seed in (101, 102):
        made = APPLIANCES[kind](seed)
        day = play_appliance(kind, made)
        assert day.state.cycles.count == starts(made)
        assert day.found == []
        right, minutes = right + day.right, minutes + day.minutes
    assert right / minutes >= 0.99


@pytest.mark.parametrize("name", PEOPLE)
def test_who_is_inside_is_seen_as_it_was(name: str) -> None:
    days = [play_people(PEOPLE[name](seed)) for seed in range(200, 206)]
    # A hundred visits with one motion sensor alone: each way out takes a minute of silence to be believed.
    bar = 0.95 if name == "100 visits, radar hangs" else 0.97
    assert sum(day.right for day in days) / sum(day.minutes for day in days) >= bar
    if "radar hangs" in name:
        assert {each for day in days for each in day.stuck} == {"radar"}
    elif "covered" in name:
        assert {each for day in days for each in day.stuck} == {"motion"}
    else:
        assert not any(day.stuck for day in days)


def test_a_radar_that_hangs_is_left_out_within_two_hours() -> None:
    for seed in range(300, 304):
        day = play_people(modelled_days.people(seed, per_day=8, stuck_from=50_000.0))
        assert day.stuck["radar"] - 50_000.0 <= 7_200


def _second_use_after(made: Readings, at: float) -> float:
    return [end for begin, end in made.runs if begin >= at][1]


def _fifth_start_after(made: Readings, at: float) -> float:
    return [begin for begin, _ in made.runs if begin >= at][4]


Made = Readings | Fridge
FAULTS: dict[str, tuple[str, str, float, Callable[[], Made], Callable[[Made], float]]] = {
    # what: kind, code, days, the readings, by when it must be found
    "a microwave whose magnetron is dead, at the second use": (
        "microwave",
        "appliance.weak",
        2.0,
        lambda: modelled_days.microwave(7, 2.0, dead_from=BROKEN_AT, every_s=SLOW_S),
        lambda made: _second_use_after(_meter(made), BROKEN_AT) + 60,
    ),
    "a microwave that does not stop, after half an hour": (
        "microwave",
        "appliance.never_stops",
        1.6,
        lambda: modelled_days.microwave(7, 1.6, on_from=BROKEN_AT, every_s=SLOW_S),
        lambda _: BROKEN_AT + 1_800 + 60,
    ),
    "a kettle that does not stop, after a quarter of an hour": (
        "kettle",
        "appliance.never_stops",
        1.6,
        lambda: modelled_days.kettle(7, 1.6, on_from=BROKEN_AT, every_s=SLOW_S),
        lambda _: BROKEN_AT + 900 + 60,
    ),
    "a dispenser with one of two elements burnt, at the second heating": (
        "water_dispenser",
        "appliance.weak",
        1.7,
        lambda: modelled_days.water_dispenser(7, 1.7, half_from=BROKEN_AT, every_s=SLOW_S),
        lambda made: _second_use_after(_meter(made), BROKEN_AT) + 60,
    ),
    "a dispenser that heats no more, within three hours": (
        "water_dispenser",
        "appliance.never_starts",
        1.9,
        lambda: modelled_days.water_dispenser(7, 1.9, cold_from=BROKEN_AT, every_s=SLOW_S),
        lambda _: BROKEN_AT + 3 * 3_600,
    ),
    "a dispenser that heats for ever, after an hour and a half": (
        "water_dispenser",
        "appliance.never_stops",
        1.6,
        lambda: modelled_days.water_dispenser(7, 1.6, on_from=BROKEN_AT, every_s=SLOW_S),
        lambda _: BROKEN_AT + 5_400 + 60,
    ),
    "a fridge without power, within four hours": (
        "refrigerator",
        "appliance.no_power",
        1.9,
        lambda: modelled_days.fridge(7, 1.9, tripped_from=BROKEN_AT, every_s=SLOW_S),
        lambda _: BROKEN_AT + 4 * 3_600 + 60,
    ),
    "a compressor that is cut off again and again, at the fifth start": (
        "refrigerator",
        "appliance.short_cycles",
        1.9,
        lambda: modelled_days.fridge(7, 1.9, short_from=BROKEN_AT, every_s=SLOW_S),
        lambda made: _fifth_start_after(_meter(made), BROKEN_AT) + 300,
    ),
    "a fridge that is too warm, after four hours": (
        "refrigerator",
        "fridge.warm",
        1.9,
        lambda: modelled_days.fridge(7, 1.9, ajar_from=BROKEN_AT, every_s=SLOW_S),
        lambda made: _warm_from(made) + 4 * 3_600 + 120,
    ),
}


def _meter(made: Made) -> Readings:
    return made.readings if isinstance(made, Fridge) else made


def _warm_from(made: Made) -> float:
    assert isinstance(made, Fridge)
    assert made.too_warm_from is not None
    return made.too_warm_from


@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_is_found_in_its_time_and_not_before(what: str) -> None:
    kind, code, _days, make, must_be_found_by = FAULTS[what]
    made = make()
    day = play_appliance(kind, made)
    begun = day.begun(code)
    assert begun, day.found
    assert BROKEN_AT < begun[0] <= must_be_found_by(made)
    assert not [at for at, _ in day.found if at < BROKEN_AT]


def test_an_oven_with_a_clock_that_draws_nothing_is_unplugged() -> None:
    """That it always draws something takes two days to learn; then ten minutes show that it does not."""
    at = 2 * DAY_S + 40_000.0
    day = play_appliance("microwave", modelled_days.microwave(7, 2.7, tripped_from=at, every_s=SLOW_S))
    (begun,) = day.begun("appliance.no_power")
    assert 600 <= begun - at <= 660


@pytest.mark.parametrize(
    ("kind", "make", "standby_w", "running_w"),
    [
        ("water_dispenser", modelled_days.water_dispenser, (0.8, 4.0), (400.0, 800.0)),
        ("refrigerator", lambda seed, days, every_s: modelled_days.fridge(seed, days, every_s=every_s).readings,
         (0.0, 5.0), (60.0, 150.0)),
    ],
)  # fmt: skip
def test_the_levels_are_learned_from_its_own_readings(
    kind: str,
    make: Callable[..., Readings],
    standby_w: tuple[float, float],
    running_w: tuple[float, float],
) -> None:
    made = make(5, 2.6, every_s=SLOW_S)
    day: ApplianceDay = play_appliance(kind, made, is_learning=True)
    levels = day.state.levels
    assert levels is not None
    assert standby_w[0] <= levels.standby_w <= standby_w[1]
    assert levels.standby_w < levels.split_w < running_w[0]
    assert running_w[0] <= levels.running_w <= running_w[1]
    assert day.state.cycles.count == len(made.runs)
