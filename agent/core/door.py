"""The door: mode × lock × contact × alarms.

The state is a product, not a list: the *mode* says what the station wants, the *lock* what the relay was told, the
*contact* where the leaf is, and *alarms* what is wrong. `TABLE` holds one reaction for every (input, mode, lock,
contact); no cell is left out, and "nothing happens" is written as IGNORE. Alarms follow from the reactions alone.

An opening is accounted for by its *causes* (a grant, a request to leave). A cause counts as passed when the contact
opens, or at once where no contact can tell. The same cause counts once for each opening, however often it is repeated.

Names follow ONVIF Door Control (door modes, DoorForcedOpen, DoorHeldOpen/open too long).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import product

MAX_CAUSES = 16  # more people than this do not pass in one opening; bounds what a stuck reader can pile up


class Mode(StrEnum):
    """What the station wants of the door."""

    NORMAL = "normal"
    UNLOCKED = "unlocked"
    LOCKED_DOWN = "locked_down"


class Lock(StrEnum):
    """What the lock was told, whatever current that takes."""

    SECURED = "secured"
    RELEASED = "released"


class Contact(StrEnum):
    """Where the leaf is. UNKNOWN: no contact is fitted, or it cannot be read."""

    CLOSED = "closed"
    OPEN = "open"
    UNKNOWN = "unknown"


class Alarm(StrEnum):
    """Something to be seen now."""

    FORCED = "forced"
    OPEN_TOO_LONG = "open_too_long"


class LockKind(StrEnum):
    """What the lock does without current: fail-safe opens, fail-secure stays shut."""

    FAIL_SAFE = "fail_safe"
    FAIL_SECURE = "fail_secure"


class Input(StrEnum):
    """What can happen to the door, after debouncing and after access was decided."""

    GRANT = "grant"
    EXIT = "exit"
    OPENED = "opened"
    CLOSED = "closed"
    CONTACT_LOST = "contact_lost"
    RELEASE_ENDED = "release_ended"
    OPEN_TIME_ENDED = "open_time_ended"
    HOLD_OPEN = "hold_open"
    LOCK_DOWN = "lock_down"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class DoorTimings:
    """Seconds: how long a grant releases the lock, and how long the leaf may stand open before the alarm."""

    release_s: float = 5.0
    open_alarm_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Cause:
    """Why the lock was released. `way`: `face`, `remote`, `exit_button`; `seen_at`: station time of the first sign."""

    way: str
    member_id: str | None = None
    seen_at: float | None = None

    @property
    def is_exit(self) -> bool:
        """Somebody leaves by it."""
        return self.way == "exit_button"


NOBODY = Cause("nobody")
"""Stands where an input has no cause."""


@dataclass(frozen=True, slots=True)
class DoorState:
    """The product, with the deadlines (station time) that belong to it."""

    mode: Mode = Mode.NORMAL
    lock: Lock = Lock.SECURED
    contact: Contact = Contact.UNKNOWN
    alarms: frozenset[Alarm] = frozenset()
    causes: tuple[Cause, ...] = ()
    release_ends_at: float | None = None
    open_time_ends_at: float | None = None
    opened_at: float | None = None

    def deadline(self) -> float | None:
        """The next moment at which `due` has something to say."""
        return min((at for at in (self.release_ends_at, self.open_time_ends_at) if at is not None), default=None)


@dataclass(frozen=True, slots=True)
class Passed:
    """A cause was used: somebody went through."""

    cause: Cause


@dataclass(frozen=True, slots=True)
class Unused:
    """The lock was released and secured again without the door being opened."""

    cause: Cause


@dataclass(frozen=True, slots=True)
class AlarmRaised:
    """The alarm was not there before."""

    alarm: Alarm


@dataclass(frozen=True, slots=True)
class AlarmCleared:
    """The alarm is over. `open_s`: how long the door stood open, when that is known."""

    alarm: Alarm
    open_s: float | None


@dataclass(frozen=True, slots=True)
class ModeChanged:
    """The mode is another one."""

    mode: Mode


@dataclass(frozen=True, slots=True)
class Refused:
    """The mode forbids this grant."""

    cause: Cause


Report = Passed | Unused | AlarmRaised | AlarmCleared | ModeChanged | Refused


@dataclass(slots=True)
class _Step:
    """What a reaction works on: it changes `state` and adds to `reports`."""

    state: DoorState
    timings: DoorTimings
    cause: Cause
    now: float
    reports: list[Report] = field(default_factory=list)

    def set(self, **changes: object) -> None:
        self.state = replace(self.state, **changes)  # type: ignore[arg-type]

    def raise_alarm(self, alarm: Alarm) -> None:
        if alarm not in self.state.alarms:
            self.set(alarms=self.state.alarms | {alarm})
            self.reports.append(AlarmRaised(alarm))

    def clear_alarms(self, keep: Alarm | None = None) -> None:
        opened_at = self.state.opened_at
        open_s = None if opened_at is None else self.now - opened_at
        kept = self.state.alarms & {keep}
        self.reports += [AlarmCleared(alarm, open_s) for alarm in sorted(self.state.alarms - kept)]
        self.set(alarms=kept)


Reaction = Callable[[_Step], None]


def _ignore(step: _Step) -> None:
    """Nothing changes."""


def _release(step: _Step) -> None:
    """Release for the release time; a leaf that is open, or cannot be seen, is passed at once."""
    step.set(lock=Lock.RELEASED, release_ends_at=step.now + step.timings.release_s)
    _add_cause(step)


def _pass_freely(step: _Step) -> None:
    """The door is unlocked anyway: only account for the one who comes, for as long as a release would last."""
    step.set(release_ends_at=step.now + step.timings.release_s)
    _add_cause(step)


def _add_cause(step: _Step) -> None:
    cause = step.cause
    causes = step.state.causes
    if (cause.way, cause.member_id) in {(each.way, each.member_id) for each in causes}:
        return
    if step.state.contact is not Contact.CLOSED:
        step.reports.append(Passed(cause))
        causes = causes[1 - MAX_CAUSES :]  # all have passed: the oldest is only remembered against repetition
    elif len(causes) >= MAX_CAUSES:
        return
    step.set(causes=(*causes, cause))


def _refuse(step: _Step) -> None:
    step.reports.append(Refused(step.cause))


def _pass(step: _Step) -> None:
    """The leaf opens after a release."""
    _let_causes_pass(step)
    _find(step)


def _let_causes_pass(step: _Step) -> None:
    """Those who leave first: who has just been let in is not the one who goes out through the same opening."""
    step.reports += [Passed(cause) for cause in sorted(step.state.causes, key=lambda cause: not cause.is_exit)]


def _find(step: _Step) -> None:
    """The leaf is open and nobody did wrong, as at the start."""
    step.set(contact=Contact.OPEN, opened_at=step.now, open_time_ends_at=step.now + step.timings.open_alarm_s)


def _stand(step: _Step) -> None:
    """The leaf opens while the door is meant to be open: no time limit."""
    _let_causes_pass(step)
    step.set(contact=Contact.OPEN, opened_at=step.now)


def _meet(step: _Step) -> None:
    """As `_stand`, where unseen causes had passed at once."""
    step.set(contact=Contact.OPEN, opened_at=step.now)


def _force(step: _Step) -> None:
    """The leaf opens though the lock is secured."""
    _find(step)
    step.raise_alarm(Alarm.FORCED)


def _shut(step: _Step) -> None:
    """The leaf is closed again: the opening is over and so are its alarms."""
    step.clear_alarms()
    step.set(contact=Contact.CLOSED, opened_at=None, open_time_ends_at=None, causes=())


def _shut_and_secure(step: _Step) -> None:
    """Relock as soon as the leaf is closed, so that nobody follows."""
    _shut(step)
    step.set(lock=Lock.SECURED, release_ends_at=None)


def _settle_closed(step: _Step) -> None:
    """The first sight of a closed leaf during a release; unseen, its causes had passed at once."""
    step.set(contact=Contact.CLOSED, causes=())


def _lose_contact(step: _Step) -> None:
    """The leaf can no longer be seen: who was granted passes, the lock's own time goes on.

    A forced door stays an alarm until the leaf is seen shut: cutting the contact's wire must not silence it.
    """
    step.clear_alarms(keep=Alarm.FORCED)
    if step.state.contact is Contact.CLOSED:
        _let_causes_pass(step)
    step.set(contact=Contact.UNKNOWN, opened_at=None, open_time_ends_at=None)


def _expire(step: _Step) -> None:
    """The door stays unlocked, but who did not come in by now did not come in.

    Its leaf may stand open all day, so the same person counts again after this.
    """
    if step.state.contact is Contact.CLOSED:
        step.reports += [Unused(cause) for cause in step.state.causes]
    step.set(release_ends_at=None, causes=())


def _secure(step: _Step) -> None:
    """The release time is over. The causes of a leaf that is still open are kept: it is the same opening."""
    causes = step.state.causes if step.state.contact is Contact.OPEN else ()
    _expire(step)
    step.set(lock=Lock.SECURED, causes=causes)


def _overdue(step: _Step) -> None:
    """The leaf stands open for too long."""
    step.set(open_time_ends_at=None)
    step.raise_alarm(Alarm.OPEN_TOO_LONG)


def _hold_open(step: _Step) -> None:
    """Open to all until told otherwise; an open leaf is no longer an alarm. Who was granted has their time still."""
    step.clear_alarms()
    _enter(step, Mode.UNLOCKED)
    step.set(lock=Lock.RELEASED, open_time_ends_at=None)


def _lock_down(step: _Step) -> None:
    """Secure at once and admit nobody; who is leaving keeps the time to."""
    _enter(step, Mode.LOCKED_DOWN)
    _limit_open_time(step)
    leaving = tuple(cause for cause in step.state.causes if cause.is_exit)
    if not leaving or step.state.release_ends_at is None or step.state.contact is Contact.OPEN:
        _secure(step)
        return
    if step.state.contact is Contact.CLOSED:
        step.reports += [Unused(cause) for cause in step.state.causes if not cause.is_exit]
        step.set(causes=leaving)


def _resume(step: _Step) -> None:
    """Back to normal: secured once a release that runs is over, and an open leaf has its time limit again."""
    _enter(step, Mode.NORMAL)
    _limit_open_time(step)
    if step.state.release_ends_at is None:
        _secure(step)


def _enter(step: _Step, mode: Mode) -> None:
    step.set(mode=mode)
    step.reports.append(ModeChanged(mode))


def _limit_open_time(step: _Step) -> None:
    is_open = step.state.contact is Contact.OPEN
    limit = step.now + step.timings.open_alarm_s if is_open else None
    step.set(open_time_ends_at=limit if Alarm.OPEN_TOO_LONG not in step.state.alarms else None)


COLUMNS = tuple(product(Lock, Contact))
"""The columns of `TABLE`: secured (closed, open, unknown), then released (closed, open, unknown)."""

_ = _ignore
_FREE, _SHUT, _RELOCK, _SETTLE, _LOSE = _pass_freely, _shut, _shut_and_secure, _settle_closed, _lose_contact

# fmt: off
TABLE: Mapping[tuple[Input, Mode], tuple[Reaction, Reaction, Reaction, Reaction, Reaction, Reaction]] = {
    #                                         secured:                            released:
    #                                         closed      open        unknown     closed      open        unknown
    (Input.GRANT, Mode.NORMAL):              (_release,   _release,   _release,   _release,   _release,   _release),
    (Input.GRANT, Mode.UNLOCKED):            (_release,   _release,   _release,   _FREE,      _FREE,      _FREE),
    (Input.GRANT, Mode.LOCKED_DOWN):         (_refuse,    _refuse,    _refuse,    _refuse,    _refuse,    _refuse),

    (Input.EXIT, Mode.NORMAL):               (_release,   _release,   _release,   _release,   _release,   _release),
    (Input.EXIT, Mode.UNLOCKED):             (_release,   _release,   _release,   _FREE,      _FREE,      _FREE),
    (Input.EXIT, Mode.LOCKED_DOWN):          (_release,   _release,   _release,   _release,   _release,   _release),

    (Input.OPENED, Mode.NORMAL):             (_force,     _,          _find,      _pass,      _,          _find),
    (Input.OPENED, Mode.UNLOCKED):           (_stand,     _,          _stand,     _stand,     _,          _meet),
    (Input.OPENED, Mode.LOCKED_DOWN):        (_force,     _,          _find,      _pass,      _,          _find),

    (Input.CLOSED, Mode.NORMAL):             (_,          _SHUT,      _SHUT,      _,          _RELOCK,    _SETTLE),
    (Input.CLOSED, Mode.UNLOCKED):           (_,          _SHUT,      _SHUT,      _,          _SHUT,      _SETTLE),
    (Input.CLOSED, Mode.LOCKED_DOWN):        (_,          _SHUT,      _SHUT,      _,          _RELOCK,    _SETTLE),

    (Input.CONTACT_LOST, Mode.NORMAL):       (_LOSE,      _LOSE,      _,          _LOSE,      _LOSE,      _),
    (Input.CONTACT_LOST, Mode.UNLOCKED):     (_LOSE,      _LOSE,      _,          _LOSE,      _LOSE,      _),
    (Input.CONTACT_LOST, Mode.LOCKED_DOWN):  (_LOSE,      _LOSE,      _,          _LOSE,      _LOSE,      _),

    (Input.RELEASE_ENDED, Mode.NORMAL):      (_,          _,          _,          _secure,    _secure,    _secure),
    (Input.RELEASE_ENDED, Mode.UNLOCKED):    (_,          _,          _,          _expire,    _expire,    _expire),
    (Input.RELEASE_ENDED, Mode.LOCKED_DOWN): (_,          _,          _,          _secure,    _secure,    _secure),

    (Input.OPEN_TIME_ENDED, Mode.NORMAL):    (_,          _overdue,   _,          _,          _overdue,   _),
    (Input.OPEN_TIME_ENDED, Mode.UNLOCKED):  (_,          _,          _,          _,          _,          _),
    (Input.OPEN_TIME_ENDED, Mode.LOCKED_DOWN): (_,          _overdue,   _,          _,          _overdue,   _),

    (Input.HOLD_OPEN, Mode.NORMAL):          (_hold_open,) * 6,
    (Input.HOLD_OPEN, Mode.UNLOCKED):        (_hold_open, _hold_open, _hold_open, _,          _,          _),
    (Input.HOLD_OPEN, Mode.LOCKED_DOWN):     (_hold_open,) * 6,

    (Input.LOCK_DOWN, Mode.NORMAL):          (_lock_down,) * 6,
    (Input.LOCK_DOWN, Mode.UNLOCKED):        (_lock_down,) * 6,
    (Input.LOCK_DOWN, Mode.LOCKED_DOWN):     (_,          _,          _,          _,          _,          _),

    (Input.RESUME, Mode.NORMAL):             (_,          _,          _,          _,          _,          _),
    (Input.RESUME, Mode.UNLOCKED):           (_resume,) * 6,
    (Input.RESUME, Mode.LOCKED_DOWN):        (_resume,) * 6,
}
# fmt: on


def standing(mode: Mode) -> DoorState:
    """The door in a mode that was ordered before the agent was started anew: an order stands until the next one."""
    return DoorState(mode, Lock.RELEASED if mode is Mode.UNLOCKED else Lock.SECURED)


def step(
    state: DoorState, what: Input, now: float, timings: DoorTimings, cause: Cause = NOBODY
) -> tuple[DoorState, tuple[Report, ...]]:
    """Apply one input. `cause` belongs to GRANT and EXIT only."""
    work = _Step(state, timings, cause, now)
    TABLE[what, state.mode][COLUMNS.index((state.lock, state.contact))](work)
    return work.state, tuple(work.reports)


def due(state: DoorState, now: float) -> tuple[Input, ...]:
    """The deadlines that have come, in the order in which they came."""
    deadlines = (
        (state.release_ends_at, Input.RELEASE_ENDED),
        (state.open_time_ends_at, Input.OPEN_TIME_ENDED),
    )
    passed = sorted((at, what) for at, what in deadlines if at is not None and at <= now)
    return tuple(what for _at, what in passed)


def is_energised(lock: Lock, kind: LockKind) -> bool:
    """Whether the lock needs current: a fail-secure one to release, a fail-safe one to stay secured."""
    return (lock is Lock.RELEASED) == (kind is LockKind.FAIL_SECURE)
