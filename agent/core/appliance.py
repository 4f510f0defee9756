"""What an appliance is doing, from the power it draws."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

HYSTERESIS = 0.9  # a level is left only below 0.9 of where it was entered, so that noise at the edge does not flap


class Running(StrEnum):
    """What the power says; UNKNOWN when there is no fresh reading."""

    OFF = "off"
    STANDBY = "standby"
    RUNNING = "running"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Profile:
    """Where the levels lie, watts, and how long a reading holds, seconds."""

    running_above_w: float
    standby_above_w: float = 0.5
    stale_after_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Appliance:
    """One appliance. `changed_at` and `read_at` are station time."""

    running: Running = Running.UNKNOWN
    power_w: float | None = None
    changed_at: float | None = None
    read_at: float | None = None

    def deadline(self, profile: Profile) -> float | None:
        """When the last reading is too old to be believed."""
        if self.read_at is None or self.running is Running.UNKNOWN:
            return None
        return self.read_at + profile.stale_after_s


def read(state: Appliance, profile: Profile, power_w: float, at: float) -> Appliance:
    """Take a reading; one that is not a number is no reading."""
    if not 0 <= power_w < float("inf"):
        return state
    running = _level(state.running, profile, power_w)
    changed_at = state.changed_at if running is state.running else at
    return Appliance(running, power_w, changed_at, at)


def age(state: Appliance, profile: Profile, now: float) -> Appliance:
    """Too old a reading makes the state unknown, never green."""
    deadline = state.deadline(profile)
    if deadline is None or now < deadline:
        return state
    return replace(state, running=Running.UNKNOWN, power_w=None, changed_at=now)


def _level(was: Running, profile: Profile, power_w: float) -> Running:
    running_from = profile.running_above_w * (HYSTERESIS if was is Running.RUNNING else 1)
    standby_from = profile.standby_above_w * (HYSTERESIS if was in (Running.RUNNING, Running.STANDBY) else 1)
    if power_w > running_from:
        return Running.RUNNING
    return Running.STANDBY if power_w > standby_from else Running.OFF
