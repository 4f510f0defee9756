"""A whole station in mode `challenge`: who turns the head as the light and the tone say comes in, and nothing else."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import pytest

from agent.demo.portraits import find_portraits
from agent.events import PauseSkipped
from drivers.simulated.rider import Kind, Movement
from tests.system.stations import Station, eventually, running, write_settings

MEMBER = "rider-4293"  # by this name Collins stands so still that she never seems to turn when she does not
ASKED: dict[str, Movement] = {"look_left": "left", "look_right": "right"}
OTHER: dict[Movement, Movement] = {"left": "right", "right": "left"}
Holder = Literal["obeys", "turns the other way", "does nothing"]


@contextmanager
def challenging(folder: Path) -> Iterator[Station]:
    settings = write_settings(folder, {"vision": {"enabled": True}, "liveness": {"mode": "challenge"}})
    collins = find_portraits()["collins"]
    with running(settings, {MEMBER: collins}) as station:
        await_vision(station)
        station.enrol("m-1", collins)
        yield station


@pytest.fixture(scope="module")
def running_station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    with challenging(tmp_path_factory.mktemp("challenge")) as station:
        yield station


@pytest.fixture
def station(running_station: Station) -> Iterator[Station]:
    """Nobody stands there, and nobody has to wait for what was before."""
    yield running_station
    running_station.parts.stage.clear()
    eventually(lambda: not running_station.parts.door.is_released, "the door relocks")
    skip(running_station)


def skip(station: Station) -> None:
    """Let an hour pass."""
    station.app.inbox.post(PauseSkipped(station.app.clock.now(), 3600.0))


def await_vision(station: Station) -> None:
    eventually(lambda: station.status()["parts"]["health"]["vision"] == "running", "vision runs", 60)


def log_of(station: Station, kind: str) -> list[dict[str, Any]]:
    path = station.settings.state.directory / "station.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT body FROM log WHERE type = ? ORDER BY epoch, sequence", [f"station.{kind}"])
        return [json.loads(body) if body else {} for (body,) in rows]


def asked(station: Station) -> list[Movement]:
    """What light and tone have asked for so far."""
    return [ASKED[pattern] for _, pattern in list(station.parts.indicator.shown) if pattern in ASKED]


@contextmanager
def somebody(station: Station, kind: Kind, holder: Holder) -> Iterator[None]:
    """Somebody comes to the door, or holds a picture up, and watches the light; see `drivers.simulated.rider`."""
    before, over = len(asked(station)), threading.Event()

    def watch() -> None:
        done = before
        while not over.wait(0.02):
            for movement in asked(station)[done:]:
                done += 1
                if holder != "does nothing":
                    station.parts.stage.turn(movement if holder == "obeys" else OTHER[movement])

    station.parts.stage.show(MEMBER, kind)
    thread = threading.Thread(target=watch, name="rider")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_rider_who_turns_the_head_as_asked_comes_in(station: Station) -> None:
    before, refusals = len(asked(station)), [len(log_of(station, "access.refused"))]

    def is_open() -> bool:
        if station.parts.door.is_released:
            return True
        if len(log_of(station, "access.refused")) > refusals[-1]:  # a busy machine sees too few frames of a turn
            refusals.append(len(log_of(station, "access.refused")))
            skip(station)
        return False

    with somebody(station, "rider", "obeys"):
        eventually(is_open, "the door opens", 120)
    assert len(asked(station)) > before
    came_in = {"way": "face", "member": "m-1"}
    eventually(lambda: log_of(station, "access.granted") == [came_in], "it is logged")


@pytest.mark.parametrize(
    ("kind", "holder"),
    [
        ("rider", "does nothing"),
        ("print", "does nothing"),
        ("replay", "does nothing"),
        ("replay", "turns the other way"),
    ],
)
def test_who_does_not_turn_as_asked_stays_outside(station: Station, kind: Kind, holder: Holder) -> None:
    granted, refused = len(log_of(station, "access.granted")), len(log_of(station, "access.refused"))
    with somebody(station, kind, holder):
        eventually(lambda: len(log_of(station, "access.refused")) > refused, "a refusal", 60)
        assert not station.parts.door.is_released
    reasons = {each["reason"] for each in log_of(station, "access.refused")[refused:]}
    assert reasons <= {"not_turned", "turned_wrong_way", "turned_too_early", "face_changed", "not_live"}
    assert len(log_of(station, "access.granted")) == granted


def test_a_vision_that_dies_while_somebody_is_asked_lets_nobody_in(tmp_path: Path) -> None:
    others = vision_pids()
    with challenging(tmp_path) as station:
        (pid,) = vision_pids() - others
        with somebody(station, "rider", "obeys"):
            eventually(lambda: len(asked(station)) == 1, "somebody is asked", 60)
            os.kill(pid, signal.SIGKILL)
            eventually(lambda: ("vision.stopped", "vision") in station.faults(), "vision's end is noticed")
        # Nobody obeys any more: whatever was begun before must not open the door when vision is back.
        await_vision(station)
        skip(station)
        eventually(lambda: len(asked(station)) == 2, "somebody is asked anew, after a rest", 60)
        assert not station.parts.door.is_released
        assert log_of(station, "access.granted") == []


def vision_pids() -> set[int]:
    """The vision children of this process."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread or a child that ends meanwhile
            for pid in (task / "children").read_text().split():
                if b"agent.vision" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.add(int(pid))
    return found
