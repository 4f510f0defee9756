"""A whole station for the tests: the agent inside this process, or as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from agent.app import App, build
from agent.clock import Clock, SkippingClock, WallTime
from agent.control.client import ControlClient, ControlError
from agent.hardware import SimulatedParts
from agent.settings import Settings, load_settings
from agent.vision.protocol import SimulatedPortrait

STATION = "test-0001"
PATIENCE_S = 20.0  # only a failure waits so long


def write_settings(folder: Path, tables: Mapping[str, Mapping[str, Any]] | None = None) -> Path:
    """A settings file for simulated hardware in `folder`; `tables` adds to it or replaces keys."""
    chosen: dict[str, dict[str, Any]] = {
        "station": {"id": STATION},
        "state": {"directory": "state"},
        "hardware": {"simulated": True},
        "camera": {"source": "simulated"},
        "vision": {"enabled": False},
        "control": {"socket": "control.sock"},
        "enrolment": {"min_frames": 1},  # there is one public portrait of each person
    }
    for table, values in (tables or {}).items():
        chosen.setdefault(table, {}).update(values)
    lines: list[str] = []
    for table, values in chosen.items():
        lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items()), ""]
    path = folder / "station.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def eventually(condition: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {patience_s} s: {what}"
        time.sleep(0.01)


class Station:
    """The agent on a thread of this process, with its simulated door in reach."""

    def __init__(self, app: App, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self.client = ControlClient(settings.control.socket)

    @property
    def parts(self) -> SimulatedParts:
        assert self.app.hardware.simulated is not None
        return self.app.hardware.simulated

    def status(self) -> dict[str, Any]:
        return self.client.request("status")

    def faults(self) -> set[tuple[str, str]]:
        return {(each["code"], each["where"]) for each in self.status()["parts"]["health"]["faults"]}

    def consent(self) -> dict[str, Any]:
        """A consent to the text in force, given on paper."""
        text = self.client.request("consent.show", language="en")
        return {"version": text["version"], "language": "en", "how": "paper"}

    def enrol(self, member: str, photo: Path, name: str = "Somebody") -> dict[str, Any]:
        """The master enrols somebody who consented, from one photo."""
        consent, photos = self.consent(), [photo.read_bytes()]
        return self.client.request("members.enrol", id=member, name=name, photos=photos, consent=consent)

    def let_somebody_in(self) -> None:
        """The master opens from afar, and somebody goes through."""
        self.client.request("door.unlock")
        assert self.parts.door.push()
        eventually(lambda: self.status()["parts"]["door"]["contact"] == "open", "the door opens")
        self.parts.door.let_go()
        eventually(lambda: self.status()["parts"]["door"]["lock"] == "secured", "the door relocks")


class MovableClock(SkippingClock):
    """Its wall clock can be set, by hand or by a time source that is wrong; it is trusted all the while."""

    def __init__(self) -> None:
        super().__init__()
        self._moved = timedelta()

    def move(self, by: timedelta) -> None:
        self._moved += by

    def wall(self) -> WallTime:
        return WallTime(super().wall().utc + self._moved, is_trusted=True)


@contextmanager
def running(
    settings_path: Path, portraits: Mapping[str, Path] | None = None, clock: Clock | None = None
) -> Iterator[Station]:
    settings = load_settings(settings_path)
    shown = {name: SimulatedPortrait(path=str(path)) for name, path in (portraits or {}).items()}
    with build(settings, clock or SkippingClock(), shown) as app:
        thread = threading.Thread(target=app.run, name="deciding")
        thread.start()
        try:
            yield Station(app, settings)
        finally:
            app.end("the test is over")
            thread.join(PATIENCE_S)


def quick_restarts(settings_path: Path) -> dict[str, str]:
    """An environment in which the bytecode of one start serves the next, half of a start's time, whatever is around."""
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(settings_path.parent / "bytecode")}


class AgentProcess:
    """`station run` as a process of its own, by the file `settings_path`."""

    def __init__(self, settings_path: Path, environment: Mapping[str, str] | None = None) -> None:
        settings = load_settings(settings_path)
        self.client = ControlClient(settings.control.socket, timeout_s=5.0)
        self.log_path = settings_path.with_suffix(".log")
        with self.log_path.open("ab") as log:
            command = [sys.executable, "-m", "agent", "run", "--config", str(settings_path)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **(environment or {})})

    def await_ready(self, patience_s: float = PATIENCE_S) -> None:
        def answers() -> bool:
            assert self.process.poll() is None, self.log_path.read_text()
            try:
                self.client.request("status")
            except ControlError:
                return False
            return True

        eventually(answers, "the agent answers", patience_s)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_S)
