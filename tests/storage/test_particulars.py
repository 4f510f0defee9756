"""What is kept of a member, changed in one piece: all of it or nothing, over backups, erasures and failing disks."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.control import wire
from agent.effects import PutMember, RunQuery
from agent.events import Event, Member, MemberPut, PutRefused, QueryAnswered, SealedCard, SealedPin
from agent.storage import credentials
from agent.storage.database import open_writable
from agent.storage.late import read_restored
from agent.storage.ledger import Ledger
from agent.storage.schema import STATION
from agent.storage.writer import StorageWriter
from tests.storage.conftest import Opener
from tests.storage.inbox import Inbox, erase, save
from tests.storage.test_credentials import stored
from tests.storage.test_opening import assert_verifies

NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)
PIN = SealedPin("k-1", b"s" * 16, b"h" * 32, b"d" * 32)
LIMITS: dict[str, Any] = {"valid_from": NEW_YEAR, "valid_until": NEW_YEAR + timedelta(days=365)}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def card(number: int, *older: int) -> tuple[SealedCard, ...]:
    return (*(SealedCard("k-0", f"{each:064x}") for each in older), SealedCard("k-1", f"{number:064x}"))


def put(
    writer: StorageWriter, inbox: Inbox, member_id: str = "m-1", *, may_create: bool = True, **what: Any
) -> MemberPut | PutRefused:
    """Change what is given, wait for the answer."""
    request = f"put-{len(inbox.events)}"
    given = frozenset(what) - {"number"}
    writer.submit(PutMember(request, member_id, 100.0, given, may_create, **what))

    def is_answer(event: Event) -> bool:
        return isinstance(event, (MemberPut, PutRefused)) and event.request == request

    found = inbox.wait(Event, is_answer)
    assert isinstance(found, (MemberPut, PutRefused))
    return found


def done(answer: MemberPut | PutRefused) -> MemberPut:
    assert isinstance(answer, MemberPut)
    return answer


def refusal(answer: MemberPut | PutRefused) -> str:
    assert isinstance(answer, PutRefused)
    return answer.code


def rows(state: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(state / "station.db")) as connection:
        return connection.execute(sql).fetchall()


def ask(writer: StorageWriter, inbox: Inbox, query: str, **arguments: object) -> tuple[dict[str, Any], ...]:
    request = f"ask-{len(inbox.events)}"
    writer.submit(RunQuery(request, query, arguments))
    answer = inbox.wait(QueryAnswered, lambda each: each.request == request)
    assert not answer.error
    return tuple(dict(each) for each in answer.rows)


# --- putting ---------------------------------------------------------------------------------------------------------


def test_somebody_is_taken_up_with_all_that_is_given_and_without_a_name(
    open_writer: Opener, inbox: Inbox, state: Path
) -> None:
    writer, _ = open_writer()
    told = done(put(writer, inbox, cards=(card(1), card(2)), pin=PIN, number="77", categories=(1, 3), **LIMITS))
    expected = Member("m-1", categories=(1, 3), **LIMITS)
    assert (told.member, told.was_created, told.card_count, told.has_pin, told.number) == (expected, True, 2, True, "")
    assert stored(state) == ({card(1)[0].hash: "m-1", card(2)[0].hash: "m-1"}, {"77": "m-1"})
    assert writer.close(5.0)
    assert open_writer()[1].members == (expected,)
    assert rows(state, "SELECT name, categories, valid_from_utc FROM members") == [
        ("", "1,3", "2027-01-01T00:00:00.000Z")
    ]


def test_what_is_not_given_stays_and_what_is_none_goes(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    save(writer, inbox, Member("m-1"))
    put(writer, inbox, needs_longer=True, cards=(card(1),), pin=PIN, number="77", **LIMITS)
    told = done(put(writer, inbox, valid_until=None, name="Li Na"))
    assert (told.was_created, set(told.changed)) == (False, {"valid_until", "name"})
    assert told.member == Member("m-1", needs_longer=True, valid_from=NEW_YEAR)
    assert stored(state) == ({card(1)[0].hash: "m-1"}, {"77": "m-1"})
    assert rows(state, "SELECT name FROM members") == [("Li Na",)]
    put(writer, inbox, pin=None, cards=())
    assert stored(state) == ({}, {})
    assert rows(state, "SELECT name, needs_longer FROM members") == [("Li Na", 1)]


def test_the_list_of_cards_takes_the_place_of_all_they_have(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    put(writer, inbox, cards=(card(1), card(2)))
    before = dict(rows(state, "SELECT hash, token FROM cards"))
    put(writer, inbox, cards=(card(2), card(3)))
    after = dict(rows(state, "SELECT hash, token FROM cards"))
    assert set(after) == {card(2)[0].hash, card(3)[0].hash}
    assert after[card(2)[0].hash] == before[card(2)[0].hash], "the one they keep is the same row"
    assert (state / "ledger").read_text().count("credential_removed") == 1


def test_a_card_is_known_under_an_older_key_too(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    put(writer, inbox, cards=(card(1),))
    assert done(put(writer, inbox, cards=(card(9, 1),))).card_count == 1
    assert stored(state)[0] == {card(1)[0].hash: "m-1"}
    assert refusal(put(writer, inbox, "m-2", cards=(card(9, 1),))) == "card.taken"


def test_a_pin_without_a_number_gets_one_that_is_told_and_kept(open_writer: Opener, inbox: Inbox) -> None:
    writer, _ = open_writer()
    first, second = done(put(writer, inbox, pin=PIN)), done(put(writer, inbox, pin=PIN))
    assert len(first.number) == 6
    assert second.number == first.number


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ({"cards": (card(1), card(7))}, "card.taken"),
        ({"pin": PIN, "number": "77"}, "number.taken"),
        ({"valid_until": NEW_YEAR}, "member.validity"),
        ({"cards": tuple(card(n) for n in range(20, 21 + credentials.MAX_CARDS))}, "card.too_many"),
    ],
)
def test_what_cannot_be_changes_nothing_of_the_whole(
    open_writer: Opener, inbox: Inbox, state: Path, what: dict[str, Any], code: str
) -> None:
    writer, _ = open_writer()
    put(writer, inbox, "m-2", cards=(card(7),), pin=PIN, number="77")
    put(writer, inbox, cards=(card(5),), valid_from=NEW_YEAR)
    tables = ("members", "cards", "pins")
    before = [rows(state, f"SELECT * FROM {table} ORDER BY 1") for table in tables]
    ledger = (state / "ledger").read_bytes()
    assert refusal(put(writer, inbox, needs_longer=True, name="Li Na", **what)) == code
    assert refusal(put(writer, inbox, "m-9", needs_longer=True, **({"valid_from": NEW_YEAR} | what))) == code
    assert [rows(state, f"SELECT * FROM {table} ORDER BY 1") for table in tables] == before
    assert (state / "ledger").read_bytes() == ledger


def test_only_who_is_there_is_changed_at_the_station(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    assert refusal(put(writer, inbox, may_create=False, name="Li Na")) == "member.unknown"
    assert rows(state, "SELECT * FROM members") == []


# --- erasures, backups, failures -------------------------------------------------------------------------------------


def test_a_put_after_an_erasure_makes_a_new_member_and_no_backup_brings_the_old_one_back(
    open_writer: Opener, inbox: Inbox, state: Path, tmp_path: Path
) -> None:
    writer, _ = open_writer()
    put(writer, inbox, cards=(card(1),))
    assert writer.close(5.0)
    shutil.copy(state / "station.db", tmp_path / "backup.db")
    writer, _ = open_writer()
    assert erase(writer, inbox, "m-1")
    assert done(put(writer, inbox, cards=(card(2),))).was_created
    assert writer.close(5.0)
    writer, restored = open_writer()
    assert restored.members == (Member("m-1"),)
    assert writer.close(5.0)
    shutil.copy(tmp_path / "backup.db", state / "station.db")
    writer, restored = open_writer()
    assert restored.members == ()
    assert stored(state) == ({}, {})
    assert_verifies(state)


def test_a_restored_backup_neither_prolongs_a_validity_nor_brings_cards_back(
    open_writer: Opener, inbox: Inbox, state: Path, tmp_path: Path
) -> None:
    writer, _ = open_writer()
    put(writer, inbox, cards=(card(1),), pin=PIN, valid_until=NEW_YEAR + timedelta(days=9))
    put(writer, inbox, "m-2")
    assert writer.close(5.0)
    shutil.copy(state / "station.db", tmp_path / "backup.db")
    writer, _ = open_writer()
    put(writer, inbox, cards=(), pin=None, valid_until=NEW_YEAR)
    assert writer.close(5.0)
    shutil.copy(tmp_path / "backup.db", state / "station.db")
    unwritten = read_restored(state)
    assert unwritten is not None
    assert unwritten.members[0].valid_until == NEW_YEAR
    writer, restored = open_writer()
    assert restored.members == (Member("m-1", valid_until=NEW_YEAR), Member("m-2"))
    assert "validities_applied_again" in [code for code, _ in restored.problems]
    assert stored(state) == ({}, {})
    assert_verifies(state)


def test_what_was_told_is_on_the_disk_and_a_power_cut_before_gives_nothing_and_keeps_nothing_that_went(
    open_writer: Opener, inbox: Inbox, state: Path, tmp_path: Path
) -> None:
    writer, _ = open_writer()
    put(writer, inbox, cards=(card(1),), valid_until=NEW_YEAR + timedelta(days=9))
    before, after = tmp_path / "before", tmp_path / "after"
    shutil.copytree(state, before)
    put(writer, inbox, cards=(card(2),), pin=PIN, number="77", valid_until=NEW_YEAR)
    shutil.copytree(state, after)
    shutil.copy(state / "ledger", before / "ledger")  # as when the power fails between the ledger and the rows
    assert writer.close(5.0)
    expected = (Member("m-1", valid_until=NEW_YEAR),)
    assert open_writer(after)[1].members == expected
    assert stored(after) == ({card(2)[0].hash: "m-1"}, {"77": "m-1"})
    assert open_writer(before)[1].members == expected
    assert stored(before) == ({}, {})


def test_a_disk_that_fails_in_between_takes_all_of_it_in_the_end(
    open_writer: Opener, inbox: Inbox, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, _ = open_writer()
    put(writer, inbox, cards=(card(1), card(2)))
    failures = 2
    append = Ledger.append

    def fail(ledger: Ledger, kind: str, **fields: object) -> None:
        nonlocal failures
        if kind == "validity" and failures:
            failures -= 1
            raise OSError(28, os.strerror(28))
        append(ledger, kind, **fields)

    monkeypatch.setattr(Ledger, "append", fail)
    done(put(writer, inbox, cards=(card(3),), valid_until=NEW_YEAR))
    assert stored(state)[0] == {card(3)[0].hash: "m-1"}
    kinds = [json.loads(line)["kind"] for line in (state / "ledger").read_text().splitlines()]
    assert (kinds.count("credential_removed"), kinds.count("validity")) == (2, 1)


def test_erasing_leaves_nothing_of_what_was_put(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    put(writer, inbox, cards=(card(1),), pin=PIN, categories=(8,), **LIMITS)
    assert erase(writer, inbox, "m-1")
    assert rows(state, "SELECT count(*) FROM members") == [(0,)]
    assert stored(state) == ({}, {})
    assert ask(writer, inbox, "member_row", id="m-1") == ()


def test_a_person_s_own_data_has_their_validity_and_categories(open_writer: Opener, inbox: Inbox) -> None:
    writer, _ = open_writer()
    put(writer, inbox, categories=(2, 5), **LIMITS)
    (row,) = ask(writer, inbox, "member_row", id="m-1")
    assert (row["valid_from_utc"], row["valid_until_utc"], row["categories"]) == (
        "2027-01-01T00:00:00.000Z",
        "2028-01-01T00:00:00.000Z",
        "2,5",
    )


# --- an older database -----------------------------------------------------------------------------------------------


def test_members_of_a_database_of_before_are_valid_without_limits_and_keep_all_they_have(
    open_writer: Opener, inbox: Inbox, state: Path
) -> None:
    state.mkdir(mode=0o700)
    database = open_writable(state / "station.db", synchronous="FULL")
    STATION.apply(database, stop_before="m009_validity_and_categories")
    columns = {row[1] for row in database.conn.execute("PRAGMA table_info(members)")}
    assert columns.isdisjoint({"valid_from_utc", "valid_until_utc", "categories"})
    with database.atomic():
        for member_id, is_suspended in (("m-1", 0), ("m-2", 1)):
            database.conn.execute(
                "INSERT INTO members (id, name, created_at_utc, is_suspended, needs_longer, enrolment) "
                "VALUES (?, 'Wang Fang', '2026-01-01T00:00:00.000Z', ?, 1, 'e')",
                (member_id, is_suspended),
            )
        database.conn.execute("INSERT INTO cards VALUES ('ab', 'm-1', 'k-1', 't-1', '2026-01-01T00:00:00.000Z')")
    database.close()
    expected = (Member("m-1", needs_longer=True), Member("m-2", is_suspended=True, needs_longer=True))
    unwritten = read_restored(state)
    assert unwritten is not None
    assert unwritten.members == expected
    writer, restored = open_writer()
    assert restored.members == expected
    assert stored(state)[0] == {"ab": "m-1"}
    assert done(put(writer, inbox, valid_until=NEW_YEAR)).member == Member(
        "m-1", needs_longer=True, valid_until=NEW_YEAR
    )


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_the_wire_lets_in_as_many_cards_as_are_stored() -> None:
    assert wire.CARDS_MAX == credentials.MAX_CARDS
