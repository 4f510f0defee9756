"""The digest of the roster: computed here by the recipe of the contract, with nothing of the station's own."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agent
from agent.control import wire
from agent.effects import SuspendMember
from agent.events import Member, MemberSuspended, SealedPin, Template
from agent.mqtt.payloads import MAX_PAYLOAD_BYTES
from agent.storage.roster_digest import PAGE_MEMBERS
from agent.storage.writer import StorageWriter
from tests.storage.conftest import Opener
from tests.storage.inbox import Inbox, erase, save
from tests.storage.test_particulars import ask, card, put

PIN = SealedPin("k-1", b"s" * 16, b"h" * 32, b"d" * 32)
NOBODY = {
    "cards": 0,
    "categories": [],
    "face": False,
    "needs_longer": False,
    "pin": False,
    "suspended": False,
    "suspended_until": None,
    "valid_from": None,
    "valid_until": None,
}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def recipe(facts: Mapping[str, Any]) -> str:
    """As a server would: names in order, nothing between, no number but whole ones, no letter that needs an escape."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def page(writer: StorageWriter, inbox: Inbox, after: str = "", limit: int = PAGE_MEMBERS) -> dict[str, Any]:
    (found,) = ask(writer, inbox, "roster_digest", after=after, limit=limit)
    return found


def test_the_digests_are_those_of_the_documented_recipe(open_writer: Opener, inbox: Inbox) -> None:
    writer, _ = open_writer()
    face = np.zeros(128, np.float32)
    save(writer, inbox, Member("m-3", (Template("dlib", "0" * 64, face),)))
    china = timezone(timedelta(hours=8))
    put(
        writer,
        inbox,
        cards=(card(1), card(2)),
        pin=PIN,
        categories=(1, 8),
        needs_longer=True,
        valid_from=datetime(2026, 11, 22, 8, 30, tzinfo=china),
        valid_until=datetime(2027, 1, 1, 0, 0, 0, 999_900, tzinfo=china),
    )
    put(writer, inbox, "M.2")
    writer.submit(SuspendMember("s-1", "M.2", True, 100.0, datetime(2026, 12, 24, 18, tzinfo=UTC)))
    inbox.wait(MemberSuspended)
    expected = [
        NOBODY | {"id": "M.2", "suspended": True, "suspended_until": "2026-12-24T18:00:00.000Z"},
        {
            "id": "m-1",
            "cards": 2,
            "categories": [1, 8],
            "face": False,
            "needs_longer": True,
            "pin": True,
            "suspended": False,
            "suspended_until": None,
            "valid_from": "2026-11-22T00:30:00.000Z",
            "valid_until": "2026-12-31T16:00:00.999Z",
        },
        NOBODY | {"id": "m-3", "face": True},
    ]
    digests = [recipe(each) for each in expected]
    assert page(writer, inbox) == {
        "members": [{"id": each["id"], "digest": digest} for each, digest in zip(expected, digests, strict=True)],
        "count": 3,
        "digest": hashlib.sha256("".join(digests).encode()).hexdigest(),
        "next": None,
    }


def test_the_example_of_the_contract_is_what_a_station_tells(open_writer: Opener, inbox: Inbox) -> None:
    prose = (Path(agent.__file__).parent / "contract" / "prose.md").read_text(encoding="utf-8")
    (found,) = re.findall(r'^    (\{"cards":.*?\})$', prose, re.DOTALL | re.MULTILINE)
    text = re.sub(r"\n +", "", found)
    facts = json.loads(text)
    assert recipe(facts) == hashlib.sha256(text.encode()).hexdigest(), "the example is in its canonical form"
    writer, _ = open_writer()
    put(
        writer,
        inbox,
        facts["id"],
        cards=(card(1), card(2)),
        pin=PIN,
        categories=tuple(facts["categories"]),
        valid_until=datetime.fromisoformat(facts["valid_until"]),
    )
    assert page(writer, inbox)["members"] == [{"id": facts["id"], "digest": recipe(facts)}]


def test_nobody_at_all_has_a_digest_too(open_writer: Opener, inbox: Inbox) -> None:
    writer, _ = open_writer()
    empty = hashlib.sha256(b"").hexdigest()
    assert page(writer, inbox) == {"members": [], "count": 0, "digest": empty, "next": None}
    assert page(writer, inbox, after="zzz")["members"] == []


def test_whatever_changes_of_a_member_shows_and_what_is_put_back_is_the_same_again(
    open_writer: Opener, inbox: Inbox
) -> None:
    writer, _ = open_writer()
    put(writer, inbox)
    seen = [page(writer, inbox)["digest"]]
    until = datetime(2027, 1, 1, tzinfo=UTC)
    for what in (
        {"needs_longer": True},
        {"categories": (1,)},
        {"valid_from": until},
        {"valid_from": None, "valid_until": until},
        {"cards": (card(1),)},
        {"pin": PIN},
    ):
        put(writer, inbox, **what)
        seen.append(page(writer, inbox)["digest"])
    assert len(set(seen)) == len(seen)
    put(writer, inbox, needs_longer=False, categories=(), valid_until=None, cards=(), pin=None)
    assert page(writer, inbox)["digest"] == seen[0]
    put(writer, inbox, name="Li Na")
    assert page(writer, inbox)["digest"] == seen[0], "a name is nothing that the server knows"
    assert erase(writer, inbox, "m-1")
    assert page(writer, inbox)["count"] == 0


def test_pages_go_through_all_in_order_and_say_when_the_roster_changed_between_them(
    open_writer: Opener, inbox: Inbox
) -> None:
    writer, _ = open_writer()
    for number in range(7):
        put(writer, inbox, f"m-{number}")
    ids, after, digests = [], "", set()
    while True:
        found = page(writer, inbox, after, limit=3)
        ids += [each["id"] for each in found["members"]]
        digests.add((found["digest"], found["count"]))
        if found["next"] is None:
            break
        after = found["next"]
    assert ids == [f"m-{number}" for number in range(7)]
    assert len(digests) == 1
    put(writer, inbox, "m-0", needs_longer=True)
    assert page(writer, inbox, after, limit=3)["digest"] not in {digest for digest, _ in digests}


def test_a_full_page_of_the_longest_ids_fits_a_message(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    put(writer, inbox)
    with closing(sqlite3.connect(state / "station.db")) as connection, connection:
        connection.executemany(
            "INSERT INTO members (id, name, created_at_utc, enrolment) VALUES (?, '', '2026', 'e')",
            [(f"{number:0>64}",) for number in range(PAGE_MEMBERS + 5)],
        )
    found = page(writer, inbox)
    assert (len(found["members"]), found["count"]) == (PAGE_MEMBERS, PAGE_MEMBERS + 6)
    assert len(json.dumps(found)) < MAX_PAYLOAD_BYTES // 2


def test_the_wire_asks_for_no_more_than_a_page_has() -> None:
    assert wire.DIGESTS_MAX == PAGE_MEMBERS
