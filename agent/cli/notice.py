"""`station notice …`: the notice on the station's screens."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from agent.cli.connection import connect, reporting
from agent.cli.language import say, tell_problems
from agent.cli.options import ConfigOption, LanguageOption, SocketOption
from agent.cli.times import station_zone, utc_of
from agent.core.problems import problem

app = typer.Typer(help="屏幕通知 / The notice on the screens.", no_args_is_help=True, rich_markup_mode=None)


@app.command("put")
def put(
    *,
    zh: Annotated[str, typer.Option("--zh", help="中文,一行,最多 200 字 / In Chinese, one line")],
    en: Annotated[str, typer.Option("--en", help="英文 / In English")],
    until: Annotated[
        datetime | None,
        typer.Option("--until", help="到时自动撤下,站点时区;默认直到 clear / Comes down then; else at `clear`"),
    ] = None,
    is_warning: Annotated[bool, typer.Option("--warning", help="重要 / It matters more")] = False,
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """张贴一条通知,替换原来的;请勿写姓名和电话 / Put one up, in the place of the one before; no names, no numbers."""
    level = "warning" if is_warning else "info"
    with reporting():
        client = connect(config, socket)
        until_utc = None
        if until is not None:
            zone = station_zone(client)
            if until.replace(tzinfo=zone) <= datetime.now(UTC):  # an agent without a trusted clock would take it
                tell_problems([problem("notice.over", "until", f"{until:%Y-%m-%d %H:%M}")])
                raise typer.Exit(1)
            until_utc = utc_of(until, zone)
        client.request("notice.put", zh=zh, en=en, until=until_utc, level=level)
    say("已张贴。", "It is up.")


@app.command("clear")
def clear(config: ConfigOption = None, socket: SocketOption = None, _lang: LanguageOption = None) -> None:
    """撤下通知 / Take it down."""
    with reporting():
        answer = connect(config, socket).request("notice.clear")
    if answer.get("cleared"):
        say("已撤下。", "It is down.")
    else:
        say("没有通知。", "There was none.")
