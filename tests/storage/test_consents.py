"""Consents, withdrawal, proof of erasure and the dates that retention goes by, on a real disk."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.clock import SystemClock, WallTime
from agent.effects import BeginVisit, EraseMember, ReadRetention, RecordConsent, RunQuery, SaveMember, WithdrawConsent
from agent.events import (
    Consent,
    ConsentRecorded,
    ConsentWithdrawn,
    Member,
    MemberDates,
    MemberErased,
    MemberSaved,
    QueryAnswered,
    Restored,
    RetentionRead,
    Template,
)
from agent.storage.late import read_restored
from agent.storage.ledger import Ledger
from agent.storage.writer import StorageWriter
from tests.storage.conftest import Opener
from tests.storage.inbox import Inbox, append, entry

VECTOR = np.random.default_rng(7).normal(size=128).astype(np.float32)
VECTOR /= np.linalg.norm(VECTOR)
MEMBER = Member("m-1", (Template("dlib", "a" * 64, VECTOR),))
CONSENT = Consent("2026-11", "zh", "b" * 64, "door_entry", "screen", "alice", 365)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def rows(state: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{state / 'station.db'}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


def consent(
    writer: StorageWriter, inbox: Inbox, given: Consent = CONSENT, member_id: str = "m-1", at: float | None = None
) -> ConsentRecorded:
    request = f"c-{len(inbox.events)}"
    writer.submit(RecordConsent(request, member_id, given, SystemClock().now() if at is None else at))
    return inbox.wait(ConsentRecorded, lambda e: e.request == request)


def enrol(writer: StorageWriter, inbox: Inbox, member: Member = MEMBER) -> str:
    """A consent and the member whose templates rest on it; returns the consent's id."""
    consent_id = consent(writer, inbox, member_id=member.id).consent_id
    request = f"s-{len(inbox.events)}"
    writer.submit(SaveMember(request, member, "Wang Fang", SystemClock().now(), consent_id))
    inbox.wait(MemberSaved, lambda e: e.request == request)
    return consent_id


def withdraw(writer: StorageWriter, inbox: Inbox, member_id: str = "m-1", why: str = "withdrawn") -> ConsentWithdrawn:
    request = f"w-{len(inbox.events)}"
    writer.submit(WithdrawConsent(request, member_id, SystemClock().now(), why))
    return inbox.wait(ConsentWithdrawn, lambda e: e.request == request)


def dates(writer: StorageWriter, inbox: Inbox) -> Mapping[str, MemberDates]:
    before = len(inbox.all(RetentionRead))
    writer.submit(ReadRetention(SystemClock().now()))
    inbox.wait(RetentionRead, lambda _: len(inbox.all(RetentionRead)) > before)
    return {each.id: each for each in inbox.all(RetentionRead)[-1].members}


def ask(writer: StorageWriter, inbox: Inbox, query: str, **arguments: object) -> tuple[Mapping[str, Any], ...]:
    request = f"q-{len(inbox.events)}"
    writer.submit(RunQuery(request, query, arguments))
    answer = inbox.wait(QueryAnswered, lambda e: e.request == request)
    assert answer.error == ""
    return answer.rows


def on_the_disk(state: Path) -> bytes:
    return b"".join(path.read_bytes() for path in state.glob("station.db*"))


# --- consent ---------------------------------------------------------------------------------------------------------


def test_a_consent_and_its_entry_are_on_the_disk_together_before_it_is_told(
    open_writer: Opener, inbox: Inbox, state: Path
) -> None:
    writer, _ = open_writer()
    told = consent(writer, inbox, replace(CONSENT, is_under_age=True, guardian="mother"))
    ((member, version, language, purpose, how, recorded_by, guardian, given, until),) = rows(
        state,
        "SELECT member_id, version, language, purpose, how, recorded_by, guardian, given_at_utc, until_utc "
        "FROM consents",
    )
    assert (member, version, language, purpose, how) == ("m-1", "2026-11", "zh", "door_entry", "screen")
    assert (recorded_by, guardian) == ("alice", "mother")
    assert datetime.fromisoformat(until) - datetime.fromisoformat(given) == timedelta(days=365)
    ((body,),) = rows(state, "SELECT body FROM log WHERE type = 'station.member.consented'")
    assert json.loads(body) == {
        "member": "m-1",
        "version": "2026-11",
        "language": "zh",
        "purpose": "door_entry",
        "until": until,
    }
    assert told.until_utc == until


def test_a_clock_that_was_never_set_records_no_consent(
    open_writer: Opener, inbox: Inbox, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, _ = open_writer()
    monkeypatch.setattr(SystemClock, "wall", lambda _: WallTime(datetime(1970, 1, 2, tzinfo=UTC), is_trusted=False))
    assert consent(writer, inbox).consent_id == ""
    assert rows(state, "SELECT * FROM consents") == []
    assert rows(state, "SELECT * FROM log WHERE type = 'station.member.consented'") == []


def test_a_new_consent_renews_the_one_before_it_once_the_member_is_saved(
    open_writer: Opener, inbox: Inbox, state: Path
) -> None:
    writer, _ = open_writer()
    first, second = enrol(writer, inbox), enrol(writer, inbox)
    assert rows(state, "SELECT id, ended_why FROM consents ORDER BY rowid") == [(first, "renewed"), (second, None)]
    assert rows(state, "SELECT consent_id FROM members") == [(second,)]


def test_a_consent_that_no_member_came_of_is_erased_after_a_day(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    enrol(writer, inbox)
    now = SystemClock().now()
    consent(writer, inbox, member_id="m-2", at=now - 90_000)
    consent(writer, inbox, member_id="m-3")
    dates(writer, inbox)
    assert rows(state, "SELECT member_id FROM consents ORDER BY member_id") == [("m-1",), ("m-3",)]
    assert rows(state, "SELECT count(*) FROM log WHERE instr(body, 'm-2')") == [(0,)]


# --- withdrawal ------------------------------------------------------------------------------------------------------


def test_a_withdrawal_leaves_no_number_of_the_template_in_any_file_and_keeps_the_member(
    open_writer: Opener, inbox: Inbox, state: Path
) -> None:
    writer, _ = open_writer()
    enrol(writer, inbox)
    assert rows(state, "SELECT count(*) FROM templates") == [(1,)]
    stored = rows(state, "SELECT vector FROM templates")[0][0]
    done = withdraw(writer, inbox)
    assert (done.existed, done.templates, done.why) == (True, 1, "withdrawn")
    assert stored[:64] not in on_the_disk(state)
    assert rows(state, "SELECT id, name FROM members") == [("m-1", "Wang Fang")]
    assert rows(state, "SELECT ended_why FROM consents") == [("withdrawn",)]
    assert writer.close(5.0)
    assert open_writer()[1].members == (Member("m-1"),)


def test_whoever_is_not_there_cannot_withdraw(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    assert not withdraw(writer, inbox, "m-9").existed
    assert b"withdrawn" not in (state / "ledger").read_bytes()


def test_templates_that_a_backup_brings_back_after_a_withdrawal_are_erased_again(
    open_writer: Opener, inbox: Inbox, state: Path, tmp_path: Path
) -> None:
    writer, _ = open_writer()
    enrol(writer, inbox)
    enrol(writer, inbox, replace(MEMBER, id="m-2"))
    assert writer.close(5.0)
    shutil.copy(state / "station.db", tmp_path / "backup")
    writer, _ = open_writer()
    withdraw(writer, inbox)
    assert writer.close(5.0)
    shutil.copy(tmp_path / "backup", state / "station.db")
    seen = read_restored(state)
    assert seen is not None
    assert [len(each.templates) for each in seen.members] == [0, 1]
    writer, restored = open_writer()
    assert [(each.id, len(each.templates)) for each in restored.members] == [("m-1", 0), ("m-2", 1)]
    assert any(code == "consents_withdrawn_again" for code, _ in restored.problems)
    assert rows(state, "SELECT member_id FROM templates") == [("m-2",)]
    bodies = rows(state, "SELECT body FROM log WHERE type = 'station.ledger.applied'")
    assert [json.loads(body) for (body,) in bodies] == [
        {"erased": 0, "withdrawn": 1, "credentials": 0, "suspensions": 0, "validities": 0, "notes": 0}
    ]


def test_a_consent_given_after_a_withdrawal_stands(open_writer: Opener, inbox: Inbox) -> None:
    writer, _ = open_writer()
    enrol(writer, inbox)
    withdraw(writer, inbox)
    enrol(writer, inbox)
    assert writer.close(5.0)
    writer, restored = open_writer()
    assert [len(each.templates) for each in restored.members] == [1]
    assert not restored.problems


def test_a_member_of_before_there_were_consents_can_withdraw_too(
    open_writer: Opener, inbox: Inbox, state: Path, tmp_path: Path
) -> None:
    writer, _ = open_writer()
    writer.submit(SaveMember("s", MEMBER, "Wang Fang", SystemClock().now()))
    inbox.wait(MemberSaved)
    assert writer.close(5.0)
    shutil.copy(state / "station.db", tmp_path / "backup")
    writer, _ = open_writer()
    assert withdraw(writer, inbox).templates == 1
    assert writer.close(5.0)
    shutil.copy(tmp_path / "backup", state / "station.db")
    assert open_writer()[1].members == (Member("m-1"),)


# --- erasure ---------------------------------------------------------------------------------------------------------


def test_an_erasure_leaves_a_receipt_that_only_its_holder_can_tell_is_theirs(
    open_writer: Opener, inbox: Inbox, state: Path
) -> None:
    writer, _ = open_writer()
    enrol(writer, inbox)
    append(writer, inbox, "seen", member="m-1")
    writer.submit(replace(entry("in"), visits=(BeginVisit("v-1", "m-1", SystemClock().now()),)))
    inbox.wait_for_tag("in")
    writer.submit(EraseMember("e", "m-1", SystemClock().now(), why="asked"))
    receipt = inbox.wait(MemberErased, lambda e: e.request == "e").receipt
    assert receipt is not None
    assert receipt.rows == {
        "log_entries": 2,
        "notes": 0,
        "visits": 1,
        "cards": 0,
        "pins": 0,
        "templates": 1,
        "consents": 1,
        "members": 1,
    }
    assert receipt.digest == hashlib.sha256(f"{receipt.salt}:m-1".encode()).hexdigest()
    assert receipt.salt not in repr(receipt)
    assert receipt.salt.encode() not in on_the_disk(state) + (state / "ledger").read_bytes()
    line = json.loads((state / "ledger").read_bytes().splitlines()[-1])
    assert (line["kind"], line["receipt"], line["why"]) == ("erased", receipt.digest, "asked")
    assert rows(state, "SELECT count(*) FROM consents") == [(0,)]
    ledger = Ledger(state / "ledger", is_readonly=True)
    assert ledger.was_erased("m-1")
    ledger.close()


# --- last seen -------------------------------------------------------------------------------------------------------


def test_the_day_of_the_last_visit_is_kept_and_never_an_earlier_one(open_writer: Opener, inbox: Inbox) -> None:
    writer, _ = open_writer()
    enrol(writer, inbox)
    now = SystemClock().now()
    for number, days in enumerate((2, 0, 5)):
        visit = BeginVisit(f"v-{number}", "m-1", now + 86_400 * days)
        writer.submit(replace(entry(f"t-{number}"), visits=(visit,)))
        inbox.wait_for_tag(f"t-{number}")
    expected = (datetime.now(UTC) + timedelta(days=5)).date()
    assert dates(writer, inbox)["m-1"].last_seen_on in {expected.isoformat(), (expected - timedelta(1)).isoformat()}


def test_a_second_visit_on_a_day_writes_nothing_about_the_member(open_writer: Opener, inbox: Inbox) -> None:
    writer, _ = open_writer()
    enrol(writer, inbox)
    assert writer._files is not None
    connection = writer._files.database.conn
    connection.execute("UPDATE members SET last_seen_on = '2026-01-01'")
    connection.commit()
    changed: list[int] = []
    for number, member_id in enumerate(("m-1", "m-1", None)):
        before = connection.total_changes
        visit = BeginVisit(f"v-{number}", member_id, SystemClock().now())
        writer.submit(replace(entry(f"t-{number}"), visits=(visit,)))
        inbox.wait_for_tag(f"t-{number}")
        changed.append(connection.total_changes - before)
    assert changed[0] == changed[1] + 1
    assert changed[1] == changed[2]


def test_a_member_whose_day_nobody_knows_counts_from_today(open_writer: Opener, inbox: Inbox) -> None:
    writer, _ = open_writer()
    writer.submit(SaveMember("s", MEMBER, "Wang Fang", SystemClock().now()))
    inbox.wait(MemberSaved)
    found = dates(writer, inbox)["m-1"]
    assert found.last_seen_on is not None
    assert abs(datetime.now(UTC).date() - datetime.fromisoformat(found.last_seen_on).date()) <= timedelta(days=1)
    assert (found.consent_until_utc, found.consent_ended, found.has_templates) == (None, "", True)


# --- own data --------------------------------------------------------------------------------------------------------


def test_everything_about_a_person_can_be_read_and_nothing_about_others(open_writer: Opener, inbox: Inbox) -> None:
    writer, _ = open_writer()
    enrol(writer, inbox)
    enrol(writer, inbox, replace(MEMBER, id="m-10"))
    for number, member_id in enumerate(("m-1", "m-10")):
        visit = BeginVisit(f"v-{number}", member_id, SystemClock().now())
        writer.submit(replace(entry(f"t-{number}", member=member_id), visits=(visit,)))
        inbox.wait_for_tag(f"t-{number}")
    (row,) = ask(writer, inbox, "member_row", id="m-1")
    assert (row["id"], row["name"]) == ("m-1", "Wang Fang")
    assert [each["version"] for each in ask(writer, inbox, "member_consents", id="m-1")] == ["2026-11"]
    (template,) = ask(writer, inbox, "member_templates", id="m-1")
    assert "vector" not in template
    assert [each["id"] for each in ask(writer, inbox, "member_visits", id="m-1")] == ["v-0"]
    log = ask(writer, inbox, "member_log", id="m-1")
    assert {json.loads(each["body"])["member"] for each in log} == {"m-1"}
    assert len(log) == 2
    after = {"epoch": log[0]["epoch"], "after": log[0]["sequence"]}
    assert ask(writer, inbox, "member_log", id="m-1", **after) == log[1:]


def test_the_list_of_members_says_how_the_consent_stands(open_writer: Opener, inbox: Inbox) -> None:
    writer, _ = open_writer()
    enrol(writer, inbox)
    enrol(writer, inbox, replace(MEMBER, id="m-2"))
    withdraw(writer, inbox, "m-2")
    first, second = ask(writer, inbox, "members_list")
    assert (first["consent_version"], first["consent_ended"], first["templates"]) == ("2026-11", None, 1)
    assert (second["consent_ended"], second["templates"]) == ("withdrawn", 0)


# --- an older database -----------------------------------------------------------------------------------------------


def test_a_database_of_before_consents_is_carried_over(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    writer.submit(SaveMember("s", MEMBER, "Wang Fang", SystemClock().now()))
    inbox.wait(MemberSaved)
    assert writer.close(5.0)
    with closing(sqlite3.connect(state / "station.db")) as connection:
        connection.execute("DROP TABLE consents")
        for column in ("last_seen_on", "consent_id"):
            connection.execute(f"ALTER TABLE members DROP COLUMN {column}")
        connection.execute("DELETE FROM _sqlite_migrations WHERE name = 'm004_consents'")
        connection.commit()
    unwritten: Restored | None = read_restored(state)
    assert unwritten is not None
    assert len(unwritten.members) == 1
    writer, restored = open_writer()
    assert [len(each.templates) for each in restored.members] == [1]
    assert consent(writer, inbox).consent_id
