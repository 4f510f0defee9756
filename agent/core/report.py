"""The figures of a month, from the log and the readings. Whoever has the rows makes them: nothing here reads anything.

A `Month` takes every entry of the log from its beginning (what stood open before the month counts from then on) and the
readings by the hour, and gives the report as JSON values. What cannot be known is said, never guessed: `remarks`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any

from agent.core.assessment import Criterion, Scale, assess
from agent.core.report_energy import EnergyMeters
from agent.core.report_faults import Faults
from agent.core.report_times import Entry, Hours, Stretch

ERASED = "erased"
_ALARMS = {
    "station.access.duress": "duress",
    "station.access.way_blocked": "guessing",
    "station.welfare.raised": "welfare",
    "station.call.made": "call",
}
_LOW = frozenset({"supply.empty", "supply.low", "supply.expired"})
_DUE = frozenset({"supply.check_due", "supply.check_overdue"})
_JUDGED_S = 3600.0  # of time that counts; a share of less says how a start went, not how a station does
_MAX_PEOPLE = 50_000  # distinct members of one month; a member is 64 characters at most


@dataclass(frozen=True, slots=True)
class Setup:
    """What the settings say. `stretch`: the month as far as it has come; `open_hours`: of it."""

    month: str
    zone: tzinfo
    stretch: Stretch
    open_hours: tuple[Stretch, ...]
    appliances: tuple[str, ...] = ()
    supplies: tuple[str, ...] = ()
    scales: Mapping[Criterion, Scale] = field(default_factory=dict)


@dataclass(slots=True)
class _Appliance:
    state: str = "unknown"
    since: datetime | None = None
    seconds: dict[str, float] = field(default_factory=lambda: {"yes": 0.0, "no": 0.0, "unknown": 0.0})


@dataclass(slots=True)
class _Alarm:
    count: int = 0
    acknowledged: int = 0
    unseen_s: float = 0.0
    longest_s: float = 0.0
    open_since: datetime | None = None


class Month:
    """Gathers one month; use it once: every `take`, every `take_energy`, then `report`."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._hours = Hours(setup.open_hours)
        self._all_day = Hours((setup.stretch,))
        self._ways: Counter[str] = Counter()
        self._by_hour: dict[str, list[int]] = {}
        self._people: set[str] = set()
        self._by_members = 0
        self._refused: Counter[str] = Counter()
        self._appliances = {name: _Appliance() for name in setup.appliances}
        self._faults = Faults(setup.stretch)
        self._alarms: dict[str, _Alarm] = {}
        self._supplies = {name: {"checked": 0, "taken": 0, "returned": 0} for name in setup.supplies}
        self._energy = EnergyMeters()
        self._blanked = self._undated = 0
        self._is_running = False
        self._earliest: datetime | None = None
        self._is_whole = False

    # --- the log -----------------------------------------------------------------------------------------------------

    def take(self, entry: Entry) -> None:
        """The next entry of the log."""
        self._earliest = entry.at if self._earliest is None else min(self._earliest, entry.at)
        self._is_whole |= _is_first_of_all(entry)
        if entry.at >= self._setup.stretch[1]:
            return
        is_within = entry.at >= self._setup.stretch[0]
        self._undated += is_within and not entry.is_dated
        if entry.body is None:
            self._take_blanked(entry, is_within=is_within)
            return
        self._take_whole(entry, entry.body, is_within=is_within)

    def _take_blanked(self, entry: Entry, *, is_within: bool) -> None:
        if not is_within:
            return
        self._blanked += 1
        if entry.type == "station.visit.entered":
            self._count_visit(entry.at, ERASED)

    def _take_whole(self, entry: Entry, body: Mapping[str, Any], *, is_within: bool) -> None:
        match entry.type:
            case "station.started":
                self._begin_anew(entry)
            case "station.stopping":
                self._is_running = False
                self._forget_states(entry.at)
            case "station.appliance.changed":
                self._change(str(body.get("appliance")), str(body.get("state")), entry.at)
            case "station.fault.raised" | "station.fault.updated" | "station.fault.cleared":
                self._take_fault(entry, body)
            case "station.alarm.acknowledged":
                self._acknowledge(str(body.get("alarm")), entry.at)
            case "station.visit.entered" if is_within:
                self._count_visit(entry.at, str(body.get("way")))
                self._count_person(body.get("member"))
            case "station.access.refused" if is_within:
                self._refused[str(body.get("reason"))] += 1
            case "station.supply.checked" | "station.supply.taken" | "station.supply.returned" if is_within:
                self._take_supply(entry.type.rpartition(".")[2], body)
            case type_ if type_ in _ALARMS or type_.endswith(".alarm_raised"):
                self._raise_alarm(_ALARMS.get(type_) or str(body.get("alarm")), entry.at)

    def _count_visit(self, at: datetime, way: str) -> None:
        self._ways[way] += 1
        self._by_hour.setdefault(way, [0] * 24)[at.astimezone(self._setup.zone).hour] += 1

    def _count_person(self, member: object) -> None:
        if isinstance(member, str):
            self._by_members += 1
            if len(self._people) < _MAX_PEOPLE:
                self._people.add(member)

    def _take_supply(self, what: str, body: Mapping[str, Any]) -> None:
        name = str(body.get("supply"))
        counted = self._supplies.setdefault(name, {"checked": 0, "taken": 0, "returned": 0})
        quantity = body.get("quantity")
        counted[what] += 1 if what == "checked" else quantity if isinstance(quantity, int) else 0

    # --- appliances --------------------------------------------------------------------------------------------------

    def _begin_anew(self, entry: Entry) -> None:
        """A start that no end came before: nobody looked from the last that was written or measured."""
        if self._is_running:
            known = [entry.row.get("previous_time"), entry.row.get("measured_until")]
            last = max((datetime.fromisoformat(each) for each in known if isinstance(each, str)), default=entry.at)
            self._forget_states(min(last, entry.at))
        self._is_running = True
        self._forget_states(entry.at)

    def _forget_states(self, at: datetime) -> None:
        for name in self._appliances:
            self._change(name, "unknown", at)

    def _change(self, name: str, state: str, at: datetime) -> None:
        known = self._appliances.setdefault(name, _Appliance())
        self._account(name, known, at)
        known.state = state

    def _take_fault(self, entry: Entry, body: Mapping[str, Any]) -> None:
        where = str(body.get("where"))
        if (known := self._appliances.get(where)) is not None:
            self._account(where, known, entry.at)
        self._faults.take(entry.type.rpartition(".")[2], body, entry.at)

    def _account(self, name: str, known: _Appliance, at: datetime) -> None:
        """Count the time up to now by how it was until now; time never runs back, whatever a clock did."""
        if known.since is not None and at > known.since:
            known.seconds[self._usable(name, known)] += self._hours.within_s(known.since, at)
        known.since = at if known.since is None else max(at, known.since)

    def _usable(self, name: str, known: _Appliance) -> str:
        if self._faults.is_unusable(name):
            return "no"
        if known.state == "fault":
            return "yes" if self._faults.has_any(name) else "no"  # only warnings stand: it does its work for now
        return "unknown" if known.state == "unknown" else "yes"

    # --- alarms ------------------------------------------------------------------------------------------------------

    def _raise_alarm(self, name: str, at: datetime) -> None:
        known = self._alarms.setdefault(name, _Alarm())
        known.count += at >= self._setup.stretch[0]
        known.open_since = known.open_since or at

    def _acknowledge(self, name: str, at: datetime) -> None:
        known = self._alarms.get(name)
        if known is not None and known.open_since is not None:
            if at >= self._setup.stretch[0]:
                known.acknowledged += 1
                self._note_unseen(known, at)
            known.open_since = None

    @staticmethod
    def _note_unseen(known: _Alarm, until: datetime) -> None:
        if known.open_since is not None:
            seconds = max(0.0, (until - known.open_since).total_seconds())
            known.unseen_s += seconds
            known.longest_s = max(known.longest_s, seconds)

    # --- readings ----------------------------------------------------------------------------------------------------

    def take_energy(self, row: Mapping[str, Any]) -> None:
        """One hour of one counter or power; see `EnergyMeters`."""
        self._energy.take(row)

    # --- the report --------------------------------------------------------------------------------------------------

    def report(self) -> dict[str, Any]:
        """JSON values; hours and percents rounded to hundredths."""
        until = self._setup.stretch[1]
        for name, known in self._appliances.items():
            self._account(name, known, until)
        self._faults.end()
        counts_from = self._counts_from()
        appliances = [
            self._of_appliance(name, each, self._hours.within_s(counts_from, until))
            for name, each in sorted(self._appliances.items())
        ]
        supplies = [
            self._of_supply(name, counted, self._all_day.within_s(counts_from, until))
            for name, counted in sorted(self._supplies.items())
        ]
        alarms = [found for name, each in sorted(self._alarms.items()) if (found := self._of_alarm(name, each))]
        assessment = assess(self._measured(appliances, supplies, alarms), self._setup.scales)
        return {
            "month": self._setup.month,
            "begins": self._setup.stretch[0].isoformat(),
            "ends": until.isoformat(),
            "open_h": _hours(self._hours.within_s(counts_from, until)),
            "visits": {
                "total": self._ways.total(),
                "by_way": dict(sorted(self._ways.items())),
                "by_hour": {way: list(counts) for way, counts in sorted(self._by_hour.items())},
                "members": len(self._people),
                "anonymous": self._ways.total() - self._ways[ERASED] - self._by_members,
                "erased": self._ways[ERASED],
                "refused": dict(sorted(self._refused.items())),
            },
            "appliances": appliances,
            "faults": self._faults.rows(),
            "energy": self._energy.rows(),
            "supplies": supplies,
            "alarms": alarms,
            "assessment": {"stars": assessment.stars, "parts": list(assessment.parts)},
            "remarks": {
                "blanked": self._blanked,
                "undated": self._undated,
                "life_begins": self._earliest.isoformat() if self._earliest is not None and self._is_whole else None,
                "is_known": counts_from < until,
            },
        }

    def _counts_from(self) -> datetime:
        """From when on the month is judged: not before the station's life; all over when nothing is known of it."""
        begins, until = self._setup.stretch
        if self._earliest is None or self._earliest >= until:
            return until
        return max(begins, self._earliest) if self._is_whole else begins

    def _of_appliance(self, name: str, each: _Appliance, open_s: float) -> dict[str, Any]:
        known_s = sum(each.seconds.values())
        unknown_s = each.seconds["unknown"] + max(0.0, open_s - known_s)  # before anything was said of it
        return {
            "appliance": name,
            "available_percent": _percent(each.seconds["yes"], open_s),
            "usable_h": _hours(each.seconds["yes"]),
            "unusable_h": _hours(each.seconds["no"]),
            "unknown_h": _hours(unknown_s),
        }

    def _of_supply(self, name: str, counted: Mapping[str, int], total_s: float) -> dict[str, Any]:
        days = {code: self._faults.within_s({code}, name) / 86_400 for code in sorted(_LOW | _DUE)}
        return {
            "supply": name,
            **counted,
            "days": {code: round(each, 2) for code, each in days.items() if each},
            "in_order_percent": _percent(total_s - self._faults.within_s(_LOW, name), total_s),
            "rounds_percent": _percent(total_s - self._faults.within_s(_DUE, name), total_s),
        }

    def _of_alarm(self, name: str, each: _Alarm) -> dict[str, Any] | None:
        is_open = each.open_since is not None
        self._note_unseen(each, self._setup.stretch[1])
        seen = each.acknowledged + is_open
        if not each.count and not seen:
            return None
        return {
            "alarm": name,
            "count": each.count,
            "acknowledged": each.acknowledged,
            "is_unacknowledged": is_open,
            "mean_unacknowledged_h": _hours(each.unseen_s / seen) if seen else 0.0,
            "longest_unacknowledged_h": _hours(each.longest_s),
        }

    def _measured(
        self, appliances: list[dict[str, Any]], supplies: list[dict[str, Any]], alarms: list[dict[str, Any]]
    ) -> dict[Criterion, float | None]:
        seen = [(each["acknowledged"] + each["is_unacknowledged"], each["mean_unacknowledged_h"]) for each in alarms]
        return {
            Criterion.AVAILABILITY: _mean([each["available_percent"] for each in appliances]),
            Criterion.REPAIR: self._faults.mean_repair_h(),
            Criterion.SUPPLIES: _mean([each["in_order_percent"] for each in supplies]),
            Criterion.ROUNDS: _mean([each["rounds_percent"] for each in supplies]),
            Criterion.ALARMS: _mean([hours for count, hours in seen for _ in range(count)]),
        }


def _is_first_of_all(entry: Entry) -> bool:
    """Whether nothing came before: a database that was lost, or entries that were pruned, begin otherwise."""
    place = entry.row["epoch"], entry.row["sequence"]
    reason = None if entry.body is None else entry.body.get("reason")
    return place == (1, 1) and entry.type == "station.log.epoch_began" and reason == "first_start"


def _hours(seconds: float) -> float:
    return round(seconds / 3600, 2)


def _percent(part_s: float, whole_s: float) -> float | None:
    return round(100 * part_s / whole_s, 2) if whole_s >= _JUDGED_S else None


def _mean(values: list[float | None]) -> float | None:
    known = [each for each in values if each is not None]
    return round(sum(known) / len(known), 2) if known else None
