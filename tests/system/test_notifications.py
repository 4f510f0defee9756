"""A forced door in a running agent reaches somebody: over apprise, to a real web server of this machine."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from agent.events import PauseSkipped
from tests.system.stations import Station, eventually, running, write_settings
from tests.web import WebServer, web_server

PATIENCE_S = 60.0
SECRET = "t0ps3cret"


def settings(folder: Path, web: WebServer, quiet: bool = False, **more: Any) -> Path:
    urls = folder / "notify.urls"
    urls.write_text(f'phone = "{web.url(SECRET)}"\n', encoding="utf-8")
    urls.chmod(0o600)
    now = datetime.now(UTC)
    hours = f"{now - timedelta(hours=2):%H:%M}-{now + timedelta(hours=2):%H:%M}"
    tables: dict[str, Mapping[str, Any]] = {
        "station": {"id": "test-0001", "name": "East gate", "timezone": "UTC"},
        "notify": {"urls_file": "notify.urls"},
        "notify.recipients.master": {
            "urls": ["phone"],
            "language": "en",
            **({"quiet_hours": hours} if quiet else {}),
            **more,
        },
    }
    return write_settings(folder, tables)


def force(station: Station) -> None:
    """Somebody pries the door open, though the lock holds it."""
    eventually(lambda: station.status()["parts"]["door"]["contact"] == "closed", "the door is known to be closed")
    station.parts.door.force()
    eventually(lambda: "forced" in station.status()["parts"]["door"]["alarms"], "the alarm")
    station.parts.door.let_go()


def await_messages(web: WebServer, count: int) -> None:
    eventually(lambda: len(web.messages()) >= count, f"{count} messages", PATIENCE_S)


def await_row(station: Station, condition: Callable[[Mapping[str, Any]], bool], what: str) -> None:
    eventually(lambda: condition(station.client.request("notify.list")["rows"][0]), what, PATIENCE_S)


def skip(station: Station, seconds: float) -> None:
    station.app.inbox.post(PauseSkipped(station.app.clock.now(), seconds))


def test_a_forced_door_in_quiet_hours_reaches_the_master_until_it_is_acknowledged(tmp_path: Path) -> None:
    with web_server() as web, running(settings(tmp_path, web, quiet=True, repeat_minutes=15.0)) as station:
        force(station)
        await_messages(web, 1)
        assert web.paths() == [f"/{SECRET}"]
        assert web.messages()[0]["title"] == "East gate: the door was forced open"
        assert web.messages()[0]["type"] == "failure"
        for count in (2, 3):
            await_row(station, lambda row: not row["waiting"], "the message before has arrived")
            skip(station, 15 * 60.0)
            await_messages(web, count)
        await_row(station, lambda row: not row["waiting"], "the last has arrived")
        _station(tmp_path, "alarms", "acknowledge", "forced")
        for _ in range(3):
            skip(station, 15 * 60.0)
        station.client.request("notify.test", recipient="master")  # by then any other message would be out
        assert [each["title"] for each in web.messages()][3:] == ["East gate: a test"]


def test_a_test_says_what_is_wrong_and_what_is_right(tmp_path: Path) -> None:
    with web_server() as web:
        path = settings(tmp_path, web)
        with running(path) as station:
            assert "arrived" in _station(tmp_path, "notify", "test").stdout
            assert "arrived" in _station(tmp_path, "notify", "list").stdout
            (tmp_path / "notify.urls").chmod(0o644)
            refused = _station(tmp_path, "notify", "test", "master", expected=1)
            assert "cannot be used" in refused.stdout
            eventually(lambda: ("notify.urls_refused", "notify.urls_file") in station.faults(), "the fault")
            assert "chmod 600" in _station(tmp_path, "check", expected=1).stderr
            rows = json.loads(_station(tmp_path, "notify", "list", "--json").stdout)
            assert rows[0]["ways"] == [{"way": "phone", "reason": "urls_refused"}]
        assert SECRET not in (tmp_path / "station.toml").read_text()
        assert SECRET.encode() not in b"".join(
            each.read_bytes() for each in (tmp_path / "state").rglob("*") if each.is_file()
        )


def test_what_nobody_has_seen_is_still_told_after_a_restart_and_nothing_twice(tmp_path: Path) -> None:
    with web_server() as web:
        path = settings(tmp_path, web)
        with running(path) as station:
            force(station)
            await_messages(web, 1)
            await_row(station, lambda row: not row["waiting"] and row["reached_at"] is not None, "it has arrived")
            await_log(station)
        with running(path) as station:
            station.client.request("notify.test", recipient="master")
            assert [each["title"] for each in web.messages()][1:] == ["East gate: a test"]
            skip(station, 15 * 60.0)
            await_messages(web, 3)
            assert web.messages()[2]["title"].startswith("East gate: the door was forced open")


def await_log(station: Station) -> None:
    """An answer of the disk: what was noted before it is on the disk too."""
    station.client.request("faults.report", where="microwave", what="dirty")


def _station(folder: Path, *arguments: str, expected: int = 0) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("station")
    config = [*arguments, "--config", str(folder / "station.toml"), "--lang", "en"]
    done = subprocess.run([program, *config], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == expected, done.stdout + done.stderr
    return done
