"""The demo must be able to fail: a broken matcher, log or link makes it exit 1 and name what did not happen."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from agent.core.gallery import Gallery, Match
from agent.core.schedule import Admission, Schedule
from agent.core.turn import Turn
from agent.demo import run
from agent.demo.director import ANOTHER_S, Outcome, seconds_until
from agent.demo.report import Evidence, missing, spread
from agent.demo.scenario import ScenarioError, Scene, SkipTo, Totals, find_config, load_scenario
from agent.effects import AppendEntry, Effect
from agent.fleet.audit import audit
from agent.mqtt.link import BrokerLink
from agent.mqtt.payloads import log_event
from agent.notifier import Notifier
from agent.storage.ledger import Ledger
from agent.storage.writer import StorageWriter
from agent.vision.codes import AGAIN_S
from tests.mqtt.conftest import make_entries

Play = Callable[..., tuple[int, dict[str, Any]]]
FACES = ("enrolment", "member_comes", "stranger_comes")
APPLIANCE = "microwave_never_stops"
PASSES = ("pass_is_shown", "pass_is_shown_again")


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Play these scenes of the real scenario; returns the exit code and the report."""
    monkeypatch.setattr("agent.demo.director.PATIENCE_S", 3.0)
    monkeypatch.setattr("agent.demo.director.NOTICE_S", 15.0)
    monkeypatch.setattr(run, "SETTLE_S", 2.0)
    scenario = load_scenario(find_config("demo-scenario.toml"))

    def play_once(*names: str) -> tuple[int, dict[str, Any]]:
        wanted = names or FACES
        once = scenario.model_copy(update={"scenes": tuple(each for each in scenario.scenes if each.name in wanted)})
        assert len(once.scenes) == len(wanted)
        monkeypatch.setattr(run, "load_scenario", lambda _path: once)
        report = tmp_path / "report.json"
        scenes = iter(range(len(once.scenes)))
        monkeypatch.setattr(run, "_is_time_up", lambda _began_at, _seconds: next(scenes) == len(once.scenes) - 1)
        code = run.main(60, report)
        return code, json.loads(report.read_text())

    return play_once


def test_the_demo_succeeds_when_nothing_is_broken(play: Play) -> None:
    code, report = play()
    assert (code, report["missing"]) == (0, [])
    assert (report["visits"], report["refusals"]) == (1, 1)
    assert report["log_entries"] == report["acknowledged"] == report["received"] > 0
    assert report["latency_ms"]["max"] >= report["latency_ms"]["p50"] > 0


def test_a_matcher_that_knows_nobody_fails_the_demo(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Gallery, "identify", lambda *_arguments: None)
    code, report = play()
    assert code == 1
    assert any("member_comes" in each for each in report["missing"])


def test_a_matcher_that_takes_everybody_for_a_member_fails_the_demo(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    def everybody(gallery: Gallery, _vectors: object) -> Match | None:
        return Match(gallery.members[0], 0.1, None) if gallery.members else None

    monkeypatch.setattr(Gallery, "identify", everybody)
    code, report = play()
    assert code == 1
    assert any("stranger_comes" in each for each in report["missing"])


def test_a_log_that_loses_entries_fails_the_demo(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    submit = StorageWriter.submit

    def forget_visits(writer: StorageWriter, effect: Effect) -> None:
        if not (isinstance(effect, AppendEntry) and effect.type == "station.visit.entered"):
            submit(writer, effect)

    monkeypatch.setattr(StorageWriter, "submit", forget_visits)
    code, report = play()
    assert code == 1
    assert "visits: 0 received, 1 expected" in report["missing"]


def test_a_link_that_publishes_nothing_fails_the_demo(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BrokerLink, "publish_entries", lambda *_arguments: None)
    code, report = play()
    assert code == 1
    assert report["received"] == 0
    assert any("acknowledged" in each for each in report["missing"])


def test_a_pass_opens_once_and_the_door_is_open_to_all_in_opening_hours(play: Play) -> None:
    code, report = play(*PASSES, "opening_hours")
    assert (code, report["missing"]) == (0, [])
    assert (report["visits"], report["refusals"]) == (1, 1)


def test_a_ledger_that_forgets_what_was_spent_fails_the_demo(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ledger, "was_spent", lambda *_arguments: False)
    code, report = play(*PASSES)
    assert code == 1
    assert not any("pass_is_shown:" in each for each in report["missing"])
    assert any("pass_is_shown_again: expect entry station.access.refused" in each for each in report["missing"])


def test_a_door_that_stays_unlocked_after_hours_fails_the_demo(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = Schedule(ZoneInfo("Asia/Shanghai"), otherwise=Admission.OPEN, untrusted=None)
    monkeypatch.setattr("agent.rules.schedule_of", lambda *_arguments: schedule)
    code, report = play("opening_hours")
    assert code == 1
    assert any("expect closed: the door gave way" in each for each in report["missing"])
    assert any("expect lock secured" in each for each in report["missing"])


def test_an_appliance_that_goes_wrong_is_told_repaired_and_closed_by_its_meter(play: Play) -> None:
    code, report = play(APPLIANCE)
    assert (code, report["missing"]) == (0, [])
    assert (report["faults"], report["notices"]) == (1, 1)


def test_rules_that_see_no_fault_fail_the_demo(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.core.appliance_faults.CHECKS", {})
    code, report = play(APPLIANCE)
    assert code == 1
    assert "faults: 0 received, 1 expected" in report["missing"]
    assert any("expect entry station.fault.raised" in each for each in report["missing"])


def test_a_notifier_that_sends_nothing_fails_the_demo(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.demo.director.NOTICE_S", 3.0)
    monkeypatch.setattr(Notifier, "submit", lambda *_arguments: None)
    code, report = play(APPLIANCE)
    assert code == 1
    assert report["faults"] == 1
    assert "notices: 0 received, 1 expected" in report["missing"]
    assert f"{APPLIANCE}: expect notice microwave: no message about microwave came" in report["missing"]


def test_a_fault_that_its_meter_does_not_close_fails_the_demo(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    clear = Turn.clear_fault

    def keep(turn: Turn, code: str, where: str) -> None:
        if code != "appliance.never_stops":
            clear(turn, code, where)

    monkeypatch.setattr(Turn, "clear_fault", keep)
    code, report = play(APPLIANCE)
    assert code == 1
    assert any("expect entry station.fault.cleared" in each for each in report["missing"])


def test_a_code_is_held_up_again_only_when_the_camera_tells_it_again() -> None:
    assert ANOTHER_S > AGAIN_S


@pytest.mark.parametrize(
    ("now", "time", "zone", "hours"),
    [
        ("2026-11-22T00:00", "20:00", "Asia/Shanghai", 12.0),
        ("2026-11-22T12:00", "20:00", "Asia/Shanghai", 24.0),  # it is that time: the next is tomorrow's
        ("2026-11-22T13:00", "08:00", "Asia/Shanghai", 11.0),
        ("2026-03-28T19:00", "08:00", "Europe/Berlin", 11.0),  # the clocks go forward in this night
        ("2026-10-24T18:00", "08:00", "Europe/Berlin", 13.0),  # and back
    ],
)
def test_how_long_it_is_until_a_time_of_day(now: str, time: str, zone: str, hours: float) -> None:
    assert seconds_until(time, datetime.fromisoformat(now).replace(tzinfo=UTC), zone) == hours * 3600


def test_a_time_of_day_that_is_none_is_refused_with_its_place() -> None:
    with pytest.raises(ValidationError, match="time"):
        SkipTo.model_validate({"do": "skip_to", "time": "25:00"})


def test_who_came_in_by_face_without_a_latency_is_missing() -> None:
    entries = [
        replace(each, type="station.access.granted", body=f'{{"way":"{way}"}}')
        for each, way in zip(make_entries(3), ("face", "pass", "face"), strict=True)
    ]
    received = [log_event("demo-1", each, datetime.now(UTC)) for each in entries]
    evidence = Evidence((), (), [100.0], received, audit([]), 3, 3, 0, ())
    assert missing(evidence) == ["latencies: 1 measured for 2 who came in by face"]


def test_what_is_missing_is_named_one_by_one() -> None:
    scene = Scene(
        name="a_scene", zh="", en="", brings=Totals(visits=1, refusals=2, alarms=1, faults=1, notices=1), steps=()
    )
    evidence = Evidence(
        scenes=[scene],
        outcomes=[Outcome("a_scene", "a step", 1.0, "it did not happen")],
        latencies_ms=[],
        received=[],
        audit=audit([]),
        log_entries=3,
        acknowledged=2,
        notices=0,
        complaints=["a message"],
        named=["somebody"],
    )
    assert missing(evidence) == [
        "a_scene: a step: it did not happen",
        "visits: 0 received, 1 expected",
        "refusals: 0 received, 2 expected",
        "alarms: 0 received, 1 expected",
        "faults: 0 received, 1 expected",
        "notices: 0 received, 1 expected",
        "log entries: 0 received of 3 written",
        "log entries: 2 acknowledged of 3 written",
        "privacy: a message names somebody",
        "against the contract: a message",
    ]


def test_a_spread_of_latencies() -> None:
    assert spread([]) == {"p50": None, "p95": None, "max": None}
    assert spread([7.04]) == {"p50": 7.0, "p95": 7.0, "max": 7.0}
    assert spread([float(n) for n in range(101)]) == {"p50": 50.0, "p95": 95.0, "max": 100.0}


def test_a_scenario_with_an_unknown_step_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "scenario.toml"
    path.write_text('portraits = {}\n[[scenes]]\nname = "a"\nzh = ""\nen = ""\nsteps = [{ do = "fly" }]\n')
    with pytest.raises(ScenarioError, match="fly"):
        load_scenario(path)
