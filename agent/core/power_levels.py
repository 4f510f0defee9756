"""Standby and running level of an appliance, found from its own readings.

The seconds spent at each power are counted in a histogram over the logarithm of the power: 48 numbers, whatever the
time. Two clusters are split by the greatest variance between them (Otsu, IEEE Trans. SMC 9, 1979), each bin weighted
by the logarithm of its seconds: an oven runs one minute in a hundred, and its standby must not outvote it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

PER_DECADE = 8  # bins a third apart: finer than a mains voltage that wanders
LOWEST_W = 0.1  # below this is nothing; meters resolve 0.1 W
BINS = 6 * PER_DECADE  # up to 100 kW, more than a station's main fuse passes

MIN_WATCHED_S = 2 * 86_400.0  # two days hold a night, a noon and what differs between them
MIN_RUNNING_S = 300.0
MIN_BIN_S = 20.0  # less at one power is the way between two levels, or a bad reading
MIN_RATIO = 4.0  # levels nearer to each other are one that wavers
MIN_RUNNING_W = 5.0
FORGET_AT_S = 14 * 86_400.0  # then everything counts half: an appliance that was replaced is learned again


@dataclass(frozen=True, slots=True)
class Levels:
    """Watts. `split_w` lies between standby and running; `floor_w`: it draws less for one second in a hundred only."""

    standby_w: float
    running_w: float
    split_w: float
    floor_w: float


@dataclass(frozen=True, slots=True)
class PowerHistogram:
    """Seconds at each power. Small enough to be saved as it is."""

    seconds: tuple[float, ...] = (0.0,) * BINS
    watched_s: float = 0.0


def add(state: PowerHistogram, power_w: float, seconds: float) -> PowerHistogram:
    """It drew this much for so long."""
    at = _bin(power_w)
    counted = (*state.seconds[:at], state.seconds[at] + seconds, *state.seconds[at + 1 :])
    watched_s = state.watched_s + seconds
    if watched_s < FORGET_AT_S:
        return PowerHistogram(counted, watched_s)
    return PowerHistogram(tuple(each / 2 for each in counted), watched_s / 2)


def levels(state: PowerHistogram) -> Levels | None:
    """What was learned; None with less evidence than the constants above ask for, and when it knows one level only."""
    if state.watched_s < MIN_WATCHED_S:
        return None
    weights = [math.log1p(each / MIN_BIN_S) if each >= MIN_BIN_S else 0.0 for each in state.seconds]
    split = _otsu(weights)
    if split is None:
        return None
    upper = [n for n in range(split, BINS) if weights[n]]
    lower = [n for n in range(split) if weights[n]]
    running_w, standby_w = _mean(state, upper), _mean(state, lower)
    runs_s = sum(state.seconds[n] for n in upper)
    if runs_s < MIN_RUNNING_S or running_w < MIN_RUNNING_W or running_w < MIN_RATIO * standby_w:
        return None
    split_w = LOWEST_W * 10 ** (((lower[-1] + upper[0]) / 2 - 0.5) / PER_DECADE)  # the middle of what lies between
    return Levels(standby_w, running_w, split_w, _floor(state))


def _otsu(weights: list[float]) -> int | None:
    """The first bin of the upper cluster."""
    total = sum(weights)
    total_moment = sum(n * each for n, each in enumerate(weights))
    weight = moment = best = 0.0
    split: int | None = None
    for n, each in enumerate(weights[:-1]):
        weight += each
        moment += n * each
        if weight <= 0 or weight >= total:
            continue
        apart = moment / weight - (total_moment - moment) / (total - weight)
        between = weight * (total - weight) * apart * apart
        if between > best * (1 + 1e-9):
            best, split = between, n + 1
    return split


def _mean(state: PowerHistogram, bins: list[int]) -> float:
    """The power in the middle of the time spent in these bins, so that a brief way up or down does not count."""
    half = sum(state.seconds[n] for n in bins) / 2
    for n in bins:
        half -= state.seconds[n]
        if half <= 0:
            return _power(n)
    return 0.0


def _floor(state: PowerHistogram) -> float:
    left = state.watched_s / 100
    for n, each in enumerate(state.seconds):
        left -= each
        if left < 0:
            return _power(n)
    return 0.0


def _bin(power_w: float) -> int:
    if power_w <= LOWEST_W:
        return 0
    return min(BINS - 1, 1 + int(PER_DECADE * math.log10(power_w / LOWEST_W)))


def _power(n: int) -> float:
    """The middle of a bin; nothing for the lowest."""
    return 0.0 if n == 0 else float(LOWEST_W * 10 ** ((n - 0.5) / PER_DECADE))
