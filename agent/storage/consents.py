"""Consents as rows, what rests on them, and when a member was last seen.

Every function runs in the caller's transaction, on the writer's connection.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from agent.events import Consent, MemberDates
from agent.storage.database import Connection, Database
from agent.storage.log import blank_bodies_naming
from agent.storage.stamps import rfc3339

EARLIEST_YEAR = 2026
"""A clock that stands before the agent was written was never set: by its dates people would be erased by mistake."""

_ORPHAN_S = 86_400  # an enrolment that failed is tried again on the same day, or not


def is_plausible(moment: datetime) -> bool:
    """Whether the clock had been set at this time."""
    return moment.year >= EARLIEST_YEAR


def add(database: Database, consent_id: str, member_id: str, consent: Consent, given_at: datetime) -> str:
    """Insert a consent; returns until when it holds (RFC 3339)."""
    until = rfc3339(given_at + timedelta(days=consent.valid_days))
    database.conn.execute(
        "INSERT INTO consents (id, member_id, version, language, text_sha256, purpose, how, recorded_by, "
        "is_under_age, guardian, given_at_utc, until_utc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            consent_id,
            member_id,
            consent.version,
            consent.language,
            consent.text_sha256,
            consent.purpose,
            consent.how,
            consent.recorded_by,
            int(consent.is_under_age),
            consent.guardian,
            rfc3339(given_at),
            until,
        ),
    )
    return until


def rest_on(database: Database, member_id: str, consent_id: str, seen_at: datetime) -> None:
    """The member's templates rest on this consent from now on; those before it are renewed by it."""
    database.conn.execute("UPDATE members SET consent_id = ? WHERE id = ?", (consent_id, member_id))
    database.conn.execute(
        "UPDATE consents SET ended_at_utc = ?, ended_why = 'renewed' "
        "WHERE member_id = ? AND id <> ? AND ended_at_utc IS NULL",
        (rfc3339(seen_at), member_id, consent_id),
    )
    note_seen(database, member_id, seen_at)


def note_seen(database: Database, member_id: str | None, seen_at: datetime) -> None:
    """Remember the day, and no more of it; the first time on a day writes, the others change nothing."""
    if member_id is not None and is_plausible(seen_at):
        database.conn.execute(
            "UPDATE members SET last_seen_on = :day WHERE id = :id AND (last_seen_on IS NULL OR last_seen_on < :day)",
            {"day": seen_at.date().isoformat(), "id": member_id},
        )


def consent_of(database: Database, member_id: str) -> str | None:
    """The id of the consent that this member's templates rest on; empty for a member without one, None for nobody."""
    row = database.conn.execute("SELECT consent_id FROM members WHERE id = ?", [member_id]).fetchone()
    return None if row is None else (row[0] or "")


def consents_of_all(database: Database) -> list[tuple[str, str]]:
    """(member, consent) of every member, empty where there is none; also of a database older than consents are."""
    columns = {row[1] for row in database.conn.execute("PRAGMA table_info(members)")}
    consent = "coalesce(consent_id, '')" if "consent_id" in columns else "''"
    return [(row[0], row[1]) for row in database.conn.execute(f"SELECT id, {consent} FROM members")]  # noqa: S608


def withdraw(database: Database, member_id: str, why: str, ended_at: datetime) -> int:
    """Delete the member's templates and end their consents; returns how many templates there were.

    Only a `checkpoint` after the commit takes them out of the write-ahead file.
    """
    count = database.conn.execute("DELETE FROM templates WHERE member_id = ?", [member_id]).rowcount
    database.conn.execute(
        "UPDATE consents SET ended_at_utc = ?, ended_why = ? WHERE member_id = ? AND ended_at_utc IS NULL",
        (rfc3339(ended_at), why, member_id),
    )
    return count


def tidy(database: Database, now: datetime) -> None:
    """Erase consents that no member came of, and count from today for whom no day is known."""
    if not is_plausible(now):
        return
    before = rfc3339(now - timedelta(seconds=_ORPHAN_S))
    orphans = database.conn.execute(
        "DELETE FROM consents WHERE given_at_utc < ? AND member_id NOT IN (SELECT id FROM members) RETURNING member_id",
        [before],
    ).fetchall()
    for (member_id,) in orphans:
        blank_bodies_naming(database, member_id)
    database.conn.execute("UPDATE members SET last_seen_on = ? WHERE last_seen_on IS NULL", [now.date().isoformat()])


def dates(database: Database) -> tuple[MemberDates, ...]:
    """What the rule of retention goes by, of every member."""
    return tuple(
        MemberDates(id_, seen_on, until, ended_why or "", bool(has_templates))
        for id_, seen_on, until, ended_why, has_templates in _dates(database.conn)
    )


def _dates(connection: Connection) -> list[tuple[str, str | None, str | None, str | None, int]]:
    return connection.execute(
        "SELECT members.id, last_seen_on, until_utc, ended_why, "
        "EXISTS (SELECT 1 FROM templates WHERE member_id = members.id) "
        "FROM members LEFT JOIN consents ON consents.id = members.consent_id ORDER BY members.id"
    ).fetchall()
