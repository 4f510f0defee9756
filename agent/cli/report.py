"""`station report`: the figures of a month."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.connection import connect, reporting
from agent.cli.language import complain, say
from agent.cli.options import ConfigOption, JsonOption, LanguageOption, SocketOption
from agent.core.spoken import system_words


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
    from agent.cli.month import gather, lines_of  # with them comes much of the rules: not for every command
    from agent.core.report_times import month_of

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
    _put(lines_of(figures, as_csv=as_csv, as_json=as_json), output, is_text=not (as_csv or as_json))


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
        why = system_words(error)
        complain(f"无法写入 {output}:{why.zh}", f"{output} cannot be written: {why.en}")
        raise typer.Exit(1) from None
    say(f"已写入 {output}。", f"{output} is written.")
