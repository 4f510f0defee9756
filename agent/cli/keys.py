"""`station keys …`: keys of the central server that may send commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.language import complain, say, tell_problems
from agent.cli.options import ConfigOption, JsonOption, LanguageOption, settings_path
from agent.core.commands import Scope

app = typer.Typer(help="指令密钥 / Keys of the central server.", no_args_is_help=True, rich_markup_mode=None)

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="私钥文件 / The private key's file", show_default=False)
]
ScopeOption = Annotated[
    list[Scope] | None, typer.Option("--scope", help="权限,可多次 / What it may do; may be repeated")
]


@app.command("generate")
def generate(
    file: FileArgument,
    name: Annotated[str, typer.Option("--name", help="密钥名称 / What stations call it")] = "central-1",
    scope: ScopeOption = None,
    _lang: LanguageOption = None,
) -> None:
    """生成指令密钥 / Make a key; prints the table for the stations' settings."""
    from agent import command_keys

    try:
        key = command_keys.generate(name)
        command_keys.save(key, file)
    except command_keys.CommandKeyError as error:
        complain(f"没有写入密钥:{error.words.zh}", f"No key was written: {error}")
        raise typer.Exit(1) from None
    complain(
        f"私钥已写入 {file},只有本账户能读取;请妥善保管。各站配置文件中加入:",
        f"The private key is in {file}, for this account only: keep it safe. For the settings of every station:",
    )
    _tell(key.name, key.public_text, scope or [])


@app.command("show")
def show(file: FileArgument, scope: ScopeOption = None, _lang: LanguageOption = None) -> None:
    """显示公钥 / Print the table for the stations' settings again; never the private half."""
    from agent import command_keys

    try:
        key = command_keys.load(file)
    except command_keys.CommandKeyError as error:
        complain(f"无法读取密钥:{error.words.zh}", f"The key cannot be read: {error}")
        raise typer.Exit(1) from None
    _tell(key.name, key.public_text, scope or [])


@app.command("list")
def list_keys(as_json: JsonOption = False, config: ConfigOption = None, _lang: LanguageOption = None) -> None:
    """列出配置中的密钥 / List the keys that this station's settings allow, with what each may do."""
    from agent.settings import SettingsError, load_settings

    try:
        settings = load_settings(settings_path(config))
    except SettingsError as error:
        tell_problems(error.problems)
        raise typer.Exit(1) from None
    keys = settings.commands.keys
    if as_json:
        found = [{"name": name, "public": each.public, "scopes": list(each.scopes)} for name, each in keys.items()]
        typer.echo(json.dumps(found, indent=2))
        return
    if not keys:
        say("没有密钥:不接受任何远程指令。", "There are no keys: no command is taken from afar.")
    for name, each in keys.items():
        typer.echo(f"{name}  {', '.join(each.scopes) or '-'}  {each.public}")


def _tell(name: str, public: str, scopes: list[Scope]) -> None:
    """The table for the settings."""
    listed = ", ".join(f'"{each}"' for each in scopes)
    title = f'"{name}"' if "." in name else name
    typer.echo(f'[commands.keys.{title}]\npublic = "{public}"\nscopes = [{listed}]')
    if not scopes:
        complain(
            f"该密钥还没有权限:请在 scopes 中写明({', '.join(Scope)})。",
            f"It may do nothing yet: name in `scopes` what it may ({', '.join(Scope)}).",
        )
