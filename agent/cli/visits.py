"""`station visits …`: list the newest, export all."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.connection import connect, reporting
from agent.cli.language import complain, say
from agent.cli.options import ConfigOption, JsonOption, LanguageOption, SocketOption
from agent.cli.table import csv_lines, tell_rows
from agent.cli.times import local_time, station_zone, utc_of, zone_in
from agent.control.client import ControlClient
from agent.core.problems import Words
from agent.core.spoken import system_words

app = typer.Typer(help="到访记录 / Visits.", no_args_is_help=True, rich_markup_mode=None)

COLUMNS = ("id", "member_id", "entered_at_utc", "left_at_utc", "how")

_TITLES = (
    Words("编号", "visit"),
    Words("成员", "member"),
    Words("进入", "entered"),
    Words("离开", "left"),
    Words("方式", "how"),
)

SinceOption = Annotated[
    datetime | None,
    typer.Option("--since", help="从(含),站点时区 / From this time at the station on, included"),
]
UntilOption = Annotated[
    datetime | None,
    typer.Option("--until", help="到(不含),站点时区 / Up to this time at the station, not included"),
]


@app.command("list")
def list_visits(
    *,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="最多条数 / At most so many")] = 100,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """列出最近的到访 / List visits, newest first, in the station's time; with --json in UTC."""
    with reporting():
        client = connect(config, socket)
        since_utc, until_utc = _period(client, since, until)
        answer = client.request("visits.list", since=since_utc, until=until_utc, limit=limit)
    rows, zone = answer["rows"], zone_in(answer)
    tell_rows(
        rows,
        as_json,
        Words("没有到访记录。", "There are no visits."),
        _TITLES,
        lambda row: [local_time(row.get(name), zone) if name.endswith("_utc") else row.get(name) for name in COLUMNS],
    )


@app.command("export")
def export(
    *,
    _csv: Annotated[
        bool, typer.Option("--csv", help="CSV 格式(目前唯一的格式)/ As CSV, today's only format", show_default=False)
    ] = True,
    output: Annotated[
        Path | None, typer.Option("--output", help="写入文件,默认为标准输出 / Into a file instead of the screen")
    ] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """导出全部到访,时间为 UTC / Export visits, oldest first, times in UTC; opens in Excel and WPS."""
    with reporting():
        client = connect(config, socket)
        counted = _Counted(_pages(client, *_period(client, since, until)))
        lines = csv_lines(COLUMNS, counted)
        if output is None:
            for line in lines:
                sys.stdout.buffer.write(line.encode())
            sys.stdout.buffer.flush()
            return
        try:
            _write(output, lines)
        except OSError as error:
            why = system_words(error)
            complain(f"无法写入 {output}:{why.zh}", f"{output} cannot be written: {why.en}")
            raise typer.Exit(1) from None
    say(f"已写入 {output},到访 {counted.count} 条。", f"{output} is written; visits: {counted.count}.")


def _period(client: ControlClient, since: datetime | None, until: datetime | None) -> tuple[str | None, str | None]:
    """What was typed, in UTC; the station is asked for its zone only where it matters."""
    if since is None and until is None:
        return None, None
    zone = station_zone(client)
    return utc_of(since, zone), utc_of(until, zone)


class _Counted:
    """Rows, and how many there were."""

    def __init__(self, rows: Iterator[dict[str, Any]]) -> None:
        self.count = 0
        self._rows = rows

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for row in self._rows:
            self.count += 1
            yield row


def _pages(client: ControlClient, since: str | None, until: str | None) -> Iterator[dict[str, Any]]:
    last: dict[str, Any] = {}
    while page := client.request(
        "visits.page",
        since=since,
        until=until,
        after_entered_at=last.get("entered_at_utc"),
        after_id=last.get("id"),
    )["rows"]:
        yield from page
        last = page[-1]


def _write(output: Path, lines: Iterator[str]) -> None:
    """Write beside the file and put it in place when it is whole; for the owner's eyes only."""
    unfinished = output.with_name(output.name + ".part")
    try:
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123
            file.writelines(line.encode() for line in lines)
        unfinished.replace(output)
    finally:
        unfinished.unlink(missing_ok=True)
