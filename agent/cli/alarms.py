"""`station alarms …`: what is to be seen now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from agent.cli.connection import connect, reporting
from agent.cli.language import pick, say
from agent.cli.options import ConfigOption, JsonOption, LanguageOption, SocketOption
from agent.cli.table import tell_rows
from agent.cli.times import local_time, zone_in
from agent.core.problems import Words

app = typer.Typer(help="报警 / Alarms, until somebody has seen them.", no_args_is_help=True, rich_markup_mode=None)

_TITLES = (Words("报警", "alarm"), Words("开始", "since"), Words("状态", "state"), Words("说明", "what it is"))


@app.command("list")
def list_alarms(
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """列出报警 / List those that are active, and those that nobody has acknowledged."""
    with reporting():
        answer = connect(config, socket).request("alarms.list")
    rows, zone = answer["rows"], zone_in(answer)
    tell_rows(
        rows,
        as_json,
        Words("没有报警。", "There are no alarms."),
        _TITLES,
        lambda each: [each["alarm"], local_time(each["raised_at"], zone), _state(each), _words(each)],
    )


@app.command("acknowledge")
def acknowledge(
    alarm: Annotated[str, typer.Argument(help="报警名称(见 list)/ The alarm as `list` shows it", show_default=False)],
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """确认已知悉 / Say that you have seen it."""
    with reporting():
        connect(config, socket).request("alarms.acknowledge", alarm=alarm)
    say("已确认。", "It is acknowledged.")


def _state(row: Mapping[str, object]) -> str:
    active = Words("正在报警", "active") if row["is_active"] else Words("已结束", "over")
    seen = Words("已确认", "acknowledged") if row["is_acknowledged"] else Words("未确认", "not acknowledged")
    return f"{pick(active)}, {pick(seen)}"


def _words(row: Mapping[str, object]) -> str:
    from agent.core.alarms import WORDS  # with it comes half of the agent: not before it is needed

    words = WORDS.get(str(row["alarm"]))
    times = row["times"]
    return (pick(words) if words else "") + ("" if times == 1 else f" × {times}")
