"""What an appliance is doing, from the power it draws.

A level counts when two readings, `Limits.hold_s` apart, agree on it, and it is dated from the first of them: one bad
reading is nothing, and times are right though they are learned a little later. A reading that is too old makes the
state unknown, never green. A silence of the meter is judged when it speaks again, by its own counter of energy where
it has one: the same cycle went on, it ended, or a whole one was missed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from agent.core import appliance_cycles, energy, power_levels
from agent.core.appliance_cycles import Cycles
from agent.core.appliance_kinds import Limits
from agent.core.energy import MAX_POWER_W, Energy
from agent.core.power_levels import Levels, PowerHistogram

HYSTERESIS = 0.9  # a level is left only below 0.9 of where it was entered, so that noise at the edge does not flap
LEARN_EVERY_S = 3600.0  # of watched time: the levels are looked for again
COUNTER_STEP_KWH = 0.002  # two steps of 1 Wh, the resolution of small meters
MISSED_KWH = 0.004  # so much above standby in a silence is a cycle: 12 s of an oven, 2 minutes of a compressor
MAINS_W_V = 180.0  # 220 V less what GB/T 12325 allows (-10 %), and some more for a long line
PROVEN_S = 86_400.0  # one that draws nothing at rest and shows no voltage is taken to work for so long after it ran
COOLED_C = 1.0  # so far below the limit it must fall to count as cool again
TEMPERATURES_C = (-40.0, 60.0)  # in a fridge; 85 °C is what a DS18B20 says that has just lost its power


class Running(StrEnum):
    """What the power says; UNKNOWN when there is no fresh reading, FAULT when something is to be put right."""

    OFF = "off"
    STANDBY = "standby"
    RUNNING = "running"
    FAULT = "fault"
    UNKNOWN = "unknown"


class Usable(StrEnum):
    """What people want to know."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


STILL_USABLE = frozenset({"appliance.short_cycles"})
"""Faults with which it does its work for now."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Where the levels lie, watts, how long a reading holds, seconds, and what is usual for its kind.

    `is_learning`: levels that were learned take the place of these. `thermometer`: the sensor that reads its inside;
    empty: its own readings may. `water_signal`: the float that is active when its water is out.
    `counter_wrap_kwh`: where its meter's counter starts again at nothing. `saving_after_s`: switched off when nobody
    has been inside for so long; None: never. `meter`: the sensor of its power; empty: it has none; None: the one that
    is called as it is. `is_plug`: its meter is a plug, which speaks only while it has mains itself, and whose
    voltage is 0 while it is switched off. `can_switch`: the installer lets that plug be switched.
    """

    running_above_w: float
    standby_above_w: float = 0.5
    stale_after_s: float = 30.0
    kind: str = "other"
    limits: Limits = field(default_factory=Limits)
    is_learning: bool = False
    thermometer: str = ""
    water_signal: str = ""
    counter_wrap_kwh: float | None = None
    saving_after_s: float | None = None
    meter: str | None = None
    is_plug: bool = False
    can_switch: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What one reading of a meter says; None: nothing about this."""

    power_w: float | None = None
    energy_kwh: float | None = None
    voltage_v: float | None = None
    temperature_c: float | None = None


@dataclass(frozen=True, slots=True)
class Appliance:
    """One appliance; times are station time.

    `running`: the level that counts, since `changed_at`. `raw`: another that the last readings show, since `raw_since`.
    `lost_at`, `lost_kwh`: the last reading before a silence and the energy then. `dark_s`, `idle_s`: watched seconds
    since it drew anything, and since it ran. `warm_since`: since when its inside has been too warm, as far as was felt
    at `felt_at`. `faults`: codes of `core.problems` that stand.
    """

    running: Running = Running.UNKNOWN
    power_w: float | None = None
    changed_at: float | None = None
    read_at: float | None = None
    raw: Running | None = None
    raw_since: float = 0.0
    lost_at: float | None = None
    lost_kwh: float = 0.0
    voltage_v: float | None = None
    temperature_c: float | None = None
    felt_at: float | None = None
    warm_since: float | None = None
    is_water_empty: bool | None = None
    dark_s: float = 0.0
    idle_s: float = 0.0
    energy: Energy = field(default_factory=Energy)
    cycles: Cycles = field(default_factory=Cycles)
    histogram: PowerHistogram = field(default_factory=PowerHistogram)
    levels: Levels | None = None
    learn_at_s: float = power_levels.MIN_WATCHED_S
    faults: frozenset[str] = frozenset()

    @property
    def state(self) -> Running:
        """What is shown: a fault stands above what the power says."""
        return Running.FAULT if self.faults else self.running

    def deadline(self, profile: Profile) -> float | None:
        """When the last reading is too old to be believed."""
        if self.read_at is None or self.running is Running.UNKNOWN:
            return None
        return self.read_at + profile.stale_after_s


def see(state: Appliance, profile: Profile, reading: Reading, at: float) -> Appliance:
    """Take a reading; a power that is none, or older than the last, is no reading of it."""
    if reading.temperature_c is not None:
        state = feel(state, profile, reading.temperature_c, at)
    power_w = reading.power_w
    if power_w is None or not 0 <= power_w <= MAX_POWER_W or (state.read_at is not None and at < state.read_at):
        return state
    state = age(state, profile, at)
    is_fresh = state.running is not Running.UNKNOWN and state.read_at is not None
    seconds = at - state.read_at if is_fresh and state.read_at is not None else 0.0
    before_w, drawn_w = state.power_w, power_w if state.power_w is None else (power_w + state.power_w) / 2
    used = energy.integrate(state.energy, drawn_w, seconds)
    if reading.energy_kwh is not None:
        used = energy.count(used, reading.energy_kwh, at, profile.counter_wrap_kwh)
    state = replace(
        state,
        power_w=power_w,
        read_at=at,
        energy=used,
        voltage_v=reading.voltage_v,
        **_watched(state, power_w, seconds),
    )
    state = _settle(state, profile, power_w, at)
    cycles = state.cycles
    if state.running is Running.RUNNING and state.raw is None:
        cycles = appliance_cycles.draw(cycles, before_w, power_w, seconds)
    return _learn(replace(state, cycles=appliance_cycles.finish(cycles, at, profile.limits)))


def read(state: Appliance, profile: Profile, power_w: float, at: float) -> Appliance:
    """Take a reading of the power alone."""
    return see(state, profile, Reading(power_w), at)


def feel(state: Appliance, profile: Profile, temperature_c: float, at: float) -> Appliance:
    """Take the temperature of its inside; one that cannot be is no reading."""
    limit_c = profile.limits.warm_above_c
    if not TEMPERATURES_C[0] <= temperature_c <= TEMPERATURES_C[1]:
        return state
    warm_since = state.warm_since
    if limit_c is None or temperature_c <= limit_c - COOLED_C:
        warm_since = None
    elif temperature_c > limit_c and warm_since is None:
        warm_since = at
    return replace(state, temperature_c=temperature_c, felt_at=at, warm_since=warm_since)


def age(state: Appliance, profile: Profile, now: float) -> Appliance:
    """Too old a reading makes the state unknown, never green."""
    deadline = state.deadline(profile)
    if deadline is None or now < deadline or state.read_at is None:
        return state
    return replace(
        state,
        running=Running.UNKNOWN,
        power_w=None,
        voltage_v=None,
        changed_at=deadline,
        raw=None,
        lost_at=state.read_at,
        lost_kwh=state.energy.total_kwh,
        cycles=appliance_cycles.lose(state.cycles, state.read_at),
    )


def usable(state: Appliance, now: float) -> Usable:
    """Whether it can be used. What draws nothing at rest must show a voltage or have run within a day."""
    if state.faults - STILL_USABLE:
        return Usable.NO
    if state.running is Running.UNKNOWN:
        return Usable.UNKNOWN
    if state.running is not Running.OFF or (state.voltage_v is not None and state.voltage_v >= MAINS_W_V):
        return Usable.YES
    stopped_at = state.cycles.stopped_at
    return Usable.YES if stopped_at is not None and now - stopped_at < PROVEN_S else Usable.UNKNOWN


def in_use_s(state: Appliance, now: float) -> float:
    """Seconds it has run in all, with the run that goes on."""
    run_from = state.cycles.run_from
    return state.cycles.in_use_s + (0.0 if run_from is None else max(0.0, now - run_from))


def put_off(state: Appliance, seconds: float) -> Appliance:
    """The machine slept for so long: the last reading is not to blame. A run that goes on did go on meanwhile."""
    if state.read_at is None:
        return state
    lost_at = None if state.lost_at is None else state.lost_at + seconds
    return replace(state, read_at=state.read_at + seconds, raw_since=state.raw_since + seconds, lost_at=lost_at)


def rested(state: Appliance) -> Appliance:
    """It was switched off on purpose: that it draws nothing is nobody's fault."""
    return replace(state, dark_s=0.0, idle_s=0.0)


def relearn(state: Appliance) -> Appliance:
    """Another appliance stands in its place: what was learned is forgotten, the totals stay."""
    cycles = replace(state.cycles, peaks=(), pauses=(), weak_in_a_row=0)
    return replace(
        state,
        cycles=cycles,
        histogram=PowerHistogram(),
        levels=None,
        learn_at_s=power_levels.MIN_WATCHED_S,
        faults=state.faults - {"appliance.weak"},
    )


def thresholds(state: Appliance, profile: Profile) -> tuple[float, float]:
    """Above how many watts it has power and above how many it runs: learned ones where they are wanted and known."""
    if not profile.is_learning or state.levels is None:
        return profile.standby_above_w, profile.running_above_w
    running_above_w = max(state.levels.split_w, profile.limits.runs_from * state.levels.running_w)
    return max(power_levels.LOWEST_W, state.levels.standby_w / 3), running_above_w


def saved(state: Appliance) -> dict[str, Any]:
    """What is worth keeping over a restart, JSON values: totals and what was learned, some 80 numbers."""
    return {
        "cycles": state.cycles.count,
        "in_use_s": round(state.cycles.in_use_s, 1),
        "energy_kwh": round(state.energy.total_kwh, 6),
        "watched_s": round(state.histogram.watched_s, 1),
        "seconds": [round(each, 1) for each in state.histogram.seconds],
        "peaks": [round(each, 1) for each in state.cycles.peaks],
        "pauses": [round(each, 1) for each in state.cycles.pauses],
    }


def restored(values: Mapping[str, Any]) -> Appliance:
    """Go on from what `saved` gave. Raises KeyError, TypeError or ValueError for anything else."""
    seconds = tuple(float(each) for each in values["seconds"])
    if len(seconds) != power_levels.BINS:
        raise ValueError(f"{len(seconds)} bins of power instead of {power_levels.BINS}")
    histogram = PowerHistogram(seconds, float(values["watched_s"]))
    cycles = Cycles(
        count=int(values["cycles"]),
        in_use_s=float(values["in_use_s"]),
        peaks=tuple(float(each) for each in values["peaks"])[-appliance_cycles.KEPT :],
        pauses=tuple(float(each) for each in values["pauses"])[-appliance_cycles.KEPT :],
    )
    levels = power_levels.levels(histogram)
    learn_at_s = max(power_levels.MIN_WATCHED_S, histogram.watched_s + LEARN_EVERY_S)
    return Appliance(
        energy=Energy(float(values["energy_kwh"])),
        cycles=cycles,
        histogram=histogram,
        levels=levels,
        learn_at_s=learn_at_s,
    )


def joined(state: Appliance, before: Appliance) -> Appliance:
    """Add what was kept of an earlier run and could not be read at the start."""
    histogram = PowerHistogram(
        tuple(a + b for a, b in zip(state.histogram.seconds, before.histogram.seconds, strict=True)),
        state.histogram.watched_s + before.histogram.watched_s,
    )
    cycles = replace(
        state.cycles,
        count=state.cycles.count + before.cycles.count,
        in_use_s=state.cycles.in_use_s + before.cycles.in_use_s,
        peaks=(*before.cycles.peaks, *state.cycles.peaks)[-appliance_cycles.KEPT :],
        pauses=(*before.cycles.pauses, *state.cycles.pauses)[-appliance_cycles.KEPT :],
    )
    used = replace(state.energy, total_kwh=state.energy.total_kwh + before.energy.total_kwh)
    return replace(state, energy=used, cycles=cycles, histogram=histogram, levels=state.levels or before.levels)


def _watched(state: Appliance, power_w: float, seconds: float) -> dict[str, Any]:
    """What a stretch between two fresh readings adds; a single reading of nothing neither ends nor begins anything."""
    is_dark = state.running is Running.OFF
    return {
        "dark_s": state.dark_s + seconds if is_dark else 0.0 if state.running is not Running.UNKNOWN else state.dark_s,
        "idle_s": 0.0 if state.running is Running.RUNNING else state.idle_s + seconds,
        "histogram": power_levels.add(state.histogram, power_w, seconds) if seconds > 0 else state.histogram,
    }


def _learn(state: Appliance) -> Appliance:
    watched_s = state.histogram.watched_s
    if watched_s < state.learn_at_s:
        # What was forgotten by half is looked at again as soon as what was learned from.
        return state if state.learn_at_s - watched_s <= power_levels.FORGET_AT_S / 2 else replace(state, learn_at_s=0.0)
    levels = power_levels.levels(state.histogram)
    return replace(state, levels=levels, learn_at_s=watched_s + LEARN_EVERY_S)


def _settle(state: Appliance, profile: Profile, power_w: float, at: float) -> Appliance:
    """Let a level count once readings have agreed on it for `hold_s`."""
    raw = _level(state, profile, power_w)
    if raw is state.running:
        return state if state.raw is None else replace(state, raw=None)
    # Off and standby may alternate in the noise at their edge: what matters is whether it still runs.
    is_going_on = state.raw is not None and (raw is Running.RUNNING) == (state.raw is Running.RUNNING)
    since = state.raw_since if is_going_on else at
    if at - since < profile.limits.hold_s:
        return replace(state, raw=raw, raw_since=since)
    is_running = raw is Running.RUNNING
    if state.running is Running.UNKNOWN:
        cycles = _resume(state, profile.limits, is_running, since)
    elif is_running:
        cycles = appliance_cycles.start(state.cycles, since, profile.limits)
    elif state.running is Running.RUNNING:
        cycles = appliance_cycles.stop(state.cycles, since)
    else:
        cycles = state.cycles
    if cycles.count != state.cycles.count:  # also one that nobody watched
        state = replace(state, idle_s=0.0, dark_s=0.0)
    return replace(state, running=raw, changed_at=since, raw=None, lost_at=None, cycles=cycles)


def _resume(state: Appliance, limits: Limits, is_running: bool, since: float) -> Cycles:
    """The meter speaks again after a silence: what went on meanwhile?"""
    cycles = state.cycles
    if state.lost_at is None:
        return appliance_cycles.start(cycles, since, limits) if is_running else cycles
    silent_s = since - state.lost_at
    has_counter = state.energy.counter_kwh is not None
    used_ws = (state.energy.total_kwh - state.lost_kwh) * 3.6e6 if has_counter else 0.0
    if cycles.began_at is None or cycles.stopped_at is not None:
        if is_running:
            return appliance_cycles.start(cycles, since, limits)
        standby_ws = silent_s * (state.power_w or 0.0)
        if has_counter and used_ws - standby_ws > MISSED_KWH * 3.6e6:
            usual_w = cycles.usual_peak_w or cycles.mean_w
            return appliance_cycles.miss(cycles, min(silent_s, used_ws / usual_w) if usual_w > 0 else silent_s)
        return cycles
    mean_w = cycles.mean_w
    ran_s = min(silent_s, used_ws / mean_w) if has_counter and mean_w > 0 else 0.0
    if not is_running:
        stopped = replace(cycles, in_use_s=cycles.in_use_s + ran_s)
        return appliance_cycles.stop(stopped, state.lost_at + ran_s)
    if has_counter and mean_w > 0:
        doubt_s = max(limits.pause_min_s, COUNTER_STEP_KWH * 3.6e6 / mean_w, 0.1 * silent_s)
        is_same = silent_s - ran_s <= doubt_s
    else:
        is_same = silent_s <= limits.bridge_s
    if is_same:
        return appliance_cycles.bridge(cycles, state.lost_at, since)
    stopped = appliance_cycles.stop(replace(cycles, in_use_s=cycles.in_use_s + ran_s), state.lost_at + ran_s)
    return appliance_cycles.start(stopped, since, limits)


def _level(state: Appliance, profile: Profile, power_w: float) -> Running:
    was = state.running
    standby_above_w, running_above_w = thresholds(state, profile)
    running_from = running_above_w * (HYSTERESIS if was is Running.RUNNING else 1)
    standby_from = standby_above_w * (HYSTERESIS if was in (Running.RUNNING, Running.STANDBY) else 1)
    if power_w > running_from:
        return Running.RUNNING
    return Running.STANDBY if power_w > standby_from else Running.OFF
