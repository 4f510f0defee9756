"""A start on a disk that cannot be written: the agent goes on with what can be read, and loses nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agent.clock import Clock, SystemClock
from agent.effects import BeginVisit, EraseMember, MoveCursor, ReadEntries, ReadOutbox, RunQuery
from agent.events import (
    STORAGE_NOT_OPENED,
    EntriesLogged,
    EntriesLost,
    EntriesRead,
    LoggedEntry,
    Member,
    MemberErased,
    OutboxRead,
    QueryAnswered,
    Restored,
    StorageFailed,
    StorageOpened,
    StorageRecovered,
    Template,
    WorkerFailed,
)
from agent.storage import late, opening, orders
from agent.storage.database import StorageInUseError, open_readonly
from agent.storage.head import Head, read_head
from agent.storage.keys import KeyFile
from agent.storage.late import read_restored
from agent.storage.log import read_after, verify
from agent.storage.space import RESERVE_FILE
from agent.storage.writer import StorageWriter
from tests.storage.conftest import Opener, fill
from tests.storage.inbox import WAIT_S, Inbox, append, entry, erase, save

VECTOR = np.linspace(-1, 1, 128, dtype=np.float32)
MEMBER = Member("m1", (Template("dlib", "w" * 64, VECTOR),))
Unwritable = Callable[[Path], tuple[Path, Callable[[], object]]]

OTHER = Member("m2", (Template("dlib", "w" * 64, -VECTOR),))


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second between attempts only makes the tests long."""
    monkeypatch.setattr(late, "_FIRST_RETRY_S", 0.02)
    monkeypatch.setattr(late, "_LAST_RETRY_S", 0.1)


@pytest.fixture
def former(open_writer: Opener, inbox: Inbox, tmp_path: Path) -> Path:
    """What a former life left: two members, an open visit, 3 entries with the last cursor at 2; it ended properly."""
    directory = tmp_path / "former"
    _live(*open_writer(directory), inbox)
    return directory


@pytest.fixture
def killed(open_writer: Opener, inbox: Inbox, tmp_path: Path) -> Path:
    """The same, but killed: most of it stands in the write-ahead file alone."""
    alive, directory = tmp_path / "alive", tmp_path / "killed"
    writer, restored = open_writer(alive)
    _live(writer, restored, inbox, is_killed=True)
    transplant(alive, directory)
    assert (directory / "station.db-wal").stat().st_size > 0
    return directory


def transplant(source: Path, directory: Path) -> None:
    """Copy a directory as if it had always been where it is now."""
    shutil.copytree(source, directory, ignore=shutil.ignore_patterns(RESERVE_FILE))  # as large as a disk of a test
    head = Head(directory / "head")
    head.write(head.position)
    head.close()


def _live(writer: StorageWriter, _restored: Restored, inbox: Inbox, *, is_killed: bool = False) -> None:
    save(writer, inbox, MEMBER)
    save(writer, inbox, OTHER)
    writer.submit(replace(entry("former-in"), visits=(BeginVisit("v1", "m1", 100.0),)))
    inbox.wait_for_tag("former-in")
    writer.submit(MoveCursor(1, 2))
    append(writer, inbox, "former")
    inbox.events.clear()
    if not is_killed:
        assert writer.close(5.0)


@pytest.fixture
def unwritable(tmp_path: Path) -> Iterator[Unwritable]:
    """Put a directory where nothing can be written, and say how that ends.

    A disk that is mounted read-only, or files without the right to write for an account that is not root.
    """
    mounts: list[Path] = []

    def on_a_disk(source: Path) -> tuple[Path, Callable[[], object]]:
        disk = tmp_path / "disk"
        disk.mkdir()
        mount = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(disk)], capture_output=True, check=False
        )
        if mount.returncode:
            pytest.skip("this root may not mount a tmpfs: run it as another account, for whom a right is taken away")
        mounts.append(disk)
        transplant(source, disk / "state")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        return disk / "state", lambda: subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)

    def without_the_right(source: Path) -> tuple[Path, Callable[[], object]]:
        state = tmp_path / "state"
        transplant(source, state)

        def set_modes(directory: int, file: int) -> None:
            state.chmod(0o700)
            for path in state.iterdir():
                path.chmod(file)
            state.chmod(directory)

        set_modes(0o500, 0o400)
        return state, lambda: set_modes(0o700, 0o600)

    yield without_the_right if os.geteuid() else on_a_disk
    for mount in mounts:
        subprocess.run(["umount", "-l", str(mount)], check=True)


def log_of(state: Path) -> tuple[LoggedEntry, ...]:
    with closing(open_readonly(state / "station.db")) as database:
        assert verify(database, read_head(state / "head")).first_break is None
        return read_after(database, 0, 0, 100_000)


def without_shared_index(state: Path) -> None:
    (state / "station.db-shm").unlink()


@pytest.mark.parametrize(
    ("left", "prepare"),
    [("former", lambda _: None), ("killed", lambda _: None), ("killed", without_shared_index)],
    ids=["ended", "killed", "killed, no index"],
)
def test_where_nothing_can_be_written_all_that_is_there_is_read_and_what_waits_is_written_later(
    left: str,
    prepare: Callable[[Path], None],
    request: pytest.FixtureRequest,
    unwritable: Unwritable,
    open_writer: Opener,
    inbox: Inbox,
) -> None:
    directory = request.getfixturevalue(left)
    prepare(directory)
    state, mend = unwritable(directory)
    writer, restored = open_writer(state)
    assert restored.members == (MEMBER, OTHER)
    np.testing.assert_array_equal(restored.members[0].templates[0].vector, VECTOR)
    assert [(visit.id, visit.member_id) for visit in restored.open_visits] == [("v1", "m1")]
    # The cursor is written with the readings and at the end: a death forgets it, and entries are sent again.
    assert (restored.newest, restored.cursor) == ((1, 3), (0, 0) if left == "killed" else (1, 2))
    ((code, sentence),) = restored.problems
    assert code == STORAGE_NOT_OPENED
    assert "cannot be opened" in sentence
    assert inbox.wait(StorageFailed).reason == sentence

    sent = [f"t{n}" for n in range(50)]
    for tag in sent:
        writer.submit(entry(tag))
    writer.submit(ReadOutbox(1, 2, 10))
    assert inbox.wait(OutboxRead).entries == ()
    writer.submit(ReadEntries("again", 1, 0, 2, 10))
    assert "not open" in inbox.wait(EntriesRead).error
    writer.submit(RunQuery("q1", "members_list", {}))
    assert "could not be opened" in inbox.wait(QueryAnswered).error
    assert not inbox.receipts()

    mend()
    inbox.wait(StorageRecovered)
    kinds = [type(event) for event in inbox.events]
    assert kinds.index(StorageOpened) < kinds.index(EntriesLogged) < kinds.index(StorageRecovered)
    opened = inbox.wait(StorageOpened).restored
    assert opened == replace(restored, open_visits=(), inside=None, order="", problems=()), "the start has the rest"
    assert [(each.epoch, each.sequence, each.tag) for each in inbox.receipts()] == [
        (1, 4 + n, tag) for n, tag in enumerate(sent)
    ]
    writer.submit(RunQuery("q2", "members_list", {}))
    assert len(inbox.wait(QueryAnswered, lambda e: e.request == "q2").rows) == 2
    assert writer.close(5.0)
    assert len(log_of(state)) == 3 + len(sent)
    assert len(inbox.all(StorageFailed)) == 1
    assert not inbox.all(EntriesLost)


def test_a_full_disk_with_a_log_on_it_is_read_and_written_once_there_is_space(
    small_disk: Path, killed: Path, open_writer: Opener, inbox: Inbox
) -> None:
    state = small_disk / "state"
    transplant(killed, state)
    without_shared_index(state)
    ballast = fill(small_disk)
    writer, restored = open_writer(state)
    assert restored.members == (MEMBER, OTHER)
    assert restored.newest == (1, 3)
    writer.submit(entry("a"))
    assert "full" in inbox.wait(StorageFailed).reason
    ballast.unlink()
    inbox.wait(StorageRecovered)
    assert inbox.wait_for_tag("a").sequence == 4
    assert writer.close(5.0)
    assert len(log_of(state)) == 4


def test_a_first_start_on_a_full_disk_begins_epoch_1_once_there_is_space_however_often_it_was_tried(
    small_disk: Path, open_writer: Opener, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[Path] = []

    def count(
        directory: Path, station: str, clock: Clock, progress: opening.Progress, keys: KeyFile
    ) -> opening.OpenFiles:
        attempts.append(directory)
        return opening.open_files(directory, station, clock, progress, keys)

    monkeypatch.setattr(late, "open_files", count)
    state = small_disk / "state"
    ballast = fill(small_disk)
    with ballast.open("r+b") as file:  # room for the ledger, and not for a database
        file.truncate(ballast.stat().st_size - 12 * 4096)
    writer, restored = open_writer(state)
    assert (restored.members, restored.newest) == ((), (0, 0))
    writer.submit(entry("a"))
    await_(lambda: len(attempts) > 5)
    ballast.unlink()
    inbox.wait(StorageRecovered)
    assert inbox.wait(StorageOpened).restored == Restored(newest=(1, 1), revoked_passes=frozenset())
    assert inbox.wait_for_tag("a").sequence == 2
    assert writer.close(5.0)
    assert [each.type for each in log_of(state)] == ["station.log.epoch_began", "station.test.happened"]
    assert (state / "ledger").read_bytes().count(b"\n") == 1


def test_an_epoch_that_a_failed_attempt_put_into_the_ledger_is_the_one_that_begins(
    former: Path, open_writer: Opener, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    (former / "head").unlink()
    (former / "station.db").write_bytes(b"damaged" * 1000)
    failures = 3
    write = Head.write

    def fail(head: Head, position: object) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise OSError(28, "No space left on device")
        write(head, position)  # type: ignore[arg-type]

    monkeypatch.setattr(Head, "write", fail)
    open_writer(former)
    restored = inbox.wait(StorageOpened).restored
    assert restored.newest == (2, 1)
    assert [code for code, _ in restored.problems] == ["database_set_aside", "log_epoch_began"]
    assert "(database_damaged)" in restored.problems[1][1]


def test_where_nothing_can_be_read_members_and_visits_are_told_when_it_opens(
    former: Path, open_writer: Opener, inbox: Inbox, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.touch()  # not even a directory
    writer, restored = open_writer(state)
    assert replace(restored, problems=()) == Restored(is_read=False)
    assert "no member is known" in restored.problems[0][1]
    writer.submit(EraseMember("e", "m2", 100.0))
    state.unlink()
    former.rename(state)
    opened = inbox.wait(StorageOpened).restored
    assert opened.members == (MEMBER,), "whoever waits to be erased is not admitted again"
    assert [visit.id for visit in opened.open_visits] == ["v1"]
    assert (opened.newest, opened.cursor) == ((1, 3), (1, 2))
    assert inbox.wait(MemberErased).existed


def test_a_member_that_a_backup_brings_back_is_not_admitted_where_they_cannot_be_erased_again(
    former: Path, unwritable: Unwritable, open_writer: Opener, inbox: Inbox, tmp_path: Path
) -> None:
    shutil.copy(former / "station.db", tmp_path / "backup")
    writer, _ = open_writer(former)
    assert erase(writer, inbox, "m1")
    assert writer.close(5.0)
    shutil.copy(tmp_path / "backup", former / "station.db")
    state, _ = unwritable(former)
    _, restored = open_writer(state)
    assert restored.members == (OTHER,)
    assert [(visit.id, visit.member_id) for visit in restored.open_visits] == [("v1", None)]


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: (state / "station.db").write_bytes(b"damaged" * 1000),
        lambda state: (state / "station.db.suspect").touch(),
        lambda state: (state / "station.db").unlink(),
    ],
    ids=["damaged", "marked", "missing"],
)
def test_what_a_proper_start_would_set_aside_is_not_believed(
    damage: Callable[[Path], object], former: Path, unwritable: Unwritable, open_writer: Opener
) -> None:
    damage(former)
    state, _ = unwritable(former)
    _, restored = open_writer(state)
    assert replace(restored, problems=()) == Restored(is_read=False)


def test_reading_without_writing_leaves_every_byte_as_it_was(killed: Path) -> None:
    without_shared_index(killed)
    with (killed / "ledger").open("ab") as file:
        file.write(b'{"kind":"erased","mem')  # torn by the power cut
    before = {path.name: path.read_bytes() for path in killed.iterdir()}
    restored = read_restored(killed)
    assert restored is not None
    assert restored.newest == (1, 3)
    assert {path.name: path.read_bytes() for path in killed.iterdir()} == before


def test_two_agents_never_share_a_directory_that_cannot_be_written(
    former: Path, unwritable: Unwritable, open_writer: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late, "_FIRST_RETRY_S", 60.0)
    state, _ = unwritable(former)
    open_writer(state)
    with pytest.raises(StorageInUseError, match="another agent"):
        open_writer(state)


def test_a_directory_that_another_agent_took_meanwhile_ends_this_one(
    former: Path, open_writer: Opener, inbox: Inbox, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.touch()
    open_writer(state)
    held = Head(former / "head")
    try:
        state.unlink()
        former.rename(state)
        assert "another agent" in inbox.wait(WorkerFailed).reason
    finally:
        held.close()


def test_what_the_bound_drops_is_told_while_nothing_can_be_opened_and_said_in_the_log_later(
    open_writer: Opener, inbox: Inbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "WAITING_ORDERS", 5)
    state = tmp_path / "state"
    state.touch()
    writer, _ = open_writer(state)
    for n in range(8):
        writer.submit(entry(f"t{n}"))
    await_(lambda: [tag for event in inbox.all(EntriesLost) for tag in event.tags] == ["t5", "t6", "t7"])
    state.unlink()
    inbox.wait(StorageRecovered)
    assert writer.close(5.0)
    assert [each.body for each in log_of(state)[-2:]] == ['{"tag":"t4"}', '{"entries":3,"readings":0}']


def test_at_the_end_it_is_tried_once_more(open_writer: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late, "_FIRST_RETRY_S", 60.0)
    state = tmp_path / "state"
    state.touch()
    writer, _ = open_writer(state)
    writer.submit(entry("a"))
    state.unlink()
    assert writer.close(5.0)
    assert len(log_of(state)) == 2


def test_closing_ends_at_once_where_nothing_could_be_opened(tmp_path: Path, inbox: Inbox) -> None:
    (tmp_path / "state").touch()
    writer = StorageWriter(tmp_path / "state", "test-1", SystemClock(), inbox)
    writer.open()
    assert not inbox.all(StorageOpened)
    writer.submit(entry("a"))
    began = time.monotonic()
    assert not writer.close(10.0)
    assert time.monotonic() - began < 5.0


def await_(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
