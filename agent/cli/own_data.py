"""`station members data ID`: everything stored about a person, for them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from agent.cli.language import clean, pick
from agent.control.client import ControlClient
from agent.core.problems import Words

_PARTS = {
    "member": Words("成员", "member"),
    "consents": Words("同意记录", "consents"),
    "templates": Words("人脸特征(只列说明,数字已加密)", "stored faces (described; the numbers are encrypted)"),
    "credentials": Words("卡和密码(只存不可还原的摘要)", "cards and PIN (stored as hashes that cannot be turned back)"),
    "visits": Words("到访", "visits"),
    "log": Words("涉及本人的记录", "log entries that name this person"),
}


def gather(client: ControlClient, member: str) -> dict[str, Any]:
    """All parts; long ones page by page. Raises `ControlError`."""
    found: dict[str, Any] = {}
    for part in _PARTS:
        rows: list[dict[str, Any]] = []
        after: dict[str, Any] = {}
        while page := client.request("members.data", id=member, part=part, **after)["rows"]:
            rows += page
            if part == "visits":
                after = {"after_entered_at": page[-1]["entered_at_utc"], "after_id": page[-1]["id"]}
            elif part == "log":
                after = {"epoch": page[-1]["epoch"], "after": page[-1]["sequence"]}
            else:
                break
        found[part] = rows
    return found


def print_for_reading(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """One block for each part, a line for each value."""
    for part, title in _PARTS.items():
        typer.echo(f"== {pick(title)} ({len(found[part])})")
        for row in found[part]:
            for key, value in row.items():
                if value is not None:
                    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                    typer.echo(f"  {key}: {clean(text)}")
            typer.echo("")
