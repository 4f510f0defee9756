"""`station door …`: release, answer a call, hold open, lock down, resume."""

from __future__ import annotations

import typer

from agent.cli.connection import connect, reporting
from agent.cli.language import say
from agent.cli.options import ConfigOption, LanguageOption, SocketOption

app = typer.Typer(help="门 / The door.", no_args_is_help=True, rich_markup_mode=None)


def _order(action: str, config: ConfigOption, socket: SocketOption, zh: str, en: str) -> None:
    with reporting():
        connect(config, socket).request(action)
    say(zh, en)


@app.command("unlock")
def unlock(config: ConfigOption = None, socket: SocketOption = None, _lang: LanguageOption = None) -> None:
    """开一次门 / Release the lock once."""
    _order("door.unlock", config, socket, "门锁已打开一次。", "The lock is released once.")


@app.command("answer")
def answer(config: ConfigOption = None, socket: SocketOption = None, _lang: LanguageOption = None) -> None:
    """应答门口的呼叫,不开门 / Tell the one who calls at the door that you come; opens nothing."""
    _order("door.answer", config, socket, "已应答呼叫,门没有打开。", "The call is answered; the door was not opened.")


@app.command("hold-open")
def hold_open(config: ConfigOption = None, socket: SocketOption = None, _lang: LanguageOption = None) -> None:
    """保持打开 / Keep the lock released until `resume`."""
    _order(
        "door.hold_open",
        config,
        socket,
        "门锁保持打开。恢复:station door resume",
        "The lock stays released until `station door resume`.",
    )


@app.command("block")
def block(config: ConfigOption = None, socket: SocketOption = None, _lang: LanguageOption = None) -> None:
    """停用:暂停进入 / Nobody comes in until another order; leaving always works."""
    _order("door.block", config, socket, "门已停用,仍可出门。", "The door is blocked; leaving still works.")


@app.command("emergency")
def emergency(config: ConfigOption = None, socket: SocketOption = None, _lang: LanguageOption = None) -> None:
    """紧急开门并报警 / Open to all with the alarm, whatever the mode."""
    _order("door.emergency", config, socket, "已紧急开门。", "The door is open for an emergency.")


@app.command("emergency-over")
def emergency_over(config: ConfigOption = None, socket: SocketOption = None, _lang: LanguageOption = None) -> None:
    """紧急情况结束 / The emergency is over; what held before holds again."""
    _order("door.emergency_over", config, socket, "紧急情况已结束。", "The emergency is over.")


@app.command("lock-down")
def lock_down(config: ConfigOption = None, socket: SocketOption = None, _lang: LanguageOption = None) -> None:
    """封锁:只出不进 / Nobody comes in until `resume`; leaving always works."""
    _order(
        "door.lock_down",
        config,
        socket,
        "门已封锁,仍可出门。恢复:station door resume",
        "The door is locked down until `station door resume`; leaving still works.",
    )


@app.command("resume")
def resume(config: ConfigOption = None, socket: SocketOption = None, _lang: LanguageOption = None) -> None:
    """恢复正常 / Back to normal."""
    _order("door.resume", config, socket, "门已恢复正常。", "The door is back to normal.")
