"""Coming in and going out: what the door reports becomes visits, entries of the log, light and sound."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from agent.core import debounce, door, door_table, movement, occupancy, people, recognition, verification
from agent.core.access import REASON_OF, Reason, advice_for
from agent.core.codes import MAX_LEAVING
from agent.core.door import STANDING_OPEN, Alarm, Cause, Input
from agent.core.occupancy import Occupancy
from agent.core.tally import OPEN_PAIR_S
from agent.core.turn import Turn
from agent.effects import DeenergiseLock, EndVisit, EnergiseLock, ShowIndication

_ALARM_PATTERNS = {
    Alarm.FIRE: "alarm",
    Alarm.EMERGENCY: "alarm",
    Alarm.FORCED: "alarm",
    Alarm.TAMPER: "alarm",
    Alarm.TAILGATING: "alarm",
    Alarm.OPEN_TOO_LONG: "door_open_too_long",
    Alarm.OPEN_WARNING: "close_the_door",
    Alarm.LOCK_FAULT: "fault",
    Alarm.CONTACT_FAULT: "fault",
}
"""Light and sound of each alarm, the most pressing first: one of them is shown at a time."""

_INPUT_OF = {
    door.Mode.HELD_OPEN.value: Input.HOLD_OPEN,
    door.Mode.BLOCKED.value: Input.BLOCK,
    door.Mode.LOCKED_DOWN.value: Input.LOCK_DOWN,
}
"""The orders of the station master, as the log has them."""

_ONLY_SHOWN = frozenset({Alarm.OPEN_WARNING})  # a reminder to whoever stands in the door; the log has the alarm itself


def await_face(turn: Turn, way: str, member_ids: tuple[str, ...], presented_at: float) -> None:
    """A code names these members: for a while only their faces open the door.

    Faces seen before it count for nothing, and nobody waits for a rest that was earned without it.
    """
    code = verification.present(way, member_ids, presented_at, turn.rules.recognition.code_window_s)
    keep_tracks(turn, recognition.present(turn.state.tracks, member_ids))
    turn.set(code=code)
    turn.do(ShowIndication("look_here"))


def keep_tracks(turn: Turn, tracks: recognition.Tracks) -> None:
    """Only these faces are followed on. Whose movement is over by that has failed to make it (`core.challenge`)."""
    asked = set(recognition.asked_in(turn.state.tracks)) - set(recognition.asked_in(tracks))
    again_s = turn.rules.recognition.again_s
    challenges = movement.abandoned(turn.state.challenges, sorted(asked), turn.now, again_s)
    turn.set(tracks=tracks, challenges=challenges)


def open_for(turn: Turn, cause: Cause) -> None:
    """Release the lock for an entry that was granted. The relay comes first: nobody waits for the log."""
    put(turn, Input.GRANT, cause, "access.granted")
    turn.do(ShowIndication("granted"))


def let_out(turn: Turn, pressed_at: float) -> bool:
    """Honour the exit button, whatever the mode; a bouncing button counts once for each opening: whether it did now."""
    already = any(cause.is_exit for cause in turn.state.door.causes)
    cause = Cause("exit_button", seen_at=pressed_at)
    put(turn, Input.EXIT, cause, "" if already else "access.exit_requested")
    return not already


def name_leaver(turn: Turn, member_id: str, *, was_counted: bool) -> None:
    """The reader inside says who leaves: before the leaf opens for whoever goes next, after it to whom that was.

    A second card in the same opening is a second person, though the request to leave counts once.
    """
    codes = turn.state.codes
    if turn.state.door.contact is door.Contact.CLOSED:
        until = turn.now + turn.rules.door.release_s
        turn.set(codes=replace(codes, leaving=(*codes.leaving, (member_id, until))[-MAX_LEAVING:]))
        return
    inside, ended = occupancy.name_leaver(
        turn.state.occupancy, turn.now, "exit_reader", member_id, was_counted=was_counted
    )
    if ended and not was_counted:
        people.on_passed(turn, is_entering=False)
        _expect_at_counter(turn, Cause("exit_button"))
    end_visits(turn, inside, ended, "exit_reader")


def refuse_entry(
    turn: Turn, reason: Reason, way: str, member_id: str | None = None, pass_id: str | None = None
) -> None:
    """Log a refusal and tell the person at the door why."""
    turn.do(ShowIndication(advice_for(reason).pattern))
    turn.log("access.refused", {"reason": reason.value, **who(Cause(way, member_id, pass_id=pass_id))})


def advise(turn: Turn, reason: Reason) -> None:
    """Tell the person how to stand; nothing was tried, so nothing is logged."""
    turn.do(ShowIndication(advice_for(reason).pattern))


def put(turn: Turn, what: Input, cause: Cause = door.NOBODY, entry: str = "") -> None:
    """Put one input to the door and carry its reports on: the relay first, then the `entry` about the cause."""
    before = turn.state.door
    after, reports = door_table.step(before, what, turn.now, turn.rules.door, cause)
    turn.set(door=after)
    if after.lock is not before.lock:
        drive_lock(turn, cause.seen_at)
    if entry:
        # That somebody wants to leave may wait: if they do, the end of their visit follows within seconds.
        turn.log(entry, who(cause), may_wait=entry == "access.exit_requested")
    for report in reports:
        _report(turn, report)
    if (order := after.wishes.order) is not before.wishes.order:
        turn.log("door.ordered", {"order": "none" if order is None else order.value})  # a start goes on from it
    if (pattern := _pattern_of(after.alarms)) != _pattern_of(before.alarms):
        turn.do(ShowIndication(pattern))


def resume_order(turn: Turn, order: str) -> None:
    """The master's order from before the start, where it could not be read then: it stands unless there was another."""
    what = _INPUT_OF.get(order)
    if what is None or turn.state.was_ordered:
        return
    settle_contact(turn, math.inf)  # who opened just before the lock is secured has passed, and forced nothing
    put(turn, what)


def settle_contact(turn: Turn, until: float) -> None:
    """Let a level of the contact count that has held long enough by `until` (station time)."""
    before = turn.state.contact
    after = debounce.settle(before, until, turn.rules.contact_debounce_s)
    if after.level == before.level:
        return
    turn.set(contact=after)
    relock_ends_at = turn.state.door.relock_ends_at
    if relock_ends_at is not None and relock_ends_at < after.raw_since:
        put(turn, Input.RELOCK_ENDED)  # the strike had fallen in before the leaf moved, though nobody looked then
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
            turn.set(rests={key: each for key, each in turn.state.rests.items() if key != cause.member_id})
            turn.log("access.not_taken", who(_still_named(turn, cause)))
        case door.AlarmRaised(alarm):
            if alarm not in _ONLY_SHOWN:
                turn.log("door.alarm_raised", {"alarm": alarm.value})
        case door.AlarmCleared(alarm, open_s):
            if alarm not in _ONLY_SHOWN:
                body = {"alarm": alarm.value, "open_s": None if open_s is None else round(open_s, 3)}
                turn.log("door.alarm_cleared", body)
        case door.ModeChanged(mode):
            turn.log("door.mode_changed", {"mode": mode.value})
        case door.Refused(cause):
            refuse_entry(turn, REASON_OF[turn.state.door.mode], cause.way, cause.member_id, cause.pass_id)
        case door.OrderRefused():
            pass  # whoever asks was told so before


def _pattern_of(alarms: frozenset[Alarm]) -> str:
    return next((pattern for alarm, pattern in _ALARM_PATTERNS.items() if alarm in alarms), "off")


def _pass(turn: Turn, cause: Cause) -> None:
    if cause.is_exit:
        people.on_passed(turn, is_entering=False)
        _leave(turn, cause)
        return
    if turn.state.door.contact is door.Contact.UNKNOWN and turn.has_fault("lock.failed", "lock"):
        return  # the lock did not move, and nobody saw the door open
    people.on_passed(turn, is_entering=True)
    _expect_at_counter(turn, cause)
    named = _still_named(turn, cause)
    member = turn.state.members.get(named.member_id or "")
    if member is not None and member.is_suspended:
        named = replace(named, member_id=None, pass_id=None)
    begin_visit(turn, named, turn.now)


def _still_named(turn: Turn, cause: Cause) -> Cause:
    """The cause without a member who was erased since: nothing may name them any more, and no visit is theirs.

    Whoever was let in goes in all the same, and counts as somebody; so does a member who was suspended since.
    """
    is_erased = cause.member_id is not None and cause.member_id not in turn.state.members
    return replace(cause, member_id=None, pass_id=None) if is_erased else cause


def begin_visit(turn: Turn, cause: Cause, at: float) -> None:
    """Somebody is inside since `at` (station time)."""
    inside, changes = occupancy.enter(turn.state.occupancy, turn.rules.visit_prefix, cause.member_id, at)
    turn.set(occupancy=inside)
    ended = [each.visit for each in changes if isinstance(each, EndVisit)]
    body = {**who(cause), "visit": inside.visits[-1].id, "ended": ended, "inside": inside.count}
    turn.log("visit.entered", body, visits=changes)


def _leave(turn: Turn, cause: Cause) -> None:
    inside = turn.state.occupancy
    named = [member_id for member_id, until in turn.state.codes.leaving if turn.now < until]
    ended: tuple[EndVisit, ...] = ()
    if named:
        turn.set(codes=replace(turn.state.codes, leaving=()))
        for member_id in named:
            _expect_at_counter(turn, cause)
            inside, more = occupancy.leave_named(inside, turn.now, "exit_reader", member_id)
            ended += more
    else:
        _expect_at_counter(turn, cause)
        inside, ended = occupancy.leave(inside, turn.now, cause.way)
    end_visits(turn, inside, ended, cause.way)


def _expect_at_counter(turn: Turn, cause: Cause) -> None:
    """Whoever was let through is the one whom the counter sees, not one more."""
    if not turn.rules.counter.is_fitted:
        return
    pair_s = OPEN_PAIR_S
    if turn.state.door.mode not in STANDING_OPEN:
        pair_s = max(pair_s, turn.rules.door.open_for((cause,)))
    tally = turn.state.tally
    if cause.is_exit:
        turn.set(tally=replace(tally, leaving=tally.leaving.expect(turn.now, turn.now + pair_s)))
    else:
        turn.set(tally=replace(tally, entering=tally.entering.expect(turn.now, turn.now + pair_s)))


def end_visits(turn: Turn, inside: Occupancy, ended: tuple[EndVisit, ...], way: str) -> None:
    """Somebody has left, and `inside` is who has not. From an empty room nobody leaves, and nothing is logged."""
    if inside is turn.state.occupancy:
        return
    turn.set(occupancy=inside, rests={})
    body = {"way": way, "visits": [each.visit for each in ended], "inside": inside.count}
    turn.log("visit.left", body, visits=ended)


def end_long_visits(turn: Turn) -> None:
    """Whoever is inside for so long has left unseen."""
    end_visits(turn, *occupancy.expire(turn.state.occupancy, turn.now, turn.rules.visits.limit_s), "time_limit")


def who(cause: Cause) -> dict[str, Any]:
    """Who came by which way, as the log has it."""
    who = {"way": cause.way, "member": cause.member_id}
    return who if cause.pass_id is None else {**who, "pass": cause.pass_id}
