"""Members and their templates as rows. Every function runs in the caller's transaction, on the writer's connection."""

from __future__ import annotations

import numpy as np

from agent.events import Member, Template
from agent.storage.database import Database
from agent.storage.log import blank_bodies_naming

_VECTOR_LENGTH = 128
_STORED = np.dtype("<f4")  # the file is read on machines of either byte order


def check(member: Member) -> None:
    """Raise ValueError for a member that cannot be stored."""
    for template in member.templates:
        _pack(template)


def save(database: Database, member: Member, name: str, *, created_at_utc: str, enrolment: str) -> None:
    """Insert or replace a member and all their templates; `created_at_utc` and `enrolment` of an existing row stay."""
    connection = database.conn
    connection.execute(
        "INSERT INTO members (id, name, created_at_utc, is_suspended, enrolment) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (id) DO UPDATE SET name = excluded.name, is_suspended = excluded.is_suspended",
        (member.id, name, created_at_utc, int(member.is_suspended), enrolment),
    )
    connection.execute("DELETE FROM templates WHERE member_id = ?", [member.id])
    connection.executemany(
        "INSERT OR REPLACE INTO templates (member_id, engine, weights, vector) VALUES (?, ?, ?, ?)",
        [(member.id, each.engine, each.weights, _pack(each)) for each in member.templates],
    )


def exists(database: Database, member_id: str) -> bool:
    """Whether there is a row."""
    return database.conn.execute("SELECT 1 FROM members WHERE id = ?", [member_id]).fetchone() is not None


def erase(database: Database, member_id: str) -> bool:
    """Delete the row and the templates, make their visits anonymous, blank the log's bodies that name them.

    Returns whether there was a row. Only a `checkpoint` after the commit takes it out of the write-ahead file.
    """
    blank_bodies_naming(database, member_id)
    return database.conn.execute("DELETE FROM members WHERE id = ?", [member_id]).rowcount > 0


def enrolments(database: Database) -> list[tuple[str, str]]:
    """(id, enrolment) of every member."""
    return [(row[0], row[1]) for row in database.conn.execute("SELECT id, enrolment FROM members")]


def load(database: Database) -> tuple[tuple[Member, ...], int]:
    """Every member with the templates that can be read, and how many cannot (encrypted, or not 128 finite numbers)."""
    templates: dict[str, list[Template]] = {}
    unreadable = 0
    rows = database.conn.execute(
        "SELECT member_id, engine, weights, key_id, vector FROM templates ORDER BY member_id, engine"
    )
    for member_id, engine, weights, key_id, vector in rows:
        if key_id is not None or len(vector) != _VECTOR_LENGTH * _STORED.itemsize:
            unreadable += 1
            continue
        values = np.frombuffer(vector, _STORED).astype(np.float32)
        values.setflags(write=False)
        if np.isfinite(values).all():
            templates.setdefault(member_id, []).append(Template(engine, weights, values))
        else:
            unreadable += 1
    found = database.conn.execute("SELECT id, is_suspended FROM members ORDER BY id").fetchall()
    return tuple(Member(id_, tuple(templates.get(id_, ())), bool(suspended)) for id_, suspended in found), unreadable


def _pack(template: Template) -> bytes:
    if template.vector.shape != (_VECTOR_LENGTH,):
        raise ValueError(f"a template has {_VECTOR_LENGTH} numbers, this one has the shape {template.vector.shape}")
    return template.vector.astype(_STORED).tobytes()
