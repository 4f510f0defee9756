"""People in a doorway: in, out, back, close together; and beams that are blocked, swing, or lose edges."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise, product

import pytest
from gpiozero.pins.mock import MockFactory
from hypothesis import given
from hypothesis import strategies as st

from drivers.beam import GLITCH_S, INNER, OUTER, TABLE, BeamPair, Beams, Edge, Passage, beams_of, without_glitches
from drivers.errors import PinError
from drivers.pins import GpiodFactory
from tests.drivers.doorway import ENTER, HESITATE, LEAVE, TURN_BACK_EARLY, TURN_BACK_LATE, Step
from tests.drivers.fake_gpiod import FakeGpiod
from tests.drivers.waiting import eventually

PINS = (5, 6)


def counted(steps: Sequence[Step]) -> list[bool]:
    """What the table says to this, from a free doorway."""
    levels, passage, counts = [False, False], Passage.NOBODY, []
    for beam, is_interrupted in steps:
        levels[beam] = is_interrupted
        passage, is_entering = TABLE[passage, beams_of(levels)]
        counts += [] if is_entering is None else [is_entering]
    return counts


def test_the_table_has_every_passage_with_every_state_of_the_beams() -> None:
    assert set(TABLE) == set(product(Passage, Beams))


def test_a_free_doorway_has_nobody_in_it_and_only_there_is_anybody_counted() -> None:
    for (passage, beams), (then, is_entering) in TABLE.items():
        assert (then is Passage.NOBODY) == (beams is Beams.CLEAR)
        assert is_entering is None or beams is Beams.CLEAR
        assert TABLE[then, beams] == (then, None), (passage, beams)  # the same state again changes nothing


def test_the_table_is_the_same_from_both_sides() -> None:
    mirror = {Beams.CLEAR: Beams.CLEAR, Beams.BOTH: Beams.BOTH, Beams.OUTER: Beams.INNER, Beams.INNER: Beams.OUTER}
    other = {
        Passage.NOBODY: Passage.NOBODY,
        Passage.LOST: Passage.LOST,
        Passage.ENTERS_OUTER: Passage.LEAVES_INNER,
        Passage.ENTERS_BOTH: Passage.LEAVES_BOTH,
        Passage.ENTERS_INNER: Passage.LEAVES_OUTER,
    }
    other |= {there: here for here, there in other.items()}
    for (passage, beams), (then, is_entering) in TABLE.items():
        turned = TABLE[other[passage], mirror[beams]]
        assert turned == (other[then], None if is_entering is None else not is_entering)


@pytest.mark.parametrize(
    ("steps", "counts"),
    [
        (ENTER, [True]),
        (LEAVE, [False]),
        (ENTER + LEAVE + ENTER, [True, False, True]),
        (ENTER + ENTER, [True, True]),  # two in a row
        (TURN_BACK_EARLY, []),
        (TURN_BACK_LATE, []),
        (TURN_BACK_LATE + ENTER, [True]),
        (HESITATE, [True]),
        (((INNER, True), (INNER, False)), []),  # a hand, from within
        (((OUTER, True), (INNER, True), (OUTER, False), (OUTER, True), (INNER, False), (OUTER, False)), []),
        (((OUTER, True), (INNER, True), (INNER, False), (OUTER, False)), []),
        (((OUTER, True), (OUTER, False), (INNER, True), (INNER, False)), []),  # thinner than the beams are apart
    ],
)
def test_people_are_counted_by_the_way_they_take(steps: Sequence[Step], counts: list[bool]) -> None:
    assert counted(steps) == counts


@given(st.lists(st.tuples(st.sampled_from([OUTER, INNER]), st.booleans()), max_size=60))
def test_whatever_the_beams_did_the_next_person_through_a_free_doorway_counts(steps: list[Step]) -> None:
    freed = [*steps, (OUTER, False), (INNER, False)]
    before = counted(freed)
    assert counted([*freed, *ENTER]) == [*before, True]
    assert counted([*freed, *LEAVE]) == [*before, False]
    # Nobody counts twice without the doorway being free in between.
    free = sum(not any(level) for level in states(freed))
    assert len(before) <= free


def states(steps: Sequence[Step]) -> list[tuple[bool, bool]]:
    levels, seen = [False, False], []
    for beam, is_interrupted in steps:
        levels[beam] = is_interrupted
        seen.append((levels[0], levels[1]))
    return seen


def test_edges_are_put_in_order_and_sparks_are_dropped() -> None:
    late = Edge(1.2, INNER, True)
    edges = [Edge(1.5, OUTER, False), late, Edge(1.0, OUTER, True)]
    assert without_glitches(edges) == [Edge(1.0, OUTER, True), late, Edge(1.5, OUTER, False)]
    sparks = [Edge(1.3, OUTER, False), Edge(1.3 + GLITCH_S / 2, OUTER, True)]
    bounces = [Edge(1.501, OUTER, True), Edge(1.502, OUTER, False), Edge(1.2001, INNER, True)]
    kept = without_glitches([*edges, *sparks, *bounces])
    assert [(edge.beam, edge.is_interrupted) for edge in kept] == [(OUTER, True), (INNER, True), (OUTER, False)]


@given(st.lists(st.builds(Edge, st.floats(0.0, 1.0), st.sampled_from([OUTER, INNER]), st.booleans()), max_size=40))
def test_no_change_that_is_left_is_shorter_than_a_glitch(edges: list[Edge]) -> None:
    kept = without_glitches(edges)
    assert kept == sorted(kept)
    for beam in (OUTER, INNER):
        times = [edge.at for edge in kept if edge.beam == beam]
        assert all(later - earlier >= GLITCH_S for earlier, later in pairwise(times))


class Doorway:
    """A counter on a fake kernel, and what it said."""

    def __init__(self, *, blocked_s: float = 600.0) -> None:
        self.fake = FakeGpiod()
        self.counts: list[tuple[float, bool]] = []
        self.said: list[str] = []
        self.skipped_s = 0.0
        self.asked = 0
        self.factory = GpiodFactory(gpiod=self.fake)
        for pin in PINS:
            self.fake.wire(pin, False)
        self.counter = BeamPair(
            *PINS,
            lambda at, is_entering: self.counts.append((at, is_entering)),
            blocked_s=blocked_s,
            on_failed=lambda at, reason: self.said.append(reason),
            on_recovered=lambda at: self.said.append("recovered"),
            on_died=lambda worker, reason: self.said.append(f"{worker} died: {reason}"),
            pin_factory=self.factory,
            clock=self.now,
        )

    def now(self) -> float:
        self.asked += 1
        return time.monotonic() + self.skipped_s

    def walk(self, steps: Sequence[Step], begin: float, gap_s: float = 0.15) -> None:
        """Hand the edges over at once, stamped as the kernel would have."""
        for number, (beam, is_interrupted) in enumerate(steps):
            self.fake.wire(PINS[beam], is_interrupted, at=begin + number * gap_s)

    def walk_now(self, steps: Sequence[Step]) -> None:
        for beam, is_interrupted in steps:
            time.sleep(0.04)  # the stamps of a busy machine differ by less
            self.fake.wire(PINS[beam], is_interrupted)

    def directions(self) -> list[bool]:
        return [is_entering for _, is_entering in self.counts]

    def close(self) -> None:
        self.counter.close()
        self.factory.close()


@pytest.fixture
def make() -> Iterator[Callable[..., Doorway]]:
    doorways: list[Doorway] = []

    def make(**options: float) -> Doorway:
        doorways.append(Doorway(**options))
        return doorways[-1]

    yield make
    for doorway in doorways:
        doorway.close()


def test_people_are_counted_with_the_time_they_left_the_beams(make: Callable[..., Doorway]) -> None:
    doorway = make()
    begin = time.monotonic() - 10.0
    doorway.walk((*ENTER, *TURN_BACK_LATE, *LEAVE), begin)
    assert eventually(lambda: len(doorway.counts) == 2)
    assert doorway.directions() == [True, False]
    assert doorway.counts[0][0] == pytest.approx(begin + 3 * 0.15, abs=0.1)
    assert doorway.counts[1][0] == pytest.approx(begin + 13 * 0.15, abs=0.1)


def test_edges_that_two_threads_hand_over_in_the_wrong_order_count_right(make: Callable[..., Doorway]) -> None:
    doorway = make()
    begin = time.monotonic() - 5.0
    timed = [(begin + number * 0.15, *step) for number, step in enumerate((*ENTER, *LEAVE))]
    for line in (INNER, OUTER):  # first all of one line, then all of the other
        for at, beam, is_interrupted in timed:
            if beam == line:
                doorway.fake.wire(PINS[beam], is_interrupted, at=at)
    assert eventually(lambda: doorway.directions() == [True, False])


def test_a_beam_that_stays_interrupted_is_reported_once_and_counting_goes_on_when_it_is_free(
    make: Callable[..., Doorway],
) -> None:
    doorway = make(blocked_s=0.3)
    doorway.fake.wire(PINS[INNER], True)
    assert eventually(lambda: len(doorway.said) == 1)
    assert doorway.said[0].startswith("the inner beam has been interrupted for 0.3 s: take away what stands in it")
    for step in (True, False) * 3:  # people pass, and cannot be told
        doorway.fake.wire(PINS[OUTER], step)
        time.sleep(0.02)
    doorway.fake.wire(PINS[INNER], False)
    assert eventually(lambda: doorway.said[1:] == ["recovered"])
    assert doorway.counts == []
    doorway.walk_now(ENTER)
    assert eventually(lambda: doorway.directions() == [True])


def test_who_stands_in_the_doorway_at_the_start_is_not_counted(make: Callable[..., Doorway]) -> None:
    doorway = make()
    doorway.close()
    for pin in PINS:
        doorway.fake.wire(pin, True)
    counts: list[bool] = []
    factory = GpiodFactory(gpiod=doorway.fake)
    counter = BeamPair(*PINS, lambda _at, is_entering: counts.append(is_entering), pin_factory=factory)
    doorway.walk(((OUTER, False), (INNER, False), *LEAVE), time.monotonic() - 5.0)
    assert eventually(lambda: counts == [False])
    counter.close()
    factory.close()


def test_a_beam_that_swings_without_end_is_reported_and_counts_nobody(make: Callable[..., Doorway]) -> None:
    doorway = make()
    for number in range(300):
        doorway.fake.wire(PINS[OUTER], number % 2 == 0)
        time.sleep(0.002)
    assert eventually(lambda: len(doorway.said) == 1)
    assert doorway.said[0].startswith("a beam swings without end: check its aim")
    doorway.walk_now(ENTER)  # nobody can tell whether that was a person
    time.sleep(0.3)
    doorway.skipped_s = 60.0
    doorway.walk_now(TURN_BACK_EARLY)
    assert eventually(lambda: doorway.said[1:] == ["recovered"])
    assert doorway.counts == []
    doorway.walk_now(ENTER)
    assert eventually(lambda: doorway.directions() == [True])


def test_more_edges_than_are_kept_are_bounded_and_the_beams_are_looked_at_anew(make: Callable[..., Doorway]) -> None:
    doorway = make()
    for number in range(10_001):  # the last one says interrupted, which the pin does not
        doorway.counter._edge_seen(OUTER, time.monotonic(), number % 2 == 0)
    doorway.fake.lines[PINS[INNER]].wired = True  # and this edge was lost
    assert len(doorway.counter._edges) <= 256
    assert eventually(lambda: len(doorway.said) == 1)
    doorway.skipped_s = 60.0
    # Half a way in, by somebody who stood in the inner beam all the time: that cannot be told.
    doorway.walk_now(((OUTER, True), (INNER, False), (INNER, True), (OUTER, False), (INNER, False)))
    assert eventually(lambda: doorway.said[1:] == ["recovered"])
    doorway.walk_now(LEAVE)
    assert eventually(lambda: len(doorway.counts) > 0)
    assert doorway.directions() == [False]


def test_a_chip_that_goes_away_is_reported_once(make: Callable[..., Doorway]) -> None:
    doorway = make()
    doorway.fake.unplug()
    assert eventually(lambda: len(doorway.said) == 1)
    asked = doorway.asked
    time.sleep(0.3)
    assert doorway.said == ["the beams cannot be read: check the GPIO chip, then restart"]
    assert doorway.asked - asked < 100  # its thread rests


def test_a_pin_that_is_taken_leaves_the_other_one_free() -> None:
    fake = FakeGpiod()
    with GpiodFactory(gpiod=fake) as factory:
        fake.lines[PINS[INNER]].consumer = "somebody"
        with pytest.raises(PinError, match="in use by 'somebody'"):
            BeamPair(*PINS, lambda _at, _is_entering: None, pin_factory=factory)
        assert fake.lines[PINS[OUTER]].request is None


def test_a_receiver_with_a_mistake_is_told_to_who_watches_the_workers() -> None:
    died: list[str] = []

    def stumble(_at: float, _is_entering: bool) -> None:
        raise RuntimeError("a mistake in the receiver")

    with MockFactory() as factory:
        counter = BeamPair(
            *PINS, stumble, on_died=lambda worker, reason: died.append(f"{worker}: {reason}"), pin_factory=factory
        )
        for pin in PINS:
            factory.pin(pin).drive_low()
        for beam, is_interrupted in ENTER:
            time.sleep(0.02)
            pin = factory.pin(PINS[beam])
            if is_interrupted:
                pin.drive_high()
            else:
                pin.drive_low()
        assert eventually(lambda: died == ["beams: RuntimeError: a mistake in the receiver"])
        counter.close()
