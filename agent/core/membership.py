"""Members apart from their faces: taken up without one, suspended and resumed.

A suspension counts from the moment that it is asked for, and outlives a restart and a restored backup: storage keeps it
in the ledger, too. One with an end is over when a clock that a time source has set says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from agent import events
from agent.core import registration
from agent.core.problems import Words, problem
from agent.core.state import Suspension
from agent.core.turn import Turn
from agent.effects import SaveMember, SuspendMember
from agent.events import ControlRequested, Member

MAX_HELD = 64  # the central server has sixteen commands under way at the most
_OVER = "suspension:"  # of requests that nobody asked for: their time is over


# --- taking up -------------------------------------------------------------------------------------------------------


def add(turn: Turn, asked: ControlRequested) -> None:
    """Take up somebody without a face, who comes in by a card, a PIN or a pass."""
    member_id = asked.arguments["id"]
    taken = registration.taken(turn, member_id, is_again=False)
    if taken is not None:
        turn.refuse(asked.request, taken)
        return
    member = Member(member_id, needs_longer=asked.arguments.get("needs_longer", False))
    registration.order_save(turn, SaveMember(asked.request, member, asked.arguments["name"], turn.now))
    late = problem("storage.failed", asked.action, "the member is not on the disk yet")
    turn.expect(asked.request, late, {"member": member_id})


# --- suspending ------------------------------------------------------------------------------------------------------


def suspend(turn: Turn, asked: ControlRequested) -> None:
    """Keep a member out from now on, until a time or until somebody resumes them."""
    given = asked.arguments.get("until")
    until = None if given is None else datetime.fromisoformat(given).astimezone(UTC)
    clock = turn.state.clock
    if until is not None and clock is not None and clock.is_trusted and until <= clock.utc:
        words = Words("结束时间已经过去", "that time is over already")
        turn.refuse(asked.request, problem("request.invalid", "until", words))
        return
    _ask_for(turn, asked, is_suspended=True, until=until)


def resume(turn: Turn, asked: ControlRequested) -> None:
    """Let a member come in again."""
    _ask_for(turn, asked, is_suspended=False, until=None)


def on_suspended(turn: Turn, event: events.MemberSuspended) -> None:
    """It is in the ledger and on the disk. What was asked for since stands."""
    waiting = turn.state.suspensions.get(event.member_id)
    if waiting is not None and waiting.request == event.request:
        rest = {key: each for key, each in turn.state.suspensions.items() if key != event.member_id}
        turn.set(suspensions=rest)
    is_expected = turn.forget(event.request) is not None
    if not event.existed or event.member_id not in turn.state.members:
        if is_expected:
            turn.refuse(event.request, problem("member.unknown", event.member_id))
        return
    body: dict[str, str | None] = {"member": event.member_id}
    if event.is_suspended:
        body["until"] = _text(event.until)
    else:
        body["why"] = event.why
    turn.log("member.suspended" if event.is_suspended else "member.resumed", body, tag=event.request)
    if is_expected:
        turn.answer_when_logged(event.request, body, "members.suspend")


def end_suspensions(turn: Turn) -> None:
    """Let those come in again whose time is over. A clock that nobody vouches for ends nothing."""
    clock = turn.state.clock
    if clock is None or not clock.is_trusted:
        return
    for member in turn.state.members.values():
        if member.is_suspended and member.suspended_until is not None and member.suspended_until <= clock.utc:
            _order(turn, f"{_OVER}{member.id}", member, Suspension(f"{_OVER}{member.id}", False), "until")


def still_suspended(turn: Turn, members: Iterable[Member]) -> tuple[Member, ...]:
    """Members as the disk has them, with what was asked for and is not there yet."""
    return tuple(
        each if (order := turn.state.suspensions.get(each.id)) is None else _with(each, order) for each in members
    )


def _ask_for(turn: Turn, asked: ControlRequested, *, is_suspended: bool, until: datetime | None) -> None:
    member = turn.state.members.get(asked.arguments["id"])
    if member is None and _hold(turn, asked):
        return
    if member is None:
        turn.refuse(asked.request, problem("member.unknown", asked.arguments["id"]))
        return
    actor = asked.actor
    turn.log(
        "control.done",
        {"action": asked.action, "actor": actor.name, "kind": actor.kind, "member": member.id, "until": _text(until)},
    )
    _order(turn, asked.request, member, Suspension(asked.request, is_suspended, until), "asked")
    turn.expect(asked.request, problem("storage.failed", asked.action, "the suspension is not on the disk yet"))


def _hold(turn: Turn, asked: ControlRequested) -> bool:
    """Put it off while somebody is being taken up, so that a suspension right behind is not lost; False: nobody is."""
    is_coming = any(each.member_id == asked.arguments["id"] for each in turn.state.puts.values())
    if not is_coming or len(turn.state.held) >= MAX_HELD:
        return False
    turn.set(held=(*turn.state.held, asked))
    turn.expect(asked.request, problem("storage.failed", asked.action, "the member is not on the disk yet"))
    return True


def go_on(turn: Turn, member_id: str) -> None:
    """Whoever was being taken up is there, or is not: what was put off for that is done, or refused."""
    due = [each for each in turn.state.held if each.arguments["id"] == member_id]
    turn.set(held=tuple(each for each in turn.state.held if each.arguments["id"] != member_id))
    for asked in due:
        turn.forget(asked.request)
        (suspend if asked.action == "members.suspend" else resume)(turn, asked)


def _order(turn: Turn, request: str, member: Member, order: Suspension, why: str) -> None:
    _put(turn, _with(member, order))
    turn.set(suspensions={**turn.state.suspensions, member.id: order})
    turn.do(SuspendMember(request, member.id, order.is_suspended, turn.now, order.until, why))


def _with(member: Member, order: Suspension) -> Member:
    return replace(member, is_suspended=order.is_suspended, suspended_until=order.until)


def _put(turn: Turn, member: Member) -> None:
    turn.set(members={**turn.state.members, member.id: member})


def _text(until: datetime | None) -> str | None:
    return None if until is None else until.isoformat(timespec="seconds").replace("+00:00", "Z")
