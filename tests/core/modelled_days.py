"""Days in a station, made up with what really happened: what the rules about appliances and people are measured by.

Nothing here comes from the rules: what is made is physics with chance in it (a magnetron that pauses at half power, a
compressor that follows a temperature, people who nap), and how badly it is read (noise, bad readings, silences,
sensors that miss somebody or see nobody). Every day is made from its seed alone.

What it does not model: a defrosting heater, inverter compressors, pets, wind that moves the door.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

DAY_S = 86_400.0
READ_EVERY_S = 3.0
STALE_S = 30.0  # the meter's silence after which nobody can know

Span = tuple[float, float]


@dataclass
class Readings:
    """What a meter said, `(at, quantity → value)`, and what was so: spans of running and what nobody could see."""

    said: list[tuple[float, dict[str, float]]] = field(default_factory=list)
    runs: list[Span] = field(default_factory=list)
    silences: list[Span] = field(default_factory=list)
    is_standby_drawn: bool = True
    off_from: float = float("inf")

    def truth(self, at: float) -> str:
        """What could be known and is so."""
        if any(begin + STALE_S < at <= end for begin, end in self.silences):
            return "unknown"
        if at >= self.off_from:
            return "off"
        if _within(self.runs, at):
            return "running"
        return "standby" if self.is_standby_drawn else "off"


def _within(spans: list[Span], at: float) -> bool:
    n = bisect_right(spans, (at, float("inf"))) - 1
    return n >= 0 and spans[n][0] <= at < spans[n][1]


def _hours(rng: random.Random, days: float, per_day: float, weights: tuple[float, ...]) -> list[float]:
    """Times spread over the days as the 24 weights say."""
    found = []
    for day in range(int(days + 0.999)):
        for _ in range(round(per_day * rng.uniform(0.7, 1.3))):
            hour = rng.choices(range(24), weights)[0]
            found.append(day * DAY_S + hour * 3600 + rng.uniform(0, 3600))
    return sorted(each for each in found if each < days * DAY_S - 1800)


MEALS = (1, 1, 0, 0, 0, 1, 3, 5, 4, 2, 4, 12, 14, 6, 2, 2, 3, 8, 10, 6, 4, 4, 3, 2)


def _meter(
    rng: random.Random,
    days: float,
    runs: list[Span],
    power: Callable[[float], float],
    *,
    noise: float = 0.02,
    noise_w: float = 0.1,
    silences_per_day: float = 3.0,
    every_s: float = READ_EVERY_S,
) -> Readings:
    """Read a power through a meter: 1 Wh and 0.1 W steps, noise, bad readings, readings that fail, silences."""
    silences: list[Span] = []
    for _ in range(round(days * silences_per_day)):
        begin = rng.uniform(600, days * DAY_S - 1200)
        span = (begin, begin + rng.uniform(20, 240))
        hidden = sum(span[0] - 30 <= begun <= span[1] + 30 for begun, _ in runs)
        hidden_ends = sum(span[0] - 30 <= ended <= span[1] + 30 for _, ended in runs)
        # What nobody could tell from a counter is not asked: more than one edge of each kind within one silence.
        if hidden <= 1 and hidden_ends <= 1 and all(abs(begin - other) > 900 for other, _ in silences):
            silences.append(span)
    silences.sort()
    said: list[tuple[float, dict[str, float]]] = []
    used_ws, at, begin_kwh = 0.0, 0.0, rng.randrange(1000) / 10
    while at < days * DAY_S:
        true_w = power(at)
        used_ws += true_w * every_s
        volts = rng.gauss(228, 1.5)
        if not _within(silences, at) and rng.random() > 0.01:
            read_w = max(0.0, true_w * rng.gauss(1, noise) + (rng.gauss(0, noise_w) if true_w > 0.3 else 0.0))
            if rng.random() < 0.0005:  # a bad reading that passes its checksum
                read_w = rng.choice([0.0, 3000.0, read_w * 10])
            kwh = begin_kwh + int(used_ws / 3600) / 1000
            said.append((at, {"power_w": round(read_w, 1), "energy_kwh": round(kwh, 3), "voltage_v": round(volts, 1)}))
        at += every_s
    lost = [(max((t for t, _ in said if t <= a), default=a), b) for a, b in silences] if silences else []
    return Readings(said, runs, lost)


# --- appliances ------------------------------------------------------------------------------------------------------


def microwave(seed: int, days: float = 1.0, *, dead_from: float = float("inf"), on_from: float = float("inf"),
              tripped_from: float = float("inf"), every_s: float = READ_EVERY_S) -> Readings:  # fmt: skip
    """15 uses a day, a quarter of them at half power; `dead_from`: the magnetron is, fan and lamp go on."""
    rng = random.Random(f"microwave {seed}")
    full_w, low_w, standby_w = rng.uniform(1050, 1450), rng.uniform(40, 70), rng.uniform(1.5, 3.5)
    runs: list[Span] = []
    paused: list[Span] = []
    for wanted in _hours(rng, days, 15, MEALS):
        begin = max(wanted, runs[-1][1] + rng.uniform(18, 60)) if runs else wanted
        if begin >= min(on_from, tripped_from):
            break
        end = begin + rng.uniform(35, 240)
        runs.append((begin, end))
        if rng.random() < 0.25:
            at = begin + 12
            while at < end:
                paused.append((at, min(end, at + 10)))
                at += 22
    if on_from < days * DAY_S:
        runs = [each for each in runs if each[1] < on_from] + [(on_from, days * DAY_S)]
    lamps = sorted((begin - 14, begin - 5) for begin, _ in runs)

    def power(at: float) -> float:
        if at >= tripped_from:
            return 0.0
        if _within(runs, at):
            return low_w if at >= dead_from or _within(paused, at) else full_w
        return 15.0 if _within(lamps, at) else standby_w

    made = _meter(rng, days, runs, power, every_s=every_s)
    made.off_from = tripped_from
    return made


def kettle(seed: int, days: float = 1.0, *, on_from: float = float("inf"), every_s: float = READ_EVERY_S) -> Readings:
    """10 times a day 1.8 kW for some minutes, nothing in between but a meter that wavers."""
    rng = random.Random(f"kettle {seed}")
    full_w = rng.uniform(1500, 2000)
    runs: list[Span] = []
    for wanted in _hours(rng, days, 10, MEALS):
        begin = max(wanted, runs[-1][1] + rng.uniform(25, 120)) if runs else wanted
        if begin >= on_from:
            break
        runs.append((begin, begin + rng.uniform(90, 400)))
    if on_from < days * DAY_S:
        runs = [each for each in runs if each[1] < on_from] + [(on_from, days * DAY_S)]
    made = _meter(rng, days, runs, lambda at: full_w if _within(runs, at) else 0.0, noise=0.05, every_s=every_s)
    made.is_standby_drawn = False
    return made


def water_dispenser(seed: int, days: float = 1.0, *, half_from: float = float("inf"),
                    cold_from: float = float("inf"), on_from: float = float("inf"),
                    every_s: float = READ_EVERY_S) -> Readings:  # fmt: skip
    """Its tank is kept hot: it heats every 25 to 50 minutes, and after each cup.

    `half_from`: one of its two elements is burnt; `cold_from`: both; `on_from`: the thermostat no longer opens.
    """
    rng = random.Random(f"dispenser {seed}")
    full_w, standby_w = rng.uniform(500, 700), rng.uniform(1.2, 2.5)
    cups = _hours(rng, days, 40, MEALS)
    runs: list[Span] = []
    heat_k = 0.0  # below the temperature it keeps
    at = rng.uniform(60, 1200)
    cools = rng.uniform(6, 11) / 1800  # K/s
    begin: float | None = None
    step = 1.0
    while at < days * DAY_S:
        n = bisect_right(cups, at + step) - bisect_right(cups, at)
        heat_k += cools * step + 1.5 * n
        if begin is not None:
            share = 0.0 if at >= cold_from else 0.5 if at >= half_from else 1.0
            heat_k -= share * full_w / (4 * 4190) * step
            if (heat_k <= 0 and at < on_from) or at >= cold_from:
                runs.append((begin, at))
                begin = None
        elif (heat_k >= 8.0 or at >= on_from) and at < cold_from:
            begin = at
        heat_k = min(60.0, max(-5.0, heat_k))
        at += step
    if begin is not None:
        runs.append((begin, days * DAY_S))

    def power(now: float) -> float:
        return standby_w + (full_w * (0.5 if now >= half_from else 1.0) if _within(runs, now) else 0.0)

    return _meter(rng, days, runs, power, noise=0.03, every_s=every_s)


@dataclass
class Fridge:
    """Its meter, and the thermometer in it."""

    readings: Readings
    temperatures: list[tuple[float, float]]
    too_warm_from: float | None
    """Since when it was truly above 8 °C for good."""


def fridge(seed: int, days: float = 1.0, *, tripped_from: float = float("inf"), short_from: float = float("inf"),
           ajar_from: float = float("inf"), every_s: float = READ_EVERY_S) -> Fridge:  # fmt: skip
    """A compressor that follows the temperature inside, a door that people open.

    `short_from`: its overload protector cuts it off; `ajar_from`: its door does not close, it runs and stays warm.
    """
    rng = random.Random(f"fridge {seed}")
    full_w = rng.uniform(70, 130)
    standby_w = rng.choice([0.0, rng.uniform(1.2, 3.0)])
    ambient_c = rng.uniform(18, 32)
    leak, cools = 1 / rng.uniform(18_000, 30_000), rng.uniform(1.8, 3.2) / 900
    doors = [(at, at + rng.uniform(5, 25)) for at in _hours(rng, days, 25, MEALS)]
    runs: list[Span] = []
    temperatures: list[tuple[float, float]] = []
    inside_c, air_c, step = rng.uniform(3, 6), 4.0, 5.0
    begin: float | None = None
    may_start_at, must_stop_at = 0.0, float("inf")
    warm_from: float | None = None
    at = 0.0
    while at < days * DAY_S:
        is_open = _within(doors, at) or at >= ajar_from
        rate = leak * (14 if at >= ajar_from else 6 if is_open else 1)
        inside_c += (ambient_c - inside_c) * rate * step
        if begin is not None:
            inside_c -= cools * step * (1 if must_stop_at == float("inf") else 0.3)
            if inside_c <= 2.5 or at >= must_stop_at or at >= tripped_from:
                runs.append((begin, at))
                begin, may_start_at = None, at + (rng.uniform(70, 150) if at >= short_from else 300)
        elif inside_c >= 6.0 and at >= may_start_at and at < tripped_from:
            begin = at
            must_stop_at = at + rng.uniform(25, 60) if at >= short_from else float("inf")
        inside_c = min(inside_c, ambient_c)
        air_c += ((ambient_c if is_open else inside_c) - air_c) * (step / (150 if is_open else 200))
        air_c = max(air_c, inside_c) if is_open else air_c
        warm_from = (at if warm_from is None else warm_from) if inside_c > 8.0 else None
        if at % 60 < step and rng.random() > 0.02:
            read_c = 85.0 if rng.random() < 0.001 else round(air_c + rng.gauss(0, 0.1), 1)
            temperatures.append((at, read_c))
        at += step
    if begin is not None:
        runs.append((begin, days * DAY_S))

    def power(now: float) -> float:
        if now >= tripped_from:
            return 0.0
        lamp_w = 12.0 if _within(doors, now) else 0.0
        if not _within(runs, now):
            return standby_w + lamp_w
        n = bisect_right(runs, (now, float("inf"))) - 1
        return standby_w + lamp_w + full_w * (5.0 if now - runs[n][0] < 1.0 else 1.0)

    readings = _meter(rng, days, runs, power, every_s=every_s)
    readings.is_standby_drawn = standby_w > 0
    readings.off_from = tripped_from
    return Fridge(readings, temperatures, warm_from)


# --- people ----------------------------------------------------------------------------------------------------------


@dataclass
class Person:
    """One visit. `is_known_in`, `is_known_out`: whether the door could tell that somebody came, or left."""

    come: float
    go: float
    naps: list[Span]
    is_known_in: bool
    is_known_out: bool
    is_behind: bool


@dataclass
class People:
    """What happened, `(at, what, value)` in order, and who was inside.

    `what`: `door` (open?), `entered`, `left` (an opening that is known to be one), `motion`, `radar` (present, moving),
    `beam` (entering?), `used`.
    """

    events: list[tuple[float, str, bool, bool]]
    people: list[Person]
    days: float

    def inside(self, at: float) -> int:
        """How many are."""
        return sum(each.come <= at < each.go for each in self.people)


BUSY = (1, 1, 1, 0, 0, 1, 3, 5, 5, 4, 5, 10, 12, 8, 5, 4, 4, 7, 9, 6, 5, 4, 3, 2)


def people(seed: int, days: float = 1.0, *, per_day: float = 25, stuck_from: float = float("inf"),
           covered_from: float = float("inf"), has_beam: bool = False, has_radar: bool = True) -> People:  # fmt: skip
    """People come by the door, eat, nap and go. `stuck_from`: the radar sees somebody from then on, for ever.

    `covered_from`: the motion sensor sees nobody any more.
    """
    rng = random.Random(f"people {seed}")
    come_and_go: list[Person] = []
    for wanted in _hours(rng, days, per_day, BUSY):
        come = wanted
        stays = rng.choices([rng.uniform(90, 600), rng.uniform(600, 2400), rng.uniform(2400, 4500)], [5, 4, 1])[0]
        naps = [(come + 0.25 * stays, come + 0.9 * stays)] if stays > 1500 and rng.random() < 0.5 else []
        is_behind = bool(come_and_go) and rng.random() < 0.04
        if is_behind:
            come = come_and_go[-1].come + 2.0
            naps = []
        come_and_go.append(
            Person(come, come + stays, naps, not is_behind and rng.random() < 0.9, rng.random() < 0.9, is_behind)
        )
    events: list[tuple[float, str, bool, bool]] = []
    for who in come_and_go:
        if has_beam and rng.random() < 0.99:
            events.append((who.come + 1.0, "beam", True, False))
        if not who.is_behind:
            events += _opening(rng, who.come, "entered" if who.is_known_in else "door")
        events += _opening(rng, who.go - 2.0, "left" if who.is_known_out else "door")
        if has_beam and rng.random() < 0.99:
            events.append((who.go - 0.5, "beam", False, False))
        if rng.random() < 0.5 and who.go - who.come > 300:
            events.append((who.come + rng.uniform(30, 200), "used", True, False))
    found = People([], come_and_go, days)
    events += _motion(rng, found, covered_from)
    if has_radar:
        events += _radar(rng, found, stuck_from)
    found.events = sorted(each for each in events if 0 <= each[0] < days * DAY_S)
    return found


def _opening(rng: random.Random, at: float, what: str) -> Iterator[tuple[float, str, bool, bool]]:
    yield at, what, True, False
    yield at + rng.uniform(3, 9), "door", False, False


def _motion(rng: random.Random, found: People, covered_from: float) -> list[tuple[float, str, bool, bool]]:
    """A PIR: trips on those who move, seldom on those who nap, now and then on nothing; holds for some seconds."""
    trips = [rng.uniform(0, found.days * DAY_S) for _ in range(round(3 * found.days))]
    for who in found.people:
        at = who.come + rng.uniform(0, 4)
        while at < who.go:
            trips.append(at)
            is_napping = _within(who.naps, at)
            at += rng.expovariate(1 / (600 if is_napping else 35))
    trips = sorted(each for each in trips if each < covered_from)
    events: list[tuple[float, str, bool, bool]] = [(0.0, "motion", False, False)]
    held_until = -1.0
    for at in trips:
        if at > held_until:
            if held_until >= 0:
                events.append((held_until, "motion", False, False))
            events.append((at, "motion", True, False))
        held_until = max(held_until, at + 8.0)
    if held_until >= 0:
        events.append((held_until, "motion", False, False))
    return events


def _radar(rng: random.Random, found: People, stuck_from: float) -> list[tuple[float, str, bool, bool]]:
    """A radar: sees breathing too; misses somebody, or sees nobody's curtain, for a while at a time."""
    blind = sorted((at, at + rng.uniform(20, 120)) for at in _spread(rng, found.days, 40))
    fooled = sorted((at, at + rng.uniform(5, 90)) for at in _spread(rng, found.days, 5))
    events: list[tuple[float, str, bool, bool]] = []
    was: tuple[bool, bool] | None = None
    at = 0.0
    while at < found.days * DAY_S:
        here = [each for each in found.people if each.come <= at < each.go]
        is_present = (bool(here) and not _within(blind, at)) or _within(fooled, at)
        is_moving = is_present and any(not _within(each.naps, at) for each in here) and rng.random() < 0.7
        if at >= stuck_from:
            is_present, is_moving = True, False
        if (is_present, is_moving) != was:
            was = (is_present, is_moving)
            events.append((at, "radar", is_present, is_moving))
        at += 10.0
    return events


def _spread(rng: random.Random, days: float, per_day: float) -> list[float]:
    return [rng.uniform(0, days * DAY_S) for _ in range(round(days * per_day))]
