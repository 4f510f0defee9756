"""Readings: one row a minute for each sensor and quantity, in a database of their own, many minutes in one commit.

A card wears by its commits: each costs whole pages, twice, and the file system's journal. So a minute that is over is
told at once (it is published from memory) and waits for the commit that is due every `readings.commit_minutes`; a
sudden death loses at most the minutes since the last one. They may be thinned or lost; the log may not. So nothing here
ever delays or stops an entry.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from agent.events import MinuteReading
from agent.storage.database import Database, DatabaseError, explain, is_damage, open_writable
from agent.storage.schema import READINGS
from agent.storage.stamps import Stamps

_logger = logging.getLogger(__name__)

# Minutes that wait for a disk that does not write: 20 sensors with 5 quantities for over three hours, about 10 MB.
_WAITING_ROWS = 20_000

_PARTS = 1000
"""Of a unit, that are stored; part of the file's format."""

COMMIT_READINGS_S = 900.0
"""What the settings have as `readings.commit_minutes`."""

SERIES_MAX = 4096
"""Sensors times their quantities, over all time; a station has some hundreds. Part of the file's format."""

# Deleted in one transaction: an hour of a hundred quantities, some megabytes of a card at the most.
PRUNED_ROWS = 6_000

_UPSERT = """
    INSERT INTO minutes (id, minimum, mean, maximum, count) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET
        minimum = min(minimum, excluded.minimum),
        maximum = max(maximum, excluded.maximum),
        mean = round((mean * count + excluded.mean * excluded.count) / (count + excluded.count)),
        count = count + excluded.count
"""
_PRUNE = "DELETE FROM minutes WHERE id IN (SELECT id FROM minutes WHERE id < ? ORDER BY id LIMIT ?)"

_Key = tuple[str, str, str]
"""Minute, sensor, quantity."""


@dataclass(slots=True)
class _Minute:
    minimum: float
    maximum: float
    total: float
    count: int


class Readings:
    """The minutes being gathered, those that wait for the next commit, and their database. For one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Open or create; a damaged file is removed and begun again. Raises `DatabaseError`, OSError."""
        self._minutes: dict[_Key, _Minute] = {}
        self._waiting: dict[_Key, _Minute] = {}
        self._series: dict[tuple[str, str], int] = {}
        self._committed_at: float | None = None
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
        if len(self._minutes) + len(self._waiting) <= _WAITING_ROWS:
            return 0
        oldest = self._waiting or self._minutes
        return oldest.pop(next(iter(oldest))).count

    def finish(self, present: str | None = None) -> tuple[MinuteReading, ...]:
        """Return all minutes but the one named: they are over, and wait for the next commit.

        Also those after it: they were begun by a clock that was set back since.
        """
        over = {key: minute for key, minute in self._minutes.items() if key[0] != present}
        for key, minute in over.items():
            del self._minutes[key]
            known = self._waiting.get(key)
            self._waiting[key] = minute if known is None else _joined(known, minute)
        return tuple(MinuteReading(*key, m.minimum, m.total / m.count, m.maximum, m.count) for key, m in over.items())

    def is_due(self, now: float, every_s: float) -> bool:
        """Whether it is time for a commit. `now`: station time."""
        if self._committed_at is None:
            self._committed_at = now
        return now >= self._committed_at + every_s

    def commit(self, now: float) -> None:
        """Write what waits in one commit. A failure is logged once, and they wait for the next call."""
        if self._waiting:
            try:
                with self._database.atomic():
                    self._database.conn.executemany(_UPSERT, sorted(self._rows()))
            except DatabaseError as error:
                level = logging.DEBUG if self._has_failed else logging.WARNING
                _logger.log(level, "readings wait in memory: %s", explain(error))
                self._has_failed = True
                self._series = {}  # numbers that were given out in it are rolled back
                return
        self._has_failed = False
        self._waiting.clear()
        self._committed_at = now

    def put_off(self, now: float) -> None:
        """Let this commit pass: what waits is written with a later one."""
        self._committed_at = now

    def _rows(self) -> Iterator[tuple[int, float, float, float, int]]:
        for (minute, sensor, quantity), each in self._waiting.items():
            series = self._number(sensor, quantity)
            if series is not None:
                id_ = _number_of(minute) * SERIES_MAX + series
                values = (each.minimum, each.total / each.count, each.maximum)
                lowest, mean, highest = (float(round(value * _PARTS)) for value in values)
                yield id_, lowest, mean, highest, each.count

    def _number(self, sensor: str, quantity: str) -> int | None:
        """The number of a series, given out in the caller's transaction; None when there are too many."""
        if not self._series:
            rows = self._database.conn.execute("SELECT sensor, quantity, id FROM series").fetchall()
            self._series = {(row[0], row[1]): row[2] for row in rows}
        known = self._series.get((sensor, quantity))
        if known is None and len(self._series) < SERIES_MAX:
            known = self._series[sensor, quantity] = max(self._series.values(), default=-1) + 1
            self._database.conn.execute("INSERT INTO series VALUES (?, ?, ?)", (known, sensor, quantity))
        return known

    def prune(self, before: str, limit: int = PRUNED_ROWS) -> bool:
        """Delete minutes before the one named, about `limit` rows at a time; whether more are left.

        A failure is of no matter: it is tried again with the next call.
        """
        try:
            with self._database.atomic():
                gone = self._database.conn.execute(_PRUNE, (_number_of(before) * SERIES_MAX, limit)).rowcount
        except DatabaseError as error:
            _logger.debug("readings are not pruned: %s", explain(error))
            return False
        return gone >= limit

    def close(self) -> None:
        """Close the database; what was not written is gone."""
        with contextlib.suppress(DatabaseError):
            self._database.close()


def _number_of(minute: str) -> int:
    """Minutes since 1970 UTC."""
    return int(datetime.fromisoformat(minute).timestamp()) // 60


def _joined(one: _Minute, other: _Minute) -> _Minute:
    """A minute whose last values came after it was over."""
    return _Minute(
        min(one.minimum, other.minimum),
        max(one.maximum, other.maximum),
        one.total + other.total,
        one.count + other.count,
    )


def _open(path: Path) -> Database:
    database = open_writable(path, synchronous="NORMAL", is_private=False)
    try:
        READINGS.apply(database)
    except BaseException:
        database.close()
        raise
    return database
