"""Coming in and going out: what the door reports becomes visits, entries of the log, light and sound."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agent.core import debounce, door, factors, occupancy, passback, verification
from agent.core.access import Reason, advice_for, refusal_of
from agent.core.door import Cause, Input
from agent.core.passback import Passback
from agent.core.turn import Turn
from agent.effects import DeenergiseLock, EndVisit, EnergiseLock, ShowIndication

_ALARM_PATTERNS = {door.Alarm.FORCED: "alarm", door.Alarm.OPEN_TOO_LONG: "door_open_too_long"}


def admit(turn: Turn, cause: Cause) -> Reason | None:
    """Let a member in by `cause`, or say why not; either is logged and shown at the door.

    `SECOND_NEEDED` is no refusal: the factor is held, and another one of the same member opens the door with it.
    """
    member = turn.state.members.get(cause.member_id or "")
    reason = refusal_of(member, turn.state.door.mode)
    if member is not None and reason is None:
        reason = passback.refusal_of(turn.state.occupancy, member.id, turn.rules.visits)
    if member is None or reason is not None:
        refuse_entry(turn, reason or Reason.NOT_ENROLLED, cause.way, member_id=cause.member_id if member else None)
        return reason or Reason.NOT_ENROLLED
    held, way = factors.join(
        turn.state.codes.held,
        cause.way,
        member.id,
        turn.now,
        window_s=turn.rules.recognition.code_window_s,
        needed=factors_needed(turn),
    )
    turn.set(codes=replace(turn.state.codes, held=held))
    if way is None:
        advise(turn, Reason.SECOND_NEEDED)
        turn.log("access.first_factor", _who(cause))
        return Reason.SECOND_NEEDED
    turn.set(code=None)
    if turn.rules.visits.passback is not Passback.OFF and passback.is_inside(turn.state.occupancy, member.id):
        turn.log("access.passback", _who(cause))
    open_for(turn, replace(cause, way=way))
    return None


def factors_needed(turn: Turn) -> int:
    """How many different ways must name the same member just now: 1 or 2."""
    return turn.rules.codes.factors_needed


def await_face(turn: Turn, way: str, member_ids: tuple[str, ...], presented_at: float) -> None:
    """A code names these members: for a while only their faces open the door.

    Faces seen before it count for nothing, and nobody waits for a rest that was earned without it.
    """
    code = verification.present(way, member_ids, presented_at, turn.rules.recognition.code_window_s)
    turn.set(code=code, tracks={})
    turn.do(ShowIndication("look_here"))


def open_for(turn: Turn, cause: Cause) -> None:
    """Release the lock for an entry that was granted. The relay comes first: nobody waits for the log."""
    put(turn, Input.GRANT, cause, "access.granted")
    turn.do(ShowIndication("granted"))


def let_out(turn: Turn, pressed_at: float) -> None:
    """Honour the exit button, whatever the mode; a bouncing button counts once for each opening."""
    already = any(cause.is_exit for cause in turn.state.door.causes)
    cause = Cause("exit_button", seen_at=pressed_at)
    put(turn, Input.EXIT, cause, "" if already else "access.exit_requested")


def refuse_entry(turn: Turn, reason: Reason, way: str, member_id: str | None = None) -> None:
    """Log a refusal and tell the person at the door why."""
    turn.do(ShowIndication(advice_for(reason).pattern))
    turn.log("access.refused", {"way": way, "reason": reason.value, "member": member_id})


def advise(turn: Turn, reason: Reason) -> None:
    """Tell the person how to stand; nothing was tried, so nothing is logged."""
    turn.do(ShowIndication(advice_for(reason).pattern))


def put(turn: Turn, what: Input, cause: Cause = door.NOBODY, entry: str = "") -> None:
    """Put one input to the door and carry its reports on: the relay first, then the `entry` about the cause."""
    before = turn.state.door
    after, reports = door.step(before, what, turn.now, turn.rules.door, cause)
    turn.set(door=after)
    if after.lock is not before.lock:
        drive_lock(turn, cause.seen_at)
    if entry:
        turn.log(entry, _who(cause))
    for report in reports:
        _report(turn, report)


def settle_contact(turn: Turn, until: float) -> None:
    """Let a level of the contact count that has held long enough by `until` (station time)."""
    before = turn.state.contact
    after = debounce.settle(before, until, turn.rules.contact_debounce_s)
    if after.level == before.level:
        return
    turn.set(contact=after)
    if after.level is None:
        put(turn, Input.CONTACT_LOST)
    else:
        put(turn, Input.OPENED if after.level else Input.CLOSED)


def drive_lock(turn: Turn, seen_at: float | None = None) -> None:
    """Give the lock the current that its state needs."""
    is_energised = door.is_energised(turn.state.door.lock, turn.rules.lock_kind)
    turn.do(EnergiseLock(seen_at) if is_energised else DeenergiseLock(seen_at))


def _report(turn: Turn, report: door.Report) -> None:
    match report:
        case door.Passed(cause):
            _pass(turn, cause)
        case door.Unused(cause):
            turn.log("access.not_taken", _who(cause))
        case door.AlarmRaised(alarm):
            turn.do(ShowIndication(_ALARM_PATTERNS[alarm]))
            turn.log("door.alarm_raised", {"alarm": alarm.value})
        case door.AlarmCleared(alarm, open_s):
            turn.do(ShowIndication("off"))
            turn.log(
                "door.alarm_cleared", {"alarm": alarm.value, "open_s": None if open_s is None else round(open_s, 3)}
            )
        case door.ModeChanged(mode):
            turn.log("door.mode_changed", {"mode": mode.value})
        case door.Refused(cause):
            refuse_entry(turn, Reason.LOCKED_DOWN, cause.way, cause.member_id)


def _pass(turn: Turn, cause: Cause) -> None:
    if cause.is_exit:
        _leave(turn, cause)
        return
    if turn.state.door.contact is door.Contact.UNKNOWN and turn.has_fault("lock.failed", "lock"):
        return  # the lock did not move, and nobody saw the door open
    inside, changes = occupancy.enter(turn.state.occupancy, turn.rules.visit_prefix, cause.member_id, turn.now)
    turn.set(occupancy=inside)
    ended = [each.visit for each in changes if isinstance(each, EndVisit)]
    body = {**_who(cause), "visit": inside.visits[-1].id, "ended": ended, "inside": inside.count}
    turn.log("visit.entered", body, visits=changes)


def _leave(turn: Turn, cause: Cause) -> None:
    before = turn.state.occupancy
    named = [member_id for member_id, until in turn.state.codes.leaving if turn.now < until]
    if named:
        turn.set(codes=replace(turn.state.codes, leaving=()))
        inside = before
        ended: tuple[EndVisit, ...] = ()
        for member_id in named:
            inside, more = occupancy.leave_named(inside, turn.now, "exit_reader", member_id)
            ended += more
    else:
        inside, ended = occupancy.leave(before, turn.now, cause.way)
    if inside is before:
        return  # nobody was inside: the request to leave is in the log, but no visit ends
    turn.set(occupancy=inside)
    body = {"way": cause.way, "visits": [each.visit for each in ended], "inside": inside.count}
    turn.log("visit.left", body, visits=ended)


def end_long_visits(turn: Turn) -> None:
    """Whoever is inside for so long has left unseen."""
    inside, ended = occupancy.expire(turn.state.occupancy, turn.now, turn.rules.visits.limit_s)
    if ended:
        turn.set(occupancy=inside)
        body = {"way": "time_limit", "visits": [each.visit for each in ended], "inside": inside.count}
        turn.log("visit.left", body, visits=ended)


def _who(cause: Cause) -> dict[str, Any]:
    return {"way": cause.way, "member": cause.member_id}
