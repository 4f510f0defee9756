"""A month through the real storage, counted by the report, against a truth that is counted minute by minute."""

from __future__ import annotations

import csv
import io
import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from agent.cli import report as command
from agent.cli.month import gather, lines_of
from agent.cli.program import app
from agent.cli.report_words import remarks_of, rows_of, show
from agent.control.client import ControlError
from agent.control.protocol import Request, decode_arguments
from agent.core.appliance import Profile
from agent.core.problems import problem
from agent.core.requests import handle
from agent.core.schedule import Admission, Schedule, Span
from agent.core.state import Plate, Rules, StationState
from agent.core.supplies import SupplyRules
from agent.core.turn import Turn
from agent.effects import AppendEntry, EraseMember, Reply, RunQuery, SaveMember, WriteReading
from agent.events import Actor, ControlRequested, EntriesLogged, Member, MemberErased, MemberSaved, QueryAnswered
from agent.storage.opening import STATION_DATABASE
from agent.storage.writer import StorageWriter
from bench.writes import ModelledClock
from tests.storage.inbox import Inbox

ZONE = ZoneInfo("Europe/Berlin")
MONTH = "2026-10"  # its clocks go back: 745 hours
BEGINS, ENDS = datetime(2026, 10, 1, tzinfo=ZONE).astimezone(UTC), datetime(2026, 11, 1, tzinfo=ZONE).astimezone(UTC)
AFTERWARDS = ENDS + timedelta(days=3)
DAY = (Span(6 * 60, 22 * 60, Admission.MEMBERS),)
MINUTE = timedelta(minutes=1)
RULES = Rules(
    plate=Plate(timezone="Europe/Berlin", labels={"microwave": {"zh": "微波炉", "en": "Microwave"}}),
    schedule=Schedule(ZONE, (DAY,) * 7, otherwise=Admission.CLOSED),
    appliances={"microwave": Profile(20.0), "fridge": Profile(20.0)},
    supplies={"aed_pads": SupplyRules(), "gauze": SupplyRules()},
)


def local(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 10, day, hour, minute, tzinfo=ZONE).astimezone(UTC)


class Station:
    """The real writer in a time of its own, asked as the agent is asked; only the socket is missing."""

    def __init__(self, directory: Path, begins: datetime, *, is_trusted: bool = True) -> None:
        self.inbox = Inbox()
        self.clock = ModelledClock(begins)
        self.clock.is_trusted = is_trusted
        self.writer = StorageWriter(directory, "test-1", self.clock, self.inbox)
        self.writer.open()
        self.count = 0

    def close(self) -> None:
        assert self.writer.close(20.0)

    def seconds(self, at: datetime) -> float:
        return (at - self.clock.begins).total_seconds()

    def log(self, at: datetime, kind: str, **body: object) -> None:
        self.clock.seconds = max(self.clock.seconds, self.seconds(at))
        self.count += 1
        self.writer.submit(AppendEntry(self.seconds(at), f"station.{kind}", body, f"tag-{self.count}"))

    def settle(self) -> None:
        self.log(self.clock.begins + timedelta(seconds=self.clock.seconds), "settled")
        self.inbox.wait_for_tag(f"tag-{self.count}")

    def request(self, action: str, **arguments: Any) -> dict[str, Any]:
        given = {name: value for name, value in arguments.items() if value is not None}
        decoded = decode_arguments(Request(id="1", action=action, arguments=given))
        self.count += 1
        request = f"r{self.count}"
        turn = Turn(StationState(0.0), RULES, 0.0)
        handle(
            turn, ControlRequested(0.0, request, Actor(name="alice", role="master", kind="account"), action, decoded)
        )
        (order,) = turn.effects
        if isinstance(order, Reply):
            assert order.ok, order.problems
            return json.loads(json.dumps(order.result))  # type: ignore[no-any-return]
        assert isinstance(order, RunQuery)
        self.writer.submit(order)
        answer = self.inbox.wait(QueryAnswered, lambda each: each.request == request)
        if answer.error:
            raise ControlError(problem("request.invalid", "query", answer.error))
        assert len(json.dumps(answer.rows)) < 1_000_000  # far below what one reply may have
        return {"rows": json.loads(json.dumps(answer.rows)), "timezone": "Europe/Berlin"}


@dataclass
class Truth:
    """What a month was, as whoever modelled it knows."""

    ways: Counter[str] = field(default_factory=Counter)
    by_hour: Counter[tuple[str, int]] = field(default_factory=Counter)
    members: set[str] = field(default_factory=set)
    anonymous: int = 0
    erased: int = 0
    minutes: dict[str, Counter[str]] = field(default_factory=dict)
    kwh: dict[str, float] = field(default_factory=dict)


# Two outages of the fridge's sensor, an error at the microwave, a planned end and a death: from, until.
FRIDGE_UNKNOWN = (local(3, 5), local(3, 9))
BROKEN = (local(5, 10), local(6, 12))
STOPPED = (local(10, 4), local(10, 8, 30))
DIED, BACK = local(15, 12, 21), local(15, 13)
FIRST_SEEN = local(1, 7)


def is_open(at: datetime) -> bool:
    return 6 <= at.astimezone(ZONE).hour < 22


def is_running(at: datetime) -> bool:
    """Whether the agent is there to write anything."""
    return not (STOPPED[0] < at < STOPPED[1] or DIED < at < BACK)


def state_of(name: str, at: datetime) -> str:
    is_unseen = at < FIRST_SEEN or STOPPED[0] <= at < STOPPED[1] or DIED <= at < BACK
    if name == "microwave" and BROKEN[0] <= at < BROKEN[1]:
        return "no"
    if is_unseen or (name == "fridge" and FRIDGE_UNKNOWN[0] <= at < FRIDGE_UNKNOWN[1]):
        return "unknown"
    return "yes"


def live(station: Station) -> Truth:
    truth = Truth()
    events: list[tuple[datetime, str, dict[str, object]]] = [
        (BEGINS - timedelta(days=2), "fault.raised", {"code": "supply.low", "where": "gauze", "severity": "warning"}),
        (local(2, 12), "fault.cleared", {"code": "supply.low", "where": "gauze", "lasted_s": None}),
        (local(2, 12), "supply.checked", {"supply": "gauze", "quantity": 9, "best_before": None}),
        (local(4, 9), "supply.taken", {"supply": "gauze", "quantity": 2, "left": 7}),
        (local(4, 10), "supply.returned", {"supply": "gauze", "quantity": 1, "left": 8}),
        (local(20, 0), "fault.raised", {"code": "supply.check_due", "where": "aed_pads", "severity": "warning"}),
        (local(7, 3), "door.alarm_raised", {"alarm": "forced"}),
        (local(7, 3, 20), "door.alarm_raised", {"alarm": "forced"}),
        (local(7, 4, 30), "alarm.acknowledged", {"alarm": "forced", "by": "alice"}),
        (local(31, 12), "door.alarm_raised", {"alarm": "tamper"}),
        (local(8, 8), "welfare.raised", {"check": "stay", "lasted_s": 9000}),
        (local(8, 9, 30), "alarm.acknowledged", {"alarm": "welfare", "by": "alice"}),
        (BROKEN[0], "fault.raised", {"code": "reported.broken", "where": "microwave", "severity": "error"}),
        (local(5, 18), "fault.updated", {"code": "reported.broken", "where": "microwave", "stage": "in_repair"}),
        (BROKEN[1], "fault.updated", {"code": "reported.broken", "where": "microwave", "stage": "put_right"}),
        (local(7, 12), "fault.updated", {"code": "reported.broken", "where": "microwave", "stage": "checked"}),
        (STOPPED[0], "stopping", {"reason": "SIGTERM"}),
        (DIED, "door.mode_changed", {"mode": "normal"}),
        (FIRST_SEEN, "started", {}),
        (STOPPED[1], "started", {}),
        (BACK, "started", {}),
        (FRIDGE_UNKNOWN[0], "appliance.changed", {"appliance": "fridge", "state": "unknown"}),
        (FRIDGE_UNKNOWN[1], "appliance.changed", {"appliance": "fridge", "state": "running"}),
    ]  # fmt: skip
    events += [
        (at, "appliance.changed", {"appliance": name, "state": "standby", "was": "unknown"})
        for at in (FIRST_SEEN, STOPPED[1], BACK)
        for name in ("microwave", "fridge")
    ]
    dice = random.Random(3)
    for _ in range(700):
        at = BEGINS + MINUTE * dice.randrange(int((ENDS - BEGINS) / MINUTE))
        if not is_running(at):
            continue
        way, member = dice.choice(("face", "card", "remote")), f"m-{dice.randrange(40)}"
        who = None if way == "remote" else member
        truth.by_hour["erased" if who == "m-7" else way, at.astimezone(ZONE).hour] += 1
        truth.ways["erased" if who == "m-7" else way] += 1
        truth.anonymous += who is None
        truth.erased += who == "m-7"
        truth.members |= {who} - {"m-7"} if who else set()
        events.append((at, "visit.entered", {"way": way, "member": who, "visit": "v", "ended": [], "inside": 1}))
    events.append((local(9, 9), "access.refused", {"reason": "not_enrolled", "way": "face", "member": None}))
    events += [(ENDS + timedelta(hours=1), "visit.entered", {"way": "face", "member": "m-1"})]  # of the next month
    station.writer.submit(SaveMember("save", Member("m-7"), "Li", 0.0))
    station.inbox.wait(MemberSaved)
    for at, kind, body in sorted(events, key=lambda each: each[0]):
        station.log(at, kind, **body)
    for name in ("microwave", "fridge"):
        counted = truth.minutes.setdefault(name, Counter())
        at = BEGINS
        while at < ENDS:
            counted[state_of(name, at)] += is_open(at)
            at += MINUTE
    _measure(station, truth)
    station.settle()
    station.writer.submit(EraseMember("erase", "m-7", station.clock.seconds))
    station.inbox.wait(MemberErased)
    return truth


def _measure(station: Station, truth: Truth) -> None:
    """The fridge's meter counts, and begins anew once; the microwave's tells its power."""
    counter, truth.kwh = 512.0, {"fridge": 0.0, "microwave": 0.0}
    at, n = FIRST_SEEN, 0
    while at < ENDS:
        if n == 2000:
            counter = 0.0
        if is_running(at):
            station.writer.submit(WriteReading(station.seconds(at), "fridge", "energy_kwh", counter))
            station.writer.submit(WriteReading(station.seconds(at), "microwave", "power_w", 600.0))
            truth.kwh["microwave"] += 600 / 60_000
        if n not in (1999,):
            counter += 0.01
            truth.kwh["fridge"] += 0.01
        at, n = at + 10 * MINUTE, n + 1
    truth.kwh["fridge"] -= 0.01  # after the last reading


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Station, Truth]]:
    directory = tmp_path_factory.mktemp("report") / "state"
    station = Station(directory, BEGINS - timedelta(days=5))
    truth = live(station)
    station.close()
    again = Station(directory, AFTERWARDS)
    again.log(AFTERWARDS, "started")
    again.settle()
    yield again, truth
    again.close()


@pytest.fixture(scope="module")
def figures(lived: tuple[Station, Truth]) -> Mapping[str, Any]:
    found = gather(lived[0], MONTH, AFTERWARDS)  # type: ignore[arg-type]
    assert found is not None
    return found


def by(rows: list[dict[str, Any]], key: str) -> dict[str, dict[str, Any]]:
    return {row[key]: row for row in rows}


def test_visits_are_counted_by_way_and_hour_and_people_once(
    figures: Mapping[str, Any], lived: tuple[Station, Truth]
) -> None:
    truth, visits = lived[1], figures["visits"]
    assert (visits["total"], visits["by_way"]) == (truth.ways.total(), dict(sorted(truth.ways.items())))
    assert truth.ways.total() > 600
    for way, counts in visits["by_hour"].items():
        assert counts == [truth.by_hour[way, hour] for hour in range(24)]
    assert visits["members"] == len(truth.members)
    assert (visits["anonymous"], visits["erased"]) == (truth.anonymous, truth.erased)
    assert truth.erased > 0
    assert visits["refused"] == {"not_enrolled": 1}


@pytest.mark.parametrize("name", ["microwave", "fridge"])
def test_availability_is_that_of_the_opening_hours_to_the_minute(
    figures: Mapping[str, Any], lived: tuple[Station, Truth], name: str
) -> None:
    truth, found = lived[1].minutes[name], by(figures["appliances"], "appliance")[name]
    assert figures["open_h"] == 31 * 16
    assert (found["usable_h"], found["unusable_h"], found["unknown_h"]) == (
        pytest.approx(truth["yes"] / 60, abs=0.01),
        pytest.approx(truth["no"] / 60, abs=0.01),
        pytest.approx(truth["unknown"] / 60, abs=0.01),
    )
    assert found["available_percent"] == pytest.approx(100 * truth["yes"] / (31 * 16 * 60), abs=0.01)


def test_faults_say_how_long_they_took(figures: Mapping[str, Any]) -> None:
    found = {(row["code"], row["where"]): row for row in figures["faults"]}
    broken = found["reported.broken", "microwave"]
    assert (broken["count"], broken["is_open"]) == (1, False)
    assert (broken["mean_repair_h"], broken["stood_h"]) == (26.0, 50.0)
    older = found["supply.low", "gauze"]
    assert (older["count"], older["stood_h"], older["longest_repair_h"]) == (0, 36.0, 84.0)
    assert found["supply.check_due", "aed_pads"]["is_open"]


def test_energy_goes_by_the_counter_and_else_by_the_power(
    figures: Mapping[str, Any], lived: tuple[Station, Truth]
) -> None:
    truth, found = lived[1].kwh, by(figures["energy"], "sensor")
    assert found["fridge"]["energy_kwh"] == pytest.approx(truth["fridge"], abs=0.0051)
    assert (found["fridge"]["by"], found["fridge"]["resets"]) == ("counter", 1)
    assert found["microwave"]["energy_kwh"] == pytest.approx(truth["microwave"], abs=0.001)
    assert found["microwave"]["by"] == "power"


def test_supplies_and_alarms_are_told(figures: Mapping[str, Any]) -> None:
    found = by(figures["supplies"], "supply")
    assert [found["gauze"][key] for key in ("checked", "taken", "returned")] == [1, 2, 1]
    assert found["gauze"]["days"] == {"supply.low": 1.5}
    assert found["aed_pads"]["days"] == {"supply.check_due": pytest.approx(12 + 1 / 24, abs=0.01)}
    assert found["aed_pads"]["rounds_percent"] == pytest.approx(100 * (1 - (12 * 24 + 1) / 745), abs=0.01)
    alarm = by(figures["alarms"], "alarm")
    assert alarm["forced"] == {
        "alarm": "forced", "count": 2, "acknowledged": 1, "is_unacknowledged": False,
        "mean_unacknowledged_h": 1.5, "longest_unacknowledged_h": 1.5,
    }  # fmt: skip
    assert alarm["welfare"]["mean_unacknowledged_h"] == 1.5
    assert (alarm["tamper"]["is_unacknowledged"], alarm["tamper"]["longest_unacknowledged_h"]) == (True, 12.0)


def test_the_stars_follow_from_the_figures(figures: Mapping[str, Any]) -> None:
    parts = by(figures["assessment"]["parts"], "criterion")
    mean = sum(row["available_percent"] for row in figures["appliances"]) / 2
    assert parts["availability_percent"]["value"] == pytest.approx(mean, abs=0.01)
    assert parts["repair_h"]["value"] == 26.0
    assert parts["alarms_h"]["value"] == pytest.approx((1.5 + 1.5 + 12) / 3)
    stars = {name: part["stars"] for name, part in parts.items()}
    assert stars["repair_h"] == 4
    assert stars["alarms_h"] == 3
    weighted = sum(part["stars"] * part["weight"] for part in parts.values())
    assert figures["assessment"]["stars"] == int(weighted / 10 + 0.5)


def test_every_figure_is_in_the_sheet_and_no_cell_is_a_formula(figures: Mapping[str, Any]) -> None:
    text = "".join(lines_of(figures, as_csv=True, as_json=False))
    rows = list(csv.reader(io.StringIO(text.lstrip("\ufeff"))))
    assert rows[0] == ["section", "name", "figure", "value"]
    assert len(rows) == len(list(rows_of(figures))) + 1
    assert ["visits", "", "total", str(figures["visits"]["total"])] in rows
    assert ["faults", "reported.broken@microwave", "mean_repair_h", "26.0"] in rows
    hostile = {**figures, "energy": [{**figures["energy"][0], "sensor": "=1+1"}]}
    assert "'=1+1" in "".join(lines_of(hostile, as_csv=True, as_json=False))
    assert json.loads("".join(lines_of(figures, as_csv=False, as_json=True)))["visits"] == figures["visits"]


def test_people_read_tables_with_every_reason(figures: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.cli.language._chosen", [])
    for language, words in (("en", ("Microwave", "put right", "★")), ("zh", ("微波炉", "平均修复", "自评"))):
        monkeypatch.setenv("STATION_LANG", language)
        text = "\n".join(show(figures))
        assert all(word in text for word in words)
        assert "745" not in text


def words_of(figures: Mapping[str, Any]) -> str:
    return " ".join(words.en for words in remarks_of(figures))


def test_a_month_without_a_trace_has_no_stars_and_says_so(
    lived: tuple[Station, Truth], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = gather(lived[0], "2026-08", AFTERWARDS)  # type: ignore[arg-type]
    assert found is not None
    assert found["visits"]["total"] == 0
    assert found["assessment"]["stars"] is None
    assert [part["value"] for part in found["assessment"]["parts"]] == [None] * 5
    assert {row["available_percent"] for row in found["appliances"]} == {None}
    monkeypatch.setattr("agent.cli.language._chosen", [])
    monkeypatch.setenv("STATION_LANG", "en")
    text = "\n".join(show(found))
    assert "Self-assessment: nothing to judge by" in text
    assert "★" not in text
    assert "nothing was recorded" in words_of(found)
    assert "no readings" in words_of(found)


@pytest.mark.parametrize("is_clock_set", [True, False])
def test_hours_before_the_first_entry_of_all_are_not_the_stations_life(tmp_path: Path, is_clock_set: bool) -> None:
    first = local(20, 12)
    shown = first if is_clock_set else datetime(2020, 1, 1, tzinfo=UTC)  # until somebody sets the clock
    with closing(Station(tmp_path / "state", shown, is_trusted=is_clock_set)) as station:
        station.log(shown + timedelta(seconds=1), "started")
        station.settle()
        station.clock.begins, station.clock.is_trusted = first, True
        for name in ("microwave", "fridge"):
            station.log(local(20, 13), "appliance.changed", appliance=name, state="standby", was="unknown")
        station.log(local(22, 8), "appliance.changed", appliance="fridge", state="unknown", was="standby")
        station.log(local(22, 18), "appliance.changed", appliance="fridge", state="standby", was="unknown")
        station.settle()
        found = gather(station, MONTH, AFTERWARDS)  # type: ignore[arg-type]
    assert found is not None
    opened = 10 + 11 * 16  # the rest of the 20th, and eleven days
    assert found["open_h"] == opened
    appliances = by(found["appliances"], "appliance")
    assert appliances["microwave"]["available_percent"] == pytest.approx(100 * (opened - 1) / opened, abs=0.01)
    assert appliances["fridge"]["unknown_h"] == 11.0  # a gap within its life is not usable
    for row in appliances.values():
        assert row["usable_h"] + row["unusable_h"] + row["unknown_h"] == pytest.approx(opened, abs=0.02)
    assert by(found["supplies"], "supply")["gauze"]["in_order_percent"] == 100.0
    assert found["assessment"]["stars"] == 4
    assert "first entry is of 2026-10-20 12:00" in words_of(found)


@pytest.mark.parametrize(("minutes", "percent"), [(10, None), (59, None), (80, 75.0)])
def test_minutes_after_the_first_start_are_too_few_to_judge_by(
    tmp_path: Path, minutes: int, percent: float | None
) -> None:
    first = local(20, 12)
    with closing(Station(tmp_path / "state", first)) as station:
        station.log(first, "started")
        for name in ("microwave", "fridge"):
            station.log(first + 20 * MINUTE, "appliance.changed", appliance=name, state="standby", was="unknown")
        station.settle()
        found = gather(station, MONTH, first + minutes * MINUTE)  # type: ignore[arg-type]
    assert found is not None
    assert {row["available_percent"] for row in found["appliances"]} == {percent}
    assert (found["assessment"]["stars"] is None) == (percent is None)


def test_a_log_that_does_not_begin_with_the_station_leaves_the_hours_before_it_unknown(tmp_path: Path) -> None:
    with closing(Station(tmp_path / "state", local(1, 0))):
        pass
    (tmp_path / "state" / STATION_DATABASE).unlink()  # it is in its second epoch from now on
    with closing(Station(tmp_path / "state", local(20, 12))) as station:
        station.log(local(20, 12), "started")
        station.settle()
        found = gather(station, MONTH, AFTERWARDS)  # type: ignore[arg-type]
    assert found is not None
    assert found["open_h"] == 31 * 16
    assert found["remarks"]["life_begins"] is None
    assert found["assessment"]["parts"][0]["value"] == 0.0
    assert "the log begins at 2026-10-20 12:00" in words_of(found)


def test_a_month_that_has_not_begun_is_refused(lived: tuple[Station, Truth], monkeypatch: pytest.MonkeyPatch) -> None:
    assert gather(lived[0], "2026-12", AFTERWARDS) is None  # type: ignore[arg-type]
    monkeypatch.setattr(command, "connect", lambda *_: lived[0])
    asked = CliRunner().invoke(app, ["report", "--month", "2199-01", "--lang", "en"])
    assert asked.exit_code == 1
    assert "has not begun" in asked.output


def test_a_month_that_is_not_over_counts_as_far_as_it_has_come(lived: tuple[Station, Truth]) -> None:
    found = gather(lived[0], MONTH, local(11, 6))  # type: ignore[arg-type]
    assert found is not None
    assert found["open_h"] == 160
    assert "not over" in words_of(found)


def test_the_remarks_tell_of_erased_bodies_and_of_a_log_that_begins_late(figures: Mapping[str, Any]) -> None:
    assert "erased" in words_of(figures)
    assert "no longer kept" not in words_of(figures)
    began = {"log_begins": "2026-10-09T00:00:00Z", "life_begins": None, "is_pruned": True}
    late = {**figures, "remarks": {**figures["remarks"], **began}}
    assert "before 2026-10-09" in words_of(late)
    assert "no longer kept" in words_of(late)
    assert "the log begins" in words_of({**late, "remarks": {**late["remarks"], "is_pruned": False}})


@pytest.mark.parametrize("month", ["2026-13", "October", "2026-1"])
def test_what_is_no_month_is_a_wrong_use(month: str) -> None:
    asked = CliRunner().invoke(app, ["report", "--month", month, "--lang", "en"])
    assert asked.exit_code == 2
    assert "write it as 2026-11" in asked.output


def test_entries_by_an_unset_clock_count_where_they_belong(tmp_path: Path) -> None:
    station = Station(tmp_path / "state", local(8, 8))
    with closing(station):
        station.clock.is_trusted = False
        station.clock.begins = datetime(2020, 1, 1, tzinfo=UTC)
        for minute in (1, 2):
            station.writer.submit(AppendEntry(60.0 * minute, "station.visit.entered", {"way": "face", "member": None}))
            station.inbox.wait(EntriesLogged, lambda _: True)
            station.inbox.events.clear()
        station.clock.begins, station.clock.is_trusted = local(8, 8), True
        station.log(local(8, 9), "visit.entered", way="card", member=None)
        station.settle()
        found = gather(station, MONTH, AFTERWARDS)  # type: ignore[arg-type]
        assert found is not None
        assert found["visits"]["by_hour"]["face"][8] == 2
        assert found["remarks"]["undated"] == 0
