"""What every thermometer, radar and counter promises, whatever it is made of."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, TypeVar

import pytest
from gpiozero import Factory
from gpiozero.pins.mock import MockFactory

from drivers.beam import BeamPair, Counter
from drivers.bus import PolledDevice
from drivers.errors import DeviceError
from drivers.iio import IioSensor
from drivers.one_wire import Ds18b20
from drivers.pins import GpiodFactory
from drivers.radar import Ld2410, Presence, Radar
from drivers.simulated.beam import SimulatedBeams
from drivers.simulated.iio import SimulatedIioSensor
from drivers.simulated.one_wire import SimulatedDs18b20
from drivers.simulated.radar import SimulatedRadar
from tests.drivers.doorway import ENTER, LEAVE, TURN_BACK_LATE, Step
from tests.drivers.fake_gpiod import FakeGpiod
from tests.drivers.kernel_tree import BME280, IioTree, OneWireTree, w1_slave
from tests.drivers.ld2410 import Ld2410OnPty, frame
from tests.drivers.waiting import eventually

AHEAD_S = 86_400.0  # a station whose time was skipped by a day
Fixture = TypeVar("Fixture")


def station_time() -> float:
    return time.monotonic() + AHEAD_S


# --- polled sensors --------------------------------------------------------------------------------------------------


class Polled(ABC):
    """A sensor that is asked, what is around it, and its plug."""

    device: PolledDevice

    @abstractmethod
    def warm(self, temperature_c: float) -> None: ...

    @abstractmethod
    def fail(self) -> None: ...


class SimulatedThermometer(Polled):
    def __init__(self, folder: Path) -> None:
        self._twin = SimulatedDs18b20()
        self.device = self._twin

    def warm(self, temperature_c: float) -> None:
        self._twin.recover()
        self._twin.set_temperature(temperature_c)

    def fail(self) -> None:
        self._twin.fail()


class SimulatedClimate(Polled):
    def __init__(self, folder: Path) -> None:
        self._twin = SimulatedIioSensor()
        self.device = self._twin

    def warm(self, temperature_c: float) -> None:
        self._twin.recover()
        self._twin.set("temperature_c", temperature_c)

    def fail(self) -> None:
        self._twin.fail()


class OneWire(Polled):
    address = "28-0316a2794aff"

    def __init__(self, folder: Path) -> None:
        self._tree = OneWireTree(folder / "w1")
        self.device = Ds18b20(self.address, root=self._tree.root)

    def warm(self, temperature_c: float) -> None:
        self._tree.set(self.address, w1_slave(temperature_c))

    def fail(self) -> None:
        self._tree.pull_out(self.address)


class Iio(Polled):
    def __init__(self, folder: Path) -> None:
        self._tree = IioTree(folder)
        self._count = 0
        self.device = IioSensor("bme280", root=self._tree.root)

    def warm(self, temperature_c: float) -> None:
        if not list(self._tree.root.iterdir()):
            self._count += 1
            self._tree.plug_in(self._count, f"i2c-1/1-{self._count:04}", BME280)
        self._tree.set(self._count, "in_temp_input", str(int(temperature_c * 1000)))

    def fail(self) -> None:
        self._tree.pull_out(self._count)


@pytest.fixture(params=[SimulatedThermometer, SimulatedClimate, OneWire, Iio])
def polled(request: pytest.FixtureRequest, tmp_path: Path) -> Polled:
    made = request.param(tmp_path)
    assert isinstance(made, Polled)
    made.warm(4.5)
    return made


def test_a_sensor_gives_finite_values_under_names_with_their_units(polled: Polled) -> None:
    values = polled.device.read()
    assert values["temperature_c"] == pytest.approx(4.5)
    assert all(math.isfinite(value) for value in values.values())
    assert {name.rpartition("_")[2] for name in values} <= {"c", "percent", "hpa", "ppm", "v"}
    polled.warm(-18.0)
    assert polled.device.read()["temperature_c"] == pytest.approx(-18.0)


def test_a_sensor_that_fails_says_what_to_do_and_is_read_again_afterwards(polled: Polled) -> None:
    polled.fail()
    for _ in range(2):
        with pytest.raises(DeviceError, match=r".+: .+|.+; .+") as caught:
            polled.device.read()
        assert caught.value.can_retry
    polled.warm(5.0)
    assert polled.device.read()["temperature_c"] == pytest.approx(5.0)


# --- radars ----------------------------------------------------------------------------------------------------------


class Told:
    """What a radar or a counter reported."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, Any]] = []
        self.said: list[str] = []

    def failed(self, at: float, reason: str) -> None:
        assert at > AHEAD_S
        self.said.append(reason)

    def recovered(self, at: float) -> None:
        assert at > AHEAD_S
        self.said.append("recovered")


class RadarRig(ABC):
    """A radar and what is before it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.on_exit = ExitStack()

    @abstractmethod
    def radar(self, told: Told) -> Radar: ...

    @abstractmethod
    def show(self, *, is_moving: bool, is_still: bool, distance_m: float) -> None: ...

    @abstractmethod
    def fail(self) -> None: ...


class SimulatedRadarRig(RadarRig):
    def radar(self, told: Told) -> Radar:
        self._twin = SimulatedRadar(
            lambda at, presence: told.seen.append((at, presence)),
            on_failed=told.failed,
            on_recovered=told.recovered,
            clock=station_time,
        )
        return self._twin

    def show(self, *, is_moving: bool, is_still: bool, distance_m: float) -> None:
        self._twin.see(is_moving=is_moving, is_still=is_still, distance_m=distance_m)

    def fail(self) -> None:
        self._twin.fail()


class SerialRadarRig(RadarRig):
    """The real driver at a pseudo-terminal that is pulled out."""

    def radar(self, told: Told) -> Radar:
        self._module = self.on_exit.enter_context(closing(Ld2410OnPty(self.folder)))
        self._module.says = b""
        radar = Ld2410(
            str(self._module.path),
            lambda at, presence: told.seen.append((at, presence)),
            on_failed=told.failed,
            on_recovered=told.recovered,
            silence_s=30.0,
            clock=station_time,
        )
        return self.on_exit.enter_context(closing(radar))

    def show(self, *, is_moving: bool, is_still: bool, distance_m: float) -> None:
        cm = int(distance_m * 100)
        self._module.says = frame(is_moving=is_moving, is_still=is_still, moving_cm=cm, still_cm=cm)
        if not self._module.path.exists():
            self._module.plug_in()

    def fail(self) -> None:
        self._module.pull_out()


@pytest.fixture(params=[SimulatedRadarRig, SerialRadarRig])
def radar_rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RadarRig]:
    yield from _open(request.param(tmp_path))


def test_a_radar_reports_what_it_sees_with_its_station_time(radar_rig: RadarRig) -> None:
    told = Told()
    began = station_time()
    radar_rig.radar(told)
    for number, (is_moving, is_still) in enumerate([(False, False), (True, False), (True, True), (False, True)], 1):
        radar_rig.show(is_moving=is_moving, is_still=is_still, distance_m=1.5)
        assert eventually(lambda: len(told.seen) == number)  # noqa: B023
        presence = told.seen[-1][1]
        assert isinstance(presence, Presence)
        assert (presence.is_moving, presence.is_still) == (is_moving, is_still)
        assert presence.distance_m == (1.5 if is_moving or is_still else None)
    times = [at for at, _ in told.seen]
    assert began <= times[0]
    assert times == sorted(times)
    assert times[-1] <= station_time()
    assert told.said == []


def test_a_radar_that_fails_says_so_once_and_reports_anew_when_it_is_back(radar_rig: RadarRig) -> None:
    told = Told()
    radar_rig.radar(told)
    radar_rig.show(is_moving=True, is_still=False, distance_m=1.5)
    assert eventually(lambda: len(told.seen) == 1)
    radar_rig.fail()
    assert eventually(lambda: len(told.said) == 1)
    assert ": " in told.said[0]
    radar_rig.show(is_moving=True, is_still=False, distance_m=1.5)
    assert eventually(lambda: len(told.seen) == 2)
    assert told.said[1:] == ["recovered"]


def test_a_radar_that_is_closed_reports_nothing(radar_rig: RadarRig) -> None:
    told = Told()
    radar = radar_rig.radar(told)
    radar.close()
    radar.close()
    radar_rig.show(is_moving=True, is_still=False, distance_m=1.5)
    radar_rig.fail()
    time.sleep(0.1)
    assert (told.seen, told.said) == ([], [])


# --- counters --------------------------------------------------------------------------------------------------------


class CounterRig(ABC):
    """A counter and the people in its doorway."""

    def __init__(self) -> None:
        self.on_exit = ExitStack()

    @abstractmethod
    def counter(self, told: Told) -> Counter: ...

    @abstractmethod
    def enter(self) -> None: ...

    @abstractmethod
    def leave(self) -> None: ...

    @abstractmethod
    def turn_back(self) -> None: ...

    @abstractmethod
    def block(self, *, is_blocked: bool) -> None: ...


class SimulatedCounterRig(CounterRig):
    def counter(self, told: Told) -> Counter:
        self._twin = SimulatedBeams(
            lambda at, is_entering: told.seen.append((at, is_entering)),
            on_failed=told.failed,
            on_recovered=told.recovered,
            clock=station_time,
        )
        return self._twin

    def enter(self) -> None:
        self._twin.enter()

    def leave(self) -> None:
        self._twin.leave()

    def turn_back(self) -> None:
        self._twin.turn_back()

    def block(self, *, is_blocked: bool) -> None:
        if is_blocked:
            self._twin.block()
        else:
            self._twin.unblock()


class MockPinCounterRig(CounterRig):
    """The real driver on two pins; people walk by the clock on the wall."""

    pins = (5, 6)

    def __init__(self) -> None:
        super().__init__()
        self.factory: Factory = self.on_exit.enter_context(self.make_factory())

    def make_factory(self) -> Factory:
        return MockFactory()

    def counter(self, told: Told) -> Counter:
        counter = BeamPair(
            *self.pins,
            lambda at, is_entering: told.seen.append((at, is_entering)),
            blocked_s=1.5,
            on_failed=told.failed,
            on_recovered=told.recovered,
            pin_factory=self.factory,
            clock=station_time,
        )
        for beam in (0, 1):  # mock pins take the level of their pull when they become an input
            self.drive(beam, False)
        time.sleep(0.15)
        return self.on_exit.enter_context(closing(counter))

    def drive(self, beam: int, is_interrupted: bool) -> None:
        pin = self.factory.pin(self.pins[beam])
        if is_interrupted:
            pin.drive_high()
        else:
            pin.drive_low()

    def walk(self, steps: tuple[Step, ...]) -> None:
        for beam, is_interrupted in steps:
            self.drive(beam, is_interrupted)
            time.sleep(0.04)  # the stamps of a busy machine differ by less

    def enter(self) -> None:
        self.walk(ENTER)

    def leave(self) -> None:
        self.walk(LEAVE)

    def turn_back(self) -> None:
        self.walk(TURN_BACK_LATE)

    def block(self, *, is_blocked: bool) -> None:
        self.drive(0, is_blocked)


class FakeKernelCounterRig(MockPinCounterRig):
    def make_factory(self) -> Factory:
        self._fake = FakeGpiod()
        return GpiodFactory(gpiod=self._fake)

    def drive(self, beam: int, is_interrupted: bool) -> None:
        self._fake.wire(self.pins[beam], is_interrupted)


@pytest.fixture(params=[SimulatedCounterRig, MockPinCounterRig, FakeKernelCounterRig])
def counter_rig(request: pytest.FixtureRequest) -> Iterator[CounterRig]:
    yield from _open(request.param())


def _open(rig: Fixture) -> Iterator[Fixture]:
    with rig.on_exit:  # type: ignore[attr-defined]
        yield rig


def test_a_counter_tells_who_enters_from_who_leaves_and_who_turns_back(counter_rig: CounterRig) -> None:
    told = Told()
    counter_rig.counter(told)
    began = station_time()
    walks: list[Callable[[], None]] = [counter_rig.enter, counter_rig.turn_back, counter_rig.leave, counter_rig.enter]
    for walk in walks:
        walk()
    assert eventually(lambda: len(told.seen) == 3)
    assert [is_entering for _, is_entering in told.seen] == [True, False, True]
    times = [at for at, _ in told.seen]
    assert times == sorted(times)
    assert began - 0.001 <= times[0] <= times[-1] <= station_time()
    assert told.said == []


def test_a_counter_whose_beam_is_blocked_says_so_once_and_counts_again_afterwards(counter_rig: CounterRig) -> None:
    told = Told()
    counter_rig.counter(told)
    counter_rig.block(is_blocked=True)
    assert eventually(lambda: len(told.said) == 1)
    assert ": " in told.said[0]
    counter_rig.block(is_blocked=False)
    assert eventually(lambda: told.said[1:] == ["recovered"])
    assert told.seen == []
    counter_rig.leave()
    assert eventually(lambda: [is_entering for _, is_entering in told.seen] == [False])


def test_a_counter_that_is_closed_reports_nothing(counter_rig: CounterRig) -> None:
    told = Told()
    counter = counter_rig.counter(told)
    counter.close()
    counter.close()
    counter_rig.enter()
    counter_rig.block(is_blocked=True)
    time.sleep(0.1)
    assert (told.seen, told.said) == ([], [])
