"""`station run`, `check`, `lock-safe`, `demo`: what needs no running agent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.language import complain, say, tell_problems
from agent.cli.options import ConfigOption, LanguageOption, settings_path
from agent.paths import DEFAULT_SOCKET, DEFAULT_STATE

if TYPE_CHECKING:
    from agent.core.problems import Problem
    from agent.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("run")(run)
    app.command("check")(check)
    app.command("lock-safe")(lock_safe)
    app.command("demo")(demo)


def run(config: ConfigOption = None, _lang: LanguageOption = None) -> None:
    """运行站点程序 / Run the agent until it is told to end."""
    from agent.settings import SettingsError, load_settings

    try:
        settings = load_settings(settings_path(config))
    except SettingsError as error:
        tell_problems(error.problems)
        raise typer.Exit(1) from None
    import logging

    from agent import app
    from agent.control.server import SocketInUseError
    from agent.storage.database import StorageError

    # The journal adds the time; nothing in it names a person.
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        code = app.run(settings)
    except (StorageError, SocketInUseError, OSError) as error:
        complain(f"无法启动:{error}", f"The agent cannot start: {error}")
        if os.geteuid() and {settings.state.directory, settings.control.socket} & {DEFAULT_STATE, DEFAULT_SOCKET}:
            complain(
                "    → 普通用户请把 state.directory 和 control.socket 设为自己可写的位置,例如 config/try.toml。",
                "    → As an ordinary user set state.directory and control.socket to places of your own; "
                "config/try.toml is an example.",
            )
        raise typer.Exit(1) from None
    raise typer.Exit(code)


def check(config: ConfigOption = None, _lang: LanguageOption = None) -> None:
    """检查配置文件,不启动任何东西 / Say everything that is wrong with the settings; starts nothing."""
    from agent.cli.summary import findings, summary
    from agent.core.problems import Severity
    from agent.settings import SettingsError, load_settings

    path = settings_path(config)
    problems: list[Problem] = []
    try:
        settings: Settings | None = load_settings(path)
    except SettingsError as error:
        problems, settings = list(error.problems), error.rest
    wrong = {each.where for each in problems}  # what stands there is not judged again
    if settings is not None:
        problems += [each for each in findings(settings) if each.where not in wrong]
    tell_problems(sorted(problems, key=lambda each: each.severity is not Severity.ERROR))
    count = sum(each.severity is Severity.ERROR for each in problems)
    if count or settings is None:
        complain(f"{path}:{count} 处错误。", f"{path}: {count} mistake{'s' if count > 1 else ''}.")
        raise typer.Exit(1)
    say(f"{path} 正确。", f"{path} is good.")
    for words in summary(settings):
        say(f"  {words.zh}", f"  {words.en}")


def lock_safe(config: ConfigOption = None, _lang: LanguageOption = None) -> None:
    """断开门锁电流,置于安全状态 / Take the current off the lock; for after a crash."""
    from agent.lock_wiring import load_lock_wiring
    from agent.settings import SettingsError

    path = settings_path(config)
    try:
        wiring = load_lock_wiring(path)
    except SettingsError as error:
        tell_problems(error.problems)
        complain("不知道门锁如何接线,没有操作任何引脚。", "How the lock is wired is not known: no pin was touched.")
        raise typer.Exit(1) from None
    if wiring.pin is None:
        say("模拟硬件,没有真实的门锁。", "The hardware is simulated: there is no real lock.")
        return
    from drivers.errors import DriverError
    from drivers.lock import make_safe

    try:
        make_safe(wiring.pin, active_high=wiring.active_high, chip=wiring.gpio_chip)
    except DriverError as error:
        complain(f"门锁可能仍有电流,请到现场检查:{error}", f"The lock may still have current, go and look: {error}")
        raise typer.Exit(1) from None
    say("门锁已断电,处于安全状态。", "The lock is without current: its safe state.")


def demo(
    seconds: Annotated[
        int | None, typer.Option("--seconds", min=1, help="最多运行的秒数 / Stop after the scene that is running then")
    ] = None,
    report: Annotated[Path | None, typer.Option("--report", help="写入 JSON 报告 / Write a report as JSON")] = None,
    _lang: LanguageOption = None,
) -> None:
    """演示整个站点 / Watch a whole station work, on real faces and simulated hardware."""
    from agent.demo.run import main

    raise typer.Exit(main(seconds, report))
