"""Wiegand frames as they come from cheap readers: noise, frames too short or too long, wrong parities, two in a row."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import PinError
from drivers.keypad import key_of_burst
from drivers.pins import GpiodFactory
from drivers.wiegand import MAX_GAP_S, Pulse, WiegandReader, card_of, frames_of, is_disturbed
from tests.drivers.fake_gpiod import FakeGpiod
from tests.drivers.typed import card_bits, times
from tests.drivers.waiting import eventually

D0, D1 = 5, 6


class Station:
    """A reader on a fake kernel, and what it reported."""

    def __init__(self) -> None:
        self.fake = FakeGpiod()
        self.cards: list[str] = []
        self.keys: list[str] = []
        self.failures: list[str] = []
        self.factory = GpiodFactory(gpiod=self.fake)
        self.reader = WiegandReader(
            D0,
            D1,
            lambda _at, number: self.cards.append(number),
            lambda _at, key: self.keys.append(key),
            on_failed=lambda _at, reason: self.failures.append(reason),
            pin_factory=self.factory,
        )

    def send(self, bits: Sequence[int], begin: float | None = None, gap_s: float = 0.002) -> None:
        """Hand a whole frame over at once, stamped as the kernel would have."""
        start = time.monotonic() - 0.2 if begin is None else begin
        for at, bit in times(bits, start, gap_s):
            self.fake.wire(D0 + bit, False, at=at)
            self.fake.wire(D0 + bit, True, at=at + 50e-6)

    def close(self) -> None:
        self.reader.close()
        self.factory.close()


@pytest.fixture
def station() -> Iterator[Station]:
    station = Station()
    yield station
    station.close()


@pytest.mark.parametrize(("number", "count"), [(0, 26), (2**24 - 1, 26), (0xDEADBEEF, 34)])
def test_a_card_of_either_length_is_read(station: Station, number: int, count: int) -> None:
    station.send(card_bits(number, count))
    assert eventually(lambda: station.cards == [str(number)])


def test_edges_that_two_threads_hand_over_in_the_wrong_order_make_the_right_number(station: Station) -> None:
    bits = card_bits(0xABCDEF)
    begin = time.monotonic() - 0.2
    for line in (1, 0):  # first all of D1, then all of D0
        for at, bit in times(bits, begin):
            if bit == line:
                station.fake.wire(D0 + bit, False, at=at)
                station.fake.wire(D0 + bit, True, at=at + 50e-6)
    assert eventually(lambda: station.cards == [str(0xABCDEF)])


def test_a_wrong_parity_a_short_and_a_long_frame_are_dropped_and_the_next_card_is_read(station: Station) -> None:
    good = card_bits(1234)
    begin = time.monotonic() - 2.0
    frames = [[1 - good[0], *good[1:]], [*good[:-1], 1 - good[-1]], good[:-1], [*good, 1], [1], good * 4, good]
    for n, frame in enumerate(frames[:-1]):
        before = station.reader.misreads
        station.send(frame, begin + 0.25 * n)
        assert eventually(lambda before=before: station.reader.misreads > before)  # type: ignore[misc]
        assert station.cards == []
    station.send(good, begin + 0.25 * len(frames))
    assert eventually(lambda: station.cards == ["1234"])


def test_two_frames_that_arrive_together_are_told_apart_by_the_silence_between_them(station: Station) -> None:
    begin = time.monotonic() - 0.5
    station.send(card_bits(11), begin)
    station.send(card_bits(22), begin + 26 * 0.002 + MAX_GAP_S)
    assert eventually(lambda: station.cards == ["11", "22"])


def test_a_frame_with_a_disturbance_in_it_is_dropped(station: Station) -> None:
    bits = card_bits(1234)
    begin = time.monotonic() - 0.2
    station.send(bits[:10], begin)
    station.send(bits[10:11], begin + 9 * 0.002 + 10e-6)  # where it belongs, but with a spark's timing
    station.send(bits[11:], begin + 11 * 0.002)
    assert eventually(lambda: station.reader.misreads == 1)
    assert station.cards == []


def test_a_line_that_swings_without_end_is_bounded_and_reports_nothing(station: Station) -> None:
    for n in range(40):
        station.send([1] * 26, time.monotonic() - 2.0 + n * 26 * 0.002)
    assert eventually(lambda: station.reader.misreads >= 1)
    assert station.cards == []
    assert station.keys == []


@pytest.mark.parametrize(
    ("bits", "key"),
    [
        ([0, 1, 0, 1], "5"),
        ([1, 0, 1, 0], "*"),
        ([1, 0, 1, 1], "#"),
        ([1, 1, 0, 0], None),
        ([1, 0, 1, 0, 0, 1, 0, 1], "5"),
        ([0, 1, 0, 1, 0, 1, 0, 1], None),
        ([0, 1, 0], None),
        ([], None),
    ],
)
def test_a_burst_is_a_key_or_nothing(bits: list[int], key: str | None) -> None:
    assert key_of_burst(bits) == key


def test_a_chip_that_goes_away_is_said_once(station: Station) -> None:
    station.fake.unplug()
    assert eventually(lambda: station.failures != [])
    time.sleep(0.05)
    assert station.failures == ["the reader cannot be read: check the GPIO chip, then restart"]


def test_a_line_that_another_program_holds_is_refused_and_the_first_is_let_go() -> None:
    fake = FakeGpiod()
    fake.lines[D1].consumer = "somebody"
    with GpiodFactory(gpiod=fake) as factory:
        with pytest.raises(PinError, match="Wiegand D1 on line 6"):
            WiegandReader(D0, D1, lambda _at, _n: None, lambda _at, _k: None, pin_factory=factory)
        assert fake.lines[D0].request is None


@given(st.integers(0, 2**32 - 1), st.sampled_from([26, 34]))
def test_every_number_comes_back(number: int, count: int) -> None:
    number %= 2 ** (count - 2)
    assert card_of(card_bits(number, count)) == str(number)


@given(st.integers(0, 2**24 - 1), st.integers(0, 25))
def test_one_wrong_bit_is_never_read_as_a_card(number: int, place: int) -> None:
    bits = card_bits(number)
    bits[place] = 1 - bits[place]
    assert card_of(bits) is None


@given(st.lists(st.tuples(st.floats(0, 10), st.integers(0, 1)), max_size=80))
def test_frames_hold_every_pulse_once_and_have_no_gap_inside(pulses: list[tuple[float, int]]) -> None:
    made = [Pulse(*each) for each in pulses]
    frames = frames_of(made)
    assert sorted((each for frame in frames for each in frame), key=lambda p: (p.ticks, p.bit)) == sorted(
        made, key=lambda p: (p.ticks, p.bit)
    )
    for frame in frames:
        assert all(later.ticks - one.ticks <= MAX_GAP_S for one, later in pairwise(frame))


def test_pulses_at_a_readers_pace_are_no_disturbance() -> None:
    assert not is_disturbed([Pulse(n * 0.0002, n % 2) for n in range(26)])
    assert is_disturbed([Pulse(0.0, 0), Pulse(0.00001, 1)])
