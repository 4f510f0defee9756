"""Months and opening hours across clock changes, and entries that were written by a wrong clock."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from agent.core.report_times import (
    Dating,
    Hours,
    month_of,
    open_stretches,
    schedule_as_dict,
    schedule_from,
    stretch_of,
)
from agent.core.schedule import Admission, Schedule, Span

BERLIN, SHANGHAI = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Shanghai")
DAYTIME = (Span(8 * 60, 20 * 60, Admission.MEMBERS),)
NIGHT = (Span(22 * 60, 30 * 60, Admission.MEMBERS),)


@pytest.mark.parametrize(("text", "first"), [("2026-11", date(2026, 11, 1)), ("2024-02", date(2024, 2, 1))])
def test_a_month_is_a_year_and_two_digits(text: str, first: date) -> None:
    assert month_of(text) == first


@pytest.mark.parametrize("text", ["2026", "2026-13", "2026-1", "26-11", "2026-11-01", "²026-11", ""])
def test_anything_else_is_no_month(text: str) -> None:
    with pytest.raises(ValueError):
        month_of(text)


@pytest.mark.parametrize(
    ("zone", "month", "hours"),
    [
        (SHANGHAI, "2026-11", 30 * 24),
        (BERLIN, "2026-03", 31 * 24 - 1),
        (BERLIN, "2026-10", 31 * 24 + 1),
        (BERLIN, "2026-12", 31 * 24),
        (ZoneInfo("Asia/Kolkata"), "2027-02", 28 * 24),
    ],
)
def test_a_month_is_as_long_as_its_clocks_say(zone: ZoneInfo, month: str, hours: int) -> None:
    begins, ends = stretch_of(month_of(month), zone)
    assert (ends - begins).total_seconds() == hours * 3600
    assert begins.astimezone(zone).replace(tzinfo=None) == datetime.fromisoformat(f"{month}-01T00:00")


@pytest.mark.parametrize(
    ("day", "month", "hours"),
    [
        (DAYTIME, "2026-03", 31 * 12),
        (DAYTIME, "2026-10", 31 * 12),
        (NIGHT, "2026-03", 31 * 8 - 1),  # the hour that does not come is one of a night's
        (NIGHT, "2026-10", 31 * 8 + 1),
    ],
)
def test_opening_hours_are_those_that_really_passed(day: tuple[Span, ...], month: str, hours: int) -> None:
    schedule = Schedule(BERLIN, (day,) * 7, otherwise=Admission.CLOSED)
    within = stretch_of(month_of(month), BERLIN)
    assert Hours(open_stretches(schedule, within)).total_s == hours * 3600


def test_a_holiday_is_closed_and_the_schedule_survives_its_way() -> None:
    schedule = Schedule(
        SHANGHAI, (DAYTIME,) * 7, {date(2026, 11, 5): (), date(2027, 5, 1): ()}, otherwise=Admission.CLOSED
    )
    sent = json.loads(json.dumps(schedule_as_dict(schedule, date(2026, 10, 25), date(2026, 12, 10))))
    assert list(sent["exceptions"]) == ["2026-11-05"]
    found = schedule_from(sent, SHANGHAI)
    assert Hours(open_stretches(found, stretch_of(month_of("2026-11"), SHANGHAI))).total_s == 29 * 12 * 3600


def test_hours_that_meet_are_one_stretch_and_seconds_are_counted_within_them() -> None:
    schedule = Schedule(
        UTC,
        ((Span(0, 60, Admission.OPEN), Span(60, 120, Admission.MEMBERS)),) * 7,
        otherwise=Admission.CLOSED,
    )
    begins = datetime(2026, 11, 1, tzinfo=UTC)
    stretches = open_stretches(schedule, (begins, begins + timedelta(days=2)))
    assert [(ends - start).total_seconds() for start, ends in stretches] == [7200, 7200]
    hours = Hours(stretches)
    assert hours.within_s(begins - timedelta(hours=5), begins + timedelta(minutes=90)) == 5400
    assert hours.within_s(begins + timedelta(hours=3), begins + timedelta(hours=23)) == 0
    assert hours.within_s(begins + timedelta(hours=1), begins + timedelta(hours=25)) == 7200


NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def row(at: datetime, monotonic_s: float, *, boot: str = "a", clock: str = "synchronised") -> Mapping[str, Any]:
    time = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"type": "x", "time": time, "boot": boot, "monotonic_ms": monotonic_s * 1000, "clock": clock, "body": "{}"}


def test_what_was_written_before_the_clock_was_set_is_dated_by_the_boot() -> None:
    dating = Dating()
    wrong = datetime(2020, 1, 1, tzinfo=UTC)
    assert dating.take(row(wrong, 10, clock="unsynchronised")) == []
    found = dating.take(row(NOON, 70))
    assert [(each.at, each.is_dated) for each in found] == [(NOON - timedelta(seconds=60), True), (NOON, True)]
    lost_again = dating.take(row(wrong, 100, clock="unsynchronised"))
    assert [each.at for each in lost_again] == [NOON + timedelta(seconds=30)]


def test_a_boot_whose_clock_was_never_set_keeps_its_own_times_and_says_so() -> None:
    dating = Dating()
    wrong = datetime(2020, 1, 1, tzinfo=UTC)
    dating.take(row(wrong, 10, clock="unsynchronised"))
    found = dating.take(row(NOON, 5, boot="b"))
    assert [(each.at, each.is_dated) for each in found] == [(wrong, False), (NOON, True)]
    dating.take(row(wrong, 10, boot="c", clock="unsynchronised"))
    assert [(each.at, each.is_dated) for each in dating.rest()] == [(wrong, False)]


def test_a_body_that_is_gone_or_no_json_is_none() -> None:
    for body in (None, "{", "[1]"):
        (found,) = Dating().take({**row(NOON, 1), "body": body})
        assert found.body is None
