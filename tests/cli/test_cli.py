"""The command line as an account uses it: the real command in a process of its own, a real control socket."""

from __future__ import annotations

import csv
import io
import json
import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from agent import __version__
from agent.cli.table import columns, csv_lines
from agent.clock import SystemClock
from agent.control.server import ControlServer
from agent.core.audit import audit
from agent.core.gallery import build_gallery
from agent.core.problems import Words, problem
from agent.effects import Reply
from agent.events import ControlRequested, Event
from tests.crowd import Crowd

_STATION = Path(sys.executable).with_name("station")
_PINS = "[lock]\npin = 17\n[contact]\npin = 27\n[exit_button]\npin = 22\n"
_VISIT = {
    "id": "v-1",
    "member_id": "m-1",
    "entered_at_utc": "2026-11-01T10:00:00.000Z",
    "left_at_utc": None,
    "how": None,
    "entered_epoch": 1,
}
_SNAPSHOT: dict[str, Any] = {
    "version": "0.1.0",
    "parts": {
        "door": {
            "mode": "normal",
            "admission": "members",
            "lock": "secured",
            "contact": "open",
            "alarms": ["open_too_long"],
        },
        "occupancy": {"count": 2, "is_occupied": True},
        "appliances/microwave": {"state": "running", "power_w": 812.4},
        "health": {
            "faults": [problem("camera.failed", "camera", "unplugged").as_dict()],
            "vision": "stopped",
            "storage": "ok",
            "backlog": 3,
        },
    },
    "members": 16,
    "broker": {"connected": False, "acknowledged": 40},
    "log": {"epoch": 1, "sequence": 43},
}

CONSENT_TEXT = {"version": "2026-11", "language": "en", "text": "I agree.\n\nReally.", "valid_days": 365}

Answer = Callable[[ControlRequested], list[Reply]]


def _run(
    *arguments: str | Path, env: Mapping[str, str] | None = None, text: bool = True, answers: str = ""
) -> subprocess.CompletedProcess[Any]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG", "STATION_"))}
    return subprocess.run(
        [_STATION, *arguments],
        capture_output=True,
        encoding="utf-8" if text else None,
        timeout=60,
        check=False,
        input=answers if text else answers.encode(),
        env={**clean, "LANG": "en_US.UTF-8", "PYTHONUTF8": "1", **(env or {})},
    )


def with_consent_text(asked: ControlRequested) -> list[Reply]:
    """An agent that shows the text and does what it is asked."""
    return [Reply(asked.request, ok=True, result=CONSENT_TEXT if asked.action == "consent.show" else {})]


class _Agent:
    """A control socket whose answers the test gives; its settings file says where it is."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[ControlRequested] = []
        self.answer: Answer = lambda asked: [Reply(asked.request, ok=True)]
        self.config = folder / "station.toml"
        self.config.write_text('[control]\nsocket = "c.sock"\n', encoding="utf-8")
        self._inbox: queue.Queue[Event | None] = queue.Queue()
        self._server = ControlServer(folder / "c.sock", {}, self._inbox.put, SystemClock())
        self._thread = threading.Thread(target=self._decide)

    def __enter__(self) -> _Agent:
        self._server.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._inbox.put(None)
        self._thread.join(10)
        self._server.close()

    def _decide(self) -> None:
        while (event := self._inbox.get()) is not None:
            if isinstance(event, ControlRequested):
                self.asked.append(event)
                for reply in self.answer(event):
                    self._server.reply(reply)

    def run(self, *arguments: str | Path, text: bool = True, answers: str = "") -> subprocess.CompletedProcess[Any]:
        return _run(*arguments, "--config", self.config, text=text, answers=answers)

    def run_on_a_terminal(self, *arguments: str, typed: str) -> int:
        """The exit code of a command whose input is a terminal, where `typed` is typed."""
        ours, theirs = os.openpty()
        try:
            os.write(ours, typed.encode())
            command: list[str | Path] = [_STATION, *arguments, "--config", self.config, "--lang", "en"]
            return subprocess.run(command, stdin=theirs, capture_output=True, timeout=60, check=False).returncode
        finally:
            os.close(ours)
            os.close(theirs)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[_Agent]:
    with _Agent(tmp_path) as running:
        yield running


# --- with an agent ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "action", "words"),
    [
        ("unlock", "door.unlock", "released once"),
        ("answer", "door.answer", "was not opened"),
        ("hold-open", "door.hold_open", "until `station door resume`"),
        ("block", "door.block", "blocked; leaving still works"),
        ("emergency", "door.emergency", "open for an emergency"),
        ("emergency-over", "door.emergency_over", "The emergency is over"),
        ("lock-down", "door.lock_down", "leaving still works"),
        ("resume", "door.resume", "back to normal"),
    ],
)
def test_the_door_is_ordered_and_the_outcome_said(agent: _Agent, command: str, action: str, words: str) -> None:
    done = agent.run("door", command)

    assert (done.returncode, done.stderr) == (0, "")
    assert words in done.stdout
    assert agent.asked[0].action == action


def test_a_refusal_says_why_and_what_to_do_and_fails(agent: _Agent) -> None:
    refusal = problem("door.locked_down", "door")
    agent.answer = lambda asked: [Reply(asked.request, ok=False, problems=(refusal.as_dict(),))]
    english, chinese = agent.run("door", "unlock"), agent.run("door", "unlock", "--lang", "zh")

    assert (english.returncode, chinese.returncode) == (1, 1)
    assert "The door is locked down." in english.stderr
    assert "Run `station door resume` first." in english.stderr
    assert "门已封锁。" in chinese.stderr
    assert english.stdout == ""


def test_a_fault_is_listed_with_when_it_began_and_who_took_the_last_step(agent: _Agent) -> None:
    found = problem("camera.failed", "camera", "unplugged").as_dict()
    steps = [
        {"stage": "raised", "at": "2026-11-22T02:00:00Z", "by": "agent"},
        {"stage": "seen", "at": "2026-11-22T03:30:00Z", "by": "mei"},
    ]
    row = {**found, "id": "camera.failed@camera", "stage": "seen", "is_present": True, "steps": steps}
    result = {"rows": [{**row, "raised_at": "2026-11-22T02:00:00Z"}], "timezone": "Asia/Shanghai"}
    agent.answer = lambda asked: [Reply(asked.request, ok=True, result=result)]
    english, chinese = agent.run("faults", "list"), agent.run("faults", "list", "--lang", "zh")

    assert "raised 2026-11-22 10:00, last step 2026-11-22 11:30 by mei" in english.stdout
    assert "2026-11-22 10:00 出现,2026-11-22 11:30 由 mei 更新" in chinese.stdout


@pytest.mark.parametrize("name", ["x", "@door", "camera.failed@", "camera.failed"])
def test_what_is_no_fault_is_said_to_be_none_with_where_they_are_listed(agent: _Agent, name: str) -> None:
    done = agent.run("faults", "update", name, "seen")
    assert done.returncode == 1
    assert f"There is no such fault. {name}" in done.stderr
    assert "station faults list" in done.stderr
    assert agent.asked == []


def test_the_language_follows_the_locale_and_an_option_wins() -> None:
    nowhere = ("--config", "/nowhere.toml")

    assert "错误" in _run("check", *nowhere, env={"LANG": "zh_CN.UTF-8"}).stderr
    assert "error" in _run("check", *nowhere, env={"LC_ALL": "de_DE.UTF-8", "LANG": "zh_CN.UTF-8"}).stderr
    assert "错误" in _run("--lang", "zh", "check", *nowhere).stderr
    assert "error" in _run("check", *nowhere, "--lang", "en", env={"LANG": "zh_CN.UTF-8"}).stderr


def test_the_status_is_shown_in_words_with_every_fault(agent: _Agent) -> None:
    agent.answer = lambda asked: [Reply(asked.request, ok=True, result=_SNAPSHOT)]
    shown = agent.run("status")

    assert shown.returncode == 0
    for words in (
        "door: normal, locked, open, ALARM: open too long",
        "who comes in: members",
        "inside: 2",
        "microwave: running, 812 W",
        "recognition: stopped",
        "server: not connected; 3 waiting to be sent",
        "log: entry 43 (epoch 1)",
        "to be sent: 3",
        "members: 16",
    ):
        assert words in shown.stdout
    assert "The camera gives no fresh picture: unplugged" in shown.stderr


def test_the_status_says_that_all_is_sent_and_where_the_log_is_in_the_language_asked_for(agent: _Agent) -> None:
    health = {**_SNAPSHOT["parts"]["health"], "backlog": 0}
    snapshot = {**_SNAPSHOT, "parts": {"health": health}, "broker": {"connected": True, "acknowledged": 9}}
    agent.answer = lambda asked: [Reply(asked.request, ok=True, result=snapshot)]
    english, chinese = agent.run("status").stdout, agent.run("status", "--lang", "zh").stdout
    assert "server: connected; all sent\n" in english
    assert "中心服务器: 已连接,全部已上报\n" in chinese
    assert "记录: 第 43 条(第 1 纪元)\n" in chinese
    snapshot["log"] = {"epoch": 1, "sequence": 0}
    assert "log: no entries yet" in agent.run("status").stdout


def test_the_status_begins_with_the_station_and_calls_things_as_the_settings_do(agent: _Agent) -> None:
    station = {"id": "gate-7", "name": "驿站 7", "timezone": "Asia/Shanghai"}
    labels = {"microwave": {"zh": "微波炉"}}
    agent.answer = lambda asked: [
        Reply(asked.request, ok=True, result={**_SNAPSHOT, "station": station, "labels": labels})
    ]
    english, chinese = agent.run("status"), agent.run("status", "--lang", "zh")

    assert english.stdout.splitlines()[0] == "station: gate-7 驿站 7"
    assert "microwave: running, 812 W" in english.stdout
    assert "微波炉: 运行中, 812 W" in chinese.stdout


def test_the_status_says_what_is_off_and_what_is_not_fitted(agent: _Agent) -> None:
    health = {**_SNAPSHOT["parts"]["health"], "vision": "running"}
    parts = {"door": {"mode": "normal", "lock": "secured", "contact": "unknown", "alarms": []}, "health": health}
    snapshot = {**_SNAPSHOT, "parts": parts, "broker": {"enabled": False}, "fitted": {"contact": False}}
    agent.answer = lambda asked: [Reply(asked.request, ok=True, result=snapshot)]
    shown = agent.run("status").stdout

    assert "door: normal, locked, contact not fitted" in shown
    assert "server: off" in shown
    assert "to be sent" not in shown
    assert "recognition: no picture" in shown


def test_watching_tells_which_faults_begin_and_which_are_over_with_the_time_there(agent: _Agent) -> None:
    first = {**_SNAPSHOT, "station": {"id": "gate-7", "timezone": "Asia/Shanghai"}}
    stale = problem("sensor.stale", "microwave").as_dict()
    health = {"faults": [stale], "vision": "running", "storage": "ok", "backlog": 3}
    agent.answer = lambda asked: [
        Reply(asked.request, ok=True, result=first, is_last=False),
        Reply(asked.request, ok=True, result={"part": "health", "body": health}, is_last=False),
        Reply(asked.request, ok=False, problems=(problem("agent.stopping", "control").as_dict(),)),
    ]
    before = datetime.now(ZoneInfo("Asia/Shanghai")).replace(second=0, microsecond=0, tzinfo=None)
    lines = agent.run("status", "--watch").stdout.splitlines()
    began, remedy, over = lines[-3:]

    assert began[17:] == "fault: microwave: The sensor sends nothing new; its state is unknown."
    assert remedy.startswith("    → Check the sensor")
    assert over[17:] == "over: camera: The camera gives no fresh picture: unplugged"
    for line in (began, over):
        assert before <= datetime.fromisoformat(line[:16]) <= before + timedelta(minutes=2)


def test_the_status_says_what_is_known_of_the_air(agent: _Agent) -> None:
    air: dict[str, float | None] = {"temperature_c": 21.46, "humidity_percent": None, "co2_ppm": 640.0}
    parts = {**_SNAPSHOT["parts"], "environment": air}
    agent.answer = lambda asked: [Reply(asked.request, ok=True, result={**_SNAPSHOT, "parts": parts})]

    assert "room: 21.5 °C, CO₂ 640 ppm" in agent.run("status").stdout
    parts["environment"] = dict.fromkeys(air)
    assert "room: unknown" in agent.run("status").stdout
    assert "室内: 未知" in agent.run("status", "--lang", "zh").stdout


def test_the_status_as_json_is_what_the_agent_said(agent: _Agent) -> None:
    agent.answer = lambda asked: [Reply(asked.request, ok=True, result=_SNAPSHOT)]

    assert json.loads(agent.run("status", "--json").stdout) == _SNAPSHOT


def test_watching_shows_the_whole_and_then_every_change(agent: _Agent) -> None:
    change = {"part": "occupancy", "body": {"count": 3}}
    agent.answer = lambda asked: [
        Reply(asked.request, ok=True, result=_SNAPSHOT, is_last=False),
        Reply(asked.request, ok=True, result=change, is_last=False),
        Reply(asked.request, ok=False, problems=(problem("agent.stopping", "control").as_dict(),)),
    ]
    shown, as_json = agent.run("status", "--watch"), agent.run("status", "--watch", "--json")

    assert agent.asked[0].action == "subscribe"
    assert "inside: 2" in shown.stdout
    assert shown.stdout.endswith("inside: 3\n")
    assert shown.returncode == 1
    assert "The agent is stopping." in shown.stderr
    assert [json.loads(line) for line in as_json.stdout.splitlines()] == [_SNAPSHOT, change]


def test_a_member_is_enrolled_with_the_photos_as_they_are(agent: _Agent, tmp_path: Path) -> None:
    photos = [tmp_path / "a.jpg", tmp_path / "b.jpg"]
    for number, photo in enumerate(photos):
        photo.write_bytes(b"\xff\xd8" + bytes([number]) * 100_000)
    agent.answer = with_consent_text
    done = agent.run("members", "enrol", "m-1", "--name", "张三", "--consent-given", *photos)

    assert (done.returncode, done.stderr) == (0, "")
    assert agent.asked[1].arguments["photos"] == tuple(photo.read_bytes() for photo in photos)
    assert agent.asked[1].arguments["name"] == "张三"
    assert "张三" not in done.stdout


def test_a_photo_that_is_not_there_is_a_wrong_use_and_reaches_nobody(agent: _Agent, tmp_path: Path) -> None:
    assert agent.run("members", "enrol", "m-1", "--name", "x", tmp_path / "none.jpg").returncode == 2
    assert agent.run("members", "enrol", "m-1", tmp_path).returncode == 2
    assert agent.run("members", "enrol", "m-1", "--name", "x").returncode == 2
    assert agent.run("members", "enrol", "m-1", "--name", "x", "--camera", tmp_path / "none.jpg").returncode == 2
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"x")
    assert agent.run("members", "enrol", "m-1", "--name", "x", *[photo] * 7).returncode == 2
    photo.write_bytes(bytes(6 * 1024 * 1024 + 1))
    assert agent.run("members", "enrol", "m-1", "--name", "x", photo).returncode == 1
    assert agent.asked == []


def test_a_refused_photo_is_named_by_its_file(agent: _Agent, tmp_path: Path) -> None:
    refusals = [problem("photo.unusable", "photos[2]", Words("脸部太暗", "the face is too dark")).as_dict()]
    agent.answer = lambda asked: [
        Reply(asked.request, ok=True, result=CONSENT_TEXT)
        if asked.action == "consent.show"
        else Reply(asked.request, ok=False, problems=tuple(refusals))
    ]
    photos = [tmp_path / name for name in ("a.jpg", "b.jpg")]
    for photo in photos:
        photo.write_bytes(b"x")
    done = agent.run("members", "enrol", "m-1", "--name", "x", "--consent-given", *photos)

    assert done.returncode == 1
    assert f"error: {photos[1]}: The photo cannot be used: the face is too dark" in done.stderr


def test_photos_and_the_camera_are_told_apart(agent: _Agent, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    enrol = ("members", "enrol", "m-1", "--name", "x")
    assert agent.run(*enrol).stderr == "Give photos, or --camera.\n"
    assert agent.run(*enrol, "--camera", tmp_path / "a.jpg").stderr == "Give photos or --camera, not both.\n"


@pytest.mark.parametrize("group", ["members", "visits"])
def test_an_empty_list_is_said_to_be_empty(agent: _Agent, group: str) -> None:
    agent.answer = lambda asked: [Reply(asked.request, ok=True, result={"rows": []})]

    assert agent.run(group, "list").stdout.splitlines() == [f"There are no {group}{' yet' * (group == 'members')}."]
    assert json.loads(agent.run(group, "list", "--json").stdout) == []


def test_the_version_is_told() -> None:
    assert _run("--version").stdout == f"{__version__}\n"


def test_enrolling_again_is_asked_for_and_said(agent: _Agent, tmp_path: Path) -> None:
    agent.answer = lambda asked: [Reply(asked.request, ok=True, result={**CONSENT_TEXT, "again": True})]
    (tmp_path / "a.jpg").write_bytes(b"x")
    done = agent.run("members", "enrol", "m-1", "--name", "x", "--consent-given", "--again", tmp_path / "a.jpg")

    assert agent.asked[1].arguments["again"] is True
    assert done.stdout == "m-1 is re-enrolled.\n"


def test_an_enrolment_says_who_looks_alike(agent: _Agent, tmp_path: Path) -> None:
    warning = problem("member.looks_alike", "members.enrol", "m-2").as_dict()
    agent.answer = lambda asked: [Reply(asked.request, ok=True, result={**CONSENT_TEXT, "warnings": [warning]})]
    (tmp_path / "a.jpg").write_bytes(b"x")
    done = agent.run("members", "enrol", "m-1", "--name", "x", "--consent-given", tmp_path / "a.jpg")

    assert done.returncode == 0
    assert "m-1 is enrolled" in done.stdout
    assert "looks much like these members: m-2" in done.stderr


def test_a_member_at_the_door_is_named_for_their_face_to_confirm(agent: _Agent) -> None:
    agent.answer = lambda asked: [Reply(asked.request, ok=True, result={"member": "m-1", "within_s": 15.0})]
    done = agent.run("members", "confirm", "m-1")

    assert (done.returncode, done.stderr) == (0, "")
    assert "within 15 s" in done.stdout
    assert (agent.asked[0].action, agent.asked[0].arguments) == ("access.present_code", {"member_id": "m-1"})


def test_the_gallery_is_audited_in_both_languages(agent: _Agent) -> None:
    people = Crowd(0.40).people(12)
    gallery = build_gallery([(f"m-{n}", each) for n, each in enumerate(people)], engine="dlib", weights="w")
    agent.answer = lambda asked: [
        Reply(asked.request, ok=True, result=audit(gallery, asked.arguments["strangers_a_day"]).as_dict())
    ]
    english = agent.run("faces", "audit", "--strangers-a-day", "50")
    chinese = agent.run("faces", "audit", "--lang", "zh")
    as_json = agent.run("faces", "audit", "--json")

    assert (english.returncode, chinese.returncode, as_json.returncode) == (0, 0, 0)
    assert "Members enrolled: 12." in english.stdout
    assert "With 50 strangers a day" in english.stdout
    assert "已登记 12 人" in chinese.stdout
    assert "每天 20 个陌生人" in chinese.stdout
    report = json.loads(as_json.stdout)
    assert report["threshold"] == gallery.threshold
    assert english.stdout.splitlines()[-10].split() == [*report["closest"][0][:2], f"{report['closest'][0][2]:.3f}"]


def test_all_members_are_listed_page_by_page(agent: _Agent) -> None:
    pages = [
        [{"id": "m-1", "name": "张三", "created_at_utc": "2026-11-01", "is_suspended": 0, "templates": 1}],
        [{"id": "m-2", "name": "Bo\x1b[31m", "created_at_utc": "2026-11-02", "is_suspended": 1, "templates": 1}],
        [],
    ]
    agent.answer = lambda asked: [Reply(asked.request, ok=True, result={"rows": pages[(len(agent.asked) - 1) % 3]})]
    shown = agent.run("members", "list")
    as_json = agent.run("members", "list", "--json")

    assert [asked.arguments["after_id"] for asked in agent.asked[:3]] == ["", "m-1", "m-2"]
    assert shown.stdout.splitlines()[1].split() == ["m-1", "张三", "2026-11-01", "none", "on", "record"]
    assert "\x1b" not in shown.stdout
    assert [row["id"] for row in json.loads(as_json.stdout)] == ["m-1", "m-2"]


def test_who_is_suspended_and_who_needs_longer_stands_in_the_list(agent: _Agent) -> None:
    row = {"id": "m-1", "name": "x", "created_at_utc": "2026-11-01", "is_suspended": 1, "needs_longer": 1}
    rows = [[{**row, "suspended_until_utc": "2026-12-24T10:30:00.000Z"}, {**row, "id": "m-2"}], []]
    agent.answer = lambda asked: [
        Reply(asked.request, ok=True, result={"rows": rows[len(agent.asked) - 1], "timezone": "Asia/Shanghai"})
    ]
    lines = agent.run("members", "list").stdout.splitlines()

    assert lines[1].split() == ["m-1", "x", "2026-11-01", "until", "2026-12-24", "18:30", "yes"]
    assert lines[2].split() == ["m-2", "x", "2026-11-01", "yes", "yes"]


def test_validity_and_categories_stand_in_the_list_and_who_came_from_afar_by_their_id_only(agent: _Agent) -> None:
    row = {"id": "m-1", "name": "", "created_at_utc": "2026-11-01", "is_suspended": 0, "categories": ""}
    since, until = {"valid_from_utc": "2026-12-01T00:00:00.000Z"}, {"valid_until_utc": "2027-01-01T10:30:00.000Z"}
    rows = [[row, row | since, row | until, row | since | until | {"categories": "1,3"}], []]
    agent.answer = lambda asked: [
        Reply(asked.request, ok=True, result={"rows": rows[len(agent.asked) - 1], "timezone": "Asia/Shanghai"})
    ]
    lines = [line.split() for line in agent.run("members", "list").stdout.splitlines()]

    begins, ends = ["from", "2026-12-01", "08:00"], ["until", "2027-01-01", "18:30"]
    shown = [[], begins, ends, [*begins, *ends, "1,3"]]
    assert lines[1:] == [["m-1", "2026-11-01", *each] for each in shown]


def test_a_validity_is_typed_in_the_stations_time(agent: _Agent) -> None:
    agent.answer = in_shanghai
    done = agent.run("members", "put", "m-1", "--valid-from", "2026-12-24", "--valid-until", "2027-01-01T12:00:00")

    assert (done.returncode, done.stderr) == (0, "")
    assert agent.asked[1].arguments == {
        "id": "m-1",
        "valid_from": "2026-12-23T16:00:00.000Z",
        "valid_until": "2027-01-01T04:00:00.000Z",
    }


@pytest.mark.parametrize(
    "options",
    [("--valid-until", "2027-01-01", "--no-valid-until"), ("--category", "1", "--no-categories"), ("--category", "9")],
)
def test_what_is_given_and_taken_away_at_once_is_not_asked_for(agent: _Agent, options: tuple[str, ...]) -> None:
    assert agent.run("members", "put", "m-1", *options).returncode == 2
    assert agent.asked == []


@pytest.mark.parametrize(
    ("command", "action", "arguments", "words"),
    [
        (("add", "m-1", "--name", "x"), "members.add", {"name": "x", "needs_longer": False}, "m-1 is a member"),
        (("add", "m-1", "--name", "x", "--needs-longer"), "members.add", {"name": "x", "needs_longer": True}, "member"),
        (("put", "m-1", "--no-needs-longer"), "members.put", {"needs_longer": False}, "is changed"),
        (("put", "m-1", "--name", "y"), "members.put", {"name": "y"}, "is changed"),
        (
            ("put", "m-1", "--no-valid-from", "--no-valid-until", "--no-categories"),
            "members.put",
            {"valid_from": None, "valid_until": None, "categories": []},
            "is changed",
        ),
        (("put", "m-1", "--category", "3", "--category", "1"), "members.put", {"categories": [1, 3]}, "is changed"),
        (("suspend", "m-1"), "members.suspend", {}, "until `station members resume`"),
        (("resume", "m-1"), "members.resume", {}, "can come in again"),
    ],
)
def test_members_are_taken_up_changed_suspended_and_resumed(
    agent: _Agent, command: tuple[str, ...], action: str, arguments: dict[str, Any], words: str
) -> None:
    done = agent.run("members", *command)

    assert (done.returncode, done.stderr) == (0, "")
    assert words in done.stdout
    assert (agent.asked[0].action, agent.asked[0].arguments) == (action, {"id": "m-1", **arguments})


def test_the_end_of_a_suspension_is_typed_in_the_stations_time(agent: _Agent) -> None:
    agent.answer = in_shanghai
    done = agent.run("members", "suspend", "m-1", "--until", "2026-12-24")

    assert agent.asked[1].arguments == {"id": "m-1", "until": "2026-12-23T16:00:00.000Z"}
    assert "until 2026-12-24 00:00" in done.stdout
    assert agent.run("members", "put", "m-1").returncode == 2


# --- appliances and the notice ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("position", "words"), [("on", "lamp is switched on"), ("off", "until somebody wants it on")])
def test_an_appliance_is_switched_and_the_words_say_for_how_long(agent: _Agent, position: str, words: str) -> None:
    done = agent.run("appliances", "switch", "lamp", position)

    assert (done.returncode, done.stderr) == (0, "")
    assert words in done.stdout
    assert (agent.asked[0].action, agent.asked[0].arguments) == (
        "appliances.switch",
        {"appliance": "lamp", "on": position == "on"},
    )
    assert agent.run("appliances", "switch", "lamp", "dim").returncode == 2


def test_a_notice_is_put_up_until_the_stations_time_and_taken_down(agent: _Agent) -> None:
    agent.answer = in_shanghai
    text = ("--zh", "停水", "--en", "No water")
    done = agent.run("notice", "put", *text, "--until", "2026-12-24 18:00", "--warning")
    assert (done.returncode, done.stderr) == (0, "")
    assert agent.asked[1].arguments == {
        "zh": "停水",
        "en": "No water",
        "until": "2026-12-24T10:00:00.000Z",
        "level": "warning",
    }
    assert agent.run("notice", "put", "--zh", "停水").returncode == 2
    agent.answer = lambda asked: [Reply(asked.request, ok=True, result={"cleared": True})]
    assert "It is down" in agent.run("notice", "clear").stdout
    agent.answer = lambda asked: [Reply(asked.request, ok=True, result={"cleared": False})]
    assert "There was none" in agent.run("notice", "clear").stdout


def test_a_notice_that_would_be_over_is_not_put_up(agent: _Agent) -> None:
    agent.answer = in_shanghai
    text = ("notice", "put", "--zh", "停水", "--en", "No water")
    past = datetime.now(ZoneInfo("Asia/Shanghai")) - timedelta(minutes=2)
    english = agent.run(*text, "--until", f"{past:%Y-%m-%d %H:%M}")
    chinese = agent.run(*text, "--until", "2020-01-01 08:00", "--lang", "zh")
    assert (english.returncode, english.stdout) == (1, "")
    assert f"would be over already: {past:%Y-%m-%d %H:%M}" in english.stderr
    assert "通知的结束时间已过:2020-01-01 08:00" in chinese.stderr
    assert [each.action for each in agent.asked] == ["status", "status"]


def test_the_status_shows_the_notice_and_what_was_switched_off(agent: _Agent) -> None:
    notice = {"zh": "停水", "en": "No water", "level": "warning", "until": "2026-12-24T10:00:00Z", "put_at": None}
    off = {"state": "off", "usable": "no", "switched_off": True, "power_w": 0.0}
    parts = {**_SNAPSHOT["parts"], "notice": {"notice": notice}, "appliances/microwave": off}
    snapshot = {**_SNAPSHOT, "parts": parts, "station": {"id": "s", "timezone": "Asia/Shanghai"}}
    down = {"part": "notice", "body": {"notice": None}}
    agent.answer = lambda asked: [
        Reply(asked.request, ok=True, result=snapshot, is_last=False),
        Reply(asked.request, ok=True, result=down, is_last=False),
        Reply(asked.request, ok=False, problems=(problem("agent.stopping", "control").as_dict(),)),
    ]
    shown = agent.run("status", "--watch").stdout
    assert "notice: ! No water (until 2026-12-24 18:00)" in shown
    assert "microwave: switched off by an order; off, 0 W" in shown
    assert shown.endswith("notice: taken down\n")


def test_a_bundle_is_put_together_of_its_parts_and_printed(agent: _Agent, tmp_path: Path) -> None:
    parts = [{"station": {"id": "s"}, "messages": [{"at": "1"}]}, {"messages": [{"at": "2"}]}]
    agent.answer = lambda asked: [Reply(asked.request, ok=True, result={"parts": parts})]
    done = agent.run("diagnostics", "collect")
    assert json.loads(done.stdout) == {"station": {"id": "s"}, "messages": [{"at": "1"}, {"at": "2"}]}
    refused = agent.run("diagnostics", "collect", "--file", tmp_path / "nowhere" / "bundle.json")
    assert refused.returncode == 1
    assert "cannot be written" in refused.stderr


# --- consent and what follows from it --------------------------------------------------------------------------------


def test_the_text_in_force_is_shown_in_the_language_asked_for(agent: _Agent) -> None:
    agent.answer = with_consent_text
    done = agent.run("consent", "show", "--consent-language", "zh")

    assert agent.asked[0].arguments == {"language": "zh"}
    assert done.stdout.splitlines()[:3] == ["I agree.", "", "Really."]
    assert "365" in done.stdout


def test_the_person_is_asked_and_only_a_yes_enrols(agent: _Agent, tmp_path: Path) -> None:
    agent.answer = with_consent_text
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"x")
    for answers in ("n\n", "\n", ""):
        done = agent.run("members", "enrol", "m-1", "--name", "x", photo, answers=answers)
        assert done.returncode == 1
        assert "I agree." in done.stdout
        assert "Without this person's own consent" in done.stderr
    assert {asked.action for asked in agent.asked} == {"consent.show"}
    options = ("--under-14", "--guardian", "mother")
    assert agent.run("members", "enrol", "m-1", "--name", "x", *options, photo, answers="y\n").returncode == 0
    assert agent.asked[-1].arguments["consent"] == {
        "version": "2026-11",
        "language": "en",
        "how": "screen",
        "is_under_age": True,
        "guardian": "mother",
    }
    assert agent.run("members", "enrol", "m-1", "--name", "x", "--guardian", "Wang Fang", photo).returncode == 2


def test_too_few_photos_are_said_before_anybody_reads_the_consent(agent: _Agent, tmp_path: Path) -> None:
    agent.answer = lambda asked: [Reply(asked.request, ok=True, result={**CONSENT_TEXT, "min_frames": 3})]
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"x")
    done = agent.run("members", "enrol", "m-1", "--name", "x", photo, answers="y\n")

    assert (done.returncode, done.stdout) == (1, "")
    assert "at least 3 photos needed, you gave 1" in done.stderr
    assert [asked.action for asked in agent.asked] == ["consent.show"]


def test_the_camera_tells_the_person_what_to_do(agent: _Agent) -> None:
    def answer(asked: ControlRequested) -> list[Reply]:
        if asked.action == "consent.show":
            return with_consent_text(asked)
        advice = {"frames": 1, "needed": 3, "advice": {"zh": "请转头。", "en": "Turn your head."}}
        return [Reply(asked.request, ok=True, result=advice, is_last=False), Reply(asked.request, ok=True)]

    agent.answer = answer
    done = agent.run("members", "enrol", "m-1", "--name", "x", "--camera", "--consent-given")

    assert done.stdout.splitlines() == ["[1/3] Turn your head.", "m-1 is enrolled."]
    assert agent.asked[1].arguments["camera"] is True
    assert agent.asked[1].arguments["consent"]["how"] == "paper"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"consent_until_utc": "2999-01-02T00:00:00.000Z"}, "until 2999-01-02"),
        ({"consent_until_utc": "2026-01-02T00:00:00.000Z"}, "ended 2026-01-02"),
        ({"consent_until_utc": "2999-01-02T00:00:00.000Z", "consent_ended": "withdrawn"}, "withdrawn"),
        ({"templates": 1}, "none on record"),
    ],
)
def test_the_list_says_how_each_consent_stands(agent: _Agent, row: dict[str, Any], words: str) -> None:
    member = {"id": "m-1", "name": "x", "created_at_utc": "2026-11-01", "is_suspended": 0, **row}
    agent.answer = lambda asked: [Reply(asked.request, ok=True, result={"rows": [member] * (len(agent.asked) % 2)})]

    assert agent.run("members", "list").stdout.splitlines()[1].endswith(words)


def test_a_consent_is_withdrawn_by_id(agent: _Agent) -> None:
    done = agent.run("members", "withdraw", "m-1", "--yes")

    assert done.returncode == 0
    assert "stored face erased" in done.stdout
    assert (agent.asked[0].action, agent.asked[0].arguments) == ("members.withdraw", {"id": "m-1"})


def test_a_member_is_erased_by_id_and_gets_a_receipt(agent: _Agent) -> None:
    receipt = {"at_utc": "2026-11-22T03:04:05.000Z", "digest": "d" * 64, "salt": "5a17", "rows": {"templates": 1}}
    result = {"receipt": receipt, "timezone": "Asia/Shanghai"}
    agent.answer = lambda asked: [Reply(asked.request, ok=True, result=result)]
    command = ("members", "erase", "m-1", "--yes")
    done, as_json = agent.run(*command), agent.run(*command, "--json")

    assert (agent.asked[0].action, agent.asked[0].arguments) == ("members.erase", {"id": "m-1"})
    for words in ("m-1 is erased.", "5a17", "d" * 64, "templates 1", "sha256sum", "time 2026-11-22 11:04"):
        assert words in done.stdout
    assert json.loads(as_json.stdout) == receipt


@pytest.mark.parametrize("command", ["erase", "withdraw"])
def test_nothing_is_erased_unasked_where_nobody_can_be_asked(agent: _Agent, command: str) -> None:
    done = agent.run("members", command, "m-1", answers="m-1\n")

    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert agent.asked == []


@pytest.mark.parametrize("command", ["erase", "withdraw"])
def test_on_a_terminal_only_the_same_id_once_more_erases(agent: _Agent, command: str) -> None:
    for typed, code in (("m-2\n", 1), ("\n", 1), ("\x04", 1), ("m-1\n", 0)):
        assert agent.run_on_a_terminal("members", command, "m-1", typed=typed) == code, typed
        assert len(agent.asked) == (typed == "m-1\n")


def test_own_data_is_gathered_part_by_part_and_page_by_page(agent: _Agent) -> None:
    visits = [{**_VISIT, "id": f"v-{n}", "entered_at_utc": f"2026-11-0{n}T10:00:00.000Z"} for n in (1, 2)]

    def answer(asked: ControlRequested) -> list[Reply]:
        part = asked.arguments["part"]
        rows: list[dict[str, Any]] = [{"id": "m-1", "name": "张\x1b三", "is_suspended": 0}] if part == "member" else []
        if part == "visits":
            rows = {"": visits[:1], "v-1": visits[1:]}.get(asked.arguments["after_id"], [])
        if part == "log" and asked.arguments["after"] == 0:
            body = {"member": "m-1", "look_alikes": ["m-2", "m-3"]}
            rows = [{"epoch": 1, "sequence": 7, "type": "station.visit.entered", "body": body}]
        if part == "consents":
            rows = [{"how": "paper", "guardian": None}]
        return [Reply(asked.request, ok=True, result={"rows": rows, "timezone": "Asia/Shanghai"})]

    agent.answer = answer
    found = json.loads(agent.run("members", "data", "m-1", "--json").stdout)
    assert [each["id"] for each in found["visits"]] == ["v-1", "v-2"]
    assert (found["consents"][0]["how"], found["log"][0]["sequence"]) == ("paper", 7)
    shown = agent.run("members", "data", "m-1").stdout
    assert "v-2" in shown
    assert "  entered: 2026-11-02 18:00" in shown
    assert "  suspended: no" in shown
    assert "  how: on paper" in shown
    assert "  what: came in" in shown
    assert "  look-alikes: m-2, m-3" in shown
    for raw in ("{", "station.", "is_suspended", "T10:00"):
        assert raw not in shown
    assert "\x1b" not in shown


def test_own_data_of_nobody_is_said_so(agent: _Agent) -> None:
    agent.answer = lambda asked: [Reply(asked.request, ok=True, result={"rows": []})]
    done = agent.run("members", "data", "m-9")

    assert done.returncode == 1
    assert "no such member" in done.stderr


def in_shanghai(asked: ControlRequested) -> list[Reply]:
    """An agent whose station is in China."""
    status = {"station": {"id": "s-1", "name": "", "timezone": "Asia/Shanghai"}}
    rows = {"rows": [_VISIT] if asked.action == "visits.list" else [], "timezone": "Asia/Shanghai"}
    return [Reply(asked.request, ok=True, result=status if asked.action == "status" else rows)]


@pytest.mark.parametrize("machine", ["America/New_York", "UTC"])
def test_a_period_is_typed_in_the_stations_time_whatever_the_machines_is(agent: _Agent, machine: str) -> None:
    agent.answer = in_shanghai
    period = ("--since", "2026-11-01", "--until", "2026-11-02 08:30:00", "--config", agent.config)
    shown = _run("visits", "list", *period, "--limit", "5", env={"TZ": machine})
    _run("visits", "export", *period, env={"TZ": machine})

    expected = {"since": "2026-10-31T16:00:00.000Z", "until": "2026-11-02T00:30:00.000Z"}
    assert agent.asked[1].arguments == {**expected, "limit": 5}
    assert shown.stdout.splitlines()[1].split() == ["v-1", "m-1", "2026-11-01", "18:00"]
    assert expected.items() <= agent.asked[3].arguments.items()


def test_without_a_period_nothing_else_is_asked(agent: _Agent) -> None:
    agent.answer = in_shanghai
    agent.run("visits", "list")

    assert [asked.action for asked in agent.asked] == ["visits.list"]
    assert agent.run("visits", "list", "--limit", "501").returncode == 2
    assert agent.run("visits", "list", "--since", "yesterday").returncode == 2


def test_people_read_times_in_the_stations_zone_and_programs_in_utc(agent: _Agent) -> None:
    visit = {**_VISIT, "left_at_utc": "2026-11-01T18:30:59.000Z", "how": "exit_button"}
    result = {"rows": [visit], "timezone": "Asia/Shanghai"}
    agent.answer = lambda asked: [Reply(asked.request, ok=True, result=result)]
    header, line = agent.run("visits", "list").stdout.splitlines()

    assert "UTC" not in header
    assert line.split() == ["v-1", "m-1", "2026-11-01", "18:00", "2026-11-02", "02:30", "exit_button"]
    assert json.loads(agent.run("visits", "list", "--json").stdout) == [visit]


def _pages(agent: _Agent) -> None:
    evil = {**_VISIT, "id": "v-2", "member_id": "=cmd|'/C calc'!A0", "how": 'a,"b"\nc'}

    def answer(asked: ControlRequested) -> list[Reply]:
        rows = {"": [_VISIT], "v-1": [evil]}.get(asked.arguments["after_id"], [])
        return [Reply(asked.request, ok=True, result={"rows": rows})]

    agent.answer = answer


def test_an_export_is_whole_and_safe_to_open_in_a_spreadsheet(agent: _Agent) -> None:
    _pages(agent)
    done = agent.run("visits", "export", "--csv", text=False)

    assert done.returncode == 0
    assert done.stdout.startswith(b"\xef\xbb\xbfid,member_id,")
    rows = list(csv.DictReader(io.StringIO(done.stdout.decode("utf-8-sig"), newline="")))
    assert [row["id"] for row in rows] == ["v-1", "v-2"]
    assert rows[1]["member_id"] == "'=cmd|'/C calc'!A0"
    assert rows[1]["how"] == 'a,"b"\nc'
    assert [asked.action for asked in agent.asked] == ["visits.page"] * 3
    assert agent.asked[1].arguments["after_entered_at"] == _VISIT["entered_at_utc"]


def test_an_export_into_a_file_is_put_in_place_whole_or_not_at_all(agent: _Agent, tmp_path: Path) -> None:
    _pages(agent)
    output = tmp_path / "visits.csv"
    done = agent.run("visits", "export", "--csv", "--output", output)
    assert (done.returncode, done.stdout) == (0, f"{output} is written; visits: 2.\n")
    assert output.stat().st_mode & 0o777 == 0o600
    whole = output.read_bytes()

    refusal = problem("request.forbidden", "visits.page", "viewer").as_dict()
    agent.answer = lambda asked: [Reply(asked.request, ok=False, problems=(refusal,))]
    assert agent.run("visits", "export", "--csv", "--output", output).returncode == 1
    assert output.read_bytes() == whole
    assert not output.with_name("visits.csv.part").exists()
    assert agent.run("visits", "export", "--output", tmp_path / "none" / "x.csv").returncode == 1


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1", "＋1", "－1", "＠x"])
def test_no_cell_begins_like_a_formula(cell: str) -> None:
    lines = "".join(csv_lines(("a", "b"), [{"a": cell, "b": "plain"}]))

    assert next(csv.reader(io.StringIO(lines.removeprefix("\ufeff"), newline=""))) == ["a", "b"]
    assert list(csv.reader(io.StringIO(lines.removeprefix("\ufeff"), newline="")))[1] == [f"'{cell}", "plain"]


def test_columns_are_aligned_under_wide_characters() -> None:
    lines = list(columns(("姓名", "x"), [("张三丰", 1), ("Bo", None), ("Ann", 2)]))

    assert lines == ["姓名    x", "张三丰  1", "Bo", "Ann     2"]


# --- without an agent ------------------------------------------------------------------------------------------------


def test_no_agent_is_said_so_with_the_remedy(tmp_path: Path) -> None:
    done = _run("status", "--socket", tmp_path / "none.sock")

    assert done.returncode == 1
    assert "The agent is not running" in done.stderr
    assert "systemctl status station-agent" in done.stderr


def test_wrong_use_is_exit_code_2() -> None:
    for arguments in (
        ["door"],
        ["door", "open"],
        ["fly"],
        ["demo", "--seconds", "soon"],
        ["demo", "--port", "80"],
        ["--lang", "fr", "status"],
    ):
        assert _run(*arguments).returncode == 2, arguments


def test_check_names_all_mistakes_and_fails(tmp_path: Path) -> None:
    config = tmp_path / "station.toml"
    config.write_text('[station]\nid = "A"\nnaem = "x"\n[mqtt]\nport = 70000\n' + _PINS, encoding="utf-8")
    english, chinese = _run("check", "--config", config), _run("check", "--config", config, "--lang", "zh")

    assert (english.returncode, chinese.returncode) == (1, 1)
    for where in ("station.id", "station.naem", "mqtt.port"):
        assert f"error: {where}: " in english.stderr
        assert f"错误: {where}: " in chinese.stderr
    assert "3 mistakes" in english.stderr
    assert "The nearest is station.name." in english.stderr


@pytest.mark.parametrize("by_environment", [True, False])
def test_settings_that_are_named_and_not_there_are_said_rather_than_another_agent_asked(
    tmp_path: Path, by_environment: bool
) -> None:
    missing = tmp_path / "none.toml"
    if by_environment:
        done = _run("status", env={"STATION_CONFIG": str(missing)})
    else:
        done = _run("status", "--config", missing)

    assert done.returncode == 1
    assert f"{missing}: there is no such file (No such file or directory)" in done.stderr
    assert "STATION_CONFIG" in done.stderr
    assert "control.sock" not in done.stderr


def test_check_of_a_good_file_says_what_it_holds(tmp_path: Path) -> None:
    config = tmp_path / "station.toml"
    config.write_text('[station]\nid = "gate-7"\n' + _PINS, encoding="utf-8")
    done = _run("check", env={"STATION_CONFIG": str(config)})

    assert (done.returncode, done.stderr) == (0, "")
    assert "gate-7" in done.stdout
    assert "lock.pin = 17" in done.stdout
    assert list(tmp_path.iterdir()) == [config]


def test_check_warns_of_missing_files_without_failing(tmp_path: Path) -> None:
    config = tmp_path / "station.toml"
    mqtt = '[mqtt]\nenabled = true\nusername = "s"\npassword_file = "secret"\n'
    config.write_text('[station]\nid = "gate-7"\n' + _PINS + mqtt, encoding="utf-8")
    done = _run("check", "--config", config)

    assert done.returncode == 0
    assert "warning: mqtt.password_file: " in done.stderr


def _checked(folder: Path, text: str) -> tuple[int, str]:
    config = folder / "station.toml"
    config.write_text('[station]\nid = "gate-7"\n' + _PINS + text, encoding="utf-8")
    done = _run("check", "--config", config)
    return done.returncode, done.stderr


def test_check_tells_warnings_also_when_there_are_mistakes(tmp_path: Path) -> None:
    code, said = _checked(tmp_path, '[door]\nunlock_s = 0.0\n[control.roles]\nno-such-account = "master"\n')

    assert code == 1
    assert said.index("error: door.unlock_s: ") < said.index("warning: control.roles.no-such-account: ")
    assert "1 mistake." in said


def test_check_warns_of_accounts_that_this_machine_lacks(tmp_path: Path) -> None:
    code, said = _checked(tmp_path, '[control.roles]\nroot = "master"\nno-such-account = "viewer"\n')

    assert code == 0
    assert "warning: control.roles.no-such-account: " in said
    assert "control.roles.root" not in said


@pytest.mark.parametrize(
    ("vision", "missing"),
    [
        ('engine = "sface"', ["face_recognition_sface_2021dec.onnx", "face_detection_yunet_2023mar.onnx"]),
        ('detector = "yunet"', ["face_detection_yunet_2023mar.onnx"]),
        ('detector = "auto"', []),
        ('enabled = false\ndetector = "yunet"', []),
    ],
)
def test_check_names_the_models_that_were_chosen_and_are_not_installed(
    tmp_path: Path, vision: str, missing: list[str]
) -> None:
    state = '[state]\ndirectory = "state"\n[vision]\n'
    code, said = _checked(tmp_path, state + vision + "\n")
    assert code == (1 if missing else 0)
    assert said.count("error: vision.") == len(missing)
    assert all(f"{tmp_path}/state/models/{file}" in said for file in missing)

    (tmp_path / "state/models").mkdir(parents=True)
    for file in missing:
        (tmp_path / "state/models" / file).touch()
    assert _checked(tmp_path, state + vision + "\n") == (0, "")


def test_check_fails_when_nobody_could_consent(tmp_path: Path) -> None:
    code, said = _checked(tmp_path, '[consent]\nfolder = "texts"\n')
    assert code == 1
    assert said.count("error: consent.version: ") == 2
    assert _checked(tmp_path, '[consent]\nfolder = "texts"\n[vision]\nenabled = false\n') == (0, "")
    (tmp_path / "texts").mkdir()
    for language in ("zh", "en"):
        (tmp_path / "texts" / f"2026-11.{language}.md").write_text("I agree.", encoding="utf-8")
    assert _checked(tmp_path, '[consent]\nfolder = "texts"\n') == (0, "")


def test_run_with_wrong_settings_says_why_and_fails(tmp_path: Path) -> None:
    config = tmp_path / "station.toml"
    config.write_text('[station]\nid = "A"\n' + _PINS, encoding="utf-8")
    done = _run("run", "--config", config)

    assert done.returncode == 1
    assert "error: station.id: " in done.stderr


# --- lock-safe -------------------------------------------------------------------------------------------------------


def test_lock_safe_of_simulated_hardware_touches_nothing(tmp_path: Path) -> None:
    config = tmp_path / "station.toml"
    config.write_text("[hardware]\nsimulated = true\n", encoding="utf-8")
    done = _run("lock-safe", "--config", config)

    assert done.returncode == 0
    assert "simulated" in done.stdout


@pytest.mark.skipif(Path("/dev/gpiochip99").exists(), reason="this machine really has such a chip")
def test_lock_safe_that_cannot_reach_the_lock_says_so_and_fails(tmp_path: Path) -> None:
    config = tmp_path / "station.toml"
    broken = "[mqtt]\nport = = 1\n"
    config.write_text(broken + '[lock]\npin = 17\n[hardware]\ngpio_chip = "/dev/gpiochip99"\n', encoding="utf-8")
    done = _run("lock-safe", "--config", config)

    assert done.returncode == 1
    assert "The lock may still have current" in done.stderr
    assert "/dev/gpiochip99" in done.stderr
    assert "Traceback" not in done.stderr


def test_lock_safe_without_a_known_pin_touches_nothing_and_fails(tmp_path: Path) -> None:
    for text in ("", "[lock]\npin = 'seventeen'\n", None):
        config = tmp_path / "station.toml"
        if text is None:
            config.unlink()
        else:
            config.write_text(text, encoding="utf-8")
        done = _run("lock-safe", "--config", config)

        assert done.returncode == 1
        assert "no pin was touched" in done.stderr


_LOCK_SAFE = """
import sys
import drivers.lock
calls = []
drivers.lock.make_safe = lambda *arguments, **options: calls.append((arguments, options))
sys.argv = ["station", "lock-safe", "--config", sys.argv[1]]
from agent.cli import main
try:
    main()
finally:
    print(calls)
    print(sorted(name for name in sys.modules if name.split(".")[0] in ("agent", "drivers", "numpy", "cv2", "paho")))
"""


def test_lock_safe_orders_the_wired_pin_and_imports_the_locks_driver_alone(tmp_path: Path) -> None:
    config = tmp_path / "station.toml"
    config.write_text("[station]\nid = 5\n[lock]\npin = 17\nactive_high = false\n[log]\nx = 1\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", _LOCK_SAFE, config], capture_output=True, encoding="utf-8", timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "((17,), {'active_high': False, 'chip': '/dev/gpiochip0'})" in done.stdout
    imported = set(re.findall(r"'([a-z_.]+)'", done.stdout.splitlines()[-1]))
    assert {name for name in imported if name.startswith("drivers.")} <= {
        "drivers.errors",
        "drivers.lock",
        "drivers.pins",
    }
    assert not imported & {"numpy", "cv2", "paho", "agent.app", "agent.loop", "agent.storage"}


def test_asking_for_the_status_imports_nothing_heavy() -> None:
    code = "import sys, agent.cli.program; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    heavy = {"pydantic", "numpy", "cv2", "paho", "gpiozero", "dlib", "sqlite_utils", "agent.settings", "drivers"}
    assert not heavy & set(done.stdout.split())
