"""`station appliances …`: what people say of them; `station status` shows how they are."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.cli.connection import connect, reporting
from agent.cli.language import say
from agent.cli.options import ConfigOption, LanguageOption, SocketOption

app = typer.Typer(help="电器 / Appliances.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """A group also with one command."""


@app.command("replaced")
def replaced(
    name: Annotated[
        str, typer.Argument(help="电器名称(见 station status)/ As the settings call it", show_default=False)
    ],
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """已换新机:重新学习其用电 / Another one stands in its place: its usual power is learned anew."""
    with reporting():
        connect(config, socket).request("appliances.replaced", appliance=name)
    say("已记录,将重新学习其用电。", "It is noted; its usual power is learned anew.")
