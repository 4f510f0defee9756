"""`station run` says in one line why it cannot start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.system.stations import AgentProcess, write_settings


def test_a_second_agent_on_the_same_state_is_told_so(tmp_path: Path) -> None:
    settings = write_settings(tmp_path)
    first = AgentProcess(settings)
    try:
        first.await_ready()
        command = [sys.executable, "-m", "agent", "--lang", "en", "run", "--config", str(settings)]
        second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode == 1
        assert "The agent cannot start" in second.stderr
        assert "Traceback" not in second.stderr
        first.client.request("status")
    finally:
        first.kill()
