"""What is missing or broken is shown, and the door goes on."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from agent.demo.portraits import find_portraits
from tests.broker import free_port
from tests.system.stations import Station, eventually, running, write_settings


def test_a_missing_camera_model_and_broker_are_faults_and_the_door_works(tmp_path: Path) -> None:
    tables: dict[str, dict[str, Any]] = {
        "camera": {"source": str(tmp_path / "no-such-camera")},
        "vision": {"enabled": True, "detector": "yunet", "models": str(tmp_path)},
        "mqtt": {"enabled": True, "host": "127.0.0.1", "port": free_port()},
    }
    with running(write_settings(tmp_path, tables)) as station:
        eventually(
            lambda: {("vision.stopped", "vision"), ("broker.disconnected", "mqtt")} <= station.faults(), "faults"
        )
        station.let_somebody_in()
        assert station.status()["parts"]["occupancy"]["count"] == 1


def test_a_camera_that_is_not_there_is_a_fault_until_it_is(tmp_path: Path) -> None:
    with running(write_settings(tmp_path, {"vision": {"enabled": True}}), find_portraits()) as station:
        _await_vision(station)
        station.parts.stage.fail("unplug")
        eventually(lambda: ("camera.failed", "camera") in station.faults(), "the fault is shown")
        station.let_somebody_in()
        station.parts.stage.clear()
        eventually(lambda: ("camera.failed", "camera") not in station.faults(), "it is over")


def test_a_dead_vision_child_is_started_again_and_knows_the_members(tmp_path: Path) -> None:
    portraits = find_portraits()
    with running(write_settings(tmp_path, {"vision": {"enabled": True}}), portraits) as station:
        _await_vision(station)
        station.enrol("m-1", portraits["collins"])
        os.kill(_child_of_this_process(), signal.SIGKILL)
        eventually(lambda: ("vision.stopped", "vision") in station.faults(), "the fault is shown")
        _await_vision(station)
        station.parts.stage.show("collins")
        eventually(lambda: station.parts.door.is_released, "the door opens")


def _await_vision(station: Station) -> None:
    eventually(lambda: station.status()["parts"]["health"]["vision"] == "running", "vision runs", 60)


def _child_of_this_process() -> int:
    """The only process that this one has started and that looks through a camera."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().split(b"\0")
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == os.getpid() and b"agent.vision" in command:
                return int(entry.name)
    raise AssertionError("no vision child runs")
