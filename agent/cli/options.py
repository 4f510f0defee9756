"""Options that several commands take."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.language import Language, choose
from agent.paths import DEFAULT_SETTINGS

LanguageOption = Annotated[
    Language | None, typer.Option("--lang", callback=choose, is_eager=True, help="语言 / Language: zh, en")
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help=f"配置文件 / Settings file; else $STATION_CONFIG, else {DEFAULT_SETTINGS}"),
]
SocketOption = Annotated[
    Path | None, typer.Option("--socket", help="控制接口 / Control socket; else the one in the settings file")
]
JsonOption = Annotated[bool, typer.Option("--json", help="输出 JSON / Print JSON")]


def settings_path(config: Path | None) -> Path:
    """Where the settings file is."""
    return config or Path(os.environ.get("STATION_CONFIG") or DEFAULT_SETTINGS)
