from __future__ import annotations

import json
import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.effects import AppendEntry, BeginVisit, EndVisit, VisitChange
from agent.events import LoggedEntry, Member, Template
from agent.storage.database import StorageInUseError, open_readonly
from agent.storage.head import read_head
from agent.storage.log import read_after, verify
from tests.storage.conftest import Opener
from tests.storage.inbox import Inbox, append, entry, erase, save

VECTOR = np.linspace(-1, 1, 128, dtype=np.float32)
MEMBER = Member("m1", (Template("dlib", "w" * 64, VECTOR),))


def first_of_epoch(directory: Path, epoch: int) -> dict[str, Any]:
    found = entries(directory, epoch)[0]
    assert (found.epoch, found.sequence, found.type) == (epoch, 1, "station.log.epoch_began")
    assert found.body is not None
    body = json.loads(found.body)
    assert isinstance(body, dict)
    return body


def entries(directory: Path, epoch: int = 1) -> tuple[LoggedEntry, ...]:
    with closing(open_readonly(directory / "station.db")) as database:
        return read_after(database, epoch, 0, 1000)


def assert_verifies(directory: Path) -> None:
    with closing(open_readonly(directory / "station.db")) as database:
        assert verify(database, read_head(directory / "head")).first_break is None


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def run(open_writer: Opener, inbox: Inbox) -> Callable[..., None]:
    """One life of the agent that appends these."""

    def run_(*tags: str) -> None:
        writer, _ = open_writer()
        for tag in tags:
            append(writer, inbox, tag)
        assert writer.close(5.0)

    return run_


def test_the_first_start_begins_epoch_1_without_a_problem(open_writer: Opener, state: Path) -> None:
    _, restored = open_writer()
    assert (restored.newest, restored.cursor, restored.problems) == ((1, 1), (0, 0), ())
    assert first_of_epoch(state, 1) == {"reason": "first_start", "station": "test-1", "after": None, "head": None}


def test_the_next_start_continues_the_sequence(run: Callable[..., None], open_writer: Opener, inbox: Inbox) -> None:
    run("a", "b")
    writer, restored = open_writer()
    assert (restored.newest, restored.problems) == ((1, 3), ())
    assert append(writer, inbox, "c").sequence == 4


def test_files_are_for_the_agent_alone(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    append(writer, inbox, "a")
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    names = {path.name for path in state.iterdir()}
    assert {"station.db", "station.db-wal", "readings.db", "head", "ledger"} <= names
    assert {stat.S_IMODE(path.stat().st_mode) for path in state.iterdir()} == {0o600}


def test_the_promised_pragmas_hold(open_writer: Opener) -> None:
    writer, _ = open_writer()
    assert writer._files is not None
    connection = writer._files.database.conn
    found = {
        name: connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
    }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}


def test_a_restored_backup_begins_a_new_epoch_and_keeps_the_chain(
    run: Callable[..., None], open_writer: Opener, inbox: Inbox, state: Path, tmp_path: Path
) -> None:
    run("a")
    shutil.copy(state / "station.db", tmp_path / "backup")
    run("b", "c")
    shutil.copy(tmp_path / "backup", state / "station.db")
    writer, restored = open_writer()
    assert restored.newest == (2, 1)
    assert [code for code, _ in restored.problems] == ["log_epoch_began"]
    assert append(writer, inbox, "d").epoch == 2
    assert writer.close(5.0)
    body = first_of_epoch(state, 2)
    assert body["reason"] == "database_older"
    assert body["after"] == {"epoch": 1, "sequence": 2, "hash": entries(state)[1].hash}
    assert body["head"] == {"epoch": 1, "sequence": 4}
    assert_verifies(state)
    _, restored = open_writer()
    assert (restored.newest, restored.problems) == ((2, 2), ())


def test_a_backup_of_everything_that_is_put_back_begins_a_new_epoch(
    run: Callable[..., None], open_writer: Opener, inbox: Inbox, state: Path, tmp_path: Path
) -> None:
    run("a")
    shutil.copytree(state, tmp_path / "backup")
    run("b", "c")
    state.rename(tmp_path / "lost")
    shutil.copytree(tmp_path / "backup", state)
    writer, restored = open_writer()
    assert (restored.newest, [code for code, _ in restored.problems]) == ((2, 1), ["log_epoch_began"])
    assert append(writer, inbox, "d").epoch == 2
    assert writer.close(5.0)
    assert first_of_epoch(state, 2)["reason"] == "head_copied"
    assert_verifies(state)
    _, restored = open_writer()
    assert (restored.newest, restored.problems) == ((2, 2), ())


def test_a_directory_that_is_moved_goes_on(run: Callable[..., None], open_writer: Opener, state: Path) -> None:
    run("a")
    state.rename(state.with_name("moved"))
    _, restored = open_writer(state.with_name("moved"))
    assert (restored.newest, restored.problems) == ((1, 2), ())


def test_a_database_of_a_copy_that_went_its_own_way_begins_a_new_epoch(
    run: Callable[..., None], open_writer: Opener, state: Path, tmp_path: Path
) -> None:
    run("a")
    shutil.copytree(state, tmp_path / "copy")
    run("b")
    writer, _ = open_writer(tmp_path / "copy")
    writer.submit(entry("other"))
    assert writer.close(5.0)
    shutil.copy(tmp_path / "copy" / "station.db", state / "station.db")
    _, restored = open_writer()
    assert restored.newest == (3, 1)
    assert first_of_epoch(state, 3)["reason"] == "database_diverged"
    assert_verifies(state)


def test_another_entry_at_the_place_of_the_head_begins_a_new_epoch(
    run: Callable[..., None], open_writer: Opener, state: Path
) -> None:
    run("a")
    before = {name: (state / name).read_bytes() for name in ("station.db", "head")}
    run("b")
    head = (state / "head").read_bytes()
    for name, content in before.items():  # as a copy of the whole disk would: in place
        (state / name).write_bytes(content)
    run("other-1", "other-2")
    (state / "head").write_bytes(head)
    _, restored = open_writer()
    assert restored.newest == (2, 1)
    assert first_of_epoch(state, 2)["reason"] == "database_diverged"
    assert_verifies(state)


def test_a_database_that_is_gone_begins_the_epoch_after_the_heads(
    run: Callable[..., None], open_writer: Opener, state: Path
) -> None:
    run("a")
    (state / "station.db").unlink()
    _, restored = open_writer()
    assert restored.newest == (2, 1)
    assert first_of_epoch(state, 2)["reason"] == "database_missing"


def drop_the_log(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE log")


def overwrite_a_page_that_no_start_reads(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        ((page,),) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'visits'").fetchall()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xa5" * 4096)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"not a database at all" * 1000),
        lambda path: path.write_bytes(path.read_bytes()[:5000]),
        lambda path: path.write_bytes(b"\xff" * 100 + path.read_bytes()[100:]),
        lambda path: path.write_bytes(path.read_bytes()[:4096] + b"\xa5" * (path.stat().st_size - 4096)),
        overwrite_a_page_that_no_start_reads,
        drop_the_log,
    ],
    ids=["other content", "cut off", "header", "pages", "one page", "no table"],
)
def test_a_damaged_database_is_kept_aside_and_a_new_epoch_begins(
    damage: Callable[[Path], object], run: Callable[..., None], open_writer: Opener, inbox: Inbox, state: Path
) -> None:
    run("a", "b")
    damage(state / "station.db")
    damaged = (state / "station.db").read_bytes()
    writer, restored = open_writer()
    assert restored.newest == (2, 1)
    assert [code for code, _ in restored.problems] == ["database_set_aside", "log_epoch_began"]
    (kept,) = state.glob("station.db.damaged-*Z")
    assert kept.read_bytes() == damaged
    assert first_of_epoch(state, 2)["reason"] == "database_damaged"
    append(writer, inbox, "c")
    assert writer.close(5.0)
    assert_verifies(state)


def test_a_database_marked_while_it_ran_is_set_aside(
    run: Callable[..., None], open_writer: Opener, state: Path
) -> None:
    run("a")
    (state / "station.db.suspect").touch()
    writer, restored = open_writer()
    assert restored.newest == (2, 1)
    assert writer.close(5.0)
    assert open_writer()[1].newest == (2, 1)


def test_only_a_few_damaged_databases_are_kept(run: Callable[..., None], state: Path) -> None:
    for _ in range(5):
        run("a")
        (state / "station.db").write_bytes(b"damaged" * 1000)
    run("a")
    assert len(list(state.glob("station.db.damaged-*Z"))) == 3


@pytest.mark.parametrize(
    ("damage", "reason"),
    [(Path.unlink, "head_missing"), (lambda path: path.write_bytes(b"\0" * 9000), "head_damaged")],
)
def test_without_a_head_a_new_epoch_begins(
    damage: Callable[[Path], object], reason: str, run: Callable[..., None], open_writer: Opener, state: Path
) -> None:
    run("a")
    damage(state / "head")
    writer, restored = open_writer()
    assert restored.newest == (2, 1)
    assert first_of_epoch(state, 2)["reason"] == reason
    assert writer.close(5.0)
    assert open_writer()[1].newest == (2, 1)


def test_an_epoch_is_never_given_out_twice_even_when_database_and_head_are_lost(
    run: Callable[..., None], open_writer: Opener, state: Path
) -> None:
    run("a")
    (state / "head").unlink()
    run("b")
    (state / "head").unlink()
    (state / "station.db").unlink()
    assert open_writer()[1].newest == (3, 1)


def test_a_head_that_a_crash_left_behind_its_database_is_brought_up(
    run: Callable[..., None], open_writer: Opener, state: Path, tmp_path: Path
) -> None:
    run("a")
    shutil.copy(state / "head", tmp_path / "head")
    run("b", "c")
    shutil.copy(tmp_path / "head", state / "head")
    _, restored = open_writer()
    assert (restored.newest, restored.problems) == ((1, 4), ())
    found = read_head(state / "head")
    assert found is not None
    assert found.place == (1, 4)


def test_a_member_that_a_backup_brings_back_is_erased_again(
    open_writer: Opener, inbox: Inbox, state: Path, tmp_path: Path
) -> None:
    writer, _ = open_writer()
    save(writer, inbox, MEMBER)
    save(writer, inbox, Member("m2"))
    assert writer.close(5.0)
    shutil.copy(state / "station.db", tmp_path / "backup")
    writer, _ = open_writer()
    assert erase(writer, inbox, "m1")
    assert writer.close(5.0)
    shutil.copy(tmp_path / "backup", state / "station.db")
    writer, restored = open_writer()
    assert [member.id for member in restored.members] == ["m2"]
    assert any(code == "members_erased_again" and text.startswith("1 ") for code, text in restored.problems)
    assert writer.close(5.0)
    assert VECTOR.tobytes() not in (state / "station.db").read_bytes()
    assert_verifies(state)


def test_a_member_enrolled_afresh_after_an_erasure_stays(
    open_writer: Opener, inbox: Inbox, state: Path, tmp_path: Path
) -> None:
    writer, _ = open_writer()
    save(writer, inbox, MEMBER)
    assert writer.close(5.0)
    shutil.copy(state / "station.db", tmp_path / "before the erasure")
    writer, _ = open_writer()
    erase(writer, inbox, "m1")
    save(writer, inbox, MEMBER)
    save(writer, inbox, MEMBER, "Wang Fang the second")
    assert writer.close(5.0)
    writer, restored = open_writer()
    assert restored.members == (MEMBER,)
    assert writer.close(5.0)
    shutil.copy(tmp_path / "before the erasure", state / "station.db")
    assert open_writer()[1].members == ()


def test_members_and_open_visits_come_back(open_writer: Opener, inbox: Inbox) -> None:
    writer, _ = open_writer()
    suspended = Member("m2", (), is_suspended=True)
    two_engines = Member("m3", (Template("dlib", "w1", VECTOR), Template("sface", "w2", -VECTOR)))
    for member in (MEMBER, suspended, two_engines):
        save(writer, inbox, member)
    begins = (BeginVisit("v1", "m1", 100.0), BeginVisit("v2", None, 101.0), BeginVisit("v3", "m1", 102.0))
    writer.submit(entry_with(begins, "in"))
    writer.submit(entry_with((EndVisit("v1", 103.0, "exit_button"),), "out"))
    inbox.wait_for_tag("out")
    assert writer.close(5.0)
    _, restored = open_writer()
    assert restored.members == (MEMBER, suspended, two_engines)
    np.testing.assert_array_equal(restored.members[2].templates[1].vector, -VECTOR)
    assert [(visit.id, visit.member_id) for visit in restored.open_visits] == [("v2", None), ("v3", "m1")]


def entry_with(visits: tuple[VisitChange, ...], tag: str) -> AppendEntry:
    return replace(entry(tag), visits=visits)


def test_a_template_that_cannot_be_read_is_said_and_the_others_are_used(
    open_writer: Opener, inbox: Inbox, state: Path
) -> None:
    writer, _ = open_writer()
    save(writer, inbox, MEMBER)
    save(writer, inbox, Member("m2", (Template("dlib", "w" * 64, VECTOR),)))
    assert writer.close(5.0)
    with closing(sqlite3.connect(state / "station.db")) as connection, connection:
        connection.execute("UPDATE templates SET key_id = 'k1' WHERE member_id = 'm1'")
    _, restored = open_writer()
    assert restored.members == (Member("m1"), Member("m2", MEMBER.templates))
    assert restored.problems == ()
    assert [(code, where) for code, where, _ in restored.faults] == [("vault.key_lost", "vault")]


def test_a_second_writer_in_the_same_directory_is_refused(open_writer: Opener) -> None:
    open_writer()
    with pytest.raises(StorageInUseError, match="another agent"):
        open_writer()
