"""A person's own data, for them: everything stored about them, and of nobody else."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

PARTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "member": ("member_row", ()),
    "consents": ("member_consents", ()),
    "templates": ("member_templates", ()),
    "credentials": ("member_credentials", ()),
    "visits": ("member_visits", ("after_entered_at", "after_id")),
    "log": ("member_log", ("epoch", "after")),
}
"""Part → the query that reads it and the arguments that turn its pages."""

ANOTHER = "(another member)"


def redacted(rows: Iterable[Mapping[str, Any]], member_id: str, members: Collection[str]) -> list[dict[str, Any]]:
    """Rows of the log with their bodies read, and the ids of other members taken out of them."""
    others = set(members) - {member_id}
    return [{**row, "body": _without(json.loads(row["body"]), others)} for row in rows]


def _without(value: Any, others: Collection[str]) -> Any:
    match value:
        case str():
            return ANOTHER if value in others else value
        case list():
            return [_without(each, others) for each in value]
        case dict():
            return {key: _without(each, others) for key, each in value.items()}
        case _:
            return value
