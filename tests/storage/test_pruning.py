"""How long records stay: no longer than the settings say, no shorter than was promised, and the chain holds."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.clock import SystemClock, WallTime
from agent.effects import (
    CONFIRMED,
    AppendEntry,
    BeginVisit,
    EndVisit,
    MoveCursor,
    Note,
    ReadEntries,
    ReadOutbox,
)
from agent.events import EntriesRead, LogPlace, OutboxRead, Receipt
from agent.storage.chain import Position, canonical
from agent.storage.database import Database
from agent.storage.log import PRUNED, Entry, Log, read_newest, verify
from agent.storage.pruning import BATCH_ROWS, LEAST_DAYS, Retention, find_end, prune
from agent.storage.readings import SERIES_MAX, Readings
from agent.storage.schema import STATION
from agent.storage.stamps import rfc3339
from agent.storage.walk import walk
from agent.storage.writer import StorageWriter
from tests.storage.inbox import Inbox, append

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CUTOFF = Retention(365).log_cutoff(NOW)


def days_ago(days: float, clock: str = "synchronised", type_: str = "station.test.happened", body: str = "{}") -> Entry:
    return Entry(type_, rfc3339(NOW - timedelta(days=days)), "b00t", 1, clock, body)


def a_log(*entries: Entry, cursor: int | None = None) -> Database:
    database = Database(sqlite3.connect(":memory:"), execute_plugins=False)
    STATION.apply(database)
    with database.atomic():
        Log(database).append(entries, new_epoch=1)
        acknowledged = len(entries) if cursor is None else cursor
        database.conn.execute("UPDATE cursor SET epoch = 1, sequence = ?", [acknowledged])
    return database


def let_go(database: Database, end: Position) -> dict[str, Any]:
    """With the entry that says so, as the storage does it."""
    with database.atomic():
        body = prune(database, end)
        Log(database).append([days_ago(0, type_=PRUNED, body=canonical(body))])
    return body


def sequences(database: Database) -> list[int]:
    return [row[0] for row in database.conn.execute("SELECT sequence FROM log ORDER BY epoch, sequence")]


def end_of(database: Database, *, has_broker: bool = True, limit: int = BATCH_ROWS) -> int | None:
    end = find_end(database, CUTOFF, has_broker=has_broker, limit=limit)
    return None if end is None else end.sequence


def test_what_is_old_goes_and_the_chain_of_the_rest_holds() -> None:
    with closing(a_log(*(days_ago(each) for each in (400, 380, 366, 364, 1)))) as database:
        end = find_end(database, CUTOFF, has_broker=True)
        assert end is not None
        body = let_go(database, end)
        assert (end.sequence, body["entries"], body["through"]["hash"]) == (3, 3, end.hash)
        assert sequences(database) == [4, 5, 6]
        found = verify(database)
        assert (found.first_break, found.entries) == (None, 3)
        with database.atomic():
            Log(database).append([days_ago(0)])
        assert verify(database).first_break is None
        assert end_of(database) is None


def test_a_log_of_which_all_went_goes_on_from_its_anchor() -> None:
    with closing(a_log(days_ago(400))) as database:
        end = find_end(database, CUTOFF, has_broker=True)
        assert end is not None
        with database.atomic():
            body = prune(database, end)
        assert read_newest(database) == end
        with database.atomic():
            (place,) = Log(database).append([days_ago(0, type_=PRUNED, body=canonical(body))])
        assert place.sequence == 2
        assert verify(database, place).first_break is None


@pytest.mark.parametrize(("cursor", "end"), [(0, None), (2, 2), (4, 3)])
def test_what_the_broker_has_not_acknowledged_stays(cursor: int, end: int | None) -> None:
    with closing(a_log(*(days_ago(each) for each in (400, 390, 380, 1)), cursor=cursor)) as database:
        assert end_of(database) == end
        assert end_of(database, has_broker=False) == 3


def confirm(database: Database, body: str) -> None:
    with database.atomic():
        database.conn.execute("INSERT INTO notes (kind, name, body) VALUES ('confirmed', 'log', ?)", [body])


@pytest.mark.parametrize(
    ("body", "end"),
    [
        (None, None),
        ('{"epoch":1,"sequence":2,"hash":"ab"}', 2),
        ('{"epoch":2,"sequence":1,"hash":"ab"}', 3),  # no further than the cursor, whatever the note says
        ('{"epoch":1}', None),
        ('{"epoch":1,"sequence":"9"}', None),
        ("rubbish", None),
    ],
)
def test_what_nobody_confirmed_stays_where_the_settings_say_so(body: str | None, end: int | None) -> None:
    with closing(a_log(*(days_ago(each) for each in (400, 390, 380, 370)), cursor=3)) as database:
        if body is not None:
            confirm(database, body)
        found = find_end(database, CUTOFF, has_broker=True, needs_confirmation=True)
        assert (None if found is None else found.sequence) == end
        assert end_of(database) == 3
        alone = find_end(database, CUTOFF, has_broker=False, needs_confirmation=True)
        assert alone is not None
        assert alone.sequence == 4, "without a broker nobody is there to confirm"


def test_nothing_younger_than_was_promised_goes_whatever_the_settings_say() -> None:
    assert Retention(1).log_cutoff(NOW) == Retention(LEAST_DAYS).log_cutoff(NOW)
    with closing(a_log(days_ago(29))) as database:
        assert find_end(database, Retention(1).log_cutoff(NOW), has_broker=True) is None


def test_an_entry_that_a_wrong_clock_stamped_is_as_old_as_what_a_right_one_says() -> None:
    wrong = "unsynchronised"
    with closing(a_log(days_ago(20_000, wrong), days_ago(1), days_ago(20_000, wrong))) as database:
        assert end_of(database) is None, "it looks old, and stands between young ones or at the end"
    with closing(a_log(days_ago(-5_000, wrong), days_ago(400), days_ago(1))) as database:
        assert end_of(database) == 2, "it looks young, and stands before an old one"
    with closing(a_log(days_ago(400), days_ago(390, wrong))) as database:
        assert end_of(database) == 1, "nobody knows how old the last one is"
    with closing(a_log(*(days_ago(400, wrong) for _ in range(5)))) as database:
        assert end_of(database) is None, "no clock was ever right"


def test_a_long_run_without_a_right_clock_holds_nothing_up() -> None:
    entries = [*(days_ago(0, "unsynchronised") for _ in range(10)), days_ago(400), days_ago(1)]
    with closing(a_log(*entries)) as database:
        assert end_of(database, limit=4) == 4
    young = [*(days_ago(9_000, "unsynchronised") for _ in range(10)), days_ago(1)]
    with closing(a_log(*young)) as database:
        assert end_of(database, limit=4) is None


def test_so_many_go_at_one_time_and_no_more() -> None:
    with closing(a_log(*(days_ago(400) for _ in range(10)))) as database:
        assert end_of(database, limit=4) == 4


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.floats(0, 40), st.booleans(), st.floats(-9_000, 9_000)), min_size=1, max_size=30),
    st.integers(0, 30),
)
def test_nothing_young_or_unacknowledged_ever_goes(steps: Sequence[tuple[float, bool, float]], cursor: int) -> None:
    """Entries with their true age, of which some are stamped by a clock that is wrong by any amount."""
    ages = [sum(each[0] for each in steps[index:]) for index in range(len(steps))]
    entries = [
        days_ago(age) if is_right else days_ago(age + wrong, "unsynchronised")
        for age, (_, is_right, wrong) in zip(ages, steps, strict=True)
    ]
    with closing(a_log(*entries, cursor=min(cursor, len(entries)))) as database:
        while (end := find_end(database, CUTOFF, has_broker=True, limit=3)) is not None:
            assert end.sequence <= cursor
            assert ages[end.sequence - 1] >= 364.999
            let_go(database, end)
        assert verify(database).first_break is None
        old = [n for n, (age, each) in enumerate(zip(ages, steps, strict=True), 1) if each[1] and age > 365.001]
        gone_through = max((n for n in old if n <= cursor), default=0)
        assert all(n > gone_through for n in sequences(database))


def test_how_many_are_inside_and_the_order_to_the_door_outlive_their_entries() -> None:
    entries = (
        days_ago(400, type_="station.door.ordered", body='{"order":"locked_down"}'),
        days_ago(399, type_="station.visit.entered", body='{"inside":3}'),
        days_ago(398),
        days_ago(1),
    )
    with closing(a_log(*entries)) as database:
        with database.atomic():
            body = prune(database, Position(1, 3, "0" * 64))
        assert (body["inside"], body["order"]) == (3, "locked_down")


# --- in a whole storage ----------------------------------------------------------------------------------------------


class LaterClock(SystemClock):
    """A clock that a time source has set, some days ahead."""

    def __init__(self, days: float = 0.0, *, is_trusted: bool = True) -> None:
        super().__init__()
        self.days = days
        self.is_trusted = is_trusted

    def wall(self) -> WallTime:
        return WallTime(super().wall().utc + timedelta(days=self.days), is_trusted=self.is_trusted)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def store(state: Path, inbox: Inbox, clock: LaterClock, retention: Retention | None = None) -> StorageWriter:
    writer = StorageWriter(state, "test-1", clock, inbox, retention=retention)
    writer.open()
    return writer


def told_pruned(writer: StorageWriter, inbox: Inbox) -> None:
    """Wait until an entry says that something went."""
    for _ in range(200):
        count = len(inbox.all(OutboxRead))
        writer.submit(ReadOutbox(0, 0, 1_000))
        inbox.wait(OutboxRead, lambda _each, count=count: len(inbox.all(OutboxRead)) > count)  # type: ignore[misc]
        if any(each.type == PRUNED for each in inbox.all(OutboxRead)[-1].entries):
            return
    raise AssertionError("nothing was pruned")


def test_a_year_later_the_old_entries_and_visits_are_gone_and_the_log_verifies(state: Path, inbox: Inbox) -> None:
    clock = LaterClock()
    first = store(state, inbox, clock)
    first.submit(AppendEntry(clock.now(), "station.door.ordered", {"order": "blocked"}))
    first.submit(
        AppendEntry(clock.now(), "station.visit.entered", {"inside": 1}, visits=(BeginVisit("v-1", None, clock.now()),))
    )
    first.submit(
        AppendEntry(
            clock.now(), "station.visit.left", {"inside": 0}, visits=(EndVisit("v-1", clock.now(), "exit_button"),)
        )
    )
    first.submit(AppendEntry(clock.now(), "station.test.happened", {"secret": "SWORDFISH"}, "a"))
    last = inbox.wait_for_tag("a")
    first.submit(MoveCursor(last.epoch, last.sequence))
    assert first.close(5.0)
    with closing(sqlite3.connect(state / "station.db")) as connection:
        (hash_,) = connection.execute("SELECT hash FROM log ORDER BY sequence DESC LIMIT 1").fetchone()

    second = store(state, inbox, LaterClock(400), Retention(365, first_s=0.0))
    told_pruned(second, inbox)
    append(second, inbox, "b")
    second.submit(ReadEntries("q", 1, 0, 1_000, 1_000))
    read = inbox.wait(EntriesRead)
    assert read.anchor == LogPlace(last.epoch, last.sequence, hash_)
    assert [each.sequence for each in read.entries] == [last.sequence + 1, last.sequence + 2]
    assert second.close(5.0)
    walked = walk(state)
    assert (walked.found.first_break, walked.has_head) == (None, True)
    with closing(sqlite3.connect(state / "station.db")) as connection:
        types = [row[0] for row in connection.execute("SELECT type FROM log ORDER BY epoch, sequence")]
        bodies = connection.execute("SELECT body FROM log WHERE type = ?", [PRUNED]).fetchone()
        assert connection.execute("SELECT count(*) FROM visits").fetchone() == (0,)
    assert types == [PRUNED, "station.test.happened"]
    body = json.loads(bodies[0])
    assert (body["entries"], body["visits"], body["inside"], body["order"]) == (5, 1, 0, "blocked")
    assert b"SWORDFISH" not in b"".join(path.read_bytes() for path in state.iterdir() if path.is_file())

    third = StorageWriter(state, "test-1", LaterClock(400), inbox)
    restored = third.open()
    assert third.close(5.0)
    assert (restored.order, restored.inside, restored.problems) == ("blocked", 0, ())


@pytest.mark.parametrize(
    ("clock", "retention"),
    [
        (LaterClock(400, is_trusted=False), Retention(365, first_s=0.0)),
        (LaterClock(400), Retention(365, has_broker=True, first_s=0.0)),  # the broker has nothing
        (LaterClock(300), Retention(365, has_broker=False, first_s=0.0)),
        (LaterClock(400), Retention(365, has_broker=False, first_s=3600.0)),
        (LaterClock(400), None),
    ],
)
def test_what_must_stay_stays(state: Path, inbox: Inbox, clock: LaterClock, retention: Retention | None) -> None:
    first = store(state, inbox, LaterClock())
    append(first, inbox, "a")
    assert first.close(5.0)
    second = store(state, inbox, clock, retention)
    append(second, inbox, "b")
    append(second, inbox, "c")
    assert second.close(5.0)
    with closing(sqlite3.connect(state / "station.db")) as connection:
        assert connection.execute("SELECT count(*) FROM log WHERE type = ?", [PRUNED]).fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM log").fetchone() == (4,)


def confirmed(writer: StorageWriter, inbox: Inbox, receipt: Receipt) -> None:
    """The note that `agent.core.confirming` makes."""
    note = Note(CONFIRMED, "log", {"epoch": receipt.epoch, "sequence": receipt.sequence, "hash": "ab" * 32})
    tag = f"confirmed-{receipt.sequence}"
    writer.submit(AppendEntry(0.0, "station.test.happened", {}, tag, notes=(note,)))
    inbox.wait_for_tag(tag)


def test_after_a_restored_backup_only_what_was_confirmed_before_it_goes(
    tmp_path: Path, state: Path, inbox: Inbox
) -> None:
    first = store(state, inbox, LaterClock())
    confirmed(first, inbox, append(first, inbox, "a"))
    first.submit(MoveCursor(1, 99))
    assert first.close(5.0)
    shutil.copy(state / "station.db", tmp_path / "backup")
    second = store(state, inbox, LaterClock())
    confirmed(second, inbox, append(second, inbox, "b"))
    assert second.close(5.0)
    shutil.copy(tmp_path / "backup", state / "station.db")

    retention = Retention(365, first_s=0.0, needs_confirmation=True)
    third = StorageWriter(state, "test-1", LaterClock(400), inbox, retention=retention)
    assert third.open().notes[CONFIRMED]["log"]["sequence"] == 2
    told_pruned(third, inbox)
    assert third.close(5.0)
    with closing(sqlite3.connect(state / "station.db")) as connection:
        left = connection.execute("SELECT epoch, sequence FROM log ORDER BY epoch, sequence").fetchall()
    assert left == [(1, 3), (2, 1), (2, 2)]
    assert walk(state).found.first_break is None


def test_old_readings_go_some_at_a_time_and_the_young_ones_stay(tmp_path: Path) -> None:
    path = tmp_path / "readings.db"
    readings = Readings(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany("INSERT INTO series VALUES (?, ?, 'power_w')", [(0, "a"), (1, "b")])
        first = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) // 60
        minutes = [first + n // 10 * 31 * 24 * 60 + n % 10 for n in range(30)]  # of the first of three months
        rows = [(minute * SERIES_MAX + series, 1.0, 1.0, 1.0, 1) for minute in minutes for series in (0, 1)]
        connection.executemany("INSERT INTO minutes VALUES (?, ?, ?, ?, ?)", rows)

    def left() -> int:
        with closing(sqlite3.connect(path)) as connection:
            return int(connection.execute("SELECT count(*) FROM readings").fetchone()[0])

    assert readings.prune("2026-03-01T00:00Z", limit=20)
    assert left() == 40
    assert readings.prune("2026-03-01T00:00Z", limit=20)
    assert not readings.prune("2026-03-01T00:00Z", limit=21)
    assert left() == 20
    readings.close()
