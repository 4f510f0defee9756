"""Reads what the report of a month is made of from the agent, counts it, and says it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from agent.cli.language import pick
from agent.cli.report_words import remarks_of, rows_of, show
from agent.cli.table import csv_lines
from agent.cli.times import zone_in
from agent.control.client import ControlClient
from agent.core.assessment import Criterion, Scale
from agent.core.problems import Words
from agent.core.report import Month, Setup
from agent.core.report_times import Dating, Stretch, month_of, open_stretches, schedule_from, stretch_of

COLUMNS = ("section", "name", "figure", "value")
_AFTERWARDS = timedelta(days=2)  # an entry of so long after the month: no clock is set back so far, the rest is later


def gather(client: ControlClient, month: str, now: datetime) -> dict[str, Any] | None:
    """Read everything page by page and count; None for a month that has not begun. Raises `ControlError`."""
    said = client.request("report.month", month=month, part="setup")
    zone = zone_in(said)
    begins, ends = stretch_of(month_of(month), zone)
    if begins >= now:
        return None
    stretch = begins, min(ends, now)
    schedule = said["schedule"]
    setup = Setup(
        month,
        zone,
        stretch,
        (stretch,) if schedule is None else open_stretches(schedule_from(schedule, zone), stretch),
        tuple(said["appliances"]),
        tuple(said["supplies"]),
        {Criterion(name): Scale(tuple(each["limits"]), each["weight"]) for name, each in said["assessment"].items()},
    )
    counted = Month(setup)
    (span,) = client.request("report.month", month=month, part="span")["rows"]
    _read_log(client, month, stretch, counted)
    for row in _energy(client, month, stretch):
        counted.take_energy(row)
    figures = counted.report()
    figures["remarks"] |= {**span, "is_pruned": bool(span["is_pruned"]), "is_over": ends <= now}
    return {**figures, "timezone": said["timezone"], "labels": said["labels"]}


def _read_log(client: ControlClient, month: str, stretch: Stretch, counted: Month) -> None:
    dating = Dating()
    place = {"epoch": 0, "after": 0}
    while rows := client.request("report.month", month=month, part="log", **place)["rows"]:
        for row in rows:
            for entry in dating.take(row):
                counted.take(entry)  # also one of later: it says that the log began only then
                if entry.is_dated and entry.at > stretch[1] + _AFTERWARDS:
                    return
        place = {"epoch": rows[-1]["epoch"], "after": rows[-1]["sequence"]}
    for entry in dating.rest():
        counted.take(entry)


def _energy(client: ControlClient, month: str, stretch: Stretch) -> Iterator[Mapping[str, Any]]:
    """Day by day, so that no page looks through much."""
    at, ends = stretch
    while at < ends:
        until = min(at + timedelta(days=1), ends)
        period = {"since": at.isoformat(), "until": until.isoformat()}
        after = 0
        while rows := client.request("report.month", month=month, part="energy", after=after, **period)["rows"]:
            yield from rows
            after = rows[-1]["id"]
        at = until


def lines_of(figures: Mapping[str, Any], *, as_csv: bool, as_json: bool) -> Iterator[str]:
    """The figures for people, or as CSV or JSON."""
    if as_json:
        yield json.dumps(figures, ensure_ascii=False, indent=2) + "\n"
    elif as_csv:
        yield from csv_lines(COLUMNS, (dict(zip(COLUMNS, row, strict=True)) for row in rows_of(figures)))
    else:
        for line in show(figures):
            yield line + "\n"
        for words in remarks_of(figures):
            yield pick(Words("注意:", "note: ")) + pick(words) + "\n"
