"""Whether somebody is inside: a filter over what the door, counters, motion sensors, radars and appliances say.

The room is empty, somebody in it moves, or everybody in it keeps still. Between these a hidden Markov chain goes on in
continuous time, and each observation weighs its states by how likely each makes it (the forward filter of Rabiner,
Proc. IEEE 77, 1989). What gives it its strength is the door: through a closed one nobody comes or goes, so that a
sleeper whom no sensor sees stays inside, and a sensor that begins to see somebody in a closed and empty room is wrong.

A room in which somebody lies still and a room that has been left look the same to a motion sensor. What is known of
the door keeps them apart for about an hour and a half, longer than a check on people waits (`core.welfare`).

The constants are chosen, not measured, and stand in one table. Their reasons: people who eat or use a phone trip a PIR
every half minute or so; those who nap, every half hour or so; in an empty room sun and draught trip it a few times a
day. A 24 GHz radar sees breathing, misses a person a few minutes in a hundred and is fooled by a fan or a curtain now
and then; its mistakes last, so that a minute of it counts far less than sixty seconds would.

How many: the counters' or the visits' number as long as it fits; nobody when the room is empty, at least one when not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from agent.core import presence_sensors
from agent.core.presence_sensors import Kind, Sensor

STEP_S = 20.0  # of the filter: short beside every rate below
MAX_STEPS = 90  # half an hour; a longer silence of the loop leaves the rest to what comes next

SURELY_EMPTY = 0.1  # with no more than this for `FORGET_S` seconds nobody is counted any more
FORGET_S = 180.0
PASSING_S = 2.0  # a pass is reported as the leaf opens, or with a slow disk a little later
OCCUPIED_FROM, EMPTY_TO = 0.65, 0.35  # between them nothing is claimed


@dataclass(frozen=True, slots=True)
class Rates:
    """Per second, and probabilities. `moved`, `radar`: for empty, moving, still."""

    falls_still: float = 1 / 2_400
    moves_again: float = 1 / 3_600
    moved: tuple[float, float, float] = (1 / 21_600, 1 / 40, 1 / 1_500)
    radar: tuple[float, float, float] = (0.03, 0.97, 0.93)
    radar_weight: float = 0.5  # of a minute of it, for its mistakes last
    radar_most: float = 25.0  # times the odds without radars
    leaves_closed: float = 1 / 15_552_000  # a contact that missed an opening
    enters_closed: float = 1 / 2_592_000
    leaves_open: float = 1 / 150
    enters_open: float = 1 / 200
    leaves_unseen: float = 1 / 2_400  # no contact is fitted, or it cannot be read
    enters_unseen: float = 1 / 7_200
    opened_enters: float = 0.93  # of openings while nobody is inside: nobody else could have wanted in or out
    opened_last_leaves: float = 0.45  # of openings with one person inside, of whom nothing else is known
    left_was_last: float = 0.92  # somebody left, and nobody else is counted; counts are wrong now and then
    left_not_last: float = 0.25
    used: tuple[float, float, float] = (0.002, 0.05, 0.01)  # an oven was started


RATES = Rates()


class Inside(StrEnum):
    """What is claimed."""

    EMPTY = "empty"
    OCCUPIED = "occupied"
    UNKNOWN = "unknown"


Belief = tuple[float, float, float]
"""Probabilities of empty, moving, still."""

_NOTHING_KNOWN: Belief = (0.5, 0.25, 0.25)


@dataclass(frozen=True, slots=True)
class Presence:
    """Times are station time. `base` is the belief without the radars, `belief` with those that are trusted.

    `count`: people inside by counters or visits. `is_open`: the door, None: not known. `moved_at`: when anything last
    showed somebody move. `since`: of what is claimed. `door_at`: when the door last moved; `passed_at`: when it
    let somebody in or out.
    """

    base: Belief = _NOTHING_KNOWN
    belief: Belief = _NOTHING_KNOWN
    at: float = 0.0
    claim: Inside = Inside.UNKNOWN
    since: float = 0.0
    count: int = 0
    has_counter: bool = False
    is_open: bool | None = None
    door_at: float | None = None
    passed_at: float | None = None
    moved_at: float | None = None
    sensors: Mapping[str, Sensor] = field(default_factory=dict)

    @property
    def occupied(self) -> float:
        """The probability that somebody is inside."""
        return 1.0 - self.belief[0]

    @property
    def confidence(self) -> float:
        """0.5 to 1: how sure the likelier of empty and occupied is."""
        return max(self.belief[0], self.occupied)

    @property
    def estimate(self) -> int | None:
        """How many are inside, None where nothing is claimed."""
        if self.claim is Inside.UNKNOWN:
            return None
        return 0 if self.claim is Inside.EMPTY else max(1, self.count)

    @property
    def stuck(self) -> tuple[str, ...]:
        """Sensors that are left out."""
        return tuple(name for name, each in self.sensors.items() if each.is_stuck)


# --- what is seen ----------------------------------------------------------------------------------------------------


def tend(state: Presence, now: float) -> Presence:
    """Let time pass: what was not seen is evidence as well. Sensors that contradict all others are left out."""
    state = _advance(state, now)
    sensors = {
        name: presence_sensors.judge(each, now, 1.0 - state.base[0], _is_borne_out(state, name))
        for name, each in state.sensors.items()
    }
    if any(sensors[name] is not each for name, each in state.sensors.items()):
        state = replace(state, sensors=sensors)
    if state.count and state.claim is Inside.EMPTY and state.occupied < SURELY_EMPTY and now - state.since >= FORGET_S:
        state = replace(state, count=0)  # somebody was counted twice, or left unseen
    return _claim(state)


def begin(inside: int, now: float) -> Presence:
    """Nothing is known at the start but how many visits are open."""
    return Presence(at=now, since=now, count=inside)


def door_moved(state: Presence, is_open: bool | None, at: float) -> Presence:
    """The door's settled level. Of an opening just after `passed` it is known who opened it."""
    state = _advance(state, at)
    has_opened = is_open is True and state.is_open is not True
    is_known = state.passed_at is not None and at - state.passed_at <= PASSING_S
    state = replace(state, is_open=is_open, door_at=at if is_open is not None else state.door_at)
    if has_opened and not is_known:
        leaves = RATES.opened_last_leaves if state.count <= 1 else RATES.left_not_last
        count = 1 if state.claim is Inside.EMPTY and not state.has_counter else state.count
        state = _hear(replace(_cross(state, RATES.opened_enters, leaves), moved_at=at, count=count), at)
    return _claim(state)


def passed(state: Presence, is_entering: bool, at: float, *, by_counter: bool = False) -> Presence:
    """Somebody came in or left.

    `by_counter`: beams in the door said so; from the first time on visits no longer count, for they miss who comes
    in behind another.
    """
    state = _advance(state, at)
    if state.has_counter and not by_counter:
        return _claim(replace(state, moved_at=at, passed_at=at))
    count = state.count + 1 if is_entering else max(0, state.count - 1)
    state = replace(state, count=count, has_counter=by_counter or state.has_counter, moved_at=at)
    if not by_counter:
        state = replace(state, passed_at=at)
    if is_entering:
        state = _cross(state, 0.99, 0.0)
    else:
        state = _cross(state, 0.0, RATES.left_was_last if count == 0 else RATES.left_not_last)
    return _claim(_hear(state, at))


def moved(state: Presence, sensor: str, is_moving: bool, at: float) -> Presence:
    """A motion sensor begins or ends to see movement."""
    state = _sense(_advance(state, at), sensor, Kind.MOTION, is_moving, at)
    known = state.sensors.get(sensor)  # None: one too many
    if is_moving and known is not None and not known.is_stuck:
        # What begins in a closed and empty room counts for little: the rates say so by themselves.
        state = replace(_weigh(state, RATES.moved), moved_at=at)
    return _claim(state)


def sensed(state: Presence, sensor: str, is_present: bool, is_moving: bool, at: float) -> Presence:
    """A radar sees somebody, moving or still, or nobody."""
    state = _advance(state, at)
    is_shut_in = state.is_open is False and (state.door_at is None or at - state.door_at > presence_sensors.ENTRY_S)
    is_odd = is_present and is_shut_in and state.base[0] > presence_sensors.SURELY
    state = _sense(state, sensor, Kind.RADAR, is_present, at, is_odd=is_odd)
    known = state.sensors.get(sensor)
    if known is not None and known.is_trusted and is_moving:
        state = replace(state, moved_at=at)
    return _claim(state)


def used(state: Presence, at: float) -> Presence:
    """An appliance was started that only a hand starts."""
    state = replace(_weigh(_advance(state, at), RATES.used), moved_at=at)
    return _claim(_hear(state, at))


def lose(state: Presence, sensor: str) -> Presence:
    """A sensor can no longer be read: what it said last says nothing."""
    if sensor not in state.sensors:
        return state
    return replace(state, sensors={name: each for name, each in state.sensors.items() if name != sensor})


def put_off(state: Presence, seconds: float) -> Presence:
    """The machine slept for so long: that nobody was seen means nothing."""
    door_at, moved_at = (None if at is None else at + seconds for at in (state.door_at, state.moved_at))
    sensors = {name: presence_sensors.put_off(each, seconds) for name, each in state.sensors.items()}
    return replace(state, at=state.at + seconds, door_at=door_at, moved_at=moved_at, sensors=sensors)


def deadline(state: Presence) -> float:
    """When `tend` is due: time itself is evidence."""
    return state.at + presence_sensors.LOOK_S


# --- the filter ------------------------------------------------------------------------------------------------------


def _advance(state: Presence, now: float) -> Presence:
    """Let time pass up to now: people fall still, and nobody is seen."""
    left_s = now - state.at
    if left_s <= 0:
        return state
    base, belief = state.base, state.belief
    ways = _ways(state)
    radars = [each.is_on is True for each in state.sensors.values() if each.kind is Kind.RADAR and each.is_trusted]
    for _ in range(MAX_STEPS):
        step_s = min(left_s, STEP_S)
        base = _step(base, step_s, ways)
        belief = _step(belief, step_s, ways)
        for is_on in radars:
            belief = _see_radar(belief, is_on, step_s)
        belief = _bound(belief, base) if radars else base
        left_s -= step_s
        if left_s <= 0:
            break
    return replace(state, base=base, belief=belief, at=now)


@dataclass(frozen=True, slots=True)
class _Ways:
    """Rates of leaving and entering; how many trusted motion sensors see nothing, and how many see movement."""

    leaves: float
    enters: float
    silent: int
    seeing: int


def _ways(state: Presence) -> _Ways:
    on = [each.is_on for each in state.sensors.values() if each.kind is Kind.MOTION and each.is_trusted]
    silent, seeing = on.count(False), on.count(True)
    if state.is_open is None:
        return _Ways(RATES.leaves_unseen, RATES.enters_unseen, silent, seeing)
    if state.is_open:
        return _Ways(RATES.leaves_open, RATES.enters_open, silent, seeing)
    return _Ways(RATES.leaves_closed, RATES.enters_closed, silent, seeing)


def _step(belief: Belief, step_s: float, ways: _Ways) -> Belief:
    empty, moving, still = belief
    leaves, silent, seeing = ways.leaves, ways.silent, ways.seeing
    gone, come = (moving + still) * leaves * step_s, empty * ways.enters * step_s
    calmed, woken = moving * RATES.falls_still * step_s, still * RATES.moves_again * step_s
    empty += gone - come
    moving += come - calmed + woken - moving * leaves * step_s
    still += calmed - woken - still * leaves * step_s
    for at, rate in enumerate(RATES.moved):
        # Silence weighs by what would have been seen; a sensor that holds its level says what it said for as long.
        weight = (1 / (1 + rate * step_s)) ** silent * (1.0 if not seeing else (0.2, 1.0, 0.5)[at] ** (step_s / STEP_S))
        if at == 0:
            empty *= weight
        elif at == 1:
            moving *= weight
        else:
            still *= weight
    return _normal((empty, moving, still))


def _see_radar(belief: Belief, is_on: bool, step_s: float) -> Belief:
    power = RATES.radar_weight * step_s / 60
    e, m, s = ((rate if is_on else 1 - rate) ** power for rate in RATES.radar)
    return _normal((belief[0] * e, belief[1] * m, belief[2] * s))


def _bound(belief: Belief, base: Belief) -> Belief:
    """Let radars outvote the rest only so far: their mistakes last, and one that hangs never gives in."""
    occupied, most = 1 - belief[0], RATES.radar_most
    odds, base_odds = occupied / belief[0], (1 - base[0]) / base[0]
    bounded = min(max(odds, base_odds / most), base_odds * most)
    if bounded == odds:
        return belief
    share = bounded / (1 + bounded) / occupied
    return _normal((1 / (1 + bounded), belief[1] * share, belief[2] * share))


def _cross(state: Presence, enters: float, last_leaves: float) -> Presence:
    """The door opened: somebody may have come, the last one may have gone."""

    def crossed(belief: Belief) -> Belief:
        empty, moving, still = belief
        came, gone = empty * enters, last_leaves
        return _normal((empty - came + (moving + still) * gone, came + moving * (1 - gone), still * (1 - gone)))

    return replace(state, base=crossed(state.base), belief=crossed(state.belief))


def _weigh(state: Presence, rates: tuple[float, float, float]) -> Presence:
    def weighed(belief: Belief) -> Belief:
        return _normal((belief[0] * rates[0], belief[1] * rates[1], belief[2] * rates[2]))

    return replace(state, base=weighed(state.base), belief=weighed(state.belief))


def _normal(belief: Belief) -> Belief:
    """Probabilities, none of them nothing: what is thought impossible could never be learned again."""
    empty, moving, still = (max(each, 1e-7) for each in belief)
    total = empty + moving + still
    return (empty / total, moving / total, still / total)


def _claim(state: Presence) -> Presence:
    occupied = state.occupied
    if occupied >= OCCUPIED_FROM:
        claim = Inside.OCCUPIED
    elif occupied <= EMPTY_TO:
        claim = Inside.EMPTY
    else:
        claim = state.claim if state.confidence > 0.5 + 1e-6 else Inside.UNKNOWN
    if claim is state.claim:
        return state
    return replace(state, claim=claim, since=state.at)


# --- the sensors -----------------------------------------------------------------------------------------------------


def _sense(state: Presence, name: str, kind: Kind, is_on: bool, at: float, *, is_odd: bool = False) -> Presence:
    known = state.sensors.get(name)
    seen = presence_sensors.see(known or Sensor(kind), is_on, at, is_odd=is_odd)
    if known is None and len(state.sensors) >= presence_sensors.MAX_SENSORS:
        return state
    return state if seen is known else replace(state, sensors={**state.sensors, name: seen})


def _hear(state: Presence, at: float) -> Presence:
    """Somebody surely is there: sensors that have nothing to say about it are counted against."""
    sensors = {name: presence_sensors.hear(each, at) for name, each in state.sensors.items()}
    return replace(state, sensors=sensors)


def _is_borne_out(state: Presence, name: str) -> bool:
    """Whether another sensor sees somebody now, or no motion sensor is there that could contradict a radar."""
    others = [each for other, each in state.sensors.items() if other != name and each.is_trusted]
    return any(each.is_on for each in others) or not any(each.kind is Kind.MOTION for each in others)
