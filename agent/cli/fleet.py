"""`station fleet …`: the other end of the contract."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.language import complain
from agent.cli.options import LanguageOption

app = typer.Typer(help="中心端 / The central server's end.", no_args_is_help=True, rich_markup_mode=None)


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
    station: Annotated[str, typer.Option("--station", help="站点编号 / The station's id")],
    key: Annotated[Path, typer.Option("--key", help="私钥文件 / The private key's file")],
    host: Annotated[str, typer.Option("--host", help="消息服务器 / The broker")] = "localhost",
    port: Annotated[int, typer.Option("--port", min=1, max=65_535, help="端口 / Its port")] = 1883,
    prefix: Annotated[str, typer.Option("--prefix", help="主题前缀 / Of the topics")] = "stations",
    username: Annotated[str | None, typer.Option("--username", help="账户 / Account at the broker")] = None,
    password_file: Annotated[Path | None, typer.Option("--password-file", help="密码文件 / Its password")] = None,
    ca_file: Annotated[Path | None, typer.Option("--ca-file", help="TLS 根证书,写了即加密 / Turns TLS on")] = None,
    cert_file: Annotated[Path | None, typer.Option("--cert-file", help="客户端证书 / Client certificate")] = None,
    key_file: Annotated[Path | None, typer.Option("--key-file", help="客户端证书的私钥 / Its key")] = None,
    timeout: Annotated[float, typer.Option("--timeout", min=1, max=600, help="秒 / Seconds")] = 30.0,
    _lang: LanguageOption = None,
) -> None:
    """签名并发送一条指令 / Sign and send one command; prints every reply as a line of JSON.

    Exit code: 0 done, 1 failed, refused or not answered.
    """
    from agent import command_keys
    from agent.fleet.commander import Commander, CommandError
    from agent.mqtt.client import Broker, Tls
    from agent.mqtt.topics import Topics

    tls = Tls(ca_file, cert_file, key_file) if ca_file else None
    broker = Broker(host, port, username=username, password_file=password_file, tls=tls)
    last = ""
    try:
        given = {**_arguments_in(arguments_file), **_arguments(argument or [])}
        with Commander(broker, Topics(prefix, station), command_keys.load(key)) as commander:
            for reply in commander.send(name, given, timeout_s=timeout):
                typer.echo(reply.model_dump_json())
                last = reply.status
    except (CommandError, command_keys.CommandKeyError, ValueError) as error:
        complain(f"指令没有完成:{error}", f"The command was not carried out: {error}")
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
    raise ValueError(f"{file.name} holds no JSON object of arguments")


def _arguments(given: list[str]) -> dict[str, Any]:
    """A value that is JSON is taken as such, everything else as text."""
    found: dict[str, Any] = {}
    for each in given:
        name, equals, text = each.partition("=")
        if not equals:
            raise ValueError(f"{each!r} is no NAME=VALUE")
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found
