"""The demo must be able to fail: a broken matcher, log or link makes it exit 1 and name what did not happen."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.core.gallery import Gallery, Match
from agent.demo import run
from agent.demo.director import Outcome
from agent.demo.report import Evidence, missing, spread
from agent.demo.scenario import ScenarioError, Scene, Totals, find_config, load_scenario
from agent.effects import AppendEntry, Effect
from agent.fleet.audit import audit
from agent.mqtt.link import BrokerLink
from agent.storage.writer import StorageWriter

Play = Callable[[], tuple[int, dict[str, Any]]]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Play one round of the real scenario; returns the exit code and the report."""
    monkeypatch.setattr("agent.demo.director.PATIENCE_S", 3.0)
    monkeypatch.setattr(run, "SETTLE_S", 2.0)
    scenario = load_scenario(find_config("demo-scenario.toml"))
    once = scenario.model_copy(update={"scenes": scenario.scenes[:3]})
    monkeypatch.setattr(run, "load_scenario", lambda _path: once)

    def play_once() -> tuple[int, dict[str, Any]]:
        report = tmp_path / "report.json"
        scenes = iter(range(len(once.scenes)))
        monkeypatch.setattr(run, "_is_time_up", lambda _began_at, _seconds: next(scenes) == len(once.scenes) - 1)
        code = run.main(60, report, None)
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


def test_what_is_missing_is_named_one_by_one() -> None:
    scene = Scene(name="a_scene", zh="", en="", brings=Totals(visits=1, refusals=2, alarms=1), steps=())
    evidence = Evidence(
        scenes=[scene],
        outcomes=[Outcome("a_scene", "a step", 1.0, "it did not happen")],
        latencies_ms=[],
        received=[],
        audit=audit([]),
        log_entries=3,
        acknowledged=2,
        complaints=["a message"],
        named=["somebody"],
    )
    assert missing(evidence) == [
        "a_scene: a step: it did not happen",
        "visits: 0 received, 1 expected",
        "refusals: 0 received, 2 expected",
        "alarms: 0 received, 1 expected",
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
