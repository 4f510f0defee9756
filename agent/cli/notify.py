"""`station notify …`: who is told of alarms and faults, and whether messages arrive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from agent.cli.connection import connect, reporting
from agent.cli.language import pick, say
from agent.cli.options import ConfigOption, JsonOption, LanguageOption, SocketOption
from agent.cli.table import tell_rows
from agent.cli.times import local_time, zone_in
from agent.core.problems import Words

app = typer.Typer(help="通知 / Who is told of alarms and faults.", no_args_is_help=True, rich_markup_mode=None)

_TITLES = (
    Words("接收人", "recipient"),
    Words("渠道", "ways"),
    Words("上次送达", "reached"),
    Words("待发", "waiting"),
    Words("本小时", "this hour"),
    Words("状态", "state"),
)


@app.command("list")
def list_recipients(
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """列出接收人和上次送达情况 / List the recipients and how it went last."""
    with reporting():
        answer = connect(config, socket).request("notify.list")
    rows, zone = answer["rows"], zone_in(answer)
    tell_rows(
        rows,
        as_json,
        Words("没有设置接收人。", "Nobody is notified: the settings name no recipients."),
        _TITLES,
        lambda each: [
            each["recipient"],
            ", ".join(_way(way["way"], way["reason"]) for way in each["ways"]),
            local_time(each["reached_at"], zone),
            each["waiting"],
            f"{each['within_the_hour']}/{each['per_hour']}",
            _state(each),
        ],
    )


@app.command("test")
def send_test(
    recipient: Annotated[
        str | None, typer.Argument(help="接收人,默认全部 / Recipient; else all of them", show_default=False)
    ] = None,
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """发送测试消息,说明是否送达 / Send a test message, and say whether it arrived and why not."""
    with reporting():
        client = connect(config, socket)
        names = [recipient] if recipient else [each["recipient"] for each in client.request("notify.list")["rows"]]
        answers = [client.request("notify.test", recipient=name) for name in names]
    if not answers:
        say("没有设置接收人。", "Nobody is notified: the settings name no recipients.")
        raise typer.Exit(1)
    for answer in answers:
        for way, reason in answer["ways"].items():
            typer.echo(f"{answer['recipient']}: {_way(way, reason)}")
        if not answer["ways"]:
            typer.echo(f"{answer['recipient']}: {_why(answer['reason'])}")
    if not all(reason == "" for answer in answers for reason in (*answer["ways"].values(), answer["reason"])):
        raise typer.Exit(1)


def _way(name: str, reason: str | None) -> str:
    if reason is None:
        return name
    return f"{name}: {pick(Words('已送达', 'arrived')) if not reason else _why(reason)}"


def _why(reason: str) -> str:
    from agent.core.notice_words import REASONS  # with it comes half of the agent: not before it is needed

    return pick(REASONS.get(reason, REASONS["failed"]))


def _state(row: Mapping[str, Any]) -> str:
    if row["failures"]:
        return pick(Words(f"连续失败 {row['failures']} 次", f"{row['failures']} failures in a row"))
    return pick(Words("免打扰", "quiet hours")) if row["is_quiet"] else ""
