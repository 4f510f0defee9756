"""What the report of a month is made of, part by part. The figures themselves are made by whoever asks.

The thread that decides only hands pages on: a month's log has thousands of entries, and the door must not wait while
they are counted. So neither does the storage's reader keep anything between two pages.
"""

from __future__ import annotations

from datetime import timedelta

from agent.core import report_times
from agent.core.problems import problem
from agent.core.turn import Turn
from agent.effects import Reply, RunQuery
from agent.events import ControlRequested

_PAGE = ("since", "until", "after")

PARTS = {"span": ("report_span", ()), "log": ("report_log", ("epoch", "after")), "energy": ("report_energy", _PAGE)}
"""Of `report.month`, besides `setup`: the query and the arguments it takes."""


def read_month(turn: Turn, asked: ControlRequested) -> None:
    """Answer with the settings that the report goes by, or with a page of rows."""
    part = asked.arguments["part"]
    if part == "setup":
        turn.do(Reply(asked.request, ok=True, result=_setup(turn, asked.arguments["month"])))
        return
    query, names = PARTS[part]
    arguments = {name: asked.arguments[name] for name in names if name in asked.arguments}
    turn.do(RunQuery(asked.request, query, arguments))
    turn.expect(asked.request, problem("request.timed_out", asked.action, "the disk is slow"))


def _setup(turn: Turn, month: str) -> dict[str, object]:
    rules = turn.rules
    first = report_times.month_of(month)
    around = first - timedelta(days=7), first + timedelta(days=40)  # hours may run over from the days before
    return {
        "timezone": rules.plate.timezone,
        "schedule": None if rules.schedule is None else report_times.schedule_as_dict(rules.schedule, *around),
        "appliances": sorted(rules.appliances),
        "supplies": sorted(rules.supplies),
        "labels": rules.plate.labels,
        "assessment": {
            criterion.value: {"limits": list(scale.limits), "weight": scale.weight}
            for criterion, scale in rules.assessment.items()
        },
    }
