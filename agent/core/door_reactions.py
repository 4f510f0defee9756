"""What the door does: the reactions that `door_table` names.

The first line of each docstring is printed in docs/door.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from agent.core.door import (
    ADMITTING_NOBODY,
    LEAF_ALARMS,
    MAX_CAUSES,
    STANDING_OPEN,
    Alarm,
    AlarmCleared,
    AlarmRaised,
    Bolt,
    Cause,
    Contact,
    DoorState,
    DoorTimings,
    Lock,
    Mode,
    ModeChanged,
    OrderRefused,
    Passed,
    Phase,
    Refused,
    Report,
    Unused,
)


@dataclass(slots=True)
class Work:
    """What a reaction works on: it changes `state` and adds to `reports`. `now`: station time."""

    state: DoorState
    timings: DoorTimings
    cause: Cause
    now: float
    reports: list[Report] = field(default_factory=list)

    def set(self, **changes: object) -> None:
        """Change the state."""
        self.state = replace(self.state, **changes)  # type: ignore[arg-type]

    def raise_alarm(self, alarm: Alarm) -> None:
        """Raise it, unless it stands already."""
        if alarm not in self.state.alarms:
            self.set(alarms=self.state.alarms | {alarm})
            self.reports.append(AlarmRaised(alarm))

    def clear_alarms(self, *alarms: Alarm) -> None:
        """End those of them that stand."""
        opened_at = self.state.opened_at
        for alarm in sorted(self.state.alarms.intersection(alarms)):
            is_about_opening = alarm in LEAF_ALARMS and opened_at is not None
            self.reports.append(AlarmCleared(alarm, self.now - (opened_at or 0.0) if is_about_opening else None))
        self.set(alarms=self.state.alarms.difference(alarms))


Reaction = Callable[[Work], None]


def ignore(work: Work) -> None:
    """Nothing changes."""


# --- coming in and going out -----------------------------------------------------------------------------------------


def release(work: Work) -> None:
    """Release the lock for the release time; who comes counts when the leaf opens, or at once where that is unseen."""
    _prolong(work)
    _add_cause(work)


def account(work: Work) -> None:
    """The lock is released anyway: only account for the one who comes, for as long as a release would last."""
    _prolong(work)
    _add_cause(work)


def refuse(work: Work) -> None:
    """Nobody is admitted in this mode."""
    work.reports.append(Refused(work.cause))


def count_in(work: Work) -> None:
    """Somebody went in: tailgating when more went in than were let in during this opening."""
    work.set(entered=work.state.entered + 1)
    if work.state.entered > work.state.admitted:
        work.raise_alarm(Alarm.TAILGATING)


def _prolong(work: Work) -> None:
    if work.state.contact is Contact.UNKNOWN and work.state.phase is not Phase.ACCESSED:
        _begin_opening(work)  # nobody sees the leaf open, so an access stands for it
    ends_at = work.now + work.timings.release_for(work.cause)
    work.set(release_ends_at=max(ends_at, work.state.release_ends_at or ends_at), relock_ends_at=None)


def _add_cause(work: Work) -> None:
    cause, causes = work.cause, work.state.causes
    if cause.identity in {each.identity for each in causes}:
        return
    if work.state.contact is not Contact.CLOSED:
        _pass_through(work, (cause,))
        causes = causes[1 - MAX_CAUSES :]  # all have passed: the oldest is only remembered against repetition
    elif len(causes) >= MAX_CAUSES:
        return
    work.set(causes=(*causes, cause))


def _pass_through(work: Work, causes: tuple[Cause, ...]) -> None:
    # Those who leave first: who has just been let in is not the one who goes out through the same opening.
    work.reports += [Passed(cause) for cause in sorted(causes, key=lambda cause: not cause.is_exit)]
    work.set(admitted=work.state.admitted + sum(not cause.is_exit for cause in causes))


def _begin_opening(work: Work) -> None:
    work.clear_alarms(Alarm.TAILGATING)
    work.set(admitted=0, entered=0)


# --- the leaf --------------------------------------------------------------------------------------------------------


def let_through(work: Work) -> None:
    """Who was let through has passed; the leaf may stand open for its time."""
    _begin_opening(work)
    _pass_through(work, work.state.causes)
    find_open(work)


def force(work: Work) -> None:
    """The leaf opens though the lock is secured and nobody was let through: forced."""
    _begin_opening(work)
    find_open(work)
    work.raise_alarm(Alarm.FORCED)


def find_open(work: Work) -> None:
    """The leaf comes in sight and is open: nobody did wrong, and it may stand open for its time."""
    _see_leaf(work, Contact.OPEN)
    work.set(opened_at=work.now, relock_ends_at=None)
    _limit_open_time(work)


def stand_open(work: Work) -> None:
    """The leaf opens while the door is meant to be open: who was let through has passed, without a time limit."""
    _begin_opening(work)
    _pass_through(work, work.state.causes)
    meet_open(work)


def meet_open(work: Work) -> None:
    """The leaf comes in sight, open as it may be."""
    _see_leaf(work, Contact.OPEN)
    work.set(opened_at=work.now, relock_ends_at=None)


def shut(work: Work) -> None:
    """The opening is over, and so are its alarms."""
    work.clear_alarms(*LEAF_ALARMS)
    _see_leaf(work, Contact.CLOSED)
    work.set(opened_at=None, warning_at=None, open_time_ends_at=None, causes=())
    _begin_grace(work)


def shut_and_secure(work: Work) -> None:
    """The opening is over: the lock is secured, at once or after the delay before relocking, so that nobody follows."""
    shut(work)
    if work.timings.relock_delay_s > 0:
        work.set(release_ends_at=work.now + work.timings.relock_delay_s)
    else:
        work.set(release_ends_at=None)
        _begin_grace(work)


def settle_closed(work: Work) -> None:
    """The leaf comes in sight and is closed; who was let through unseen had passed at once."""
    work.clear_alarms(*LEAF_ALARMS)
    _see_leaf(work, Contact.CLOSED)
    work.set(causes=())


def lose_contact(work: Work) -> None:
    """The leaf is out of sight: a contact fault begins, who was let through has passed, and forced stays forced.

    Cutting the contact's wire must not silence a break-in: it lasts until the leaf is seen shut.
    """
    work.clear_alarms(*LEAF_ALARMS - {Alarm.FORCED})
    if work.state.contact is Contact.CLOSED:
        _pass_through(work, work.state.causes)
    work.set(contact=Contact.UNKNOWN, opened_at=None, warning_at=None, open_time_ends_at=None)
    work.raise_alarm(Alarm.CONTACT_FAULT)


def warn(work: Work) -> None:
    """The leaf will soon have stood open for too long: remind."""
    work.set(warning_at=None)
    work.raise_alarm(Alarm.OPEN_WARNING)


def overdue(work: Work) -> None:
    """The leaf stands open for too long."""
    work.set(warning_at=None, open_time_ends_at=None)
    work.clear_alarms(Alarm.OPEN_WARNING)
    work.raise_alarm(Alarm.OPEN_TOO_LONG)


def _see_leaf(work: Work, contact: Contact) -> None:
    work.clear_alarms(Alarm.CONTACT_FAULT)
    work.set(contact=contact)


def _limit_open_time(work: Work) -> None:
    if work.state.contact is Contact.OPEN:
        open_s = work.timings.open_for(work.state.causes)
        ends_at = work.now + open_s
        warning_s = min(work.timings.open_warning_s, open_s / 2)
        work.set(warning_at=ends_at - warning_s if warning_s > 0 else None, open_time_ends_at=ends_at)


# --- the end of an access --------------------------------------------------------------------------------------------


def secure(work: Work) -> None:
    """The release is over: the lock is secured. The causes of a leaf that is still open are kept: one opening."""
    work.set(release_ends_at=None)
    _begin_grace(work)
    if work.state.contact is Contact.UNKNOWN:
        work.set(causes=())


def settle_lock(work: Work) -> None:
    """The strike has fallen in: who did not come in by now did not come in."""
    work.set(relock_ends_at=None)
    _give_up_causes(work)


def expire(work: Work) -> None:
    """The lock stays released, but who did not come by now did not come; the same person counts again after this."""
    work.set(release_ends_at=None)
    _give_up_causes(work)


def _give_up_causes(work: Work) -> None:
    if work.state.contact is Contact.CLOSED:
        work.reports += [Unused(cause) for cause in work.state.causes]
    work.set(causes=())


def _begin_grace(work: Work) -> None:
    """The leaf rests and the lock was told to secure: for a moment it may still give without anybody's fault."""
    if work.state.contact is Contact.CLOSED and work.state.lock is Lock.SECURED:
        work.set(relock_ends_at=work.now + work.timings.relock_grace_s)


# --- modes -----------------------------------------------------------------------------------------------------------


def begin_fire(work: Work) -> None:
    """Fire: the lock is released, whatever else is wanted."""
    work.raise_alarm(Alarm.FIRE)
    _want(work, is_fire=True)


def end_fire(work: Work) -> None:
    """The fire signal is over: what was wanted before holds again."""
    work.clear_alarms(Alarm.FIRE)
    _want(work, is_fire=False)


def begin_emergency(work: Work) -> None:
    """Emergency: the lock is released, whatever else is wanted but for fire, which stands above it."""
    work.raise_alarm(Alarm.EMERGENCY)
    _want(work, is_emergency=True)


def end_emergency(work: Work) -> None:
    """The emergency is over: what was wanted before holds again, unless fire does."""
    work.clear_alarms(Alarm.EMERGENCY)
    _want(work, is_emergency=False)


def lock_down(work: Work) -> None:
    """Nobody comes in until resumed; under fire or emergency it waits for their end. Who is leaving keeps the time."""
    _want(work, order=Mode.LOCKED_DOWN)


def block(work: Work) -> None:
    """Nobody comes in until another order. Who is leaving keeps the time."""
    _want(work, order=Mode.BLOCKED)


def hold_open(work: Work) -> None:
    """Open to all until another order; an open leaf is no alarm any more."""
    _want(work, order=Mode.HELD_OPEN)


def block_afterwards(work: Work) -> None:
    """Blocked once fire and emergency are over, unless the door is locked down."""
    refuse_order(work) if work.state.wishes.order is Mode.LOCKED_DOWN else block(work)


def hold_open_afterwards(work: Work) -> None:
    """Held open once fire and emergency are over, unless the door is locked down."""
    refuse_order(work) if work.state.wishes.order is Mode.LOCKED_DOWN else hold_open(work)


def refuse_order(work: Work) -> None:
    """Only `resume` ends a lock-down."""
    work.reports.append(OrderRefused())


def resume(work: Work) -> None:
    """The order is taken back: the schedule holds again, under fire or emergency once they are over."""
    _want(work, order=None)


def begin_hours(work: Work) -> None:
    """Opening hours begin; anything but normal goes before them."""
    _want(work, is_open_hours=True)


def end_hours(work: Work) -> None:
    """Opening hours end; who was let in a moment before has their time still."""
    _want(work, is_open_hours=False)


def _want(work: Work, **wishes: object) -> None:
    """Change a wish, and what follows when that makes another mode."""
    before, lock_before = work.state.mode, work.state.lock
    work.set(wishes=replace(work.state.wishes, **wishes))  # type: ignore[arg-type]
    mode = work.state.mode
    if mode is before:
        return
    work.reports.append(ModeChanged(mode))
    if mode in STANDING_OPEN:
        work.clear_alarms(*LEAF_ALARMS)
        work.set(warning_at=None, open_time_ends_at=None)
        return
    if before in STANDING_OPEN:
        _limit_open_time(work)
    if mode in ADMITTING_NOBODY:
        _take_back(work)
    if work.state.lock is not lock_before:
        _begin_grace(work)


def _take_back(work: Work) -> None:
    """End what was granted to those who come in; who is leaving keeps their time unless they have the door open."""
    causes, contact = work.state.causes, work.state.contact
    leaving = tuple(cause for cause in causes if cause.is_exit)
    if contact is Contact.CLOSED:
        work.reports += [Unused(cause) for cause in causes if not cause.is_exit]
        work.set(causes=leaving)
    if work.state.phase is Phase.ACCESSED and (not leaving or contact is Contact.OPEN):
        secure(work)


# --- tampering and the bolt ------------------------------------------------------------------------------------------


def begin_tamper(work: Work) -> None:
    """A housing or a cable is open: tamper."""
    work.raise_alarm(Alarm.TAMPER)


def end_tamper(work: Work) -> None:
    """The housing is closed again."""
    work.clear_alarms(Alarm.TAMPER)


def see_bolt_secured(work: Work) -> None:
    """The monitor says that the bolt is thrown."""
    work.set(bolt=Bolt.SECURED)


def see_bolt_released(work: Work) -> None:
    """The monitor says that the bolt is drawn."""
    work.set(bolt=Bolt.RELEASED)


def lose_bolt(work: Work) -> None:
    """The monitor cannot be read: nothing is known of the bolt."""
    work.set(bolt=Bolt.UNKNOWN)


def blame_bolt(work: Work) -> None:
    """The lock was told, and its bolt did not follow: lock fault."""
    work.set(bolt_due_at=None)
    work.raise_alarm(Alarm.LOCK_FAULT)


def watch_bolt(work: Work) -> None:
    """After every input: whether the bolt follows the lock. With the leaf open no bolt can be thrown."""
    state = work.state
    is_stuck = state.bolt is Bolt.SECURED and state.lock is Lock.RELEASED
    is_loose = state.bolt is Bolt.RELEASED and state.lock is Lock.SECURED and state.contact is Contact.CLOSED
    if not (is_stuck or is_loose):
        work.clear_alarms(Alarm.LOCK_FAULT)
        work.set(bolt_due_at=None)
    elif state.bolt_due_at is None and Alarm.LOCK_FAULT not in state.alarms:
        work.set(bolt_due_at=work.now + work.timings.bolt_move_s)
