"""`station report`: the figures of a month."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.connection import connect, reporting
from agent.cli.language import complain, pick, say
from agent.cli.options import ConfigOption, JsonOption, LanguageOption, SocketOption
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


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report")(report)


def report(
    *,
    month: Annotated[
        str | None, typer.Option("--month", help="月份,如 2026-11,默认本月 / Such as 2026-11; else this month")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="输出 CSV / As CSV; opens in Excel and WPS")] = False,
    as_json: JsonOption = False,
    output: Annotated[
        Path | None, typer.Option("--output", help="写入文件,默认为标准输出 / Into a file instead of the screen")
    ] = None,
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """月报:到访、可用率、故障、能耗、物资、报警和自评 / The figures of a month, and one to five stars."""
    chosen = month or datetime.now().astimezone().strftime("%Y-%m")
    try:
        month_of(chosen)
    except ValueError:
        complain(f"“{chosen}”不是月份,应写成 2026-11", f'"{chosen}" is no month: write it as 2026-11')
        raise typer.Exit(2) from None
    if as_csv and as_json:
        complain("--csv 和 --json 只能选一个", "either --csv or --json, not both")
        raise typer.Exit(2)
    with reporting():
        figures = gather(connect(config, socket), chosen, datetime.now(UTC))
    if figures is None:
        complain(f"{chosen} 还没有开始。", f"{chosen} has not begun yet: there is nothing to report.")
        raise typer.Exit(1)
    _put(_lines(figures, as_csv=as_csv, as_json=as_json), output, is_text=not (as_csv or as_json))


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
                if entry.is_dated and entry.at > stretch[1] + _AFTERWARDS:
                    return
                counted.take(entry)
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


def _lines(figures: Mapping[str, Any], *, as_csv: bool, as_json: bool) -> Iterator[str]:
    if as_json:
        yield json.dumps(figures, ensure_ascii=False, indent=2) + "\n"
    elif as_csv:
        yield from csv_lines(COLUMNS, (dict(zip(COLUMNS, row, strict=True)) for row in rows_of(figures)))
    else:
        for line in show(figures):
            yield line + "\n"
        for words in remarks_of(figures):
            yield pick(Words("注意:", "note: ")) + pick(words) + "\n"


def _put(lines: Iterator[str], output: Path | None, *, is_text: bool) -> None:
    if output is None:
        for line in lines:
            if is_text:
                sys.stdout.write(line)
            else:
                sys.stdout.buffer.write(line.encode())  # CSV has its own line ends
        sys.stdout.flush()
        return
    unfinished = output.with_name(output.name + ".part")
    try:
        try:
            with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123
                file.writelines(line.encode() for line in lines)
            unfinished.replace(output)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        complain(f"无法写入 {output}:{error.strerror}", f"{output} cannot be written: {error.strerror}")
        raise typer.Exit(1) from None
    say(f"已写入 {output}。", f"{output} is written.")
