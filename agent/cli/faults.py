"""`station faults …`: what is to be put right, and how far that is."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from agent.cli.connection import connect, reporting
from agent.cli.language import clean, pick, say, tell_problems
from agent.cli.options import ConfigOption, JsonOption, LanguageOption, SocketOption
from agent.cli.times import local_time, zone_in
from agent.control.wire import problem_from
from agent.core.problems import Words, problem

app = typer.Typer(
    help="故障 / Faults: seen, in repair, put right, checked.", no_args_is_help=True, rich_markup_mode=None
)

_STAGES = {
    "raised": Words("未处理", "nobody has seen it"),
    "seen": Words("已知悉", "seen"),
    "in_repair": Words("维修中", "being repaired"),
    "put_right": Words("已修好,待核查", "put right, to be checked"),
}


class Stage(StrEnum):
    """How far a repair is."""

    seen = "seen"
    in_repair = "in_repair"
    put_right = "put_right"
    checked = "checked"


class What(StrEnum):
    """What may be reported."""

    broken = "broken"
    dirty = "dirty"
    missing = "missing"
    other = "other"


@app.command("list")
def list_faults(
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """列出未关闭的故障 / List every fault that is not closed, with what to do next."""
    with reporting():
        answer = connect(config, socket).request("faults.list")
    rows, zone = answer["rows"], zone_in(answer)
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    if not rows:
        say("没有故障。", "There are no faults.")
        return
    for row in rows:
        found = problem_from(row)
        gone = "" if row["is_present"] else pick(Words("(传感器未显示)", " (no sensor shows it)"))
        last = row["steps"][-1]
        typer.echo(clean(f"{row['id']}  {pick(_STAGES[row['stage']])}{gone}"))
        typer.echo(clean(f"    {pick(found.text)}"))
        typer.echo(clean(f"    → {pick(found.remedy)}"))
        raised, changed = local_time(row["raised_at"], zone), local_time(last["at"], zone)
        steps = Words(
            f"{raised} 出现,{changed} 由 {last['by']} 更新", f"raised {raised}, last step {changed} by {last['by']}"
        )
        typer.echo(clean(f"    {pick(steps)}"))


@app.command("update")
def update(
    fault: Annotated[str, typer.Argument(help="故障编号(见 list)/ The fault as `list` shows it", show_default=False)],
    stage: Annotated[
        Stage,
        typer.Argument(
            help="已知悉、维修中、已修好、已核查 / How far it is",
            show_default=False,
        ),
    ],
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """更新故障的处理进度 / Say how far its repair is."""
    code, _, place = fault.partition("@")
    if not (code and place):  # as a fault is called; else the agent would say what is wrong with the text
        tell_problems([problem("fault.unknown", "fault", fault)])
        raise typer.Exit(1)
    with reporting():
        connect(config, socket).request("faults.update", fault=fault, stage=stage.value)
    say("已记录。", "It is noted.")


@app.command("report")
def report(
    where: Annotated[
        str, typer.Argument(help="哪里,例如 microwave、door、toilet / Where, such as microwave", show_default=False)
    ],
    what: Annotated[What, typer.Argument(help="损坏、需清洁、缺失、其他 / What is wrong", show_default=False)],
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """报告传感器看不到的故障 / Report what no sensor sees."""
    with reporting():
        answer = connect(config, socket).request("faults.report", where=where, what=what.value)
    say(f"已记录为 {answer['fault']}。", f"It is noted as {answer['fault']}.")
