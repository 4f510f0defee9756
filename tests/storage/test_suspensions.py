"""Suspensions and what else is kept of members: over restarts, restored backups and disks that cannot be written."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.effects import SuspendMember
from agent.events import Member, MemberSuspended
from agent.storage.late import read_restored
from agent.storage.ledger import Ledger
from agent.storage.writer import StorageWriter
from tests.storage.conftest import Opener
from tests.storage.inbox import Inbox, erase, save
from tests.storage.test_opening import assert_verifies

UNTIL = datetime(2026, 12, 24, 18, 30, tzinfo=UTC)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def suspend(
    writer: StorageWriter, inbox: Inbox, *, is_suspended: bool = True, until: datetime | None = None
) -> MemberSuspended:
    request = f"suspend-{len(inbox.events)}"
    writer.submit(SuspendMember(request, "m-1", is_suspended, 100.0, until))
    return inbox.wait(MemberSuspended, lambda each: each.request == request)


def with_members(open_writer: Opener, inbox: Inbox) -> StorageWriter:
    writer, _ = open_writer()
    for member_id in ("m-1", "m-2"):
        save(writer, inbox, Member(member_id))
    return writer


def test_a_suspension_is_there_after_a_restart_and_so_is_its_end(open_writer: Opener, inbox: Inbox) -> None:
    writer = with_members(open_writer, inbox)
    told = suspend(writer, inbox, until=UNTIL)
    assert (told.existed, told.is_suspended, told.until) == (True, True, UNTIL)
    assert writer.close(5.0)
    writer, restored = open_writer()
    assert restored.members == (Member("m-1", is_suspended=True, suspended_until=UNTIL), Member("m-2"))
    assert suspend(writer, inbox, is_suspended=False).existed
    assert writer.close(5.0)
    assert open_writer()[1].members == (Member("m-1"), Member("m-2"))


@pytest.mark.parametrize("is_resumed", [False, True])
def test_a_restored_backup_neither_lifts_a_suspension_nor_brings_one_back(
    open_writer: Opener, inbox: Inbox, state: Path, tmp_path: Path, is_resumed: bool
) -> None:
    writer = with_members(open_writer, inbox)
    if is_resumed:
        suspend(writer, inbox)
    assert writer.close(5.0)
    shutil.copy(state / "station.db", tmp_path / "backup")
    writer, _ = open_writer()
    suspend(writer, inbox, is_suspended=not is_resumed, until=None if is_resumed else UNTIL)
    assert writer.close(5.0)
    shutil.copy(tmp_path / "backup", state / "station.db")
    writer, restored = open_writer()
    expected = Member("m-1") if is_resumed else Member("m-1", is_suspended=True, suspended_until=UNTIL)
    assert restored.members == (expected, Member("m-2"))
    assert [code for code, _ in restored.problems] == ["suspensions_applied_again"]
    assert writer.close(5.0)
    assert_verifies(state)
    with closing(sqlite3.connect(state / "station.db")) as connection:
        (body,) = connection.execute("SELECT body FROM log WHERE type = 'station.ledger.applied'").fetchone()
    assert json.loads(body)["suspensions"] == 1
    assert open_writer()[1].problems == ()


def test_a_backup_on_a_disk_that_cannot_be_written_lifts_no_suspension_either(
    open_writer: Opener, inbox: Inbox, state: Path, tmp_path: Path
) -> None:
    writer = with_members(open_writer, inbox)
    assert writer.close(5.0)
    shutil.copy(state / "station.db", tmp_path / "backup")
    writer, _ = open_writer()
    suspend(writer, inbox, until=UNTIL)
    assert writer.close(5.0)
    shutil.copy(tmp_path / "backup", state / "station.db")
    found = read_restored(state)
    assert found is not None
    assert found.members == (Member("m-1", is_suspended=True, suspended_until=UNTIL), Member("m-2"))


def test_what_the_power_cut_between_ledger_and_row_is_done_by_the_next_start(
    open_writer: Opener, inbox: Inbox, state: Path
) -> None:
    writer = with_members(open_writer, inbox)
    suspend(writer, inbox)
    assert writer.close(5.0)
    with closing(sqlite3.connect(state / "station.db")) as connection, connection:
        connection.execute("UPDATE members SET is_suspended = 0")
    assert open_writer()[1].members[0].is_suspended


def test_an_id_that_is_enrolled_afresh_is_not_suspended_for_who_had_it_before(
    open_writer: Opener, inbox: Inbox
) -> None:
    writer = with_members(open_writer, inbox)
    suspend(writer, inbox)
    assert erase(writer, inbox, "m-1")
    save(writer, inbox, Member("m-1"))
    assert writer.close(5.0)
    assert open_writer()[1].members == (Member("m-1"), Member("m-2"))


def test_saving_a_member_again_lifts_no_suspension(open_writer: Opener, inbox: Inbox) -> None:
    writer = with_members(open_writer, inbox)
    suspend(writer, inbox)
    save(writer, inbox, Member("m-1"), "Another Name")
    assert writer.close(5.0)
    assert open_writer()[1].members[0].is_suspended


def test_a_ledger_that_cannot_be_written_suspends_later_and_writes_one_line(
    open_writer: Opener, inbox: Inbox, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = with_members(open_writer, inbox)
    failures = 3
    append = Ledger.append

    def fail(ledger: Ledger, kind: str, **fields: object) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise OSError(28, os.strerror(28))
        append(ledger, kind, **fields)

    monkeypatch.setattr(Ledger, "append", fail)
    assert suspend(writer, inbox).existed
    assert (state / "ledger").read_text().count('"suspended"') == 1


def test_who_is_nobody_is_told_so_and_leaves_no_line(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    assert not suspend(writer, inbox).existed
    assert "suspended" not in (state / "ledger").read_text()


def test_members_of_an_older_agent_are_taken_over_and_can_be_read_before(
    open_writer: Opener, inbox: Inbox, state: Path
) -> None:
    writer = with_members(open_writer, inbox)
    assert writer.close(5.0)
    with closing(sqlite3.connect(state / "station.db")) as connection, connection:
        for column in ("valid_from_utc", "valid_until_utc", "categories", "needs_longer"):
            connection.execute(f"ALTER TABLE members DROP COLUMN {column}")
        connection.execute("ALTER TABLE members DROP COLUMN suspended_until_utc")
        connection.execute("UPDATE members SET is_suspended = 1 WHERE id = 'm-2'")
        connection.execute("DELETE FROM _sqlite_migrations WHERE name LIKE 'm007_%' OR name LIKE 'm009_%'")
    expected = (Member("m-1"), Member("m-2", is_suspended=True))
    found = read_restored(state)
    assert found is not None
    assert found.members == expected
    assert open_writer()[1].members == expected
