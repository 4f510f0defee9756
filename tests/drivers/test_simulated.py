from __future__ import annotations

import pytest

from drivers.bus import PolledDevice
from drivers.errors import DeviceError
from drivers.simulated.beam import SimulatedBeams
from drivers.simulated.contact import SimulatedDoorContact
from drivers.simulated.door import SimulatedDoor
from drivers.simulated.iio import SimulatedIioSensor
from drivers.simulated.indicator import SimulatedIndicator
from drivers.simulated.lock import SimulatedLockRelay
from drivers.simulated.meter import SimulatedMeter
from drivers.simulated.signal import SimulatedSignal


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("is_fail_safe", "opens_with_current"), [(False, True), (True, False)])
@pytest.mark.parametrize("has_current", [True, False])
def test_a_door_opens_only_while_its_lock_is_released(
    is_fail_safe: bool, opens_with_current: bool, has_current: bool
) -> None:
    moves: list[bool | None] = []
    lock = SimulatedLockRelay()
    contact = SimulatedDoorContact(lambda _at, is_open: moves.append(is_open))
    door = SimulatedDoor(lock, contact, is_fail_safe=is_fail_safe)
    if has_current:
        lock.energise()
    opens = has_current is opens_with_current
    assert door.push() is opens
    assert moves == ([True] if opens else [])


def test_a_door_that_stands_open_stays_so_when_it_is_locked_and_falls_shut_when_let_go() -> None:
    moves: list[bool | None] = []
    lock = SimulatedLockRelay()
    door = SimulatedDoor(lock, SimulatedDoorContact(lambda _at, is_open: moves.append(is_open)))
    lock.energise()
    assert door.push()
    lock.deenergise()
    assert door.push()
    door.let_go()
    assert door.push() is False
    assert moves == [True, False]


def test_a_lock_that_was_closed_leaves_a_fail_safe_door_open_and_a_fail_secure_one_shut() -> None:
    for is_fail_safe in (True, False):
        lock = SimulatedLockRelay()
        door = SimulatedDoor(lock, SimulatedDoorContact(lambda _at, _is_open: None), is_fail_safe=is_fail_safe)
        lock.energise()
        lock.close()
        assert door.is_released is is_fail_safe


def test_a_forced_door_opens_though_it_is_locked() -> None:
    moves: list[bool | None] = []
    door = SimulatedDoor(SimulatedLockRelay(), SimulatedDoorContact(lambda _at, is_open: moves.append(is_open)))
    door.force()
    assert moves == [True]


def test_a_contact_that_fails_reports_neither_and_works_again_with_the_next_move() -> None:
    moves: list[tuple[float, bool | None]] = []
    contact = SimulatedDoorContact(lambda at, is_open: moves.append((at, is_open)), clock=Hand())
    contact.fail()
    contact.fail()
    assert contact.is_open is None
    contact.shut_door()
    assert contact.is_open is False
    assert moves == [(100.0, None), (100.0, False)]


def test_an_indicator_remembers_what_it_showed_and_not_without_end() -> None:
    clock = Hand()
    indicator = SimulatedIndicator(clock=clock)
    indicator.show("granted")
    clock.now = 101.0
    indicator.show("ready")
    assert list(indicator.shown) == [(100.0, "granted"), (101.0, "ready")]
    for _ in range(2000):
        indicator.show("off")
    assert len(indicator.shown) == 1000


def test_a_meter_adds_up_the_energy_of_each_power_it_was_set_to() -> None:
    clock = Hand()
    meter = SimulatedMeter(clock=clock)
    device: PolledDevice = meter
    assert device.read() == {
        "power_w": 0.0,
        "voltage_v": 220.0,
        "current_a": 0.0,
        "energy_kwh": 0.0,
        "frequency_hz": 50.0,
        "power_factor": 1.0,
    }
    meter.set_power(1200.0)
    clock.now += 1800.0
    assert device.read()["energy_kwh"] == pytest.approx(0.6)
    meter.set_power(0.0)
    clock.now += 3600.0
    assert device.read()["power_w"] == 0.0
    assert device.read()["energy_kwh"] == pytest.approx(0.6)


def test_a_meter_draws_the_current_that_its_power_factor_makes() -> None:
    meter = SimulatedMeter(power_w=110.0, power_factor=0.5)
    assert meter.read()["current_a"] == pytest.approx(1.0)
    meter.set_power(220.0)
    assert meter.read()["current_a"] == pytest.approx(2.0)
    assert meter.read()["power_factor"] == 0.5
    meter.set_power(220.0, power_factor=1.0)
    assert meter.read()["current_a"] == pytest.approx(1.0)
    with pytest.raises(ValueError, match="no appliance has the power factor 0"):
        meter.set_power(1.0, power_factor=0.0)


def test_a_meter_that_fails_answers_nothing_and_counts_on() -> None:
    clock = Hand()
    meter = SimulatedMeter(power_w=1000.0, clock=clock)
    meter.fail("no answer: check its power")
    clock.now += 3600.0
    with pytest.raises(DeviceError, match="no answer: check its power"):
        meter.read()
    meter.recover()
    assert meter.read()["energy_kwh"] == pytest.approx(1.0)


def test_a_signal_that_fails_cannot_be_read_until_it_says_something_again() -> None:
    said: list[bool | None] = []
    failures: list[str] = []
    signal = SimulatedSignal(
        lambda _at, is_active: said.append(is_active), on_failed=lambda _at, reason: failures.append(reason)
    )
    signal.begin()
    signal.begin()
    signal.fail()
    signal.fail()
    assert signal.is_active is None
    assert failures == ["the simulated signal cannot be read: let it begin or end"]
    signal.end()
    assert said == [True, None, False]


def test_a_simulated_sensor_measures_what_it_is_told_and_nothing_that_it_does_not_measure() -> None:
    sensor = SimulatedIioSensor()
    device: PolledDevice = sensor
    sensor.set("co2_ppm", 1400.0)
    assert device.read() == {
        "temperature_c": 21.0,
        "humidity_percent": 45.0,
        "pressure_hpa": 1013.25,
        "co2_ppm": 1400.0,
    }
    with pytest.raises(KeyError, match="does not measure voltage_v: use one of temperature_c"):
        sensor.set("voltage_v", 1.0)
    assert SimulatedIioSensor({"channel_0_v": 1.5}).read() == {"channel_0_v": 1.5}


def test_nobody_is_counted_while_a_simulated_beam_is_blocked_or_who_turns_back() -> None:
    said: list[object] = []
    beams = SimulatedBeams(
        lambda _at, is_entering: said.append(is_entering),
        on_failed=lambda _at, reason: said.append(reason),
        on_recovered=lambda _at: said.append("recovered"),
    )
    beams.enter()
    beams.turn_back()
    beams.block("a chair stands in it: take it away")
    beams.block()
    beams.leave()
    beams.unblock()
    beams.unblock()
    beams.leave()
    assert said == [True, "a chair stands in it: take it away", "recovered", False]
