"""`station appliances …`: switched, and what people say of them; `station status` shows how they are."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from agent.cli.connection import connect, reporting
from agent.cli.language import say
from agent.cli.options import ConfigOption, LanguageOption, SocketOption

app = typer.Typer(help="电器 / Appliances.", no_args_is_help=True, rich_markup_mode=None)


NameArgument = Annotated[
    str, typer.Argument(help="电器名称(见 station status)/ As the settings call it", show_default=False)
]


class Position(StrEnum):
    """Of a switch."""

    ON = "on"
    OFF = "off"


@app.command("switch")
def switch(
    name: NameArgument,
    position: Annotated[Position, typer.Argument(help="开或关 / On or off", show_default=False)],
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """远程开关插座上的电器 / Switch the plug of an appliance; done only once the plug says so."""
    is_on = position is Position.ON
    with reporting():
        connect(config, socket).request("appliances.switch", appliance=name, on=is_on)
    if is_on:
        say(f"{name} 已通电。", f"{name} is switched on.")
    else:
        say(
            f"{name} 已断电,直到有人再打开它(插座按钮或本命令)。",
            f"{name} is switched off until somebody wants it on: at its plug, or by this command.",
        )


@app.command("replaced")
def replaced(
    name: NameArgument,
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """已换新机:重新学习其用电 / Another one stands in its place: its usual power is learned anew."""
    with reporting():
        connect(config, socket).request("appliances.replaced", appliance=name)
    say("已记录,将重新学习其用电。", "It is noted; its usual power is learned anew.")
