"""`station members …`: enrol, confirm, list, erase."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.connection import connect, reporting
from agent.cli.language import complain, pick, say, tell_problems
from agent.cli.options import ConfigOption, JsonOption, LanguageOption, SocketOption
from agent.cli.table import columns
from agent.control.client import ControlClient
from agent.control.wire import PHOTO_BYTES_MAX, PHOTOS_MAX, problem_from
from agent.core.problems import Words

app = typer.Typer(help="成员 / Members.", no_args_is_help=True, rich_markup_mode=None)

_TITLES = (
    Words("编号", "id"),
    Words("姓名", "name"),
    Words("登记时间 (UTC)", "enrolled (UTC)"),
    Words("停用", "suspended"),
)

MemberArgument = Annotated[str, typer.Argument(metavar="ID", help="成员编号 / The member's id")]


@app.command("enrol")
def enrol(
    member: MemberArgument,
    photos: Annotated[
        list[Path],
        typer.Argument(
            metavar="PHOTO…", exists=True, dir_okay=False, readable=True, help="照片 / JPEG or PNG files of one person"
        ),
    ],
    name: Annotated[str, typer.Option("--name", help="姓名,只给站长看 / For the station master's eyes only")],
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """用照片登记 / Enrol a member by photos; the photos are not kept."""
    if len(photos) > PHOTOS_MAX:
        complain(f"最多 {PHOTOS_MAX} 张照片。", f"At most {PHOTOS_MAX} photos.")
        raise typer.Exit(2)
    with reporting():
        result = connect(config, socket).request(
            "members.enrol", id=member, name=name, photos=[_read(path) for path in photos]
        )
    say(f"已登记 {member}。", f"{member} is enrolled.")
    tell_problems(problem_from(each) for each in result.get("warnings", []))


@app.command("confirm")
def confirm(
    member: MemberArgument, config: ConfigOption = None, socket: SocketOption = None, _lang: LanguageOption = None
) -> None:
    """门口的人报了编号,由人脸核对 / Somebody at the door gave this id: let their face confirm it."""
    with reporting():
        result = connect(config, socket).request("access.present_code", member_id=member)
    seconds = result.get("within_s", 0)
    say(
        f"请 {member} 在 {seconds:g} 秒内看镜头,核对无误门就打开。",
        f"{member} may look at the camera within {seconds:g} s; the door opens when it is their face.",
    )


@app.command("list")
def list_members(
    as_json: JsonOption = False, config: ConfigOption = None, socket: SocketOption = None, _lang: LanguageOption = None
) -> None:
    """列出成员 / List the members."""
    with reporting():
        rows = _all_members(connect(config, socket))
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    yes = pick(Words("是", "yes"))
    cells = [
        (row["id"], row.get("name"), row.get("created_at_utc"), yes if row.get("is_suspended") else "") for row in rows
    ]
    for line in columns([pick(title) for title in _TITLES], cells):
        typer.echo(line)


@app.command("erase")
def erase(
    member: MemberArgument, config: ConfigOption = None, socket: SocketOption = None, _lang: LanguageOption = None
) -> None:
    """删除成员 / Erase a member and their templates for good."""
    with reporting():
        connect(config, socket).request("members.erase", id=member)
    say(f"已删除 {member}。", f"{member} is erased.")


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(PHOTO_BYTES_MAX + 1)
    if len(data) > PHOTO_BYTES_MAX:
        most = PHOTO_BYTES_MAX // 1024 // 1024
        complain(f"{path} 超过 {most} MiB,请缩小后再试。", f"{path} has more than {most} MiB: make it smaller.")
        raise typer.Exit(1)
    return data


def _all_members(client: ControlClient) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    while page := client.request("members.list", after_id=rows[-1]["id"] if rows else None)["rows"]:
        rows += page
    return rows
