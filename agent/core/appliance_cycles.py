"""Cycles of an appliance: how often it ran, how long, how strongly, and how long it usually rests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import median

from agent.core.appliance_kinds import Limits

KEPT = 16  # of pauses and peaks: a fridge's day or an oven's, and little to save
STARTS_KEPT = 8  # more than any kind's `short_starts`
MIN_PEAKS = 5  # cycles before a running power is learned
MIN_PAUSES = 8  # pauses before one is called usual
USUAL_PAUSE_TIMES = 3.0  # a rest three times the longest usual one is none; a hot or a cold day changes it by less
JUDGED_S = 15.0  # a shorter cycle may end before two readings saw its full power
LONG_S = 600.0  # one that does not end is judged after this


@dataclass(frozen=True, slots=True)
class Cycles:
    """Times are station time. A cycle goes on from `began_at` (None: none does), the run within it from `run_from`.

    `peak_w`: the most that two readings in a row reached in this cycle, so that an inrush does not count. `peaks` are
    those of whole and healthy cycles, `pauses` rests that were watched from end to end, `starts` the newest starts.
    `is_healthy`: what the last cycle was that could be judged.
    """

    count: int = 0
    in_use_s: float = 0.0
    began_at: float | None = None
    run_from: float | None = None
    stopped_at: float | None = None
    peak_w: float = 0.0
    drawn_ws: float = 0.0
    drawn_s: float = 0.0
    starts: tuple[float, ...] = ()
    peaks: tuple[float, ...] = ()
    pauses: tuple[float, ...] = ()
    weak_in_a_row: int = 0
    is_healthy: bool | None = None

    @property
    def mean_w(self) -> float:
        """The mean power of the cycle that goes on or ended last."""
        return self.drawn_ws / self.drawn_s if self.drawn_s > 0 else 0.0

    @property
    def usual_peak_w(self) -> float | None:
        """The learned running power; None before `MIN_PEAKS` cycles."""
        return median(self.peaks) if len(self.peaks) >= MIN_PEAKS else None

    @property
    def longest_pause_s(self) -> float | None:
        """The longest of the usual rests; None before `MIN_PAUSES`."""
        return max(self.pauses) if len(self.pauses) >= MIN_PAUSES else None


def draw(state: Cycles, before_w: float | None, power_w: float, seconds: float) -> Cycles:
    """So much was drawn for so long while it ran."""
    both_w = min(before_w, power_w) if before_w is not None else 0.0
    return replace(
        state,
        peak_w=max(state.peak_w, both_w),
        drawn_ws=state.drawn_ws + power_w * seconds,
        drawn_s=state.drawn_s + seconds,
    )


def start(state: Cycles, at: float, limits: Limits) -> Cycles:
    """It began to run; after a stop that was too short to be one the same cycle goes on."""
    if state.began_at is not None:
        if state.stopped_at is None or at - state.stopped_at < limits.pause_min_s:
            return replace(state, run_from=at, stopped_at=None)
        state = finish(state, at, limits)
    return replace(
        state,
        count=state.count + 1,
        began_at=at,
        run_from=at,
        stopped_at=None,
        peak_w=0.0,
        drawn_ws=0.0,
        drawn_s=0.0,
        starts=(*state.starts, at)[-STARTS_KEPT:],
        pauses=state.pauses if state.stopped_at is None else _learn_pause(state, at - state.stopped_at),
    )


def _learn_pause(state: Cycles, pause_s: float) -> tuple[float, ...]:
    """One that is far too long was a fault, and must not become usual."""
    longest_s = state.longest_pause_s
    if longest_s is not None and pause_s > USUAL_PAUSE_TIMES * longest_s:
        return state.pauses
    return (*state.pauses, pause_s)[-KEPT:]


def stop(state: Cycles, at: float) -> Cycles:
    """It ran until then; whether the cycle is over shows when the stop has lasted."""
    ran_s = 0.0 if state.run_from is None else max(0.0, at - state.run_from)
    return replace(state, in_use_s=state.in_use_s + ran_s, run_from=None, stopped_at=at)


def finish(state: Cycles, now: float, limits: Limits) -> Cycles:
    """End a cycle whose stop has lasted, and judge how strong it was."""
    if state.began_at is None or state.stopped_at is None or now - state.stopped_at < limits.pause_min_s:
        return state
    lasted_s = state.stopped_at - state.began_at
    state = replace(state, began_at=None)
    if lasted_s < JUDGED_S or state.peak_w <= 0:
        return state
    if is_weak(state, limits):
        return replace(state, weak_in_a_row=state.weak_in_a_row + 1, is_healthy=False)
    is_healthy = True if state.usual_peak_w is not None else None
    return replace(state, weak_in_a_row=0, is_healthy=is_healthy, peaks=(*state.peaks, state.peak_w)[-KEPT:])


def is_weak(state: Cycles, limits: Limits) -> bool:
    """Whether this cycle's power stays far below what was learned."""
    usual_w = state.usual_peak_w
    return limits.weak_below is not None and usual_w is not None and state.peak_w < limits.weak_below * usual_w


def lose(state: Cycles, at: float) -> Cycles:
    """The meter fell silent after `at`: what it does now is not known, and a rest is no longer watched."""
    if state.run_from is None:
        return replace(state, stopped_at=None) if state.began_at is None else state
    return replace(state, in_use_s=state.in_use_s + max(0.0, at - state.run_from), run_from=None)


def bridge(state: Cycles, lost_at: float, at: float) -> Cycles:
    """It ran through a silence of the meter."""
    return replace(state, in_use_s=state.in_use_s + max(0.0, at - lost_at), run_from=at)


def miss(state: Cycles, lasted_s: float) -> Cycles:
    """The meter's counter shows a whole cycle that nobody watched."""
    return replace(state, count=state.count + 1, in_use_s=state.in_use_s + lasted_s)
