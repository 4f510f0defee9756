"""Passes at the whole agent: read by the real vision child, and spent once whatever happens to the agent."""

from __future__ import annotations

import json
import random
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent import qr_codes
from agent.clock import SystemClock
from agent.control.client import ControlClient
from agent.core.passes import Pass, in_order, minute_of, station_digest
from agent.signatures import SigningKey, generate, sign
from tests.system.stations import PATIENCE_S, STATION, eventually, running, write_settings

KEY = generate(5)
DEATHS = 10
SEED = 20261122

# The real agent; it is shown the codes that come over its standard input, and says what its indicator shows. The wall
# clock may be set back by so many days.
PROGRAM = """
import sys
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from agent.app import build
from agent.clock import SystemClock
from agent.events import CodeSeen
from agent.settings import load_settings


class SetBack(SystemClock):
    def wall(self):
        wall = super().wall()
        return replace(wall, utc=wall.utc - timedelta(days=int(sys.argv[2])))


clock = SetBack()
with build(load_settings(Path(sys.argv[1])), clock) as app:
    indicator = app.hardware.simulated.indicator
    show = indicator.show

    def say(pattern):
        if pattern in ("granted", "refused"):
            print(pattern, flush=True)
        show(pattern)

    indicator.show = say
    deciding = threading.Thread(target=app.run)
    deciding.start()
    print("ready", flush=True)
    for line in sys.stdin:
        app.inbox.post(CodeSeen(clock.now(), line.removesuffix("\\n")))
    app.end("the test is over")
    deciding.join()
"""


class Life:
    """One life of the agent."""

    def __init__(self, settings: Path, set_back_days: int = 0) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(settings), str(set_back_days)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
        )
        assert self._read() == "ready"

    def show(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()

    def present(self, text: str) -> str:
        """Show a code and wait for `granted` or `refused`."""
        self.show(text)
        return self._read()

    def kill(self) -> list[str]:
        """End it at once; what it said until then and was not heard yet."""
        self._process.send_signal(signal.SIGKILL)
        rest, _ = self._process.communicate(timeout=PATIENCE_S)
        return rest.split()

    def end(self) -> None:
        self._process.communicate(timeout=PATIENCE_S)

    def _read(self) -> str:
        assert self._process.stdout is not None
        assert select.select([self._process.stdout], [], [], PATIENCE_S)[0], "the agent says nothing"
        return self._process.stdout.readline().strip()


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    return write_settings(
        tmp_path,
        {"passes": {"trust_unsynchronised_clock": True}, "passes.keys": {"5": KEY.public_text}},
    )


def guest_pass(number: int, key: SigningKey = KEY) -> str:
    """A code for one time here, from years ago until in years."""
    now = minute_of(SystemClock().wall().utc)
    year = 365 * 24 * 60
    here = (station_digest(STATION),)
    token = Pass(key.key_id, f"{number:016x}", f"g-{number}", True, here, now - 3 * year, now + year, is_once=True)
    return sign(key, token)


@pytest.mark.timeout(240)
def test_a_pass_opens_once_and_no_more_though_the_agent_is_killed_at_any_moment(settings: Path) -> None:
    delays = random.Random(SEED)
    opened = dict.fromkeys(range(DEATHS), 0)
    for number in range(DEATHS):
        life = Life(settings)
        if number:
            opened[number - 1] += life.present(guest_pass(number - 1)) == "granted"
        life.show(guest_pass(number))
        time.sleep(delays.uniform(0.0, 0.02))
        opened[number] += life.kill().count("granted")
    assert set(opened.values()) <= {0, 1}, opened
    life = Life(settings)
    assert [life.present(guest_pass(number)) for number in range(DEATHS - 1)] == ["refused"] * (DEATHS - 1)
    life.end()
    assert _spent(settings) >= {f"{number:016x}" for number in range(DEATHS - 1)}


def test_a_spent_pass_stays_spent_in_a_restored_backup_and_with_a_clock_set_back(
    settings: Path, tmp_path: Path
) -> None:
    state, backup = tmp_path / "state", tmp_path / "backup"
    life = Life(settings)
    assert life.present(guest_pass(0)) == "granted"
    life.end()
    backup.mkdir()
    for path in state.glob("*.db*"):
        shutil.copy(path, backup)
    life = Life(settings)
    assert life.present(guest_pass(1)) == "granted"
    life.kill()
    for path in state.glob("*.db*"):
        path.unlink()
    for path in backup.iterdir():
        shutil.copy(path, state)
    for days in (0, 800):
        life = Life(settings, days)
        assert [life.present(guest_pass(number)) for number in (0, 1)] == ["refused", "refused"], days
        life.end()
    life = Life(settings)
    assert life.present(guest_pass(2)) == "granted"
    life.end()


def test_a_revoked_pass_stays_revoked_over_a_restart(settings: Path, tmp_path: Path) -> None:
    life = Life(settings)
    ControlClient(tmp_path / "control.sock").request("passes.revoke", pass_id=f"{1:016x}")
    assert life.present(guest_pass(1)) == "refused"
    life.kill()
    life = Life(settings)
    assert life.present(guest_pass(1)) == "refused"
    assert life.present(guest_pass(2)) == "granted"
    life.end()


@pytest.mark.timeout(120)
def test_a_code_held_before_the_camera_opens_the_door(tmp_path: Path) -> None:
    text = sign(KEY, Pass(5, "a" * 16, "g-1", is_guest=True, stations=in_order([STATION]), is_once=True))
    code = np.kron(255 - 255 * qr_codes.draw(text), np.ones((5, 5), np.uint8))
    frame = np.full((480, 640), 110, np.uint8)
    frame[100 : 100 + len(code), 200 : 200 + len(code)] = code
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for n in range(20):  # a second each
        assert cv2.imwrite(str(pictures / f"{n:02}.png"), frame)
    settings = write_settings(
        tmp_path,
        {
            "passes.keys": {"5": KEY.public_text},
            "vision": {"enabled": True},
            "camera": {"source": "pictures", "fps": 10},
        },
    )
    with running(settings) as station:
        eventually(lambda: station.parts.door.is_released, "the door opens", 60.0)
        assert station.parts.door.push()
        eventually(lambda: station.status()["parts"]["occupancy"]["count"] == 1, "somebody is inside")
    assert _spent(settings) == {"a" * 16}


def _spent(settings: Path) -> set[str]:
    lines = [json.loads(line) for line in (settings.parent / "state" / "ledger").read_text().splitlines()]
    return {line["pass"] for line in lines if line["kind"] == "spent"}
