"""What becomes of members after they are enrolled: withdrawal, erasure, retention, and their own data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from agent import events
from agent.core import occupancy, own_data, particulars, registration, retention, stock, templates, ways_in
from agent.core.codes import CARD, KEYPAD, take_away
from agent.core.passage import end_visits
from agent.core.problems import problem
from agent.core.state import Removal
from agent.core.turn import Turn
from agent.effects import EraseMember, ReadRetention, RunQuery, WithdrawConsent
from agent.events import ControlRequested

FIRST_REVIEW_S = 600.0  # after a start: a station that is restarted every night is looked after, too
REVIEW_S = 86_400.0
REVIEW_AGAIN_S = 3_600.0  # when the clock is in doubt, or more is left to do
CLOCK_TOLERANCE_S = 600.0  # a clock that nobody vouches for must have gone on evenly since the last look
MAX_AT_ONCE = 50  # each erasure reads the whole log through; the rest waits for the next look
MAX_REMOVALS = 1_000  # what storage keeps for people while the disk does not write
_FAULTS = ("consent.expiring", "consent.expired", "consent.unrecorded")


# --- on request ------------------------------------------------------------------------------------------------------


def erase(turn: Turn, asked: ControlRequested) -> None:
    """Admit them no more from now on; done is only said once nothing is left on the disk."""
    _record(turn, asked, "member.erasure_requested")
    if _is_full(turn, asked):
        return
    _erase(turn, asked.request, asked.arguments["id"], "asked")
    turn.expect(asked.request, problem("storage.failed", asked.action, "the erasure is not on the disk yet"))


def withdraw(turn: Turn, asked: ControlRequested) -> None:
    """Forget their face from now on; done is only said once nothing of it is left on the disk."""
    _record(turn, asked, "member.withdrawal_requested")
    if _is_full(turn, asked):
        return
    _withdraw(turn, asked.request, asked.arguments["id"], "withdrawn")
    turn.expect(asked.request, problem("storage.failed", asked.action, "the withdrawal is not on the disk yet"))


def read_data(turn: Turn, asked: ControlRequested) -> None:
    """Read one part of what is stored about a person."""
    query, pages = own_data.PARTS[asked.arguments.get("part", "member")]
    arguments = {key: asked.arguments[key] for key in ("id", *pages) if key in asked.arguments}
    turn.do(RunQuery(asked.request, query, arguments))
    late = problem("request.timed_out", asked.action, "the disk is slow")
    turn.expect(asked.request, late, {"log_of": asked.arguments["id"]} if query == "member_log" else None)


def read_digest(turn: Turn, asked: ControlRequested) -> None:
    """Read a page of the digests by which the central server finds where its roster differs from this one."""
    turn.do(RunQuery(asked.request, "roster_digest", asked.arguments))
    late = problem("request.timed_out", asked.action, "the disk is slow")
    turn.expect(asked.request, late, {"is_one_row": True})


def result_for(turn: Turn, meant: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """An answer as the one who asked may see it. `meant`: what the request waits with."""
    if "is_one_row" in meant:
        return dict(rows[0]) if rows else {}
    if "log_of" in meant:
        rows = own_data.redacted(rows, meant["log_of"], turn.state.members)
    return {"rows": list(rows), "timezone": turn.rules.plate.timezone}


def _record(turn: Turn, asked: ControlRequested, kind: str) -> None:
    """Log who asks, also when there is no such member; the id would have to be blanked at once."""
    turn.log(kind, {"actor": asked.actor.name, "kind": asked.actor.kind})


def _is_full(turn: Turn, asked: ControlRequested) -> bool:
    is_full = len(turn.state.removals) >= MAX_REMOVALS
    if is_full:
        turn.refuse(asked.request, problem("request.busy", asked.action, f"{MAX_REMOVALS} others wait for the disk"))
    return is_full


def _erase(turn: Turn, request: str, member_id: str, why: str) -> None:
    _stop_enrolments(turn, member_id, "this member is being erased")
    particulars.forget(turn, member_id)
    if member_id in turn.state.members:  # whoever gets this id next does not come in by what they leave behind
        turn.set(codes=take_away(turn.state.codes, member_id, CARD, KEYPAD))
    turn.set(members={key: each for key, each in turn.state.members.items() if key != member_id})
    _end_visits(turn, member_id)
    stock.forget_member(turn, member_id)
    _await_removal(turn, request, member_id, is_erasure=True)
    turn.do(EraseMember(request, member_id, turn.now, why))


def _end_visits(turn: Turn, member_id: str) -> None:
    """Before the erasure, which makes their visits nobody's."""
    end_visits(turn, *occupancy.forget(turn.state.occupancy, member_id, turn.now), "erased")


def _withdraw(turn: Turn, request: str, member_id: str, why: str) -> None:
    _stop_enrolments(turn, member_id, "the consent is being withdrawn")
    _forget_face(turn, member_id)
    _await_removal(turn, request, member_id, is_erasure=False)
    turn.do(WithdrawConsent(request, member_id, turn.now, why))


def _await_removal(turn: Turn, request: str, member_id: str, *, is_erasure: bool) -> None:
    before = turn.state.removals.get(member_id)
    removal = Removal(request, is_erasure or (before is not None and before.is_erasure))
    turn.set(removals={**turn.state.removals, member_id: removal})


def _end_removal(turn: Turn, request: str, member_id: str) -> None:
    found = turn.state.removals.get(member_id)
    if found is not None and found.request == request:
        turn.set(removals={key: each for key, each in turn.state.removals.items() if key != member_id})


def _stop_enrolments(turn: Turn, member_id: str, detail: str) -> None:
    for each in turn.state.enrolments.values():
        if each.member_id == member_id:  # or they would be back as soon as their photos are read
            registration.stop(turn, each.request, problem("request.invalid", "id", detail))


def _forget_face(turn: Turn, member_id: str) -> None:
    known = turn.state.members.get(member_id)
    if known is not None and known.templates:
        turn.set(members={**turn.state.members, member_id: replace(known, templates=())})
        if turn.state.gallery is not None:
            turn.set(gallery=turn.state.gallery.without_member(member_id))  # at once; the next one follows
        templates.rebuild_gallery(turn)


# --- what the disk says ----------------------------------------------------------------------------------------------


def on_erased(turn: Turn, event: events.MemberErased) -> None:
    """Nothing of them is left. The entry holds no id: only whoever has the receipt can tell whom it was about.

    Whoever was enrolled under this id since it was ordered is somebody else, and stays.
    """
    _end_removal(turn, event.request, event.member_id)
    is_expected = turn.forget(event.request) is not None
    if not event.existed:
        if is_expected:
            turn.refuse(event.request, problem("member.unknown", event.member_id))
        return
    templates.rebuild_gallery(turn)
    ways_in.load(turn)  # the worker forgets their cards and PIN
    body: dict[str, Any] = {"why": event.why}
    result: dict[str, Any] = {"member": event.member_id, "timezone": turn.rules.plate.timezone}
    if event.receipt is not None:
        proof = {"digest": event.receipt.digest, "rows": dict(event.receipt.rows)}
        body |= proof
        result["receipt"] = {**proof, "at_utc": event.receipt.at_utc, "salt": event.receipt.salt}
    turn.log("member.erased", body, tag=event.request)
    if is_expected:
        turn.answer_when_logged(event.request, result, "members.erase")


def on_withdrawn(turn: Turn, event: events.ConsentWithdrawn) -> None:
    """Nothing of their face is left, but of what was enrolled since."""
    _end_removal(turn, event.request, event.member_id)
    is_expected = turn.forget(event.request) is not None
    if not event.existed:
        if is_expected:
            turn.refuse(event.request, problem("member.unknown", event.member_id))
        return
    body = {"member": event.member_id, "templates": event.templates, "why": event.why}
    turn.log("member.consent_ended", body, tag=event.request)
    if is_expected:
        turn.answer_when_logged(event.request, body, "members.withdraw")


# --- retention -------------------------------------------------------------------------------------------------------


def review_when_due(turn: Turn) -> None:
    """Ask for the dates once a day."""
    if turn.state.review_at is not None and turn.now >= turn.state.review_at:
        turn.set(review_at=turn.now + REVIEW_S)
        turn.do(ReadRetention(turn.now))


def on_dates(turn: Turn, event: events.RetentionRead) -> None:
    """Erase who has not come for long and whose consent is over, and say whose consent will be.

    What is erased by a wrong clock is gone for good. So dates count when the clock is known to be synchronised, or has
    gone on evenly with station time since the last look.
    """
    now_utc = datetime.fromisoformat(event.utc)
    offset_s = now_utc.timestamp() - event.at
    before_s = turn.state.clock_offset_s
    turn.set(clock_offset_s=offset_s)
    if not event.is_clock_trusted and (before_s is None or abs(offset_s - before_s) > CLOCK_TOLERANCE_S):
        turn.set(review_at=turn.now + REVIEW_AGAIN_S)
        return
    found = retention.review(event.members, now_utc, turn.rules.retention)
    for member_id in found.unseen[:MAX_AT_ONCE]:
        _erase(turn, f"retention:{member_id}", member_id, "unseen")
    for member_id in found.expired[:MAX_AT_ONCE]:
        _withdraw(turn, f"retention:{member_id}", member_id, "expired")
    if max(len(found.unseen), len(found.expired)) > MAX_AT_ONCE:
        turn.set(review_at=turn.now + REVIEW_AGAIN_S)
    for code, ids in zip(_FAULTS, (found.expiring, found.ended, found.unrecorded), strict=True):
        if ids:
            turn.word_fault(code, "consent", templates.listed(ids))
        else:
            turn.clear_fault(code, "consent")
