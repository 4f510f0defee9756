"""What the report of a month may be asked for, and by whom."""

from __future__ import annotations

from datetime import UTC, date
from typing import Any

import pytest

from agent.core.requests import handle
from agent.core.schedule import Admission, Schedule, Span
from agent.core.state import Plate, Rules, StationState
from agent.core.supplies import SupplyRules
from agent.core.turn import Turn
from agent.effects import Reply, RunQuery
from agent.events import Actor, ControlRequested

DAY = (Span(480, 1200, Admission.MEMBERS),)
RULES = Rules(
    plate=Plate(timezone="Asia/Shanghai"),
    schedule=Schedule(UTC, (DAY,) * 7, {date(2026, 11, 3): (), date(2027, 5, 1): ()}, otherwise=Admission.CLOSED),
    supplies={"gauze": SupplyRules()},
)


def ask(role: str = "master", **arguments: Any) -> Turn:
    turn = Turn(StationState(0.0), RULES, 0.0)
    actor = Actor(kind="local", name="alice", role=role)
    handle(turn, ControlRequested(0.0, "r1", actor, "report.month", {"month": "2026-11", **arguments}))
    return turn


def test_the_settings_are_told_at_once_and_of_the_holidays_those_of_the_month() -> None:
    (reply,) = ask(part="setup").effects
    assert isinstance(reply, Reply)
    assert reply.result["timezone"] == "Asia/Shanghai"
    assert reply.result["supplies"] == ["gauze"]
    assert list(reply.result["schedule"]["exceptions"]) == ["2026-11-03"]
    assert reply.result["assessment"]["repair_h"] == {"limits": [24.0, 48.0, 96.0, 168.0], "weight": 2.0}


@pytest.mark.parametrize(
    ("part", "given", "query", "arguments"),
    [
        ("span", {"epoch": 1}, "report_span", {}),
        ("log", {"epoch": 1, "after": 7, "since": "x"}, "report_log", {"epoch": 1, "after": 7}),
        ("energy", {"since": "a", "until": "b", "epoch": 3}, "report_energy", {"since": "a", "until": "b"}),
    ],
)
def test_rows_are_read_by_the_reader_and_waited_for(
    part: str, given: dict[str, Any], query: str, arguments: dict[str, Any]
) -> None:
    turn = ask(part=part, **given)
    assert turn.effects == [RunQuery("r1", query, arguments)]
    assert "r1" in turn.state.waiting


def test_who_may_only_look_learns_no_figures() -> None:
    turn = ask("viewer", part="log")
    replies = [each for each in turn.effects if isinstance(each, Reply)]
    assert [each.ok for each in replies] == [False]
    assert not any(isinstance(each, RunQuery) for each in turn.effects)
