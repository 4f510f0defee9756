"""Dates decide who is erased, whose face is, and who is warned: a rule without a clock."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from agent.core.retention import RetentionRules, Review, review
from agent.events import MemberDates

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
RULES = RetentionRules(unseen_days=365, warning_days=30)
SEEN = "2026-11-21"


def dates(
    seen: str | None = SEEN, until: str | None = "2027-11-22T12:00:00.000Z", ended: str = "", *, has_face: bool = True
) -> MemberDates:
    return MemberDates("m-1", seen, until, ended, has_face)


def lists(*members: MemberDates) -> set[str]:
    found = review(members, NOW, RULES)
    return {name for name in Review.__slots__ if getattr(found, name)}


@pytest.mark.parametrize(
    ("seen", "is_erased"),
    [("2026-11-22", False), ("2025-11-22", False), ("2025-11-21", True), ("2020-01-01", True), (None, False)],
)
def test_a_member_is_erased_once_unseen_for_longer_than_the_days(seen: str | None, is_erased: bool) -> None:
    assert ("unseen" in lists(dates(seen))) is is_erased


@pytest.mark.parametrize(
    ("until", "found"),
    [
        ("2027-11-22T12:00:00.000Z", set()),
        ("2026-12-22T12:00:01.000Z", set()),
        ("2026-12-22T12:00:00.000Z", {"expiring"}),
        ("2026-11-22T12:00:01.000Z", {"expiring"}),
        ("2026-11-22T12:00:00.000Z", {"expired", "ended"}),
        ("2026-10-23T12:00:00.000Z", {"expired", "ended"}),
        ("2026-10-23T11:59:59.000Z", {"expired"}),
        (None, {"unrecorded"}),
    ],
)
def test_a_consent_is_warned_of_ends_and_is_no_longer_talked_about(until: str | None, found: set[str]) -> None:
    assert lists(dates(until=until)) == found


def test_whoever_has_no_face_here_is_not_warned_and_not_erased_again() -> None:
    assert lists(dates(until="2026-12-01T00:00:00.000Z", has_face=False)) == set()
    assert lists(dates(until="2026-11-01T00:00:00.000Z", ended="expired", has_face=False)) == {"ended"}
    assert lists(dates(until="2026-11-01T00:00:00.000Z", ended="withdrawn", has_face=False)) == set()
    assert lists(dates(until=None, has_face=False)) == set()


def test_whoever_is_erased_stands_in_no_other_list() -> None:
    assert lists(dates("2020-01-01", "2026-11-01T00:00:00.000Z")) == {"unseen"}


def test_everybody_is_named_in_order() -> None:
    members = [MemberDates(f"m-{n}", SEEN, None, "", has_templates=True) for n in range(3)]
    assert review(members, NOW, RULES).unrecorded == ("m-0", "m-1", "m-2")
