"""Coming in by a pass: a code is seen, checked at the edge, judged here, and redeemed on the disk if it is for once.

A pass for once opens only after the disk has said that it was spent by this very order. Who is not told in time is
refused, and the disk does not spend a pass after its time; at worst one is spent and the door stays shut, never the
other way round.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from agent import events
from agent.core import supervision
from agent.core.access import Reason, refusal_at, refusal_of
from agent.core.door import Cause
from agent.core.pass_book import PassBook, Redemption
from agent.core.passage import advise, factors_needed, open_for, refuse_entry
from agent.core.passes import Pass, Place, refusal_of_pass
from agent.core.problems import problem
from agent.core.turn import Turn
from agent.effects import CheckPass, RedeemPass, RevokePass
from agent.events import ControlRequested

WAY = "pass"
FRESH_S = 3.0  # from the frame to the judgement: after that whoever held the code may have gone
REDEEM_S = 4.0  # for the disk; a rider in the rain waits no longer, and a card mostly takes 50 ms
ANSWER_S = 1.0  # for the answer of an order that was carried out at the last moment
QUIET_S = 10.0  # after an admission, for as long as somebody may still hold the code up
MAX_REDEMPTIONS = 4  # of people who stand at one door at a time
MAX_QUIET = 16
MAX_REVOKED = 10_000  # one by one, by people; a key whose passes are all in doubt is taken out of the settings instead


def begin(revoked: frozenset[str] | None) -> PassBook:
    """The book at a start. `revoked`: as in `Restored`."""
    return PassBook(revoked or frozenset(), is_known=revoked is not None)


def learn(turn: Turn, revoked: frozenset[str] | None) -> None:
    """The ledger could be opened late: it adds to what was revoked meanwhile."""
    book = turn.state.passes
    is_known = book.is_known or revoked is not None
    turn.set(passes=replace(book, revoked=book.revoked | (revoked or frozenset()), is_known=is_known))


# --- at the door -----------------------------------------------------------------------------------------------------


def on_code(turn: Turn, event: events.CodeSeen) -> None:
    """A code came into view: have it checked, whatever it is."""
    turn.set(vision=supervision.heard(turn.state.vision, turn.now))
    turn.do(CheckPass(event.at, event.text))


def on_checked(turn: Turn, event: events.PassChecked) -> None:
    """Judge a pass whose signature is good; refuse a forged one; what is no pass at all is not an attempt."""
    if turn.now - event.at > FRESH_S:
        return
    token = event.token
    if token is None:
        if event.fault == Reason.PASS_FORGED:
            refuse_entry(turn, Reason.PASS_FORGED, WAY)
        else:
            advise(turn, Reason.PASS_UNREADABLE)  # parcels and coats carry codes, too: the log is not for them
        return
    book = turn.state.passes
    if token.pass_id in book.redemptions or turn.now < book.quiet_until.get(token.pass_id, turn.now):
        return
    reason = _refusal(turn, token, event)
    if reason is not None:
        _refuse(turn, token, reason)
    elif token.is_once:
        _redeem(turn, token, event.at)
    else:
        _admit(turn, token, event.at)


def on_redeemed(turn: Turn, event: events.PassRedeemed) -> None:
    """The disk has spoken: open for a pass that was spent by this order, if nothing has changed meanwhile."""
    found = turn.state.passes.redemptions.get(event.pass_id)
    if found is None or found.until != event.until:
        return  # it was given up, and said so
    _forget(turn, event.pass_id)
    if event.outcome == "spent":
        _refuse(turn, found.token, Reason.PASS_SPENT)
    elif event.outcome != "redeemed" or turn.now >= found.given_up_at:
        _refuse(turn, found.token, Reason.PASS_NOT_REDEEMED)
    elif found.token.pass_id in turn.state.passes.revoked:
        _refuse(turn, found.token, Reason.PASS_REVOKED)
    elif (reason := _refusal_of_holder(turn, found.token)) is not None:
        _refuse(turn, found.token, reason)
    else:
        _admit(turn, found.token, found.seen_at)


def give_up(turn: Turn) -> None:
    """Tell those whose pass the disk has not redeemed in time."""
    for pass_id, each in turn.state.passes.redemptions.items():
        if turn.now >= each.given_up_at:
            _forget(turn, pass_id)
            _refuse(turn, each.token, Reason.PASS_NOT_REDEEMED)


def put_off(book: PassBook, seconds: float) -> PassBook:
    """Redemptions wait for a real disk, which did not live through a pause that was skipped."""
    later = {key: replace(each, given_up_at=each.given_up_at + seconds) for key, each in book.redemptions.items()}
    return replace(book, redemptions=later)


def _refusal(turn: Turn, token: Pass, event: events.PassChecked) -> Reason | None:
    book, rules = turn.state.passes, turn.rules.passes
    if not book.is_known:
        return Reason.PASS_NOT_CHECKED
    may_trust_clock = event.is_clock_trusted or rules.trusts_unset_clock
    reason = refusal_of_pass(token, Place(rules.station, event.minute, may_trust_clock), book.revoked)
    return reason or _refusal_of_holder(turn, token)


def _refusal_of_holder(turn: Turn, token: Pass) -> Reason | None:
    """A member by their pass is refused as by any other way; a guest by the door's mode and the hour alone.

    Where two proofs are needed a pass is not one of them: it would have to be spent before the second is there.
    """
    mode, admission = turn.state.door.mode, turn.state.admission
    member = turn.state.members.get(token.holder)
    reason = refusal_at(mode, admission) if token.is_guest else refusal_of(member, mode, admission)
    if reason is None and factors_needed(turn) > 1:
        return Reason.SECOND_NEEDED
    return reason


def _redeem(turn: Turn, token: Pass, seen_at: float) -> None:
    book = turn.state.passes
    if len(book.redemptions) >= MAX_REDEMPTIONS:
        _refuse(turn, token, Reason.PASS_NOT_REDEEMED)
        return
    until = turn.now + REDEEM_S
    waiting = {**book.redemptions, token.pass_id: Redemption(token, seen_at, until, until + ANSWER_S)}
    turn.set(passes=replace(book, redemptions=waiting))
    turn.do(RedeemPass(token.pass_id, turn.now, until))


def _forget(turn: Turn, pass_id: str) -> None:
    book = turn.state.passes
    left = {key: each for key, each in book.redemptions.items() if key != pass_id}
    turn.set(passes=replace(book, redemptions=left))


def _admit(turn: Turn, token: Pass, seen_at: float) -> None:
    open_for(turn, Cause(WAY, token.member_id, seen_at, token.pass_id))
    book = turn.state.passes
    quiet = {**_still_quiet(book.quiet_until, turn.now), token.pass_id: turn.now + QUIET_S}
    turn.set(passes=replace(book, quiet_until=dict(list(quiet.items())[-MAX_QUIET:])))


def _still_quiet(quiet_until: Mapping[str, float], now: float) -> dict[str, float]:
    return {key: until for key, until in quiet_until.items() if until > now}


def _refuse(turn: Turn, token: Pass, reason: Reason) -> None:
    member_id = token.member_id if token.member_id in turn.state.members else None
    refuse_entry(turn, reason, WAY, member_id, token.pass_id)


# --- revoking --------------------------------------------------------------------------------------------------------


def revoke(turn: Turn, asked: ControlRequested) -> None:
    """Let a pass open nothing from now on; done is only said once that is durable."""
    pass_id = asked.arguments["pass_id"]
    if len(turn.state.passes.revoked) >= MAX_REVOKED and pass_id not in turn.state.passes.revoked:
        detail = f"{MAX_REVOKED} passes are revoked: take their key out of passes.keys instead"
        turn.refuse(asked.request, problem("request.busy", asked.action, detail))
        return
    actor = asked.actor
    body = {"action": asked.action, "actor": actor.name, "kind": actor.kind, "pass": pass_id}
    turn.log("control.done", body)
    order_revocation(turn, asked.request, pass_id)
    turn.expect(asked.request, problem("storage.failed", asked.action, "the revocation is not on the disk yet"))


def order_revocation(turn: Turn, request: str, pass_id: str) -> None:
    """The same for whoever else may ask; `on_revoked` follows."""
    book = turn.state.passes
    turn.set(passes=replace(book, revoked=book.revoked | {pass_id}))
    turn.do(RevokePass(request, pass_id, turn.now))


def on_revoked(turn: Turn, event: events.PassRevoked) -> None:
    """The ledger has it: a restored backup does not bring the pass back."""
    turn.log("pass.revoked", {"pass": event.pass_id}, tag=event.request)
    if turn.forget(event.request) is not None:
        turn.answer_when_logged(event.request, {"pass": event.pass_id}, "passes.revoke")
