"""Who may come in, and what those are told who may not."""

from __future__ import annotations

import pytest

from agent.core.access import REASON_OF, WORDS, Reason, advice_for, refusal_of
from agent.core.door import ADMITTING_NOBODY, STANDING_OPEN, Mode
from agent.core.schedule import Admission
from agent.events import Member
from drivers.indicator import PATTERNS


@pytest.mark.parametrize("mode", Mode)
def test_a_stranger_has_no_way_through_in_any_mode(mode: Mode) -> None:
    assert refusal_of(None, mode) is Reason.NOT_ENROLLED


@pytest.mark.parametrize("mode", Mode)
def test_a_suspended_member_has_no_way_through_in_any_mode(mode: Mode) -> None:
    assert refusal_of(Member("m-1", is_suspended=True), mode) is Reason.SUSPENDED


def test_a_member_comes_in_unless_the_station_is_locked_down() -> None:
    assert refusal_of(Member("m-1"), Mode.NORMAL) is None
    assert refusal_of(Member("m-1"), Mode.UNLOCKED) is None
    assert refusal_of(Member("m-1"), Mode.LOCKED_DOWN) is Reason.LOCKED_DOWN
    assert refusal_of(Member("m-1"), Mode.BLOCKED) is Reason.BLOCKED


@pytest.mark.parametrize(
    ("admission", "reason"),
    [
        (Admission.OPEN, None),
        (Admission.MEMBERS, None),
        (Admission.TWO_FACTORS, None),
        (Admission.CLOSED, Reason.OUTSIDE_HOURS),
    ],
)
def test_the_schedule_says_whom_the_door_admits(admission: Admission, reason: Reason | None) -> None:
    assert refusal_of(Member("m-1"), Mode.NORMAL, admission) is reason


@pytest.mark.parametrize("mode", sorted(STANDING_OPEN))
def test_nobody_is_refused_by_the_hour_at_a_door_that_stands_open(mode: Mode) -> None:
    assert refusal_of(Member("m-1"), mode, Admission.CLOSED) is None


def test_every_mode_that_admits_nobody_has_its_reason() -> None:
    assert set(REASON_OF) == ADMITTING_NOBODY


@pytest.mark.parametrize("reason", Reason)
def test_every_refusal_has_words_in_both_languages_and_a_light(reason: Reason) -> None:
    advice = advice_for(reason)
    assert advice.words == WORDS[reason]
    assert any("\u4e00" <= letter <= "\u9fff" for letter in advice.words.zh)
    assert advice.words.en.endswith((".", "?"))
    assert advice.pattern in PATTERNS


def test_only_what_the_rider_can_mend_on_the_spot_asks_them_to_look_here() -> None:
    about_the_person = {
        Reason.NOT_ENROLLED,
        Reason.SUSPENDED,
        Reason.VALIDITY_EARLY,
        Reason.VALIDITY_OVER,
        Reason.VALIDITY_CLOCK_NOT_SET,
        Reason.LOCKED_DOWN,
        Reason.BLOCKED,
        Reason.OUTSIDE_HOURS,
        Reason.CODE_NEEDED,
        Reason.CODE_WRONG,
        Reason.CODE_UNCHECKED,
        Reason.WAY_BLOCKED,
        Reason.ALREADY_INSIDE,
        Reason.FULL,
        Reason.NOT_LIVE,
        Reason.TURNED_WRONG_WAY,
        Reason.TURNED_TOO_EARLY,
        Reason.NOT_TURNED,
        Reason.FACE_CHANGED,
    }
    movements = {Reason.LOOK_LEFT: "look_left", Reason.LOOK_RIGHT: "look_right"}
    about_a_pass = {reason for reason in Reason if reason.startswith("pass_")}
    assert {reason for reason in Reason if advice_for(reason).pattern == "refused"} == about_the_person | about_a_pass
    assert {reason: advice_for(reason).pattern for reason in movements} == movements
    others = set(Reason) - about_the_person - about_a_pass - set(movements)
    assert {advice_for(reason).pattern for reason in others} == {"look_here"}


def test_a_stranger_and_a_member_who_was_not_recognised_are_told_the_same() -> None:
    assert WORDS[Reason.NOT_ENROLLED].en.startswith("You were not recognised.")
    assert "suspended" not in WORDS[Reason.NOT_ENROLLED].en
