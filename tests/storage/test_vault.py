"""Templates at rest: sealed, bound to their place, under keys that can be lost, turned and put back."""

from __future__ import annotations

import base64
import copy
import logging
import os
import pickle
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.effects import DescribeVault, RotateVault, SaveMember
from agent.events import (
    Member,
    MemberSaved,
    Restored,
    StorageFailed,
    Template,
    VaultDescribed,
    VaultExamined,
    VaultRefused,
    VaultRotated,
)
from agent.storage import sealing
from agent.storage.database import open_readonly
from agent.storage.keys import ForgedError, Key, KeyFaultError, KeyFile, find_keys, make_key, ring_of
from agent.storage.late import read_restored
from agent.storage.log import read_after
from agent.storage.vault import LockedError, Place, Vault
from agent.storage.writer import StorageWriter
from tests.storage.conftest import Opener
from tests.storage.inbox import Inbox, erase, save

VECTOR = np.random.default_rng(20261122).standard_normal(128).astype(np.float32)
PLAIN = VECTOR.tobytes()
PLACE = Place("m-1", "0011223344556677", "dlib", "w" * 64)


def member(name: str, number: int = 1, engine: str = "dlib") -> Member:
    return Member(name, (Template(engine, "w" * 64, VECTOR * number),))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def rows(state: Path) -> list[tuple[str, str, str, str | None, bytes]]:
    with closing(sqlite3.connect(state / "station.db")) as database:
        return database.execute(
            "SELECT member_id, engine, weights, key_id, vector FROM templates ORDER BY member_id, engine"
        ).fetchall()


def change(state: Path, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(state / "station.db")) as database, database:
        database.execute(sql, values)


def files_holding(folder: Path, trace: bytes) -> list[str]:
    return [path.name for path in sorted(folder.rglob("*")) if path.is_file() and trace in path.read_bytes()]


def codes(restored: Restored) -> list[tuple[str, str]]:
    return [(code, where) for code, where, _ in restored.faults]


def rotate(writer: StorageWriter, inbox: Inbox) -> VaultRotated:
    request = f"rotate-{len(inbox.events)}"
    writer.submit(RotateVault(request))
    return inbox.wait(VaultRotated, lambda e: e.request == request)


def refused(writer: StorageWriter, inbox: Inbox, effect: SaveMember | RotateVault) -> VaultRefused:
    writer.submit(effect)
    return inbox.wait(VaultRefused, lambda e: e.request == effect.request)


# --- what lies on the disk -------------------------------------------------------------------------------------------


def test_no_file_holds_a_vector_and_every_restart_reads_it(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    save(writer, inbox, member("m-1"))
    assert files_holding(state, PLAIN) == files_holding(state, PLAIN[:16]) == []
    assert writer.close(5.0)
    assert files_holding(state, PLAIN) == []
    _, restored = open_writer()
    np.testing.assert_array_equal(restored.members[0].templates[0].vector, VECTOR)
    assert restored.faults == ()
    assert (state / "template.keys").stat().st_mode & 0o777 == 0o600


def test_saving_the_same_face_again_gives_other_bytes(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    save(writer, inbox, member("m-1"))
    (first,) = rows(state)
    save(writer, inbox, member("m-1"))
    (second,) = rows(state)
    assert first[:4] == second[:4]
    assert first[4] != second[4]
    assert len(first[4]) == 12 + len(PLAIN) + 16


def make_plain(state: Path) -> None:
    """Turn the directory into that of a version before templates were encrypted, with all that it left lying about."""
    with closing(sqlite3.connect(state / "station.db")) as database:
        database.execute("PRAGMA secure_delete=OFF")
        database.execute("PRAGMA wal_autocheckpoint=0")
        with database:
            database.execute("UPDATE templates SET key_id = NULL, vector = ?", [PLAIN])
            database.executescript("CREATE TABLE litter (bytes BLOB)")
            database.executemany("INSERT INTO litter VALUES (?)", [(PLAIN * 20,)] * 20)
        database.execute("DROP TABLE litter")
        assert PLAIN in (state / "station.db-wal").read_bytes()
        shutil.copy(state / "station.db-wal", state / "kept-wal")
        shutil.copy(state / "station.db", state / "kept")
    (state / "kept-wal").rename(state / "station.db-wal")  # as a power cut leaves it
    (state / "kept").rename(state / "station.db")
    (state / "station.db.damaged-20260101T000000000000Z").write_bytes(b"?" + PLAIN)
    (state / "template.keys").unlink()
    (state / sealing.SWEPT_MARK).unlink()


def test_templates_in_the_clear_are_sealed_at_the_first_start_and_no_byte_of_them_is_left(
    open_writer: Opener, inbox: Inbox, state: Path
) -> None:
    writer, _ = open_writer()
    save(writer, inbox, member("m-1"))
    save(writer, inbox, member("m-2"))
    assert writer.close(5.0)
    make_plain(state)
    assert len(files_holding(state, PLAIN)) >= 2
    writer, restored = open_writer()
    assert files_holding(state, PLAIN) == []
    assert [each.id for each in restored.members if each.templates] == ["m-1", "m-2"]
    np.testing.assert_array_equal(restored.members[1].templates[0].vector, VECTOR)
    key_ids = {row[3] for row in rows(state)}
    with closing(open_readonly(state / "station.db")) as database:
        (entry,) = (each for each in read_after(database, 0, 0, 100) if each.type == "station.vault.sealed")
    assert key_ids == {entry.body.split('"')[3]} if entry.body else False
    assert writer.close(5.0)
    _, again = open_writer()
    assert again.members == restored.members
    assert again.faults == ()


def test_a_sweep_that_failed_is_a_fault_and_is_done_at_the_next_start(
    open_writer: Opener, inbox: Inbox, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, _ = open_writer()
    save(writer, inbox, member("m-1"))
    assert writer.close(5.0)
    make_plain(state)

    def fail(_database: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(sealing, "vacuum", fail)
        writer, restored = open_writer()
        assert codes(restored) == [("vault.remains", "vault")]
        assert restored.members[0].templates
        assert writer.close(5.0)
    _, restored = open_writer()
    assert restored.faults == ()
    assert files_holding(state, PLAIN) == []


# --- a row that is not what was sealed -------------------------------------------------------------------------------

KEY = make_key()
SEALED = KEY.seal(PLAIN, PLACE.bound())


def test_every_byte_of_a_sealed_template_is_under_its_tag() -> None:
    assert KEY.unseal(SEALED, PLACE.bound()) == PLAIN
    for index in range(len(SEALED)):
        forged = bytearray(SEALED)
        forged[index] ^= 1 << index % 8
        with pytest.raises(ForgedError):
            KEY.unseal(bytes(forged), PLACE.bound())


@given(st.binary(max_size=600))
def test_bytes_that_nobody_sealed_do_not_open(forged: bytes) -> None:
    with pytest.raises(ForgedError):
        KEY.unseal(forged, PLACE.bound())


@given(st.tuples(*[st.text(st.characters(exclude_categories=["Cs"]), max_size=70)] * 4))
def test_a_sealed_template_opens_at_its_own_place_alone(place: tuple[str, str, str, str]) -> None:
    other = Place(*place)
    if other == PLACE:
        return
    with pytest.raises(ForgedError):
        KEY.unseal(SEALED, other.bound())


@given(st.tuples(*[st.text(st.characters(exclude_categories=["Cs"]), max_size=20)] * 4), st.integers(1, 3))
def test_text_that_moves_from_one_part_of_the_place_to_the_next_is_another_place(
    place: tuple[str, str, str, str], at: int
) -> None:
    moved = [*place]
    moved[at - 1], moved[at] = moved[at - 1] + "x", moved[at]
    shifted = [*place]
    shifted[at] = "x" + shifted[at]
    assert Place(*moved).bound() != Place(*shifted).bound()


FORGERIES = {
    "another member's row": ("UPDATE templates SET vector = (SELECT vector FROM templates WHERE member_id = 'm-2')"),
    "another engine": "UPDATE templates SET engine = 'sface'",
    "other weights": "UPDATE templates SET weights = 'v'",
    "a former enrolment": "UPDATE members SET enrolment = 'ffffffffffffffff'",
    "a vector in the clear": "UPDATE templates SET key_id = NULL, vector = :plain",
    "no bytes": "UPDATE templates SET vector = x''",
    "text that is no UTF-8": "UPDATE templates SET engine = CAST(x'ff80' AS TEXT)",
    "a key id that is no UTF-8": "UPDATE templates SET key_id = CAST(x'ff80' AS TEXT)",
}


@pytest.mark.parametrize("what", FORGERIES)
def test_a_forged_row_is_refused_and_named_and_the_others_are_used(
    open_writer: Opener, inbox: Inbox, state: Path, what: str
) -> None:
    writer, _ = open_writer()
    for n, name in enumerate(("m-1", "m-2", "m-3"), 1):
        save(writer, inbox, member(name, n))
    assert writer.close(5.0)
    condition = "id = 'm-1'" if "UPDATE members" in FORGERIES[what] else "member_id = 'm-1'"
    with closing(sqlite3.connect(state / "station.db")) as database, database:
        database.execute(f"{FORGERIES[what]} WHERE {condition}", {"plain": PLAIN} if "plain" in FORGERIES[what] else {})
    writer, restored = open_writer()
    assert codes(restored) == [("vault.template_refused", "m-1")]
    assert [each.id for each in restored.members if each.templates] == ["m-2", "m-3"]

    save(writer, inbox, member("m-1"))  # enrolled anew: nothing is wrong any more
    assert inbox.wait(VaultExamined).faults == ()


def test_a_forged_row_goes_with_its_member(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    save(writer, inbox, member("m-1"))
    assert writer.close(5.0)
    change(state, "UPDATE templates SET weights = 'v'")
    writer, restored = open_writer()
    assert codes(restored) == [("vault.template_refused", "m-1")]
    assert erase(writer, inbox, "m-1")
    assert inbox.wait(VaultExamined).faults == ()


def test_a_hundred_forged_rows_are_not_a_hundred_faults(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    for n in range(30):
        save(writer, inbox, member(f"m-{n}", n + 1))
    assert writer.close(5.0)
    change(state, "UPDATE templates SET weights = 'v'")
    _, restored = open_writer()
    assert len(restored.faults) == 11
    assert restored.faults[-1] == ("vault.template_refused", "vault", "+20")


# --- a key that is lost, or wrong ------------------------------------------------------------------------------------


@pytest.fixture
def lost(open_writer: Opener, inbox: Inbox, state: Path) -> Path:
    """A station with two members whose key file was taken away; returns where it is now."""
    writer, _ = open_writer()
    save(writer, inbox, member("m-1"))
    save(writer, inbox, member("m-2", 2))
    assert writer.close(5.0)
    return (state / "template.keys").rename(state.parent / "template.keys")


def test_without_its_key_nothing_opens_nothing_is_changed_and_no_new_key_is_made(
    open_writer: Opener, inbox: Inbox, state: Path, lost: Path
) -> None:
    before = rows(state)
    writer, restored = open_writer()
    assert codes(restored) == [("vault.key_lost", "vault")]
    assert "2 templates cannot be read" in restored.faults[0][2]
    assert [each.templates for each in restored.members] == [(), ()]
    refusal = refused(writer, inbox, SaveMember("r", member("m-1", 3), "Somebody", 100.0))
    assert refusal.code == "vault.key_lost"
    assert inbox.all(MemberSaved)[2:] == []
    assert rows(state) == before
    assert not (state / "template.keys").exists()
    assert writer.close(5.0)

    lost.rename(state / "template.keys")
    _, restored = open_writer()
    assert restored.faults == ()
    assert all(each.templates for each in restored.members)


def test_with_a_wrong_key_the_rows_stay_and_the_right_one_beside_it_opens_all(
    open_writer: Opener, inbox: Inbox, state: Path, lost: Path
) -> None:
    KeyFile(state / "template.keys").write(ring_of(make_key()))
    before = rows(state)
    writer, restored = open_writer()
    assert codes(restored) == [("vault.key_lost", "vault")]
    assert before[0][3] is not None
    assert before[0][3] in restored.faults[0][2], "the key that is needed is named by its id"
    save(writer, inbox, member("m-3", 3))
    assert rows(state)[:2] == before
    assert writer.close(5.0)

    both = lost.read_text() + (state / "template.keys").read_text()
    (state / "template.keys").write_text(both)
    _, restored = open_writer()
    assert restored.faults == ()
    assert [len(each.templates) for each in restored.members] == [1, 1, 1]


def test_a_key_lost_for_good_is_followed_by_a_new_one_and_new_enrolments(
    open_writer: Opener, inbox: Inbox, state: Path, lost: Path
) -> None:
    before = rows(state)
    writer, _ = open_writer()
    done = rotate(writer, inbox)
    assert (done.templates, done.dropped) == (0, ())
    assert rows(state) == before
    save(writer, inbox, member("m-1"))
    assert rows(state)[1] == before[1]
    save(writer, inbox, member("m-2"))
    inbox.wait(VaultExamined, lambda e: e.faults == ())
    assert writer.close(5.0)
    _, restored = open_writer()
    assert restored.faults == ()
    assert all(each.templates for each in restored.members)
    assert lost.exists()


def test_a_locked_template_outlives_an_enrolment_with_another_engine_and_goes_with_the_consent(
    open_writer: Opener, inbox: Inbox, state: Path, lost: Path
) -> None:
    KeyFile(state / "template.keys").write(ring_of(make_key()))
    before = rows(state)
    writer, _ = open_writer()
    save(writer, inbox, member("m-1", engine="sface"))
    assert [row[:2] for row in rows(state)] == [("m-1", "dlib"), ("m-1", "sface"), ("m-2", "dlib")]
    assert rows(state)[0] == before[0]
    save(writer, inbox, Member("m-1"))
    assert [row[0] for row in rows(state)] == ["m-2"]


def test_a_key_that_is_put_back_while_the_agent_runs_counts_after_a_restart_and_the_fault_says_so(
    open_writer: Opener, inbox: Inbox, state: Path, lost: Path
) -> None:
    writer, _ = open_writer()
    lost.rename(state / "template.keys")
    assert rotate(writer, inbox).templates == 2
    ((code, _, detail),) = inbox.wait(VaultExamined).faults
    assert (code, "restart" in detail) == ("vault.key_lost", True)
    assert writer.close(5.0)
    _, restored = open_writer()
    assert restored.faults == ()
    assert all(each.templates for each in restored.members)


def test_a_disk_that_cannot_be_written_is_read_with_the_key_that_is_there(
    open_writer: Opener, inbox: Inbox, state: Path
) -> None:
    writer, _ = open_writer()
    save(writer, inbox, member("m-1"))
    assert writer.close(5.0)
    restored = read_restored(state)
    assert restored is not None
    np.testing.assert_array_equal(restored.members[0].templates[0].vector, VECTOR)
    assert restored.faults == ()
    (state / "template.keys").unlink()
    restored = read_restored(state)
    assert restored is not None
    assert codes(restored) == [("vault.key_lost", "vault")]


# --- rotation --------------------------------------------------------------------------------------------------------


def test_a_rotation_leaves_nothing_of_the_old_key(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    save(writer, inbox, member("m-1"))
    save(writer, inbox, member("m-2", 2))
    old = rows(state)
    secret = KeyFile(state / "template.keys").read().newest.text()
    (state / "station.db.damaged-20260101T000000000000Z").write_bytes(old[0][4])
    done = rotate(writer, inbox)
    assert done.templates == 2
    assert done.dropped == (old[0][3],)
    for row in old:
        assert files_holding(state, row[4][:64]) == []
    assert files_holding(state, secret.encode()) == []
    assert {row[3] for row in rows(state)} == {done.key}
    assert writer.close(5.0)
    _, restored = open_writer()
    assert restored.faults == ()
    np.testing.assert_array_equal(restored.members[1].templates[0].vector, 2 * VECTOR)


def test_a_rotation_waits_for_a_reader_and_entries_do_not(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    save(writer, inbox, member("m-1"))
    with closing(sqlite3.connect(state / "station.db")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM members").fetchall()
        writer.submit(RotateVault("r"))
        save(writer, inbox, member("m-2"))
        assert inbox.all(VaultRotated) == []
        reader.rollback()
    assert inbox.wait(VaultRotated).templates == 1
    assert inbox.all(StorageFailed) == []


def test_keys_that_an_operator_adds_or_takes_away_while_it_runs_are_minded(
    open_writer: Opener, inbox: Inbox, state: Path
) -> None:
    file = KeyFile(state / "template.keys")
    writer, _ = open_writer()
    save(writer, inbox, member("m-1"))
    added = make_key()
    file.path.write_text(file.path.read_text() + f"# ours\n  {added.text().upper()}  \n")
    assert rotate(writer, inbox).key == added.id
    file.path.unlink()
    done = rotate(writer, inbox)
    assert done.dropped == (added.id,)
    assert writer.close(5.0)
    _, restored = open_writer()
    assert restored.members[0].templates
    assert restored.faults == ()


def test_a_key_file_that_cannot_be_written_refuses_the_rotation_and_changes_nothing(
    open_writer: Opener, inbox: Inbox, state: Path
) -> None:
    writer, _ = open_writer()
    save(writer, inbox, member("m-1"))
    before = rows(state)
    (state / "template.keys").chmod(0o644)
    refusal = refused(writer, inbox, RotateVault("r"))
    assert refusal.code == "vault.key_refused"
    assert "0644" in refusal.detail
    assert rows(state) == before


def test_the_report_counts_and_names_ids_alone(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    save(writer, inbox, member("m-1"))
    writer.submit(DescribeVault("d"))
    report = inbox.wait(VaultDescribed).report
    key = KeyFile(state / "template.keys").read().newest
    assert report == {
        "source": "file",
        "path": str(state / "template.keys"),
        "keys": [{"id": key.id, "templates": 1, "seals": True}],
        "locked": 0,
        "in_the_clear": 0,
        "fault": None,
    }


# --- where keys come from --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o610, 0o666])
def test_a_key_file_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    file = KeyFile(tmp_path / "keys")
    file.write(ring_of(make_key()))
    file.path.chmod(mode)
    with pytest.raises(KeyFaultError, match=f"{mode:04o}.*chmod 600") as caught:
        file.read()
    assert caught.value.code == "vault.key_refused"


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_key_file_of_ones_own_is_read(tmp_path: Path, mode: int) -> None:
    file = KeyFile(tmp_path / "keys")
    key = make_key()
    file.write(ring_of(key))
    file.path.chmod(mode)
    assert tuple(file.read().keys) == (key.id,)


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file away needs root")
def test_a_key_file_of_another_account_is_refused(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys")
    file.write(ring_of(make_key()))
    os.chown(file.path, 54321, -1)
    with pytest.raises(KeyFaultError, match="54321"):
        file.read()


def test_what_is_no_key_file_is_refused_without_repeating_it(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    secret = make_key().text()
    for text in (secret[:-1], secret + "0", f"{secret} {secret}", "z" * 64, "Sealed", "\udcff" * 4, "1" * 70_000):
        path.write_bytes(f"# first\n{text}\n".encode("utf-8", "surrogateescape"))
        path.chmod(0o600)
        with pytest.raises(KeyFaultError) as caught:
            KeyFile(path).read()
        assert caught.value.code == "vault.key_refused"
        assert text[:20] not in f"{caught.value!r}{caught.value.__cause__!r}"
    path.write_bytes(b"# nothing\n\nsealed\n")
    with pytest.raises(KeyFaultError) as caught:
        KeyFile(path).read()
    assert caught.value.code == "vault.key_lost"
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(KeyFaultError, match="not a file"):
        KeyFile(path).read()
    path.unlink()
    path.mkdir()
    with pytest.raises(KeyFaultError):
        KeyFile(path).read()


def test_a_folder_for_the_key_that_is_not_there_is_a_fault_and_no_face_is_stored(
    tmp_path: Path, state: Path, inbox: Inbox
) -> None:
    from agent.clock import SystemClock

    writer = StorageWriter(state, "test-1", SystemClock(), inbox, KeyFile(tmp_path / "nowhere" / "keys"))
    try:
        assert codes(writer.open()) == [("vault.key_refused", "vault")]
        assert refused(writer, inbox, SaveMember("r", member("m-1"), "Somebody", 100.0)).code == "vault.key_refused"
        assert files_holding(state, PLAIN) == []
        save(writer, inbox, Member("m-2"))
    finally:
        assert writer.close(5.0)


@pytest.fixture
def credential(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "credentials"
    folder.mkdir()
    path = folder / "template.keys"
    path.write_text(f"{make_key().text()}\n")
    path.chmod(0o440)  # as systemd shows one with an access list
    yield path
    shutil.rmtree(folder)


def test_a_credential_takes_the_files_place_and_turns_only_to_a_key_that_was_added(
    tmp_path: Path, state: Path, inbox: Inbox, credential: Path
) -> None:
    from agent.clock import SystemClock

    keys = find_keys(state / "template.keys", {"CREDENTIALS_DIRECTORY": str(credential.parent)})
    assert keys.is_credential
    assert not find_keys(state / "template.keys", {"CREDENTIALS_DIRECTORY": str(tmp_path)}).is_credential

    writer = StorageWriter(state, "test-1", SystemClock(), inbox, keys)
    assert writer.open().faults == ()
    save(writer, inbox, member("m-1"))
    assert not (state / "template.keys").exists()
    assert refused(writer, inbox, RotateVault("r")).code == "vault.key_refused"
    assert writer.close(5.0)

    added = make_key()
    credential.chmod(0o600)
    credential.write_text(f"{credential.read_text()}{added.text()}\n")
    writer = StorageWriter(state, "test-1", SystemClock(), inbox, keys)
    assert writer.open().members[0].templates
    done = rotate(writer, inbox)
    assert (done.key, done.templates, done.dropped) == (added.id, 1, ())
    assert writer.close(5.0)


# --- silence ---------------------------------------------------------------------------------------------------------


def test_a_key_is_neither_printed_nor_copied() -> None:
    secret = bytes(range(32))
    key = Key(secret)
    vault = Vault(KeyFile(Path("nowhere")))
    shown = f"{key!r} {key} {ring_of(key)!r} {vault!r} {vault.__dict__}"
    for trace in (secret.hex(), secret.hex()[:8], repr(secret), base64.b64encode(secret).decode()):
        assert trace not in shown
    for make_copy in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            make_copy(key)


def test_no_log_line_holds_a_key(
    open_writer: Opener, inbox: Inbox, state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        writer, _ = open_writer()
        secrets = [KeyFile(state / "template.keys").read().newest.text()]
        save(writer, inbox, member("m-1"))
        rotate(writer, inbox)
        secrets.append(KeyFile(state / "template.keys").read().newest.text())
        assert writer.close(5.0)
    with closing(open_readonly(state / "station.db")) as database:
        told = caplog.text + "".join(str(each) for each in read_after(database, 0, 0, 100)) + repr(inbox.events)
    assert secrets[0] != secrets[1]
    for secret in secrets:
        assert secret[:12] not in told


def test_a_vault_without_keys_seals_and_opens_nothing() -> None:
    vault = Vault(KeyFile(Path("nowhere")))
    vault.load(may_make=False)
    assert vault.key_ids == ()
    with pytest.raises(KeyFaultError):
        vault.seal(PLACE, PLAIN)
    with pytest.raises(LockedError):
        vault.unseal(PLACE, KEY.id, SEALED)
