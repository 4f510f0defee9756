"""Opening hours: what applies at which moment, and until when.

A day has spans of local time; what none of them covers is `otherwise`. A span belongs to the day on which it begins and
may run past midnight; a day's own spans go before what runs over from the day before. An exception stands in place of
the weekday's spans.

Every edge of a span is one instant. Where the clocks go back and a local time comes twice, the first counts; where they
go forward and it never comes, it is the instant at which they do. So nothing opens and closes twice in such a night.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum

DAY_MIN = 24 * 60
_DAY = timedelta(days=1)
_WEEK_AND_MORE = 8  # days in which whatever repeats by the week has shown itself, and its spans past midnight


class Admission(StrEnum):
    """Who comes in: everybody (the door is unlocked), members, members with two factors, nobody on their own."""

    OPEN = "open"
    MEMBERS = "members"
    TWO_FACTORS = "two_factors"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Span:
    """Minutes of local time since the midnight that its day begins with; `ends` may lie in the next day."""

    begins: int
    ends: int
    admission: Admission


Day = tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Schedule:
    """`weekdays`: Monday to Sunday. `untrusted`: what applies while no time source has set the clock.

    None goes by the schedule all the same.
    """

    zone: tzinfo
    weekdays: tuple[Day, Day, Day, Day, Day, Day, Day] = ((), (), (), (), (), (), ())
    exceptions: Mapping[date, Day] = field(default_factory=dict)
    otherwise: Admission = Admission.MEMBERS
    untrusted: Admission | None = Admission.MEMBERS

    @property
    def is_constant(self) -> bool:
        """Whether the same applies at every moment, so that nobody need know the time."""
        days = (*self.weekdays, *self.exceptions.values())
        return all(span.admission is self.otherwise for day in days for span in day)


@dataclass(frozen=True, slots=True)
class Period:
    """What applies now. `ends_at`: UTC, None when it never changes."""

    admission: Admission
    ends_at: datetime | None


def period_at(schedule: Schedule, utc: datetime) -> Period:
    """What applies at this moment. `utc`: aware."""
    return Period(_admission_at(schedule, utc), next_change(schedule, utc))


def next_change(schedule: Schedule, utc: datetime) -> datetime | None:
    """The first moment after `utc` at which something else applies, UTC; None when that never happens."""
    now = _admission_at(schedule, utc)
    today = utc.astimezone(schedule.zone).date()
    days = {today + n * _DAY for n in range(-1, _WEEK_AND_MORE + 1)}
    days |= {each + n * _DAY for each in schedule.exceptions for n in range(_WEEK_AND_MORE + 1) if each >= today - _DAY}
    edge: datetime | None = None
    for day in sorted(days):
        for at in sorted(_edges(schedule, day)):
            if at > utc and (edge is None or at < edge) and _admission_at(schedule, at) is not now:
                edge = at
        if edge is not None and edge <= _instant(day + _DAY, 0, schedule.zone):
            return edge  # what later days begin with comes later
    return edge


def overlap_of(weekdays: tuple[Day, ...]) -> tuple[int, Span, int, Span] | None:
    """Two spans of a week that meet, each with its weekday (0: Monday), the later first; the week begins again."""
    week = [(n, span) for n, day in enumerate(weekdays) for span in day]
    for n, span in week:
        for m, other in week:
            if (n, span) == (m, other) and sum(each == (n, span) for each in week) == 1:
                continue
            ahead = (m - n) % 7 * DAY_MIN + other.begins
            if span.begins <= ahead < span.ends:
                return m, other, n, span
    return None


def _admission_at(schedule: Schedule, utc: datetime) -> Admission:
    today = utc.astimezone(schedule.zone).date()
    # Tomorrow too: where clocks go back over midnight, its first span has begun though the date is today's again.
    for day in (today + _DAY, today, today - _DAY):
        for span in _spans(schedule, day):
            begins, ends = (_instant(day, minutes, schedule.zone) for minutes in (span.begins, span.ends))
            if begins <= utc < ends:
                return span.admission
    return schedule.otherwise


def _spans(schedule: Schedule, day: date) -> Day:
    exception = schedule.exceptions.get(day)
    return schedule.weekdays[day.weekday()] if exception is None else exception


def _edges(schedule: Schedule, day: date) -> Iterator[datetime]:
    for span in _spans(schedule, day):
        yield _instant(day, span.begins, schedule.zone)
        yield _instant(day, span.ends, schedule.zone)


def _instant(day: date, minutes: int, zone: tzinfo) -> datetime:
    """The moment, UTC, at which the clocks of the zone first show so many minutes after the day's midnight or more."""
    shown = datetime.combine(day, time()) + timedelta(minutes=minutes)
    first = shown.replace(tzinfo=zone).astimezone(UTC)  # fold 0: the earlier of two; in a gap, by the offset before it
    if first.astimezone(zone).replace(tzinfo=None) == shown:
        return first
    before, after = shown.replace(tzinfo=zone, fold=1).astimezone(UTC), first  # the clocks go forward between these
    offset = after.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) / 2
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after.replace(microsecond=0)
