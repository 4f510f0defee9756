"""Looking after people: nobody moves though somebody is inside, or somebody stays far longer than is usual.

A check is not an accusation and not proof of an emergency: the station master looks, or rings up, and acknowledges it.
It ends by itself when somebody moves or the room is empty; acknowledged, it stays quiet for a while and comes back if
still nothing moves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import median

from agent.core.appliance import Appliance, Profile, Running
from agent.core.presence import Inside, Presence

STAYS_KEPT = 20
MIN_STAYS = 10  # before a stay is called usual


@dataclass(frozen=True, slots=True)
class WelfareRules:
    """Seconds. A rider naps for half an hour, so `still_s` is more; `stay_s` is the least that a stay may last.

    `stay_times`: of the usual stay. `quiet_s`: after an acknowledgement.
    """

    still_s: float = 2700.0
    stay_s: float = 7200.0
    stay_times: float = 4.0
    quiet_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class Welfare:
    """`check`: `still` or `stay`, raised at `raised_at` (station time); `quiet_until`: it was acknowledged.

    `stays`: how long the room was occupied, the last times.
    """

    check: str | None = None
    raised_at: float = 0.0
    quiet_until: float | None = None
    stays: tuple[float, ...] = ()
    occupied_since: float | None = None


@dataclass(frozen=True, slots=True)
class WelfareFinding:
    """A check begins (`kind`: `still` or `stay`) or ends (None); `lasted_s`: how long it has been so."""

    kind: str | None
    lasted_s: float = 0.0


def tend(
    state: Welfare, presence: Presence, rules: WelfareRules, now: float
) -> tuple[Welfare, tuple[WelfareFinding, ...]]:
    """Look whether all is well."""
    state = _follow(state, presence, now)
    wanted, since = _looks_wrong(state, presence, rules, now)
    if wanted is None:
        ended = (WelfareFinding(None),) if state.check is not None else ()
        return replace(state, check=None, quiet_until=None), ended
    if state.quiet_until is not None and now < state.quiet_until:
        return state, ()
    if state.check is not None:
        return replace(state, quiet_until=None), ()
    raised = replace(state, check=wanted, raised_at=now, quiet_until=None)
    return raised, (WelfareFinding(wanted, now - since),)


def acknowledge(state: Welfare, rules: WelfareRules, now: float) -> Welfare:
    """The station master has looked. Nothing when no check stands."""
    if state.check is None:
        return state
    return replace(state, check=None, quiet_until=now + rules.quiet_s)


def put_off(state: Welfare, seconds: float) -> Welfare:
    """The machine slept for so long: a stay is what was watched of it."""
    return state if state.occupied_since is None else replace(state, occupied_since=state.occupied_since + seconds)


def deadline(state: Welfare, presence: Presence, rules: WelfareRules) -> float | None:
    """When `tend` may raise a check though nothing happens."""
    if presence.claim is not Inside.OCCUPIED or state.check is not None:
        return None
    ends = [at + limit for at, limit in _watched(state, presence, rules)]
    due_at = min(ends, default=None)
    return due_at if due_at is None or state.quiet_until is None else max(due_at, state.quiet_until)


def usual_stay_s(state: Welfare) -> float | None:
    """How long the room is usually occupied; None before `MIN_STAYS`."""
    return median(state.stays) if len(state.stays) >= MIN_STAYS else None


def to_switch_off(
    presence: Presence, appliances: Mapping[str, Appliance], profiles: Mapping[str, Profile]
) -> Mapping[str, float]:
    """Appliances that serve nobody: the station time from which each of them is to be off, by its name.

    Nobody is inside, and the settings let them be switched off after so long. Never what food, water, help or the
    network hang on, whatever the settings say.
    """
    if presence.claim is not Inside.EMPTY:
        return {}
    return {name: presence.since + after_s for name, after_s in _savers(appliances, profiles)}


def _savers(appliances: Mapping[str, Appliance], profiles: Mapping[str, Profile]) -> Iterable[tuple[str, float]]:
    for name, profile in profiles.items():
        state = appliances.get(name)
        if profile.saving_after_s is None or profile.limits.is_needed_when_empty or state is None:
            continue
        if state.running in (Running.RUNNING, Running.STANDBY):
            yield name, profile.saving_after_s


def _follow(state: Welfare, presence: Presence, now: float) -> Welfare:
    """Keep how long the room was occupied."""
    if presence.claim is Inside.OCCUPIED:
        return state if state.occupied_since is not None else replace(state, occupied_since=presence.since)
    if presence.claim is Inside.UNKNOWN or state.occupied_since is None:
        return state
    stay_s = max(0.0, min(now, presence.since) - state.occupied_since)
    return replace(state, occupied_since=None, stays=(*state.stays, stay_s)[-STAYS_KEPT:])


def _looks_wrong(state: Welfare, presence: Presence, rules: WelfareRules, now: float) -> tuple[str | None, float]:
    if presence.claim is not Inside.OCCUPIED:
        return None, now
    kinds = zip(("still", "stay"), _watched(state, presence, rules), strict=False)
    for kind, (since, limit_s) in kinds:
        if now >= since + limit_s:  # as `deadline` reckons, to the last bit
            return kind, since
    return None, now


def _watched(state: Welfare, presence: Presence, rules: WelfareRules) -> tuple[tuple[float, float], ...]:
    """Since when nobody moved, and since when nobody came or went, each with its limit.

    Who stays while others come and go is seen by them; a stay counts from the last time that the door moved.
    """
    occupied_since = presence.since if state.occupied_since is None else state.occupied_since
    still_since = max(occupied_since, presence.moved_at or occupied_since)
    alone_since = max(occupied_since, presence.door_at or occupied_since)
    usual_s = usual_stay_s(state)
    stay_s = rules.stay_s if usual_s is None else max(rules.stay_s, rules.stay_times * usual_s)
    return (still_since, rules.still_s), (alone_since, stay_s)
