"""Sensors as the agent opens them: real drivers at pseudo-terminals, kernel folders, a real broker and mock pins."""

from __future__ import annotations

import os
import time
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
from gpiozero.pins.mock import MockFactory

from agent import hardware
from agent.clock import SystemClock
from agent.effects import SwitchAppliance
from agent.events import (
    ApplianceSwitched,
    DeviceFailed,
    DeviceRecovered,
    Event,
    PresenceSensed,
    SensorRead,
    SensorStateTold,
    SignalChanged,
    WorkerFailed,
)
from agent.sensor_hardware import CLOSE_S, RealSensors, SensorHardware
from agent.sensor_twins import SimulatedSensorHardware
from agent.settings import Settings, settings_from
from drivers.errors import DeviceError
from drivers.signal import SignalContact
from tests.broker import Mosquitto, free_port
from tests.drivers.kernel_tree import BME280, IioTree, OneWireTree, w1_slave
from tests.drivers.ld2410 import Ld2410OnPty, frame
from tests.drivers.modbus_bench import BENCH_METERS, BenchMeter, MeterServer, Wire
from tests.drivers.mqtt_station import Firmware
from tests.drivers.waiting import eventually

REAL = "[station]\nid = 't-1'\n[lock]\npin = 17\n[contact]\nfitted = false\n[exit_button]\nfitted = false\n"
SIMULATED = "[station]\nid = 't-1'\n[hardware]\nsimulated = true\n"
THERMOMETER = "28-0316a2794aff"
OTHER_THERMOMETER = "28-0316a2794bbb"

Kind = TypeVar("Kind", bound=Event)


class Posted:
    """What was reported, in its order."""

    def __init__(self) -> None:
        self.all: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.all.append(event)

    def of(self, kind: type[Kind]) -> list[Kind]:
        return [each for each in list(self.all) if isinstance(each, kind)]

    def read(self, sensor: str) -> list[SensorRead]:
        return [each for each in self.of(SensorRead) if each.sensor == sensor]

    def failed(self, device: str) -> list[str]:
        return [each.reason for each in self.of(DeviceFailed) if each.device == device]

    def has_recovered(self, device: str) -> bool:
        return any(each.device == device for each in self.of(DeviceRecovered))

    def signals(self, name: str) -> list[bool | None]:
        return [each.is_active for each in self.of(SignalChanged) if each.signal == name]


def settings_of(text: str, *, before: str = REAL) -> Settings:
    return settings_from(tomllib.loads(before + text), Path())


def at_ports(settings: Settings, **ports: Path) -> Settings:
    """These lines and radars at ports that the settings' own rule would not take: a test has its own."""
    serial, sensors = dict(settings.serial), dict(settings.sensors)
    for name, path in ports.items():
        tables: dict[str, Any] = serial if name in serial else sensors
        tables[name] = tables[name].model_copy(update={"port": str(path)})
    return settings.model_copy(update={"serial": serial, "sensors": sensors})


@contextmanager
def opened(settings: Settings, posted: Posted, pins: MockFactory | None = None, **roots: Path) -> Iterator[RealSensors]:
    sensors = RealSensors(settings, SystemClock(), posted, **roots)
    sensors.open(pins)
    sensors.start()
    try:
        yield sensors
    finally:
        sensors.close()
    assert posted.of(WorkerFailed) == []


def meter(kind: str, power_w: float) -> BenchMeter:
    bench = BENCH_METERS[kind]()
    bench.show(power_w, voltage_v=230.0, power_factor=1.0, energy_kwh=1.0)
    return bench


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def line(stack: ExitStack, port: Path, **meters: tuple[int, BenchMeter]) -> Wire:
    by_address = dict(meters.values())
    wire = stack.enter_context(closing(Wire(port, set(by_address))))
    stack.enter_context(closing(MeterServer(wire.far.path, by_address)))
    return wire


SERIAL = "[serial.%s]\nport = '/dev/ttyUSB-%s'\nbaud = 115200\n"
METER = "[sensors.%s]\ndriver = '%s'\nline = '%s'\naddress = %d\ninterval_s = 0.2\n"


@pytest.mark.parametrize("kind", ["sdm120", "sdm230", "sdm630"])
def test_a_meter_of_the_settings_is_read_over_its_line(kind: str, tmp_path: Path, stack: ExitStack) -> None:
    line(stack, tmp_path / "port", m=(4, meter(kind, 812.0)))
    posted = Posted()
    settings = settings_of(SERIAL % ("a", "a") + METER % ("m", kind, "a", 4))
    with opened(at_ports(settings, a=tmp_path / "port"), posted):
        assert eventually(lambda: len(posted.read("m")) >= 2), posted.all
    assert posted.read("m")[0].values["power_w"] == pytest.approx(812.0)
    assert posted.of(DeviceFailed) == []


def test_a_pzem_is_read_at_its_own_speed(tmp_path: Path, stack: ExitStack) -> None:
    line(stack, tmp_path / "port", m=(1, meter("pzem004t", 100.0)))
    posted = Posted()
    settings = settings_of("[serial.a]\nport = '/dev/ttyUSB0'\n" + METER % ("m", "pzem004t", "a", 1))
    with opened(at_ports(settings, a=tmp_path / "port"), posted):
        assert eventually(lambda: bool(posted.read("m"))), posted.all
    assert posted.read("m")[0].values["power_w"] == pytest.approx(100.0)


def test_a_silent_meter_is_a_fault_of_its_own_and_delays_nobody_else(tmp_path: Path, stack: ExitStack) -> None:
    line(stack, tmp_path / "one", near=(1, meter("sdm120", 5.0)))
    line(stack, tmp_path / "two", far=(1, meter("sdm120", 7.0)))
    posted = Posted()
    text = SERIAL % ("one", "1") + SERIAL % ("two", "2")
    text += METER % ("silent", "sdm120", "one", 9) + METER % ("near", "sdm120", "one", 1)
    text += METER % ("far", "sdm120", "two", 1)
    with opened(at_ports(settings_of(text), one=tmp_path / "one", two=tmp_path / "two"), posted):
        assert eventually(lambda: bool(posted.failed("sensors.silent"))), posted.all
        before = {name: len(posted.read(name)) for name in ("near", "far")}
        assert eventually(lambda: all(len(posted.read(name)) >= n + 5 for name, n in before.items())), posted.all
    assert "no answer from address 9" in posted.failed("sensors.silent")[0]
    assert {each.device for each in posted.of(DeviceFailed)} == {"sensors.silent"}


def test_an_adapter_that_is_not_there_is_tried_again_while_the_others_go_on(tmp_path: Path, stack: ExitStack) -> None:
    wire = line(stack, tmp_path / "port", m=(1, meter("sdm120", 5.0)))
    wire.unplug()
    tree = OneWireTree(tmp_path / "w1")
    tree.set(THERMOMETER, w1_slave(4.5))
    posted = Posted()
    text = SERIAL % ("a", "a") + METER % ("m", "sdm120", "a", 1)
    text += f"[sensors.t]\ndriver = 'ds18b20'\ndevice = '{THERMOMETER}'\ninterval_s = 0.2\n"
    with opened(at_ports(settings_of(text), a=tmp_path / "port"), posted, one_wire_root=tree.root):
        assert eventually(lambda: bool(posted.failed("sensors.m")) and bool(posted.read("t"))), posted.all
        assert "plug the adapter in" in posted.failed("sensors.m")[0]
        wire.plug_in()
        assert eventually(lambda: posted.has_recovered("sensors.m") and bool(posted.read("m"))), posted.all
    assert posted.read("t")[0].values == {"temperature_c": 4.5}


def test_kernel_sensors_are_read_and_one_that_is_missing_fails_alone(tmp_path: Path) -> None:
    thermometers, air = OneWireTree(tmp_path / "w1"), IioTree(tmp_path / "iio")
    thermometers.set(THERMOMETER, w1_slave(-18.0))
    air.plug_in(0, "1-0076", BME280)
    text = "".join(
        f"[sensors.{name}]\ndriver = '{driver}'\ndevice = '{device}'\ninterval_s = 0.2\n"
        for name, driver, device in (
            ("cold", "ds18b20", THERMOMETER),
            ("gone", "ds18b20", OTHER_THERMOMETER),
            ("air", "iio", "bme280"),
            ("co2", "iio", "scd41"),
        )
    )
    posted = Posted()
    with opened(settings_of(text), posted, one_wire_root=thermometers.root, iio_root=air.root):
        assert eventually(lambda: len(posted.read("cold")) >= 2 and len(posted.read("air")) >= 2), posted.all
        assert eventually(lambda: bool(posted.failed("sensors.gone")) and bool(posted.failed("sensors.co2")))
    assert posted.read("cold")[0].values == {"temperature_c": -18.0}
    assert posted.read("air")[0].values["humidity_percent"] == pytest.approx(43.21)


def hang(tree: OneWireTree, address: str) -> Path:
    """The kernel's call does not return: a pipe that nobody writes to."""
    path = tree.root / address / "w1_slave"
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    return path


def let_go(pipe: Path) -> None:
    """The call returns with nothing."""
    os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))


def test_a_sensor_that_hangs_its_bus_is_told_by_name_until_it_works_again(tmp_path: Path) -> None:
    tree = OneWireTree(tmp_path / "w1")
    pipe = hang(tree, THERMOMETER)
    text = f"[sensors.t]\ndriver = 'ds18b20'\ndevice = '{THERMOMETER}'\ninterval_s = 0.2\n"
    posted = Posted()
    with opened(settings_of(text), posted, one_wire_root=tree.root):
        assert eventually(lambda: bool(posted.failed("sensors.t"))), posted.all
        assert "its read does not end" in posted.failed("sensors.t")[0]
        aside = pipe.rename(tmp_path / "pipe")
        tree.set(THERMOMETER, w1_slave(21.0))
        let_go(aside)
        assert eventually(lambda: posted.has_recovered("sensors.t") and bool(posted.read("t"))), posted.all


def test_what_hangs_does_not_keep_the_agent_from_ending(tmp_path: Path) -> None:
    tree = OneWireTree(tmp_path / "w1")
    pipe = hang(tree, THERMOMETER)
    text = f"[sensors.t]\ndriver = 'ds18b20'\ndevice = '{THERMOMETER}'\n"
    text += "[sensors.p]\ndriver = 'tasmota'\ndevice = 'p1'\n[sensors.r]\ndriver = 'ld2410'\nport = '/dev/none'\n"
    text += f"[plugs]\nport = {free_port()}\n"
    posted = Posted()
    with opened(settings_of(text), posted, one_wire_root=tree.root):
        assert eventually(lambda: bool(posted.failed("sensors.t"))), posted.all
        began = time.monotonic()
    took_s = time.monotonic() - began
    let_go(pipe)
    assert took_s < CLOSE_S + 1.0  # which leaves the half of what a SIGTERM may take


def test_a_radar_is_heard_and_one_without_a_port_is_tried_again(tmp_path: Path, stack: ExitStack) -> None:
    module = stack.enter_context(closing(Ld2410OnPty(tmp_path)))
    module.says = frame(is_still=True, still_cm=150)
    module.pull_out()
    posted = Posted()
    settings = settings_of("[sensors.r]\ndriver = 'ld2410'\nport = '/dev/none'\n")
    with opened(at_ports(settings, r=module.path), posted):
        assert eventually(lambda: bool(posted.failed("sensors.r"))), posted.all
        module.plug_in()
        assert eventually(lambda: bool(posted.of(PresenceSensed))), posted.all
        assert posted.has_recovered("sensors.r")
        module.says = frame(is_moving=True, moving_cm=90)
        assert eventually(lambda: posted.of(PresenceSensed)[-1].is_moving)
        module.says = frame()
        assert eventually(lambda: not posted.of(PresenceSensed)[-1].is_present)
    first = posted.of(PresenceSensed)[0]
    assert (first.sensor, first.is_present, first.is_moving) == ("r", True, False)


PLUGS = """
[sensors.lamp]
driver = "tasmota"
device = "p1"
[sensors.leak]
driver = "zigbee2mqtt"
device = "kitchen"
[contacts.floor]
kind = "leak"
sensor = "leak"
[contacts.dry]
kind = "other"
sensor = "leak"
state = "water_leak"
active_when = "low"
[appliances.light]
kind = "light"
power = "lamp"
can_switch = true
[appliances.oven]
kind = "microwave"
"""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path)
    broker.start()
    yield broker
    broker.stop()


def test_plugs_are_read_switched_where_that_is_allowed_and_tell_contacts(broker: Mosquitto, stack: ExitStack) -> None:
    firmware = stack.enter_context(closing(Firmware(broker.port)))
    firmware.answer("cmnd/p1/POWER", lambda order: firmware.say("stat/p1/POWER", order))
    posted = Posted()
    with opened(settings_of(PLUGS + f"[plugs]\nport = {broker.port}\n"), posted) as sensors:

        def speaks() -> bool:
            firmware.say("tele/p1/SENSOR", '{"ENERGY": {"Power": 42}}')
            firmware.say("zigbee2mqtt/kitchen", '{"water_leak": false}')
            return bool(posted.read("lamp")) and bool(posted.signals("floor"))

        assert eventually(speaks), posted.all
        firmware.say("zigbee2mqtt/kitchen", '{"water_leak": true}')
        assert eventually(lambda: posted.signals("floor") == [False, True]), posted.all
        assert posted.signals("dry") == [True, False]
        sensors.switch(SwitchAppliance("light", is_on=False))
        assert eventually(lambda: bool(posted.of(ApplianceSwitched))), posted.all
        sensors.switch(SwitchAppliance("oven", is_on=False))
        sensors.switch(SwitchAppliance("nothing", is_on=False))
        broker.stop()
        assert eventually(lambda: posted.signals("floor") == [False, True, None]), posted.all
        assert posted.failed("sensors.lamp") != []
        assert posted.failed("sensors.leak") != []
        sensors.switch(SwitchAppliance("light", is_on=True))
        assert eventually(lambda: len(posted.of(ApplianceSwitched)) == 4), posted.all
    done, refused, unknown, away = posted.of(ApplianceSwitched)
    assert (done.appliance, done.is_on, done.reason) == ("light", False, "")
    assert (refused.appliance, refused.reason) == ("oven", "the settings do not allow it")
    assert unknown.reason == refused.reason
    assert "broker" in away.reason
    assert posted.read("lamp")[0].values == {"power_w": 42.0}
    assert any(each.state == "on" and each.is_active is False for each in posted.of(SensorStateTold))


CONTACTS = """
[contacts.tank]
kind = "water"
pin = 5
[contacts.grid]
kind = "mains"
pin = 6
"""


def test_contacts_on_pins_say_at_once_how_they_are_and_then_every_edge() -> None:
    pins, posted = MockFactory(), Posted()
    with opened(settings_of(CONTACTS), posted, pins):
        assert (posted.signals("tank"), posted.signals("grid")) == ([True], [False])  # as with cut wires
        for pin in (5, 6):
            pins.pin(pin).drive_low()
        assert eventually(lambda: posted.signals("tank") == [True, False])
        assert eventually(lambda: posted.signals("grid") == [False, True])


def test_a_pin_that_another_holds_leaves_the_other_contacts() -> None:
    pins, posted = MockFactory(), Posted()
    other = SignalContact("another", 5, lambda *_: None, pin_factory=pins)
    with closing(other), opened(settings_of(CONTACTS), posted, pins):
        assert len(posted.failed("contacts.tank")) == 1
        assert posted.signals("grid") == [False]


def test_without_a_gpio_chip_the_sensors_that_need_none_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = OneWireTree(tmp_path / "w1")
    tree.set(THERMOMETER, w1_slave(7.0))
    monkeypatch.setattr(hardware, "RealSensors", partial(RealSensors, one_wire_root=tree.root))
    posted = Posted()
    text = "[hardware]\ngpio_chip = '/dev/gpiochip99'\n"
    text += f"[sensors.t]\ndriver = 'ds18b20'\ndevice = '{THERMOMETER}'\n" + CONTACTS
    with hardware.open_hardware(settings_of(text), SystemClock(), posted):
        assert eventually(lambda: bool(posted.read("t"))), posted.all
    assert len(posted.failed("gpio")) == 1


# --- the twins -------------------------------------------------------------------------------------------------------

EVERY_KIND = (
    (SERIAL % ("a", "a") + METER % ("m", "sdm630", "a", 1) + PLUGS + CONTACTS)
    + f"[sensors.t]\ndriver = 'ds18b20'\ndevice = '{THERMOMETER}'\ninterval_s = 0.2\n"
    + "[sensors.air]\ndriver = 'iio'\ndevice = 'bme280'\ninterval_s = 0.2\n"
    + "[sensors.r]\ndriver = 'ld2410'\nport = '/dev/ttyAMA0'\n"
    + "[sensors.s]\ndriver = 'simulated'\ninterval_s = 0.2\n"
)


@contextmanager
def twins(posted: Posted) -> Iterator[SimulatedSensorHardware]:
    sensors = SimulatedSensorHardware(settings_of(EVERY_KIND, before=SIMULATED), SystemClock(), posted)
    sensors.open()
    sensors.start()
    try:
        yield sensors
    finally:
        sensors.close()
    assert posted.of(WorkerFailed) == []


def test_every_sensor_has_a_twin_that_says_what_it_is_told() -> None:
    posted = Posted()
    with twins(posted) as sensors:
        parts = sensors.parts
        parts.meters["m"].set_power(812.0)
        parts.meters["lamp"].set_power(40.0)
        parts.meters["s"].set_power(5.0)
        parts.thermometers["t"].set_temperature(-3.0)
        parts.air["air"].set("co2_ppm", 1500.0)
        parts.radars["r"].see(is_still=True)
        parts.contacts["tank"].begin()
        last = {"m": ("power_w", 812.0), "lamp": ("power_w", 40.0), "s": ("power_w", 5.0)}
        last |= {"t": ("temperature_c", -3.0), "air": ("co2_ppm", 1500.0)}
        for sensor, (quantity, value) in last.items():
            assert eventually(lambda: any(each.values.get(quantity) == value for each in posted.read(sensor))), sensor  # noqa: B023
    assert posted.of(PresenceSensed)[-1].is_present is True
    assert posted.signals("tank") == [False, True]
    assert posted.signals("grid") == [True]  # there is mains


def test_twins_fail_and_recover_by_the_names_of_real_ones() -> None:
    posted = Posted()
    with twins(posted) as sensors:
        sensors.parts.thermometers["t"].fail()
        sensors.parts.radars["r"].fail()
        assert eventually(lambda: bool(posted.failed("sensors.t")) and bool(posted.failed("sensors.r"))), posted.all
        sensors.parts.thermometers["t"].recover()
        assert eventually(lambda: posted.has_recovered("sensors.t")), posted.all
        sensors.parts.contacts["tank"].fail()
        assert posted.failed("contacts.tank") != []
        assert posted.signals("tank") == [False, None]


def test_a_simulated_plug_is_switched_where_that_is_allowed() -> None:
    posted = Posted()
    with twins(posted) as sensors:
        sensors.switch(SwitchAppliance("light", is_on=False))
        sensors.switch(SwitchAppliance("oven", is_on=False))
    assert [(each.appliance, each.reason == "") for each in posted.of(ApplianceSwitched)] == [
        ("light", True),
        ("oven", False),
    ]


def test_one_that_cannot_be_closed_does_not_keep_the_others_open(caplog: pytest.LogCaptureFixture) -> None:
    closed: list[str] = []

    def fail() -> None:
        raise DeviceError("it does not let go")

    sensors = SensorHardware(settings_of(""), SystemClock(), Posted())
    sensors.at_end(fail)
    sensors.at_end(lambda: closed.append("the other"))
    sensors.close()
    assert closed == ["the other"]
    assert "could not be closed" in caplog.text
