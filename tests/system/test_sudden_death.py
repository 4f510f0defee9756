"""kill -9 of the real agent at random moments: what another process was told is done, and the server has it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.control.client import ControlError
from agent.fleet.watch import Watcher
from agent.mqtt.backoff import Backoff
from agent.mqtt.client import Broker
from agent.storage.database import open_readonly
from agent.storage.head import read_head
from agent.storage.log import read_after, verify
from tests.broker import Mosquitto
from tests.system.delivered import GROWTH_BYTES, assert_delivered, resident_bytes
from tests.system.stations import AgentProcess, quick_restarts, write_settings

DEATHS = 100
IN_THE_START = 10  # of every so many, one comes while the agent opens its files or connects
SEED = 20261122
AT_ONCE = Backoff(first_s=0.05, longest_s=0.2, least_s=0.02)


@dataclass
class Lives:
    """What is known of all lives together. `published`: how many of them were publishing when they ended."""

    told: set[tuple[int, int]] = field(default_factory=set)
    published: int = 0
    resident: list[int] = field(default_factory=list)


@pytest.mark.timeout(600)
def test_nothing_acknowledged_is_lost_when_the_agent_is_killed_at_any_moment(tmp_path: Path) -> None:
    lives, moments = Lives(), random.Random(SEED)
    with _listening(tmp_path) as (settings, watcher):
        for number in range(DEATHS):
            _live(settings, watcher, lives, moments, is_short=number % IN_THE_START == IN_THE_START - 1)
        last = AgentProcess(settings, quick_restarts(settings))
        last.await_ready()
        delivery = assert_delivered(watcher, tmp_path / "state")
        last.kill()
    assert lives.published > DEATHS // 2, "too few were publishing when they were killed for the test to mean anything"
    assert delivery.duplicates > DEATHS, "what was in doubt was sent again"
    _assert_kept(tmp_path / "state", lives.told)
    # A process is new each time, but the log that it begins from is longer.
    first, later = sorted(lives.resident[:10]), sorted(lives.resident[-10:])
    assert later[5] - first[5] <= GROWTH_BYTES


@contextmanager
def _listening(folder: Path) -> Iterator[tuple[Path, Watcher]]:
    broker = Mosquitto(folder)
    broker.start()
    mqtt = {"enabled": True, "host": "127.0.0.1", "port": broker.port, "entries_per_s_max": 1000, "in_flight_max": 200}
    watcher = Watcher(Broker("127.0.0.1", broker.port), backoff=AT_ONCE)
    try:
        watcher.start()
        yield write_settings(folder, {"mqtt": mqtt}), watcher
    finally:
        watcher.close()
        broker.stop()


def _live(settings: Path, watcher: Watcher, lives: Lives, moments: random.Random, *, is_short: bool) -> None:
    """Start it, let three ask without pause, and kill it."""
    agent = AgentProcess(settings, quick_restarts(settings))
    if is_short:
        time.sleep(moments.uniform(0.0, 1.0))
        agent.kill()
        return
    agent.await_ready()
    asking = [threading.Thread(target=_ask_until_dead, args=(agent, lives.told)) for _ in range(3)]
    for thread in asking:
        thread.start()
    before = _arrived(watcher)
    time.sleep(moments.uniform(0.0, 0.4))
    lives.resident.append(resident_bytes(agent.process.pid))
    agent.kill()
    lives.published += _arrived(watcher) > before
    for thread in asking:
        thread.join()


def _ask_until_dead(agent: AgentProcess, told: set[tuple[int, int]]) -> None:
    while True:
        try:
            answer = agent.client.request("door.unlock")
        except ControlError:
            if agent.process.poll() is not None:
                return
            continue
        told.add((answer["epoch"], answer["sequence"]))


def _arrived(watcher: Watcher) -> int:
    """Messages of the log, also those that came again."""
    return len(watcher.entries()) + watcher.duplicates


def _assert_kept(state: Path, told: set[tuple[int, int]]) -> None:
    with closing(open_readonly(state / "station.db")) as database:
        kept = {(entry.epoch, entry.sequence) for entry in read_after(database, 0, 0, 1_000_000)}
        verification = verify(database, read_head(state / "head"))
    assert len(told) > DEATHS, "too few requests came through for the test to mean anything"
    assert told <= kept
    assert verification.first_break is None, verification
    assert {epoch for epoch, _sequence in kept} == {1}, "no restart took the log for a restored backup"
