"""The wall clock is set a day forward or back while the station runs: nothing is lost, no rule takes it for a day."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.core import hours
from agent.fleet.watch import Watcher
from agent.mqtt.backoff import Backoff
from agent.mqtt.client import Broker
from tests.broker import Mosquitto
from tests.system.delivered import assert_delivered
from tests.system.stations import PATIENCE_S, STATION, MovableClock, Station, eventually, running, write_settings

DAY = timedelta(days=1)
UNLOCK_S = 1.5
AT_ONCE = Backoff(first_s=0.05, longest_s=0.2, least_s=0.02)
TABLES: dict[str, dict[str, Any]] = {
    "door": {"unlock_s": UNLOCK_S},
    "visits": {"limit_h": 12},
    "sensors.oven": {"driver": "simulated", "interval_s": 0.2},
    "appliances.oven": {"kind": "microwave", "power": "oven"},
    "supplies.water": {"minimum": 1, "check_every_days": 2},
}
# What these stations do when nobody touches the clock.
EXPECTED = {
    "station.log.epoch_began",
    "station.started",
    "station.control.done",
    "station.access.granted",
    "station.access.not_taken",
    "station.visit.entered",
    "station.appliance.changed",
    "station.supply.checked",
    "station.fault.raised",
    "station.fault.cleared",
    "station.stopping",
}


@pytest.fixture(autouse=True)
def seen_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules look at the clock all the time, so that whatever they would do shows."""
    monkeypatch.setattr(hours, "READ_EVERY_S", 0.1)


@contextmanager
def watched(folder: Path) -> Iterator[tuple[Station, MovableClock, Mosquitto, Watcher]]:
    # The subscriber's place is kept while the broker is away: the station may be back there before it.
    broker = Mosquitto(folder, ("allow_anonymous true", "persistence true", f"persistence_location {folder}/"))
    broker.start()
    clock = MovableClock()
    mqtt = {"enabled": True, "host": "127.0.0.1", "port": broker.port, "reconnect_s_max": 1}
    watcher = Watcher(Broker("127.0.0.1", broker.port), client_id="server", backoff=AT_ONCE)
    try:
        watcher.start()
        with running(write_settings(folder, {**TABLES, "mqtt": mqtt}), clock=clock) as station:
            eventually(lambda: station.status()["broker"]["connected"], "the link is up")
            yield station, clock, broker, watcher
            assert_delivered(watcher, station.settings.state.directory)
    finally:
        watcher.close()
        broker.stop()


@pytest.mark.parametrize("moves", [(DAY, -DAY), (-DAY, DAY), (-DAY, -DAY)], ids=["forth", "back", "twice back"])
def test_a_clock_that_is_set_a_day_off_loses_nothing_and_triggers_nothing(
    tmp_path: Path, moves: tuple[timedelta, ...]
) -> None:
    with watched(tmp_path) as (station, clock, broker, watcher):
        station.parts.sensors.meters["oven"].set_power(900.0)
        eventually(lambda: shown(station, "appliances/oven")["state"] == "running", "the oven runs")
        station.client.request("supplies.check", supply="water", quantity=5)
        station.let_somebody_in()
        faults, before = station.faults(), shown(station, "appliances/oven")
        for number, by in enumerate(moves):
            released_s = relocks_after(station, lambda by=by: clock.move(by))  # type: ignore[misc]
            assert UNLOCK_S - 0.5 < released_s < PATIENCE_S  # neither at once nor a day later
            eventually(lambda: is_seen(station, clock), "the rules have seen it")
            station.let_somebody_in()
            assert station.faults() == faults
            assert shown(station, "occupancy")["count"] == 2 + number
            assert shown(station, "appliances/oven")["since"] == before["since"]
            assert shown(station, "appliances/oven")["faults"] == []

        broker.stop()  # and once more while entries wait
        station.let_somebody_in()
        clock.move(moves[0])
        station.let_somebody_in()
        broker.start()
    entries = watcher.entries(STATION)
    assert [int(each.sequence) for each in entries] == list(range(1, len(entries) + 1))
    assert {each.type for each in entries} <= EXPECTED
    assert not [each for each in entries if each.historical], "none was a minute old as it was sent"
    assert max(each.time for each in entries) > min(each.time for each in entries)


def shown(station: Station, part: str) -> dict[str, Any]:
    return dict(station.status()["parts"][part])


def is_seen(station: Station, clock: MovableClock) -> bool:
    state = station.app.loop.state
    assert state is not None
    return state.clock is not None and abs(clock.wall().utc - state.clock.utc) < timedelta(seconds=5)


def relocks_after(station: Station, meanwhile: Callable[[], None]) -> float:
    """How long a door that nobody pushes is released, s."""
    station.client.request("door.unlock")
    began = time.monotonic()
    meanwhile()
    eventually(lambda: station.status()["parts"]["door"]["lock"] == "secured", "the door relocks")
    return time.monotonic() - began
