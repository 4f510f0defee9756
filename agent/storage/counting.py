"""How much is stored: rows of each table, and entries of each type. Numbers only, nothing of what they hold.

Read on a connection of its own, beside the writer; each count is bounded in time, for a year's log takes seconds to
walk on a slow card.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from agent.storage.database import Database, DatabaseError, attach_readonly, open_readonly
from agent.storage.stamps import rfc3339

TABLES = (
    *("anchor", "cursor", "members", "templates", "consents", "cards", "pins", "notes", "visits", "readings.series"),
    *("log", "readings.minutes"),  # the large ones last: they may not be counted in time
)
ENTRIES_MAX = 50_000  # the newest that are looked at: more than a week of the busiest station
_STEPS = 10_000  # of SQLite's machine between two looks at the time: well under a millisecond


def about(station: Path) -> dict[str, Any]:
    """Of the database as a file. Raises `DatabaseError`."""
    with closing(open_readonly(station)) as database:
        return {
            "sqlite": _one(database, "SELECT sqlite_version()"),
            "pages": _one(database, "PRAGMA page_count"),
            "free_pages": _one(database, "PRAGMA freelist_count"),
            "page_bytes": _one(database, "PRAGMA page_size"),
        }


def tables(station: Path, readings: Path, seconds: float) -> list[dict[str, Any]]:
    """Rows of each; None: there is no such table, or the time was over before. Raises `DatabaseError`."""
    until = time.monotonic() + seconds
    with closing(open_readonly(station)) as database:
        with suppress(DatabaseError):  # then its tables are None
            attach_readonly(database, readings, "readings")
        return [{"table": name, "rows": _count(database, name, until - time.monotonic())} for name in TABLES]


def entries(station: Path, since: datetime, seconds: float) -> list[dict[str, Any]]:
    """Entries of each type since then, the most frequent first. Raises `DatabaseError`, also when it takes too long."""
    with closing(open_readonly(station)) as database, _bounded(database, seconds):
        found = database.conn.execute(
            "SELECT type, count(*) FROM (SELECT type, time FROM log ORDER BY epoch DESC, sequence DESC LIMIT ?) "
            "WHERE time >= ? GROUP BY type ORDER BY count(*) DESC, type",
            (ENTRIES_MAX, rfc3339(since)),
        )
        return [{"type": kind, "entries": count} for kind, count in found]


def _count(database: Database, table: str, seconds: float) -> int | None:
    try:
        with _bounded(database, seconds):
            return int(_one(database, f"SELECT count(*) FROM {table}"))  # noqa: S608 - a name of `TABLES`
    except DatabaseError:
        return None


def _one(database: Database, sql: str) -> Any:
    return database.conn.execute(sql).fetchone()[0]


@contextmanager
def _bounded(database: Database, seconds: float) -> Iterator[None]:
    until = time.monotonic() + seconds
    database.conn.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
    try:
        yield
    finally:
        database.conn.set_progress_handler(None, 0)
