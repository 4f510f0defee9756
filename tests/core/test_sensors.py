"""What each sensor said last, as `sensors.read` answers it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agent.core import sensors
from agent.core.sensors import MAX_REASON, MAX_VALUES
from agent.effects import Reply
from agent.events import (
    Actor,
    ControlRequested,
    DeviceFailed,
    DeviceRecovered,
    MotionChanged,
    PersonCounted,
    PresenceSensed,
    SensorRead,
    SensorStateTold,
    SignalChanged,
)
from tests.core.station_play import RULES, VIEWER, Play, begin

FITTED = {
    "sensors.microwave": "tasmota",
    "sensors.radar": "ld2410",
    "contacts.tank": "water",
    "motion": "motion",
    "counter": "counter",
}


def station() -> Play:
    return begin(rules=replace(RULES, sensors=FITTED))


def read(play: Play, actor: Actor = VIEWER) -> dict[str, Any]:
    play.put(ControlRequested(play.now, "r", actor, "sensors.read"))
    (reply,) = [each for each in play.found(Reply) if each.request == "r"][-1:]
    assert reply.ok
    return {row["sensor"]: row for row in reply.result["rows"]}


def values(row: dict[str, Any]) -> dict[str, Any]:
    return {each["quantity"]: each["value"] for each in row["values"]}


def test_every_sensor_of_the_settings_is_listed_before_it_says_anything() -> None:
    rows = read(station())

    assert {name: row["kind"] for name, row in rows.items()} == FITTED
    assert all(row["values"] == [] and row["error"] == "" for row in rows.values())


def test_each_value_has_the_age_of_its_own_report() -> None:
    play = station()
    play.put(SensorRead(10.0, "microwave", {"power_w": 700.0, "voltage_v": 228.5}))
    play.put(SensorStateTold(12.0, "microwave", "on", True))
    play.put(SensorRead(14.0, "microwave", {"power_w": 3.0}))
    play.wait_until(20.0)

    told = {each["quantity"]: (each["value"], each["age_s"]) for each in read(play)["sensors.microwave"]["values"]}
    assert told == {"power_w": (3.0, 6.0), "voltage_v": (228.5, 10.0), "on": (True, 8.0)}


def test_radars_contacts_movement_and_the_counter_are_shown_as_they_are() -> None:
    play = station()
    play.put(PresenceSensed(1.0, "radar", True, False))
    play.put(SignalChanged(1.0, "tank", None))
    play.put(MotionChanged(1.0, True))
    for is_entering in (True, True, False):
        play.put(PersonCounted(2.0, is_entering))

    rows = read(play)
    assert values(rows["sensors.radar"]) == {"present": True, "moving": False}
    assert values(rows["contacts.tank"]) == {"active": None}
    assert values(rows["motion"]) == {"moving": True}
    assert values(rows["counter"]) == {"entered": 2, "left": 1}


def test_a_failing_sensor_keeps_its_last_values_and_says_since_when_and_why() -> None:
    play = station()
    play.put(SensorRead(1.0, "microwave", {"power_w": 5.0}))
    play.put(DeviceFailed(2.0, "sensors.microwave", "no answer: check its power"))
    play.wait_until(9.0)
    row = read(play)["sensors.microwave"]
    assert (row["error"], row["failed_s"], values(row)) == ("no answer: check its power", 7.0, {"power_w": 5.0})
    assert ("device.failed", "sensors.microwave") in play.state.faults

    play.put(DeviceRecovered(10.0, "sensors.microwave"))
    row = read(play)["sensors.microwave"]
    assert (row["error"], row["failed_s"]) == ("", None)


def test_what_is_kept_is_bounded_by_the_settings_and_by_a_number_of_values() -> None:
    known: dict[str, sensors.Told] = {}
    assert sensors.after(known, FITTED, SensorRead(1.0, "stranger", {"power_w": 1.0})) is known
    assert sensors.after(known, FITTED, DeviceFailed(1.0, "lock", "stuck")) is known
    many = sensors.after(known, FITTED, SensorRead(1.0, "microwave", {f"q{n}_w": 1.0 for n in range(500)}))
    long = sensors.after(many, FITTED, DeviceFailed(1.0, "sensors.microwave", "x" * 5000))

    assert len(long["sensors.microwave"].values) == MAX_VALUES
    assert len(long["sensors.microwave"].error) == MAX_REASON


def test_a_power_reading_counts_for_the_appliance_that_names_the_sensor() -> None:
    profile = replace(RULES.appliances["microwave"], meter="plug")
    other = replace(profile, meter="")
    play = begin(rules=replace(RULES, appliances={"oven": profile, "plug": other}))
    play.put(SensorRead(1.0, "plug", {"power_w": 700.0}))

    assert play.state.appliances["oven"].running.value == "running"
    assert play.state.appliances["plug"].running.value == "unknown"
