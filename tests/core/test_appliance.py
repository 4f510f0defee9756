"""What an appliance is doing, from its power."""

from __future__ import annotations

import pytest

from agent.core.appliance import Appliance, Profile, Running, age, read

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
