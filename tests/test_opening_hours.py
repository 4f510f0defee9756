"""Opening hours as people write them."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path

import pytest

from agent.core.problems import Problem
from agent.core.schedule import Admission, Span
from agent.opening_hours import schedule_of
from agent.settings import Settings, SettingsError, settings_from


def _settings(text: str) -> Settings:
    minimum = '[station]\nid = "t"\n[hardware]\nsimulated = true\n[schedule]\n'
    return settings_from(tomllib.loads(minimum + text), Path())


def _problem(text: str) -> Problem:
    with pytest.raises(SettingsError) as caught:
        _settings(text)
    (found,) = caught.value.problems
    return found


def test_a_week_is_read_as_it_is_written() -> None:
    chosen = _settings(
        """
        otherwise = "closed"
        untrusted_clock = "two_factors"
        every_day = ["8:00-18:00 open", "22:00-06:00 two_factors"]
        friday = ["8:00-18:00 open"]
        saturday = ["24h members"]
        sunday = []
        [schedule.exceptions]
        "2027-02-06..2027-02-08" = ["24h closed"]
        """
    )
    schedule = schedule_of(chosen.schedule, "Asia/Shanghai")
    weekday = (Span(480, 1080, Admission.OPEN), Span(1320, 1800, Admission.TWO_FACTORS))
    assert schedule.weekdays == (weekday,) * 4 + (weekday[:1], (Span(0, 1440, Admission.MEMBERS),), ())
    closed = (Span(0, 1440, Admission.CLOSED),)
    assert schedule.exceptions == {date(2027, 2, day): closed for day in (6, 7, 8)}
    assert (schedule.otherwise, schedule.untrusted) == (Admission.CLOSED, Admission.TWO_FACTORS)
    assert str(schedule.zone) == "Asia/Shanghai"


def test_a_day_may_end_at_24_00() -> None:
    schedule = schedule_of(_settings('monday = ["18:00-24:00 open"]').schedule, "UTC")
    assert schedule.weekdays[0] == (Span(1080, 1440, Admission.OPEN),)


def test_a_station_may_go_by_a_clock_that_nobody_set() -> None:
    assert schedule_of(_settings('untrusted_clock = "schedule"').schedule, "UTC").untrusted is None


def test_without_a_schedule_members_come_in_at_any_time() -> None:
    schedule = schedule_of(_settings("").schedule, "UTC")
    assert schedule.is_constant
    assert schedule.otherwise is Admission.MEMBERS


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ('monday = ["8-18 open"]', "schedule.monday[1]", 'must look like "08:00-18:00 open" or "24h open"'),
        ('monday = ["08:00-18:00"]', "schedule.monday[1]", "must look like"),
        ('monday = ["08:00-18:00 everybody"]', "schedule.monday[1]", '"everybody" must be one of open, members'),
        ('monday = ["08:00-25:00 open"]', "schedule.monday[1]", "there is no time 25:00"),
        ('monday = ["08:60-09:00 open"]', "schedule.monday[1]", "there is no time 08:60"),
        ('monday = ["24:00-09:00 open"]', "schedule.monday[1]", "write 00:00"),
        ('monday = ["08:00-08:00 open"]', "schedule.monday[1]", "write 24h for a whole day"),
        ('monday = "24h open"', "schedule.monday", "must be a list in square brackets"),
        ('mondays = ["24h open"]', "schedule.mondays", "The nearest is schedule.monday"),
        ('otherwise = "nobody"', "schedule.otherwise", 'must be one of "open", "members", "two_factors", "closed"'),
        (
            'monday = ["08:00-12:00 open", "11:00-13:00 closed"]',
            "schedule.monday",
            "11:00-13:00 on monday overlaps 08:00-12:00 on monday",
        ),
        (
            'monday = ["22:00-08:00 members"]\ntuesday = ["07:00-09:00 open"]',
            "schedule.tuesday",
            "07:00-09:00 on tuesday overlaps 22:00-08:00 on monday",
        ),
        ('every_day = ["20:00-08:00 members", "07:00-09:00 open"]', "schedule.every_day", "overlaps"),
        (
            '[schedule.exceptions]\n"2027-02-06" = ["08:00-10:00 open", "09:00-11:00 closed"]',
            "schedule.exceptions.2027-02-06",
            "overlaps",
        ),
        (
            '[schedule.exceptions]\n"2027-02-06..2027-02-09" = []\n"2027-02-08" = ["24h open"]',
            "schedule.exceptions.2027-02-08",
            "has days of 2027-02-06..2027-02-09",
        ),
        ('[schedule.exceptions]\n"6 Feb" = []', "schedule.exceptions.6 Feb", "must look like 2027-02-06"),
        ('[schedule.exceptions]\n"2027-02-30" = []', "schedule.exceptions.2027-02-30", "there is no such date"),
        (
            '[schedule.exceptions]\n"2027-02-09..2027-02-06" = []',
            "schedule.exceptions.2027-02-09..2027-02-06",
            "from the earlier to the later day",
        ),
    ],
)
def test_a_mistake_is_said_in_plain_words(text: str, where: str, words: str) -> None:
    found = _problem(text)
    assert found.where == where
    assert words in found.text.en
    assert found.text.zh != found.text.en


def test_an_extended_time_that_is_shorter_is_refused_only_where_it_was_written() -> None:
    minimum = '[station]\nid = "t"\n[hardware]\nsimulated = true\n[door]\nunlock_s = 20.0\n'
    assert settings_from(tomllib.loads(minimum), Path()).door.extended_unlock_s == 15.0
    with pytest.raises(SettingsError) as caught:
        settings_from(tomllib.loads(minimum + "extended_unlock_s = 10.0\n"), Path())
    (found,) = caught.value.problems
    assert found.where == "door.extended_unlock_s"
    assert "must be at least door.unlock_s (20.0), is 10.0" in found.text.en


@pytest.mark.parametrize("name", ["fire", "tamper", "bolt"])
def test_a_signal_that_is_fitted_needs_a_pin_of_its_own(name: str) -> None:
    minimum = '[station]\nid = "t"\n[lock]\npin = 1\n[contact]\npin = 2\n[exit_button]\npin = 3\n'
    for pin, code in (("", "settings.missing"), ("pin = 3\n", "settings.conflict")):
        with pytest.raises(SettingsError) as caught:
            settings_from(tomllib.loads(f"{minimum}[{name}]\nfitted = true\n{pin}"), Path())
        (found,) = caught.value.problems
        assert (found.where, found.code) == (f"{name}.pin", code)


def test_an_emergency_without_a_break_glass_needs_no_pin() -> None:
    minimum = '[station]\nid = "t"\n[lock]\npin = 1\n[contact]\npin = 2\n[exit_button]\npin = 3\n'
    assert settings_from(tomllib.loads(f"{minimum}[emergency]\nenabled = true\n"), Path()).emergency.enabled
