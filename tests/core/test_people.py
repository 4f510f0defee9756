"""Presence, appliances' faults, floats and mains, from the facts to what is published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from agent.core.appliance import Profile
from agent.core.appliance_kinds import KINDS
from agent.core.presence import Inside
from agent.effects import AppendEntry, KeepNotes
from agent.events import (
    DeviceFailed,
    ExitButtonPressed,
    MotionChanged,
    PauseSkipped,
    PersonCounted,
    PresenceSensed,
    Restored,
    SensorRead,
    ShutdownRequested,
    SignalChanged,
    VisionBeat,
)
from tests.core.station_play import RULES, Play, begin, member, ready

HOUSE = replace(
    RULES,
    appliances={
        "microwave": Profile(30.0, kind="microwave", limits=KINDS["microwave"]),
        "fridge": Profile(30.0, kind="refrigerator", limits=KINDS["refrigerator"], thermometer="fridge_inside"),
        "water": Profile(30.0, kind="water_dispenser", limits=KINDS["water_dispenser"], water_signal="tank_empty"),
    },
    mains_signal="mains",
)


def connected() -> Play:
    play = ready(member("m-1", 1), rules=HOUSE)
    play.connect()
    play.take()
    return play


def live(play: Play, seconds: float, each_s: float = 5.0, **power_w: float) -> None:
    """Time passes, and these meters are read."""
    end = play.now + seconds
    while play.now < end:
        play.put(VisionBeat(min(end, play.now + each_s), 1, 0.1))
        for name, watts in power_w.items():
            play.put(SensorRead(play.now, name, {"power_w": watts}))


def enter(play: Play) -> None:
    play.see_face(1)
    play.move_leaf(is_open=True)
    play.move_leaf(is_open=False)


def test_who_enters_is_inside_and_who_leaves_is_not() -> None:
    play = connected()
    play.put(MotionChanged(play.now, False))
    enter(play)
    told = play.published("occupancy")[-1]
    assert (told["state"], told["count"], told["estimate"], told["is_occupied"]) == ("occupied", 1, 1, True)
    assert told["confidence"] > 0.9
    play.put(ExitButtonPressed(play.now))
    play.move_leaf(is_open=True)
    play.move_leaf(is_open=False)
    live(play, 120)
    told = play.published("occupancy")[-1]
    assert (told["state"], told["count"], told["estimate"], told["is_occupied"]) == ("empty", 0, 0, False)


def test_a_counter_and_an_oven_are_heard() -> None:
    play = connected()
    play.put(PersonCounted(play.now, True))
    assert play.state.presence.count == 1
    live(play, 20, microwave=2.0)
    moved_at = play.state.presence.moved_at
    live(play, 20, microwave=1200.0)
    assert play.state.presence.moved_at != moved_at


def test_a_stuck_radar_is_a_fault_until_it_changes() -> None:
    play = connected()
    play.put(MotionChanged(play.now, False))
    play.put(PresenceSensed(play.now, "radar", False, False))
    live(play, 1800)
    play.put(PresenceSensed(play.now, "radar", True, False))
    live(play, 2400)
    assert ("sensor.stuck", "sensors.radar") in play.state.faults
    assert play.state.presence.claim is Inside.EMPTY
    assert play.published("occupancy")[-1]["stuck"] == ["sensors.radar"]
    play.put(PresenceSensed(play.now, "radar", False, False))
    assert ("sensor.stuck", "sensors.radar") not in play.state.faults


def test_a_sensor_whose_device_failed_says_nothing() -> None:
    play = connected()
    play.put(PresenceSensed(play.now, "radar", True, True))
    play.put(DeviceFailed(play.now, "sensors.radar", "silent"))
    assert play.state.presence.sensors == {}


def test_somebody_who_does_not_move_is_an_alarm_that_the_master_acknowledges() -> None:
    play = connected()
    play.put(MotionChanged(play.now, False))
    enter(play)
    play.put(MotionChanged(play.now, True))
    play.put(MotionChanged(play.now + 10, False))
    live(play, HOUSE.welfare.still_s + 60, each_s=30.0)
    assert play.state.welfare.check == "still"
    assert play.logged("welfare.raised")[0]["check"] == "still"
    assert play.state.alarms["welfare"].is_active
    assert play.published("occupancy")[-1]["check"] == "still"
    play.ask("alarms.acknowledge", alarm="welfare")
    live(play, 60)
    assert not play.state.welfare.check
    assert "welfare" not in play.state.alarms


def test_a_fault_of_an_appliance_is_raised_published_and_cleared() -> None:
    play = connected()
    live(play, 1860, microwave=1200.0)
    assert ("appliance.never_stops", "microwave") in play.state.faults
    told = play.published("appliances/microwave")[-1]
    assert (told["state"], told["usable"], told["faults"]) == ("fault", "no", ["appliance.never_stops"])
    live(play, 20, microwave=2.0)
    told = play.published("appliances/microwave")[-1]
    assert (told["state"], told["usable"], told["cycles"]) == ("standby", "yes", 1)
    assert play.state.faults == {}


def test_a_fault_from_before_the_start_stands_until_a_reading_ends_it() -> None:
    play = connected()
    live(play, 1860, microwave=1200.0)
    kept: dict[str, dict[str, Mapping[str, Any]]] = {}
    for entry in play.found(AppendEntry):
        for each in entry.notes:
            kept.setdefault(each.kind, {})[each.name] = each.body or {}
    again = begin(rules=HOUSE, restored=Restored(notes=kept))
    key = ("appliance.never_stops", "microwave")
    again.wait(60)
    assert key in again.state.repairs
    live(again, 20, microwave=2.0)
    assert key not in again.state.repairs


def test_the_fridge_has_a_thermometer_of_its_own() -> None:
    play = connected()
    for minute in range(0, 250, 10):
        play.put(SensorRead(play.now + 600.0, "fridge_inside", {"temperature_c": 9.5}))
        live(play, 5, fridge=95.0)
        assert (("fridge.warm", "fridge") in play.state.faults) is (minute >= 240)
    assert play.state.appliances["fridge"].temperature_c == 9.5


@pytest.mark.parametrize(("is_active", "is_empty"), [(True, True), (False, False), (None, False)])
def test_the_float_in_the_tank_says_that_the_water_is_out(is_active: bool | None, is_empty: bool) -> None:
    play = connected()
    play.put(SignalChanged(play.now, "tank_empty", is_active))
    play.wait(1)
    assert ("water.empty", "water") not in play.state.faults  # waves
    play.wait(10)
    assert (("water.empty", "water") in play.state.faults) is is_empty
    play.put(SignalChanged(play.now, "tank_empty", False))
    play.wait(10)
    assert ("water.empty", "water") not in play.state.faults


def test_without_mains_nothing_is_usable_and_no_appliance_is_to_blame() -> None:
    play = connected()
    live(play, 60, fridge=0.0)
    play.put(SignalChanged(play.now, "mains", False))
    play.wait(10)
    assert ("mains.lost", "mains") in play.state.faults
    assert play.published("appliances/fridge")[-1]["usable"] == "no"
    live(play, 5 * 3600, each_s=25.0, fridge=0.0)
    assert ("appliance.no_power", "fridge") not in play.state.faults
    play.put(SignalChanged(play.now, "mains", True))
    play.wait(10)
    assert ("mains.lost", "mains") not in play.state.faults


def test_what_was_learned_is_noted_and_found_again() -> None:
    play = connected()
    live(play, 120, microwave=1200.0)
    live(play, 60, microwave=2.0)
    play.put(ShutdownRequested(play.now, "SIGTERM"))
    (notes,) = play.found(KeepNotes)[-1:]
    kept = {"appliance": {each.name: each.body or {} for each in notes.notes}}
    again = begin(rules=HOUSE, restored=Restored(notes=kept))
    assert again.state.appliances["microwave"].cycles.count == 1
    assert again.state.appliances["microwave"].energy.total_kwh == pytest.approx(0.04, rel=0.1)
    damaged = begin(rules=HOUSE, restored=Restored(notes={"appliance": {"microwave": {"cycles": "many"}}}))
    assert damaged.state.appliances["microwave"].cycles.count == 0


HEATED = replace(
    RULES,
    appliances={"heater": Profile(20.0, 0.5, 900.0, "heater", KINDS["heater"], meter="plug", is_plug=True)},
    sensors={"sensors.plug": "tasmota"},
)


def test_a_plug_that_is_switched_off_and_measures_no_voltage_is_no_loss_of_the_mains() -> None:
    play = begin(rules=HEATED)
    for n in range(4):
        volts = 230.0 if n < 2 else 0.0
        play.put(SensorRead(10.0 * n, "plug", {"power_w": 5 * volts, "voltage_v": volts}))
        assert not play.state.faults


def test_a_plug_that_measures_voltage_shows_that_the_mains_is_back() -> None:
    meter = replace(HEATED.appliances["heater"], meter="meter", is_plug=False)
    play = begin(rules=replace(HEATED, appliances={**HEATED.appliances, "other": meter}))
    play.put(SensorRead(1.0, "meter", {"power_w": 0.0, "voltage_v": 0.0}))
    assert ("mains.lost", "mains") in play.state.faults
    play.put(SensorRead(2.0, "plug", {"power_w": 0.0, "voltage_v": 230.0}))
    assert ("mains.lost", "mains") not in play.state.faults


def pause(play: Play, seconds: float) -> None:
    """Time jumps ahead; nothing is looked at in between."""
    play.put_late(play.now + seconds, PauseSkipped(play.now, seconds))


def test_nobody_has_stayed_and_no_sensor_is_stuck_for_a_pause_that_nobody_watched() -> None:
    play = begin(rules=HOUSE)
    for n in range(30):
        play.put(MotionChanged(20.0 * n, n % 2 == 1))
    assert play.state.presence.claim is Inside.OCCUPIED
    pause(play, 9000.0)
    play.put(MotionChanged(play.now + 1.0, False))
    play.put(MotionChanged(play.now + 1.0, True))
    assert play.state.welfare.check is None
    pause(play, 9000.0)
    play.wait(120.0)
    assert not play.state.faults
