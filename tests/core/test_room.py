"""The air in the room: what is shown of it, and what is not known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from agent.core.publication import REFRESH_S, parts
from agent.core.room import Source
from agent.events import DeviceFailed, DeviceRecovered, SensorRead
from agent.mqtt.payloads import encode, state_of
from tests.core.station_play import RULES, Play, begin, ready

AIR = {
    "temperature_c": Source("wall", 100.0),
    "humidity_percent": Source("wall", 100.0),
    "co2_ppm": Source("desk", 400.0),
}
ROOM = replace(RULES, sensors={"sensors.wall": "ds18b20", "sensors.desk": "iio"}, room=AIR)
NOTHING = {"temperature_c": None, "humidity_percent": None, "co2_ppm": None}


def shown(play: Play) -> Mapping[str, Any]:
    return parts(play.state, play.rules, play.now)["environment"]


def test_each_quantity_comes_from_the_sensor_that_is_named_for_it() -> None:
    play = begin(rules=ROOM)
    assert shown(play) == NOTHING

    play.put(SensorRead(1.0, "wall", {"temperature_c": 21.456, "humidity_percent": 44.0, "co2_ppm": 9999.0}))
    play.put(SensorRead(2.0, "desk", {"temperature_c": 3.0, "co2_ppm": 640.0}))
    assert shown(play) == {"temperature_c": 21.46, "humidity_percent": 44.0, "co2_ppm": 640.0}


def test_what_is_too_old_is_not_known() -> None:
    play = begin(rules=ROOM)
    play.put(SensorRead(1.0, "wall", {"temperature_c": 21.0, "humidity_percent": 44.0}))
    play.put(SensorRead(1.0, "desk", {"co2_ppm": 640.0}))
    play.now = 100.9
    assert shown(play)["temperature_c"] == 21.0
    play.now = 101.0
    assert shown(play) == {**NOTHING, "co2_ppm": 640.0}


def test_a_sensor_that_fails_says_nothing_until_it_is_read_again() -> None:
    play = begin(rules=ROOM)
    play.put(SensorRead(1.0, "wall", {"temperature_c": 21.0}))
    play.put(DeviceFailed(2.0, "sensors.wall", "unplugged"))
    assert shown(play) == NOTHING
    play.put(DeviceRecovered(3.0, "sensors.wall"))
    play.put(SensorRead(3.0, "wall", {"temperature_c": 20.0}))
    assert shown(play)["temperature_c"] == 20.0


@pytest.mark.parametrize(
    "said",
    [
        {"temperature_c": 85.0},  # a DS18B20 that has just lost its power
        {"temperature_c": math.nan},
        {"temperature_c": math.inf},
        {"humidity_percent": -3.0},
        {"humidity_percent": 130.0},
    ],
)
def test_what_cannot_be_is_not_known(said: dict[str, float]) -> None:
    play = begin(rules=ROOM)
    play.put(SensorRead(1.0, "wall", said))
    assert shown(play) == NOTHING


def test_air_that_seems_more_than_damp_is_damp() -> None:
    play = begin(rules=ROOM)
    play.put(SensorRead(1.0, "wall", {"humidity_percent": 102.0}))
    assert shown(play)["humidity_percent"] == 100.0


def test_a_station_that_measures_nothing_shows_no_air() -> None:
    play = begin()
    assert "environment" not in parts(play.state, play.rules, play.now)


def test_the_contract_takes_it_known_or_not() -> None:
    play = begin(rules=ROOM)
    for _ in range(2):
        encode(state_of("environment", shown(play), play.now, lambda _at: "2026-11-22T00:00:00Z"))
        play.put(SensorRead(1.0, "wall", {"temperature_c": 21.0, "humidity_percent": 102.0}))


def test_a_value_that_comes_or_goes_is_told_and_one_that_only_moves_waits_for_the_next_refresh() -> None:
    play = ready(rules=ROOM)
    play.connect()
    play.wait(REFRESH_S)
    play.take()

    play.put(SensorRead(play.now + 1.0, "wall", {"temperature_c": 21.0}))
    play.put(SensorRead(play.now + 1.0, "wall", {"temperature_c": 21.5}))
    assert [each["temperature_c"] for each in play.published("environment")] == [21.0]
    play.wait(REFRESH_S)
    assert play.published("environment")[-1]["temperature_c"] == 21.5
    play.put(DeviceFailed(play.now, "sensors.wall", "unplugged"))
    assert play.published("environment")[-1]["temperature_c"] is None
