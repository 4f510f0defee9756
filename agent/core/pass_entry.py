"""Coming in by a pass: a code is seen, checked at the edge, judged here, and redeemed on the disk if it is for once.

A pass for once opens only after the disk has said that it was spent by this very order. Who is not told in time is
refused, and the disk does not spend a pass after its time; at worst one is spent and the door stays shut, never the
other way round.
"""

from __future__ import annotations

from dataclasses import replace

from agent import events
from agent.core import factors, supervision
from agent.core.access import Reason, refusal_at, refusal_of
from agent.core.admission import admit, admit_guest, factors_needed, is_stale, let_in, refuse
from agent.core.door import Cause
from agent.core.pass_book import PassBook
from agent.core.passage import advise, refuse_entry
from agent.core.passes import Pass, Place, refusal_of_pass
from agent.core.problems import problem
from agent.core.turn import Turn
from agent.effects import CheckPass, RevokePass
from agent.events import ControlRequested

WAY = factors.PASS
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
    if is_stale(turn, event.at):
        return
    token = event.token
    if token is None:
        if event.fault == Reason.PASS_FORGED:
            refuse_entry(turn, Reason.PASS_FORGED, WAY)
        else:
            advise(turn, Reason.PASS_UNREADABLE)  # parcels and coats carry codes, too: the log is not for them
        return
    if _is_known(turn, token):
        return
    cause = Cause(WAY, token.member_id, event.at, token.pass_id)
    reason = _refusal(turn, token, event)
    if reason is not None:
        refuse(turn, reason, cause)
    elif token.is_guest:
        admit_guest(turn, cause, token)
    else:
        admit(turn, cause, token)


def on_redeemed(turn: Turn, event: events.PassRedeemed) -> None:
    """The disk has spoken: open for a pass that was spent by this order, if nothing has changed meanwhile."""
    found = turn.state.passes.redemptions.get(event.pass_id)
    if found is None or found.until != event.until:
        return  # it was given up, and said so
    _forget(turn, event.pass_id)
    if event.outcome == "spent":
        refuse(turn, Reason.PASS_SPENT, found.cause)
    elif event.outcome != "redeemed" or turn.now >= found.given_up_at:
        refuse(turn, Reason.PASS_NOT_REDEEMED, found.cause)
    elif event.pass_id in turn.state.passes.revoked:
        refuse(turn, Reason.PASS_REVOKED, found.cause)
    elif (reason := _refusal_of_holder(turn, found.cause)) is not None:
        refuse(turn, reason, found.cause)
    else:
        let_in(turn, found.cause)


def give_up(turn: Turn) -> None:
    """Tell those whose pass the disk has not redeemed in time."""
    for pass_id, each in turn.state.passes.redemptions.items():
        if turn.now >= each.given_up_at:
            _forget(turn, pass_id)
            refuse(turn, Reason.PASS_NOT_REDEEMED, each.cause)


def put_off(book: PassBook, seconds: float) -> PassBook:
    """Redemptions wait for a real disk, which did not live through a pause that was skipped."""
    later = {key: replace(each, given_up_at=each.given_up_at + seconds) for key, each in book.redemptions.items()}
    return replace(book, redemptions=later)


def _is_known(turn: Turn, token: Pass) -> bool:
    """Whether this code is still held up: being redeemed, let in by a moment ago, or waiting for the second factor."""
    book, held = turn.state.passes, turn.state.codes.held
    if token.pass_id in book.redemptions or turn.now < book.quiet_until.get(token.pass_id, turn.now):
        return True
    return held is not None and held.token == token and turn.now < held.until and factors_needed(turn) > 1


def _refusal(turn: Turn, token: Pass, event: events.PassChecked) -> Reason | None:
    book, rules = turn.state.passes, turn.rules.passes
    if not book.is_known:
        return Reason.PASS_NOT_CHECKED
    may_trust_clock = event.is_clock_trusted or rules.trusts_unset_clock
    return refusal_of_pass(token, Place(rules.station, event.minute, may_trust_clock), book.revoked)


def _refusal_of_holder(turn: Turn, cause: Cause) -> Reason | None:
    """What may have changed while the disk wrote. Not how many factors the hour needs: those were given before."""
    mode, admission = turn.state.door.mode, turn.state.admission
    if cause.member_id is None:
        return refusal_at(mode, admission)
    return refusal_of(turn.state.members.get(cause.member_id), mode, admission, turn.known_time())


def _forget(turn: Turn, pass_id: str) -> None:
    book = turn.state.passes
    left = {key: each for key, each in book.redemptions.items() if key != pass_id}
    turn.set(passes=replace(book, redemptions=left))


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
