"""`station fleet …`: the other end of the contract."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

import typer

from agent.cli.language import clean, clean_json, complain, pick, say
from agent.cli.options import LanguageOption
from agent.core.problems import Words
from agent.core.spoken import SpokenError, WrongUseError, error_words

if TYPE_CHECKING:
    from agent.fleet.conformance.kit import Authority, Report
    from agent.mqtt.client import Broker

app = typer.Typer(help="中心端 / The central server's end.", no_args_is_help=True, rich_markup_mode=None)

StationOption = Annotated[str, typer.Option("--station", help="站点编号 / The station's id")]
BrokerOption = Annotated[
    str | None,
    typer.Option("--broker", help="消息服务器 / The broker: mqtt://HOST[:PORT], mqtts://HOST[:PORT] with TLS"),
]
PrefixOption = Annotated[str, typer.Option("--prefix", help="主题前缀 / Of the topics")]
UsernameOption = Annotated[str | None, typer.Option("--username", help="账户 / Account at the broker")]
PasswordOption = Annotated[Path | None, typer.Option("--password-file", help="密码文件 / Its password")]
CaOption = Annotated[Path | None, typer.Option("--ca-file", help="TLS 根证书,写了即加密 / Turns TLS on")]
CertOption = Annotated[Path | None, typer.Option("--cert-file", help="客户端证书 / Client certificate")]
KeyFileOption = Annotated[Path | None, typer.Option("--key-file", help="客户端证书的私钥 / Its key")]


class Version(StrEnum):
    """Of MQTT."""

    V5 = "5"
    V311 = "3.1.1"


class Format(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"


@app.command("command")
def command(
    *,
    name: Annotated[str, typer.Argument(help="指令,例如 door.unlock / Such as door.unlock", show_default=False)],
    argument: Annotated[
        list[str] | None, typer.Option("--argument", "-a", help="参数 名称=值,可多次 / NAME=VALUE, repeatable")
    ] = None,
    arguments_file: Annotated[
        typer.FileText | None,
        typer.Option(
            "--arguments-file",
            help="JSON 参数文件,- 为标准输入;用于卡号和密码 / JSON, - for stdin: cards and PINs",
        ),
    ] = None,
    station: StationOption,
    key: Annotated[Path, typer.Option("--key", help="私钥文件 / The private key's file")],
    broker: BrokerOption = None,
    host: Annotated[str, typer.Option("--host", help="消息服务器 / The broker, without --broker")] = "localhost",
    port: Annotated[int, typer.Option("--port", min=1, max=65_535, help="端口 / Its port")] = 1883,
    prefix: PrefixOption = "stations",
    username: UsernameOption = None,
    password_file: PasswordOption = None,
    ca_file: CaOption = None,
    cert_file: CertOption = None,
    key_file: KeyFileOption = None,
    timeout: Annotated[float, typer.Option("--timeout", min=1, max=600, help="秒 / Seconds")] = 30.0,
    _lang: LanguageOption = None,
) -> None:
    """签名并发送一条指令 / Sign and send one command; prints every reply as a line of JSON.

    Exit code: 0 done, 1 failed, refused or not answered.
    """
    from agent import command_keys
    from agent.cli.reply_words import explain
    from agent.fleet.commander import Commander
    from agent.mqtt.topics import Topics

    last = ""
    try:
        bracketed = f"[{host}]" if ":" in host else host
        url = broker or f"{'mqtts' if ca_file else 'mqtt'}://{bracketed}:{port}"
        way = _broker(url, username, password_file, (ca_file, cert_file, key_file))
        typed = _arguments(argument or [])
        _warn_of_secrets(typed)
        given = {**_arguments_in(arguments_file), **typed}
        with Commander(way, Topics(prefix, station), command_keys.load(key)) as commander:
            for reply in commander.send(name, given, timeout_s=timeout):
                typer.echo(clean_json(reply.model_dump_json()))
                last = reply.status
                explain(name, given, reply)
    except (SpokenError, ValueError) as error:
        why = error_words(error)
        complain(f"指令没有完成:{why.zh}", f"The command was not carried out: {why.en}")
        raise typer.Exit(1) from None
    if last != "done":
        raise typer.Exit(1)


def _arguments_in(file: typer.FileText | None) -> dict[str, Any]:
    """Of a file, which nobody else sees as they see a command line. What it holds is not repeated."""
    if file is None:
        return {}
    try:
        found = json.load(file)
    except ValueError:
        found = None
    if isinstance(found, dict):
        return found
    raise WrongUseError(f"{file.name} 中没有 JSON 对象", f"{file.name} holds no JSON object of arguments")


@app.command("conformance")
def conformance(
    *,
    station: StationOption,
    broker: BrokerOption = None,
    key: Annotated[
        Path | None, typer.Option("--key", help="私钥文件;没有则只听 / The private key's file; without it only listens")
    ] = None,
    scopes: Annotated[
        str, typer.Option("--scopes", help="站点配置给该密钥的权限,逗号分隔 / What the station's settings allow it")
    ] = "",
    may_open: Annotated[
        bool, typer.Option("--may-open", help="允许开门一次 / Also open the door once, rightfully")
    ] = False,
    listen: Annotated[
        float, typer.Option("--listen", min=0.1, max=3600, help="听多少秒 / Seconds to listen for what comes by itself")
    ] = 35.0,
    patience: Annotated[
        float, typer.Option("--patience", min=0.1, max=600, help="等回复的秒数 / Seconds to wait for an answer")
    ] = 10.0,
    log_wait: Annotated[
        float,
        typer.Option("--log-wait", min=0.1, max=600, help="等拒绝记录的秒数 / Seconds to wait for a refusal's entry"),
    ] = 65.0,
    format_: Annotated[Format, typer.Option("--format", help="text、json")] = Format.TEXT,
    mqtt: Annotated[
        Version, typer.Option("--mqtt", help="MQTT 版本,与站点一致 / Of MQTT, as the station has it")
    ] = Version.V5,
    prefix: PrefixOption = "stations",
    username: UsernameOption = None,
    password_file: PasswordOption = None,
    ca_file: CaOption = None,
    cert_file: CertOption = None,
    key_file: KeyFileOption = None,
    _lang: LanguageOption = None,
) -> None:
    """查验站点是否遵守约定 / Ask a running station for every promise of the contract.

    不带密钥只听;带密钥只发不改变任何状态的指令,以及必须被拒绝的指令(包括用过、过期或编造的 nonce 的
    door.unlock)。不遵守约定的站点可能因此开门:请有人在门口看着。
    Without a key it only listens. With one it sends commands that change nothing, and commands that must be refused,
    among them door.unlock with a nonce that is used up, too old or made up. A station that breaks that promise may open
    its door: somebody should stand there. A burst of refused commands at the end uses up, for some seconds, the rate at
    which the station answers refusals.

    Exit code: 0 all that was checked holds, 1 something is broken, 2 it could not be run.
    """
    from agent.fleet.conformance.kit import examine
    from agent.fleet.conformance.promises import Limits
    from agent.mqtt.topics import Topics

    try:
        way = _broker(broker or "mqtt://localhost", username, password_file, (ca_file, cert_file, key_file), mqtt.value)
        authority = _authority(key, scopes, may_open=may_open)
        report = examine(way, Topics(prefix, station), authority, Limits(listen, patience, log_wait))
    except (SpokenError, ValueError) as error:
        why = error_words(error)
        complain(f"无法查验:{why.zh}", f"It could not be run: {why.en}")
        raise typer.Exit(2) from None
    _tell(report) if format_ is Format.TEXT else typer.echo(clean_json(_as_json(report)))
    if report.broken():
        raise typer.Exit(1)


def _authority(key: Path | None, scopes: str, *, may_open: bool) -> Authority | None:
    """Raises `WrongUseError` for scopes that there are not, and what needs a key without one."""
    from agent import command_keys
    from agent.core.commands import Scope
    from agent.fleet.conformance.kit import Authority

    if key is None:
        if scopes or may_open:
            raise WrongUseError(
                "--scopes 和 --may-open 需要密钥:用 --key 指定文件",
                "--scopes and --may-open need a key: name its file with --key",
            )
        return None
    try:
        named = frozenset(Scope(each.strip()) for each in scopes.split(",") if each.strip())
    except ValueError:
        known = ", ".join(Scope)
        raise WrongUseError(
            f"--scopes {scopes!r:.80}:可用 {known},用逗号分隔",
            f"--scopes {scopes!r:.80}: use {known}, with commas between them",
        ) from None
    return Authority(command_keys.load(key), named, may_open)


_WORDS = {
    "holds": Words("符合", "holds"),
    "broken": Words("不符", "BROKEN"),
    "not_checked": Words("未查", "not checked"),
}


_TOGETHER = 3  # promises that were not checked for the same reason: more are told in one line


def _tell(report: Report) -> None:
    from agent.fleet.conformance.promises import Verdict

    widest = max(len(promise.name) for promise, _ in report.findings)
    unchecked = [finding.seen for _, finding in report.findings if finding.verdict is Verdict.NOT_CHECKED]
    together: dict[Words, list[str]] = {each: [] for each in unchecked if unchecked.count(each) > _TOGETHER}
    for promise, finding in report.findings:
        if finding.verdict is Verdict.NOT_CHECKED and finding.seen in together:
            together[finding.seen].append(promise.name)
            continue
        word = pick(_WORDS[finding.verdict.value])
        width = 11 - (len(word) if word[0] > "\u2e80" else 0)  # a Chinese character is two cells wide
        typer.echo(f"{word:<{width}}  {promise.name:<{widest}}  {clean(pick(promise.says))}")
        if finding.verdict is not Verdict.HOLDS:
            typer.echo(f"    → {clean(pick(finding.seen))}")
    for why, names in together.items():
        typer.echo(f"{pick(_WORDS[Verdict.NOT_CHECKED.value])}: {', '.join(names)}\n    → {clean(pick(why))}")
    good, bad, rest = (report.count(each) for each in (Verdict.HOLDS, Verdict.BROKEN, Verdict.NOT_CHECKED))
    say(
        f"站点 {report.station},约定 {report.contract:.20}:{good} 项符合,{bad} 项不符,{rest} 项未查。",
        f"Station {report.station}, contract {report.contract:.20}: {good} hold, {bad} broken, {rest} not checked.",
    )


def _as_json(report: Report) -> str:
    from agent.fleet.conformance.promises import Verdict

    found = [
        {
            "promise": promise.name,
            "verdict": finding.verdict.value,
            "says": {"zh": promise.says.zh, "en": promise.says.en},
            "seen": {"zh": finding.seen.zh, "en": finding.seen.en},
        }
        for promise, finding in report.findings
    ]
    counts = {each.value: report.count(each) for each in Verdict}
    whole = {"station": report.station, "contract": report.contract, **counts, "promises": found}
    return json.dumps(whole, ensure_ascii=False, indent=2)


def _broker(
    url: str,
    username: str | None,
    password_file: Path | None,
    files: tuple[Path | None, Path | None, Path | None],
    protocol: Literal["5", "3.1.1"] = "5",
) -> Broker:
    """The broker at an address. `files`: authorities, certificate, its key. Raises `WrongUseError`."""
    from agent.mqtt.client import Broker, Tls

    ports = {"mqtt": 1883, "mqtts": 8883}
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _bad_broker() from None
    if parts.scheme not in ports or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        raise _bad_broker()
    if parts.username is not None or parts.password is not None:
        raise WrongUseError(
            "--broker:账户写在 --username,密码写入文件,用 --password-file 指定",
            "--broker: the account goes into --username, its password into a file for --password-file",
        )
    is_encrypted = parts.scheme == "mqtts"
    if any(files) and not is_encrypted:
        raise WrongUseError(
            "--ca-file、--cert-file、--key-file 需要 mqtts://:不加密时没有意义",
            "--ca-file, --cert-file and --key-file need mqtts://: without TLS they would mean nothing",
        )
    return Broker(
        parts.hostname,
        port or ports[parts.scheme],
        protocol=protocol,
        username=username,
        password_file=password_file,
        tls=Tls(*files) if is_encrypted else None,
    )


_SECRETS = ("card", "cards", "duress", "pin")  # arguments that open a door


def _warn_of_secrets(typed: Mapping[str, Any]) -> None:
    """A command line is there for every account of this machine to see while it runs, and in the shell's history."""
    seen = ", ".join(name for name in _SECRETS if name in typed)
    if seen:
        complain(
            f"注意:命令行中的 {seen} 会被本机其他账户看到,并留在命令历史中;请改用 --arguments-file(- 为标准输入)。",
            f"Take care: others on this machine see {seen} on the command line, and the shell keeps it; "
            "use --arguments-file (- for standard input).",
        )


def _bad_broker() -> WrongUseError:
    return WrongUseError(
        "--broker:写 mqtt://HOST[:PORT],加密时写 mqtts://HOST[:PORT]",
        "--broker: write mqtt://HOST[:PORT], or mqtts://HOST[:PORT] for TLS",
    )


def _arguments(given: list[str]) -> dict[str, Any]:
    """A value that is JSON is taken as such, everything else as text."""
    found: dict[str, Any] = {}
    for each in given:
        name, equals, text = each.partition("=")
        if not equals:
            raise WrongUseError(f"{each!r} 不是 名称=值", f"{each!r} is no NAME=VALUE")
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found
