"""`station log verify`: beside a running agent, and on a log that somebody touched."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.system.stations import AgentProcess, running, write_settings


def verify(settings: Path, language: str = "en") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agent", "--lang", language, "log", "verify", "--config", str(settings)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, check=False)


def change(settings: Path, sql: str) -> None:
    with closing(sqlite3.connect(settings.parent / "state" / "station.db")) as database, database:
        assert database.execute(sql).rowcount == 1


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """Of a station that has run and ended, with some entries."""
    path = write_settings(tmp_path)
    with running(path) as station:
        for action in ("door.lock_down", "door.resume"):
            station.client.request(action)
    return path


def test_a_whole_log_holds_in_both_languages(settings: Path) -> None:
    found = verify(settings)
    assert (found.returncode, found.stderr) == (0, "")
    assert "The log holds: " in found.stdout
    assert "记录完好" in verify(settings, "zh").stdout


def test_the_log_is_checked_beside_a_running_agent(tmp_path: Path) -> None:
    settings = write_settings(tmp_path)
    agent = AgentProcess(settings)
    try:
        agent.await_ready()
        agent.client.request("door.unlock")
        found = verify(settings)
        assert (found.returncode, found.stderr) == (0, "")
        agent.client.request("door.unlock")
    finally:
        agent.kill()


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        (
            "UPDATE log SET body = replace(body, 'locked_down', 'normal') WHERE type = 'station.door.mode_changed' "
            "AND sequence = 3",
            "at 1/3: its body does not fit its digest",
        ),
        ("UPDATE log SET type = 'station.stopped' WHERE sequence = 2", "at 1/2: its hash does not follow"),
        ("DELETE FROM log WHERE sequence = 2", "at 1/3: entries are missing before it"),
        ("UPDATE log SET salt = 'x' WHERE sequence = 1", "at 1/1: its body does not fit"),
        ("DELETE FROM log WHERE sequence = (SELECT max(sequence) FROM log)", ": the log ends before it"),
    ],
)
def test_the_first_entry_that_does_not_hold_is_named(settings: Path, sql: str, words: str) -> None:
    change(settings, sql)
    found = verify(settings)
    assert found.returncode == 1
    assert words in found.stderr
    assert found.stdout == ""


def test_a_break_is_said_in_chinese(settings: Path) -> None:
    change(settings, "DELETE FROM log WHERE sequence = 2")
    found = verify(settings, "zh")
    assert found.returncode == 1
    assert "记录在 1/3 处断开:它之前有记录缺失。" in found.stderr


def test_a_log_without_its_head_holds_but_its_end_is_in_doubt(settings: Path) -> None:
    (settings.parent / "state" / "head").unlink()
    found = verify(settings)
    assert found.returncode == 0
    assert "no head file" in found.stderr


@pytest.mark.parametrize("content", [None, b"rubbish" * 1000])
def test_a_log_that_cannot_be_read_is_said(settings: Path, content: bytes | None) -> None:
    database = settings.parent / "state" / "station.db"
    database.unlink()
    if content is not None:
        database.write_bytes(content)
    found = verify(settings)
    assert found.returncode == 1
    assert "The log cannot be read" in found.stderr
    assert "Traceback" not in found.stderr
