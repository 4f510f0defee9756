"""Fire, break glass and opening hours in a whole agent: from the simulated wire to the simulated lock."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.control.client import ControlError
from agent.core.schedule import Admission
from agent.hardware import signals_of
from agent.rules import rules_of
from agent.settings import load_settings
from tests.system.stations import Station, eventually, running, write_settings

FITTED: Mapping[str, Mapping[str, Any]] = {
    "fire": {"fitted": True},
    "emergency": {"enabled": True},
    "tamper": {"fitted": True},
    "bolt": {"fitted": True, "secured_when": "high"},
}


def mode(station: Station) -> str:
    return str(station.status()["parts"]["door"]["mode"])


def test_fire_and_the_break_glass_release_a_locked_down_door(tmp_path: Path) -> None:
    with running(write_settings(tmp_path, {**FITTED, "lock": {"kind": "fail_safe"}})) as station:
        station.client.request("door.lock_down")
        assert not station.parts.door.is_released
        for name, expected in (("emergency", "emergency"), ("fire", "released_by_fire")):
            station.parts.signals[name].begin()
            eventually(lambda expected=expected: mode(station) == expected, name)  # type: ignore[misc]
            assert station.parts.door.is_released
        station.parts.signals["fire"].end()
        eventually(lambda: mode(station) == "emergency", "the emergency goes on")
        station.parts.signals["emergency"].end()
        eventually(lambda: mode(station) == "locked_down", "the lock-down holds again")
        eventually(lambda: not station.parts.door.is_released, "the door is locked")


def test_a_station_with_hours_goes_by_them_and_says_so(tmp_path: Path) -> None:
    hours = {"every_day": ["24h open"], "untrusted_clock": "schedule"}
    with running(write_settings(tmp_path, {"schedule": hours})) as station:
        eventually(lambda: mode(station) == "unlocked", "the opening hours begin")
        assert station.parts.door.is_released
        assert station.status()["parts"]["door"]["admission"] == "open"
        station.client.request("door.block")
        eventually(lambda: not station.parts.door.is_released, "the order goes before the hours")


def test_an_emergency_is_off_unless_the_settings_offer_it(tmp_path: Path) -> None:
    with running(write_settings(tmp_path)) as station:
        assert dict(station.parts.signals) == {}
        with pytest.raises(ControlError, match="offers no emergency"):
            station.client.request("door.emergency")


def test_the_settings_name_the_signals_and_their_levels(tmp_path: Path) -> None:
    settings = load_settings(write_settings(tmp_path, {**FITTED, "fire": {"fitted": True, "pin": 9}}))
    assert signals_of(settings) == {
        "fire": (9, True),
        "emergency": (None, True),
        "tamper": (None, True),
        "bolt": (None, True),
    }


def test_the_door_times_of_the_settings_reach_the_rules(tmp_path: Path) -> None:
    door = {"unlock_s": 20.0, "open_alarm_s": 90.0, "relock_grace_ms": 400, "relock_delay_s": 0.5}
    rules = rules_of(load_settings(write_settings(tmp_path, {"door": door, "schedule": {"otherwise": "closed"}})))
    assert (rules.door.release_s, rules.door.extended_release_s) == (20.0, 20.0)
    assert (rules.door.open_alarm_s, rules.door.extended_open_alarm_s) == (90.0, 90.0)
    assert (rules.door.relock_grace_s, rules.door.relock_delay_s) == (0.4, 0.5)
    assert rules.schedule is not None
    assert rules.schedule.otherwise is Admission.CLOSED


def test_a_call_at_the_door_is_shown_until_it_is_answered(tmp_path: Path) -> None:
    with running(write_settings(tmp_path, {"call_button": {"fitted": True, "waits_s": 600.0}})) as station:
        station.parts.call_button.press()
        eventually(lambda: station.status()["parts"]["door"]["alarms"] == ["call"], "the call is shown")
        assert "called" in {pattern for _at, pattern in station.parts.indicator.shown}
        station.client.request("door.answer")
        assert station.status()["parts"]["door"]["alarms"] == []
        with pytest.raises(ControlError, match="Nobody at the door is calling"):
            station.client.request("door.answer")


def test_who_is_counted_while_the_door_is_held_open_is_inside(tmp_path: Path) -> None:
    with running(write_settings(tmp_path, {"counter": {"fitted": True}})) as station:
        station.client.request("door.hold_open")
        for _ in range(2):
            station.parts.counter.enter()
        station.parts.counter.turn_back()
        eventually(lambda: station.status()["parts"]["occupancy"]["count"] == 2, "two came in")
        station.parts.counter.leave()
        eventually(lambda: station.status()["parts"]["occupancy"]["count"] == 1, "one has left")
        station.parts.counter.block()
        eventually(lambda: "counter" in {each["where"] for each in faults(station)}, "a blocked beam is a fault")
        station.parts.counter.unblock()
        eventually(lambda: faults(station) == [], "and is over")


def faults(station: Station) -> list[Mapping[str, Any]]:
    return list(station.status()["parts"]["health"]["faults"])
