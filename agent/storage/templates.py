"""The rows of templates, sealed and opened. All of it runs on the writer's connection, in the caller's transaction.

A row whose key is not here is *locked*: it is kept untouched until its key is back or its member enrols again. A row
that does not open with its key, or is in the clear though all were sealed, is *forged*: it is refused and named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from agent.events import Member, Template
from agent.storage.database import Database
from agent.storage.keys import ForgedError
from agent.storage.vault import LockedError, Place, Vault

_VECTOR_LENGTH = 128
_STORED = np.dtype("<f4")  # the file is read on machines of either byte order

# Text is read as bytes: a row that somebody altered may hold what is no UTF-8, and must not stop all the others.
_ROWS = (
    "SELECT t.rowid, CAST(t.member_id AS BLOB), CAST(m.enrolment AS BLOB), CAST(t.engine AS BLOB), "
    "CAST(t.weights AS BLOB), CAST(t.key_id AS BLOB), t.vector "
    "FROM templates t LEFT JOIN members m ON m.id = t.member_id "
)


@dataclass(slots=True)
class Found:
    """What the rows hold. `readable`: by member; `locked`: rows by the id of the key; `forged`: members' ids."""

    readable: dict[str, list[Template]] = field(default_factory=dict)
    locked: dict[str, int] = field(default_factory=dict)
    forged: list[str] = field(default_factory=list)
    unusable: int = 0


@dataclass(frozen=True, slots=True)
class _Row:
    rowid: int
    place: Place
    key_id: str | None
    vector: bytes = field(repr=False)
    is_damaged: bool = False

    def open(self, vault: Vault, *, refuses_plain: bool) -> bytes:
        """Raises `LockedError`, `ForgedError`."""
        if self.is_damaged or (self.key_id is None and refuses_plain):
            raise ForgedError("it was altered")
        return self.vector if self.key_id is None else vault.unseal(self.place, self.key_id, self.vector)


def check(template: Template) -> None:
    """Raise ValueError for a template that cannot be stored."""
    _pack(template)
    Place("", "", template.engine, template.weights).bound()


def replace(database: Database, vault: Vault, member: Member) -> None:
    """Store a member's templates in the place of those there are; one that is locked stays unless it is enrolled anew.

    A member without templates loses every one, locked ones too. Raises `KeyFaultError` when nothing can be sealed.
    """
    connection = database.conn
    enrolment = connection.execute("SELECT enrolment FROM members WHERE id = ?", [member.id]).fetchone()[0]
    sealed = [
        (member.id, each.engine, each.weights, *vault.seal(_place(member, enrolment, each), _pack(each)))
        for each in member.templates
    ]
    marks = ", ".join("?" * len(vault.key_ids)) if sealed else ""
    locked = f" AND (key_id IS NULL OR key_id IN ({marks}))" if marks else ""
    connection.execute(
        f"DELETE FROM templates WHERE member_id = ?{locked}",  # noqa: S608 - question marks
        [member.id, *(vault.key_ids if marks else ())],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO templates (member_id, engine, weights, key_id, vector) VALUES (?, ?, ?, ?, ?)", sealed
    )


def load(database: Database, vault: Vault) -> Found:
    """Open every row that can be opened. Without a key rows in the clear are taken as long as none is sealed."""
    found = Found()
    refuses_plain = _refuses_plain(database, vault)
    for row in _rows(database):
        try:
            template = _unpack(row, row.open(vault, refuses_plain=refuses_plain))
        except LockedError:
            key_id = row.key_id or ""
            found.locked[key_id] = found.locked.get(key_id, 0) + 1
        except ForgedError:
            found.forged.append(row.place.member_id)
        else:
            if template is None:
                found.unusable += 1
            else:
                found.readable.setdefault(row.place.member_id, []).append(template)
    return found


def seal_again(database: Database, vault: Vault) -> int:
    """Seal every row that can be opened with the vault's newest key; returns how many. The others are not touched."""
    if not vault.key_ids:
        return 0
    newest = vault.key_ids[-1]
    refuses_plain = _refuses_plain(database, vault)
    changed = []
    for row in _rows(database):
        if row.key_id != newest:
            try:
                plain = row.open(vault, refuses_plain=refuses_plain)
            except (LockedError, ForgedError):
                continue
            changed.append((*vault.seal(row.place, plain), row.rowid))
    database.conn.executemany("UPDATE templates SET key_id = ?, vector = ? WHERE rowid = ?", changed)
    return len(changed)


def key_counts(database: Database) -> dict[str | None, int]:
    """How many rows each key has; None: in the clear."""
    counts: dict[str | None, int] = {}
    for raw, count in database.conn.execute("SELECT CAST(key_id AS BLOB), count(*) FROM templates GROUP BY key_id"):
        key_id = None if raw is None else raw.decode("utf-8", "replace")
        counts[key_id] = counts.get(key_id, 0) + count
    return counts


def is_any_sealed(database: Database) -> bool:
    """Whether a key is needed."""
    return database.conn.execute("SELECT 1 FROM templates WHERE key_id IS NOT NULL LIMIT 1").fetchone() is not None


def _refuses_plain(database: Database, vault: Vault) -> bool:
    return vault.refuses_plain or (vault.fault is not None and is_any_sealed(database))


def _rows(database: Database) -> Iterator[_Row]:
    for raw in database.conn.execute(_ROWS + "ORDER BY t.member_id, t.engine, t.weights").fetchall():
        yield _row(*raw)


def _row(rowid: int, *values: Any) -> _Row:
    member_id, enrolment, engine, weights, key_id, vector = values
    try:
        texts = [b"" if value is None else value for value in (member_id, enrolment, engine, weights)]
        place = Place(*(text.decode() for text in texts))
        key = None if key_id is None else key_id.decode()
        return _Row(rowid, place, key, vector, is_damaged=enrolment is None or not isinstance(vector, bytes))
    except UnicodeDecodeError:
        place = Place((member_id or b"").decode("utf-8", "replace"), "", "", "")
        return _Row(rowid, place, None, b"", is_damaged=True)


def _place(member: Member, enrolment: str, template: Template) -> Place:
    return Place(member.id, enrolment, template.engine, template.weights)


def _pack(template: Template) -> bytes:
    if template.vector.shape != (_VECTOR_LENGTH,):
        raise ValueError(f"a template has {_VECTOR_LENGTH} numbers, this one has the shape {template.vector.shape}")
    return template.vector.astype(_STORED).tobytes()


def _unpack(row: _Row, plain: bytes) -> Template | None:
    """None for what is not 128 finite numbers."""
    if len(plain) != _VECTOR_LENGTH * _STORED.itemsize:
        return None
    values = np.frombuffer(plain, _STORED).astype(np.float32)
    values.setflags(write=False)
    return Template(row.place.engine, row.place.weights, values) if np.isfinite(values).all() else None
