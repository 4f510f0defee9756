"""What is kept of a member beside their face, changed in one piece: all of an order is carried out or nothing.

The master's order changes a member who is there. The central server's takes up one who is not, and never has a name;
its cards and PIN go to a worker first, and come back as hashes. Orders of the server about one member keep their order:
all of them go through that worker, and an erasure ends those that are under way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from agent import events
from agent.core import credentials, membership
from agent.core.codes import CARD, KEYPAD, give, take_away
from agent.core.problems import Problem, Words, problem
from agent.core.turn import Turn
from agent.effects import LoadCredentials, PutMember, SealMember
from agent.events import ControlRequested

MAX_PUTS = 500  # what waits for the disk at once; the central server has sixteen commands under way at the most
FIELDS = ("name", "needs_longer", "valid_from", "valid_until", "categories", "cards", "pin")
"""What may be changed, in the order in which the log names it."""


def change(turn: Turn, asked: ControlRequested) -> None:
    """Change what the master says of a member; what is not given stays."""
    order = _order_of(turn, asked)
    if order.member_id not in turn.state.members:
        turn.refuse(asked.request, problem("member.unknown", order.member_id))
    elif not order.given:
        words = Words("没有要修改的内容", "nothing is to be changed")
        turn.refuse(asked.request, problem("request.invalid", "name", words))
    elif _begin(turn, asked, order):
        turn.do(order)


def put(turn: Turn, asked: ControlRequested) -> None:
    """Change what the central server says of a member, or take them up."""
    arguments = asked.arguments
    pin = arguments.get("pin") or ""
    weakness = credentials.fault_in(pin, turn.rules.codes.pin_digits) if pin else None
    if weakness is not None:
        turn.refuse(asked.request, weakness)
    elif not turn.state.is_read:
        unread = problem("storage.failed", "id", "no member is known until the disk can be read")
        turn.refuse(asked.request, unread)
    elif _begin(turn, asked, replace(_order_of(turn, asked), may_create=True)):
        turn.do(SealMember(asked.request, arguments["id"], tuple(arguments.get("cards", ())), pin))


def _begin(turn: Turn, asked: ControlRequested, order: PutMember) -> bool:
    if len(turn.state.puts) >= MAX_PUTS:
        turn.refuse(asked.request, problem("request.busy", asked.action, f"{MAX_PUTS} others wait for the disk"))
        return False
    turn.set(puts={**turn.state.puts, order.request: order})
    late = problem("storage.failed", asked.action, "the change is not on the disk yet")
    turn.expect(asked.request, late, {"member": order.member_id})
    return True


def _order_of(turn: Turn, asked: ControlRequested) -> PutMember:
    given = asked.arguments
    return PutMember(
        asked.request,
        given["id"],
        turn.now,
        frozenset(given) & frozenset(FIELDS),
        name=given.get("name", ""),
        needs_longer=given.get("needs_longer", False),
        valid_from=_moment(given, "valid_from"),
        valid_until=_moment(given, "valid_until"),
        categories=tuple(sorted(given.get("categories", ()))),
        number=given.get("number", ""),
    )


def _moment(given: Mapping[str, Any], name: str) -> datetime | None:
    """UTC, to the millisecond, which is what is stored."""
    text = given.get(name)
    if text is None:
        return None
    moment = datetime.fromisoformat(text).astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def on_sealed(turn: Turn, event: events.MemberSealed) -> None:
    """Cards and PIN are hashes: store everything, unless the member was erased meanwhile."""
    order = turn.state.puts.get(event.request)
    if order is not None:
        turn.do(replace(order, at=turn.now, cards=event.cards, pin=event.pin))


def on_put(turn: Turn, event: events.MemberPut) -> None:
    """It is on the disk. What an erasure ended meanwhile is off it again with the next order."""
    order = _end(turn, event.request)
    if order is None:
        return
    member, known = event.member, turn.state.members.get(event.member.id)
    if known is None and not event.was_created:
        _fail(turn, order, problem("member.unknown", member.id))
        return
    if known is not None:  # a suspension and a face that were ordered since count
        member = replace(member, templates=known.templates, is_suspended=known.is_suspended)
        member = replace(member, suspended_until=known.suspended_until)
    turn.set(members={**turn.state.members, member.id: member})
    _take_up_credentials(turn, event)
    changed = sorted(event.changed, key=FIELDS.index)
    if event.was_created:
        turn.log("member.added", {"member": member.id}, tag="" if changed else event.request)
    if changed or not event.was_created:
        turn.log("member.changed", {"member": member.id, "changed": changed}, tag=event.request)
    result: dict[str, Any] = {"member": member.id, "created": event.was_created}
    if event.number:
        result["number"] = event.number
    if turn.forget(event.request) is not None:
        turn.answer_when_logged(event.request, result, "members.put")
    membership.go_on(turn, member.id)


def _take_up_credentials(turn: Turn, event: events.MemberPut) -> None:
    """From now on the worker goes by what is on the disk."""
    codes, member_id = turn.state.codes, event.member.id
    for name, way, is_any in (("cards", CARD, event.card_count > 0), ("pin", KEYPAD, event.has_pin)):
        if name in event.changed:
            codes = give(codes, member_id, way) if is_any else take_away(codes, member_id, way)
    if not {"cards", "pin"}.isdisjoint(event.changed):
        turn.set(codes=codes)
        turn.do(LoadCredentials())


def on_refused(turn: Turn, event: events.PutRefused) -> None:
    """Nothing of it was carried out."""
    order = _end(turn, event.request)
    if order is not None:
        _fail(turn, order, problem(event.code, "member", event.detail))


def on_not_sealed(turn: Turn, event: events.CredentialsRefused) -> None:
    """A card or a PIN cannot be stored: nothing was."""
    order = _end(turn, event.request)
    if order is None:
        credentials.on_refused(turn, event)
    else:
        _fail(turn, order, problem(event.code, "credentials", event.detail))


def forget(turn: Turn, member_id: str) -> None:
    """They are being erased: what is under way for them comes to nothing."""
    theirs = [each for each in turn.state.puts.values() if each.member_id == member_id]
    for order in theirs:
        _end(turn, order.request)
    for order in theirs:
        _fail(turn, order, problem("request.invalid", "id", "an erasure came in between"))


def _end(turn: Turn, request: str) -> PutMember | None:
    """It is not under way any more; None when it was not."""
    order = turn.state.puts.get(request)
    turn.set(puts={key: each for key, each in turn.state.puts.items() if key != request} if order else turn.state.puts)
    return order


def _fail(turn: Turn, order: PutMember, found: Problem) -> None:
    if turn.forget(order.request) is not None:
        turn.refuse(order.request, found)
    membership.go_on(turn, order.member_id)
