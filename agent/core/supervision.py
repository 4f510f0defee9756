"""When the vision child is started, ended and given a rest.

It is restarted within a budget of 5 in 60 s; past that it rests for a minute, so that a broken model or camera driver
does not keep a small computer busy for ever. A child that sends nothing for `SILENCE_S` hangs and is ended.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from agent.effects import Effect, KillVision, StartVision

BUDGET = 5
BUDGET_S = 60.0
PAUSE_S = 0.5  # between two starts, so that a child that dies at once does not spin
REST_S = 60.0
SILENCE_S = 5.0  # five beats missed
LOADING_S = 60.0  # a first start converts the network, on a slow card too


class Phase(StrEnum):
    """What the child is doing, as far as is known."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Supervision:
    """Times are station time. `starts` are those within the budget's window."""

    phase: Phase = Phase.STOPPED
    starts: tuple[float, ...] = ()
    start_at: float | None = None
    silent_at: float | None = None

    def deadline(self) -> float | None:
        """When `tend` has something to do."""
        return min((at for at in (self.start_at, self.silent_at) if at is not None), default=None)


def begin(now: float) -> Supervision:
    """Start at the next `tend`."""
    return Supervision(start_at=now)


def started(state: Supervision, now: float) -> Supervision:
    """The child is up."""
    return replace(state, phase=Phase.RUNNING, silent_at=now + SILENCE_S)


def heard(state: Supervision, now: float) -> Supervision:
    """Any fact of a running child shows that it lives."""
    return replace(state, silent_at=now + SILENCE_S) if state.phase is Phase.RUNNING else state


def stopped(state: Supervision, now: float) -> Supervision:
    """Start it again: soon within the budget, after a rest past it."""
    recent = tuple(at for at in state.starts if now - at < BUDGET_S)
    wait_s = PAUSE_S if len(recent) < BUDGET else REST_S
    return Supervision(Phase.STOPPED, recent, start_at=now + wait_s)


def put_off(state: Supervision, seconds: float) -> Supervision:
    """Station time jumped ahead, the child did not."""
    start_at = None if state.start_at is None else state.start_at + seconds
    silent_at = None if state.silent_at is None else state.silent_at + seconds
    return replace(state, start_at=start_at, silent_at=silent_at)


def tend(state: Supervision, now: float) -> tuple[Supervision, tuple[Effect, ...]]:
    """Do what is due."""
    if state.start_at is not None and now >= state.start_at:
        starts = (*state.starts, now)[-BUDGET:]
        return Supervision(Phase.STARTING, starts, silent_at=now + LOADING_S), (StartVision(),)
    if state.silent_at is not None and now >= state.silent_at:
        return replace(state, silent_at=now + SILENCE_S), (KillVision("it sends nothing any more"),)
    return state, ()
