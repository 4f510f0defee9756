"""`station passes` as the office and the station master use it: the real command, and a real agent to revoke."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import pytest

from agent.signatures import load
from tests.system.stations import STATION, running, write_settings

_COMMAND = Path(sys.executable).with_name("station")


def run(*arguments: str | Path, stdin: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG", "STATION_"))}
    done = subprocess.run(
        [_COMMAND, "passes", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=clean,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key, and the settings of a station that trusts it."""
    folder = tmp_path_factory.mktemp("office")
    printed = run("keygen", folder / "key", "--key-id", "7").stdout
    assert printed == f'[passes.keys]\n7 = "{load(folder / "key").public_text}"\n'
    passes = {"trust_unsynchronised_clock": True}
    write_settings(folder, {"passes": passes, "passes.keys": {"7": load(folder / "key").public_text}})
    return folder


def issue(office: Path, *options: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    return run("issue", "--key", office / "key", *options, code=code)


def verify(office: Path, text: str, code: int = 0) -> dict[str, Any]:
    done = run("verify", "-", "--json", "--config", office / "station.toml", stdin=text + "\n", code=code)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_keygen_keeps_the_private_key_private_and_never_overwrites(office: Path) -> None:
    path = office / "key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    assert "there already" in run("keygen", path, code=1).stderr
    assert path.read_bytes() == before


def test_an_issued_pass_holds_and_says_what_it_is(office: Path) -> None:
    options = ("--guest", "g-1", "--station", STATION, "--hours", "2", "--once", "--category", "3", "--json")
    issued = json.loads(issue(office, *options).stdout)
    found = verify(office, issued["code"])
    assert found == {**{key: value for key, value in issued.items() if key != "code"}, "refusal": None}
    assert (found["guest"], found["member"], found["once"], found["categories"]) == ("g-1", None, True, [3])
    words = run("verify", issued["code"], "--config", office / "station.toml").stdout
    for each in ("guest g-1", f"for 1 station, {STATION} included", "for one time", "categories 3", "It holds"):
        assert each in words
    assert "+08:00" in words, "in the station's own time"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--member", "m-1", "--station", "other", "--unlimited"), "pass_other_station"),
        (("--member", "m-1", "--from", "2020-01-01T08:00+08:00", "--until", "2020-01-02T08:00+08:00"), "pass_expired"),
        (("--member", "m-1", "--from", "2090-01-01T08:00+08:00", "--until", "2090-01-02T08:00+08:00"), "pass_early"),
    ],
)
def test_a_pass_that_does_not_hold_is_refused_with_its_reason(
    office: Path, options: tuple[str, ...], reason: str
) -> None:
    assert verify(office, issue(office, *options).stdout.rstrip("\n"), code=1)["refusal"] == reason


def test_a_pass_of_an_unknown_key_is_forged(office: Path, tmp_path: Path) -> None:
    run("keygen", tmp_path / "key", "--key-id", "7")
    text = issue(tmp_path, "--member", "m-1", "--unlimited").stdout.rstrip("\n")
    assert verify(office, text, code=1)["refusal"] == "pass_forged"
    assert "lack" not in run("verify", text, "--config", office / "station.toml", code=1).stderr


def test_a_pass_whose_key_the_settings_lack_says_so(office: Path, tmp_path: Path) -> None:
    run("keygen", tmp_path / "key", "--key-id", "9")
    text = issue(tmp_path, "--member", "m-1", "--unlimited").stdout.rstrip("\n")
    said = run("verify", text, "--config", office / "station.toml", code=1).stderr
    assert "The settings lack key 9" in said
    assert "passes keygen" in said


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--member", "m-1", "--guest", "g-1", "--unlimited"), 2, "--member"),
        (("--unlimited",), 2, "--member"),
        (("--member", "m-1"), 2, "--until"),
        (("--member", "m-1", "--unlimited", "--hours", "2"), 2, "--until"),
        (("--member", "m-1", "--unlimited", "--once"), 1, "exactly one station"),
        (("--member", "m" * 27, "--unlimited"), 1, "26 characters"),
        (("--member", "王芳", "--unlimited"), 1, "letters, digits"),
        (("--member", "m-1", "--until", "2020-01-01T08:00+08:00"), 1, "end must lie after"),
    ],
)
def test_what_cannot_be_issued_is_refused_in_words(
    office: Path, options: tuple[str, ...], code: int, words: str
) -> None:
    done = issue(office, *options, code=code)
    assert words in done.stderr
    assert done.stdout == ""


def test_a_key_that_others_can_read_is_not_used(office: Path, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes((office / "key").read_bytes())
    path.chmod(0o644)
    assert "chmod 600" in issue(tmp_path, "--member", "m-1", "--unlimited", code=1).stderr


def test_a_pass_is_shown_in_the_terminal_and_as_a_picture(office: Path, tmp_path: Path) -> None:
    text = issue(office, "--member", "m-1", "--unlimited").stdout.rstrip("\n")
    shown = run("show", "-", stdin=text + "\n").stdout
    assert set(shown) <= set(" ▀▄█\n")
    assert len(shown.splitlines()) > 20
    run("show", "-", "--png", tmp_path / "code.png", stdin=text + "\n")
    picture = cv2.imread(str(tmp_path / "code.png"))
    assert picture is not None
    assert cv2.QRCodeDetectorAruco().detectAndDecode(picture)[0] == text


@pytest.mark.parametrize("command", ["show", "verify", "revoke"])
def test_what_is_no_pass_is_said_to_be_none(command: str) -> None:
    assert "This is no pass" in run(command, "HELLO", code=1).stderr


def test_a_pass_is_revoked_by_its_id_or_its_code(office: Path, tmp_path: Path) -> None:
    issued = json.loads(issue(office, "--guest", "g-1", "--unlimited", "--json").stdout)
    with running(write_settings(tmp_path)) as station:
        socket = tmp_path / "control.sock"
        for which in (issued["code"], "0123456789abcdef"):
            assert "is revoked" in run("revoke", "-", "--socket", socket, stdin=which + "\n").stdout
        state = station.app.loop.state
        assert state is not None
        assert state.passes.revoked == {issued["pass"], "0123456789abcdef"}
    assert "not running" in run("revoke", "0123456789abcdef", "--socket", socket, code=1).stderr
