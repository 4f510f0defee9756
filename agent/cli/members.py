"""`station members …`: enrol, add, put, suspend, resume, confirm, list, data, withdraw, erase."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli import own_data
from agent.cli.certainty import YesOption, make_sure
from agent.cli.connection import connect, reporting
from agent.cli.consent import ConsentLanguageOption, obtain
from agent.cli.language import complain, pick, say, tell_problems
from agent.cli.options import ConfigOption, JsonOption, LanguageOption, SocketOption
from agent.cli.table import columns
from agent.cli.times import local_date, local_time, station_zone, utc_of, zone_in
from agent.control.client import NULL, ControlClient, ControlError
from agent.control.wire import PHOTO_BYTES_MAX, PHOTOS_MAX, problem_from
from agent.core.problems import Words, problem

app = typer.Typer(help="成员 / Members.", no_args_is_help=True, rich_markup_mode=None)

_TITLES = (
    Words("编号", "id"),
    Words("姓名", "name"),
    Words("登记时间", "enrolled"),
    Words("暂停", "suspended"),
    Words("有效期", "valid"),
    Words("类别", "categories"),
    Words("加长时间", "longer"),
    Words("刷脸同意", "consent to face"),
)

MemberArgument = Annotated[str, typer.Argument(metavar="ID", help="成员编号 / The member's id")]


NeedsLongerOption = Annotated[
    bool | None,
    typer.Option(
        "--needs-longer/--no-needs-longer",
        help="进门需要更长时间 / Has the door's extended times",
    ),
]


class Guardian(StrEnum):
    """How a guardian is related; their name stays on the paper."""

    FATHER = "father"
    MOTHER = "mother"
    GRANDPARENT = "grandparent"
    SIBLING = "sibling"
    OTHER = "other"


@app.command("enrol")
def enrol(  # noqa: PLR0917 - the options of one command
    member: MemberArgument,
    name: Annotated[str, typer.Option("--name", help="姓名,只给站长看 / For the station master's eyes only")],
    photos: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PHOTO…]",
            exists=True,
            dir_okay=False,
            readable=True,
            help="照片 / JPEG or PNG files of one person",
        ),
    ] = None,
    is_camera: Annotated[
        bool, typer.Option("--camera", help="用门口的摄像头登记 / Look through the camera at the door")
    ] = False,
    is_given: Annotated[
        bool, typer.Option("--consent-given", help="已在纸上同意 / They consented on paper; else it is asked for here")
    ] = False,
    is_again: Annotated[
        bool, typer.Option("--again", help="同一成员重新登记 / This member exists and enrols once more")
    ] = False,
    consent_language: ConsentLanguageOption = None,
    is_under_age: Annotated[
        bool, typer.Option("--under-14", help="未满 14 周岁 / Under 14: a guardian consents")
    ] = False,
    guardian: Annotated[
        Guardian | None, typer.Option("--guardian", help="监护人与本人的关系 / How the guardian is related")
    ] = None,
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """征得同意后登记 / Enrol a member after their consent; pictures are not kept."""
    paths = photos or []
    if not paths and not is_camera:
        complain("请给出照片,或者用 --camera。", "Give photos, or --camera.")
        raise typer.Exit(2)
    if paths and is_camera:
        complain("照片和 --camera 只能选一种。", "Give photos or --camera, not both.")
        raise typer.Exit(2)
    if len(paths) > PHOTOS_MAX:
        complain(f"最多 {PHOTOS_MAX} 张照片。", f"At most {PHOTOS_MAX} photos.")
        raise typer.Exit(2)
    pictures = [_read(path) for path in paths]
    with reporting():
        client = connect(config, socket)
        given = obtain(
            client,
            consent_language,
            guardian and guardian.value,
            photos=None if is_camera else len(paths),
            is_under_age=is_under_age,
            is_given=is_given,
        )
        source: dict[str, Any] = {"camera": True} if is_camera else {"photos": pictures}
        if is_again:
            source["again"] = True
        result: dict[str, Any] = {}
        answers = client.stream("members.enrol", id=member, name=name, consent=given, **source)
        for result in _naming(paths, answers):
            if advice := result.get("advice"):
                say(*(f"[{result['frames']}/{result['needed']}] {advice[language]}" for language in ("zh", "en")))
    if result.get("again"):
        say(f"已重新登记 {member}。", f"{member} is re-enrolled.")
    else:
        say(f"已登记 {member}。", f"{member} is enrolled.")
    tell_problems(problem_from(each) for each in result.get("warnings", []))


@app.command("add")
def add(
    member: MemberArgument,
    name: Annotated[str, typer.Option("--name", help="姓名,只给站长看 / For the station master's eyes only")],
    needs_longer: NeedsLongerOption = None,
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """添加不刷脸的成员 / Take up a member without a face, who comes in by a card, a PIN or a pass."""
    with reporting():
        connect(config, socket).request("members.add", id=member, name=name, needs_longer=bool(needs_longer))
    say(
        f"已添加 {member}。发卡:station members card;设密码:station members pin。",
        f"{member} is a member. Give them a card (`station members card`) or a PIN (`station members pin`).",
    )


@app.command("put")
def put(  # noqa: PLR0917 - the options of one command
    member: MemberArgument,
    name: Annotated[str | None, typer.Option("--name", help="更正姓名 / Correct the name")] = None,
    needs_longer: NeedsLongerOption = None,
    valid_from: Annotated[
        datetime | None, typer.Option("--valid-from", help="资格开始,站点时区 / When their access begins")
    ] = None,
    valid_until: Annotated[
        datetime | None, typer.Option("--valid-until", help="资格到期(不含),站点时区 / When their access ends")
    ] = None,
    has_no_beginning: Annotated[
        bool, typer.Option("--no-valid-from", help="取消开始时间 / Take the beginning away")
    ] = False,
    has_no_end: Annotated[bool, typer.Option("--no-valid-until", help="取消到期时间 / Take the end away")] = False,
    categories: Annotated[
        list[int] | None,
        typer.Option("--category", min=1, max=8, help="类别 1–8,可多次给出 / A category, 1 to 8; may be given again"),
    ] = None,
    has_no_categories: Annotated[
        bool, typer.Option("--no-categories", help="取消类别 / Take all categories away")
    ] = False,
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """修改成员 / Change what is kept of a member; what is not given stays."""
    pairs = ((valid_from, has_no_beginning), (valid_until, has_no_end), (categories, has_no_categories))
    if any(value and is_none for value, is_none in pairs):
        complain("给出一项就不能同时取消它。", "Give something, or take it away; not both.")
        raise typer.Exit(2)
    if name is None and needs_longer is None and not any(value or is_none for value, is_none in pairs):
        complain("没有要修改的内容,见 --help。", "Nothing is to be changed: see --help.")
        raise typer.Exit(2)
    with reporting():
        client = connect(config, socket)
        zone = station_zone(client) if valid_from or valid_until else UTC
        client.request(
            "members.put",
            id=member,
            name=name,
            needs_longer=needs_longer,
            valid_from=NULL if has_no_beginning else utc_of(valid_from, zone),
            valid_until=NULL if has_no_end else utc_of(valid_until, zone),
            categories=[] if has_no_categories else sorted(set(categories)) if categories else None,
        )
    say(f"已修改 {member}。", f"{member} is changed.")


@app.command("suspend")
def suspend(
    member: MemberArgument,
    until: Annotated[
        datetime | None,
        typer.Option("--until", help="到(不含),站点时区,默认直到恢复 / Up to this time; else until `resume`"),
    ] = None,
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """暂停成员进门 / Keep a member out from now on; leaving always works."""
    with reporting():
        client = connect(config, socket)
        until_utc = None if until is None else utc_of(until, station_zone(client))
        client.request("members.suspend", id=member, until=until_utc)
    end = Words("直到 station members resume", "until `station members resume`")
    if until is not None:
        end = Words(f"至 {until:%Y-%m-%d %H:%M}", f"until {until:%Y-%m-%d %H:%M}")
    say(f"已暂停 {member},{end.zh}。", f"{member} is suspended {end.en}.")


@app.command("resume")
def resume(
    member: MemberArgument, config: ConfigOption = None, socket: SocketOption = None, _lang: LanguageOption = None
) -> None:
    """恢复成员进门 / Let a suspended member come in again."""
    with reporting():
        connect(config, socket).request("members.resume", id=member)
    say(f"已恢复 {member}。", f"{member} can come in again.")


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
        rows, zone = _all_members(connect(config, socket))
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    if not rows:
        say("还没有成员。", "There are no members yet.")
        return
    yes = pick(Words("是", "yes"))
    cells = [
        (
            row["id"],
            row.get("name"),
            local_time(row.get("created_at_utc"), zone),
            pick(_suspension_of(row, zone)),
            pick(_validity_of(row, zone)),
            row.get("categories"),
            yes if row.get("needs_longer") else "",
            pick(_consent_of(row, zone)),
        )
        for row in rows
    ]
    for line in columns([pick(title) for title in _TITLES], cells):
        typer.echo(line)


@app.command("data")
def data(
    member: MemberArgument,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """打印某人的全部数据,交给本人 / Print everything stored about a person, for them."""
    with reporting():
        found, zone = own_data.gather(connect(config, socket), member)
    if not any(found.values()):
        tell_problems([problem("member.unknown", member)])
        raise typer.Exit(1)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        own_data.print_for_reading(found, zone)


@app.command("card")
def card(
    member: MemberArgument,
    number: Annotated[
        str | None, typer.Option("--number", help="卡号 / The card's number, as the reader gives it")
    ] = None,
    is_read: Annotated[bool, typer.Option("--read", help="在门口读卡 / Read the card at the door")] = False,
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """发卡 / Give a member a card."""
    if (number is not None) == is_read:
        complain("请给出 --number,或者用 --read。", "Give --number, or --read; not both.")
        raise typer.Exit(2)
    asked: dict[str, Any] = {"read": True} if is_read else {"number": number}
    with reporting():
        for result in connect(config, socket).stream("members.card", id=member, **asked):
            if advice := result.get("advice"):
                say(advice["zh"], advice["en"])
    say(f"{member} 可以用这张卡进门。", f"{member} can come in with this card.")


@app.command("pin")
def pin(
    member: MemberArgument,
    number: Annotated[
        str | None,
        typer.Option("--number", help="键盘上输入的编号,默认自动分配 / What they type before it; else one is drawn"),
    ] = None,
    has_duress: Annotated[
        bool,
        typer.Option("--duress", help="另设胁迫密码:照常开门并无声报警 / Also a PIN that opens and alarms silently"),
    ] = False,
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """设置密码 / Set a member's PIN; they type it here, unseen."""
    given: dict[str, Any] = {"pin": _ask_pin(Words("密码", "PIN"))}
    if has_duress:
        given["duress"] = _ask_pin(Words("胁迫密码", "PIN for duress"))
    with reporting():
        result = connect(config, socket).request("members.pin", id=member, number=number, **given)
    say(
        f"{member} 的编号是 {result['number']};在键盘上输入:编号 # 密码 #。",
        f"The number of {member} is {result['number']}; on the keypad: number # PIN #.",
    )


@app.command("uncard")
def uncard(
    member: MemberArgument, config: ConfigOption = None, socket: SocketOption = None, _lang: LanguageOption = None
) -> None:
    """收回全部卡 / Take all cards of a member away: none of them opens any more."""
    with reporting():
        count = connect(config, socket).request("members.uncard", id=member)["count"]
    say(f"已收回 {member} 的 {count} 张卡。", f"Cards of {member} taken away: {count}.")


@app.command("unpin")
def unpin(
    member: MemberArgument, config: ConfigOption = None, socket: SocketOption = None, _lang: LanguageOption = None
) -> None:
    """取消密码 / Take a member's PIN away."""
    with reporting():
        count = connect(config, socket).request("members.unpin", id=member)["count"]
    if count:
        say(f"已取消 {member} 的密码。", f"The PIN of {member} is taken away.")
    else:
        say(f"{member} 没有密码。", f"{member} has no PIN.")


def _ask_pin(what: Words) -> str:
    """Twice and unseen, or two lines of a standard input that is no terminal. Never an argument: others see those."""
    if sys.stdin.isatty():
        return str(typer.prompt(pick(what), hide_input=True, confirmation_prompt=True))
    first, again = (sys.stdin.readline().rstrip("\r\n") for _ in range(2))
    if not first or first != again:
        complain("请把密码输入两遍,每遍一行。", "Give the PIN twice, a line each.")
        raise typer.Exit(2)
    return first


@app.command("withdraw")
def withdraw(
    member: MemberArgument,
    is_sure: YesOption = False,
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """撤回刷脸同意 / Withdraw the consent: the stored face is erased at once, the member stays for other ways in."""
    consequence = Words(f"{member} 的人脸数据将被永久删除。", f"The stored face of {member} will be gone for good.")
    make_sure(member, consequence, is_sure=is_sure)
    with reporting():
        connect(config, socket).request("members.withdraw", id=member)
    say(
        f"已撤回 {member} 的同意,人脸数据已删除;其他进门方式不变。",
        f"The consent of {member} is withdrawn and the stored face erased; other ways in stay.",
    )


@app.command("erase")
def erase(
    member: MemberArgument,
    is_sure: YesOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """删除成员并打印凭证 / Erase everything about a member for good and print a receipt for them."""
    consequence = Words(f"{member} 的全部数据将被永久删除。", f"Everything about {member} will be gone for good.")
    make_sure(member, consequence, is_sure=is_sure)
    with reporting():
        answer = connect(config, socket).request("members.erase", id=member)
    receipt = answer.get("receipt")
    if as_json:
        typer.echo(json.dumps(receipt, ensure_ascii=False, indent=2))
        return
    say(f"已删除 {member}。", f"{member} is erased.")
    if receipt:
        _print_receipt(receipt, zone_in(answer))


def _naming(paths: list[Path], answers: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The answers; a refusal names the files instead of their numbers."""
    files = {f"photos[{number}]": str(path) for number, path in enumerate(paths, 1)}
    try:
        yield from answers
    except ControlError as error:
        named = [replace(each, where=files.get(each.where, each.where)) for each in error.problems]
        raise ControlError(*named) from None


def _print_receipt(receipt: dict[str, Any], zone: tzinfo) -> None:
    """For the person: the station keeps the digest without the salt, so only they can show that it is about them."""
    rows = ", ".join(f"{key} {value}" for key, value in receipt["rows"].items())
    say(
        "删除凭证(请交给本人,本站不留存其中的盐值)",
        "Receipt (give it to this person; the station does not keep the salt)",
    )
    at = local_time(receipt["at_utc"], zone)
    say(f"时间 {at}", f"time {at}")
    say(f"删除或匿名化的条数:{rows}", f"rows erased, blanked or made anonymous: {rows}")
    say(f"盐值 {receipt['salt']}", f"salt {receipt['salt']}")
    say(f"摘要 {receipt['digest']}", f"digest {receipt['digest']}")
    say("验证:printf '%s' '盐值:编号' | sha256sum", "to check: printf '%s' 'SALT:ID' | sha256sum")


def _suspension_of(row: dict[str, Any], zone: tzinfo) -> Words:
    if not row.get("is_suspended"):
        return Words("", "")
    until = row.get("suspended_until_utc")
    return Words(f"至 {local_time(until, zone)}", f"until {local_time(until, zone)}") if until else Words("是", "yes")


def _validity_of(row: dict[str, Any], zone: tzinfo) -> Words:
    since, until = (row.get(f"valid_{end}_utc") for end in ("from", "until"))
    begins = local_time(since, zone) if since else ""
    ends = local_time(until, zone) if until else ""
    zh = [f"{begins} 起"] if begins else []
    en = [f"from {begins}"] if begins else []
    return Words(" ".join([*zh, f"至 {ends}"] if ends else zh), " ".join([*en, f"until {ends}"] if ends else en))


def _consent_of(row: dict[str, Any], zone: tzinfo) -> Words:
    until = row.get("consent_until_utc")
    if row.get("consent_ended") == "withdrawn":
        return Words("已撤回", "withdrawn")
    if not until:
        return Words("无记录", "none on record") if row.get("templates") else Words("", "")
    if row.get("consent_ended") == "expired" or datetime.fromisoformat(until) <= datetime.now(UTC):
        return Words(f"已到期 {local_date(until, zone)}", f"ended {local_date(until, zone)}")
    return Words(f"至 {local_date(until, zone)}", f"until {local_date(until, zone)}")


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(PHOTO_BYTES_MAX + 1)
    if len(data) > PHOTO_BYTES_MAX:
        most = PHOTO_BYTES_MAX // 1024 // 1024
        complain(f"{path} 超过 {most} MiB,请缩小后再试。", f"{path} has more than {most} MiB: make it smaller.")
        raise typer.Exit(1)
    return data


def _all_members(client: ControlClient) -> tuple[list[dict[str, Any]], tzinfo]:
    rows: list[dict[str, Any]] = []
    while (answer := client.request("members.list", after_id=rows[-1]["id"] if rows else None))["rows"]:
        rows += answer["rows"]
    return rows, zone_in(answer)
