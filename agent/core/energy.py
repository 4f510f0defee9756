"""The energy an appliance has used: by its meter's own counter, else by its power over time.

A counter only grows. It wraps at its highest value, starts again at nothing when it is reset or replaced, and now and
then a wrong value passes a checksum: the total that is kept here grows by what could have been used and never falls.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

MAX_POWER_W = 50_000.0  # three phases of 63 A are 43 kW: nothing in a station draws more
SLACK_KWH = 0.02  # counters are read in steps of 0.001 to 0.01 kWh
NEAR_WRAP = 0.98  # a counter that stood above this part of its highest value has wrapped, and was not reset


@dataclass(frozen=True, slots=True)
class Energy:
    """`total_kwh` since the beginning of the records; `counter_kwh`: what the meter said last, at `counted_at`."""

    total_kwh: float = 0.0
    counter_kwh: float | None = None
    counted_at: float | None = None


def count(state: Energy, counter_kwh: float, at: float, wrap_kwh: float | None = None) -> Energy:
    """The meter's counter says so; what is not a number, or less than nothing, is no reading."""
    if not (math.isfinite(counter_kwh) and counter_kwh >= 0):
        return state
    if state.counter_kwh is None or state.counted_at is None:
        return replace(state, counter_kwh=counter_kwh, counted_at=at)
    possible_kwh = MAX_POWER_W * max(0.0, at - state.counted_at) / 3.6e6 + SLACK_KWH
    rise_kwh = counter_kwh - state.counter_kwh
    if rise_kwh < 0:
        has_wrapped = wrap_kwh is not None and state.counter_kwh >= NEAR_WRAP * wrap_kwh
        rise_kwh = counter_kwh + (wrap_kwh - state.counter_kwh if has_wrapped and wrap_kwh is not None else 0.0)
    if rise_kwh > possible_kwh:
        rise_kwh = 0.0  # a counter that was replaced, or a wrong value: counted from here on
    return Energy(state.total_kwh + rise_kwh, counter_kwh, at)


def integrate(state: Energy, power_w: float, seconds: float) -> Energy:
    """It drew so much for so long; nothing is added where a counter does the counting."""
    if state.counter_kwh is not None:
        return state
    return replace(state, total_kwh=state.total_kwh + power_w * seconds / 3.6e6)
