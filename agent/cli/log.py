"""`station log …`: what proves that nobody changed the log. Needs no running agent, and may run beside one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from agent.cli.language import complain, say, tell_problems
from agent.cli.options import ConfigOption, LanguageOption, settings_path

if TYPE_CHECKING:
    from agent.storage.log import Break

app = typer.Typer(help="记录 / The log.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Keeps `verify` a command of its own while it is the only one."""


@app.command("verify")
def verify(config: ConfigOption = None, _lang: LanguageOption = None) -> None:
    """检查记录是否完整、未被改动 / Check that nothing in the log was changed or taken out."""
    from agent.settings import SettingsError, load_settings

    try:
        directory = load_settings(settings_path(config)).state.directory
    except SettingsError as error:
        tell_problems(error.problems)
        raise typer.Exit(1) from None
    from agent.storage.database import StorageError
    from agent.storage.walk import walk

    try:
        walked = walk(directory)
    except StorageError as error:
        complain(f"无法读取记录:{error}", f"The log cannot be read: {error}")
        raise typer.Exit(1) from None
    found = walked.found
    count, last = found.entries, f"{found.newest.epoch}/{found.newest.sequence}"
    if found.first_break is not None:
        _complain_of(found.first_break)
        complain(f"此前 {count} 条完好,至 {last}。", f"The {count} entries before it hold, up to {last}.")
        raise typer.Exit(1)
    say(
        f"记录完好:{count} 条,其中 {found.blanked} 条正文已清除,至 {last}。",
        f"The log holds: {count} entries, {found.blanked} of them blanked, up to {last}.",
    )
    if not walked.has_head:
        complain(
            "没有可用的 head 文件:末尾若被截去则无法发现。",
            "There is no head file to compare with: entries that were cut off at the end leave no trace.",
        )


def _complain_of(found: Break) -> None:
    from agent.storage.log import Broken

    words = {
        Broken.GAP: "它之前有记录缺失",
        Broken.HALF_BLANKED: "正文和盐值只清除了一个",
        Broken.BODY: "正文与摘要不符",
        Broken.HASH: "哈希与前一条记录、标题和摘要不符",
        Broken.OTHER_HEAD: "head 文件中的哈希不同",
        Broken.CUT_OFF: "记录在它之前结束,而 head 文件有它",
        Broken.LET_GO: "到它为止的记录已不在,而记录中没有一条说明",
    }[found.reason]
    place = f"{found.epoch}/{found.sequence}"
    complain(f"记录在 {place} 处断开:{words}。", f"The log breaks at {place}: {found.reason.value}.")
