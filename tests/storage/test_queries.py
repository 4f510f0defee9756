from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.clock import SystemClock
from agent.effects import BeginVisit, EndVisit, RunQuery, WriteReading
from agent.events import Member, QueryAnswered
from agent.storage import queries, reader
from agent.storage.writer import StorageWriter
from tests.storage.conftest import Opener
from tests.storage.inbox import Inbox, append, entry, save

Rows = tuple[dict[str, Any], ...]


def ask(writer: StorageWriter, inbox: Inbox, query: str, **arguments: object) -> QueryAnswered:
    request = f"q{len(inbox.events)}"
    writer.submit(RunQuery(request, query, arguments))
    return inbox.wait(QueryAnswered, lambda e: e.request == request)


@pytest.fixture
def writer(open_writer: Opener, inbox: Inbox) -> StorageWriter:
    """With 7 visits, a second apart, of which the first has ended."""
    writer, _ = open_writer()
    save(writer, inbox, Member("m1"), "Wang Fang")
    save(writer, inbox, Member("m2", is_suspended=True), "Li Na")
    for n in range(7):
        visit = BeginVisit(f"v{n}", "m1" if n % 2 else None, 100.0 + n)
        writer.submit(replace(entry(f"in{n}"), visits=(visit,)))
    writer.submit(replace(entry("out"), visits=(EndVisit("v0", 130.0, "exit_button"),)))
    inbox.wait_for_tag("out")
    return writer


def test_visits_are_listed_newest_first_within_a_period(writer: StorageWriter, inbox: Inbox) -> None:
    every = ask(writer, inbox, "visits_list").rows
    assert [row["id"] for row in every] == [f"v{n}" for n in (6, 5, 4, 3, 2, 1, 0)]
    assert every[6]["how"] == "exit_button"
    assert every[5]["member_id"] == "m1"
    period = {"since": every[4]["entered_at_utc"], "until": every[1]["entered_at_utc"]}
    assert [row["id"] for row in ask(writer, inbox, "visits_list", **period).rows] == ["v4", "v3", "v2"]
    assert [row["id"] for row in ask(writer, inbox, "visits_list", limit=2).rows] == ["v6", "v5"]
    local = every[0]["entered_at_utc"].replace("Z", "+00:00")
    assert [row["id"] for row in ask(writer, inbox, "visits_list", since=local).rows] == ["v6"]


def test_an_export_page_by_page_has_every_visit_once(writer: StorageWriter, inbox: Inbox) -> None:
    seen: list[str] = []
    after: dict[str, object] = {}
    while rows := ask(writer, inbox, "visits_page", limit=3, **after).rows:
        assert len(rows) <= 3
        seen += [row["id"] for row in rows]
        after = {"after_entered_at": rows[-1]["entered_at_utc"], "after_id": rows[-1]["id"]}
    assert seen == [f"v{n}" for n in range(7)]


def test_only_the_list_of_members_gives_names(writer: StorageWriter, inbox: Inbox) -> None:
    rows = ask(writer, inbox, "members_list").rows
    assert [(row["id"], row["name"], row["is_suspended"], row["templates"]) for row in rows] == [
        ("m1", "Wang Fang", 0, 0),
        ("m2", "Li Na", 1, 0),
    ]
    day = {"since": "2026-11-22T00:00:00Z", "until": "2026-11-23T00:00:00Z"}
    given: dict[str, object] = {"epoch": 0, "after": 0, "id": "m1", **day}
    for name, query in queries.QUERIES.items():
        needed = {key: given[key] for key, default in query.defaults.items() if default is ...}
        answer = ask(writer, inbox, name, **needed)
        assert answer.error == ""
        assert ("Wang Fang" in str(answer.rows)) == (name in ("members_list", "member_row"))


def test_counts_count(writer: StorageWriter, inbox: Inbox) -> None:
    assert ask(writer, inbox, "counts").rows == (
        {"visits": 7, "open_visits": 6, "members": 2, "log_entries": 9, "unacknowledged": 9},
    )
    assert ask(writer, inbox, "counts", since="2999-01-01T00:00:00Z").rows[0]["visits"] == 0


def test_the_log_is_read_from_its_end_and_page_by_page(writer: StorageWriter, inbox: Inbox) -> None:
    assert [row["sequence"] for row in ask(writer, inbox, "log_tail", limit=3).rows] == [9, 8, 7]
    page = ask(writer, inbox, "log_page", epoch=1, after=4, limit=2).rows
    assert [row["sequence"] for row in page] == [5, 6]
    assert set(page[0]) >= {"type", "time", "boot", "body", "salt", "digest", "hash"}


def test_a_page_of_great_rows_is_shorter(writer: StorageWriter, inbox: Inbox) -> None:
    for n in range(20):
        append(writer, inbox, f"great{n}", padding="x" * 50_000)
    rows = ask(writer, inbox, "log_tail", limit=100).rows
    assert 1 <= len(rows) < 15


def test_readings_are_read_page_by_page(open_writer: Opener, inbox: Inbox) -> None:
    now = SystemClock().now()
    writer, _ = open_writer()
    for minutes in (5, 4):
        for sensor in ("a", "b", "c"):
            writer.submit(WriteReading(now - 60 * minutes, sensor, "power_w", 1.0))
    assert writer.close(5.0)
    writer, _ = open_writer()
    seen: list[tuple[str, str]] = []
    after: dict[str, object] = {}
    while rows := ask(writer, inbox, "readings_page", limit=2, **after).rows:
        seen += [(row["minute"], row["sensor"]) for row in rows]
        after = {"after": rows[-1]["id"]}
    assert [sensor for _, sensor in seen] == ["a", "b", "c", "a", "b", "c"]
    assert seen == sorted(set(seen))


@pytest.mark.parametrize(
    ("query", "arguments", "says"),
    [
        ("no_such", {}, "no such query"),
        ("visits_list", {"limit": 0}, "'limit' is a whole number from 1 to 500"),
        ("visits_list", {"limit": True}, "'limit'"),
        ("visits_list", {"limit": 501}, "'limit'"),
        ("visits_list", {"since": "yesterday"}, "'since': a time looks like"),
        ("visits_list", {"since": "2026-11-22T03:04:05"}, "names its zone"),
        ("visits_list", {"since": "0001-01-01T00:00:00+23:00"}, "'since'"),
        ("visits_list", {"since": 5}, "'since'"),
        ("visits_list", {"where": "1=1"}, "unknown argument 'where'"),
        ("visits_page", {"after_id": "\ud800"}, "'after_id'"),
        ("log_page", {"epoch": 1}, "'after' is missing"),
        ("log_page", {"epoch": 1, "after": 2**63}, "'after'"),
    ],
)
def test_a_wrong_question_is_answered_with_what_is_wrong(
    writer: StorageWriter, inbox: Inbox, query: str, arguments: dict[str, object], says: str
) -> None:
    answer = ask(writer, inbox, query, **arguments)
    assert says in answer.error
    assert answer.rows == ()
    assert ask(writer, inbox, "counts").error == ""


def test_a_query_cannot_write(
    writer: StorageWriter, inbox: Inbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(queries, "QUERIES", {})
    monkeypatch.setattr(reader, "QUERIES", {"bad": queries.Query("DELETE FROM members RETURNING id", {})})
    assert "readonly" in ask(writer, inbox, "bad").error
    with closing(sqlite3.connect(tmp_path / "state" / "station.db")) as connection:
        assert connection.execute("SELECT count(*) FROM members").fetchone() == (2,)


ENDLESS = queries.Query("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n", {})


def test_a_query_without_end_is_broken_off_and_entries_go_on_meanwhile(
    writer: StorageWriter, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "QUERIES", {"endless": ENDLESS})
    monkeypatch.setattr(reader, "_QUERY_S", 1.0)
    writer.submit(RunQuery("e", "endless"))
    append(writer, inbox, "meanwhile")
    assert not inbox.all(QueryAnswered)
    assert "interrupted" in inbox.wait(QueryAnswered).error


def test_closing_does_not_wait_for_a_query_and_too_many_are_answered_at_once(
    writer: StorageWriter, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "QUERIES", {"endless": ENDLESS})
    for n in range(40):
        writer.submit(RunQuery(f"e{n}", "endless"))
    assert "too many" in inbox.wait(QueryAnswered, lambda e: e.request == "e39").error
    began = time.monotonic()
    assert writer.close(3.0)
    assert time.monotonic() - began < 3.0
