"""Giving out cards and PINs, over the control socket."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.core.codes import READ_CARD_S, CodeRules
from agent.effects import (
    AppendEntry,
    CheckPin,
    FindCard,
    LoadCredentials,
    RemoveCredentials,
    SaveCard,
    SavePin,
    SealCard,
    SealPin,
)
from agent.events import (
    CardFound,
    CardRead,
    CardSealed,
    CredentialsChanged,
    CredentialsRefused,
    KeyPressed,
    Member,
    MemberErased,
    MemberSaved,
    PinChecked,
    PinSealed,
    SealedCard,
    SealedPin,
    SubscriberLeft,
)
from tests.core.station_play import RULES, VIEWER, Play, member, ready

CODES = replace(RULES, codes=CodeRules(readers={"front": False, "exit": True}))
CARD = SealedCard("k-1", "ab" * 32)
PIN = SealedPin("k-1", b"salt", b"hash", b"duress")


def station() -> Play:
    return ready(member("m-1", 1), rules=CODES)


def finals(play: Play, request: str = "r-1") -> int:
    return len([each for each in play.replies(request) if each.is_last])


def test_a_card_whose_number_is_known_is_sealed_stored_logged_and_in_force() -> None:
    play = station()
    play.ask("members.card", id="m-1", number="4711")
    (order,) = play.found(SealCard)
    play.put(CardSealed(play.now, order.request, "m-1", CARD))
    assert [each.card for each in play.found(SaveCard)] == [CARD]
    assert play.replies() == []
    play.put(CredentialsChanged(play.now, "r-1", "m-1", "card_added", 1))
    assert len(play.found(LoadCredentials)) == 1
    play.write_log()
    assert play.replies()[-1].ok
    assert play.logged("member.card_added") == [{"member": "m-1"}]
    assert "4711" not in repr(play.orders)
    assert "ab" * 32 not in repr(play.found(AppendEntry))
    assert finals(play) == 1


def test_the_next_card_at_the_door_is_given_to_the_member_and_opens_nothing() -> None:
    play = station()
    play.ask("members.card", id="m-1", read=True)
    assert play.replies()[-1].is_last is False
    assert "card" in play.replies()[-1].result["advice"]["en"]
    play.wait(5.0)
    play.put(CardRead(play.now, "front", "4711"))
    assert [(each.member_id, each.card) for each in play.found(SealCard)] == [("m-1", "4711")]
    assert play.found(FindCard) == []
    play.put(CardSealed(play.now, "r-1", "m-1", CARD))
    play.put(CredentialsChanged(play.now, "r-1", "m-1", "card_added", 1))
    play.write_log()
    assert play.replies()[-1].ok
    assert play.lock_orders() == []
    play.put(CardRead(play.now, "front", "4711"))
    assert len(play.found(FindCard)) == 1


def test_who_leaves_by_the_reader_inside_does_not_give_their_card_away() -> None:
    play = station()
    play.ask("members.card", id="m-1", read=True)
    play.put(CardRead(play.now, "exit", "4711"))
    assert play.found(SealCard) == []
    assert play.lock_orders() == [True]


def test_a_card_that_does_not_come_is_said() -> None:
    play = station()
    play.ask("members.card", id="m-1", read=True)
    play.wait(READ_CARD_S)
    assert play.problem_codes() == ["request.timed_out"]
    play.put(CardRead(play.now, "front", "4711"))
    assert play.found(SealCard) == []
    assert finals(play) == 1


def test_who_asked_and_left_gives_nobody_a_card() -> None:
    play = station()
    play.ask("members.card", id="m-1", read=True)
    play.put(SubscriberLeft(play.now, "r-9"))
    assert play.state.codes.card_wanted is not None
    play.put(SubscriberLeft(play.now, "r-1"))
    play.put(CardRead(play.now, "front", "4711"))
    assert play.found(SealCard) == []


def test_one_card_is_waited_for_at_a_time() -> None:
    play = station()
    play.ask("members.card", id="m-1", read=True)
    play.ask("members.card", request="r-2", id="m-1", read=True)
    assert play.problem_codes("r-2") == ["request.busy"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"id": "m-9", "number": "1"}, "member.unknown"),
        ({"id": "m-1"}, "request.invalid"),
        ({"id": "m-1", "number": "1", "read": True}, "request.invalid"),
    ],
)
def test_a_card_that_cannot_be_given_is_refused(arguments: dict[str, Any], code: str) -> None:
    play = station()
    play.ask("members.card", **arguments)
    assert play.problem_codes() == [code]
    assert play.found(SealCard) == []


def test_without_a_reader_at_the_door_no_card_is_waited_for() -> None:
    play = ready(member("m-1", 1), rules=replace(RULES, codes=CodeRules(readers={"exit": True})))
    play.ask("members.card", id="m-1", read=True)
    assert play.problem_codes() == ["request.invalid"]


def test_a_pin_is_sealed_stored_and_its_number_told() -> None:
    play = station()
    play.ask("members.pin", id="m-1", pin="2580", duress="2581")
    (order,) = play.found(SealPin)
    assert (order.number, order.pin, order.duress) == ("", "2580", "2581")
    play.put(PinSealed(play.now, "r-1", "m-1", "", PIN))
    assert [each.pin for each in play.found(SavePin)] == [PIN]
    play.put(CredentialsChanged(play.now, "r-1", "m-1", "pin_set", number="123456"))
    play.write_log()
    assert play.replies()[-1].result["number"] == "123456"
    assert play.logged("member.pin_set") == [{"member": "m-1"}]
    assert not any(secret in repr(play.orders) for secret in ("2580", "2581", "b'hash'"))


@pytest.mark.parametrize(
    ("pin", "duress", "code"),
    [
        ("258", "", "pin.length"),
        ("2580258025802", "", "pin.length"),
        ("1111", "", "pin.weak"),
        ("1234", "", "pin.weak"),
        ("987654", "", "pin.weak"),
        ("2580", "4444", "pin.weak"),
        ("2580", "2580", "pin.same"),
    ],
)
def test_a_pin_that_is_tried_first_is_refused_and_not_repeated(pin: str, duress: str, code: str) -> None:
    play = station()
    play.ask("members.pin", id="m-1", pin=pin, duress=duress)
    assert play.problem_codes() == [code]
    assert play.found(SealPin) == []
    assert pin not in repr(play.replies())


def test_how_short_a_pin_may_be_is_a_setting() -> None:
    play = ready(member("m-1", 1), rules=replace(RULES, codes=CodeRules(pin_digits=6)))
    play.ask("members.pin", id="m-1", pin="25802")
    assert play.problem_codes() == ["pin.length"]
    assert "6–12" in play.replies()[-1].problems[0]["text"]["en"]


def test_nobody_who_is_not_there_gets_a_pin() -> None:
    play = station()
    play.ask("members.pin", id="m-9", pin="2580")
    assert play.problem_codes() == ["member.unknown"]


def test_cards_are_taken_away_and_it_is_said_how_many() -> None:
    play = station()
    play.ask("members.uncard", id="m-1")
    assert [each.what for each in play.found(RemoveCredentials)] == ["cards"]
    play.put(CredentialsChanged(play.now, "r-1", "m-1", "cards_removed", 2))
    play.write_log()
    assert play.replies()[-1].result["count"] == 2
    assert len(play.found(LoadCredentials)) == 1


def test_a_pin_is_taken_away() -> None:
    play = station()
    play.ask("members.unpin", id="m-1")
    assert [each.what for each in play.found(RemoveCredentials)] == ["pin"]
    play.put(CredentialsRefused(play.now, "r-1", "member.unknown", "m-1"))
    assert play.problem_codes() == ["member.unknown"]


@pytest.mark.parametrize("count", [0, 1])
def test_whether_there_was_a_pin_to_take_away_is_told(count: int) -> None:
    play = station()
    play.ask("members.unpin", id="m-1")
    play.put(CredentialsChanged(play.now, "r-1", "m-1", "pin_removed", count))
    play.write_log()
    assert play.replies()[-1].result["count"] == count


@pytest.mark.parametrize("what", ["card", "pin"])
def test_who_is_erased_meanwhile_gets_neither(what: str) -> None:
    play = station()
    given: dict[str, Any] = {"number": "4711"} if what == "card" else {"pin": "2580"}
    play.ask(f"members.{what}", id="m-1", **given)
    play.ask("members.erase", request="r-2", id="m-1")
    play.put(MemberErased(play.now, "m-1", "r-2", existed=True))
    play.put(CardSealed(play.now, "r-1", "m-1", CARD) if what == "card" else PinSealed(play.now, "r-1", "m-1", "", PIN))
    assert play.problem_codes() == ["member.unknown"]
    assert play.found(SaveCard) == []
    assert play.found(SavePin) == []


def test_a_disk_that_does_not_write_is_said_and_its_late_answer_is_no_second_one() -> None:
    play = station()
    play.ask("members.card", id="m-1", number="4711")
    play.wait(60.0)
    assert play.problem_codes() == ["storage.failed"]
    play.put(CredentialsChanged(play.now, "r-1", "m-1", "card_added", 1))
    play.put(CredentialsRefused(play.now, "r-1", "card.taken", "m-2"))
    play.write_log()
    assert finals(play) == 1
    assert len(play.found(LoadCredentials)) == 1  # it is in force all the same


def test_a_viewer_gives_nobody_a_card() -> None:
    play = station()
    play.ask("members.card", actor=VIEWER, id="m-1", number="4711")
    assert play.problem_codes() == ["request.forbidden"]


# --- what was taken away ---------------------------------------------------------------------------------------------


def show_card(play: Play, member_id: str) -> list[object]:
    """The worker still knows the card; returns why it was refused, if it was."""
    play.take()
    play.put(CardRead(play.now, "front", "4711"))
    play.put(CardFound(play.now, play.found(FindCard)[-1].request, member_id))
    return [each["reason"] for each in play.logged("access.refused")]


def test_a_lost_card_opens_nothing_from_the_moment_it_is_taken_away_though_the_disk_does_not_write() -> None:
    play = station()
    play.ask("members.uncard", id="m-1")
    assert show_card(play, "m-1") == ["code_wrong"]
    assert play.lock_orders() == []
    play.put(CredentialsChanged(play.now, "r-1", "m-1", "cards_removed", 1))
    assert show_card(play, "m-1") == ["code_wrong"], "the worker may fail to read what has changed"


def test_a_pin_that_was_taken_away_opens_nothing_and_the_card_still_does() -> None:
    play = station()
    play.ask("members.unpin", id="m-1")
    for key in "123456#2580#":
        play.put(KeyPressed(play.now, "front", key))
    play.put(PinChecked(play.now, play.found(CheckPin)[-1].request, "m-1"))
    assert play.lock_orders() == []
    assert show_card(play, "m-1") == []
    assert play.lock_orders() == [True]


def test_a_new_card_opens() -> None:
    play = station()
    play.ask("members.uncard", id="m-1")
    play.put(CredentialsChanged(play.now, "r-1", "m-1", "cards_removed", 1))
    play.put(CredentialsChanged(play.now, "r-2", "m-1", "card_added", 1))
    assert show_card(play, "m-1") == []
    assert play.lock_orders() == [True]


def test_the_card_of_somebody_who_was_erased_does_not_open_for_the_next_with_their_id() -> None:
    play = station()
    play.ask("members.erase", id="m-1")
    play.put(MemberErased(play.now, "m-1", "r-1", existed=True))
    assert play.found(LoadCredentials), "the worker has to forget it, too"
    play.ask("members.add", id="m-1", name="Somebody else", request="r-2")
    play.put(MemberSaved(play.now, Member("m-1"), "r-2"))
    assert "m-1" in play.state.members
    assert show_card(play, "m-1") == ["code_wrong"]
    assert play.lock_orders() == []


def test_ids_that_somebody_makes_up_do_not_pile_up() -> None:
    play = station()
    for n in range(5):
        play.ask("members.uncard", id=f"x-{n}", request=f"r-{n}")
        play.ask("members.erase", id=f"y-{n}", request=f"e-{n}")
    assert play.state.codes.taken_away == frozenset()
