"""How long what is known of a person stays: not beyond their consent, and not when they no longer come.

A pure rule over dates; what is done about it is `core.roster`'s.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from agent.events import MemberDates


@dataclass(frozen=True, slots=True)
class RetentionRules:
    """Days. A member unseen for `unseen_days` is erased; a consent's end is told `warning_days` ahead."""

    unseen_days: int = 365
    warning_days: int = 30


@dataclass(frozen=True, slots=True)
class Review:
    """Ids, in order. `unseen`: to be erased; `expired`: their templates are to be erased now.

    `expiring`: their consent ends within the warning; `ended`: it ended within the same time past, and was not renewed;
    `unrecorded`: they have templates and no consent is on record.
    """

    unseen: tuple[str, ...] = ()
    expired: tuple[str, ...] = ()
    expiring: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()
    unrecorded: tuple[str, ...] = ()


def review(members: Iterable[MemberDates], now_utc: datetime, rules: RetentionRules) -> Review:
    """Say whom the time has come for. Whoever is to be erased stands in no other list."""
    found: dict[str, list[str]] = {name: [] for name in Review.__slots__}
    warning = timedelta(days=rules.warning_days)
    for each in members:
        if _is_unseen(each, now_utc.date(), rules):
            found["unseen"].append(each.id)
            continue
        if each.consent_until_utc is None:
            if each.has_templates:
                found["unrecorded"].append(each.id)
            continue
        left = datetime.fromisoformat(each.consent_until_utc) - now_utc
        is_over = left <= timedelta(0)
        if is_over and each.has_templates:
            found["expired"].append(each.id)
        if not is_over and each.has_templates and left <= warning:
            found["expiring"].append(each.id)
        if is_over and -left <= warning and each.consent_ended in ("", "expired"):
            found["ended"].append(each.id)
    return Review(**{name: tuple(ids) for name, ids in found.items()})


def _is_unseen(each: MemberDates, today: date, rules: RetentionRules) -> bool:
    if each.last_seen_on is None:
        return False  # the clock was never set since: storage counts from the day that it is
    return today - date.fromisoformat(each.last_seen_on) > timedelta(days=rules.unseen_days)
