"""How people write opening hours in the settings, and the schedule that the rules make of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from agent.core.problems import Words
from agent.core.schedule import DAY_MIN, Admission, Day, Schedule, Span, overlap_of
from agent.mistakes import fault

if TYPE_CHECKING:
    from agent.door_settings import ScheduleSettings

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SPANS_MAX = 24  # a day; one for every hour is more than any board shows
EXCEPTIONS_MAX = 200  # entries; some years of holidays
LONGEST_EXCEPTION_DAYS = 366

_SPAN = re.compile(r"(?:24h|(\d{1,2}):(\d{2})[-–](\d{1,2}):(\d{2})) +(\w+)")
_DATES = re.compile(r"(\d{4}-\d{2}-\d{2})(?:\.\.(\d{4}-\d{2}-\d{2}))?")


def span_of(text: str) -> Span:
    """Read `08:00-18:30 open`, `20:00-06:00 members` or `24h open`. Raises the error of a validator."""
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise fault(
            f'“{text[:40]}”应写成 "08:00-18:00 open" 或 "24h open"',
            f'"{text[:40]}" must look like "08:00-18:00 open" or "24h open"',
        )
    words = [each.value for each in Admission]
    if found[5] not in words:
        raise fault(f"“{found[5]}”应为 {', '.join(words)} 之一", f'"{found[5]}" must be one of {", ".join(words)}')
    admission = Admission(found[5])
    if found[1] is None:
        return Span(0, DAY_MIN, admission)
    begins, ends = _minutes(found[1], found[2]), _minutes(found[3], found[4])
    if begins == DAY_MIN:
        raise fault("开始时间不能是 24:00,应写 00:00", "cannot begin at 24:00: write 00:00")
    if begins == ends:
        raise fault(
            f"“{text[:40]}”开始与结束相同;全天应写 24h", f'"{text[:40]}" ends when it begins: write 24h for a whole day'
        )
    return Span(begins, ends if ends > begins else ends + DAY_MIN, admission)


def _minutes(hours: str, minutes: str) -> int:
    total = 60 * int(hours) + int(minutes)
    if int(minutes) > 59 or total > DAY_MIN:
        raise fault(f"没有 {hours}:{minutes} 这个时间", f"there is no time {hours}:{minutes}")
    return total


def dates_of(text: str) -> tuple[date, ...]:
    """Read `2027-02-06` or `2027-02-06..2027-02-12`, both days included. Raises the error of a validator."""
    found = _DATES.fullmatch(text)
    if found is None:
        raise fault(
            f"“{text[:40]}”应写成 2027-02-06 或 2027-02-06..2027-02-12",
            f'"{text[:40]}" must look like 2027-02-06 or 2027-02-06..2027-02-12',
        )
    try:
        first, last = date.fromisoformat(found[1]), date.fromisoformat(found[2] or found[1])
    except ValueError:
        raise fault(f"没有 {text} 这个日期", f"there is no such date: {text}") from None
    days = (last - first).days + 1
    if not 1 <= days <= LONGEST_EXCEPTION_DAYS:
        raise fault(
            f"{text}:应从早到晚,最多 {LONGEST_EXCEPTION_DAYS} 天",
            f"{text}: must go from the earlier to the later day, at most {LONGEST_EXCEPTION_DAYS} days",
        )
    return tuple(first + timedelta(days=n) for n in range(days))


def _is_span(text: str) -> str:
    span_of(text)
    return text


def _is_dates(text: str) -> str:
    dates_of(text)
    return text


Hours = Annotated[
    tuple[Annotated[str, AfterValidator(_is_span)], ...],
    Field(strict=False, max_length=SPANS_MAX),
]
Dates = Annotated[str, AfterValidator(_is_dates)]
AdmissionWord = Literal["open", "members", "two_factors", "closed"]


def schedule_of(settings: ScheduleSettings, timezone: str) -> Schedule:
    """The schedule that the rules go by; reads the zone's rules from the system."""
    monday, tuesday, wednesday, thursday, friday, saturday, sunday = (day for _, day in _week(settings))
    return Schedule(
        zone=ZoneInfo(timezone),
        weekdays=(monday, tuesday, wednesday, thursday, friday, saturday, sunday),
        exceptions={day: _day(hours) for text, hours in settings.exceptions.items() for day in dates_of(text)},
        otherwise=Admission(settings.otherwise),
        untrusted=None if settings.untrusted_clock == "schedule" else Admission(settings.untrusted_clock),
    )


def overlaps(settings: ScheduleSettings) -> Iterator[tuple[str, Words]]:
    """Hours that meet, each with the path of the setting: whoever wrote them meant something else."""
    week = _week(settings)
    found = overlap_of(tuple(day for _, day in week))
    if found is not None:
        later, span, earlier, other = found
        yield week[later][0], _overlap(span, WEEKDAYS[later], other, WEEKDAYS[earlier])
    taken: dict[date, str] = {}
    for text, hours in settings.exceptions.items():
        where = f"schedule.exceptions.{text}"
        within = overlap_of((_day(hours), (), (), (), (), (), ()))
        if within is not None:
            yield where, _overlap(within[1], text, within[3], text)
        twice = sorted({taken[day] for day in dates_of(text) if day in taken})
        if twice:
            yield where, Words(f"与 {twice[0]} 有相同的日期", f"has days of {twice[0]}")
        taken |= dict.fromkeys(dates_of(text), text)


def _week(settings: ScheduleSettings) -> list[tuple[str, Day]]:
    """Each weekday's hours with the path of the setting that they come from."""
    week: list[tuple[str, Day]] = []
    for name in WEEKDAYS:
        hours: tuple[str, ...] | None = getattr(settings, name)
        own = hours is not None
        week.append((f"schedule.{name if own else 'every_day'}", _day(settings.every_day if hours is None else hours)))
    return week


def _day(hours: tuple[str, ...]) -> Day:
    return tuple(span_of(text) for text in hours)


def _overlap(span: Span, day: str, other: Span, other_day: str) -> Words:
    shown, shown_other = _shown(span), _shown(other)
    return Words(
        f"{day} 的 {shown} 与 {other_day} 的 {shown_other} 重叠",
        f"{shown} on {day} overlaps {shown_other} on {other_day}",
    )


def _shown(span: Span) -> str:
    ends = span.ends if span.ends <= DAY_MIN else span.ends - DAY_MIN
    return f"{span.begins // 60:02}:{span.begins % 60:02}-{ends // 60:02}:{ends % 60:02}"
