"""Letting somebody in: by one way or by two, with the pass redeemed that is one of them.

A pass for once is spent on the disk before the door opens, and only when nothing else is missing: as the first of two
factors it waits unspent, and a second that does not come or is not theirs leaves it as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from agent.core import factors, passback, recognition, verification
from agent.core.access import Reason, refusal_at, refusal_of
from agent.core.door import STANDING_OPEN, Cause
from agent.core.pass_book import Redemption
from agent.core.passage import advise, keep_tracks, open_for, refuse_entry, who
from agent.core.passback import Passback
from agent.core.passes import Pass
from agent.core.schedule import Admission
from agent.core.turn import Turn
from agent.effects import RedeemPass

FRESH_S = 3.0  # from the sign to the judgement: after that whoever gave it may have gone, and another stand there
REDEEM_S = 4.0  # for the disk; a rider in the rain waits no longer, and a card mostly takes 50 ms
ANSWER_S = 1.0  # for the answer of an order that was carried out at the last moment
QUIET_S = 10.0  # after an admission, for as long as somebody may still hold the code up
MAX_REDEMPTIONS = 4  # of people who stand at one door at a time
MAX_QUIET = 16
MAX_RESTS = 200  # as many as there are visits; they end by themselves


def admit(turn: Turn, cause: Cause, token: Pass | None = None) -> Reason | None:
    """Let a member in by `cause`, or say why not; either is logged and shown at the door.

    `token`: of the pass that `cause` is. None also while the disk redeems it. `SECOND_NEEDED` is no refusal: the factor
    is held, and another one of the same member opens the door with it.
    """
    member = turn.state.members.get(cause.member_id or "")
    reason = refusal_of(member, turn.state.door.mode, turn.state.admission, turn.known_time())
    if member is not None and reason is None:
        reason = passback.refusal_of(turn.state.occupancy, member.id, turn.rules.visits)
    if member is None or reason is not None:
        refuse(turn, reason or Reason.NOT_ENROLLED, cause)
        return reason or Reason.NOT_ENROLLED
    window_s = turn.rules.recognition.code_window_s
    held, proof = factors.join(
        turn.state.codes.held,
        cause.way,
        member.id,
        turn.now,
        window_s=window_s,
        needed=factors_needed(turn),
        token=token,
    )
    turn.set(codes=replace(turn.state.codes, held=held))
    if proof is None:
        advise(turn, Reason.SECOND_NEEDED)
        turn.log("access.first_factor", who(cause))
        if "face" not in cause.way.split("+"):
            # The second may be their face, and only theirs: compared with one, not with all.
            keep_tracks(turn, recognition.present(turn.state.tracks, (member.id,)))
            turn.set(code=verification.present(cause.way, (member.id,), turn.now, window_s))
        return Reason.SECOND_NEEDED
    turn.set(code=None)
    pass_id = None if proof.token is None else proof.token.pass_id
    whole = replace(cause, way=proof.way, pass_id=pass_id, needs_longer=member.needs_longer)
    return open_by(turn, whole, proof.token)


def admit_guest(turn: Turn, cause: Cause, token: Pass) -> Reason | None:
    """Let a guest in by their pass: they go by the door's mode and the hour, and have no second factor."""
    reason = refusal_at(turn.state.door.mode, turn.state.admission)
    if reason is None and passback.is_full(turn.state.occupancy, turn.rules.visits):
        reason = Reason.FULL
    if reason is None and factors_needed(turn) > 1:
        reason = Reason.SECOND_NEEDED
    if reason is not None:
        refuse(turn, reason, cause)
        return reason
    return open_by(turn, cause, token)


def open_by(turn: Turn, cause: Cause, token: Pass | None) -> Reason | None:
    """Everything that is needed was given: open, or have the pass redeemed first.

    The dates of a pass were judged as it was shown; it may have waited for the second factor since, some seconds.
    """
    if token is not None and token.pass_id in turn.state.passes.revoked:
        refuse(turn, Reason.PASS_REVOKED, cause)  # while it waited for the second factor
        return Reason.PASS_REVOKED
    if token is not None and token.is_once:
        return _redeem(turn, cause, token)
    let_in(turn, cause)
    return None


def let_in(turn: Turn, cause: Cause) -> None:
    """Open the door, and take no notice of the pass for as long as it may still be held up."""
    member_id = cause.member_id
    is_noted = turn.rules.visits.passback is not Passback.OFF and member_id is not None
    if is_noted and passback.is_inside(turn.state.occupancy, member_id or ""):
        turn.log("access.passback", who(cause))
    open_for(turn, cause)
    if member_id is not None:
        _rest(turn, member_id)
    if cause.pass_id is not None:
        book = turn.state.passes
        quiet = {**_still_quiet(book.quiet_until, turn.now), cause.pass_id: turn.now + QUIET_S}
        turn.set(passes=replace(book, quiet_until=dict(list(quiet.items())[-MAX_QUIET:])))


def is_stale(turn: Turn, at: float) -> bool:
    """Whether what somebody showed or typed at the door `at` (station time) waited too long, as where nothing decided.

    What lets people out, fire and emergency never do.
    """
    return turn.now - at > FRESH_S


def is_resting(turn: Turn, member_id: str) -> bool:
    """Whether this member was just let in, so that their face alone is no new wish to come in.

    Who goes in past the camera is lost from sight and found again, which makes a new track and would release the door
    once more, behind them and for whoever follows. So for `again_s` after any admission of theirs their face opens
    nothing; a card, a PIN, a pass or a number with the face do. It ends early when the release ran out unused, and when
    somebody leaves: that may be they, who have forgotten something and come back within seconds.
    """
    return turn.now < turn.state.rests.get(member_id, turn.now)


def _rest(turn: Turn, member_id: str) -> None:
    rests = {key: until for key, until in turn.state.rests.items() if until > turn.now}
    rests[member_id] = turn.now + turn.rules.recognition.again_s
    turn.set(rests=dict(list(rests.items())[-MAX_RESTS:]))


def refuse(turn: Turn, reason: Reason, cause: Cause) -> None:
    """Refuse who came by this cause; somebody who is no member is not named."""
    member_id = cause.member_id if cause.member_id in turn.state.members else None
    refuse_entry(turn, reason, cause.way, member_id, cause.pass_id)


def factors_needed(turn: Turn) -> int:
    """How many different ways must name the same member just now: 1 or 2, by the settings or by the hour."""
    if turn.state.door.mode in STANDING_OPEN:
        return 1
    return 2 if turn.state.admission is Admission.TWO_FACTORS else turn.rules.codes.factors_needed


def _redeem(turn: Turn, cause: Cause, token: Pass) -> Reason | None:
    book = turn.state.passes
    if token.pass_id in book.redemptions:
        return None
    if len(book.redemptions) >= MAX_REDEMPTIONS:
        refuse(turn, Reason.PASS_NOT_REDEEMED, cause)
        return Reason.PASS_NOT_REDEEMED
    until = turn.now + REDEEM_S
    waiting = {**book.redemptions, token.pass_id: Redemption(cause, until, until + ANSWER_S)}
    turn.set(passes=replace(book, redemptions=waiting))
    turn.do(RedeemPass(token.pass_id, turn.now, until))
    return None


def _still_quiet(quiet_until: Mapping[str, float], now: float) -> dict[str, float]:
    return {key: until for key, until in quiet_until.items() if until > now}
