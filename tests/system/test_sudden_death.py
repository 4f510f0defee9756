"""kill -9 of the real agent at random moments: what another process was told is done, is done."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import pytest

from agent.control.client import ControlError
from agent.storage.database import open_readonly
from agent.storage.log import read_after, verify
from tests.system.stations import AgentProcess, write_settings

DEATHS = 50
SEED = 20261122


@pytest.mark.timeout(400)
def test_nothing_acknowledged_is_lost_when_the_agent_is_killed_at_any_moment(tmp_path: Path) -> None:
    settings = write_settings(tmp_path)
    delays = random.Random(SEED)
    told: set[tuple[int, int]] = set()
    for _ in range(DEATHS):
        agent = AgentProcess(settings)
        agent.await_ready()
        asking = [threading.Thread(target=_ask_until_dead, args=(agent, told)) for _ in range(3)]
        for thread in asking:
            thread.start()
        time.sleep(delays.uniform(0.0, 0.25))
        agent.kill()
        for thread in asking:
            thread.join()

    last = AgentProcess(settings)
    last.await_ready()
    last.kill()
    database = open_readonly(tmp_path / "state" / "station.db")
    try:
        kept = {(entry.epoch, entry.sequence) for entry in read_after(database, 0, 0, 1_000_000)}
        verification = verify(database)
    finally:
        database.close()
    assert len(told) > DEATHS, "too few requests came through for the test to mean anything"
    assert told <= kept
    assert verification.first_break is None, verification
    assert {epoch for epoch, _sequence in kept} == {1}, "no restart took the log for a restored backup"


def _ask_until_dead(agent: AgentProcess, told: set[tuple[int, int]]) -> None:
    while True:
        try:
            answer = agent.client.request("door.unlock")
        except ControlError:
            if agent.process.poll() is not None:
                return
            continue
        told.add((answer["epoch"], answer["sequence"]))
