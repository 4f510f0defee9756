from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import socket
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import systemd

_UNITS = Path(__file__).parents[1] / "systemd"
_SERVICE = _UNITS / "station-agent.service"


@pytest.fixture(params=["path", "abstract"])
def listener(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    name = str(tmp_path / "notify") if request.param == "path" else f"@station-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0" + name[1:] if name.startswith("@") else name)
        receiver.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield receiver


def test_systemd_hears_every_message(listener: socket.socket) -> None:
    assert systemd.ready()
    assert systemd.feed_watchdog()
    assert systemd.status("door closed\n 2 inside")
    assert systemd.stopping()

    heard = [listener.recv(1000).decode() for _ in range(4)]
    assert heard == ["READY=1", "WATCHDOG=1", "STATUS=door closed 2 inside", "STOPPING=1"]


def test_a_queue_that_is_full_never_blocks(listener: socket.socket) -> None:
    fed = [systemd.feed_watchdog() for _ in range(5000)]

    assert fed[0]
    assert not fed[-1]


@pytest.mark.parametrize("name", [None, "", "relative", "/nowhere/at/all"])
def test_nothing_happens_where_nobody_listens(monkeypatch: pytest.MonkeyPatch, name: str | None) -> None:
    if name is None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    else:
        monkeypatch.setenv("NOTIFY_SOCKET", name)

    assert not systemd.ready()


@pytest.mark.parametrize(
    ("usec", "pid", "interval"),
    [
        ("15000000", None, 7.5),
        ("15000000", str(os.getpid()), 7.5),
        ("15000000", "1", None),
        (None, None, None),
        ("0", None, None),
        ("soon", None, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_systemd_asks(
    monkeypatch: pytest.MonkeyPatch, usec: str | None, pid: str | None, interval: float | None
) -> None:
    for name, value in (("WATCHDOG_USEC", usec), ("WATCHDOG_PID", pid)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)

    assert systemd.watchdog_interval_s() == interval


# --- the unit --------------------------------------------------------------------------------------------------------


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is missing: install systemd")
        pytest.skip(f"{name} is missing, the unit was NOT checked: install systemd")
    return path


def _installed(tmp_path: Path) -> Path:
    """The unit with its program where it is on this machine, so that systemd can look at it."""
    program = tmp_path / "station"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / _SERVICE.name
    unit.write_text(_SERVICE.read_text().replace("/opt/station-agent/bin/station", str(program)))
    return unit


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    checked = subprocess.run(
        [_program("systemd-analyze"), "verify", "--man=no", str(_installed(tmp_path))],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_systemd_calls_the_units_exposure_ok() -> None:
    judged = subprocess.run(
        [_program("systemd-analyze"), "security", "--offline=yes", "--no-pager", str(_SERVICE)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    exposure = re.search(r"exposure level for \S+: ([0-9.]+)", judged.stdout)

    assert exposure is not None, judged.stderr
    assert float(exposure[1]) < 3.0  # systemd's own "OK" begins below 5


def test_the_unit_makes_the_lock_safe_and_never_gives_up() -> None:
    lines = _SERVICE.read_text().splitlines()

    for promise in (
        "Type=notify",
        "ExecStartPre=-/opt/station-agent/bin/station check",
        "ExecStart=/opt/station-agent/bin/station run",
        "ExecStopPost=/opt/station-agent/bin/station lock-safe",
        "Restart=always",
        "StartLimitIntervalSec=0",
        "OOMPolicy=continue",
    ):
        assert promise in lines
    assert any(line.startswith("WatchdogSec=") for line in lines)


# --- the installer ---------------------------------------------------------------------------------------------------


def _install(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [_UNITS / "install", *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def _tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        for path in folder.rglob("*")
    }


def test_a_dry_run_says_every_step_and_changes_nothing(tmp_path: Path) -> None:
    done = _install("--dry-run", "--id", "gate-7")

    assert done.returncode == 0, done.stderr
    for step in ("systemd-sysusers", "--require-hashes", "systemd-tmpfiles", "systemctl enable", "systemctl restart"):
        assert step in done.stdout
    assert "gate-7" in done.stdout
    assert _tree(tmp_path) == {}


def test_a_wrong_id_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    done = _install("--root", str(tmp_path), "--id", 'x"; rm')

    assert done.returncode == 1
    assert "is not valid" in done.stderr
    assert _tree(tmp_path) == {}


def test_an_unknown_option_is_a_wrong_use() -> None:
    assert _install("--fast").returncode == 2


@pytest.mark.skipif(os.getuid() != 0, reason="the installer needs root")
def test_installing_twice_changes_nothing_and_keeps_the_settings(tmp_path: Path) -> None:
    for name in ("systemd-sysusers", "systemd-tmpfiles", "systemctl"):
        _program(name)
    first = _install("--root", str(tmp_path), "--id", "gate-7")
    assert first.returncode == 0, first.stderr
    settings = tmp_path / "etc/station-agent/station.toml"
    assert 'id = "gate-7"' in settings.read_text()
    chosen = tomllib.loads(settings.read_text())
    assert chosen["vault"]["key_file"] == "/etc/station-agent/keys/template.keys"
    assert chosen["codes"]["key_file"] == "/etc/station-agent/keys/credential.keys"
    assert "key_file" not in chosen.get("mqtt", {}).get("tls", {})
    assert (tmp_path / "etc/station-agent/keys").stat().st_mode & 0o777 == 0o700
    assert settings.stat().st_mode & 0o777 == 0o640
    assert "station-agent" in (tmp_path / "etc/passwd").read_text()
    assert (tmp_path / "etc/systemd/system/multi-user.target.wants/station-agent.service").is_symlink()

    settings.write_text(settings.read_text() + "# ours\n")
    before = _tree(tmp_path)
    second = _install("--root", str(tmp_path), "--id", "other")
    assert second.returncode == 0, second.stderr
    assert _tree(tmp_path) == before


def test_the_build_tool_comes_with_everything_it_asks_for() -> None:
    chosen = re.search(r"\^\(([a-z|-]+)\)==", (_UNITS / "install").read_text())
    assert chosen is not None
    names = set(chosen[1].split("|"))
    asked = {
        re.split(r"[^A-Za-z0-9_.-]", requirement)[0].lower()
        for name in names
        for requirement in importlib.metadata.requires(name) or ()
        if "extra ==" not in requirement and "python_version <" not in requirement
    }

    assert asked <= names
