from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.storage.chain import Position, canonical
from agent.storage.database import Database
from agent.storage.log import PRUNED, Break, Broken, Entry, Log, read_after, read_hash, read_newest, verify
from agent.storage.schema import STATION

pytestmark = pytest.mark.makes_entries_itself

TEXT_COLUMNS = ["type", "time", "boot", "clock", "body", "salt", "digest", "hash"]
NUMBER_COLUMNS = ["epoch", "sequence", "monotonic_ms"]
FIRST_EPOCH, SECOND_EPOCH = 6, 4
ROWS = FIRST_EPOCH + SECOND_EPOCH
ROW = st.integers(1, ROWS)


def make_log() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    database = Database(connection, execute_plugins=False)
    STATION.apply(database)
    log = Log(database)
    with database.atomic():
        log.append([make_entry(n) for n in range(FIRST_EPOCH)], new_epoch=1)
        log.append([make_entry(n) for n in range(SECOND_EPOCH)], new_epoch=3)
    return connection


def make_entry(n: int) -> Entry:
    return Entry(
        "station.test.happened", f"2026-11-22T03:04:0{n}.000Z", "b00t", 1000 + n, "synchronised", f'{{"n":{n}}}'
    )


ORIGINAL = make_log()


@pytest.fixture(scope="module", autouse=True)
def close_original() -> Iterator[None]:
    yield
    ORIGINAL.close()


def copy_of_the_log() -> Database:
    """A copy in which the checks of the schema do not stop whoever tampers."""
    connection = sqlite3.connect(":memory:")
    ORIGINAL.backup(connection)
    connection.execute("PRAGMA ignore_check_constraints=ON")
    return Database(connection, execute_plugins=False)


AT = "WHERE epoch = ? AND sequence = ?"


def place_of(row: int) -> tuple[int, int]:
    return (1, row) if row <= FIRST_EPOCH else (3, row - FIRST_EPOCH)


def test_an_untouched_log_verifies_across_epochs() -> None:
    with closing(copy_of_the_log()) as database:
        found = verify(database, read_newest(database))
    assert found.first_break is None
    assert (found.entries, found.blanked, found.newest.place) == (ROWS, 0, (3, SECOND_EPOCH))


@given(row=ROW, column=st.sampled_from(TEXT_COLUMNS), data=st.data())
def test_any_altered_text_is_found_at_its_row(row: int, column: str, data: st.DataObject) -> None:
    with closing(copy_of_the_log()) as database:
        connection = database.conn
        (old,) = connection.execute(f"SELECT {column} FROM log {AT}", place_of(row)).fetchone()
        changed = st.one_of(
            st.text().filter(lambda text: text != old and _is_storable(text)),
            st.just(old.upper() if old != old.upper() else old + " "),
            st.integers(0, len(old) - 1).map(lambda cut: old[:cut]),
            st.integers(0, len(old) - 1).map(lambda at: old[:at] + chr(ord(old[at]) ^ 1) + old[at + 1 :]),
        )
        connection.execute(f"UPDATE log SET {column} = ? {AT}", [data.draw(changed), *place_of(row)])
        found = verify(database)
    assert found.first_break is not None
    assert (found.first_break.epoch, found.first_break.sequence) == place_of(row)
    assert found.entries == row - 1


def _is_storable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


@given(row=ROW, column=st.sampled_from(NUMBER_COLUMNS), change=st.integers(-3, 3).filter(bool))
def test_any_altered_number_is_found(row: int, column: str, change: int) -> None:
    with closing(copy_of_the_log()) as database:
        try:
            database.conn.execute(f"UPDATE log SET {column} = {column} + ? {AT}", [change, *place_of(row)])
        except sqlite3.IntegrityError:
            return  # another entry stands there
        found = verify(database, read_newest_of_original())
    assert found.first_break is not None


def read_newest_of_original() -> Position:
    with closing(copy_of_the_log()) as database:
        return read_newest(database)


@given(row=ROW, column=st.sampled_from(["type", "time", "boot", "clock", "body", "salt", "digest", "hash"]))
def test_bytes_that_are_not_text_are_found_and_do_not_stop_the_walk(row: int, column: str) -> None:
    with closing(copy_of_the_log()) as database:
        database.conn.execute(f"UPDATE log SET {column} = CAST(x'ff80' AS TEXT) {AT}", place_of(row))
        found = verify(database)
    assert found.first_break is not None
    assert (found.first_break.epoch, found.first_break.sequence) == place_of(row)


@given(rows=st.sets(ROW, min_size=1))
def test_deleted_rows_are_found(rows: set[int]) -> None:
    with closing(copy_of_the_log()) as database:
        head = read_newest(database)
        database.conn.executemany(f"DELETE FROM log {AT}", [place_of(row) for row in rows])
        found = verify(database, head)
    assert found.first_break is not None
    assert found.entries == min(rows) - 1


@given(st.lists(ROW, min_size=2, max_size=2, unique=True))
def test_swapped_rows_are_found(rows: list[int]) -> None:
    with closing(copy_of_the_log()) as database:
        connection = database.conn
        (one, other) = (place_of(row) for row in rows)
        connection.execute(f"UPDATE log SET epoch = 99, sequence = 99 {AT}", place_of(rows[0]))
        connection.execute(f"UPDATE log SET epoch = ?, sequence = ? {AT}", [*one, *other])
        connection.execute(f"UPDATE log SET epoch = ?, sequence = ? {AT}", [*other, 99, 99])
        found = verify(database)
    assert found.first_break is not None
    assert (found.first_break.epoch, found.first_break.sequence) == min(one, other)


@given(st.sets(ROW))
def test_blanked_bodies_are_in_order(rows: set[int]) -> None:
    with closing(copy_of_the_log()) as database:
        database.conn.executemany(f"UPDATE log SET body = NULL, salt = NULL {AT}", [place_of(row) for row in rows])
        found = verify(database, read_newest(database))
    assert found.first_break is None
    assert found.blanked == len(rows)


@pytest.mark.parametrize("column", ["body", "salt"])
def test_half_a_blanking_is_found(column: str) -> None:
    with closing(copy_of_the_log()) as database:
        database.conn.execute(f"UPDATE log SET {column} = NULL {AT}", place_of(2))
        found = verify(database)
    assert found.first_break is not None
    assert found.first_break.sequence == 2


@given(st.integers(1, ROWS))
def test_a_pruned_log_verifies_from_its_anchor(pruned: int) -> None:
    with closing(copy_of_the_log()) as database:
        through = prune(database, pruned)
        assert read_hash(database, *place_of(pruned)) is not None
        head = tell_of_pruning(database, through)
        found = verify(database, head)
    assert found.first_break is None
    assert found.entries == ROWS - pruned + 1


@given(st.integers(1, ROWS - 1))
def test_a_beginning_that_was_taken_away_is_found_though_an_anchor_was_put_there(taken: int) -> None:
    with closing(copy_of_the_log()) as database:
        head = read_newest(database)
        prune(database, taken)
        found = verify(database, head)
    assert found.first_break == Break(*place_of(taken), Broken.LET_GO)


@pytest.mark.parametrize("body", ["[]", "nonsense", "[" * 100_000, '{"through":3}'])
def test_an_entry_of_pruning_that_nobody_understands_is_a_break_and_no_error(body: str) -> None:
    with closing(copy_of_the_log()) as database:
        prune(database, 2)
        with database.atomic():
            Log(database).append([replace(make_entry(0), type=PRUNED, body=body)])
        found = verify(database)
    assert found.first_break == Break(*place_of(2), Broken.LET_GO)


def test_more_than_the_log_says_was_let_go_is_found() -> None:
    with closing(copy_of_the_log()) as database:
        head = tell_of_pruning(database, prune(database, 2))
        database.conn.execute("DELETE FROM anchor")
        prune(database, 4)
        found = verify(database, head)
    assert found.first_break == Break(*place_of(4), Broken.LET_GO)


def test_an_altered_anchor_is_found() -> None:
    with closing(copy_of_the_log()) as database:
        prune(database, 3)
        database.conn.execute("UPDATE anchor SET hash = ?", ["f" * 64])
        found = verify(database)
    assert found.first_break is not None
    assert found.first_break.sequence == 4


def prune(database: Database, through: int) -> Position:
    database.conn.execute(
        f"INSERT INTO anchor (id, epoch, sequence, hash) SELECT 1, epoch, sequence, hash FROM log {AT}",
        place_of(through),
    )
    database.conn.execute("DELETE FROM log WHERE (epoch, sequence) <= (?, ?)", place_of(through))
    return Position(*database.conn.execute("SELECT epoch, sequence, hash FROM anchor").fetchone())


def tell_of_pruning(database: Database, through: Position) -> Position:
    body = {"through": {"epoch": through.epoch, "sequence": through.sequence, "hash": through.hash}}
    with database.atomic():
        (place,) = Log(database).append([replace(make_entry(0), type=PRUNED, body=canonical(body))])
    return place


def test_reading_goes_on_across_epochs_without_a_gap_or_a_repetition() -> None:
    with closing(copy_of_the_log()) as database:
        place = (0, 0)
        seen: list[tuple[int, int]] = []
        while page := read_after(database, *place, 3):
            seen += [(entry.epoch, entry.sequence) for entry in page]
            place = seen[-1]
    assert seen == [place_of(row) for row in range(1, ROWS + 1)]


def append_and_fail(log: Log, database: Database) -> None:
    with database.atomic():
        log.append([make_entry(0)])
        raise RuntimeError


def test_a_rolled_back_append_leaves_no_trace_in_the_sequence() -> None:
    with closing(copy_of_the_log()) as database:
        log = Log(database)
        before = log.newest
        with pytest.raises(RuntimeError):
            append_and_fail(log, database)
        log.reload()
        assert log.newest == before
        with database.atomic():
            (place,) = log.append([make_entry(0)])
        assert place.place == (3, SECOND_EPOCH + 1)
        assert verify(database).first_break is None
