"""Readings: one row a minute for each sensor and quantity, in a database of their own, written in batches.

They may be thinned or lost; the log may not. So nothing here ever delays or stops an entry.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from pathlib import Path

from agent.events import MinuteReading
from agent.storage.database import Database, DatabaseError, explain, is_damage, open_writable
from agent.storage.schema import READINGS
from agent.storage.stamps import Stamps

_logger = logging.getLogger(__name__)

# Minutes that wait for a disk that does not write: 20 sensors with 5 quantities for over three hours, about 10 MB.
_WAITING_ROWS = 20_000

# Deleted in one transaction: an hour of a hundred quantities, some megabytes of a card at the most.
PRUNED_ROWS = 6_000

_UPSERT = """
    INSERT INTO readings (minute, sensor, quantity, minimum, mean, maximum, count) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (minute, sensor, quantity) DO UPDATE SET
        minimum = min(minimum, excluded.minimum),
        maximum = max(maximum, excluded.maximum),
        mean = (mean * count + excluded.mean * excluded.count) / (count + excluded.count),
        count = count + excluded.count
"""


@dataclass(slots=True)
class _Minute:
    minimum: float
    maximum: float
    total: float
    count: int


class Readings:
    """The minutes being gathered and their database. Used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Open or create; a damaged file is removed and begun again. Raises `DatabaseError`, OSError."""
        self._minutes: dict[tuple[str, str, str], _Minute] = {}
        self._has_failed = False
        try:
            self._database = _open(path)
        except DatabaseError as error:
            if not is_damage(error):
                raise
            _logger.warning("the readings were damaged and begin again: %s", explain(error))
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            self._database = _open(path)

    def add(self, stamps: Stamps, at: float, sensor: str, quantity: str, value: float) -> int:
        """Add one value to its minute; returns how many older values had to go to make room (0 almost always)."""
        key = (stamps.minute(at), sensor, quantity)
        minute = self._minutes.get(key)
        if minute:
            minute.minimum = min(minute.minimum, value)
            minute.maximum = max(minute.maximum, value)
            minute.total += value
            minute.count += 1
            return 0
        self._minutes[key] = _Minute(value, value, value, 1)
        if len(self._minutes) <= _WAITING_ROWS:
            return 0
        return self._minutes.pop(next(iter(self._minutes))).count

    def write(self, before: str | None = None) -> tuple[MinuteReading, ...]:
        """Write the minutes before the one named, or all, and return them.

        A failure is logged once, and they wait for the next call.
        """
        ready = {key: minute for key, minute in self._minutes.items() if before is None or key[0] < before}
        if not ready:
            return ()
        try:
            with self._database.atomic():
                self._database.conn.executemany(
                    _UPSERT, [(*key, m.minimum, m.total / m.count, m.maximum, m.count) for key, m in ready.items()]
                )
        except DatabaseError as error:
            _logger.log(
                logging.DEBUG if self._has_failed else logging.WARNING, "readings wait in memory: %s", explain(error)
            )
            self._has_failed = True
            return ()
        self._has_failed = False
        for key in ready:
            del self._minutes[key]
        return tuple(MinuteReading(*key, m.minimum, m.total / m.count, m.maximum, m.count) for key, m in ready.items())

    def prune(self, before: str, limit: int = PRUNED_ROWS) -> bool:
        """Delete minutes before the one named, about `limit` rows at a time; whether more are left.

        A failure is of no matter: it is tried again with the next call.
        """
        connection = self._database.conn
        try:
            with self._database.atomic():
                last = connection.execute(
                    "SELECT minute FROM readings WHERE minute < ? ORDER BY minute LIMIT 1 OFFSET ?", (before, limit - 1)
                ).fetchone()
                connection.execute("DELETE FROM readings WHERE minute < ?", [before if last is None else f"{last[0]}+"])
        except DatabaseError as error:
            _logger.debug("readings are not pruned: %s", explain(error))
            return False
        return last is not None

    def close(self) -> None:
        """Close the database; what was not written is gone."""
        with contextlib.suppress(DatabaseError):
            self._database.close()


def _open(path: Path) -> Database:
    database = open_writable(path, synchronous="NORMAL")
    try:
        READINGS.apply(database)
    except BaseException:
        database.close()
        raise
    return database
