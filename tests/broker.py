"""A real mosquitto on a free loopback port, for every test that needs a broker."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

START_S = 10.0


def find_mosquitto() -> str:
    """The program; skips the test where it is missing, and fails there in CI."""
    found = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        message = "mosquitto is not installed: apt-get install mosquitto"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Mosquitto:
    """One broker that keeps its port, so that it can be stopped and started again. `settings`: lines of its file.

    `is_verbose`: its log names every packet, which costs it time.
    """

    def __init__(
        self, folder: Path, settings: tuple[str, ...] = ("allow_anonymous true",), *, is_verbose: bool = True
    ) -> None:
        self._program = find_mosquitto()
        self._folder = folder
        self.port = free_port()
        self._settings = settings
        self._is_verbose = is_verbose
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        config = self._folder / "mosquitto.conf"
        # As root mosquitto would become a user who may not write into the folder of the test.
        user = ("user root",) if os.geteuid() == 0 else ()
        lines = (f"listener {self.port} 127.0.0.1", *user, *self._settings)
        config.write_text("\n".join(lines) + "\n")
        with (self._folder / "mosquitto.log").open("ab") as log:
            command = [self._program, "-c", str(config), *(("-v",) if self._is_verbose else ())]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while not self._answers():
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    def add(self, *settings: str) -> None:
        """Further lines of its file, from its next start on."""
        self._settings += settings

    def stop(self) -> None:
        """SIGTERM: it writes its database where it has one. Nothing happens when it does not run."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """It neither answers nor closes anything, as at the other end of a cut network."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def log(self) -> str:
        return (self._folder / "mosquitto.log").read_text(errors="replace")

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.send_signal(how)
        self._process.wait(START_S)
        self._process = None
