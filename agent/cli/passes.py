"""`station passes …`: keys, and signed codes that open a door without a face."""

from __future__ import annotations

import json
import os
import secrets
import sys
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from agent.cli.connection import connect, reporting
from agent.cli.language import complain, say, tell_problems
from agent.cli.options import ConfigOption, JsonOption, LanguageOption, SocketOption, settings_path
from agent.core.spoken import system_words

if TYPE_CHECKING:
    from agent.core.access import Reason
    from agent.core.passes import Pass
    from agent.settings import Settings

app = typer.Typer(help="通行码 / Passes: signed QR codes.", no_args_is_help=True, rich_markup_mode=None)

_TO_NEXT_MINUTE = timedelta(seconds=59, microseconds=999_999)  # an end is rounded up, a beginning down

CodeArgument = Annotated[
    str,
    typer.Argument(
        metavar="CODE", help="通行码文字,- 表示从标准输入读取 / The code's text; - reads it from the standard input"
    ),
]


@app.command("keygen")
def keygen(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="私钥写入的新文件 / New file for the private key")],
    key_id: Annotated[int, typer.Option("--key-id", min=1, max=255, help="密钥编号 / The key's number")] = 1,
    _lang: LanguageOption = None,
) -> None:
    """生成签发密钥 / Make a key for issuing passes; prints the line for the stations' settings."""
    from agent.signatures import KeyFileError, generate, save

    key = generate(key_id)
    try:
        save(key, file)
    except KeyFileError as error:
        complain(f"没有写入密钥:{error}", f"No key was written: {error}")
        raise typer.Exit(1) from None
    complain(
        f"私钥已写入 {file},只有本账户能读取;请妥善保管。各站配置文件中加入:",
        f"The private key is in {file}, for this account only: keep it safe. For the settings of every station:",
    )
    typer.echo(f'[passes.keys]\n{key.key_id} = "{key.public_text}"')


@app.command("issue")
def issue(
    *,
    key: Annotated[Path, typer.Option("--key", help="私钥文件 / The private key's file")],
    member: Annotated[str | None, typer.Option("--member", help="成员编号 / A member's id")] = None,
    guest: Annotated[
        str | None, typer.Option("--guest", help="访客编号,不必登记 / A guest's id, who need not be enrolled")
    ] = None,
    station: Annotated[
        list[str] | None, typer.Option("--station", help="适用站点,可多次;不写为任何站点 / Where; none: any station")
    ] = None,
    begin: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%dT%H:%M%z"], help="开始 / Such as 2026-11-22T08:00+08:00; else now"),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--until", formats=["%Y-%m-%dT%H:%M%z"], help="结束 / Not included")
    ] = None,
    hours: Annotated[
        float | None, typer.Option("--hours", min=0.1, max=100_000, help="有效小时数 / Instead of --until")
    ] = None,
    unlimited: Annotated[
        bool, typer.Option("--unlimited", help="没有时间限制,只能作废 / No time limit: only revoking ends it")
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="只能用一次,需一个站点 / For one time, at one station")] = False,
    category: Annotated[
        list[int] | None, typer.Option("--category", min=1, max=8, help="类别 1–8,可多次 / Categories")
    ] = None,
    as_json: JsonOption = False,
    _lang: LanguageOption = None,
) -> None:
    """签发通行码,输出其文字 / Issue a pass; prints the text of its code."""
    from agent.core.passes import NO_END, Pass, PassError, in_order, minute_of
    from agent.signatures import KeyFileError, load, sign

    if (member is None) == (guest is None):
        _use_wrongly("--member 与 --guest 必须且只能写一个。", "Give one of --member and --guest.")
    if [until is not None, hours is not None, unlimited].count(True) != 1:
        _use_wrongly(
            "--until、--hours、--unlimited 必须且只能写一个。", "Give one of --until, --hours and --unlimited."
        )
    begins = begin or datetime.now(UTC)
    ends = begins + timedelta(hours=hours) if hours is not None else until
    try:
        signing = load(key)
        token = Pass(
            key_id=signing.key_id,
            pass_id=secrets.token_hex(8),
            holder=member or guest or "",
            is_guest=guest is not None,
            stations=in_order(station or []),
            valid_from=0 if ends is None and begin is None else minute_of(begins),
            valid_until=NO_END if ends is None else minute_of(ends + _TO_NEXT_MINUTE),
            is_once=once,
            categories=tuple(sorted(set(category or []))),
        )
        text = sign(signing, token)
    except (KeyFileError, PassError, OverflowError) as error:
        complain(f"没有签发:{error}", f"No pass was issued: {error}")
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps({"code": text, **_facts(token)}, ensure_ascii=False))
        return
    complain(f"通行码编号 {token.pass_id}(作废时使用)。", f"The pass's id is {token.pass_id}, for revoking it.")
    typer.echo(text)


@app.command("show")
def show(
    code: CodeArgument,
    png: Annotated[Path | None, typer.Option("--png", help="写入 PNG 文件 / Write a PNG file")] = None,
    _lang: LanguageOption = None,
) -> None:
    """显示二维码 / Show a pass's QR code in the terminal, and as a PNG."""
    from agent import qr_codes

    text = _text_of(code)
    _read(text)
    if png is not None:
        try:
            png.write_bytes(qr_codes.png(text))
        except OSError as error:
            why = system_words(error)
            complain(f"{png}:{why.zh}", f"{png}: {why.en}")
            raise typer.Exit(1) from None
        say(f"已写入 {png}。", f"The code is in {png}.")
        return
    for line in qr_codes.terminal_lines(text, is_coloured=sys.stdout.isatty() and "NO_COLOR" not in os.environ):
        typer.echo(line)


@app.command("verify")
def verify_pass(
    code: CodeArgument,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    _lang: LanguageOption = None,
) -> None:
    """说明通行码的内容,按配置核对 / Say what a code holds, and whether it holds by this station's settings and now."""
    token = _read(text := _text_of(code))
    settings = _settings(config)
    reason = _verdict(text, token, settings)
    if as_json:
        verdict = None if reason is None else reason.value
        typer.echo(json.dumps({**_facts(token), "refusal": verdict}, ensure_ascii=False))
    else:
        _tell(token, settings)
        _tell_verdict(reason)
        if token.key_id not in map(int, settings.passes.keys):
            complain(
                f"    → 配置中没有密钥 {token.key_id}:把 station passes keygen 输出的那一行加入 [passes.keys]。",
                f"    → The settings lack key {token.key_id}: add to [passes.keys] what `passes keygen` printed.",
            )
    if reason is not None:
        raise typer.Exit(1)


@app.command("revoke")
def revoke(
    which: Annotated[
        str,
        typer.Argument(metavar="ID|CODE", help="编号或通行码文字 / A pass's id (16 digits) or its code; - reads it"),
    ],
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """在本站作废通行码 / Let a pass open nothing at this station any more."""
    text = _text_of(which)
    pass_id = text if len(text) == 16 else _read(text).pass_id
    with reporting():
        connect(config, socket).request("passes.revoke", pass_id=pass_id)
    say(f"通行码 {pass_id} 已在本站作废。", f"The pass {pass_id} is revoked at this station.")


def _use_wrongly(zh: str, en: str) -> None:
    complain(zh, en)
    raise typer.Exit(2)


def _text_of(argument: str) -> str:
    text = sys.stdin.readline(1000) if argument == "-" else argument
    return text.rstrip("\r\n")


def _read(text: str) -> Pass:
    from agent.signatures import UnreadablePassError, read

    try:
        return read(text)
    except UnreadablePassError as error:
        complain(f"这不是通行码:{error}", f"This is no pass: {error}")
        raise typer.Exit(1) from None


def _settings(config: Path | None) -> Settings:
    from agent.settings import SettingsError, load_settings

    try:
        return load_settings(settings_path(config))
    except SettingsError as error:
        tell_problems(error.problems)
        raise typer.Exit(1) from None


def _verdict(text: str, token: Pass, settings: Settings) -> Reason | None:
    from agent.clock import SystemClock
    from agent.core.access import Reason
    from agent.core.passes import Place, minute_of, refusal_of_pass, station_digest
    from agent.signatures import ForgedPassError, public_key, verify

    keys = {int(key_id): public_key(key) for key_id, key in settings.passes.keys.items()}
    try:
        verify(text, keys)
    except ForgedPassError:
        return Reason.PASS_FORGED
    wall = SystemClock().wall()
    may_trust = wall.is_trusted or settings.passes.trust_unsynchronised_clock
    place = Place(station_digest(settings.station.id), minute_of(wall.utc), may_trust)
    return refusal_of_pass(token, place, frozenset())


def _facts(token: Pass) -> dict[str, Any]:
    return {
        "pass": token.pass_id,
        "key": token.key_id,
        "member": token.member_id,
        "guest": token.holder if token.is_guest else None,
        "stations": [each.hex() for each in token.stations],
        "from": _moment(token.valid_from, UTC),
        "until": _moment(token.valid_until, UTC),
        "once": token.is_once,
        "categories": list(token.categories),
    }


def _moment(minute: int, zone: tzinfo) -> str | None:
    from agent.core.passes import NO_END, moment_of

    if minute in (0, NO_END):
        return None
    try:
        return moment_of(minute).astimezone(zone).isoformat(timespec="minutes")
    except OverflowError:
        return f"{minute} min"


def _tell(token: Pass, settings: Settings) -> None:
    from agent.core.passes import station_digest

    zone = ZoneInfo(settings.station.timezone)
    kind = ("访客", "guest") if token.is_guest else ("成员", "member")
    say(f"通行码 {token.pass_id},密钥 {token.key_id}", f"pass {token.pass_id}, signed with key {token.key_id}")
    say(f"{kind[0]} {token.holder}", f"{kind[1]} {token.holder}")
    if not token.stations:
        say("任何站点", "for any station")
    else:
        here = station_digest(settings.station.id) in token.stations
        count = len(token.stations)
        say(
            f"适用 {count} 个站点,{'包括' if here else '不包括'} {settings.station.id}",
            f"for {count} station{'s' if count > 1 else ''}, {settings.station.id} {'included' if here else 'not'}",
        )
    begins, ends = _moment(token.valid_from, zone), _moment(token.valid_until, zone)
    say(f"从 {begins or '任何时候'} 到 {ends or '没有期限'}", f"from {begins or 'any time'} until {ends or 'no end'}")
    say("只能用一次" if token.is_once else "可多次使用", "for one time" if token.is_once else "as often as wanted")
    if token.categories:
        listed = ", ".join(map(str, token.categories))
        say(f"类别 {listed}", f"categories {listed}")


def _tell_verdict(reason: Reason | None) -> None:
    from agent.core.access import WORDS

    if reason is not None:
        words = WORDS[reason]
        complain(f"不能使用:{words.zh}({reason.value})", f"It does not hold: {words.en} ({reason.value})")
        return
    say(
        "按本站配置有效;是否已用过或作废,只有站点运行时知道。",
        "It holds by these settings; whether it was spent or revoked, only the running station knows.",
    )
