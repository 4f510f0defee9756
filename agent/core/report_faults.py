"""Faults over a month: from raised to put right to closed, as their entries tell it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from agent.core.report_times import Hours, Stretch

_NO_REPAIR = "supply."  # what is made up or renewed is judged with the supplies
_PROVES_NOTHING = "sensor."  # of the appliance itself: its state is unknown then
_STAGES_RIGHT = frozenset({"put_right", "checked"})

Key = tuple[str, str]
"""Code and place."""


@dataclass(slots=True)
class _Fault:
    """One that stands. `right_at`: put right, and to be checked."""

    raised_at: datetime
    is_error: bool
    right_at: datetime | None = None


@dataclass(slots=True)
class _Kind:
    """Of one code at one place. `stood`: when it did, within the month."""

    count: int = 0
    repair_s: list[float] = field(default_factory=list)
    stood: list[Stretch] = field(default_factory=list)
    is_open: bool = False


class Faults:
    """Those of a month, and those before it that went on. Times never run back within one."""

    def __init__(self, stretch: Stretch) -> None:
        self._stretch = stretch
        self._open: dict[Key, _Fault] = {}
        self._kinds: dict[Key, _Kind] = {}

    def take(self, what: str, body: Mapping[str, Any], at: datetime) -> None:
        """`raised`, `updated` or `cleared`."""
        key = (str(body.get("code")), str(body.get("where")))
        known = self._open.get(key)
        if what == "raised":
            if known is None:
                self._open[key] = _Fault(at, body.get("severity") == "error")
                self._kind(key).count += at >= self._stretch[0]
        elif what == "cleared":
            self._close(key, known or _begun_before(body, at), at)
        elif known is not None and body.get("stage") == "checked":
            self._close(key, known, at)
        elif known is not None:
            known.right_at = at if body.get("stage") in _STAGES_RIGHT else None

    def is_unusable(self, where: str) -> bool:
        """Whether an error stands at this appliance that nobody has put right."""
        return any(
            each.is_error and each.right_at is None and not code.startswith(_PROVES_NOTHING)
            for (code, place), each in self._open.items()
            if place == where
        )

    def has_any(self, where: str) -> bool:
        """Whether any fault stands at this place."""
        return any(place == where for _, place in self._open)

    def end(self) -> None:
        """The month is over: what stands has stood until then."""
        for key, each in self._open.items():
            kind = self._kind(key)
            kind.is_open = True
            self._note(kind, each, self._stretch[1])

    def within_s(self, codes: Iterable[str], where: str) -> float:
        """Seconds of the month in which any of these stood at a place. After `end`."""
        found = [each for code in codes for each in self._kinds.get((code, where), _Kind()).stood]
        return _joined(found).total_s

    def mean_repair_h(self) -> float | None:
        """From raised to put right, hours, over all that was put right or still stands; None when there was none."""
        found = [s for (code, _), kind in self._kinds.items() if not code.startswith(_NO_REPAIR) for s in kind.repair_s]
        return round(sum(found) / len(found) / 3600, 2) if found else None

    def rows(self) -> list[dict[str, Any]]:
        """A row for each code and place; hours. After `end`."""
        return [
            {
                "code": code,
                "where": where,
                "count": kind.count,
                "is_open": kind.is_open,
                "stood_h": round(_joined(kind.stood).total_s / 3600, 2),
                "mean_repair_h": round(sum(kind.repair_s) / len(kind.repair_s) / 3600, 2),
                "longest_repair_h": round(max(kind.repair_s) / 3600, 2),
            }
            for (code, where), kind in sorted(self._kinds.items())
            if kind.repair_s
        ]

    def _kind(self, key: Key) -> _Kind:
        return self._kinds.setdefault(key, _Kind())

    def _close(self, key: Key, fault: _Fault, at: datetime) -> None:
        self._open.pop(key, None)
        if at >= self._stretch[0]:
            self._note(self._kind(key), fault, at)

    def _note(self, kind: _Kind, fault: _Fault, until: datetime) -> None:
        right_at = fault.right_at or until
        kind.repair_s.append(max(0.0, (right_at - fault.raised_at).total_seconds()))
        begins, ends = max(fault.raised_at, self._stretch[0]), min(until, self._stretch[1])
        if ends > begins:
            kind.stood.append((begins, ends))


def _begun_before(body: Mapping[str, Any], at: datetime) -> _Fault:
    """One whose beginning is no longer in the log."""
    lasted_s = body.get("lasted_s")
    return _Fault(at - timedelta(seconds=lasted_s if isinstance(lasted_s, int | float) else 0.0), is_error=False)


def _joined(stretches: Iterable[Stretch]) -> Hours:
    """The same time, in order and apart."""
    found: list[Stretch] = []
    for begins, ends in sorted(stretches):
        if found and begins <= found[-1][1]:
            found[-1] = (found[-1][0], max(ends, found[-1][1]))
        else:
            found.append((begins, ends))
    return Hours(found)
