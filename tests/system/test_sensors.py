"""A whole station with the twins of its sensors: what they say becomes a state, a fault, an order to a plug."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.clock import SkippingClock
from agent.core.floats import HOLD_S
from agent.effects import SwitchAppliance
from agent.events import PauseSkipped
from drivers.simulated.plug import SimulatedPlug
from tests.system.stations import Station, eventually, running, write_settings

TABLES: dict[str, dict[str, Any]] = {
    "sensors.oven": {"driver": "simulated", "interval_s": 0.2},
    "sensors.cold": {"driver": "ds18b20", "device": "28-0316a2794aff", "interval_s": 0.2},
    "sensors.plug": {"driver": "tasmota", "device": "p1"},
    "sensors.room": {"driver": "ld2410", "port": "/dev/ttyAMA0"},
    "contacts.tank": {"kind": "water"},
    "contacts.grid": {"kind": "mains"},
    "appliances.oven": {"kind": "microwave", "power": "oven"},
    "appliances.fridge": {"kind": "refrigerator", "temperature": "cold"},
    "appliances.dispenser": {"kind": "water_dispenser", "water": "tank"},
    "appliances.lamp": {"kind": "light", "power": "plug", "can_switch": True, "switch_off_when_empty_min": 5.0},
}


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    with running(write_settings(tmp_path, TABLES)) as station:
        yield station


def appliance(station: Station, name: str) -> dict[str, Any]:
    return dict(station.status()["parts"][f"appliances/{name}"])


def hold(station: Station) -> None:
    """Let a contact's level count, without waiting."""
    skip(station, HOLD_S)


def skip(station: Station, seconds: float) -> None:
    clock = station.app.clock
    assert isinstance(clock, SkippingClock)
    clock.skip(seconds)
    station.app.inbox.post(PauseSkipped(clock.now(), seconds))


def test_an_appliance_follows_the_sensor_that_it_names(station: Station) -> None:
    station.parts.sensors.meters["oven"].set_power(900.0)
    eventually(lambda: appliance(station, "oven")["state"] == "running", "the oven runs")
    station.parts.sensors.meters["oven"].set_power(0.0)
    eventually(lambda: appliance(station, "oven")["state"] == "off", "the oven is off")
    assert appliance(station, "fridge")["state"] == "unknown"


def test_a_float_says_that_the_water_is_out_and_a_relay_that_the_mains_are_gone(station: Station) -> None:
    station.parts.signals["tank"].begin()
    station.parts.signals["grid"].end()
    eventually(lambda: told(station, "contacts.grid") == {"active": False}, "the relay has fallen")
    hold(station)
    wanted = {("water.empty", "dispenser"), ("mains.lost", "mains")}
    eventually(lambda: wanted <= station.faults(), "both are faults")
    station.parts.signals["tank"].end()
    station.parts.signals["grid"].begin()
    eventually(lambda: told(station, "contacts.grid") == {"active": True}, "the relay is back")
    hold(station)
    eventually(lambda: not wanted & station.faults(), "both are over")


def told(station: Station, sensor: str) -> dict[str, Any]:
    rows = {row["sensor"]: row for row in station.client.request("sensors.read")["rows"]}
    return {each["quantity"]: each["value"] for each in rows[sensor]["values"]}


def test_a_sensor_that_fails_is_a_fault_under_its_name_until_it_works_again(station: Station) -> None:
    station.parts.sensors.thermometers["cold"].fail()
    station.parts.sensors.radars["room"].fail()
    wanted = {("device.failed", "sensors.cold"), ("device.failed", "sensors.room")}
    eventually(lambda: wanted <= station.faults(), "both are faults")
    station.parts.sensors.thermometers["cold"].recover()
    station.parts.sensors.radars["room"].see(is_moving=True)
    eventually(lambda: not wanted & station.faults(), "both are over")
    assert told(station, "sensors.room") == {"present": True, "moving": True}


def test_a_plug_is_switched_and_one_that_is_away_is_a_fault(station: Station) -> None:
    plug = station.parts.sensors.meters["plug"]
    station.app.hardware.switch(SwitchAppliance("lamp", is_on=False))
    eventually(lambda: told(station, "sensors.plug")["on"] is False, "it is off")
    plug.go_offline()  # type: ignore[union-attr]
    station.app.hardware.switch(SwitchAppliance("lamp", is_on=True))
    eventually(lambda: ("appliance.not_switched", "lamp") in station.faults(), "it is out of reach")
    plug.come_back()  # type: ignore[union-attr]
    station.app.hardware.switch(SwitchAppliance("lamp", is_on=True))
    eventually(lambda: ("appliance.not_switched", "lamp") not in station.faults(), "it was switched")


def test_a_lamp_goes_off_when_nobody_is_inside_and_a_hand_keeps_it_on(station: Station) -> None:
    plug = station.parts.sensors.meters["plug"]
    assert isinstance(plug, SimulatedPlug)

    def shines() -> bool:
        plug.set_power(40.0)
        return bool(appliance(station, "lamp")["state"] == "running")

    eventually(shines, "the lamp is on")
    station.parts.counter.leave()
    eventually(lambda: station.status()["parts"]["occupancy"]["state"] == "empty", "nobody is inside")
    assert plug.is_on
    skip(station, 300.0)
    eventually(lambda: not plug.is_on, "the plug was switched off")

    plug.press_button()
    eventually(shines, "somebody wants it on")
    skip(station, 3600.0)
    eventually(shines, "it stays on")
    assert plug.is_on
    assert ("appliance.not_switched", "lamp") not in station.faults()
