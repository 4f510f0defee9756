"""Members and their templates as rows. Every function runs in the caller's transaction, on the writer's connection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from agent.events import Member
from agent.storage import templates
from agent.storage.database import Database
from agent.storage.ledger import Ledger
from agent.storage.log import blank_bodies_naming
from agent.storage.notes import blank_naming as blank_notes_naming
from agent.storage.stamps import parse_rfc3339, rfc3339
from agent.storage.vault import Vault


def check(member: Member) -> None:
    """Raise ValueError for a member that cannot be stored."""
    for template in member.templates:
        templates.check(template)


def save(database: Database, vault: Vault, member: Member, name: str, *, created_at_utc: str, enrolment: str) -> None:
    """Insert a member, or replace name and templates of one who is there; all the rest of an existing row stays.

    Raises `KeyFaultError` when there are templates and the vault has no key.
    """
    connection = database.conn
    connection.execute(
        "INSERT INTO members (id, name, created_at_utc, is_suspended, suspended_until_utc, needs_longer, enrolment) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name",
        (
            member.id,
            name,
            created_at_utc,
            int(member.is_suspended),
            None if member.suspended_until is None else rfc3339(member.suspended_until),
            int(member.needs_longer),
            enrolment,
        ),
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
    found = database.conn.execute(f"SELECT id, {_kept(database)} FROM members ORDER BY id").fetchall()  # noqa: S608
    return tuple(replace(_member(*row), templates=tuple(rows.readable.get(row[0], ()))) for row in found), rows


def read(database: Database, member_id: str) -> Member | None:
    """One member without templates; None when there is no such row."""
    sql = f"SELECT id, {_kept(database)} FROM members WHERE id = ?"  # noqa: S608 - names of columns
    row = database.conn.execute(sql, [member_id]).fetchone()
    return None if row is None else _member(*row)


def put(database: Database, member: Member, *, name: str | None, created_at_utc: str, enrolment: str) -> None:
    """Insert a member, or change what is kept of one who is there, but for suspensions. `name` None: it stays."""
    database.conn.execute(
        "INSERT INTO members (id, name, created_at_utc, enrolment, needs_longer, valid_from_utc, valid_until_utc, "
        "categories) VALUES (?, coalesce(?, ''), ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
        "name = coalesce(?, name), needs_longer = excluded.needs_longer, valid_from_utc = excluded.valid_from_utc, "
        "valid_until_utc = excluded.valid_until_utc, categories = excluded.categories",
        (
            member.id,
            name,
            created_at_utc,
            enrolment,
            int(member.needs_longer),
            _text(member.valid_from),
            _text(member.valid_until),
            ",".join(map(str, member.categories)),
            name,
        ),
    )


def suspend(database: Database, member_id: str, *, is_suspended: bool, until_utc: str | None) -> None:
    """Suspend them, or end that."""
    database.conn.execute(
        "UPDATE members SET is_suspended = ?, suspended_until_utc = ? WHERE id = ?",
        (int(is_suspended), until_utc, member_id),
    )


def enrolment_of(database: Database, member_id: str) -> str | None:
    """Which enrolment this member's row is of; None when there is none."""
    row = database.conn.execute("SELECT enrolment FROM members WHERE id = ?", [member_id]).fetchone()
    return None if row is None else str(row[0])


def suspend_again(database: Database, ledger: Ledger) -> int:
    """Suspend whom a backup let in again, and the other way round; returns how many."""
    count = 0
    rows = database.conn.execute("SELECT id, enrolment, is_suspended, suspended_until_utc FROM members").fetchall()
    for member_id, enrolment, is_suspended, until_utc in rows:
        wanted = ledger.suspension_of(member_id, enrolment)
        if wanted is not None and wanted != (bool(is_suspended), until_utc):
            suspend(database, member_id, is_suspended=wanted[0], until_utc=wanted[1])
            count += 1
    return count


def limit_again(database: Database, ledger: Ledger) -> int:
    """Give validities back that a backup made others; returns how many."""
    count = 0
    rows = database.conn.execute("SELECT id, enrolment, valid_from_utc, valid_until_utc FROM members").fetchall()
    for member_id, enrolment, valid_from, valid_until in rows:
        wanted = ledger.validity_of(member_id, enrolment)
        if wanted is not None and wanted != (valid_from, valid_until):
            database.conn.execute(
                "UPDATE members SET valid_from_utc = ?, valid_until_utc = ? WHERE id = ?", (*wanted, member_id)
            )
            count += 1
    return count


def as_in_ledger(found: Iterable[Member], enrolments: Mapping[str, str], ledger: Ledger) -> tuple[Member, ...]:
    """The same of both for members who were read from a disk that cannot be written."""
    return tuple(_as_in_ledger(each, enrolments.get(each.id, ""), ledger) for each in found)


def _as_in_ledger(member: Member, enrolment: str, ledger: Ledger) -> Member:
    suspension, validity = ledger.suspension_of(member.id, enrolment), ledger.validity_of(member.id, enrolment)
    if suspension is not None:
        member = replace(member, is_suspended=suspension[0], suspended_until=_moment(suspension[1]))
    if validity is not None:
        member = replace(member, valid_from=_moment(validity[0]), valid_until=_moment(validity[1]))
    return member


def _kept(database: Database) -> str:
    """The columns of `_member`; a disk that cannot be written is read as an older agent left it."""
    suspension = "needs_longer, suspended_until_utc" if _has_column(database, "needs_longer") else "0, NULL"
    validity = (
        "valid_from_utc, valid_until_utc, categories" if _has_column(database, "categories") else "NULL, NULL, ''"
    )
    return f"is_suspended, {suspension}, {validity}"


def _member(  # noqa: PLR0917 - the columns of a row
    id_: str,
    is_suspended: int,
    needs_longer: int,
    suspended_until: str | None,
    valid_from: str | None,
    valid_until: str | None,
    categories: str,
) -> Member:
    return Member(
        id_,
        is_suspended=bool(is_suspended),
        needs_longer=bool(needs_longer),
        suspended_until=_moment(suspended_until),
        valid_from=_moment(valid_from),
        valid_until=_moment(valid_until),
        categories=tuple(int(each) for each in categories.split(",") if each),
    )


def _has_column(database: Database, name: str) -> bool:
    return any(row[1] == name for row in database.conn.execute("PRAGMA table_info(members)"))


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)


def _moment(text: str | None) -> datetime | None:
    """A time that nobody can read ends no suspension and no validity."""
    try:
        return None if text is None else parse_rfc3339(text).astimezone(UTC)
    except ValueError:
        return None
