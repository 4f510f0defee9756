from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from agent.clock import SkippingClock, SystemClock
from agent.effects import (
    AppendEntry,
    BeginVisit,
    EndVisit,
    EraseMember,
    MoveCursor,
    PutMember,
    ReadEntries,
    ReadOutbox,
    SaveMember,
    StartVision,
    WriteReading,
)
from agent.events import (
    EntriesLogged,
    EntriesLost,
    EntriesRead,
    Event,
    LoggedEntry,
    Member,
    MemberErased,
    MinutesMeasured,
    OutboxRead,
    PutRefused,
    Receipt,
    StorageFailed,
    StorageRecovered,
    Template,
    WorkerFailed,
)
from agent.storage import orders, worker
from agent.storage.chain import Position
from agent.storage.database import explain, open_readonly, open_writable
from agent.storage.head import read_head
from agent.storage.log import read_after, verify
from agent.storage.readings import Readings
from agent.storage.schema import READINGS
from agent.storage.stamps import Stamps
from agent.storage.writer import StorageWriter
from tests.storage.conftest import Opener
from tests.storage.inbox import WAIT_S, Inbox, append, entry, erase, eventually, save
from tests.system.stations import MovableClock

VECTOR = np.random.default_rng(5).normal(size=128).astype(np.float32)
MEMBER = Member("member-0417", (Template("dlib", "w" * 64, VECTOR),))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def log_of(state: Path) -> tuple[LoggedEntry, ...]:
    """Everything in the log, after checking it."""
    with closing(open_readonly(state / "station.db")) as database:
        assert verify(database, read_head(state / "head")).first_break is None
        return read_after(database, 0, 0, 100_000)


def connection_of(writer: StorageWriter) -> sqlite3.Connection:
    assert writer._files is not None
    return writer._files.database.conn


# --- entries ---------------------------------------------------------------------------------------------------------


def test_entries_are_told_in_order_with_their_tags_and_stand_in_the_log(
    open_writer: Opener, inbox: Inbox, state: Path
) -> None:
    writer, _ = open_writer()
    for n in range(1200):
        writer.submit(entry(f"t{n}"))
    inbox.wait_for_tag("t1199")
    assert inbox.receipts() == [Receipt(1, n + 2, f"t{n}") for n in range(1200)]
    found = log_of(state)[1:]
    assert [json.loads(each.body or "")["tag"] for each in found] == [f"t{n}" for n in range(1200)]


def test_what_waits_together_is_committed_together(open_writer: Opener, inbox: Inbox) -> None:
    writer, _ = open_writer()
    blocker = sqlite3.connect(writer._directory / "station.db")
    blocker.execute("BEGIN IMMEDIATE")
    for n in range(20):
        writer.submit(entry(f"t{n}"))
    inbox.wait(StorageFailed)
    blocker.rollback()
    blocker.close()
    inbox.wait_for_tag("t19")
    assert len(inbox.all(EntriesLogged)) <= 2


def test_an_entry_is_durable_and_in_the_head_before_it_is_told(tmp_path: Path, inbox: Inbox) -> None:
    state = tmp_path / "state"
    seen: list[tuple[bool, bool]] = []

    def look(event: Event) -> None:
        if isinstance(event, EntriesLogged):
            place = (event.receipts[-1].epoch, event.receipts[-1].sequence)
            found = read_head(state / "head")
            committed = rows(
                state / "station.db", f"SELECT 1 FROM log WHERE (epoch, sequence) = ({place[0]}, {place[1]})"
            )
            seen.append((bool(committed), found is not None and found.place >= place))
        inbox(event)

    writer = StorageWriter(state, "test-1", SystemClock(), look)
    writer.open()
    for n in range(5):
        append(writer, inbox, f"t{n}")
    assert writer.close(5.0)
    assert seen == [(True, True)] * 5


def test_the_header_has_the_time_the_boot_and_the_clock(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    clock = SystemClock()
    writer, _ = open_writer()
    at = clock.now() - 3.25
    writer.submit(AppendEntry(at, "station.test.happened", {}, tag="a"))
    inbox.wait_for_tag("a")
    found = log_of(state)[-1]
    assert found.monotonic_ms == round(at * 1000)
    assert found.boot == clock.boot_id
    assert found.clock in {"synchronised", "unsynchronised"}
    ago = clock.wall().utc.timestamp() - _timestamp(found.time)
    assert 3.2 < ago < 3.25 + WAIT_S
    assert found.time.endswith("Z")
    assert len(found.time) == len("2026-11-22T03:04:05.678Z")


def _timestamp(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    "body", [{"value": float("nan")}, {"value": object()}, {"value": "\ud800"}, {"value": "x" * 60_000}]
)
def test_a_body_that_the_log_cannot_hold_is_refused_where_it_comes_from(
    body: dict[str, object], open_writer: Opener, inbox: Inbox
) -> None:
    writer, _ = open_writer()
    with pytest.raises((ValueError, TypeError)):
        writer.submit(AppendEntry(100.0, "station.test.happened", body))
    append(writer, inbox, "the next one")


def test_other_orders_that_storage_cannot_hold_are_refused_too(open_writer: Opener, inbox: Inbox) -> None:
    writer, _ = open_writer()
    with pytest.raises(TypeError, match="StartVision"):
        writer.submit(StartVision())
    with pytest.raises(ValueError):
        writer.submit(SaveMember("r", Member("m1"), "\ud800"))
    with pytest.raises(ValueError, match="128"):
        writer.submit(SaveMember("r", Member("m1", (Template("e", "w", VECTOR[:5]),)), "A"))
    append(writer, inbox, "the next one")


# --- visits ----------------------------------------------------------------------------------------------------------


def test_a_visit_names_the_entries_that_report_it(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    save(writer, inbox, MEMBER)
    came = replace(entry("in"), visits=(BeginVisit("v1", MEMBER.id, 100.0),))
    left = replace(entry("out"), visits=(EndVisit("v1", 160.5, "exit_button"),))
    writer.submit(came)
    writer.submit(left)
    writer.submit(replace(entry("again"), visits=(EndVisit("v1", 170.0, "time_limit"),)))
    inbox.wait_for_tag("again")
    ((id_, member_id, entered, left_at, how, *places),) = rows(
        state / "station.db",
        "SELECT id, member_id, entered_at_utc, left_at_utc, how, entered_sequence, left_sequence FROM visits",
    )
    assert (id_, member_id, how, places) == ("v1", MEMBER.id, "exit_button", [2, 3])
    assert _timestamp(str(left_at)) - _timestamp(str(entered)) == pytest.approx(60.5, abs=0.5)


def test_a_visit_and_its_entry_are_one_transaction(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    connection = connection_of(writer)
    connection.execute("CREATE TEMP TRIGGER stop BEFORE INSERT ON main.visits BEGIN SELECT * FROM no_such_table; END")
    writer.submit(replace(entry("in"), visits=(BeginVisit("v1", None, 100.0),)))
    inbox.wait(StorageFailed)
    assert rows(state / "station.db", "SELECT count(*) FROM log") == [(1,)]
    connection.execute("DROP TRIGGER stop")
    inbox.wait_for_tag("in")
    assert rows(state / "station.db", "SELECT entered_sequence FROM visits") == [(2,)]


def test_a_visit_of_a_member_who_was_just_erased_is_anonymous(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    save(writer, inbox, MEMBER)
    assert erase(writer, inbox, MEMBER.id)
    writer.submit(replace(entry("in"), visits=(BeginVisit("v1", MEMBER.id, 100.0),)))
    inbox.wait_for_tag("in")
    assert rows(state / "station.db", "SELECT id, member_id FROM visits") == [("v1", None)]


# --- the outbox and the cursor ---------------------------------------------------------------------------------------


def test_the_outbox_gives_the_next_entries_after_the_cursor(open_writer: Opener, inbox: Inbox) -> None:
    writer, _ = open_writer()
    for n in range(5):
        append(writer, inbox, f"t{n}")
    writer.submit(ReadOutbox(epoch=1, after=2, limit=3))
    found = inbox.wait(OutboxRead).entries
    assert [each.sequence for each in found] == [3, 4, 5]
    writer.submit(ReadOutbox(epoch=1, after=6, limit=3))
    assert inbox.wait(OutboxRead, lambda e: e.entries == ()).entries == ()


def test_a_range_of_one_epoch_is_read_page_by_page(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    for n in range(5):
        append(writer, inbox, f"t{n}")
    for question, after, last in (("q1", 1, 5), ("q2", 4, 5), ("q3", 5, 5), ("q4", 5, 99)):
        writer.submit(ReadEntries(question, 1, after, last, 3))
        inbox.wait(EntriesRead, lambda event, question=question: event.question == question)  # type: ignore[misc]
    found = {each.question: [entry.sequence for entry in each.entries] for each in inbox.all(EntriesRead)}
    assert found == {"q1": [2, 3, 4], "q2": [5], "q3": [], "q4": [6]}
    assert [each for each in inbox.all(EntriesRead)[0].entries] == list(log_of(state)[1:4])
    assert {(each.anchor, each.error) for each in inbox.all(EntriesRead)} == {(None, "")}


def test_a_range_ends_with_its_epoch(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    append(writer, inbox, "a")
    assert writer.close(5.0)
    (state / "head").unlink()
    writer, _ = open_writer()
    writer.submit(ReadEntries("q1", 1, 0, 99, 10))
    assert [(each.epoch, each.sequence) for each in inbox.wait(EntriesRead).entries] == [(1, 1), (1, 2)]
    writer.submit(ReadEntries("q2", 2, 0, 99, 10))
    found = inbox.wait(EntriesRead, lambda event: event.question == "q2").entries
    assert [(each.epoch, each.sequence) for each in found] == [(2, 1)]


def test_every_read_is_answered_when_the_disk_fails(
    open_writer: Opener, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, _ = open_writer()

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr("agent.storage.worker.read_within", fail)
    monkeypatch.setattr("agent.storage.worker.read_after", fail)
    for number in range(10):
        writer.submit(ReadEntries(f"q{number}", 1, 0, 99, 10))
        writer.submit(ReadOutbox(1, 0, 10))
    inbox.wait(EntriesRead, lambda event: event.question == "q9")
    deadline = time.monotonic() + WAIT_S
    while len(inbox.all(OutboxRead)) < 10:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert {each.error for each in inbox.all(EntriesRead)} == {"OperationalError: disk I/O error"}
    inbox.wait(StorageFailed)


def test_a_body_that_is_no_text_any_more_holds_up_nothing_and_is_repeated_nowhere(
    open_writer: Opener, inbox: Inbox, state: Path
) -> None:
    writer, _ = open_writer()
    for tag in "abc":
        append(writer, inbox, tag)
    writer.close(5.0)
    with closing(sqlite3.connect(state / "station.db")) as connection, connection:
        connection.execute("UPDATE log SET body = CAST(X'7B2261223A22FF227D' AS TEXT) WHERE sequence = 2")
        with pytest.raises(sqlite3.OperationalError) as found:
            connection.execute("SELECT body FROM log").fetchall()
    assert '"a"' in str(found.value)
    assert '"a"' not in explain(found.value)
    writer, _ = open_writer()
    writer.submit(ReadOutbox(1, 0, 10))
    answer = inbox.wait(OutboxRead)
    assert [each.sequence for each in answer.entries][:3] == [1, 2, 3]
    assert answer.entries[1].body == '{"a":"\ufffd"}'
    append(writer, inbox, "d")
    assert inbox.all(StorageFailed) == []


def test_what_is_dropped_at_the_bound_while_the_disk_hangs_is_answered_all_the_same(
    open_writer: Opener, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "WAITING_ORDERS", 5)
    monkeypatch.setattr(orders, "_PEOPLE_ORDERS", 0)
    writer, _ = open_writer()
    append(writer, inbox, "before")
    assert writer._files is not None
    is_hanging, may_go_on = threading.Event(), threading.Event()
    head = writer._files.head
    write = head.write

    def hang(position: Position) -> None:
        is_hanging.set()
        may_go_on.wait(WAIT_S)
        write(position)

    monkeypatch.setattr(head, "write", hang)
    writer.submit(entry("hangs"))
    assert is_hanging.wait(WAIT_S)
    for number in range(orders.WAITING_READS):
        writer.submit(ReadEntries(f"q{number}", 1, 0, 99, 10))
    writer.submit(ReadOutbox(1, 0, 10))
    for number in range(orders.WAITING_ORDERS + 1):
        writer.submit(PutMember(f"p{number}", "m-1", 1.0, frozenset(), may_create=True))
    assert [each.entries for each in inbox.all(OutboxRead)] == [()]
    assert inbox.all(PutRefused)[-1].request == f"p{orders.WAITING_ORDERS}"
    may_go_on.set()
    inbox.wait(EntriesRead, lambda event: event.question == f"q{orders.WAITING_READS - 1}")
    writer.submit(ReadOutbox(1, 0, 10))
    inbox.wait(OutboxRead, lambda event: len(event.entries) >= 2)


def test_the_cursor_is_kept_and_never_goes_back_nor_beyond_the_log(open_writer: Opener, inbox: Inbox) -> None:
    writer, _ = open_writer()
    for n in range(3):
        append(writer, inbox, f"t{n}")
    for sequence in (1, 3, 2):
        writer.submit(MoveCursor(1, sequence))
    assert writer.close(5.0)
    writer, restored = open_writer()
    assert restored.cursor == (1, 3)
    writer.submit(MoveCursor(1, 99))
    assert writer.close(5.0)
    assert open_writer()[1].cursor == (1, 4)


def test_cursors_cost_one_commit_whenever_readings_are_written(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    clock = SkippingClock()
    writer, _ = open_writer(clock=clock)
    append(writer, inbox, "one")
    for sequence in (1, 2):
        writer.submit(MoveCursor(1, sequence))
        writer.submit(ReadOutbox(1, 2, 1))
        inbox.wait(OutboxRead)
        inbox.events.clear()
    append(writer, inbox, "two")
    assert rows(state / "station.db", "SELECT epoch, sequence FROM cursor") == [(0, 0)]
    clock.skip(900)
    deadline = time.monotonic() + WAIT_S
    while rows(state / "station.db", "SELECT epoch, sequence FROM cursor") != [(1, 2)]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_cursor_that_has_come_far_is_written_so_that_a_death_does_not_begin_a_long_backlog_again(
    open_writer: Opener, inbox: Inbox, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_CURSOR_STEP", 3)
    writer, _ = open_writer()
    for number in range(8):
        append(writer, inbox, f"t{number}")
    for sequence, kept in ((2, 0), (3, 3), (5, 3), (6, 6)):
        writer.submit(MoveCursor(1, sequence))
        append(writer, inbox, f"after-{sequence}")
        found = rows(state / "station.db", "SELECT sequence FROM cursor")
        assert found == [(kept,)]


# --- people ----------------------------------------------------------------------------------------------------------


def test_saving_again_replaces_name_and_templates_but_not_the_day_of_enrolment(
    open_writer: Opener, inbox: Inbox, state: Path
) -> None:
    writer, _ = open_writer()
    save(writer, inbox, MEMBER, "First Name")
    created = rows(state / "station.db", "SELECT created_at_utc, enrolment FROM members")
    save(writer, inbox, replace(MEMBER, templates=(Template("sface", "v" * 64, -VECTOR),)), "Second Name")
    assert rows(state / "station.db", "SELECT id, name FROM members") == [(MEMBER.id, "Second Name")]
    assert rows(state / "station.db", "SELECT created_at_utc, enrolment FROM members") == created
    assert rows(state / "station.db", "SELECT engine FROM templates") == [("sface",)]


def test_an_erasure_leaves_no_byte_of_the_member_but_the_ledgers_line(
    open_writer: Opener, inbox: Inbox, state: Path
) -> None:
    writer, _ = open_writer()
    save(writer, inbox, MEMBER, "Zhang Unmistakable")
    for n in range(30):
        save(writer, inbox, Member(f"other-{n}", (Template("dlib", "w" * 64, VECTOR * (n + 2)),)), "Somebody Else")
    visit = replace(entry("in", member=MEMBER.id), visits=(BeginVisit("v1", MEMBER.id, 100.0),))
    writer.submit(visit)
    inbox.wait_for_tag("in")
    (state / "station.db.damaged-20260101T000000000000Z").write_bytes(b"Zhang Unmistakable")
    traces = [b"Zhang Unmistakable", VECTOR.tobytes(), MEMBER.id.encode()]
    assert erase(writer, inbox, MEMBER.id)
    for path in sorted(state.iterdir()):
        content = path.read_bytes()
        for trace in traces:
            assert trace not in content or (path.name == "ledger" and trace == traces[2]), path.name
    assert MEMBER.id.encode() in (state / "ledger").read_bytes()
    found = log_of(state)
    assert [each.body is None for each in found] == [False, True]
    assert rows(state / "station.db", "SELECT id, member_id FROM visits") == [("v1", None)]


@pytest.mark.parametrize("made_up", ["nobody", "tag", "in", "door", "member"])
def test_erasing_an_id_that_nobody_has_says_so_and_touches_nothing(
    open_writer: Opener, inbox: Inbox, state: Path, made_up: str
) -> None:
    writer, _ = open_writer()
    writer.submit(entry("in", way="door", member=made_up))
    inbox.wait_for_tag("in")
    ledger = (state / "ledger").read_bytes()
    assert not erase(writer, inbox, made_up)
    assert all(each.body is not None for each in log_of(state))
    assert (state / "ledger").read_bytes() == ledger


def test_erasing_a_member_blanks_what_names_them_and_not_what_holds_the_same_word(
    open_writer: Opener, inbox: Inbox, state: Path
) -> None:
    writer, _ = open_writer()
    save(writer, inbox, Member("door"))
    naming: list[Mapping[str, object]] = [
        {"member": "door"},
        {"member": "other", "look_alikes": ["third", "door"]},
        {"members": ["door"]},
    ]
    others: list[Mapping[str, object]] = [
        {"way": "door", "member": "other"},
        {"door": True},
        {"member": None, "nested": {"member": "door"}},
        {"look_alikes": ["doorman"]},
    ]
    for n, body in enumerate([*naming, *others]):
        writer.submit(AppendEntry(at=100.0, type="station.test.happened", body=body, tag=f"t{n}"))
    inbox.wait_for_tag(f"t{len(naming) + len(others) - 1}")
    assert erase(writer, inbox, "door")
    happened = [each for each in log_of(state) if each.type == "station.test.happened"]
    assert [each.body is None for each in happened] == [True] * len(naming) + [False] * len(others)


def test_a_body_that_somebody_broke_does_not_stop_an_erasure(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    save(writer, inbox, MEMBER)
    for tag in ("a", "b"):
        append(writer, inbox, tag)
    with closing(sqlite3.connect(state / "station.db")) as other, other:
        broken = "UPDATE log SET body = ? WHERE sequence = ?"
        other.executemany(broken, [(f'{{"member":"{MEMBER.id}"', 2), ('{"member":"else"', 3)])
    assert erase(writer, inbox, MEMBER.id)
    bodies = rows(state / "station.db", "SELECT body IS NULL FROM log ORDER BY epoch, sequence")
    assert bodies == [(0,), (1,), (0,)]


def test_an_id_that_was_erased_before_is_erased_again_and_remembered(
    open_writer: Opener, inbox: Inbox, state: Path
) -> None:
    writer, _ = open_writer()
    save(writer, inbox, MEMBER)
    assert erase(writer, inbox, MEMBER.id)
    writer.submit(entry("late", member=MEMBER.id))
    inbox.wait_for_tag("late")
    assert not erase(writer, inbox, MEMBER.id)
    assert log_of(state)[-1].body is None
    assert (state / "ledger").read_bytes().count(b'"kind":"erased"') == 2


def test_who_may_be_in_a_damaged_database_is_remembered(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    (state / "station.db.damaged-20260101T000000000000Z").write_bytes(b"m-lost")
    assert not erase(writer, inbox, "m-lost")
    assert b'"m-lost"' in (state / "ledger").read_bytes()
    assert not list(state.glob("station.db.damaged-*"))


def test_an_erasure_waits_for_a_reader_and_entries_do_not(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    save(writer, inbox, MEMBER)
    with closing(sqlite3.connect(state / "station.db")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM members").fetchall()
        writer.submit(EraseMember("e", MEMBER.id, 100.0))
        append(writer, inbox, "meanwhile")
        assert not inbox.all(MemberErased)
        assert not inbox.all(StorageFailed)
        reader.rollback()
        assert inbox.wait(MemberErased).existed
    assert VECTOR.tobytes() not in (state / "station.db-wal").read_bytes()


# --- readings --------------------------------------------------------------------------------------------------------


def test_readings_become_minimum_mean_and_maximum_of_their_minute(open_writer: Opener, state: Path) -> None:
    now = SystemClock().now()
    for values in ((1.0, 2.0, 6.0), (11.0,)):  # the second life adds to the same minutes
        writer, _ = open_writer()
        for value in values:
            writer.submit(WriteReading(now - 120, "meter", "power_w", value))
        writer.submit(WriteReading(now - 120, "meter", "voltage_v", 230.0))
        assert writer.close(5.0)
    found = rows(
        state / "readings.db", "SELECT sensor, quantity, minimum, mean, maximum, count FROM readings ORDER BY 2"
    )
    assert [row[:3] + row[4:] for row in found] == [
        ("meter", "power_w", 1.0, 11.0, 4),
        ("meter", "voltage_v", 230.0, 230.0, 2),
    ]
    assert found[0][3] == pytest.approx(5.0)


def test_a_minute_is_told_when_it_is_over_and_written_in_the_next_commit(
    open_writer: Opener, inbox: Inbox, state: Path
) -> None:
    clock = SkippingClock()
    writer, _ = open_writer(clock=clock)
    writer.submit(WriteReading(clock.now() - 120, "meter", "power_w", 1.0))
    (told,) = inbox.wait(MinutesMeasured).readings
    assert (told.sensor, told.mean) == ("meter", 1.0)
    assert rows(state / "readings.db", "SELECT * FROM readings") == []
    clock.skip(900)
    deadline = time.monotonic() + WAIT_S
    while not (found := rows(state / "readings.db", "SELECT minute, sensor, mean FROM readings")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert found == [(told.minute, "meter", 1.0)]


def test_values_that_come_after_their_minute_was_told_join_it_in_the_commit(
    open_writer: Opener, inbox: Inbox, state: Path
) -> None:
    clock = SkippingClock()
    writer, _ = open_writer(clock=clock)
    at = clock.now() - 120
    writer.submit(WriteReading(at, "meter", "power_w", 1.0))
    inbox.wait(MinutesMeasured)
    writer.submit(WriteReading(at, "meter", "power_w", 4.0))
    inbox.wait(MinutesMeasured, lambda event: event.readings[0].mean == 4.0)
    assert writer.close(5.0)
    assert rows(state / "readings.db", "SELECT minimum, mean, maximum, count FROM readings") == [(1.0, 2.5, 4.0, 2)]


@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_that_is_set_ends_the_minute_under_way_and_doubles_none(
    days: int, open_writer: Opener, inbox: Inbox, state: Path
) -> None:
    clock = MovableClock()
    writer, _ = open_writer(clock=clock)
    for _ in range(3):
        writer.submit(WriteReading(clock.now(), "meter", "power_w", 1.0))
    append(writer, inbox, "before")  # what was submitted before it is gathered with it, or earlier
    eventually(lambda: not writer._orders._readings, "the values are part of a minute")
    clock.move(timedelta(days=days))
    for _ in range(2):
        writer.submit(WriteReading(clock.now(), "meter", "power_w", 4.0))
    first = inbox.wait(MinutesMeasured).readings
    assert sum(each.count for each in first) == 3, "it is told at once, and not when its time comes a day later"
    assert writer.close(5.0)
    told = [each for event in inbox.all(MinutesMeasured) for each in event.readings]
    assert sum(each.count for each in told) == 5
    found = rows(state / "readings.db", "SELECT minute, mean, count FROM readings ORDER BY mean")
    assert sum(int(str(row[2])) for row in found) == 5
    assert {row[1] for row in found} == {1.0, 4.0}
    assert {row[0] for row in found} == {each.minute for each in told}


def test_entries_that_may_wait_keep_their_order_and_go_with_the_next_that_may_not(
    open_writer: Opener, inbox: Inbox, state: Path
) -> None:
    writer, _ = open_writer()
    for tag in ("one", "two"):
        writer.submit(replace(entry(tag), may_wait=True))
    writer.submit(ReadOutbox(1, 1, 10))
    assert inbox.wait(OutboxRead).entries == ()
    append(writer, inbox, "three")
    assert [receipt.tag for receipt in inbox.receipts()] == ["one", "two", "three"]
    assert len(inbox.all(EntriesLogged)) == 1


def test_entries_that_may_wait_are_written_when_readings_are_and_at_the_end(open_writer: Opener, inbox: Inbox) -> None:
    clock = SkippingClock()
    writer, _ = open_writer(clock=clock)
    writer.submit(replace(entry("waits"), may_wait=True))
    for _ in range(2):  # the second is answered once the turn of the first is over
        writer.submit(ReadOutbox(1, 1, 10))
        inbox.wait(OutboxRead)
        inbox.events.clear()
    clock.skip(900)
    assert inbox.wait_for_tag("waits").sequence == 2
    writer.submit(replace(entry("last"), may_wait=True))
    assert writer.close(5.0)
    assert [receipt.tag for receipt in inbox.receipts()] == ["waits", "last"]


def test_minutes_that_cannot_be_written_stay_within_their_bound_and_the_oldest_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.storage.readings._WAITING_ROWS", 3)
    readings = Readings(tmp_path / "readings.db")
    clock = SkippingClock()
    stamps = Stamps(clock)
    lost = [readings.add(stamps, clock.now(), f"meter-{n}", "power_w", 1.0) for n in range(3)]
    readings.finish()
    lost += [readings.add(stamps, clock.now(), f"meter-{n}", "power_w", 1.0) for n in range(3, 5)]
    readings.finish()
    readings.commit(clock.now())
    found = rows(tmp_path / "readings.db", "SELECT sensor FROM readings ORDER BY sensor")
    readings.close()
    assert lost == [0, 0, 0, 1, 1]
    assert found == [("meter-2",), ("meter-3",), ("meter-4",)]


def test_readings_of_an_older_agent_are_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "readings.db"
    database = open_writable(path, synchronous="NORMAL")
    READINGS.apply(database, stop_before="r002_minutes_by_number")
    kept = [
        ("2026-11-22T03:04Z", "b", "power_w", 1.0, 2.0, 3.0, 4),
        ("2026-11-22T03:05Z", "a", "power_w", 2.0, 3.0, 4.0, 5),
    ]
    with database.atomic():
        database.conn.executemany("INSERT INTO readings VALUES (?, ?, ?, ?, ?, ?, ?)", kept)
    database.close()
    Readings(path).close()
    assert rows(path, "SELECT * FROM readings ORDER BY minute") == kept


def test_damaged_readings_begin_again_and_the_log_is_untouched(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    append(writer, inbox, "a")
    assert writer.close(5.0)
    (state / "readings.db").write_bytes(b"damaged" * 1000)
    writer, restored = open_writer()
    assert (restored.newest, restored.problems) == ((1, 2), ())
    assert rows(state / "readings.db", "SELECT count(*) FROM readings") == [(0,)]


# --- a disk that does not write --------------------------------------------------------------------------------------


def limit_pages(writer: StorageWriter, pages: int) -> None:
    connection_of(writer).execute(f"PRAGMA max_page_count={pages}").fetchone()


def test_a_full_database_is_said_once_and_nothing_is_lost(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    append(writer, inbox, "before")
    limit_pages(writer, 1)  # SQLite takes the pages that there are
    sent = [f"t{n}" for n in range(300)]
    for tag in sent:
        writer.submit(entry(tag, padding="x" * 200))
    failed = inbox.wait(StorageFailed)
    assert "disk is full" in failed.reason
    for _ in range(3):
        writer.submit(entry("one more"))
        time.sleep(0.15)
    writer.submit(ReadOutbox(1, 0, 10))
    assert [each.sequence for each in inbox.wait(OutboxRead).entries] == [1, 2]
    assert len(inbox.all(StorageFailed)) == 1
    assert not inbox.all(StorageRecovered)
    limit_pages(writer, 100_000)
    inbox.wait(StorageRecovered)
    assert [receipt.tag for receipt in inbox.receipts()] == ["before", *sent, *["one more"] * 3]
    assert len(log_of(state)) == 2 + 300 + 3
    assert not inbox.all(EntriesLost)


def test_beyond_the_bound_entries_are_dropped_counted_and_said_in_the_log(
    open_writer: Opener, inbox: Inbox, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "WAITING_ORDERS", 50)
    writer, _ = open_writer()
    limit_pages(writer, 1)
    writer.submit(entry("fills", padding="x" * 50_000))
    inbox.wait(StorageFailed)
    kept = [f"t{n}" for n in range(49)]
    dropped = [f"dropped{n}" for n in range(7)]
    for tag in kept:
        writer.submit(entry(tag))
    for _ in range(4):
        writer.submit(WriteReading(100.0, "meter", "power_w", 1.0))
    for tag in dropped:
        writer.submit(entry(tag))
    save_request = SaveMember("people are not crowded out", Member("m1"), "A", 100.0)
    writer.submit(save_request)
    deadline = time.monotonic() + WAIT_S
    while [tag for event in inbox.all(EntriesLost) for tag in event.tags] != dropped:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    limit_pages(writer, 100_000)
    inbox.wait(StorageRecovered)
    assert [receipt.tag for receipt in inbox.receipts()] == ["fills", *kept, ""]
    last = log_of(state)[-1]
    assert last.type == "station.log.entries_lost"
    assert json.loads(last.body or "") == {"entries": 7, "readings": 4}
    assert rows(state / "station.db", "SELECT id FROM members") == [("m1",)]


def test_a_head_file_that_cannot_be_written_holds_the_telling_back_and_nothing_is_written_twice(
    open_writer: Opener, inbox: Inbox, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, _ = open_writer()
    assert writer._files is not None
    head = writer._files.head
    write = head.write
    is_full = threading.Event()
    is_full.set()

    def fail(position: object) -> None:
        if is_full.is_set():
            raise OSError(28, "No space left on device")
        write(position)  # type: ignore[arg-type]

    monkeypatch.setattr(head, "write", fail)
    writer.submit(entry("a"))
    inbox.wait(StorageFailed)
    writer.submit(ReadOutbox(1, 1, 10))
    assert inbox.wait(OutboxRead).entries == ()
    assert not inbox.receipts()
    is_full.clear()
    assert inbox.wait_for_tag("a") == Receipt(1, 2, "a")
    inbox.wait(StorageRecovered)
    assert len(log_of(state)) == 2


def test_damage_while_running_ends_the_worker_and_the_next_start_sets_it_aside(
    open_writer: Opener, inbox: Inbox, state: Path
) -> None:
    writer, _ = open_writer()
    append(writer, inbox, "a")
    with closing(sqlite3.connect(state / "station.db")) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = (state / "station.db").read_bytes()
    with (state / "station.db").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (len(content) - 4096))
    with closing(
        sqlite3.connect(state / "station.db")
    ) as other:  # a commit of another makes the writer read pages again
        other.execute("PRAGMA user_version=7")
    writer.submit(entry("b"))
    inbox.wait(WorkerFailed)
    assert "damaged" in inbox.wait(StorageFailed).reason
    assert inbox.wait(EntriesLost).tags == ("b",)
    writer.close(5.0)
    _, restored = open_writer()
    assert restored.newest == (2, 1)


# --- the end ---------------------------------------------------------------------------------------------------------


def test_closing_writes_what_waits(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    for n in range(500):
        writer.submit(entry(f"t{n}"))
    assert writer.close(5.0)
    assert len(log_of(state)) == 501
    assert len(inbox.receipts()) == 500
    assert writer.close(5.0)


def test_closing_ends_within_its_bound_while_the_disk_does_not_write(open_writer: Opener, inbox: Inbox) -> None:
    writer, _ = open_writer()
    limit_pages(writer, 1)
    writer.submit(entry("a", padding="x" * 50_000))
    inbox.wait(StorageFailed)
    began = time.monotonic()
    assert not writer.close(0.5)
    assert time.monotonic() - began < 1.5
    assert not writer.close(5.0)


def test_closing_ends_within_its_bound_while_a_write_hangs(
    open_writer: Opener, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, _ = open_writer()
    assert writer._files is not None
    head = writer._files.head
    write = head.write
    is_hanging, may_go_on = threading.Event(), threading.Event()

    def hang(position: Position) -> None:
        is_hanging.set()
        may_go_on.wait(WAIT_S)
        write(position)

    monkeypatch.setattr(head, "write", hang)
    writer.submit(entry("a"))
    assert is_hanging.wait(WAIT_S)
    began = time.monotonic()
    writer.submit(entry("b"))
    writer.stop(0.3)
    time.sleep(0.2)
    assert not writer.close(60.0)
    assert time.monotonic() - began < 1.3, "the time runs from the order to stop"
    may_go_on.set()
    assert writer.close(5.0) == (len(inbox.receipts()) == 2)


def test_closing_before_opening_is_harmless(tmp_path: Path, inbox: Inbox) -> None:
    assert StorageWriter(tmp_path, "test-1", SystemClock(), inbox).close()


def test_a_fault_in_the_worker_is_posted(open_writer: Opener, inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, _ = open_writer()
    assert writer._files is not None

    def fail(*_: object) -> None:
        raise ZeroDivisionError("a fault of the program")

    monkeypatch.setattr(writer._files.log, "append", fail)
    writer.submit(entry("a"))
    assert inbox.wait(WorkerFailed).worker == "storage writer"
