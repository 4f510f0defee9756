"""The disk fills up under a running station: the door goes on, readings are dropped first, and all that is counted."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent.clock import SkippingClock
from agent.control.client import ControlError
from agent.core import turn
from agent.events import PauseSkipped
from agent.fleet.watch import Watcher
from agent.mqtt.client import Broker
from agent.storage import orders, space, worker
from agent.storage.space import RESERVE_FILE
from tests.broker import Mosquitto
from tests.storage.conftest import fill
from tests.system.delivered import assert_delivered
from tests.system.stations import PATIENCE_S, STATION, Station, eventually, running, write_settings

KIB = 1024
LOW, FAILED = ("storage.low", "storage"), ("storage.failed", "storage")
WAITING = 40  # entries at the most; from half of it on readings are dropped
ROUNDS, ASKING = 3, 4  # two entries for each who asks


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state directory on a disk of 4 MiB, with bounds in proportion to it."""
    monkeypatch.setattr(space, "RESERVE_BYTES", 512 * KIB)
    monkeypatch.setattr(space, "STEP_BYTES", 64 * KIB)
    monkeypatch.setattr(space, "READINGS_BYTES", 256 * KIB)
    monkeypatch.setattr(space, "LOW_BYTES", 768 * KIB)
    monkeypatch.setattr(space, "_MARGIN_BYTES", 64 * KIB)
    monkeypatch.setattr(worker, "_SPACE_S", 0.1)
    monkeypatch.setattr(worker, "_LAST_RETRY_S", 0.5)
    monkeypatch.setattr(orders, "WAITING_ORDERS", WAITING)
    monkeypatch.setattr(turn, "DISK_PATIENCE_S", 0.5)
    state = tmp_path / "state"
    state.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(state)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root with the right to mount")
    yield state
    subprocess.run(["umount", "-l", str(state)], check=True)


def test_a_disk_that_fills_up_keeps_no_door_shut_and_what_it_costs_is_said(tmp_path: Path, state: Path) -> None:
    broker = Mosquitto(tmp_path)
    broker.start()
    tables: dict[str, dict[str, Any]] = {
        "mqtt": {"enabled": True, "host": "127.0.0.1", "port": broker.port},
        "readings": {"publish_interval_s": 60},
        "sensors.oven": {"driver": "simulated", "interval_s": 0.2},
        "appliances.oven": {"kind": "microwave", "power": "oven"},
    }
    with closing(Watcher(Broker("127.0.0.1", broker.port))) as watcher:
        try:
            watcher.start()
            with running(write_settings(tmp_path, tables)) as station:
                eventually(lambda: station.status()["broker"]["connected"], "the link is up")
                eventually((state / RESERVE_FILE).exists, "the reserve is made")
                assert not {LOW, FAILED} & station.faults()
                ballast = [fill(state)]
                _go_on_with_the_reserve(station, watcher)
                (state / RESERVE_FILE).unlink(missing_ok=True)
                ballast.append(fill(_made(state / "more")))
                _go_on_without_it(station)
                for each in ballast:
                    each.unlink()
                eventually(lambda: not {LOW, FAILED} & station.faults(), "both faults are over")
                assert station.client.request("door.unlock")["epoch"] == 1
                _let_readings_go_out(station, watcher)
                assert_delivered(watcher, state)
        finally:
            broker.stop()
    said = [each.data for each in watcher.entries(STATION) if each.type == "station.log.entries_lost"]
    assert sum(_number(each, "readings") for each in said) > 0
    assert [_number(each, "entries") for each in said] == [0] * len(said), "readings went first, and no entry did"
    assert sum(batch.lost for batch in watcher.readings(STATION)) > 0


def _go_on_with_the_reserve(station: Station, watcher: Watcher) -> None:
    for _ in range(3):
        station.let_somebody_in()
    eventually(lambda: LOW in station.faults(), "people are told")
    assert FAILED not in station.faults()
    eventually(lambda: _visits(watcher) == 3, "the server hears of visits while the disk is full")


def _go_on_without_it(station: Station) -> None:
    """The door opens for everybody; so many entries wait that readings give way."""
    for _ in range(ROUNDS):
        asking = [threading.Thread(target=_ask, args=(station,)) for _ in range(ASKING)]
        for thread in asking:
            thread.start()
        eventually(lambda: station.parts.door.is_released, "the door opens")
        for thread in asking:
            thread.join(PATIENCE_S)
    assert FAILED in station.faults()
    for power_w, state in ((900.0, "running"), (0.0, "off")):  # the meter is read several times meanwhile
        station.parts.sensors.meters["oven"].set_power(power_w)
        eventually(lambda state=state: _oven(station) == state, f"the oven is {state}")  # type: ignore[misc]
    assert station.parts.door.push(), "and is open before anything is on the disk"
    eventually(lambda: station.status()["parts"]["door"]["contact"] == "open", "somebody comes in")
    station.parts.door.let_go()


def _ask(station: Station) -> None:
    with pytest.raises(ControlError, match="not on the disk"):
        station.client.request("door.unlock")


def _let_readings_go_out(station: Station, watcher: Watcher) -> None:
    """Their minute, and the interval of publishing, are over."""
    clock = station.app.clock
    assert isinstance(clock, SkippingClock)
    for seconds in (61.0, 61.0, 61.0):
        station.app.inbox.post(PauseSkipped(clock.now(), seconds))
        time.sleep(0.5)
    eventually(lambda: bool(watcher.readings(STATION)), "readings arrive")


def _oven(station: Station) -> str:
    return str(station.status()["parts"]["appliances/oven"]["state"])


def _visits(watcher: Watcher) -> int:
    return sum(each.type == "station.visit.entered" for each in watcher.entries(STATION))


def _number(body: dict[str, Any] | None, key: str) -> int:
    assert body is not None
    return int(body[key])


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
