"""`station models …`: which networks there are, and installing a file fetched elsewhere. Nothing is downloaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.language import clean, complain, pick, say, tell_problems
from agent.cli.options import ConfigOption, JsonOption, LanguageOption, settings_path
from agent.core.problems import Words
from agent.vision.models import PUBLISHED, ModelError, install_model, state_of

app = typer.Typer(help="识别模型文件 / Files of networks.", no_args_is_help=True, rich_markup_mode=None)

FolderOption = Annotated[
    Path | None, typer.Option("--models", help="模型目录,默认按配置 / The folder; else the one that the settings name")
]

_STATES = {
    "installed": Words("已安装", "installed"),
    "missing": Words("未安装", "not installed"),
    "wrong": Words("不是发布的文件", "not the published file"),
}
_PURPOSES = {
    "yunet": Words("人脸检测(口罩加头盔也能找到)", "finds faces, also behind a mask under a helmet"),
    "sface": Words("识别引擎 sface", "the engine sface"),
}


@app.command("list")
def list_models(
    models: FolderOption = None, as_json: JsonOption = False, config: ConfigOption = None, _lang: LanguageOption = None
) -> None:
    """列出可以安装的模型 / Which files can be installed, where each belongs, and where to get it."""
    folder = models or _folder(config)
    found = [
        {
            "name": model.name,
            "state": state_of(model.name, folder),
            "path": str(folder / model.file),
            "licence": model.licence,
            "sha256": model.sha256,
            "source": model.source,
        }
        for model in PUBLISHED.values()
    ]
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    for each in found:
        say(f"{each['name']}:{_STATES[each['state']].zh}", f"{each['name']}: {_STATES[each['state']].en}")
        for label, text in (
            (Words("用途", "for"), pick(_PURPOSES[each["name"]])),
            (Words("位置", "file"), each["path"]),
            (Words("许可", "licence"), each["licence"]),
            (Words("sha256", "sha256"), each["sha256"]),
            (Words("来源", "from"), each["source"]),
        ):
            typer.echo(clean(f"  {pick(label)}: {text}"))


@app.command("install")
def install(
    name: Annotated[str, typer.Argument(metavar="NAME", help=", ".join(PUBLISHED))],
    file: Annotated[
        Path,
        typer.Option("--file", exists=True, dir_okay=False, readable=True, help="已下载的文件 / The file you fetched"),
    ],
    models: FolderOption = None,
    config: ConfigOption = None,
    _lang: LanguageOption = None,
) -> None:
    """核对并安装一个模型文件 / Check a file against its published sha256 and put it in place."""
    if name not in PUBLISHED:
        known = ", ".join(PUBLISHED)
        complain(f"没有模型“{name}”,可选:{known}。", f"There is no model {name}: one of {known}.")
        raise typer.Exit(2)
    try:
        path = install_model(name, file, models or _folder(config))
    except ModelError as error:
        complain(f"没有安装:{error}", f"Not installed: {error}")
        raise typer.Exit(1) from None
    say(f"已安装:{path}", f"Installed: {path}")
    say(
        "重启后生效:sudo systemctl restart station-agent",
        "It counts after a restart: sudo systemctl restart station-agent",
    )


def _folder(config: Path | None) -> Path:
    from agent.settings import SettingsError, load_settings

    try:
        return load_settings(settings_path(config)).models_folder
    except SettingsError as error:
        tell_problems(error.problems)
        raise typer.Exit(1) from None
