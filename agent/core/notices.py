"""Who is told what of alarms and faults, and when: one recipient at a time, as functions of what they were told before.

What stands and nobody has seen is *waiting* until it was told, and waits again when it is to be repeated. Whenever the
recipient may be reached (no message under way, no pause after a failure, a place left within the hour, not quiet hours
or urgent) everything that waits goes into one message. So nothing queues up, a message that failed is made anew of what
is so by then, and what quiet hours or the limit kept back comes as one summary.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from agent.core import alarms
from agent.core.alarms import Alarms
from agent.core.problems import CATALOGUE, Severity
from agent.core.repairs import Repairs, Stage
from agent.core.schedule import Admission, Schedule, period_at
from agent.events import ClockRead

URGENT = ("fire", "emergency", "forced", "tamper", "duress", "call", "welfare")
"""Alarms that break quiet hours where the settings say nothing else."""

AGAIN_S = 1800.0  # something that comes and goes is told so often where the settings repeat nothing
HOUR_S = 3600.0
ANSWER_S = 180.0  # a delivery whose end nobody told; six recipients may be served before it, each within 25 s
PAUSES_S = (30.0, 60.0, 120.0, 240.0, 480.0, 900.0)
"""After each failure in a row, then the last again and again: long enough for a network that comes back, and a service
that is down gets four tries an hour."""

TRIES_MAX = 100  # a day of them; then what waited counts as told, and only what is new or to be repeated is tried
FAILED_AFTER_S = 600.0  # a router that restarts is back by then
SETTLE_S = 60.0  # after the start: a time source sets the clock, and devices come up
PASSED_MAX = 50  # bounds the summary of a night in which everything came and went
TOLD_MAX = 500  # far more than stand at once
RESTORED_MAX = 60  # of the newest, so that a note stays short
_SOON_S = 0.01

Subject = tuple[str, str, str]
"""What a message is about: `("alarm", NAME, "")` or `("fault", CODE, PLACE)`."""


@dataclass(frozen=True, slots=True)
class FaultPattern:
    """Faults whose code is `prefix` or begins with it and a dot; empty: all. `severity` None: of both."""

    prefix: str = ""
    severity: Severity | None = None

    def matches(self, code: str) -> bool:
        """Whether a fault with this code is meant."""
        if self.severity is not None and CATALOGUE[code].severity is not self.severity:
            return False
        return not self.prefix or code == self.prefix or code.startswith(f"{self.prefix}.")


@dataclass(frozen=True, slots=True)
class Recipient:
    """What one recipient gets. `alarms` None: all of them; `quiet`: CLOSED is quiet, None: there are no such hours.

    `repeat_s` 0: nothing is repeated; else at most `repeats_max` times. `per_hour`: messages in any 60 minutes.
    """

    ways: tuple[str, ...] = ()
    language: str = "zh"
    alarms: frozenset[str] | None = None
    faults: tuple[FaultPattern, ...] = (FaultPattern(severity=Severity.ERROR),)
    quiet: Schedule | None = None
    urgent: frozenset[str] = frozenset(URGENT)
    repeat_s: float = 900.0
    repeats_max: int = 8
    per_hour: int = 12

    def wants(self, subject: Subject, name: str) -> bool:
        """Whether the recipient called `name` gets it: never that they cannot be reached."""
        kind, what, where = subject
        if kind == "alarm":
            return self.alarms is None or what in self.alarms
        if (what, where) == ("notify.failed", name):
            return False
        return any(each.matches(what) for each in self.faults)

    def is_urgent(self, subject: Subject) -> bool:
        """Whether it breaks quiet hours, and may use what the limit keeps free."""
        return subject[0] == "alarm" and subject[1] in self.urgent


@dataclass(frozen=True, slots=True)
class NoticeRules:
    """Everybody who is told, by the names in the settings."""

    recipients: Mapping[str, Recipient] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Standing:
    """Something that nobody has seen. `begun`: RFC 3339 in UTC; `times`: how often it began unseen."""

    begun: str | None
    times: int = 1
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class Told:
    """What a recipient knows. `at`: when they were told last, with `at_utc` to find that again after a start."""

    at: float
    count: int
    begun: str | None
    at_utc: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message under way, and what to do again should it fail. `number` tells it from others of the recipient."""

    number: int
    at: float
    until: float
    about: Mapping[Subject, Standing]
    passed: Mapping[Subject, Standing] = field(default_factory=dict)
    held: int = 0
    was_quiet: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """What is known of one recipient. Times are station time.

    `passed`: was over before it could be told; `held`: messages that the limit kept back; `was_quiet`: quiet hours kept
    something back; `ways`: how each way fared last (empty: well). `sent_utc`: sent before the start, not placed yet.
    """

    told: Mapping[Subject, Told] = field(default_factory=dict)
    waiting: Mapping[Subject, Standing] = field(default_factory=dict)
    passed: Mapping[Subject, Standing] = field(default_factory=dict)
    held: int = 0
    was_quiet: bool = False
    sent: tuple[float, ...] = ()
    sent_utc: tuple[str, ...] = ()
    under_way: Delivery | None = None
    number: int = 0
    try_at: float = -math.inf
    failures: int = 0
    failing_since: float | None = None
    reached_utc: str | None = None
    ways: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Quiet:
    """Whether quiet hours keep back what is not urgent, and until when that stays so."""

    is_quiet: bool
    until: float


@dataclass(frozen=True, slots=True)
class Notices:
    """All recipients. `looked_at`: what the rules saw when they looked last, so that they look only at what is new.

    `is_placed`: what was told before the start has its station time, which takes a clock.
    """

    boxes: Mapping[str, Box] = field(default_factory=dict)
    quiet: Mapping[str, Quiet] = field(default_factory=dict)
    due_at: float | None = None
    is_placed: bool = False
    looked_at: tuple[object, ...] = field(default=(), compare=False, repr=False)


# --- what stands -----------------------------------------------------------------------------------------------------


def standing(now_alarms: Alarms, repairs: Repairs) -> dict[Subject, Standing]:
    """What nobody has seen, the most pressing first."""
    found: dict[Subject, Standing] = {}
    for name in alarms.WORDS:
        each = now_alarms.get(name)
        if each is not None and not each.is_acknowledged:
            found["alarm", name, ""] = Standing(each.raised_at, each.times, each.is_active)
    unseen = [each for each in repairs.values() if each.stage is Stage.RAISED]
    for repair in sorted(unseen, key=lambda each: each.problem.severity is Severity.WARNING):
        found["fault", repair.problem.code, repair.problem.where] = Standing(repair.steps[0].at)
    return found


def quiet_at(recipient: Recipient, clock: ClockRead | None, started_at: float, now: float) -> Quiet:
    """By the station's time zone. With a clock that nobody set there are no quiet hours: rather wake somebody."""
    if recipient.quiet is None:
        return Quiet(is_quiet=False, until=math.inf)
    if clock is None or not clock.is_trusted:
        settled_at = started_at + SETTLE_S
        return Quiet(is_quiet=True, until=settled_at) if now < settled_at else Quiet(is_quiet=False, until=math.inf)
    utc = clock.utc + timedelta(seconds=now - clock.at)
    period = period_at(recipient.quiet, utc)
    # A moment after the edge, so that it has passed also by a clock that is a little slow.
    until = math.inf if period.ends_at is None else now + (period.ends_at - utc).total_seconds() + _SOON_S
    return Quiet(period.admission is Admission.CLOSED, until)


# --- one recipient ---------------------------------------------------------------------------------------------------


def follow(
    recipient: Recipient,
    box: Box,
    wanted: Mapping[Subject, Standing],
    known: Container[Subject],
    *,
    now: float,
    quiet: Quiet,
) -> tuple[Box, Delivery | None]:
    """Bring a box up to now; the delivery that is to be made, if any.

    `wanted`: what stands and this recipient gets; `known`: all that stands, also what somebody has seen.
    """
    box = _without_what_is_over(recipient, box, wanted, known, now)
    box = _with_what_is_due(recipient, box, wanted, now, quiet)
    about = _sendable(recipient, box, quiet)
    passed = {} if quiet.is_quiet else box.passed
    if box.under_way is not None or now < box.try_at or not (about or passed):
        return box, None
    if len(_recent(box, now)) >= _allowed(recipient, box):
        return box, None
    number = box.number + 1
    # What is urgent goes alone through quiet hours: what they keep back stays for their end.
    held, was_quiet = (0, False) if quiet.is_quiet else (box.held, box.was_quiet)
    delivery = Delivery(number, now, now + ANSWER_S, about, passed, held, was_quiet)
    sent = replace(
        box,
        number=number,
        under_way=delivery,
        sent=(*_recent(box, now), now),
        waiting={subject: each for subject, each in box.waiting.items() if subject not in about},
        passed={} if passed else box.passed,
        held=box.held - held,
        was_quiet=box.was_quiet and quiet.is_quiet,
    )
    return sent, delivery


def deadline(
    recipient: Recipient, box: Box, wanted: Mapping[Subject, Standing], now: float, quiet: Quiet
) -> float | None:
    """When `follow` has something to do, if nothing else happens."""
    at = [due for subject, each in wanted.items() if (due := _due_at(recipient, box, subject, each)) > now]
    if box.under_way is not None:
        at.append(box.under_way.until)
    elif _sendable(recipient, box, quiet) or (box.passed and not quiet.is_quiet):
        free_at = now
        recent, allowed = _recent(box, now), _allowed(recipient, box)
        if len(recent) >= allowed:
            free_at = recent[len(recent) - allowed] + HOUR_S
        at.append(max(box.try_at, free_at))
    if quiet.is_quiet and (box.waiting or box.passed):
        at.append(quiet.until)
    found = min(at, default=math.inf)
    return found if math.isfinite(found) else None


def reached(box: Box, delivery: Delivery, now: float, utc: str | None) -> Box:
    """The message arrived."""
    told = dict(box.told)
    for subject, each in delivery.about.items():
        before = told.pop(subject, None)
        count = before.count + 1 if before is not None and before.begun == each.begun else 1
        told[subject] = Told(now, count, each.begun, utc)
    newest = dict(list(told.items())[-TOLD_MAX:])
    return replace(box, told=newest, under_way=None, failures=0, failing_since=None, try_at=-math.inf, reached_utc=utc)


def missed(box: Box, delivery: Delivery, now: float, *, may_have_arrived: bool) -> Box:
    """The message did not arrive, as far as is known: it is made anew after a pause.

    Unless it may have arrived all the same it does not count against the hour.
    """
    failures = box.failures + 1
    since = delivery.at if box.failing_since is None else box.failing_since
    again = replace(
        box,
        under_way=None,
        waiting={**delivery.about, **box.waiting},
        passed=_newest({**delivery.passed, **box.passed}),
        held=box.held + delivery.held,
        was_quiet=box.was_quiet or delivery.was_quiet,
        sent=box.sent if may_have_arrived else tuple(at for at in box.sent if at != delivery.at),
        failures=failures,
        failing_since=since,
        try_at=now + PAUSES_S[min(failures, len(PAUSES_S)) - 1],
    )
    if failures % TRIES_MAX:
        return again
    given_up = reached(again, replace(delivery, about=again.waiting), now, None)
    return replace(
        given_up,
        waiting={},
        passed={},
        held=0,
        was_quiet=False,
        reached_utc=box.reached_utc,
        failures=failures,
        failing_since=since,
        try_at=again.try_at,
    )


def placed(box: Box, clock: ClockRead, now: float) -> Box:
    """Give messages of before the start their station time; one that seems to be from the future counts as sent now."""

    def at_of(utc: str) -> float:
        ago_s = (clock.utc - datetime.fromisoformat(utc)).total_seconds() + now - clock.at
        return now - max(0.0, ago_s)

    told = {
        subject: each if each.at_utc is None else replace(each, at=min(each.at, at_of(each.at_utc)))
        for subject, each in box.told.items()
    }
    sent = sorted((*box.sent, *map(at_of, box.sent_utc)))
    return replace(box, told=told, sent=tuple(sent), sent_utc=())


def as_note(box: Box, utc_of: Callable[[float], str | None]) -> dict[str, Any]:
    """What a start finds again: JSON values. `utc_of`: RFC 3339 of a station time, None without a clock."""
    newest = list(box.told.items())[-RESTORED_MAX:]
    return {
        "told": [[*subject, each.at_utc, each.count, each.begun] for subject, each in newest],
        "sent": [utc for utc in map(utc_of, box.sent) if utc is not None],
    }


def restored(body: Mapping[str, Any], now: float) -> Box:
    """A box from its note, with nothing in it that this version does not understand."""
    told: dict[Subject, Told] = {}
    for row in _rows(body.get("told")):
        try:
            kind, what, where, at_utc, count, begun = row
            at_utc = None if at_utc is None else _aware(at_utc)
            begun = None if begun is None else str(begun)
            told[str(kind), str(what), str(where)] = Told(now, max(1, int(count)), begun, at_utc)
        except (TypeError, ValueError):
            continue
    sent: list[str] = []
    for utc in _rows(body.get("sent")):
        with contextlib.suppress(TypeError, ValueError):
            sent.append(_aware(utc))
    return Box(told=told, sent_utc=tuple(sent))


# --- inside ----------------------------------------------------------------------------------------------------------


def _rows(value: object) -> list[Any]:
    return value[-TOLD_MAX:] if isinstance(value, list) else []


def _aware(text: str) -> str:
    """The same text. Raises TypeError or ValueError when it is no time with its zone."""
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("a time without its zone")
    return text


def _due_at(recipient: Recipient, box: Box, subject: Subject, each: Standing) -> float:
    """When it is to be told (again), infinity for never."""
    if box.under_way is not None and subject in box.under_way.about:
        return math.inf
    told = box.told.get(subject)
    if told is None:
        return -math.inf
    if told.begun != each.begun:
        if subject[0] == "alarm" and each.times == 1:
            return -math.inf  # somebody had seen the one before: this is news
        return told.at + (recipient.repeat_s or AGAIN_S)  # it comes and goes, unseen
    if recipient.repeat_s and told.count <= recipient.repeats_max:
        return told.at + recipient.repeat_s
    return math.inf


def _without_what_is_over(
    recipient: Recipient, box: Box, wanted: Mapping[Subject, Standing], known: Container[Subject], now: float
) -> Box:
    waiting, passed = dict(box.waiting), dict(box.passed)
    for subject, each in box.waiting.items():
        if subject in wanted:
            waiting[subject] = wanted[subject]
            continue
        del waiting[subject]
        # What a sensor took back before anybody heard of it is told afterwards; what somebody has seen is not.
        if subject[0] == "fault" and subject not in known and subject not in box.told:
            passed[subject] = each
    keep_s = max(recipient.repeat_s, AGAIN_S)
    told = {subject: each for subject, each in box.told.items() if subject in wanted or each.at + keep_s > now}
    standing_again = {subject: each for subject, each in passed.items() if subject not in wanted}
    return replace(box, waiting=waiting, passed=_newest(standing_again), told=told)


def _with_what_is_due(
    recipient: Recipient, box: Box, wanted: Mapping[Subject, Standing], now: float, quiet: Quiet
) -> Box:
    waiting, held, was_quiet = dict(box.waiting), box.held, box.was_quiet
    for subject, each in wanted.items():
        if subject in waiting or now < _due_at(recipient, box, subject, each):
            continue
        waiting[subject] = each
        if quiet.is_quiet and not recipient.is_urgent(subject):
            was_quiet = True
        elif len(_recent(box, now)) >= _allowed(recipient, replace(box, waiting={subject: each})):
            held += 1
    ordered = {subject: waiting[subject] for subject in wanted if subject in waiting}
    return replace(box, waiting=ordered, held=held, was_quiet=was_quiet)


def _sendable(recipient: Recipient, box: Box, quiet: Quiet) -> dict[Subject, Standing]:
    return {
        subject: each for subject, each in box.waiting.items() if not quiet.is_quiet or recipient.is_urgent(subject)
    }


def _allowed(recipient: Recipient, box: Box) -> int:
    """Messages within an hour. A third is kept free for urgent alarms that this recipient has not heard of.

    Not for calls: whoever goes on pressing the button must not keep a forced door from being told.
    """
    for subject, each in box.waiting.items():
        told = box.told.get(subject)
        if subject[1] != "call" and recipient.is_urgent(subject) and (told is None or told.begun != each.begun):
            return recipient.per_hour
    return recipient.per_hour - recipient.per_hour // 3


def _recent(box: Box, now: float) -> tuple[float, ...]:
    return tuple(at for at in box.sent if at + HOUR_S > now)


def _newest(passed: dict[Subject, Standing]) -> dict[Subject, Standing]:
    return dict(list(passed.items())[-PASSED_MAX:])
