"""The measurement of delivery, with few of everything: that it runs, and what it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench import delivery
from bench.delivery import Drained, Round, judge_drain
from tests.broker import find_mosquitto

DRAINED = Drained(100_000, 2_500.0, 0.2, "each once and in order", 1_500.0, 80_000_000, 82_000_000, 84_000_000)


@pytest.fixture
def mosquitto() -> None:
    find_mosquitto()


@pytest.mark.usefixtures("mosquitto")
def test_events_and_commands_are_timed_beside_the_brokers_own_round_trip(tmp_path: Path) -> None:
    events, durable_ms, commands = delivery.measure_ways(tmp_path, 3)
    for each in (events, commands):
        assert len(each.took_ms) == len(each.broker_ms) == 3
        assert all(took_ms > 0 for took_ms in (*each.took_ms, *each.broker_ms))
    assert all(durable <= took for durable, took in zip(durable_ms, events.took_ms, strict=True))
    assert len(events.disk_ms) == 3


@pytest.mark.usefixtures("mosquitto")
def test_a_backlog_grows_without_a_broker_and_drains_whole_beside_its_rivals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "RIVAL_RUNS", 1)
    drained, memory, commits = delivery.measure_drain(tmp_path, 300)
    assert drained.count >= 300
    assert drained.order == "each once and in order"
    assert drained.lived_s < 60
    assert min(drained.rate, memory, commits) > 0
    assert drained.before <= drained.while_growing


@pytest.mark.usefixtures("mosquitto")
def test_decisions_are_taken_while_a_backlog_drains(tmp_path: Path) -> None:
    beside = delivery.measure_decisions(tmp_path, 2_000)
    assert beside.rate > 0
    assert beside.took_ms
    assert len(beside.idle_ms) >= len(beside.took_ms)


@pytest.mark.parametrize(
    ("found", "verdicts"),
    [
        (DRAINED, ["met", "met", "met", "", ""]),
        (replace(DRAINED, rate=1_999.0), ["NOT MET", "met", "met", "", ""]),
        (replace(DRAINED, lived_s=2.1), ["met", "NOT MET", "met", "", ""]),
        (replace(DRAINED, while_growing=85_100_000), ["met", "met", "NOT MET", "", ""]),
    ],
)
def test_each_bar_of_a_backlog_is_judged_by_its_own_figure(found: Drained, verdicts: list[str]) -> None:
    assert [each.verdict for each in judge_drain(found, 8_000.0, 500.0)] == verdicts


def test_what_the_broker_itself_takes_does_not_count() -> None:
    found = Round(took_ms=[150.0] * 20, broker_ms=[60.0] * 20)
    assert found.beyond_ms == pytest.approx(90.0)
