"""When things happened, for the report of a month: the month, its opening hours, and entries by a wrong clock."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

from agent.core.schedule import Admission, Day, Schedule, Span, period_at

MAX_UNDATED = 5_000  # entries of one boot that wait for its clock to be set; a busy station's of some days

Stretch = tuple[datetime, datetime]
"""From and until, UTC; the end is not part of it."""


def month_of(text: str) -> date:
    """The first day of `2026-11`. Raises ValueError."""
    year, _, month = text.partition("-")
    if len(year) != 4 or len(month) != 2 or not (year + month).isdecimal():
        raise ValueError(f"{text!r} is no month: write it as 2026-11")
    return date(int(year), int(month), 1)


def stretch_of(first: date, zone: tzinfo) -> Stretch:
    """A month by the clocks of the zone. Where its first midnight does not come, it begins as the clocks go forward."""
    after = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    begins, ends = (datetime(each.year, each.month, 1, tzinfo=zone).astimezone(UTC) for each in (first, after))
    return begins, ends


def open_stretches(schedule: Schedule, within: Stretch) -> tuple[Stretch, ...]:
    """When anybody at all is let in, in order and apart."""
    found: list[Stretch] = []
    at, ends = within
    while at < ends:
        period = period_at(schedule, at)
        until = ends if period.ends_at is None else min(period.ends_at, ends)
        if period.admission is not Admission.CLOSED:
            if found and found[-1][1] == at:
                found[-1] = (found[-1][0], until)
            else:
                found.append((at, until))
        at = until
    return tuple(found)


class Hours:
    """How much of a time lies in given stretches."""

    def __init__(self, stretches: Sequence[Stretch]) -> None:
        """`stretches`: in order and apart."""
        self._stretches = stretches
        self._begins = [begins for begins, _ in stretches]

    @property
    def total_s(self) -> float:
        """All of them, seconds."""
        return sum((ends - begins).total_seconds() for begins, ends in self._stretches)

    def within_s(self, begins: datetime, ends: datetime) -> float:
        """Seconds from `begins` to `ends` that lie in them."""
        seconds = 0.0
        for index in range(max(0, bisect_right(self._begins, begins) - 1), len(self._stretches)):
            first, last = self._stretches[index]
            if first >= ends:
                break
            seconds += max(0.0, (min(last, ends) - max(first, begins)).total_seconds())
        return seconds


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the log. `body`: None where it was blanked. `is_dated`: False when nobody knows when it was."""

    type: str
    at: datetime
    body: Mapping[str, Any] | None
    is_dated: bool
    row: Mapping[str, Any]


@dataclass(slots=True)
class Dating:
    """Gives entries their times, in the order of the log.

    What was written before the clock was set gets its time from the first entry of the same boot that was written
    after: both have the kernel's monotonic time. An entry of a boot in which nothing ever set the clock keeps its own.
    """

    _boot: str = ""
    _booted_at: datetime | None = None
    _waiting: list[Mapping[str, Any]] = field(default_factory=list)

    def take(self, row: Mapping[str, Any]) -> list[Entry]:
        """The entries whose times are known with this one."""
        known: list[Entry] = []
        if row["boot"] != self._boot:
            known = self.rest()
            self._boot, self._booted_at = row["boot"], None
        own = datetime.fromisoformat(row["time"])
        if row["clock"] == "synchronised":
            booted_at = self._booted_at = own - _since_boot(row)
            known += [_entry(each, booted_at + _since_boot(each), is_dated=True) for each in self._waiting]
            self._waiting.clear()
            return [*known, _entry(row, own, is_dated=True)]
        if self._booted_at is not None:
            return [*known, _entry(row, self._booted_at + _since_boot(row), is_dated=True)]
        self._waiting.append(row)
        return known + (self.rest() if len(self._waiting) > MAX_UNDATED else [])

    def rest(self) -> list[Entry]:
        """Those whose clock was never set."""
        found = [_entry(each, datetime.fromisoformat(each["time"]), is_dated=False) for each in self._waiting]
        self._waiting.clear()
        return found


def _since_boot(row: Mapping[str, Any]) -> timedelta:
    return timedelta(milliseconds=row["monotonic_ms"])


def _entry(row: Mapping[str, Any], at: datetime, *, is_dated: bool) -> Entry:
    body: Any = None
    if row["body"] is not None:
        try:
            body = json.loads(row["body"])
        except (ValueError, RecursionError):  # somebody changed it: `station log verify` says where
            body = None
    return Entry(row["type"], at, body if isinstance(body, dict) else None, is_dated, row)


# --- the schedule on its way to who makes the report -----------------------------------------------------------------


def schedule_as_dict(schedule: Schedule, first: date, last: date) -> dict[str, Any]:
    """JSON values; of the exceptions those from `first` to `last`."""
    return {
        "weekdays": [_spans(day) for day in schedule.weekdays],
        "exceptions": {
            day.isoformat(): _spans(spans) for day, spans in schedule.exceptions.items() if first <= day <= last
        },
        "otherwise": schedule.otherwise.value,
    }


def schedule_from(found: Mapping[str, Any], zone: tzinfo) -> Schedule:
    """What `schedule_as_dict` gave. Raises KeyError, TypeError or ValueError for anything else."""
    monday, tuesday, wednesday, thursday, friday, saturday, sunday = (_day(each) for each in found["weekdays"])
    return Schedule(
        zone,
        (monday, tuesday, wednesday, thursday, friday, saturday, sunday),
        {date.fromisoformat(day): _day(spans) for day, spans in found["exceptions"].items()},
        Admission(found["otherwise"]),
    )


def _spans(day: Day) -> list[list[Any]]:
    return [[each.begins, each.ends, each.admission.value] for each in day]


def _day(spans: Iterable[Sequence[Any]]) -> Day:
    return tuple(Span(int(begins), int(ends), Admission(admission)) for begins, ends, admission in spans)
