"""`station supplies …`: what is there, counted on rounds, taken, lent and brought back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from agent.cli.connection import connect, reporting
from agent.cli.language import pick, say
from agent.cli.options import ConfigOption, JsonOption, LanguageOption, SocketOption
from agent.cli.table import tell_rows
from agent.cli.times import local_time, zone_in
from agent.core.problems import CATALOGUE, Words

app = typer.Typer(help="物资 / Supplies.", no_args_is_help=True, rich_markup_mode=None)

_TITLES = (
    Words("物资", "supply"),
    Words("数量", "quantity"),
    Words("最少", "minimum"),
    Words("有效期至", "best before"),
    Words("上次检查", "checked"),
    Words("借出", "lent"),
    Words("状态", "state"),
)

SupplyArgument = Annotated[str, typer.Argument(help="物资名称(见 list)/ As `list` shows it", show_default=False)]
QuantityOption = Annotated[int, typer.Option("--quantity", "-n", min=1, max=1000, help="数量 / How many")]
MemberOption = Annotated[
    str | None, typer.Option("--member", help="成员编号(借还时)/ Who borrows it, or brings it back")
]


@app.command("list")
def list_supplies(
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """列出物资 / List them, with what is wrong and who borrowed what."""
    with reporting():
        answer = connect(config, socket).request("supplies.list")
    rows, zone = answer["rows"], zone_in(answer)
    tell_rows(
        rows,
        as_json,
        Words("配置文件中没有物资。", "The settings name no supplies."),
        _TITLES,
        lambda row: [
            _label(answer, row["supply"]),
            "?" if row["quantity"] is None else row["quantity"],
            row["minimum"],
            row["best_before"],
            local_time(row["checked_at"], zone),
            ", ".join(f"{each['member'] or '?'} {local_time(each['at'], zone)}" for each in row["loans"]),
            _state(row),
        ],
    )


@app.command("check")
def check(
    supply: SupplyArgument,
    quantity: Annotated[
        int, typer.Argument(min=0, max=100_000, help="清点数量 / How many there are", show_default=False)
    ],
    best_before: Annotated[
        str | None, typer.Option("--best-before", help="最早的有效期,例如 2027-06-30 / The earliest date")
    ] = None,
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """清点并记录 / Note what you have counted on a round."""
    given = {} if best_before is None else {"best_before": best_before}
    with reporting():
        connect(config, socket).request("supplies.check", supply=supply, quantity=quantity, **given)
    say(f"已记录:{supply} 共 {quantity} 件。", f"It is noted: {quantity} of {supply}.")


@app.command("take")
def take(
    supply: SupplyArgument,
    quantity: QuantityOption = 1,
    member: MemberOption = None,
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """领用或借出 / Somebody takes or borrows some."""
    _move("supplies.take", supply, quantity, member, config, socket)


@app.command("return")
def give_back(
    supply: SupplyArgument,
    quantity: QuantityOption = 1,
    member: MemberOption = None,
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """归还 / Somebody brings some back."""
    _move("supplies.return", supply, quantity, member, config, socket)


def _move(  # noqa: PLR0917 - the options of two commands
    action: str, supply: str, quantity: int, member: str | None, config: ConfigOption, socket: SocketOption
) -> None:
    given = {} if member is None else {"member_id": member}
    with reporting():
        answer = connect(config, socket).request(action, supply=supply, quantity=quantity, **given)
    left = answer["quantity"]
    say(f"已记录:{supply} 站内还有 {left} 件。", f"It is noted: {left} of {supply} are in the station.")


def _label(answer: dict[str, Any], name: str) -> str:
    given = answer.get("labels", {}).get(name, {})
    label = pick(Words(given.get("zh", ""), given.get("en", "")))
    return f"{name} ({label})" if label else name


def _state(row: Mapping[str, Any]) -> str:
    if not row["faults"]:
        return pick(Words("正常", "ok"))
    return "; ".join(
        pick(CATALOGUE[code].text.fill("")).replace("()", "") for code in row["faults"] if code in CATALOGUE
    )
