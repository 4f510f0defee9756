"""The whole agent as a process of its own that can be visited: its simulated door is pushed from outside.

`python -m tests.system.visited SETTINGS` runs it as `station run` does, and obeys one word a line on standard input:
`push` and `release`, answered by a line `open` or `shut`, and `clock SECONDS`, which sets its wall clock, by `set`.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from agent.app import App, build, settle_interpreter
from agent.control.client import ControlClient
from agent.settings import load_settings
from tests.system.stations import AgentProcess, MovableClock, eventually


class VisitedStation(AgentProcess):
    """See the module. One thread visits; the rest is safe from every thread."""

    def __init__(self, settings_path: Path, environment: Mapping[str, str] | None = None) -> None:
        settings = load_settings(settings_path)
        self.state = settings.state.directory
        self._ordering = threading.Lock()
        self.client = ControlClient(settings.control.socket, timeout_s=5.0)
        self.log_path = settings_path.with_suffix(".log")
        with self.log_path.open("ab") as log:
            command = [sys.executable, "-m", "tests.system.visited", str(settings_path)]
            surroundings = {**os.environ, **(environment or {})}
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=surroundings
            )

    def kill(self) -> None:
        super().kill()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):  # an order that was never read is written out once more
                pipe.close()

    def status(self) -> dict[str, Any]:
        return self.client.request("status")

    def faults(self) -> set[tuple[str, str]]:
        return {(each["code"], each["where"]) for each in self.status()["parts"]["health"]["faults"]}

    def let_somebody_in(self) -> float:
        """Opened from afar, somebody goes through; returns how long the answer took, s.

        Raises OSError or ControlError when the agent dies in between.
        """
        began = time.monotonic()
        self.client.request("door.unlock")
        answered_s = time.monotonic() - began
        assert self._obey("push") == "open"
        eventually(lambda: self._door("contact") == "open", "the door opens")
        assert self._obey("release") == "shut"
        eventually(lambda: self._door("lock") == "secured", "the door relocks")
        return answered_s

    def _door(self, part: str) -> object:
        return self.status()["parts"]["door"][part]

    def move_clock(self, seconds: float) -> None:
        """Set its wall clock forward, or back."""
        assert self._obey(f"clock {seconds}") == "set"

    def _obey(self, order: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with self._ordering:
            self.process.stdin.write(f"{order}\n".encode())
            self.process.stdin.flush()
            answer = self.process.stdout.readline().decode().strip()
        if not answer:
            raise ConnectionError("the agent is dead")
        return answer


def _obey(app: App, clock: MovableClock) -> None:
    assert app.hardware.simulated is not None
    door = app.hardware.simulated.door
    for line in sys.stdin:
        match line.split():
            case ["push"]:
                answer = "open" if door.push() else "shut"
            case ["clock", seconds]:
                clock.move(timedelta(seconds=float(seconds)))
                answer = "set"
            case _:
                door.let_go()
                answer = "shut"
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


def _main() -> int:
    clock = MovableClock()
    with build(load_settings(Path(sys.argv[1])), clock) as app:
        settle_interpreter()
        threading.Thread(target=_obey, args=(app, clock), name="door", daemon=True).start()
        return app.run()


if __name__ == "__main__":
    sys.exit(_main())
