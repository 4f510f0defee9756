"""The door's table: one reaction for every input, mode, phase of an access and place of the leaf.

No cell is left out and none is a default: where nothing happens, IGNORE is written. A row of `ROWS` holds the cells of
the modes that it names; `TABLE` is the whole, by input and mode. docs/door.md is made from it by docs/make_door.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

from agent.core import door_reactions as do
from agent.core.door import NOBODY, Cause, Contact, DoorState, DoorTimings, Input, Mode, Phase, Report
from agent.core.door_reactions import Reaction, Work

COLUMNS = tuple(product(Phase, Contact))
"""Idle (closed, open, unknown), then accessed, then relocking, each likewise."""

Row = tuple[Reaction, Reaction, Reaction, Reaction, Reaction, Reaction, Reaction, Reaction, Reaction]

_NORMAL, _HOURS, _HELD, _BLOCKED = (Mode.NORMAL,), (Mode.UNLOCKED,), (Mode.HELD_OPEN,), (Mode.BLOCKED,)
_DOWN, _EMERGENCY, _FIRE = (Mode.LOCKED_DOWN,), (Mode.EMERGENCY,), (Mode.RELEASED_BY_FIRE,)
_OPEN = _HOURS + _HELD + _EMERGENCY + _FIRE  # the lock is released all the time
_SHUT = _NORMAL + _BLOCKED + _DOWN  # the lock is secured but for an access
_ALL = _OPEN + _SHUT

IGNORE, RELEASE, ACCOUNT, REFUSE = do.ignore, do.release, do.account, do.refuse
THROUGH, FORCE, FIND, STAND, MEET = do.let_through, do.force, do.find_open, do.stand_open, do.meet_open
SHUT, SECURE, SETTLE, EXPIRE, FALLEN = do.shut, do.secure, do.settle_closed, do.expire, do.settle_lock
RELOCK, OVERDUE = do.shut_and_secure, do.overdue
_ = IGNORE


def _all(reaction: Reaction) -> Row:
    """The same in every phase, wherever the leaf is."""
    return (reaction,) * 9


# fmt: off
ROWS: tuple[tuple[Input, tuple[Mode, ...], Row], ...] = (
    #                                idle:                      accessed:                    relocking:
    #                                closed   open     unknown  closed   open     unknown    closed   open     unknown
    # People
    (Input.GRANT, _NORMAL,           _all(RELEASE)),
    (Input.GRANT, _OPEN,             _all(ACCOUNT)),
    (Input.GRANT, _BLOCKED + _DOWN,  _all(REFUSE)),
    (Input.EXIT, _SHUT,              _all(RELEASE)),
    (Input.EXIT, _OPEN,              _all(ACCOUNT)),
    (Input.ENTERED, _SHUT,           _all(do.count_in)),
    (Input.ENTERED, _OPEN,           _all(IGNORE)),
    # The leaf
    (Input.OPENED, _SHUT,            (FORCE,   _,       FIND,    THROUGH, _,       FIND,     THROUGH, _,       FIND)),
    (Input.OPENED, _OPEN,            (STAND,   _,       MEET,    STAND,   _,       MEET,     STAND,   _,       MEET)),
    (Input.CLOSED, _SHUT,            (_,       SHUT,    SETTLE,  _,       RELOCK,  SETTLE,   _,       SHUT,    SETTLE)),
    (Input.CLOSED, _OPEN,            (_,       SHUT,    SETTLE,  _,       SHUT,    SETTLE,   _,       SHUT,    SETTLE)),
    (Input.CONTACT_LOST, _ALL,       _all(do.lose_contact)),
    # Times
    (Input.RELEASE_ENDED, _SHUT,     (_,       _,       _,       SECURE,  SECURE,  SECURE,   _,       _,       _)),
    (Input.RELEASE_ENDED, _OPEN,     (_,       _,       _,       EXPIRE,  EXPIRE,  EXPIRE,   _,       _,       _)),
    (Input.RELOCK_ENDED, _ALL,       (_,       _,       _,       _,       _,       _,        FALLEN,  FALLEN,  FALLEN)),
    (Input.WARNING_DUE, _SHUT,       (_,       do.warn, _,       _,       do.warn, _,        _,       do.warn, _)),
    (Input.WARNING_DUE, _OPEN,       _all(IGNORE)),
    (Input.OPEN_TIME_ENDED, _SHUT,   (_,       OVERDUE, _,       _,       OVERDUE, _,        _,       OVERDUE, _)),
    (Input.OPEN_TIME_ENDED, _OPEN,   _all(IGNORE)),
    # Fire, then emergency
    (Input.FIRE_BEGAN, _SHUT + _HOURS + _HELD + _EMERGENCY,         _all(do.begin_fire)),
    (Input.FIRE_BEGAN, _FIRE,                                       _all(IGNORE)),
    (Input.FIRE_ENDED, _FIRE,                                       _all(do.end_fire)),
    (Input.FIRE_ENDED, _SHUT + _HOURS + _HELD + _EMERGENCY,         _all(IGNORE)),
    (Input.EMERGENCY_BEGAN, _SHUT + _HOURS + _HELD + _FIRE,         _all(do.begin_emergency)),
    (Input.EMERGENCY_BEGAN, _EMERGENCY,                             _all(IGNORE)),
    (Input.EMERGENCY_ENDED, _EMERGENCY + _FIRE,                     _all(do.end_emergency)),
    (Input.EMERGENCY_ENDED, _SHUT + _HOURS + _HELD,                 _all(IGNORE)),
    # Orders, then opening hours
    (Input.LOCK_DOWN, _NORMAL + _BLOCKED + _OPEN,                   _all(do.lock_down)),
    (Input.LOCK_DOWN, _DOWN,                                        _all(IGNORE)),
    (Input.BLOCK, _NORMAL + _HOURS + _HELD,                         _all(do.block)),
    (Input.BLOCK, _BLOCKED,                                         _all(IGNORE)),
    (Input.BLOCK, _DOWN,                                            _all(do.refuse_order)),
    (Input.BLOCK, _EMERGENCY + _FIRE,                               _all(do.block_afterwards)),
    (Input.HOLD_OPEN, _NORMAL + _HOURS + _BLOCKED,                  _all(do.hold_open)),
    (Input.HOLD_OPEN, _HELD,                                        _all(IGNORE)),
    (Input.HOLD_OPEN, _DOWN,                                        _all(do.refuse_order)),
    (Input.HOLD_OPEN, _EMERGENCY + _FIRE,                           _all(do.hold_open_afterwards)),
    (Input.RESUME, _HELD + _BLOCKED + _DOWN + _EMERGENCY + _FIRE,   _all(do.resume)),
    (Input.RESUME, _NORMAL + _HOURS,                                _all(IGNORE)),
    (Input.HOURS_BEGAN, _SHUT + _HELD + _EMERGENCY + _FIRE,         _all(do.begin_hours)),
    (Input.HOURS_BEGAN, _HOURS,                                     _all(IGNORE)),
    (Input.HOURS_ENDED, _BLOCKED + _DOWN + _OPEN,                   _all(do.end_hours)),
    (Input.HOURS_ENDED, _NORMAL,                                    _all(IGNORE)),
    # Tampering and the bolt
    (Input.TAMPERED, _ALL,           _all(do.begin_tamper)),
    (Input.TAMPER_ENDED, _ALL,       _all(do.end_tamper)),
    (Input.BOLT_SECURED, _ALL,       _all(do.see_bolt_secured)),
    (Input.BOLT_RELEASED, _ALL,      _all(do.see_bolt_released)),
    (Input.BOLT_LOST, _ALL,          _all(do.lose_bolt)),
    (Input.BOLT_OVERDUE, _ALL,       _all(do.blame_bolt)),
)
# fmt: on

TABLE: Mapping[tuple[Input, Mode], Row] = {(what, mode): row for what, modes, row in ROWS for mode in modes}


def step(
    state: DoorState, what: Input, now: float, timings: DoorTimings, cause: Cause = NOBODY
) -> tuple[DoorState, tuple[Report, ...]]:
    """Apply one input. `now`: station time; `cause` belongs to GRANT and EXIT only."""
    work = Work(state, timings, cause, now)
    TABLE[what, state.mode][COLUMNS.index((state.phase, state.contact))](work)
    do.watch_bolt(work)
    return work.state, tuple(work.reports)
