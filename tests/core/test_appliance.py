"""What an appliance is doing, from its power."""

from __future__ import annotations

import json

import pytest

from agent.core.appliance import (
    Appliance,
    Profile,
    Reading,
    Running,
    Usable,
    age,
    joined,
    read,
    restored,
    saved,
    see,
    usable,
)
from agent.core.appliance_kinds import KINDS

MICROWAVE = Profile(running_above_w=100.0, standby_above_w=1.0, stale_after_s=30.0)


def after(*powers_w: float) -> Appliance:
    state = Appliance()
    for at, power_w in enumerate(powers_w):
        state = read(state, MICROWAVE, power_w, float(at))
    return state


def test_nothing_is_known_before_the_first_reading() -> None:
    assert Appliance().running is Running.UNKNOWN
    assert Appliance().deadline(MICROWAVE) is None


@pytest.mark.parametrize(
    ("power_w", "running"),
    [
        (0.0, Running.OFF),
        (1.0, Running.OFF),
        (1.1, Running.STANDBY),
        (100.0, Running.STANDBY),
        (100.1, Running.RUNNING),
    ],
)
def test_the_power_says_what_it_does(power_w: float, running: Running) -> None:
    assert after(power_w).running is running


def test_noise_at_the_edge_does_not_flap() -> None:
    assert after(101.0, 95.0).running is Running.RUNNING
    assert after(101.0, 89.0).running is Running.STANDBY
    assert after(95.0).running is Running.STANDBY
    assert after(1.1, 0.95).running is Running.STANDBY
    assert after(1.1, 0.85).running is Running.OFF


def test_the_change_is_dated_and_a_steady_reading_is_not_a_change() -> None:
    state = after(500.0, 510.0, 520.0)
    assert (state.changed_at, state.read_at, state.power_w) == (0.0, 2.0, 520.0)


@pytest.mark.parametrize("power_w", [float("nan"), float("inf"), -1.0])
def test_what_is_not_a_power_is_no_reading(power_w: float) -> None:
    before = after(500.0)
    assert read(before, MICROWAVE, power_w, 9.0) is before


def test_an_old_reading_makes_the_state_unknown_and_a_new_one_known_again() -> None:
    state = after(500.0)
    assert state.deadline(MICROWAVE) == 30.0
    assert age(state, MICROWAVE, 29.9) is state
    old = age(state, MICROWAVE, 30.0)
    assert (old.running, old.power_w, old.changed_at) == (Running.UNKNOWN, None, 30.0)
    assert old.deadline(MICROWAVE) is None
    assert age(old, MICROWAVE, 99.0) is old
    assert read(old, MICROWAVE, 0.0, 40.0).running is Running.OFF


# --- two readings that agree, silences, and what is kept -------------------------------------------------------------

OVEN = Profile(
    running_above_w=30.0, standby_above_w=0.5, stale_after_s=30.0, kind="microwave", limits=KINDS["microwave"]
)


Said = tuple[float, float, float | None]


def oven(*said: Said, state: Appliance | None = None) -> Appliance:
    """Readings as (at, W, kWh)."""
    state = state or Appliance()
    for at, power_w, kwh in said:
        state = see(state, OVEN, Reading(power_w, kwh), at)
    return state


def every_2_s(
    begin: float, end: float, power_w: float, kwh: float | None = None
) -> list[tuple[float, float, float | None]]:
    return [(begin + 2 * n, power_w, kwh) for n in range(int((end - begin) / 2))]


def test_one_bad_reading_is_no_cycle_and_ends_none() -> None:
    state = oven(*every_2_s(0, 20, 2.0), (20, 1200.0, None), *every_2_s(22, 40, 2.0))
    assert (state.cycles.count, state.running) == (0, Running.STANDBY)
    state = oven(*every_2_s(40, 60, 1200.0), (60, 0.0, None), *every_2_s(62, 80, 1200.0), state=state)
    assert (state.cycles.count, state.running) == (1, Running.RUNNING)


def test_a_change_is_dated_from_the_first_reading_that_showed_it() -> None:
    state = oven(*every_2_s(0, 20, 2.0), *every_2_s(20, 80, 1200.0), *every_2_s(80, 100, 2.0))
    assert state.cycles.in_use_s == pytest.approx(60.0)
    assert state.changed_at == 80.0


def test_a_silence_is_bridged_when_the_counter_shows_that_it_ran_on() -> None:
    ran = oven(*every_2_s(0, 20, 2.0, 1.0), *every_2_s(20, 80, 1200.0, 1.02))
    again = oven(*every_2_s(200, 220, 1200.0, 1.02 + 0.041), state=ran)  # 122 s of 1,200 W
    assert again.cycles.count == 1
    stopped = oven(*every_2_s(200, 220, 1200.0, 1.02 + 0.010), state=ran)  # 30 s of it: another has begun since
    assert stopped.cycles.count == 2


def test_a_cycle_that_nobody_watched_is_counted_by_the_counter() -> None:
    idle = oven(*every_2_s(0, 20, 2.0, 1.0))
    assert oven(*every_2_s(200, 220, 2.0, 1.03), state=idle).cycles.count == 1
    assert oven(*every_2_s(200, 220, 2.0, 1.001), state=idle).cycles.count == 0


def test_without_a_counter_only_a_short_silence_is_bridged() -> None:
    ran = oven(*every_2_s(0, 80, 1200.0))
    late = age(ran, OVEN, 120.0)
    assert late.running is Running.UNKNOWN
    assert oven(*every_2_s(120, 130, 1200.0), state=ran).cycles.count == 2


def test_what_draws_nothing_at_rest_is_usable_only_with_proof() -> None:
    dark = oven(*every_2_s(0, 20, 0.0))
    assert usable(dark, 20.0) is Usable.UNKNOWN
    shown = see(dark, OVEN, Reading(0.0, voltage_v=229.0), 22.0)
    assert usable(shown, 22.0) is Usable.YES
    ran = oven(*every_2_s(20, 80, 1200.0), *every_2_s(80, 100, 0.0), state=dark)
    assert usable(ran, 100.0) is Usable.YES
    assert usable(ran, 100.0 + 90_000) is Usable.UNKNOWN
    assert usable(age(ran, OVEN, 200.0), 200.0) is Usable.UNKNOWN


def test_what_was_learned_outlives_a_restart_and_is_small() -> None:
    state = oven(*every_2_s(0, 20, 2.0, 1.0), *every_2_s(20, 80, 1200.0, 1.02), *every_2_s(80, 120, 2.0, 1.02))
    text = json.dumps(saved(state))
    assert len(text) < 1_500
    again = restored(json.loads(text))
    assert saved(again) == saved(state)
    assert again.running is Running.UNKNOWN
    assert joined(state, again).cycles.count == 2
    with pytest.raises((KeyError, ValueError, TypeError)):
        restored({**saved(state), "seconds": [1.0]})
