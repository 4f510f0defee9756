"""`station run` says in one line why it cannot start."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.system.stations import AgentProcess, write_settings


def test_the_file_to_try_the_commands_on_runs_beside_its_own_folder(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "config/try.toml"
    (tmp_path / "config").mkdir()
    settings = Path(shutil.copy(shipped, tmp_path / "config"))
    agent = AgentProcess(settings)
    try:
        agent.await_ready()
        assert sorted(path.name for path in (tmp_path / "var").iterdir()) == ["try", "try.sock"]
        assert set((tmp_path / "config").iterdir()) == {settings, settings.with_suffix(".log")}
    finally:
        agent.kill()


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
