"""Members and their templates as rows. Every function runs in the caller's transaction, on the writer's connection."""

from __future__ import annotations

from agent.events import Member
from agent.storage import templates
from agent.storage.database import Database
from agent.storage.log import blank_bodies_naming
from agent.storage.notes import blank_naming as blank_notes_naming
from agent.storage.vault import Vault


def check(member: Member) -> None:
    """Raise ValueError for a member that cannot be stored."""
    for template in member.templates:
        templates.check(template)


def save(database: Database, vault: Vault, member: Member, name: str, *, created_at_utc: str, enrolment: str) -> None:
    """Insert or replace a member and all their templates; `created_at_utc` and `enrolment` of an existing row stay.

    Raises `KeyFaultError` when there are templates and the vault has no key.
    """
    connection = database.conn
    connection.execute(
        "INSERT INTO members (id, name, created_at_utc, is_suspended, enrolment) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (id) DO UPDATE SET name = excluded.name, is_suspended = excluded.is_suspended",
        (member.id, name, created_at_utc, int(member.is_suspended), enrolment),
    )
    templates.replace(database, vault, member)


def exists(database: Database, member_id: str) -> bool:
    """Whether there is a row."""
    return database.conn.execute("SELECT 1 FROM members WHERE id = ?", [member_id]).fetchone() is not None


def is_known(database: Database, member_id: str) -> bool:
    """Whether there is a row, or a consent that may still become one."""
    return exists(database, member_id) or (
        database.conn.execute("SELECT 1 FROM consents WHERE member_id = ?", [member_id]).fetchone() is not None
    )


def erase(database: Database, member_id: str) -> dict[str, int]:
    """Delete the row and all that hangs on it, make visits anonymous, blank the log's bodies that name them.

    Returns how many of each. Only a `checkpoint` after the commit takes it out of the write-ahead file.
    """
    connection = database.conn
    return {
        "log_entries": blank_bodies_naming(database, member_id),
        "notes": blank_notes_naming(database, member_id),
        "visits": connection.execute("UPDATE visits SET member_id = NULL WHERE member_id = ?", [member_id]).rowcount,
        "cards": connection.execute("DELETE FROM cards WHERE member_id = ?", [member_id]).rowcount,
        "pins": connection.execute("DELETE FROM pins WHERE member_id = ?", [member_id]).rowcount,
        "templates": connection.execute("DELETE FROM templates WHERE member_id = ?", [member_id]).rowcount,
        "consents": connection.execute("DELETE FROM consents WHERE member_id = ?", [member_id]).rowcount,
        "members": connection.execute("DELETE FROM members WHERE id = ?", [member_id]).rowcount,
    }


def enrolments(database: Database) -> list[tuple[str, str]]:
    """(id, enrolment) of every member."""
    return [(row[0], row[1]) for row in database.conn.execute("SELECT id, enrolment FROM members")]


def load(database: Database, vault: Vault) -> tuple[tuple[Member, ...], templates.Found]:
    """Every member with the templates that can be opened, and what the rows of templates hold."""
    rows = templates.load(database, vault)
    found = database.conn.execute("SELECT id, is_suspended FROM members ORDER BY id").fetchall()
    return tuple(Member(id_, tuple(rows.readable.get(id_, ())), bool(suspended)) for id_, suspended in found), rows
