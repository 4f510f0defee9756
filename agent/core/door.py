"""The door: what it is told, what is known of it, and what follows for its lock.

The state is a product, not a list: *wishes* (who wants what of the door; the highest makes the *mode*), the *phase* of
an access, the *contact* of the leaf, the lock's *bolt* where a monitor is fitted, and *alarms*. `door_table` says how
each input changes it, `door_reactions` how that is done. What the lock is to do follows from the state here alone.

An opening is accounted for by its *causes* (a grant, a request to leave). A cause counts as passed when the leaf opens,
or at once where no contact can tell. The same cause counts once for each opening, however often it is repeated.

Modes, alarms and times are named after ONVIF Door Control (Locked or Accessed, Unlocked, LockedOpen, Blocked,
LockedDown; DoorForcedOpen, DoorOpenTooLong; ReleaseTime, OpenTime, ExtendedReleaseTime, DelayTimeBeforeRelock,
PreAlarmTime), which knows neither fire nor a break glass; those are IEC 60839-11-1's overriding releases.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

MAX_CAUSES = 16  # more people than this do not pass in one opening; bounds what a stuck reader can pile up


class Mode(StrEnum):
    """What holds for the door now: the highest of the wishes. The order is from the lowest to the highest."""

    NORMAL = "normal"
    UNLOCKED = "unlocked"
    HELD_OPEN = "held_open"
    BLOCKED = "blocked"
    LOCKED_DOWN = "locked_down"
    EMERGENCY = "emergency"
    RELEASED_BY_FIRE = "released_by_fire"


STANDING_OPEN = frozenset({Mode.UNLOCKED, Mode.HELD_OPEN, Mode.EMERGENCY, Mode.RELEASED_BY_FIRE})
"""Modes in which the lock is released for everybody and all the time."""

ADMITTING_NOBODY = frozenset({Mode.BLOCKED, Mode.LOCKED_DOWN})
"""Modes in which nobody comes in. Leaving is honoured in every mode."""


class Phase(StrEnum):
    """Of one access. RELOCKING: the current has just changed and the strike is still falling in."""

    IDLE = "idle"
    ACCESSED = "accessed"
    RELOCKING = "relocking"


class Lock(StrEnum):
    """What the lock is told, whatever current that takes."""

    SECURED = "secured"
    RELEASED = "released"


class Contact(StrEnum):
    """Where the leaf is. UNKNOWN: no contact is fitted, or it cannot be read."""

    CLOSED = "closed"
    OPEN = "open"
    UNKNOWN = "unknown"


class Bolt(StrEnum):
    """What the lock's monitor says. UNKNOWN: none is fitted, or it cannot be read."""

    SECURED = "secured"
    RELEASED = "released"
    UNKNOWN = "unknown"


class Alarm(StrEnum):
    """Something to be seen now.

    LOCK_FAULT needs a monitor of the bolt: without one nobody can know that a relay moved and the lock did not, for a
    door that nobody pushes looks the same. A contact whose wire is cut reads as an open door, so that is FORCED.
    """

    FORCED = "forced"
    OPEN_WARNING = "open_warning"
    OPEN_TOO_LONG = "open_too_long"
    TAILGATING = "tailgating"
    TAMPER = "tamper"
    LOCK_FAULT = "lock_fault"
    CONTACT_FAULT = "contact_fault"
    EMERGENCY = "emergency"
    FIRE = "fire"


LEAF_ALARMS = frozenset({Alarm.FORCED, Alarm.OPEN_WARNING, Alarm.OPEN_TOO_LONG, Alarm.TAILGATING})
"""Alarms about one opening, which end when the leaf is closed, meant to be open, or out of sight."""


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
    ENTERED = "entered"
    RELEASE_ENDED = "release_ended"
    RELOCK_ENDED = "relock_ended"
    WARNING_DUE = "warning_due"
    OPEN_TIME_ENDED = "open_time_ended"
    FIRE_BEGAN = "fire_began"
    FIRE_ENDED = "fire_ended"
    EMERGENCY_BEGAN = "emergency_began"
    EMERGENCY_ENDED = "emergency_ended"
    LOCK_DOWN = "lock_down"
    BLOCK = "block"
    HOLD_OPEN = "hold_open"
    RESUME = "resume"
    HOURS_BEGAN = "hours_began"
    HOURS_ENDED = "hours_ended"
    TAMPERED = "tampered"
    TAMPER_ENDED = "tamper_ended"
    BOLT_SECURED = "bolt_secured"
    BOLT_RELEASED = "bolt_released"
    BOLT_LOST = "bolt_lost"
    BOLT_OVERDUE = "bolt_overdue"


@dataclass(frozen=True, slots=True)
class DoorTimings:
    """Seconds.

    `release_s`: how long a grant releases the lock; `open_alarm_s`: how long the leaf may stand open; both with
    `extended_` for who needs longer. `open_warning_s`: how long before that alarm the door reminds, at most half of the
    open time. `relock_delay_s`: from the leaf's closing to securing the lock, for bolts that need the leaf at rest.
    `relock_grace_s`: the strike's own time and a leaf that bounces; who opens within it is no intruder.
    `bolt_move_s`: how long the bolt may take to follow the lock.
    """

    release_s: float = 5.0
    open_alarm_s: float = 30.0
    extended_release_s: float = 15.0
    extended_open_alarm_s: float = 60.0
    open_warning_s: float = 10.0
    relock_delay_s: float = 0.0
    relock_grace_s: float = 0.25
    bolt_move_s: float = 2.0

    def release_for(self, cause: Cause) -> float:
        """How long the lock is released for this cause."""
        return self.extended_release_s if cause.needs_longer else self.release_s

    def open_for(self, causes: tuple[Cause, ...]) -> float:
        """How long the leaf may stand open: the longest time that anybody of these has."""
        needs_longer = any(cause.needs_longer for cause in causes)
        return self.extended_open_alarm_s if needs_longer else self.open_alarm_s


@dataclass(frozen=True, slots=True)
class Cause:
    """Why the lock was released. `way`: `face`, `pass`, `remote`, `exit_button`; `seen_at`: of the first sign.

    `seen_at` is station time; `pass_id` tells guests apart, who are no members; `needs_longer`: whoever comes has the
    extended times.
    """

    way: str
    member_id: str | None = None
    seen_at: float | None = None
    pass_id: str | None = None
    needs_longer: bool = False

    @property
    def is_exit(self) -> bool:
        """Somebody leaves by it."""
        return self.way == "exit_button"

    @property
    def identity(self) -> tuple[str, str | None, str | None]:
        """What makes it the same cause when it is repeated."""
        return self.way, self.member_id, self.pass_id


NOBODY = Cause("nobody")
"""Stands where an input has no cause."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is wanted of the door, each kept while a higher one holds, so that it comes back after it.

    `order`: the station master's (HELD_OPEN, BLOCKED or LOCKED_DOWN) until they take it back; `is_open_hours`: the
    schedule's.
    """

    is_fire: bool = False
    is_emergency: bool = False
    order: Mode | None = None
    is_open_hours: bool = False

    @property
    def mode(self) -> Mode:
        """Who wins: fire, then emergency, then the master's order, then the schedule."""
        if self.is_fire:
            return Mode.RELEASED_BY_FIRE
        if self.is_emergency:
            return Mode.EMERGENCY
        if self.order is not None:
            return self.order
        return Mode.UNLOCKED if self.is_open_hours else Mode.NORMAL


@dataclass(frozen=True, slots=True)
class DoorState:
    """The product, with the deadlines (station time) that belong to it.

    `admitted` and `entered`: of this opening, how many were let in, and how many a counter saw go in.
    """

    wishes: Wishes = field(default_factory=Wishes)
    contact: Contact = Contact.UNKNOWN
    bolt: Bolt = Bolt.UNKNOWN
    alarms: frozenset[Alarm] = frozenset()
    causes: tuple[Cause, ...] = ()
    admitted: int = 0
    entered: int = 0
    opened_at: float | None = None
    release_ends_at: float | None = None
    relock_ends_at: float | None = None
    warning_at: float | None = None
    open_time_ends_at: float | None = None
    bolt_due_at: float | None = None

    @property
    def mode(self) -> Mode:
        """See `Wishes.mode`."""
        return self.wishes.mode

    @property
    def phase(self) -> Phase:
        """Of the access that is under way."""
        if self.release_ends_at is not None:
            return Phase.ACCESSED
        return Phase.IDLE if self.relock_ends_at is None else Phase.RELOCKING

    @property
    def lock(self) -> Lock:
        """What the lock is to do: the one place where that follows from everything else."""
        is_released = self.mode in STANDING_OPEN or self.phase is Phase.ACCESSED
        return Lock.RELEASED if is_released else Lock.SECURED

    def deadline(self) -> float | None:
        """The next moment at which `due` has something to say."""
        return min((at for at, _ in self.deadlines()), default=None)

    def deadlines(self) -> list[tuple[float, Input]]:
        """Every moment that is awaited, and what it brings."""
        every = (
            (self.release_ends_at, Input.RELEASE_ENDED),
            (self.relock_ends_at, Input.RELOCK_ENDED),
            (self.warning_at, Input.WARNING_DUE),
            (self.open_time_ends_at, Input.OPEN_TIME_ENDED),
            (self.bolt_due_at, Input.BOLT_OVERDUE),
        )
        return [(at, what) for at, what in every if at is not None]


def standing(order: str) -> DoorState:
    """The door with the order that was given before the agent was started anew: it stands until the next one."""
    known = {Mode.HELD_OPEN, Mode.BLOCKED, Mode.LOCKED_DOWN}
    return DoorState(Wishes(order=Mode(order) if order in known else None))


def due(state: DoorState, now: float) -> tuple[Input, ...]:
    """The deadlines that have come, in the order in which they came."""
    passed = sorted((at, what) for at, what in state.deadlines() if at <= now)
    return tuple(what for _at, what in passed)


def is_energised(lock: Lock, kind: LockKind) -> bool:
    """Whether the lock needs current: a fail-secure one to release, a fail-safe one to stay secured."""
    return (lock is Lock.RELEASED) == (kind is LockKind.FAIL_SECURE)


# --- what the door reports -------------------------------------------------------------------------------------------


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


@dataclass(frozen=True, slots=True)
class OrderRefused:
    """Only `resume` ends a lock-down: no other order changes it."""


Report = Passed | Unused | AlarmRaised | AlarmCleared | ModeChanged | Refused | OrderRefused
