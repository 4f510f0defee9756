"""How people write in the settings who is told what, and the rules that are made of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator

from agent.core.alarms import WORDS
from agent.core.notices import URGENT, FaultPattern, NoticeRules, Recipient
from agent.core.problems import CATALOGUE, Severity
from agent.core.schedule import Admission, Schedule, Span
from agent.mistakes import fault
from agent.opening_hours import span_of

if TYPE_CHECKING:
    from agent.settings import NotifySettings, RecipientSettings

ALL = "all"

_HOURS = re.compile(r"\d{1,2}:\d{2}[-–]\d{1,2}:\d{2}")


def _is_alarm(name: str) -> str:
    known = [ALL, *WORDS]
    if name not in (*known, *URGENT):
        raise fault(f"没有报警“{name[:40]}”,应为 {', '.join(known)}", f'"{name[:40]}" is none of {", ".join(known)}')
    return name


def pattern_of(text: str) -> FaultPattern:
    """Read `all`, `all:error`, `vault`, `device.failed` or `camera:warning`. Raises the error of a validator."""
    prefix, colon, severity = text.partition(":")
    if colon and severity not in [each.value for each in Severity]:
        raise fault(
            f"“{text[:40]}”冒号后应为 error 或 warning", f'"{text[:40]}" must have error or warning after its colon'
        )
    pattern = FaultPattern("" if prefix == ALL else prefix, Severity(severity) if colon else None)
    if not prefix or not any(pattern.matches(code) for code in CATALOGUE):
        raise fault(
            f"没有与“{text[:40]}”相符的故障;应为 all、故障代码或其开头,如 vault 或 device.failed:error",
            f'"{text[:40]}" matches no fault; it must be all, a fault\'s code or its beginning, '
            "such as vault or device.failed:error",
        )
    return pattern


def _is_pattern(text: str) -> str:
    pattern_of(text)
    return text


def _is_quiet(text: str) -> str:
    if not _HOURS.fullmatch(text.strip()):
        raise fault(f"“{text[:40]}”应写成 22:00-06:30", f'"{text[:40]}" must look like 22:00-06:30')
    quiet_span(text)
    return text


def quiet_span(text: str) -> Span:
    """Read `22:00-06:30`. Raises the error of a validator."""
    return span_of(f"{text.strip()} {Admission.CLOSED.value}")


AlarmName = Annotated[str, AfterValidator(_is_alarm)]
FaultPatternText = Annotated[str, AfterValidator(_is_pattern)]
QuietHours = Annotated[str, AfterValidator(_is_quiet)]


def notice_rules(settings: NotifySettings, timezone: str) -> NoticeRules:
    """The rules; reads the zone's own from the system."""
    zone = ZoneInfo(timezone)
    return NoticeRules({name: _recipient(each, zone) for name, each in settings.recipients.items()})


def _recipient(settings: RecipientSettings, zone: ZoneInfo) -> Recipient:
    quiet = None
    if settings.quiet_hours is not None:
        day = (quiet_span(settings.quiet_hours),)
        quiet = Schedule(zone, (day, day, day, day, day, day, day), otherwise=Admission.OPEN)
    return Recipient(
        ways=settings.urls,
        language=settings.language,
        alarms=None if ALL in settings.alarms else frozenset(settings.alarms),
        faults=tuple(pattern_of(each) for each in settings.faults),
        quiet=quiet,
        urgent=frozenset(WORDS) | set(URGENT) if ALL in settings.urgent else frozenset(settings.urgent),
        repeat_s=settings.repeat_minutes * 60.0,
        repeats_max=settings.repeats,
        per_hour=settings.per_hour,
    )
