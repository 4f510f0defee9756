"""`station vault …`: the keys that the stored faces are encrypted with."""

from __future__ import annotations

import json

import typer

from agent.cli.connection import connect, reporting
from agent.cli.language import complain, pick, say
from agent.cli.options import ConfigOption, JsonOption, LanguageOption, SocketOption
from agent.cli.table import columns
from agent.core.problems import Words

app = typer.Typer(help="人脸模板的密钥 / The keys of the stored faces.", no_args_is_help=True, rich_markup_mode=None)

_TITLES = (Words("密钥", "key"), Words("模板数", "templates"), Words("加密新模板", "encrypts"))


@app.command("status")
def status(
    as_json: JsonOption = False, config: ConfigOption = None, socket: SocketOption = None, _lang: LanguageOption = None
) -> None:
    """列出密钥编号和模板数 / List the keys by their ids; never the keys themselves."""
    with reporting():
        found = connect(config, socket).request("vault.status")
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    source = Words("systemd 凭据", "systemd credential") if found["source"] == "credential" else Words("文件", "file")
    say(f"{source.zh} {found['path']}", f"{source.en} {found['path']}")
    yes = pick(Words("是", "yes"))
    cells = [(each["id"], str(each["templates"]), yes if each["seals"] else "") for each in found["keys"]]
    for line in columns([pick(title) for title in _TITLES], cells):
        typer.echo(line)
    if locked := found["locked"]:
        complain(f"{locked} 个模板的密钥不在这里。", f"{locked} templates need a key that is not here.")
    if plain := found["in_the_clear"]:
        complain(f"{plain} 个模板没有加密。", f"{plain} templates are not encrypted.")
    if fault := found["fault"]:
        complain(f"密钥不能使用:{fault['detail']}", f"The keys cannot be used: {fault['detail']}")


@app.command("rotate")
def rotate(config: ConfigOption = None, socket: SocketOption = None, _lang: LanguageOption = None) -> None:
    """更换密钥并重新加密 / Encrypt every template with a new key and leave nothing under the old ones."""
    with reporting():
        done = connect(config, socket).request("vault.rotate")
    count, key, dropped = done["templates"], done["key"], ", ".join(done["dropped"])
    say(f"{count} 个模板已用密钥 {key} 重新加密。", f"Templates encrypted anew with the key {key}: {count}.")
    if dropped:
        say(f"已删除旧密钥 {dropped}。", f"Former keys removed: {dropped}.")
    say("请备份新的密钥文件和数据库。", "Back up the new key file, apart from a new backup of the database.")
