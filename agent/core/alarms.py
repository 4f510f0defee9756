"""Alarms: something to be seen now. Whoever sees one acknowledges it; until then it stays, also when it is over.

A fault is to be put right; an alarm is to be seen. The door, guessing at its codes and the room raise them by being as
they are (`upkeep.active`); this register adds since when, and whether the station master knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from agent.core.problems import Words
from agent.effects import Note

KIND = "alarm"

WORDS: Mapping[str, Words] = {
    "fire": Words("火警", "fire"),
    "emergency": Words("紧急开门", "emergency: the glass was broken or the order given"),
    "forced": Words("门被强行打开", "the door was forced open"),
    "tamper": Words("设备外壳被打开", "the housing was opened"),
    "tailgating": Words("尾随进入", "more people went in than were let in"),
    "open_too_long": Words("门开着的时间过长", "the door stands open for too long"),
    "lock_fault": Words("门锁没有动作", "the lock did not follow its relay"),
    "contact_fault": Words("门磁无法读取", "the door contact cannot be read"),
    "call": Words("门口有人呼叫站长", "somebody at the door calls the station master"),
    "duress": Words("胁迫报警", "somebody entered under duress"),
    "welfare": Words("站内有人,但很久没有动静或停留过久,请查看", "somebody inside has not moved, or stays very long"),
    "guessing": Words("有人反复输错,该方式已停用", "wrong codes: that way in is blocked for a while"),
}
"""Every alarm there is. The order is that of the screens, the most pressing first."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """`raised_at`: RFC 3339 in UTC, None while the clock is not known; `times`: how often it began unseen."""

    raised_at: str | None
    is_active: bool = True
    is_acknowledged: bool = False
    times: int = 1


Alarms = Mapping[str, Alarm]
"""By name: those that are active, and those that nobody has acknowledged."""


def changes(known: Alarms, now: frozenset[str], at: str | None) -> dict[str, Alarm | None]:
    """What is different when these are active; None: it is over, and somebody had seen it. `at`: as in `Alarm`."""
    changed: dict[str, Alarm | None] = {}
    for name in sorted(now):
        each = known.get(name)
        if each is None:
            changed[name] = Alarm(at)
        elif not each.is_active:
            changed[name] = Alarm(at, times=each.times + 1)
    for name, each in known.items():
        if each.is_active and name not in now:
            changed[name] = None if each.is_acknowledged else replace(each, is_active=False)
    return changed


def acknowledged(alarm: Alarm) -> Alarm | None:
    """Somebody has seen it; what is over is then forgotten."""
    return replace(alarm, is_acknowledged=True) if alarm.is_active else None


def changed_by(known: Alarms, changed: Mapping[str, Alarm | None]) -> dict[str, Alarm]:
    """All of them after these changes."""
    after = {**known, **changed}
    return {name: each for name, each in after.items() if each is not None}


def listed(alarms: Alarms) -> list[dict[str, Any]]:
    """JSON values, the most pressing first."""
    return [
        {
            "alarm": name,
            "raised_at": alarms[name].raised_at,
            "is_active": alarms[name].is_active,
            "is_acknowledged": alarms[name].is_acknowledged,
            "times": alarms[name].times,
        }
        for name in WORDS
        if name in alarms
    ]


def notes(changed: Mapping[str, Alarm | None]) -> tuple[Note, ...]:
    """What a start finds again."""
    return tuple(Note(KIND, name, None if each is None else _body(each)) for name, each in changed.items())


def _body(alarm: Alarm) -> dict[str, Any]:
    return {"raised_at": alarm.raised_at, "is_acknowledged": alarm.is_acknowledged, "times": alarm.times}


def restored(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Alarm]:
    """Those that nobody had acknowledged. Whether they are still active is looked at anew."""
    kept: dict[str, Alarm] = {}
    for name, body in found.items():
        times = body.get("times")
        if name in WORDS and not body.get("is_acknowledged"):
            raised_at = body.get("raised_at")
            kept[name] = Alarm(
                raised_at if isinstance(raised_at, str) else None,
                is_active=False,
                times=times if isinstance(times, int) else 1,
            )
    return kept
