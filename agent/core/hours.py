"""Whose hours these are: asks for the time of day, and lets the schedule speak to the door."""

from __future__ import annotations

from agent.core.door import Input
from agent.core.passage import put, settle_contact
from agent.core.schedule import Admission, next_change, period_at
from agent.core.turn import Turn
from agent.effects import ReadClock
from agent.events import ClockRead, Restored

READ_EVERY_S = 60.0
"""The clock is read at least this often, so that one that was set anew counts within a minute."""

_SOON_S = 0.01  # after an edge, so that it has passed also by a clock that is a little slow


def begin(turn: Turn) -> None:
    """Before the clock was read for the first time: what its settings say for an unknown time, but never open."""
    schedule = turn.rules.schedule
    if schedule is not None and schedule.untrusted not in (None, Admission.OPEN):
        turn.set(admission=schedule.untrusted)


def vouched(restored: Restored, now: float) -> ClockRead | None:
    """The newest time that is certain to have passed, as a look at the clock at a start."""
    return None if restored.vouched_utc is None else ClockRead(now, restored.vouched_utc, is_trusted=True)


def ask_when_due(turn: Turn) -> None:
    """Order the time when it is due; the answer says when next."""
    if turn.now >= turn.state.clock_due_at:
        turn.set(clock_due_at=turn.now + READ_EVERY_S)
        turn.do(ReadClock())


def take(turn: Turn, read: ClockRead) -> None:
    """Go by the schedule, or by what its settings say while the clock cannot be trusted."""
    turn.set(clock=read)
    known = turn.known_time().utc
    # One that nobody vouches for, where the settings count it all the same, may not take back what is known.
    is_later = turn.rules.passes.trusts_unset_clock and (known is None or read.utc > known)
    if read.is_trusted or is_later:
        turn.set(vouched=read)
    schedule = turn.rules.schedule
    if schedule is None:
        return
    if not read.is_trusted and not schedule.is_constant:
        turn.raise_fault("clock.untrusted", "clock", "" if schedule.untrusted is None else schedule.untrusted.value)
    else:
        turn.clear_fault("clock.untrusted", "clock")
    if not read.is_trusted and schedule.untrusted is not None:
        _apply(turn, schedule.untrusted)
        return
    _apply(turn, period_at(schedule, read.utc).admission)
    edge = next_change(schedule, read.utc)
    if edge is not None:
        wait_s = (edge - read.utc).total_seconds() - (turn.now - read.at) + _SOON_S
        turn.set(clock_due_at=turn.now + max(_SOON_S, min(READ_EVERY_S, wait_s)))


def _apply(turn: Turn, admission: Admission) -> None:
    """Say it to the door whatever it was before: an input that changes nothing is ignored there."""
    if admission is not turn.state.admission:
        turn.log("schedule.changed", {"admission": admission.value, "was": turn.state.admission.value})
        turn.set(admission=admission)
    is_open = admission is Admission.OPEN
    if turn.state.door.wishes.is_open_hours is not is_open:
        settle_contact(turn, turn.now)  # who opened just before the lock is secured has passed, and forced nothing
        put(turn, Input.HOURS_BEGAN if is_open else Input.HOURS_ENDED)
