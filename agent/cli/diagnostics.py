"""`station diagnostics …`: what a support engineer needs to know of the station, without anything about people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.connection import connect, reporting
from agent.cli.language import complain, say
from agent.cli.options import ConfigOption, LanguageOption, SocketOption
from agent.core.bundle import unpacked
from agent.core.spoken import system_words

app = typer.Typer(help="诊断 / Diagnostics.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """A group also with one command."""


@app.command("collect")
def collect(
    file: Annotated[
        Path | None,
        typer.Option("--file", dir_okay=False, help="写入文件,默认打印 / Write it there; else it is printed"),
    ] = None,
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """收集诊断信息(JSON),不含个人信息,可交给技术支持 / A bundle for support, JSON, without personal data."""
    with reporting():
        bundle = unpacked(connect(config, socket).request("diagnostics.collect")["parts"])
    text = json.dumps(bundle, ensure_ascii=False, indent=1)
    if file is None:
        typer.echo(text)
        return
    try:
        file.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        why = system_words(error)
        complain(f"无法写入 {file}:{why.zh}", f"{file} cannot be written: {why.en}")
        raise typer.Exit(1) from None
    say(f"已写入 {file}。", f"It is in {file}.")
