"""Plays modelled days to the rules and counts how often they are right.

`python -m tests.core.day_play 24` prints the figures over so many seeds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.core import appliance_faults, presence
from agent.core.appliance import Appliance, Profile, Reading, see
from agent.core.appliance_faults import Finding
from agent.core.appliance_kinds import KINDS
from agent.core.presence import Presence
from tests.core import modelled_days
from tests.core.modelled_days import DAY_S, STALE_S, Fridge, People, Readings

MINUTE_S = 60.0
RUNNING_ABOVE_W = 30.0  # above the lamp behind a door, below the fan of an oven


@dataclass
class ApplianceDay:
    """What the rules said: minutes that were right, and every finding with its time."""

    state: Appliance = field(default_factory=Appliance)
    minutes: int = 0
    right: int = 0
    found: list[tuple[float, Finding]] = field(default_factory=list)

    @property
    def share(self) -> float:
        return self.right / self.minutes

    def begun(self, code: str) -> list[float]:
        """When this fault was found."""
        return [at for at, each in self.found if each.code == code and each.is_wrong]


def play_appliance(kind: str, made: Readings | Fridge, *, is_learning: bool = False) -> ApplianceDay:
    """Every reading, and a look each minute, as the station does."""
    readings, temperatures = (made.readings, made.temperatures) if isinstance(made, Fridge) else (made, [])
    profile = Profile(RUNNING_ABOVE_W, 0.5, STALE_S, kind, KINDS[kind], is_learning)
    said = [(at, _reading(values)) for at, values in readings.said]
    said += [(at, Reading(temperature_c=each)) for at, each in temperatures]
    day, mark = ApplianceDay(), MINUTE_S
    for at, reading in sorted(said, key=lambda each: each[0]):
        while mark <= at:
            _tend(day, profile, mark)
            day.minutes += 1
            day.right += day.state.running.value == readings.truth(mark)
            mark += MINUTE_S
        day.state = see(day.state, profile, reading, at)
        _tend(day, profile, at)
    return day


def _reading(values: dict[str, float]) -> Reading:
    return Reading(values["power_w"], values["energy_kwh"], values["voltage_v"])


def _tend(day: ApplianceDay, profile: Profile, now: float) -> None:
    day.state, found = appliance_faults.tend(day.state, profile, now)
    day.found += [(now, each) for each in found]


@dataclass
class PeopleDay:
    """Minutes that were right, and when each sensor was first left out."""

    minutes: int = 0
    right: int = 0
    stuck: dict[str, float] = field(default_factory=dict)
    state: Presence = field(default_factory=Presence)

    @property
    def share(self) -> float:
        return self.right / self.minutes


def play_people(made: People) -> PeopleDay:
    """Every fact, and a look each minute."""
    day, mark = PeopleDay(), MINUTE_S
    for at, what, first, second in [*made.events, (made.days * DAY_S, "end", False, False)]:
        while mark <= at:
            day.state = presence.tend(day.state, mark)
            day.minutes += 1
            day.right += day.state.claim.value == ("occupied" if made.inside(mark) else "empty")
            for name in day.state.stuck:
                day.stuck.setdefault(name, mark)
            mark += MINUTE_S
        day.state = presence.tend(_take(day.state, at, what, first, second), at)
    return day


def _take(state: Presence, at: float, what: str, first: bool, second: bool) -> Presence:
    if what in ("entered", "left"):  # the pass is reported as the leaf opens
        return presence.door_moved(presence.passed(state, what == "entered", at), True, at)
    takers: dict[str, Callable[[], Presence]] = {
        "door": lambda: presence.door_moved(state, first, at),
        "motion": lambda: presence.moved(state, "motion", first, at),
        "radar": lambda: presence.sensed(state, "radar", first, second, at),
        "beam": lambda: presence.passed(state, first, at, by_counter=True),
        "used": lambda: presence.used(state, at),
        "end": lambda: state,
    }
    return takers[what]()


APPLIANCES: dict[str, Callable[[int], Readings | Fridge]] = {
    "microwave": modelled_days.microwave,
    "kettle": modelled_days.kettle,
    "water_dispenser": modelled_days.water_dispenser,
    "refrigerator": modelled_days.fridge,
}
PEOPLE: dict[str, Callable[[int], People]] = {
    "usual day": modelled_days.people,
    "radar hangs": lambda seed: modelled_days.people(seed, stuck_from=30_000.0 + 500.0 * (seed % 60)),
    "motion sensor covered": lambda seed: modelled_days.people(seed, covered_from=30_000.0),
    "beams in the door": lambda seed: modelled_days.people(seed, has_beam=True),
    "no radar": lambda seed: modelled_days.people(seed, has_radar=False),
    "100 visits": lambda seed: modelled_days.people(seed, per_day=100),
    "100 visits, radar hangs": lambda seed: modelled_days.people(seed, per_day=100, stuck_from=50_000.0),
}


def starts(made: Readings | Fridge) -> int:
    """How many cycles there truly were."""
    return len((made.readings if isinstance(made, Fridge) else made).runs)


def main(seeds: int) -> None:
    """Print the figures."""
    for kind, make in APPLIANCES.items():
        shares, exact, alarms = [], 0, 0
        for seed in range(seeds):
            made = make(seed)
            day = play_appliance(kind, made)
            shares.append(day.share)
            exact += day.state.cycles.count == starts(made)
            alarms += len(day.found)
        print(_line(kind, shares), f"cycles exact on {exact} of {seeds} days, {alarms} false faults")
    for name, invent in PEOPLE.items():
        days = [play_people(invent(seed)) for seed in range(seeds)]
        out = sum(bool(day.stuck) for day in days)
        print(_line(name, [day.share for day in days]), f"a sensor left out on {out} of {seeds} days")


def _line(name: str, shares: list[float]) -> str:
    return f"{name:24} {sum(shares) / len(shares):.2%} of the minutes right, worst day {min(shares):.2%};"


if __name__ == "__main__":
    main(int(sys.argv[1]))
