"""How the agent ends: quickly, with the lock in its safe state and everything written."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from agent.app import build
from agent.clock import SystemClock
from agent.events import WorkerFailed
from agent.settings import load_settings
from agent.storage.database import open_readonly
from agent.storage.log import read_after, verify
from tests.broker import free_port
from tests.system.stations import AgentProcess, running, write_settings


def test_sigterm_ends_in_under_two_seconds_with_the_log_written(tmp_path: Path) -> None:
    # A broker that is not there and a child that loads: the slowest things to end.
    mqtt = {"enabled": True, "host": "127.0.0.1", "port": free_port()}
    agent = AgentProcess(write_settings(tmp_path, {"mqtt": mqtt, "vision": {"enabled": True}}))
    agent.await_ready()
    told = agent.client.request("door.unlock")
    began = time.monotonic()
    agent.process.send_signal(signal.SIGTERM)
    code = agent.process.wait(10)
    took_s = time.monotonic() - began
    assert code == 0, agent.log_path.read_text()
    assert took_s < 2.0
    database = open_readonly(tmp_path / "state" / "station.db")
    entries = read_after(database, 0, 0, 1000)
    assert verify(database).first_break is None
    database.close()
    assert entries[-1].type == "station.stopping"
    assert (told["epoch"], told["sequence"]) in {(each.epoch, each.sequence) for each in entries}


@pytest.mark.parametrize("kind", ["fail_secure", "fail_safe"])
def test_the_lock_is_without_current_once_the_agent_has_ended(tmp_path: Path, kind: str) -> None:
    with running(write_settings(tmp_path, {"lock": {"kind": kind}})) as station:
        station.client.request("door.unlock")
        lock = station.parts.door._lock
        assert lock.has_current is (kind == "fail_secure")
    assert lock.has_current is False


def test_a_dead_worker_ends_the_agent_with_an_error(tmp_path: Path) -> None:
    settings = load_settings(write_settings(tmp_path))
    with build(settings, SystemClock()) as app:
        app.inbox.post(WorkerFailed(app.clock.now(), "a worker", "it died"))
        assert app.run() == 1
