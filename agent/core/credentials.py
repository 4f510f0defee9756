"""Giving members cards and PINs, and taking them away. The numbers go to a worker and come back as hashes."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

from agent import events
from agent.core.codes import CARD, KEYPAD, READ_CARD_S, CardWanted, give, take_away
from agent.core.keypad import MAX_PIN
from agent.core.problems import Problem, Words, problem
from agent.core.turn import Turn
from agent.effects import LoadCredentials, RemoveCredentials, Reply, SaveCard, SavePin, SealCard, SealPin
from agent.events import ControlRequested

_HOLD_IT = Words("请把卡放到门口的读卡器上。", "Please hold the card to the reader at the door.")
_GIVEN = {"card_added": CARD, "pin_set": KEYPAD}
_TRIED_FIRST = ({-1}, {0}, {1})  # the steps from digit to digit in 4321, 0000 and 1234


def add_card(turn: Turn, asked: ControlRequested) -> None:
    """Give a member the card of this number, or the next one that is read at the door."""
    member_id, number = asked.arguments["id"], asked.arguments.get("number", "")
    if member_id not in turn.state.members:
        turn.refuse(asked.request, problem("member.unknown", member_id))
    elif bool(number) == asked.arguments.get("read", False):
        words = Words("请给出卡号,或在门口读卡,二选一", "give a number, or read the card at the door; not both")
        turn.refuse(asked.request, problem("request.invalid", "number", words))
    elif number:
        turn.do(SealCard(asked.request, member_id, number))
        _expect(turn, asked.request, "members.card")
    else:
        _want_card(turn, asked.request, member_id)


def _want_card(turn: Turn, request: str, member_id: str) -> None:
    codes = turn.state.codes
    if False not in turn.rules.codes.readers.values():
        words = Words("门口没有读卡器", "there is no reader at the door")
        turn.refuse(request, problem("request.invalid", "read", words))
    elif codes.card_wanted is not None:
        words = Words("正在等另一张卡", "another card is being waited for")
        turn.refuse(request, problem("request.busy", "members.card", words))
    else:
        turn.set(codes=replace(codes, card_wanted=CardWanted(request, member_id, turn.now + READ_CARD_S)))
        advice = {"zh": _HOLD_IT.zh, "en": _HOLD_IT.en}
        turn.do(Reply(request, ok=True, result={"advice": advice, "within_s": READ_CARD_S}, is_last=False))


def set_pin(turn: Turn, asked: ControlRequested) -> None:
    """Set a member's PIN and, if they are to have one, the PIN for the case that somebody forces them."""
    member_id, pin = asked.arguments["id"], asked.arguments["pin"]
    duress = asked.arguments.get("duress", "")
    if member_id not in turn.state.members:
        turn.refuse(asked.request, problem("member.unknown", member_id))
        return
    found = fault_in(pin, turn.rules.codes.pin_digits) or (
        fault_in(duress, turn.rules.codes.pin_digits) if duress else None
    )
    if found is None and pin == duress:
        found = problem("pin.same", "duress")
    if found is not None:
        turn.refuse(asked.request, found)
        return
    turn.do(SealPin(asked.request, member_id, asked.arguments.get("number", ""), pin, duress))
    _expect(turn, asked.request, "members.pin")


def fault_in(pin: str, fewest: int) -> Problem | None:
    """Too short, or one that is tried first. The PIN itself is never repeated."""
    if not fewest <= len(pin) <= MAX_PIN:
        return problem("pin.length", "pin", f"{fewest}–{MAX_PIN}")
    steps = {int(later) - int(one) for one, later in pairwise(pin)}
    return problem("pin.weak", "pin") if steps in _TRIED_FIRST else None


def remove_cards(turn: Turn, asked: ControlRequested) -> None:
    """Take all cards of a member away: none of them opens from now on."""
    _remove(turn, asked, "cards")


def remove_pin(turn: Turn, asked: ControlRequested) -> None:
    """Take a member's PIN away."""
    _remove(turn, asked, "pin")


def _remove(turn: Turn, asked: ControlRequested, what: str) -> None:
    if asked.arguments["id"] in turn.state.members:  # or ids that somebody makes up would pile up
        way = CARD if what == "cards" else KEYPAD
        turn.set(codes=take_away(turn.state.codes, asked.arguments["id"], way))
    turn.do(RemoveCredentials(asked.request, asked.arguments["id"], what, turn.now))
    _expect(turn, asked.request, asked.action)


def _expect(turn: Turn, request: str, action: str) -> None:
    turn.expect(request, problem("storage.failed", action, "it is not on the disk yet"))


# --- answers ---------------------------------------------------------------------------------------------------------


def on_card_sealed(turn: Turn, event: events.CardSealed) -> None:
    """Its hash is there: store it, unless the member was erased meanwhile."""
    if event.member_id in turn.state.members:
        turn.do(SaveCard(event.request, event.member_id, event.card, turn.now))
    else:
        _refuse(turn, event.request, problem("member.unknown", event.member_id))


def on_pin_sealed(turn: Turn, event: events.PinSealed) -> None:
    """Its hash is there: store it, unless the member was erased meanwhile."""
    if event.member_id in turn.state.members:
        turn.do(SavePin(event.request, event.member_id, event.number, event.pin, turn.now))
    else:
        _refuse(turn, event.request, problem("member.unknown", event.member_id))


def on_changed(turn: Turn, event: events.CredentialsChanged) -> None:
    """It is on the disk: from now on the worker goes by it."""
    turn.do(LoadCredentials())
    if event.what in _GIVEN:
        turn.set(codes=give(turn.state.codes, event.member_id, _GIVEN[event.what]))
    turn.log(f"member.{event.what}", {"member": event.member_id}, tag=event.request)
    if turn.forget(event.request) is not None:
        result: dict[str, Any] = {"member": event.member_id}
        if event.what == "pin_set":
            result["number"] = event.number
        elif event.what in {"cards_removed", "pin_removed"}:
            result["count"] = event.count
        turn.answer_when_logged(event.request, result, "members.credentials")


def on_refused(turn: Turn, event: events.CredentialsRefused) -> None:
    """Nothing was stored."""
    _refuse(turn, event.request, problem(event.code, "credentials", event.detail))


def _refuse(turn: Turn, request: str, found: Problem) -> None:
    if turn.forget(request) is not None:
        turn.refuse(request, found)
