"""Which sensors of people are to be believed.

A radar that hangs sees somebody for ever; a motion sensor whose lens is covered sees nobody, whoever comes. Each is
known by what all the others say, is shown as a fault and left out, and is believed again when it shows the contrary.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

LOOK_S = 60.0  # how often the sensors and the passing time are looked at
ENTRY_S = 120.0  # so soon after the door moved a radar may first see who came in
SURELY = 0.9  # the probability from which the others are sure
STUCK_ON_S = 1800.0  # in all, that one sees somebody without a break in a room that all others show to be empty
EPISODE_S = 120.0  # the least that counts as once: who has just gone is often seen for a moment longer
STUCK_EPISODES = 3  # so many times the room emptied, and it did not notice
HELD_S = 7200.0  # a PIR that never lets go: even a full room has a still second within two hours
DEAF_AFTER = 8  # so many people came, left or cooked, and it never said anything
DEAF_S = 3600.0
MAX_SENSORS = 16  # a station has a few; bounds what settings can ask of each look


class Kind(StrEnum):
    """A motion sensor sees movement, a radar breathing too."""

    MOTION = "motion"
    RADAR = "radar"


@dataclass(frozen=True, slots=True)
class Sensor:
    """Times are station time. `unheard`: times it should have seen somebody and did not.

    `odd_since`: alone in seeing somebody since then; `odd_s`, `odd_times`: how long and how often before, since it last
    saw nobody. `is_odd`: it began to see somebody where nobody could have come from. `has_changed`: it did not say the
    same ever since the start.
    """

    kind: Kind
    is_on: bool | None = None
    since: float = 0.0
    odd_since: float | None = None
    odd_s: float = 0.0
    odd_times: int = 0
    is_odd: bool = False
    unheard: int = 0
    unheard_since: float = 0.0
    is_stuck: bool = False
    has_changed: bool = False

    @property
    def is_trusted(self) -> bool:
        """Whether it counts."""
        return not (self.is_stuck or self.is_odd)


def see(state: Sensor, is_on: bool, at: float, *, is_odd: bool = False) -> Sensor:
    """It says so. A change shows that it is not stuck; one that repeats itself shows nothing."""
    if is_on is state.is_on:
        return state
    is_recovered = not state.is_stuck or state.is_on is not None
    return replace(
        state,
        is_on=is_on,
        since=at,
        odd_since=None,
        odd_s=0.0,
        odd_times=0,
        is_odd=is_odd,
        unheard=0 if is_on else state.unheard,
        is_stuck=state.is_stuck and not is_recovered,
        has_changed=state.has_changed or state.is_on is not None,
    )


def hear(state: Sensor, at: float) -> Sensor:
    """Somebody surely was there just now; one that sees somebody at odds with the door may be right after all."""
    if state.is_on:
        return replace(state, is_odd=False) if state.is_odd and not state.is_stuck else state
    unheard_since = at if state.unheard == 0 else state.unheard_since
    return replace(state, unheard=state.unheard + 1, unheard_since=unheard_since)


def judge(state: Sensor, now: float, occupied: float, is_borne_out: bool) -> Sensor:
    """Look whether it is stuck. `occupied`: the probability without the radars; `is_borne_out`: another one
    sees somebody too, or none could.
    """
    if state.is_stuck:
        return state
    if state.is_on is False and state.unheard >= DEAF_AFTER and now - state.unheard_since >= DEAF_S:
        return replace(state, is_stuck=True)
    if not state.is_on:
        return state
    if state.kind is Kind.MOTION and now - state.since >= HELD_S:
        return replace(state, is_stuck=True)
    if state.kind is Kind.MOTION or is_borne_out or occupied > 1 - SURELY:
        return state if state.odd_since is None else _end_episode(state, now - state.odd_since)
    if state.odd_since is None:
        return replace(state, odd_since=now)
    odd_s = now - state.odd_since
    times = state.odd_times + (odd_s >= EPISODE_S)
    return replace(state, is_stuck=True) if times >= STUCK_EPISODES or state.odd_s + odd_s >= STUCK_ON_S else state


def put_off(state: Sensor, seconds: float) -> Sensor:
    """The machine slept for so long: that it said the same all the while means nothing."""
    odd_since = None if state.odd_since is None else state.odd_since + seconds
    return replace(state, since=state.since + seconds, odd_since=odd_since, unheard_since=state.unheard_since + seconds)


def _end_episode(state: Sensor, lasted_s: float) -> Sensor:
    if lasted_s < EPISODE_S:
        return replace(state, odd_since=None)
    return replace(state, odd_since=None, odd_s=state.odd_s + lasted_s, odd_times=state.odd_times + 1)
