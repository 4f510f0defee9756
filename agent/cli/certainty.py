"""Asks once more before something is erased for good."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from agent.cli.language import clean, complain, pick
from agent.core.problems import Words

YesOption = Annotated[bool, typer.Option("--yes", help="不再询问,供脚本使用 / Do not ask; for scripts")]


def make_sure(member: str, consequence: Words, *, is_sure: bool) -> None:
    """Let the id be typed again; `consequence` says what is about to happen. Raises `Exit` unless it is the same.

    Without a terminal nobody can be asked: a wrong use, exit code 2.
    """
    if is_sure:
        return
    if not sys.stdin.isatty():
        complain(
            "没有终端,无法确认;脚本中请加 --yes。",
            "Without a terminal nobody can be asked: add --yes in a script.",
        )
        raise typer.Exit(2)
    asked = Words(f"{consequence.zh}请再输入一次编号", f"{consequence.en} Type the id again")
    try:
        typed = typer.prompt(clean(pick(asked)), default="", show_default=False, err=True)
    except typer.Abort:
        typed = ""
    if typed.strip() != member:
        complain("编号不同,没有做任何改动。", "That is not the same id: nothing was changed.")
        raise typer.Exit(1)
