"""`station run` says in one line why it cannot start."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.cli.program import app
from tests.system.stations import AgentProcess, write_settings


def test_the_file_to_try_the_commands_on_runs_beside_its_own_folder(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "config/try.toml"
    (tmp_path / "config").mkdir()
    settings = Path(shutil.copy(shipped, tmp_path / "config"))
    agent = AgentProcess(settings)
    try:
        agent.await_ready()
        assert sorted(path.name for path in (tmp_path / "var").iterdir()) == ["try", "try.sock"]
        assert "agent runs: try-0001, socket " in agent.log_path.read_text()
        assert set((tmp_path / "config").iterdir()) == {settings, settings.with_suffix(".log")}
    finally:
        agent.kill()


@pytest.mark.parametrize("tables", ["", '[control]\nsocket = "c.sock"\n', '[state]\ndirectory = "state"\n'])
def test_an_ordinary_user_is_told_which_places_to_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tables: str
) -> None:
    said = _refused_run(tmp_path, monkeypatch, tables)
    assert "Permission denied" in said
    assert "set state.directory and control.socket" in said


def test_who_has_places_of_their_own_gets_no_such_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = _refused_run(tmp_path, monkeypatch, '[control]\nsocket = "c.sock"\n[state]\ndirectory = "state"\n')
    assert "Permission denied" in said
    assert "state.directory" not in said


def _refused_run(folder: Path, monkeypatch: pytest.MonkeyPatch, tables: str) -> str:
    """What `station run` says to an ordinary user where the system refuses a folder."""
    path = folder / "station.toml"
    path.write_text('[station]\nid = "t"\n[hardware]\nsimulated = true\n' + tables)

    def refuse(_settings: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", "/run/station-agent")

    monkeypatch.setattr("agent.app.run", refuse)
    monkeypatch.setenv("STATION_LANG", "en")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    done = CliRunner().invoke(app, ["run", "--config", str(path)])
    assert done.exit_code == 1
    return done.stderr


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


def test_a_command_starts_without_the_rules_and_what_they_need() -> None:
    """A door opened from the command line must not wait for modules that only the agent needs."""
    seen = subprocess.run(
        [sys.executable, "-c", "import sys, agent.cli.program; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "agent.cli.door" in seen
    assert {"agent.events", "agent.effects", "numpy", "pydantic", "cv2", "paho"} & set(seen) == set()
