"""Faults of appliances: raised by evidence, ended by evidence, and by nothing else."""

from __future__ import annotations

import pytest

from agent.core.appliance import Appliance, Profile, Reading, Running, Usable, feel, put_off, relearn, see, usable
from agent.core.appliance_cycles import Cycles
from agent.core.appliance_faults import CHECKS, Finding, deadline, is_mains_present, is_over, tend
from agent.core.appliance_kinds import KINDS
from agent.core.problems import CATALOGUE

HOUR_S = 3600.0


def profile(kind: str) -> Profile:
    return Profile(30.0, 0.5, 30.0, kind, KINDS[kind])


def live(
    state: Appliance, kind: str, begin: float, seconds: float, power_w: float, *, has_mains: bool = True
) -> tuple[Appliance, list[Finding]]:
    """Read so much every five seconds."""
    found: list[Finding] = []
    for n in range(int(seconds / 5)):
        at = begin + 5 * n
        state = see(state, profile(kind), Reading(power_w), at)
        state, more = tend(state, profile(kind), at, has_mains=has_mains)
        found += more
    return state, found


def test_every_check_has_its_words() -> None:
    assert set(CHECKS) <= set(CATALOGUE)


def test_a_fridge_that_draws_nothing_is_found_and_cleared_when_it_draws() -> None:
    state, found = live(Appliance(), "refrigerator", 0, 4 * HOUR_S + 20, 0.0)
    assert [(each.code, each.is_wrong) for each in found] == [("appliance.no_power", True)]
    assert (state.state, usable(state, 4 * HOUR_S)) == (Running.FAULT, Usable.NO)
    state, found = live(state, "refrigerator", 4 * HOUR_S + 20, 30, 90.0)
    assert found == [Finding("appliance.no_power", False)]
    assert state.state is Running.RUNNING


def test_nothing_is_to_blame_while_the_mains_is_lost() -> None:
    _, found = live(Appliance(), "refrigerator", 0, 5 * HOUR_S, 0.0, has_mains=False)
    assert found == []


def test_a_silence_neither_raises_a_fault_nor_ends_one() -> None:
    state, _ = live(Appliance(), "kettle", 0, 16 * 60, 1800.0)
    assert state.faults == {"appliance.never_stops"}
    state, found = tend(state, profile("kettle"), 5000.0)
    assert found == ()
    assert (state.running, state.state) == (Running.UNKNOWN, Running.FAULT)
    silent, found = tend(Appliance(), profile("refrigerator"), 10 * HOUR_S)
    assert (found, silent.faults) == ((), frozenset())


def test_a_run_that_does_not_stop_is_found_without_a_reading_at_its_end() -> None:
    state, _ = live(Appliance(), "kettle", 0, 890, 1800.0)
    at = deadline(state, profile("kettle"))
    assert at == 900.0
    _, found = tend(state, profile("kettle"), at)
    assert [each.code for each in found] == ["appliance.never_stops"]


def test_a_compressor_that_starts_too_often_is_found_and_clears_when_it_runs_well() -> None:
    state, at, found = Appliance(), 0.0, []
    for _ in range(6):
        for seconds, power_w in ((40, 95.0), (120, 2.0)):
            state, more = live(state, "refrigerator", at, seconds, power_w)
            found += more
            at += seconds
    assert [each.code for each in found] == ["appliance.short_cycles"]
    assert usable(state, at) is Usable.YES  # it still cools
    state, found = live(state, "refrigerator", at, 1800, 95.0)
    assert [(each.code, each.is_wrong) for each in found] == [("appliance.short_cycles", False)]


def learned_oven() -> tuple[Appliance, float]:
    state, at = Appliance(), 0.0
    for _ in range(6):
        for seconds, power_w in ((60, 1200.0), (60, 2.0)):
            state, found = live(state, "microwave", at, seconds, power_w)
            assert not found
            at += seconds
    return state, at


def test_an_oven_that_heats_no_more_is_found_at_its_second_use_and_clears_by_heating() -> None:
    state, at = learned_oven()
    codes = []
    for power_w in (55.0, 2.0, 55.0, 2.0, 1200.0, 2.0):
        state, found = live(state, "microwave", at, 60, power_w)
        codes += [(each.code, each.is_wrong, power_w) for each in found]
        at += 60
    assert codes == [("appliance.weak", True, 2.0), ("appliance.weak", False, 2.0)]


def test_before_it_has_learned_enough_nothing_is_weak() -> None:
    state, found = Appliance(), []
    for n, power_w in enumerate((1200.0, 2.0, 55.0, 2.0, 55.0, 2.0)):
        state, more = live(state, "microwave", 60.0 * n, 60, power_w)
        found += more
    assert found == []


def test_an_oven_that_was_replaced_is_learned_anew() -> None:
    state, at = learned_oven()
    for power_w in (55.0, 2.0, 55.0, 2.0):
        state, _ = live(state, "microwave", at, 60, power_w)
        at += 60
    assert "appliance.weak" in state.faults
    assert relearn(state).faults == frozenset()
    assert relearn(state).cycles.count == state.cycles.count


def test_a_fridge_is_too_warm_after_four_hours_and_cool_a_degree_below() -> None:
    state, food = Appliance(), profile("refrigerator")
    codes = []
    for minute, celsius in [(0, 9.0), (120, 7.6), (239, 9.0), (241, 85.0), (242, 8.4), (250, 7.5), (260, 6.9)]:
        state = feel(state, food, celsius, 60.0 * minute)
        state, found = tend(state, food, 60.0 * minute)
        codes += [(minute, each.code, each.is_wrong) for each in found]
    assert codes == [(242, "fridge.warm", True), (260, "fridge.warm", False)]


def test_a_fridge_whose_door_was_open_for_a_while_is_not_too_warm() -> None:
    state, food = Appliance(), profile("refrigerator")
    for minute in range(0, 600, 5):
        state = feel(state, food, 9.0 if minute % 60 < 30 else 5.0, 60.0 * minute)
        state, found = tend(state, food, 60.0 * minute)
        assert found == ()


def test_a_fault_from_before_the_start_is_over_only_by_evidence() -> None:
    oven = profile("microwave")
    assert not is_over(Appliance(), oven, "appliance.weak", 0.0)
    assert not is_over(Appliance(), oven, "appliance.no_power", 0.0)
    standing = Appliance(running=Running.STANDBY, power_w=2.0, read_at=0.0)
    assert is_over(standing, oven, "appliance.no_power", 0.0)
    assert not is_over(standing, oven, "appliance.weak", 0.0)
    assert is_over(Appliance(cycles=Cycles(is_healthy=True)), oven, "appliance.weak", 0.0)
    assert not is_over(Appliance(), oven, "no.such_code", 0.0)


@pytest.mark.parametrize(
    ("volts", "contact", "is_present"),
    [
        ((229.0, 0.0), None, True),  # one circuit has tripped
        ((0.3, 0.0), None, False),
        ((150.0,), None, None),
        ((None, None), None, None),  # silent meters prove nothing
        ((0.0,), True, True),
        ((229.0,), False, False),
    ],
)
def test_mains(volts: tuple[float | None, ...], contact: bool | None, is_present: bool | None) -> None:
    assert is_mains_present([Appliance(voltage_v=each) for each in volts], contact) is is_present


def test_a_pause_of_the_machine_is_no_silence_of_the_meter() -> None:
    state, _ = live(Appliance(), "microwave", 0, 60, 2.0)
    state, _ = tend(put_off(state, 3600.0), profile("microwave"), 3650.0)
    assert state.running is Running.STANDBY


def test_a_run_is_too_long_at_its_deadline_whatever_its_last_bit() -> None:
    kettle = Profile(20.0, stale_after_s=1e6, limits=KINDS["kettle"])
    for n in range(200):
        began_at = 7500.0 + n / 7  # the sum has a bit less behind its point
        state = Appliance(running=Running.RUNNING, read_at=began_at, cycles=Cycles(began_at=began_at))
        due_at = deadline(state, kettle)
        assert due_at is not None
        assert [each.code for each in tend(state, kettle, due_at)[1]] == ["appliance.never_stops"]
