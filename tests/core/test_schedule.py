"""Opening hours: weekdays, holidays, midnight, and nights in which the clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.schedule import DAY_MIN, Admission, Day, Period, Schedule, Span, next_change, overlap_of, period_at

SHANGHAI, BERLIN, HAVANA = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin"), ZoneInfo("America/Havana")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # whose clocks change by half an hour
OPEN, MEMBERS, TWO, CLOSED = Admission.OPEN, Admission.MEMBERS, Admission.TWO_FACTORS, Admission.CLOSED
EIGHT_TO_SIX = (Span(8 * 60, 18 * 60, OPEN),)
NIGHT = (Span(22 * 60, 30 * 60, TWO),)


def every_day(day: Day, zone: ZoneInfo = SHANGHAI, **more: object) -> Schedule:
    return Schedule(zone=zone, weekdays=(day,) * 7, **more)  # type: ignore[arg-type]


def admission(schedule: Schedule, local: str) -> Admission:
    """What applies at this local time (the first of two)."""
    return period_at(schedule, datetime.fromisoformat(local).replace(tzinfo=schedule.zone)).admission


def test_the_edges_of_a_span_belong_to_what_begins() -> None:
    schedule = every_day(EIGHT_TO_SIX)
    found = [admission(schedule, f"2026-11-23T{time}") for time in ("07:59:59", "08:00", "17:59:59", "18:00")]
    assert found == [MEMBERS, OPEN, OPEN, MEMBERS]


def test_each_weekday_has_its_own_hours() -> None:
    schedule = Schedule(zone=SHANGHAI, weekdays=(EIGHT_TO_SIX, (), (), (), (), (), (Span(0, DAY_MIN, CLOSED),)))
    assert admission(schedule, "2026-11-23T12:00") is OPEN  # a Monday
    assert admission(schedule, "2026-11-24T12:00") is MEMBERS
    assert admission(schedule, "2026-11-22T12:00") is CLOSED


def test_a_span_past_midnight_belongs_to_the_day_it_begins_on() -> None:
    schedule = Schedule(zone=SHANGHAI, weekdays=((), (), (), (), NIGHT, (), ()))
    found = [admission(schedule, f"2026-11-{when}") for when in ("27T21:59", "27T22:00", "28T05:59", "28T06:00")]
    assert found == [MEMBERS, TWO, TWO, MEMBERS]


def test_a_span_runs_over_from_sunday_to_monday() -> None:
    schedule = Schedule(zone=SHANGHAI, weekdays=((), (), (), (), (), (), NIGHT))
    assert admission(schedule, "2026-11-23T03:00") is TWO


def test_a_holiday_stands_in_place_of_the_weekday() -> None:
    schedule = every_day(EIGHT_TO_SIX, exceptions={date(2027, 2, 6): (Span(0, DAY_MIN, CLOSED),), date(2027, 2, 7): ()})
    found = [admission(schedule, f"2027-02-0{day}T12:00") for day in (5, 6, 7, 8)]
    assert found == [OPEN, CLOSED, MEMBERS, OPEN]


def test_a_holidays_own_hours_go_before_what_runs_over_from_the_evening_before() -> None:
    schedule = every_day(NIGHT, exceptions={date(2027, 2, 6): (Span(120, 180, CLOSED),)})
    found = [admission(schedule, f"2027-02-06T0{hour}:30") for hour in (1, 2, 3, 6)]
    assert found == [TWO, CLOSED, TWO, MEMBERS]


def test_a_day_that_is_open_for_24_hours_never_changes() -> None:
    schedule = every_day((Span(0, DAY_MIN, OPEN),), BERLIN)
    assert period_at(schedule, datetime(2026, 10, 24, 12, tzinfo=UTC)) == Period(OPEN, None)


def test_a_schedule_without_hours_never_changes() -> None:
    assert period_at(every_day(()), datetime(2026, 11, 22, tzinfo=UTC)) == Period(MEMBERS, None)


def test_the_next_change_is_found_across_a_holiday_that_is_weeks_away() -> None:
    holiday = {date(2027, 2, 6) + timedelta(days=n): (Span(0, DAY_MIN, CLOSED),) for n in range(14)}
    schedule = every_day((), exceptions=holiday)
    begins = next_change(schedule, datetime(2026, 11, 22, tzinfo=UTC))
    assert begins == datetime(2027, 2, 6, tzinfo=SHANGHAI)
    assert next_change(schedule, begins) == datetime(2027, 2, 20, tzinfo=SHANGHAI)


def test_the_next_change_after_a_long_holiday_is_the_first_weekday_that_has_hours() -> None:
    holiday: dict[date, Day] = {date(2027, 2, 1) + timedelta(days=n): () for n in range(30)}
    schedule = Schedule(zone=SHANGHAI, weekdays=((), (), (), (), (), (), EIGHT_TO_SIX), exceptions=holiday)
    assert next_change(schedule, datetime(2027, 2, 1, tzinfo=UTC)) == datetime(2027, 3, 7, 8, tzinfo=SHANGHAI)


def changes(schedule: Schedule, begins: datetime, hours: int) -> list[tuple[str, Admission]]:
    """Each change in UTC, found minute by minute."""
    minutes = [begins + timedelta(minutes=n) for n in range(60 * hours)]
    found = [(each, period_at(schedule, each).admission) for each in minutes]
    return [(after[0].strftime("%H:%M"), after[1]) for before, after in pairwise(found) if before[1] is not after[1]]


def test_hours_that_begin_in_the_gap_begin_when_the_clocks_go_forward() -> None:
    schedule = every_day((Span(150, 300, OPEN),), BERLIN)  # 02:30, which does not come on that night
    assert changes(schedule, datetime(2027, 3, 28, tzinfo=UTC), 6) == [("01:00", OPEN), ("03:00", MEMBERS)]


def test_hours_that_lie_in_the_gap_do_not_come() -> None:
    schedule = every_day((Span(135, 165, OPEN),), BERLIN)
    assert changes(schedule, datetime(2027, 3, 28, tzinfo=UTC), 6) == []


def test_nothing_opens_twice_in_the_night_in_which_an_hour_comes_twice() -> None:
    schedule = every_day((Span(60, 150, OPEN),), BERLIN)  # 01:00 to 02:30; the first 02:30 counts
    assert changes(schedule, datetime(2026, 10, 24, 22, tzinfo=UTC), 6) == [("23:00", OPEN), ("00:30", MEMBERS)]


def test_hours_that_begin_in_the_doubled_hour_begin_once() -> None:
    schedule = every_day((Span(150, 240, OPEN),), BERLIN)
    assert changes(schedule, datetime(2026, 10, 24, 22, tzinfo=UTC), 8) == [("00:30", OPEN), ("03:00", MEMBERS)]


def test_a_day_that_the_clocks_enter_twice_keeps_its_hours() -> None:
    schedule = every_day((Span(0, 120, OPEN),), HAVANA)  # there 01:00 becomes 00:00 again
    assert changes(schedule, datetime(2026, 11, 1, 3, tzinfo=UTC), 6) == [("04:00", OPEN), ("07:00", MEMBERS)]


def test_clocks_may_change_by_half_an_hour() -> None:
    schedule = every_day((Span(135, 180, OPEN),), LORD_HOWE)  # 02:15; 02:00 becomes 02:30
    assert changes(schedule, datetime(2026, 10, 3, 12, tzinfo=UTC), 6) == [("15:30", OPEN), ("16:00", MEMBERS)]


SPANS = st.builds(
    lambda begins, length, who: Span(begins, begins + length, who),
    st.integers(0, DAY_MIN - 1),
    st.integers(1, DAY_MIN),
    st.sampled_from(Admission),
)
DAYS = st.lists(SPANS, max_size=3).map(tuple)
SCHEDULES = st.builds(
    Schedule,
    zone=st.sampled_from([SHANGHAI, BERLIN, HAVANA, LORD_HOWE]),
    weekdays=st.tuples(*[DAYS] * 7),
    exceptions=st.dictionaries(st.dates(date(2026, 10, 20), date(2026, 11, 10)), DAYS, max_size=4),
    otherwise=st.sampled_from(Admission),
)
MOMENTS = st.integers(0, 25 * 24 * 60).map(lambda n: datetime(2026, 10, 20, tzinfo=UTC) + timedelta(minutes=n))


@given(SCHEDULES, MOMENTS)
def test_nothing_changes_before_the_next_change_and_something_then(schedule: Schedule, utc: datetime) -> None:
    period = period_at(schedule, utc)
    ends_at = period.ends_at
    if ends_at is not None:
        assert ends_at > utc
        assert period_at(schedule, ends_at).admission is not period.admission
        assert period_at(schedule, ends_at - timedelta(seconds=1)).admission is period.admission
    until = utc + timedelta(days=30) if ends_at is None else min(ends_at, utc + timedelta(days=30))
    for n in range(40):
        assert period_at(schedule, utc + (until - utc) * n / 40).admission is period.admission


@pytest.mark.parametrize(
    ("week", "meets"),
    [
        (((Span(0, 60, OPEN), Span(60, 120, CLOSED)), (), (), (), (), (), ()), None),
        (((Span(0, 61, OPEN), Span(60, 120, CLOSED)), (), (), (), (), (), ()), (0, 0)),
        ((NIGHT, NIGHT, NIGHT, NIGHT, NIGHT, NIGHT, NIGHT), None),
        ((NIGHT, (Span(300, 400, OPEN),), (), (), (), (), ()), (1, 0)),
        (((Span(300, 400, OPEN),), (), (), (), (), (), NIGHT), (0, 6)),
        (((Span(60, 120, OPEN), Span(60, 120, OPEN)), (), (), (), (), (), ()), (0, 0)),
    ],
)
def test_hours_that_meet_are_found(week: tuple[Day, ...], meets: tuple[int, int] | None) -> None:
    found = overlap_of(week)
    assert (None if found is None else (found[0], found[2])) == meets


def test_whether_the_time_matters_at_all() -> None:
    assert every_day(()).is_constant
    assert every_day((Span(0, 60, MEMBERS),)).is_constant
    assert not every_day(EIGHT_TO_SIX).is_constant
    assert not every_day((), exceptions={date(2027, 2, 6): EIGHT_TO_SIX}).is_constant
