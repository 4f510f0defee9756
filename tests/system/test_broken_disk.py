"""A disk that cannot be written, or hangs: the door opens, and the log has everything once that is over."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.control.client import ControlError
from agent.core import turn
from agent.storage import late
from agent.storage.chain import Position
from agent.storage.database import open_readonly
from agent.storage.head import Head, read_head
from agent.storage.log import read_after, verify
from tests.system.stations import PATIENCE_S, Station, eventually, running, write_settings

FAULT = ("storage.failed", "storage")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks is told sooner that the disk does not write, and it is tried more often."""
    monkeypatch.setattr(turn, "DISK_PATIENCE_S", 1.0)
    monkeypatch.setattr(late, "_LAST_RETRY_S", 1.0)


@pytest.fixture
def state_on_a_full_disk(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """The state directory, and the file that takes all the room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(disk)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root with the right to mount")
    (disk / "state").mkdir()
    with (disk / "ballast").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            pass
    yield disk / "state", disk / "ballast"
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_start_on_a_full_disk_opens_the_door_and_the_log_has_everything_later(
    tmp_path: Path, state_on_a_full_disk: tuple[Path, Path]
) -> None:
    state, ballast = state_on_a_full_disk
    _play(write_settings(tmp_path, {"state": {"directory": str(state)}}), state, ballast.unlink)


def test_a_state_directory_that_cannot_be_made_is_a_fault_and_the_door_works(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.touch()  # something else has taken its place
    _play(write_settings(tmp_path), state, state.unlink)


def test_the_agent_ends_in_time_though_the_disk_and_the_broker_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Head.write
    is_hanging, may_go_on = threading.Event(), threading.Event()

    def hang(head: Head, position: Position) -> None:
        if is_hanging.is_set():
            may_go_on.wait(PATIENCE_S)
        write(head, position)

    monkeypatch.setattr(Head, "write", hang)
    with socket.create_server(("127.0.0.1", 0)) as silent_broker:
        mqtt = {"enabled": True, "host": "127.0.0.1", "port": silent_broker.getsockname()[1]}
        with running(write_settings(tmp_path, {"mqtt": mqtt})) as station:
            is_hanging.set()
            refusal = Refusal(station, "door.unlock")
            eventually(lambda: station.parts.door.is_released, "the door opens")
            assert refusal.text()
            began = time.monotonic()
        took_s = time.monotonic() - began
    may_go_on.set()
    assert took_s < 2.0


def _play(settings: Path, state: Path, make_room: Callable[[], object]) -> None:
    with running(settings) as station:
        eventually(lambda: FAULT in station.faults(), "the fault is shown")
        refusal = Refusal(station, "door.unlock")
        eventually(lambda: station.parts.door.is_released, "the door opens")
        assert station.parts.door.push(), "it is open before anything is on the disk"
        eventually(lambda: station.status()["parts"]["door"]["contact"] == "open", "somebody comes in")
        station.parts.door.let_go()
        assert "the log entry is not on the disk yet" in refusal.text()
        status = station.status()
        assert status["parts"]["health"]["storage"] == "failed"
        assert status["log"] == {"epoch": 0, "sequence": 0}
        assert status["parts"]["occupancy"]["count"] == 1

        make_room()
        eventually(lambda: FAULT not in station.faults(), "the fault is over")
        assert station.client.request("door.unlock")["epoch"] == 1
        (visit,) = station.client.request("visits.list")["rows"]
        assert (visit["entered_epoch"], visit["left_at_utc"]) == (1, None)

    with closing(open_readonly(state / "station.db")) as database:
        assert verify(database, read_head(state / "head")).first_break is None
        types = [each.type for each in read_after(database, 0, 0, 1000)]
    assert types[:2] == ["station.log.epoch_began", "station.started"]
    assert types.count("station.control.done") == 2
    assert types.count("station.visit.entered") == 1
    assert types.index("station.fault.raised") < types.index("station.control.done")
    assert types.index("station.control.done") < types.index("station.fault.cleared")
    assert types[-1] == "station.stopping"


class Refusal:
    """A request under way that will be refused."""

    def __init__(self, station: Station, action: str) -> None:
        self._station = station
        self._action = action
        self._text = ""
        self._thread = threading.Thread(target=self._ask, name="asking")
        self._thread.start()

    def _ask(self) -> None:
        try:
            self._station.client.request(self._action)
        except ControlError as error:
            self._text = str(error)

    def text(self) -> str:
        """What it was refused with, once it was."""
        self._thread.join(PATIENCE_S)
        return self._text
