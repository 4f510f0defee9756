"""The whole agent against a real mosquitto: nothing is lost while the broker is away."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.fleet.watch import Watcher
from agent.mqtt.backoff import Backoff
from agent.mqtt.client import Broker
from agent.mqtt.payloads import DoorState, OccupancyState
from agent.storage.database import open_readonly
from agent.storage.log import read_after
from tests.broker import Mosquitto
from tests.system.stations import PATIENCE_S, STATION, eventually, running, write_settings

AT_ONCE = Backoff(first_s=0.05, longest_s=0.2, least_s=0.02)


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_visits_made_while_the_broker_is_away_arrive_in_order_and_whole(tmp_path: Path, version: str) -> None:
    broker = Mosquitto(tmp_path)
    broker.start()
    mqtt = {"enabled": True, "host": "127.0.0.1", "port": broker.port, "version": version}
    settings = write_settings(tmp_path, {"mqtt": mqtt})
    watcher = Watcher(Broker("127.0.0.1", broker.port), backoff=AT_ONCE)
    watcher.start()
    try:
        with running(settings) as station:
            station.let_somebody_in()
            assert watcher.wait_for(lambda each: _visits(each) == 1, PATIENCE_S)

            broker.stop()
            eventually(lambda: ("broker.disconnected", "mqtt") in station.faults(), "the outage is shown")
            for _ in range(5):
                station.let_somebody_in()
            assert station.status()["parts"]["occupancy"]["count"] == 6
            broker.start()

            assert watcher.wait_for(lambda each: _visits(each) == 6, PATIENCE_S)
            written = station.status()["log"]["sequence"]
            assert watcher.wait_for(lambda each: len(each.entries(STATION)) >= written, PATIENCE_S)
            eventually(lambda: ("broker.disconnected", "mqtt") not in station.faults(), "the outage is over")
            assert watcher.wait_for(_shows_six_inside, PATIENCE_S)
            door = watcher.state(STATION, "door")
            assert isinstance(door, DoorState)
            assert door.lock == "secured"
            state = station.settings.state.directory
            entries = [event for event in watcher.entries(STATION) if int(event.sequence) <= written]
    finally:
        watcher.close()
        broker.stop()

    database = open_readonly(state / "station.db")
    logged = read_after(database, 0, 0, 1000)
    database.close()
    received = [(event.epoch, int(event.sequence), event.hash) for event in entries]
    assert received == sorted(received), "they came in order"
    assert received == [(each.epoch, each.sequence, each.hash) for each in logged[: len(received)]]
    assert watcher.audit(STATION).is_whole
    assert watcher.complaints() == ()


def _visits(watcher: Watcher) -> int:
    return sum(event.type == "station.visit.entered" for event in watcher.entries(STATION))


def _shows_six_inside(watcher: Watcher) -> bool:
    state = watcher.state(STATION, "occupancy")
    return isinstance(state, OccupancyState) and state.count == 6
