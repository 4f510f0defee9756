"""The search for what is attached: kernel folders, a line behind a pseudo-terminal, a real broker."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from agent.sensor_scan import Attached, Found, Unsearched, scan_line, scan_machine, scan_plugs
from agent.sensor_settings import PlugsSettings, SerialSettings
from agent.settings import Settings, settings_from
from drivers.modbus_line import ModbusLine
from tests.broker import Mosquitto, free_port
from tests.drivers.kernel_tree import ADS1115, BME280, IioTree, OneWireTree, w1_slave
from tests.drivers.modbus_bench import BENCH_METERS, MeterServer, Wire
from tests.drivers.mqtt_station import Firmware

REAL = "[station]\nid = 't-1'\n[lock]\npin = 17\n[contact]\nfitted = false\n[exit_button]\nfitted = false\n"
THERMOMETERS = ("28-0316a2794aff", "28-0316a2794bbb")


def settings_of(text: str) -> Settings:
    return settings_from(tomllib.loads(REAL + text), Path())


def attached(found: Found) -> dict[str, Attached]:
    everything = list(found)
    assert [each for each in everything if isinstance(each, Unsearched)] == []
    return {each.address: each for each in everything if isinstance(each, Attached)}


def put_in(each: Attached, before: str = "") -> Settings:
    """The settings with the lines that were shown: they must be right as they stand."""
    return settings_of(before + "\n".join(each.lines) + "\n")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_what_the_kernel_has_found_is_listed_with_lines_that_are_right(tmp_path: Path) -> None:
    thermometers, devices = OneWireTree(tmp_path / "w1"), IioTree(tmp_path / "iio")
    for each in THERMOMETERS:
        thermometers.set(each, w1_slave(20.0))
    devices.plug_in(0, "1-0076", BME280)
    devices.plug_in(1, "1-0077", BME280)
    devices.plug_in(2, "1-0048", ADS1115)
    known = settings_of(f"[sensors.fridge]\ndriver = 'ds18b20'\ndevice = '{THERMOMETERS[0]}'\n")

    found = attached(scan_machine(known, one_wire_root=thermometers.root, iio_root=devices.root))
    assert {*THERMOMETERS, "bme280@1-0076", "bme280@1-0077", "ads1015"} <= set(found)
    assert (found[THERMOMETERS[0]].known_as, found[THERMOMETERS[0]].lines) == ("sensors.fridge", ())
    for address in (THERMOMETERS[1], "bme280@1-0076", "ads1015"):
        (sensor,) = put_in(found[address]).sensors.values()
        assert sensor.device == address


def test_meters_are_found_on_a_line_by_their_addresses(tmp_path: Path, stack: ExitStack) -> None:
    meters = {1: BENCH_METERS["pzem004t"](), 3: BENCH_METERS["sdm120"]()}
    for bench in meters.values():
        bench.show(5.0, voltage_v=230.0, power_factor=1.0, energy_kwh=0.0)
    wire = stack.enter_context(closing(Wire(tmp_path / "port", set(meters))))
    stack.enter_context(closing(MeterServer(wire.far.path, meters)))
    text = "[serial.a]\nport = '/dev/ttyUSB0'\n[sensors.oven]\ndriver = 'pzem004t'\nline = 'a'\naddress = 1\n"
    line = settings_of(text).serial["a"].model_copy(update={"port": str(wire.port)})

    found = list(attached(scan_line(settings_of(text), "a", line, range(1, 5))).values())
    assert [(each.description, each.known_as) for each in found] == [
        ("pzem004t", "sensors.oven"),
        ("sdm120 or sdm230", ""),
    ]
    sensor = put_in(found[1], text).sensors["meter_3"]
    assert (sensor.driver, sensor.line, sensor.address) == ("sdm120", "a", 3)


def test_a_port_that_the_agent_holds_is_said_to_be_held(tmp_path: Path, stack: ExitStack) -> None:
    wire = stack.enter_context(closing(Wire(tmp_path / "port", {1})))
    holder = stack.enter_context(closing(ModbusLine(str(wire.port))))
    holder._open()
    line = SerialSettings(port="/dev/x").model_copy(update={"port": str(wire.port)})

    (found,) = scan_line(None, "a", line, range(1, 3))
    assert isinstance(found, Unsearched)
    assert "A running agent holds" in found.reason.en
    assert len(wire.questions) == 0


def test_a_port_that_is_not_there_is_not_said_to_be_held() -> None:
    (found,) = scan_line(None, "a", SerialSettings(port="/dev/none"), range(1, 3))

    assert isinstance(found, Unsearched)
    assert "plug the adapter in" in found.reason.en
    assert "agent" not in found.reason.en
    assert found.reason.zh.startswith("没有这个文件;请检查接线")


def test_devices_at_the_broker_are_listed_and_one_with_a_strange_name_gets_a_right_table(
    tmp_path: Path, stack: ExitStack
) -> None:
    broker = Mosquitto(tmp_path)
    broker.start()
    stack.callback(broker.stop)
    firmware = stack.enter_context(closing(Firmware(broker.port)))
    firmware.say("tasmota/discovery/AA/config", '{"t": "Plug 7 (küche) \\"x\\"", "md": "Plug"}', retain=True)
    firmware.say("shellyplug-1/online", "true", retain=True)
    known = settings_of("[sensors.lamp]\ndriver = 'shelly_gen2'\ndevice = 'shellyplug-1'\n")

    found = attached(scan_plugs(known, PlugsSettings(port=broker.port), 1.0))
    assert found["shellyplug-1"].known_as == "sensors.lamp"
    (sensor,) = put_in(found['Plug 7 (küche) "x"']).sensors.values()
    assert (sensor.driver, sensor.device) == ("tasmota", 'Plug 7 (küche) "x"')


def test_a_broker_that_is_away_is_said_and_does_not_end_the_search() -> None:
    (found,) = scan_plugs(None, PlugsSettings(port=free_port()), 0.5)

    assert isinstance(found, Unsearched)
    assert "cannot be reached" in found.reason.en
    assert found.reason.zh.startswith("那里没有程序在监听;请检查")
