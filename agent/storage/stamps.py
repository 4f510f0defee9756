"""Station time into the times of records."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from agent.clock import Clock, WallTime


class Stamps:
    """The times for one batch of records: the clock is asked once, so that times of one batch agree to the millisecond.

    Made as the batch is written: what waited while the clock was not yet set gets the better time.
    """

    def __init__(self, clock: Clock) -> None:
        self.boot = clock.boot_id
        self._at = clock.now()
        wall = clock.wall_at(self._at)
        self._utc = wall.utc
        self.clock = "synchronised" if wall.is_trusted else "unsynchronised"

    def utc(self, at: float) -> datetime:
        """UTC of a moment in station time."""
        return self._utc + timedelta(seconds=at - self._at)

    def text(self, at: float) -> str:
        """The same in RFC 3339 with milliseconds."""
        return rfc3339(self.utc(at))

    def minute(self, at: float) -> str:
        """Its minute, such as `2026-11-22T03:04Z`."""
        return self.utc(at).strftime("%Y-%m-%dT%H:%MZ")


def rfc3339(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds: as text these sort as in time."""
    return WallTime(moment.astimezone(UTC), is_trusted=True).isoformat()


def parse_rfc3339(text: str) -> datetime:
    """Read a date or a time with its zone. Raises ValueError with the remedy."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("a time looks like 2026-11-22T03:04:05Z or 2026-11-22T11:04+08:00") from None
    if moment.tzinfo is None:
        raise ValueError("a time names its zone, as in 2026-11-22T03:04:05Z or 2026-11-22T11:04+08:00")
    return moment
