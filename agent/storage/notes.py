"""What the rules noted, as rows. A change runs in the transaction of its entry, on the writer's thread."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.effects import Note
from agent.storage.chain import canonical
from agent.storage.database import Database
from agent.storage.ledger import Ledger

# A note is one thing's state; the longest is a supply or a fault with its history.
NOTE_BYTES = 16_000
# Of one kind; beyond it rules would have lost count of their own things. The oldest stay, the new one is not kept.
NOTES_OF_A_KIND = 5_000


@dataclass(frozen=True, slots=True)
class WrittenNote:
    """A note with its body as JSON; None: thrown away."""

    kind: str
    name: str
    body: str | None
    outlives_backup: bool = False


def written(notes: Sequence[Note]) -> tuple[WrittenNote, ...]:
    """Write the bodies as JSON. Raises ValueError or TypeError for one that is not JSON, or is too long."""
    made = tuple(_written(each) for each in notes)
    for each in made:
        canonical([each.kind, each.name])  # raises for what has no UTF-8
        if each.body is not None and len(each.body.encode()) > NOTE_BYTES:
            raise ValueError(f"a note of kind {each.kind} is longer than {NOTE_BYTES} bytes: shorten it")
    return made


def _written(note: Note) -> WrittenNote:
    return WrittenNote(note.kind, note.name, None if note.body is None else canonical(note.body), note.outlives_backup)


def keep(database: Database, note: WrittenNote) -> None:
    """Write a note in place of the one before it, or throw it away."""
    if note.body is None:
        database.conn.execute("DELETE FROM notes WHERE kind = ? AND name = ?", (note.kind, note.name))
        return
    database.conn.execute(
        "INSERT INTO notes (kind, name, body) SELECT ?1, ?2, ?3 "
        "WHERE (SELECT count(*) FROM notes WHERE kind = ?1) < ?4 "
        "OR EXISTS (SELECT 1 FROM notes WHERE kind = ?1 AND name = ?2) "
        "ON CONFLICT (kind, name) DO UPDATE SET body = excluded.body",
        (note.kind, note.name, note.body, NOTES_OF_A_KIND),
    )


def keep_again(database: Database, ledger: Ledger) -> int:
    """Write anew what a backup brought back as it was before; returns how many."""
    count = 0
    for (kind, name), body in ledger.notes.items():
        row = database.conn.execute("SELECT body FROM notes WHERE kind = ? AND name = ?", (kind, name)).fetchone()
        if (None if row is None else row[0]) != body:
            keep(database, WrittenNote(kind, name, body))
            count += 1
    return count


def as_in_ledger(
    found: Mapping[str, Mapping[str, Mapping[str, Any]]], ledger: Ledger
) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """The same for notes that were read from a disk that cannot be written."""
    after = {kind: dict(each) for kind, each in found.items()}
    for (kind, name), body in ledger.notes.items():
        after.setdefault(kind, {}).pop(name, None)
        if body is not None:
            after[kind][name] = json.loads(body)
    return after


def load(database: Database) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """All of them by kind and name; one that cannot be read back is left out.

    None before the migration: a disk that cannot be written is read as an older agent left it.
    """
    if not database.conn.execute("SELECT 1 FROM sqlite_master WHERE name = 'notes'").fetchone():
        return {}
    found: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for kind, name, text in database.conn.execute("SELECT kind, name, body FROM notes ORDER BY kind, name"):
        try:
            body = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(body, dict):
            found[kind][name] = body
    return dict(found)


def blank_naming(database: Database, member_id: str) -> int:
    """Take this id out of every body that holds it; returns of how many."""
    rows = database.conn.execute("SELECT kind, name, body FROM notes WHERE instr(body, ?)", (member_id,)).fetchall()
    count = 0
    for kind, name, text in rows:
        before = json.loads(text)
        after = _without(before, member_id)
        if after != before:
            count += 1
            database.conn.execute(
                "UPDATE notes SET body = ? WHERE kind = ? AND name = ?", (canonical(after), kind, name)
            )
    return count


def _without(value: Any, member_id: str) -> Any:
    if isinstance(value, dict):
        return {key: _without(each, member_id) for key, each in value.items()}
    if isinstance(value, list):
        return [_without(each, member_id) for each in value]
    return None if value == member_id else value
