"""What is wrong with an appliance, as its power, its temperature and its float show it.

Each fault is a row: who looks for it and what that says. `True` is evidence that it is there, `False` that it is not,
`None` no evidence: a fault stands until something shows that it is over, and a meter that falls silent neither raises
nor ends one. All times are watched time: what happened while nobody could see it does not count against an appliance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from agent.core import appliance_cycles
from agent.core.appliance import COOLED_C, MAINS_W_V, Appliance, Profile, Running, age

LEAST_IDLE_S = 3600.0  # defrosting takes up to 40 minutes
DRAWS_ALWAYS_W = 1.0  # a clock or a standby supply; below this meters wander
LOST_V = 110.0  # half the nominal voltage: nothing works with it


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault begins (`is_wrong`) or ends. `code` is of `core.problems`, `detail` for its text."""

    code: str
    is_wrong: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A row: `look(state, profile, now)`, and `tell`, the particulars. `needs_mains`: not looked for without mains."""

    look: Callable[[Appliance, Profile, float], bool | None]
    tell: Callable[[Appliance, Profile, float], str]
    needs_mains: bool = False


def tend(
    state: Appliance, profile: Profile, now: float, *, has_mains: bool = True
) -> tuple[Appliance, tuple[Finding, ...]]:
    """Age the state and look for every fault. `has_mains` False: an appliance is not to blame that nothing runs."""
    state = age(state, profile, now)
    cycles = state.cycles if state.read_at is None else appliance_cycles.finish(state.cycles, now, profile.limits)
    if cycles is not state.cycles:
        state = replace(state, cycles=cycles)
    found: list[Finding] = []
    for code, check in CHECKS.items():
        if check.needs_mains and not has_mains:
            continue
        verdict = check.look(state, profile, now)
        if verdict is not None and verdict is not (code in state.faults):
            found.append(Finding(code, verdict, check.tell(state, profile, now) if verdict else ""))
    if found:
        begun, ended = ({each.code for each in found if each.is_wrong is wrong} for wrong in (True, False))
        state = replace(state, faults=(state.faults | begun) - ended)
    return state, tuple(found)


def deadline(state: Appliance, profile: Profile) -> float | None:
    """When `tend` may have something to say though nothing is read.

    Only a state that ages and a run that lasts need it: a rest is judged by the readings that show it.
    """
    ends = [state.deadline(profile)]
    run_max_s = profile.limits.run_max_s
    began_at = state.cycles.began_at
    if _runs(state) and began_at is not None and run_max_s is not None and _NEVER_STOPS not in state.faults:
        ends.append(began_at + run_max_s)
    return min((at for at in ends if at is not None), default=None)


def is_over(state: Appliance, profile: Profile, code: str, now: float) -> bool:
    """Whether it is proven that this fault is over: one from before the start stands until then."""
    check = CHECKS.get(code)
    return check is not None and check.look(state, profile, now) is False


def idle_limit_s(state: Appliance, profile: Profile) -> float | None:
    """How long one that starts by itself may rest; None for the others."""
    idle_max_s, longest_s = profile.limits.idle_max_s, state.cycles.longest_pause_s
    if idle_max_s is None or longest_s is None:
        return idle_max_s
    return min(idle_max_s, max(LEAST_IDLE_S, appliance_cycles.USUAL_PAUSE_TIMES * longest_s))


def is_mains_present(states: Iterable[Appliance], contact: bool | None = None) -> bool | None:
    """Whether the station has mains: a contact says so, else every voltage that is measured; None: nothing does.

    Meters that are all silent prove nothing: that may as well be their bus.
    """
    if contact is not None:
        return contact
    volts = [each.voltage_v for each in states if each.voltage_v is not None]
    if any(each >= MAINS_W_V for each in volts):
        return True
    return False if volts and all(each < LOST_V for each in volts) else None


# --- the checks ------------------------------------------------------------------------------------------------------


def _no_power(state: Appliance, profile: Profile, _now: float) -> bool | None:
    """It should draw something and draws nothing: unplugged, or its circuit has tripped."""
    if state.running in (Running.STANDBY, Running.RUNNING):
        return False
    if state.running is not Running.OFF:
        return None
    limit_s = _dark_limit_s(state, profile)
    return True if limit_s is not None and state.dark_s >= limit_s else None


def _dark_limit_s(state: Appliance, profile: Profile) -> float | None:
    draws_always = state.levels is not None and state.levels.floor_w >= DRAWS_ALWAYS_W
    limits_s = (profile.limits.dead_max_s if draws_always else None, idle_limit_s(state, profile))
    return min((each for each in limits_s if each is not None), default=None)


def _never_starts(state: Appliance, profile: Profile, _now: float) -> bool | None:
    """It has power, but what starts by itself has not for far longer than it usually rests."""
    limit_s = idle_limit_s(state, profile)
    if limit_s is None or state.running is Running.RUNNING:
        return False
    return True if state.running is Running.STANDBY and state.idle_s >= limit_s else None


def _never_stops(state: Appliance, profile: Profile, now: float) -> bool | None:
    """It runs for longer than anything takes that it is for."""
    if profile.limits.run_max_s is None or state.running in (Running.OFF, Running.STANDBY):
        return False
    began_at = state.cycles.began_at
    if not _runs(state) or began_at is None:
        return None
    return True if now >= began_at + profile.limits.run_max_s else None  # as `deadline` reckons, to the last bit


def _short_cycles(state: Appliance, profile: Profile, now: float) -> bool | None:
    """It starts again and again, each time soon after the last."""
    short_s, starts = profile.limits.short_s, state.cycles.starts
    if short_s is None:
        return False
    apart = [after - before for before, after in pairwise(starts)][-profile.limits.short_starts :]
    if len(apart) == profile.limits.short_starts and all(each < short_s for each in apart):
        is_recent = now - starts[-1] < 2 * short_s
        return True if is_recent else _is_steady(state)
    return False if len(apart) >= 2 and min(apart[-2:]) >= short_s else None


def _is_steady(state: Appliance) -> bool | None:
    """It has run, or rested, for long since its last start; silence shows nothing."""
    return None if state.running is Running.UNKNOWN else False


def _weak(state: Appliance, profile: Profile, now: float) -> bool | None:
    """It runs with far less power than it used to: an element or the magnetron is dead."""
    limits, cycles = profile.limits, state.cycles
    if limits.weak_below is None:
        return False
    if cycles.weak_in_a_row >= limits.weak_cycles:
        return True
    has_run_long = _runs(state) and cycles.began_at is not None and now - cycles.began_at >= appliance_cycles.LONG_S
    if has_run_long and cycles.drawn_s > 0 and appliance_cycles.is_weak(cycles, limits):
        return True
    return False if cycles.is_healthy and not has_run_long else None


def _warm(state: Appliance, profile: Profile, _now: float) -> bool | None:
    """Its inside has been too warm for food for too long, as far as it was felt."""
    limit_c = profile.limits.warm_above_c
    if limit_c is None:
        return False
    if state.felt_at is None or state.warm_since is None:
        return False if state.temperature_c is not None and state.temperature_c <= limit_c - COOLED_C else None
    return True if state.felt_at - state.warm_since >= profile.limits.warm_after_s else None


def _water(state: Appliance, _profile: Profile, _now: float) -> bool | None:
    return state.is_water_empty


def _runs(state: Appliance) -> bool:
    return state.running is Running.RUNNING


# --- their particulars -----------------------------------------------------------------------------------------------


def _tell_dark(state: Appliance, _profile: Profile, _now: float) -> str:
    return f"0 W, {state.dark_s / 60:.0f} min"


def _tell_idle(state: Appliance, _profile: Profile, _now: float) -> str:
    return f"{state.idle_s / 60:.0f} min"


def _tell_run(state: Appliance, _profile: Profile, now: float) -> str:
    return f"{(now - (state.cycles.began_at or now)) / 60:.0f} min"


def _tell_starts(_state: Appliance, profile: Profile, _now: float) -> str:
    count = profile.limits.short_starts
    return f"{count} × < {(profile.limits.short_s or 0) / 60:.0f} min"


def _tell_weak(state: Appliance, _profile: Profile, _now: float) -> str:
    return f"{state.cycles.peak_w:.0f} W < {state.cycles.usual_peak_w or 0:.0f} W"


def _tell_warm(state: Appliance, profile: Profile, _now: float) -> str:
    hours = profile.limits.warm_after_s / 3600
    return f"{state.temperature_c or 0:.1f} °C; > {profile.limits.warm_above_c or 0:.0f} °C, {hours:.0f} h"


def _tell_nothing(_state: Appliance, _profile: Profile, _now: float) -> str:
    return ""


_NEVER_STOPS = "appliance.never_stops"

CHECKS: Mapping[str, Check] = {
    "appliance.no_power": Check(_no_power, _tell_dark, needs_mains=True),
    "appliance.never_starts": Check(_never_starts, _tell_idle, needs_mains=True),
    _NEVER_STOPS: Check(_never_stops, _tell_run),
    "appliance.short_cycles": Check(_short_cycles, _tell_starts),
    "appliance.weak": Check(_weak, _tell_weak),
    "fridge.warm": Check(_warm, _tell_warm),
    "water.empty": Check(_water, _tell_nothing),
}
"""Every fault by its code; all are looked for in every appliance, and its limits say which it may have."""
