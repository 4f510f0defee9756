"""What every power meter promises, whatever it is made of."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import pytest

from drivers.bus import READ_LIMIT_S, BusPoller, PolledDevice
from drivers.errors import DeviceError
from drivers.modbus_line import ModbusLine
from drivers.modbus_meter import METER_TYPES, ModbusMeter
from drivers.simulated.meter import SimulatedMeter
from tests.drivers.modbus_bench import BENCH_METERS, MeterServer, Wire
from tests.drivers.waiting import eventually

QUANTITIES = {"power_w", "voltage_v", "current_a", "energy_kwh", "frequency_hz", "power_factor"}


class Rig(ABC):
    """A meter, the appliance behind it, and its wire."""

    def __init__(self) -> None:
        self.on_exit = ExitStack()
        self.now = 0.0

    @abstractmethod
    def meter(self) -> PolledDevice: ...

    @abstractmethod
    def draw(self, power_w: float, power_factor: float) -> None:
        """For an hour."""

    @abstractmethod
    def fall_silent(self) -> None: ...

    @abstractmethod
    def come_back(self) -> None: ...


class SimulatedRig(Rig):
    def meter(self) -> PolledDevice:
        self._meter = SimulatedMeter(clock=lambda: self.now)
        return self._meter

    def draw(self, power_w: float, power_factor: float) -> None:
        self._meter.set_power(power_w, power_factor)
        self.now += 3600.0

    def fall_silent(self) -> None:
        self._meter.fail()

    def come_back(self) -> None:
        self._meter.recover()


class ModbusRig(Rig):
    """The real driver, and pymodbus's server with the meter's registers behind a pseudo-terminal."""

    def __init__(self, kind: str, folder: Path) -> None:
        super().__init__()
        self._kind = kind
        self._bench = BENCH_METERS[kind]()
        self._energy_kwh = 0.0
        self._bench.show(0.0, voltage_v=220.0, power_factor=1.0, energy_kwh=0.0)
        self._wire = self.on_exit.enter_context(closing(Wire(folder / "port", {4})))
        self.on_exit.enter_context(closing(MeterServer(self._wire.far.path, {4: self._bench})))

    def meter(self) -> PolledDevice:
        line = self.on_exit.enter_context(closing(ModbusLine(str(self._wire.port), baud=115_200, answer_s=1.0)))
        return ModbusMeter(line, 4, self._kind)

    def draw(self, power_w: float, power_factor: float) -> None:
        self._energy_kwh += power_w / 1000
        self._bench.show(power_w, voltage_v=220.0, power_factor=power_factor, energy_kwh=self._energy_kwh)

    def fall_silent(self) -> None:
        self._wire.unplug()

    def come_back(self) -> None:
        self._wire.plug_in()


KINDS = ["simulated", *METER_TYPES]


@pytest.fixture(params=KINDS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    make: Callable[[], Rig] = (
        SimulatedRig if request.param == "simulated" else partial(ModbusRig, request.param, tmp_path)
    )
    rig = make()
    with rig.on_exit:
        yield rig


def test_a_meter_gives_every_quantity_and_they_agree(rig: Rig) -> None:
    meter = rig.meter()
    for power_w, power_factor in ((0.0, 1.0), (1100.0, 1.0), (90.0, 0.6), (2200.0, 0.95)):
        rig.draw(power_w, power_factor)
        values = meter.read()
        assert values.keys() >= QUANTITIES
        assert all(math.isfinite(value) for value in values.values())
        assert values["power_w"] == pytest.approx(power_w)
        apparent_va = values["voltage_v"] * values["current_a"]
        assert apparent_va * values["power_factor"] == pytest.approx(power_w, abs=0.5)
        assert 45 < values["frequency_hz"] < 65


def test_energy_only_grows_by_what_was_drawn(rig: Rig) -> None:
    meter = rig.meter()
    counted = [meter.read()["energy_kwh"]]
    for power_w in (1000.0, 0.0, 500.0):
        rig.draw(power_w, 1.0)
        counted.append(meter.read()["energy_kwh"])
    assert counted == pytest.approx([0.0, 1.0, 1.0, 1.5])


def test_a_meter_that_does_not_answer_says_so_in_time_with_a_remedy_and_recovers(rig: Rig) -> None:
    meter = rig.meter()
    rig.draw(1000.0, 1.0)
    meter.read()
    rig.fall_silent()
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(DeviceError, match=r".+: .+") as caught:
            meter.read()
        assert time.monotonic() - began < READ_LIMIT_S
        assert caught.value.can_retry
    rig.come_back()
    assert meter.read()["power_w"] == pytest.approx(1000.0)


def test_a_poller_hears_of_a_meters_failure_and_recovery_once(rig: Rig) -> None:
    said: list[str] = []
    poller = BusPoller(
        "meters",
        {"kettle": rig.meter()},
        interval_s=0.01,
        on_read=lambda _at, name, _values: said.append(f"{name} read") if said[-1:] != [f"{name} read"] else None,
        on_failed=lambda _at, name, _reason: said.append(f"{name} failed"),
        on_recovered=lambda _at, name: said.append(f"{name} recovered"),
        on_died=lambda bus, reason: said.append(f"{bus}: {reason}"),
    )
    poller.start()
    assert eventually(lambda: said == ["kettle read"])
    rig.fall_silent()
    assert eventually(lambda: "kettle failed" in said)
    rig.come_back()
    assert eventually(lambda: said[-2:] == ["kettle recovered", "kettle read"])
    assert poller.stop()
    assert said == ["kettle read", "kettle failed", "kettle recovered", "kettle read"]
