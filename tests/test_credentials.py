"""The checker of cards and PINs: on a real database, with real hashes."""

from __future__ import annotations

import hmac
import json
import queue
import sqlite3
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from agent import credentials
from agent.clock import SystemClock
from agent.credentials import KEY_LOST, KEY_REFUSED, UNREADABLE, CredentialChecker, Keys, card_text
from agent.effects import (
    CheckPin,
    FindCard,
    FindNumber,
    LoadCredentials,
    PutMember,
    SaveCard,
    SavePin,
    SealCard,
    SealMember,
    SealPin,
)
from agent.events import (
    CardFound,
    CardSealed,
    CodePresented,
    CodeUnchecked,
    CredentialsChanged,
    CredentialsLoaded,
    CredentialsRefused,
    Event,
    Member,
    MemberPut,
    MemberSealed,
    PinChecked,
    PinSealed,
    SealedPin,
    WorkerFailed,
)
from agent.storage.keys import KeyFile, make_key, ring_of
from agent.storage.writer import StorageWriter
from tests.storage.inbox import Inbox, save

Kind = TypeVar("Kind", bound=Event)
WAIT_S = 20.0


class Station:
    """A real storage and a checker beside it."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.key_path = folder / "credential.keys"
        self.inbox = Inbox()
        self.writer = StorageWriter(self.state, "test-1", SystemClock(), self.inbox)
        self.writer.open()
        self.said: queue.Queue[Event] = queue.Queue()
        self.checker = self.start()

    def start(self) -> CredentialChecker:
        keys = KeyFile(self.key_path, header=credentials.HEADER)
        return CredentialChecker(self.state / "station.db", keys, SystemClock(), self.said.put)

    def restart(self) -> None:
        self.checker.close()
        self.said = queue.Queue()
        self.checker = self.start()

    def close(self) -> None:
        self.checker.close()
        self.writer.close(5.0)

    def answer(self, kind: type[Kind]) -> Kind:
        deadline = time.monotonic() + WAIT_S
        while True:
            event = self.said.get(timeout=max(0.01, deadline - time.monotonic()))
            if isinstance(event, kind):
                return event

    def give_card(self, member_id: str, number: str) -> None:
        self.checker.submit(SealCard("r", member_id, number))
        request = f"card-{len(self.inbox.events)}"
        self.writer.submit(SaveCard(request, member_id, self.answer(CardSealed).card, 100.0))
        self.inbox.wait(CredentialsChanged, lambda e: e.request == request)
        self.checker.submit(LoadCredentials())

    def set_pin(self, member_id: str, number: str, pin: str, duress: str = "") -> None:
        self.checker.submit(SealPin("r", member_id, number, pin, duress))
        request = f"pin-{len(self.inbox.events)}"
        self.writer.submit(SavePin(request, member_id, number, self.answer(PinSealed).pin, 100.0))
        self.inbox.wait(CredentialsChanged, lambda e: e.request == request)
        self.checker.submit(LoadCredentials())

    def owner_of(self, card: str) -> str | None:
        self.checker.submit(FindCard("f", card))
        return self.answer(CardFound).member_id

    def check(self, number: str, pin: str) -> tuple[str | None, bool]:
        self.checker.submit(CheckPin("c", number, pin))
        found = self.answer(PinChecked)
        return found.member_id, found.is_duress


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    station = Station(tmp_path)
    for member_id in ("m-1", "m-2"):
        save(station.writer, station.inbox, Member(member_id))
    yield station
    station.close()


def test_a_card_is_found_however_a_reader_writes_its_number(station: Station) -> None:
    station.give_card("m-1", "00AF12")
    assert [station.owner_of(each) for each in ("00AF12", "af12", "0000af12", "af13", "")] == ["m-1"] * 3 + [None] * 2


@pytest.mark.parametrize(("number", "text"), [("0", "0"), ("000", "0"), ("0A", "a"), ("10", "10")])
def test_one_card_has_one_text(number: str, text: str) -> None:
    assert card_text(number) == text


def test_a_pin_opens_with_its_own_number_only(station: Station) -> None:
    station.set_pin("m-1", "11", "2580")
    station.set_pin("m-2", "22", "8520")
    assert station.check("11", "2580") == ("m-1", False)
    assert station.check("22", "8520") == ("m-2", False)
    for number, pin in (("11", "8520"), ("22", "2580"), ("33", "2580"), ("11", "258"), ("11", "25800"), ("", "")):
        assert station.check(number, pin) == (None, False)


def test_a_duress_pin_is_right_and_says_so(station: Station) -> None:
    station.set_pin("m-1", "11", "2580", "2581")
    assert station.check("11", "2580") == ("m-1", False)
    assert station.check("11", "2581") == ("m-1", True)
    assert station.check("11", "2582") == (None, False)


def test_a_new_pin_takes_the_place_of_the_old(station: Station) -> None:
    station.set_pin("m-1", "11", "2580", "2581")
    station.set_pin("m-1", "11", "7777")
    assert [station.check("11", pin)[0] for pin in ("2580", "2581", "7777")] == [None, None, "m-1"]


def test_a_hash_that_was_moved_to_another_member_opens_to_nobody(station: Station) -> None:
    station.set_pin("m-1", "11", "2580")
    station.set_pin("m-2", "22", "8520")
    connection = sqlite3.connect(station.state / "station.db")
    connection.execute("UPDATE pins SET (salt, hash) = (SELECT salt, hash FROM pins WHERE number = '11')")
    connection.commit()
    connection.close()
    station.checker.submit(LoadCredentials())
    assert station.check("22", "2580") == (None, False)
    assert station.check("11", "2580") == ("m-1", False)


def test_a_number_alone_names_its_member_or_nobody(station: Station) -> None:
    station.set_pin("m-1", "11", "2580")
    for number, members in (("11", ("m-1",)), ("99", ())):
        station.checker.submit(FindNumber(number, 5.0))
        found = station.answer(CodePresented)
        assert (found.at, found.way, found.member_ids) == (5.0, "number", members)


# --- timing ----------------------------------------------------------------------------------------------------------


def test_a_wrong_number_costs_the_same_hash_as_a_wrong_pin(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    station.set_pin("m-1", "11", "2580", "2581")
    station.set_pin("m-2", "22", "8520")
    hashes: list[str] = []
    compared: list[int] = []
    slow, compare = Keys.pin_hash, hmac.compare_digest

    def count_hash(keys: Keys, *arguments: object) -> bytes:
        hashes.append("hash")
        return slow(keys, *arguments)  # type: ignore[arg-type]

    def count_comparison(one: bytes, other: bytes) -> bool:
        compared.append(len(one) + len(other))
        return bool(compare(one, other))

    monkeypatch.setattr(Keys, "pin_hash", count_hash)
    monkeypatch.setattr(hmac, "compare_digest", count_comparison)
    for number, pin in (("11", "2580"), ("11", "2581"), ("11", "9999"), ("22", "9999"), ("99", "9999"), ("", "")):
        hashes.clear()
        compared.clear()
        station.check(number, pin)
        assert (hashes, compared) == (["hash"], [64, 64])


def test_the_clock_does_not_tell_a_wrong_number_from_a_wrong_pin(station: Station) -> None:
    station.set_pin("m-1", "11", "2580")

    def seconds(number: str) -> float:
        began = time.process_time()  # of this process alone, whatever else the machine does
        station.check(number, "9999")
        return time.process_time() - began

    pairs = [(seconds("11"), seconds("99")) for _ in range(10)]
    wrong_pin, wrong_number = (statistics.median(each) for each in zip(*pairs, strict=True))
    assert 0.5 < wrong_pin / wrong_number < 2.0
    assert min(wrong_pin, wrong_number) > 0.005  # neither is answered without the slow hash


# --- keys ------------------------------------------------------------------------------------------------------------


def test_the_key_is_made_once_for_this_account_alone_and_said_by_its_id(
    station: Station, caplog: pytest.LogCaptureFixture
) -> None:
    station.give_card("m-1", "4711")
    assert station.key_path.stat().st_mode & 0o777 == 0o600
    before = station.key_path.read_text()
    assert "cards and PINs" in before
    station.restart()
    assert station.owner_of("4711") == "m-1"
    assert station.key_path.read_text() == before
    assert not any(line in caplog.text for line in before.splitlines() if len(line) == 64)


def test_nothing_in_the_state_directory_tells_a_card_or_a_pin(station: Station) -> None:
    station.give_card("m-1", "4711081547110815")
    station.set_pin("m-1", "11", "258014703690", "258014703691")
    station.close()
    content = b"".join(each.read_bytes() for each in station.state.iterdir() if each.is_file())
    for secret in (b"4711081547110815", b"258014703690", b"258014703691"):
        assert secret not in content


def test_a_lost_key_is_said_checks_nothing_and_is_not_made_anew(station: Station) -> None:
    station.give_card("m-1", "4711")
    station.set_pin("m-1", "11", "2580")
    station.key_path.unlink()
    station.restart()
    station.checker.submit(FindCard("f", "4711"))
    assert station.answer(CredentialsLoaded).fault == KEY_LOST
    assert station.answer(CodeUnchecked).request == "f"
    station.checker.submit(CheckPin("c", "11", "2580"))
    assert station.answer(CodeUnchecked).request == "c"
    station.checker.submit(SealPin("s", "m-1", "", "2580"))
    assert station.answer(CredentialsRefused).code == KEY_LOST
    assert not station.key_path.exists()


def test_another_key_than_the_rows_need_is_said_until_they_are_gone(station: Station) -> None:
    station.give_card("m-1", "4711")
    station.set_pin("m-1", "11", "2580")
    station.key_path.unlink()
    KeyFile(station.key_path).write(ring_of(make_key()))
    station.restart()
    station.checker.submit(LoadCredentials())
    assert station.answer(CredentialsLoaded).fault == KEY_LOST
    station.checker.submit(CheckPin("c", "11", "2580"))
    assert station.answer(CodeUnchecked).request == "c"
    station.checker.submit(FindCard("f", "4711"))
    assert station.answer(CodeUnchecked).request == "f"
    station.give_card("m-2", "4712")
    assert station.owner_of("4712") == "m-2"


def test_a_key_that_others_can_read_is_refused(station: Station) -> None:
    KeyFile(station.key_path).write(ring_of(make_key()))
    station.key_path.chmod(0o644)
    station.checker.submit(LoadCredentials())
    assert station.answer(CredentialsLoaded).fault == KEY_REFUSED


def test_an_older_key_still_finds_its_cards_beside_a_newer_one(station: Station) -> None:
    station.give_card("m-1", "4711")
    station.set_pin("m-1", "11", "2580")
    former = KeyFile(station.key_path).read()
    KeyFile(station.key_path).write(ring_of(*former.keys.values(), make_key()))
    station.restart()
    station.give_card("m-2", "4712")
    assert (station.owner_of("4711"), station.owner_of("4712")) == ("m-1", "m-2")
    assert station.check("11", "2580") == ("m-1", False)


# --- failing ---------------------------------------------------------------------------------------------------------


def test_a_database_that_cannot_be_read_is_said_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "_RETRY_S", 0.05)
    said: queue.Queue[Event] = queue.Queue()
    state = tmp_path / "state"
    checker = CredentialChecker(state / "station.db", KeyFile(tmp_path / "keys"), SystemClock(), said.put)
    checker.submit(FindCard("f", "4711"))
    loaded = said.get(timeout=WAIT_S)
    assert isinstance(loaded, CredentialsLoaded)
    assert loaded.fault == UNREADABLE
    assert isinstance(said.get(timeout=WAIT_S), CodeUnchecked)
    writer = StorageWriter(state, "test-1", SystemClock(), Inbox())
    writer.open()
    while loaded.fault:  # in other words while the tables are being made
        loaded = said.get(timeout=WAIT_S)
        assert isinstance(loaded, CredentialsLoaded)
    checker.close()
    writer.close(5.0)


def test_a_disk_that_fails_later_keeps_nobody_out(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    station.give_card("m-1", "4711")
    assert station.owner_of("4711") == "m-1"

    def fail(_path: Path) -> None:
        raise OSError("I/O error")

    monkeypatch.setattr(credentials, "open_readonly", fail)
    station.checker.submit(LoadCredentials())
    assert station.owner_of("4711") == "m-1"


def test_more_than_can_wait_is_refused_at_once_and_the_end_comes_all_the_same(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Keys.pin_hash

    def slower(keys: Keys, *arguments: object) -> bytes:
        time.sleep(0.2)
        return slow(keys, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Keys, "pin_hash", slower)
    for n in range(100):
        station.checker.submit(CheckPin(f"c-{n}", "11", "2580"))
    assert station.answer(CodeUnchecked).request.startswith("c-")
    station.checker.close()


def test_a_mistake_ends_the_worker_and_is_told(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise RuntimeError("no")

    monkeypatch.setattr(Keys, "pin_hash", fail)
    station.checker.submit(CheckPin("c", "11", "2580"))
    assert station.answer(WorkerFailed).worker == "credentials"


def test_all_that_a_member_is_to_have_is_sealed_at_once_and_a_card_given_twice_is_one(station: Station) -> None:
    station.checker.submit(SealMember("r-1", "m-1", ("00AF12", "4711", "af12"), "2580"))
    sealed = station.answer(MemberSealed)
    assert (sealed.request, len(sealed.cards)) == ("r-1", 2)
    assert sealed.pin is not None
    given = frozenset({"cards", "pin"})
    station.writer.submit(
        PutMember("r-1", "m-1", 100.0, given, cards=sealed.cards, pin=sealed.pin, number="11"),
    )
    station.inbox.wait(MemberPut)
    station.checker.submit(LoadCredentials())
    assert [station.owner_of(each) for each in ("AF12", "4711", "4712")] == ["m-1", "m-1", None]
    assert station.check("11", "2580") == ("m-1", False)


def test_who_stands_at_the_door_does_not_wait_for_a_roster_that_is_sealed(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    station.give_card("m-1", "4711")
    may_seal, seal_pin = threading.Event(), Keys.seal_pin

    def seal(keys: Keys, member_id: str, pin: str, duress: str) -> SealedPin:
        assert may_seal.wait(WAIT_S)
        return seal_pin(keys, member_id, pin, duress)

    monkeypatch.setattr(Keys, "seal_pin", seal)
    for number in range(5):
        station.checker.submit(SealMember(f"r-{number}", "m-2", (), "2580"))
    station.checker.submit(FindCard("f", "4711"))
    may_seal.set()
    said = [station.said.get(timeout=WAIT_S) for _ in range(6)]
    place = next(number for number, each in enumerate(said) if isinstance(each, CardFound))
    assert place <= 1, "at the most the one that was under way went before"
    sealed = [each.request for each in said if isinstance(each, MemberSealed)]
    assert sealed == [f"r-{number}" for number in range(5)], "they keep their own order"


def test_a_card_is_sealed_under_every_key_with_the_newest_last() -> None:
    old, new = make_key(), make_key()
    keys = Keys(ring_of(old, new))
    sealed = keys.seal_card_by_all("4711")
    assert [each.key_id for each in sealed] == [old.id, new.id]
    assert sealed[-1] == keys.seal_card("4711")
    assert {each.hash for each in sealed} == set(keys.card_hashes("4711"))


def test_without_a_key_nothing_is_sealed_but_what_needs_no_seal_keeps_its_place(station: Station) -> None:
    station.give_card("m-1", "4711")
    station.checker.close()
    station.key_path.unlink()
    station.checker = station.start()
    station.checker.submit(SealMember("r-1", "m-1", ("4712",)))
    refused = station.answer(CredentialsRefused)
    assert (refused.request, refused.code) == ("r-1", KEY_LOST)
    station.checker.submit(SealMember("r-2", "m-1"))
    assert station.answer(MemberSealed).cards == ()


def test_neither_orders_nor_answers_nor_keys_print_a_secret() -> None:
    key = make_key()
    keys = Keys(ring_of(key))
    card, pin = keys.seal_card("4711"), keys.seal_pin("m-1", "2580", "2581")
    shown = repr(
        [
            *(FindCard("f", "4711"), CheckPin("c", "11", "2580"), SealPin("s", "m-1", "", "2580", "2581")),
            *(SealMember("s", "m-1", ("4711",), "2580"), card, pin),
        ]
    )
    assert not any(secret in shown for secret in ("4711", "2580", "2581", card.hash, repr(pin.hash)))
    assert key.text() not in repr(keys)
    assert json.dumps(shown)
