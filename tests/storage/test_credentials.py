"""Cards and PINs on the disk: whose they are, and that what was taken away stays away."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from agent.effects import RemoveCredentials, RunQuery, SaveCard, SavePin
from agent.events import CredentialsChanged, CredentialsRefused, Event, Member, QueryAnswered, SealedCard, SealedPin
from agent.storage.credentials import MAX_CARDS, load
from agent.storage.database import open_readonly
from agent.storage.writer import StorageWriter
from tests.storage.conftest import Opener
from tests.storage.inbox import Inbox, erase, save

PIN = SealedPin("k-1", b"s" * 16, b"h" * 32, b"d" * 32)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def card(number: int) -> SealedCard:
    return SealedCard("k-1", f"{number:064x}")


def order(writer: StorageWriter, inbox: Inbox, effect: SaveCard | SavePin | RemoveCredentials) -> Event:
    writer.submit(effect)

    def is_answer(event: Event) -> bool:
        return getattr(event, "request", None) == effect.request

    return inbox.wait(Event, lambda e: isinstance(e, (CredentialsChanged, CredentialsRefused)) and is_answer(e))


def give_card(writer: StorageWriter, inbox: Inbox, number: int, member_id: str = "m-1") -> Event:
    return order(writer, inbox, SaveCard(f"r-{len(inbox.events)}", member_id, card(number), 100.0))


def set_pin(writer: StorageWriter, inbox: Inbox, number: str = "", member_id: str = "m-1") -> Event:
    return order(writer, inbox, SavePin(f"r-{len(inbox.events)}", member_id, number, PIN, 100.0))


def take_away(writer: StorageWriter, inbox: Inbox, what: str, member_id: str = "m-1") -> Event:
    return order(writer, inbox, RemoveCredentials(f"r-{len(inbox.events)}", member_id, what, 100.0))


def stored(state: Path) -> tuple[dict[str, str], dict[str, str]]:
    database = open_readonly(state / "station.db")
    try:
        found = load(database.conn)
    finally:
        database.close()
    return found.cards, {number: each.member_id for number, each in found.pins.items()}


def test_a_card_and_a_pin_are_stored_and_found(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    save(writer, inbox, Member("m-1"))
    first = give_card(writer, inbox, 1)
    again = give_card(writer, inbox, 1)
    pin = set_pin(writer, inbox, "77")
    assert isinstance(first, CredentialsChanged)
    assert isinstance(again, CredentialsChanged)
    assert isinstance(pin, CredentialsChanged)
    assert (first.what, first.count, again.count, pin.number) == ("card_added", 1, 1, "77")
    assert stored(state) == ({card(1).hash: "m-1"}, {"77": "m-1"})


def test_a_card_belongs_to_one_member_and_so_does_a_number(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    for member_id in ("m-1", "m-2"):
        save(writer, inbox, Member(member_id))
    give_card(writer, inbox, 1)
    set_pin(writer, inbox, "77")
    for refused, code in (
        (give_card(writer, inbox, 1, "m-2"), "card.taken"),
        (set_pin(writer, inbox, "77", "m-2"), "number.taken"),
        (give_card(writer, inbox, 2, "m-9"), "member.unknown"),
    ):
        assert isinstance(refused, CredentialsRefused)
        assert refused.code == code
    assert stored(state) == ({card(1).hash: "m-1"}, {"77": "m-1"})


def test_a_member_has_so_many_cards_and_no_more(open_writer: Opener, inbox: Inbox) -> None:
    writer, _ = open_writer()
    save(writer, inbox, Member("m-1"))
    answers = [give_card(writer, inbox, n) for n in range(MAX_CARDS + 1)]
    assert [type(each) for each in answers] == [CredentialsChanged] * MAX_CARDS + [CredentialsRefused]


def test_who_chooses_no_number_gets_a_free_one_and_keeps_it(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    save(writer, inbox, Member("m-1"))
    first, second = set_pin(writer, inbox), set_pin(writer, inbox)
    assert isinstance(first, CredentialsChanged)
    assert isinstance(second, CredentialsChanged)
    assert first.number == second.number
    assert len(first.number) == 6
    assert stored(state)[1] == {first.number: "m-1"}
    third = set_pin(writer, inbox, "42")
    assert isinstance(third, CredentialsChanged)
    assert stored(state)[1] == {"42": "m-1"}


def test_what_is_taken_away_is_gone_and_counted(open_writer: Opener, inbox: Inbox, state: Path) -> None:
    writer, _ = open_writer()
    save(writer, inbox, Member("m-1"))
    give_card(writer, inbox, 1)
    give_card(writer, inbox, 2)
    set_pin(writer, inbox)
    cards, pin = take_away(writer, inbox, "cards"), take_away(writer, inbox, "pin")
    assert isinstance(cards, CredentialsChanged)
    assert isinstance(pin, CredentialsChanged)
    assert (cards.what, cards.count, pin.what) == ("cards_removed", 2, "pin_removed")
    assert stored(state) == ({}, {})


def test_an_erasure_takes_cards_and_pin_with_it_and_its_receipt_counts_them(
    open_writer: Opener, inbox: Inbox, state: Path
) -> None:
    writer, _ = open_writer()
    save(writer, inbox, Member("m-1"))
    give_card(writer, inbox, 1)
    set_pin(writer, inbox)
    assert erase(writer, inbox, "m-1")
    assert stored(state) == ({}, {})
    content = b"".join(each.read_bytes() for each in state.iterdir() if each.is_file())
    assert card(1).hash.encode() not in content


def test_a_lost_card_and_an_old_pin_stay_away_after_a_backup_is_restored(
    open_writer: Opener, inbox: Inbox, state: Path, tmp_path: Path
) -> None:
    writer, _ = open_writer()
    save(writer, inbox, Member("m-1"))
    give_card(writer, inbox, 1)
    set_pin(writer, inbox, "77")
    writer.close(5.0)
    backup = tmp_path / "backup.db"
    shutil.copy(state / "station.db", backup)
    writer, _ = open_writer()
    take_away(writer, inbox, "cards")
    give_card(writer, inbox, 2)
    set_pin(writer, inbox, "77")  # another PIN with the same number
    writer.close(5.0)
    for each in state.glob("station.db*"):
        each.unlink()
    shutil.copy(backup, state / "station.db")
    writer, restored = open_writer()
    assert "credentials_removed_again" in dict(restored.problems)
    assert stored(state) == ({}, {})
    give_card(writer, inbox, 1)  # it was found again
    writer.close(5.0)
    open_writer()
    assert stored(state)[0] == {card(1).hash: "m-1"}


def test_a_persons_own_data_says_what_they_were_given(open_writer: Opener, inbox: Inbox) -> None:
    writer, _ = open_writer()
    save(writer, inbox, Member("m-1"))
    give_card(writer, inbox, 1)
    set_pin(writer, inbox, "77")
    writer.submit(RunQuery("q-1", "member_credentials", {"id": "m-1"}))
    answer = inbox.wait(QueryAnswered, lambda e: e.request == "q-1")
    assert [(row["kind"], row["number"]) for row in answer.rows] == [("card", None), ("pin", "77")]
    assert card(1).hash not in json.dumps([dict(row) for row in answer.rows])
