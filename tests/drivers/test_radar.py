"""The LD2410's frames as they come from a bad wire, and its port as it comes and goes."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.radar import FrameParser, Ld2410, Presence
from tests.drivers.ld2410 import EMPTY, Ld2410OnPty, frame, wrapped
from tests.drivers.waiting import eventually

NOBODY = Presence(False, False, None, 60, 60)
MOVING = frame(is_moving=True, moving_cm=181)
STILL = frame(is_still=True, still_cm=240)
BOTH = frame(is_moving=True, is_still=True, moving_cm=300, still_cm=90)

# Both from the maker's document of the protocol.
DOCUMENTED_BASIC = bytes.fromhex("F4F3F2F1 0D00 02AA 02 5100 00 0000 3B 0000 5500 F8F7F6F5")
DOCUMENTED_ENGINEERING = bytes.fromhex(
    "F4F3F2F1 2300 01AA 03 1E00 3C 0000 39 0000 0808 3C22050303040306 05 00003910130606080403055500 F8F7F6F5"
)


def test_the_frames_of_the_makers_document_are_read() -> None:
    assert FrameParser().feed(DOCUMENTED_BASIC) == [Presence(False, True, 0.0, 0, 59)]
    assert FrameParser().feed(DOCUMENTED_ENGINEERING) == [Presence(True, True, 0.3, 60, 57)]


@pytest.mark.parametrize(
    ("data", "is_moving", "is_still", "distance_m"),
    [
        (EMPTY, False, False, None),
        (frame(moving_cm=100, still_cm=100), False, False, None),  # distances of what has left
        (MOVING, True, False, 1.81),
        (STILL, False, True, 2.4),
        (BOTH, True, True, 3.0),
    ],
)
def test_each_state_is_told(data: bytes, is_moving: bool, is_still: bool, distance_m: float | None) -> None:
    (presence,) = FrameParser().feed(data)
    assert (presence.is_moving, presence.is_still, presence.distance_m) == (is_moving, is_still, distance_m)


def damaged(position: int, value: int) -> bytes:
    data = bytearray(MOVING)
    data[position] = value
    return bytes(data)


@pytest.mark.parametrize(
    "bad",
    [
        damaged(4, 12),  # a length too short
        damaged(4, 14),  # one that does not fit
        damaged(4, 65),  # one that no frame has
        damaged(5, 0xFF),
        damaged(6, 3),  # unknown type
        damaged(7, 0xAB),
        damaged(8, 4),  # a state that says no target: the module calibrates itself
        damaged(10, 0xFF),  # 650 m
        damaged(17, 0x54),
        damaged(18, 1),
        damaged(19, 0),
        damaged(22, 0),
        wrapped(b"\x02\xaa\x01" + b"\x00" * 10 + b"\x55\x00"),  # too long for its type
        MOVING[:11],  # half a frame
        MOVING[:5],
        b"\xf4\xf3\xf2\xf1" * 5,
    ],
)
def test_a_bad_frame_is_counted_and_skipped_and_the_next_ones_are_read(bad: bytes) -> None:
    parser = FrameParser()
    assert parser.feed(bad + STILL + STILL)[-1].is_still
    # What had waited for a longer frame comes out with the next ones.
    later = [each for _ in range(4) for each in parser.feed(STILL)]
    assert {each.is_moving for each in later} == {False}
    assert len(later) >= 4
    assert parser.bad_frames >= 1


def test_garbage_between_frames_is_no_frame_at_all() -> None:
    parser = FrameParser()
    assert len(parser.feed(b"\x00\xff" * 50 + MOVING + b"ready\r\n" + b"\xf4\xf3" + STILL)) == 2
    assert parser.bad_frames == 0


def test_what_was_begun_can_be_forgotten() -> None:
    parser = FrameParser()
    parser.feed(MOVING[:15])
    parser.drop()
    assert len(parser.feed(STILL)) == 1
    assert parser.bad_frames == 0


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    marks = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[begin:end] for begin, end in pairwise(marks)]


@given(st.lists(st.sampled_from([EMPTY, MOVING, STILL, BOTH]), max_size=8), st.lists(st.integers(0, 500), max_size=30))
def test_frames_are_read_however_the_stream_is_cut(frames: list[bytes], cuts: list[int]) -> None:
    whole = FrameParser().feed(b"".join(frames))
    parser = FrameParser()
    assert [each for piece in pieces(b"".join(frames), cuts) for each in parser.feed(piece)] == whole
    assert len(whole) == len(frames)
    assert parser.bad_frames == 0


# Bytes that frames are made of, so that chance comes near to one.
noise = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from(
            [b"\xf4\xf3\xf2\xf1", b"\xf8\xf7\xf6\xf5", b"\x0d\x00\x02\xaa", b"\x55\x00", b"\x23\x00\x01\xaa"]
        ),
        st.integers(0, len(MOVING) - 1).map(lambda end: MOVING[:end]),
    ),
    max_size=30,
).map(b"".join)


@given(noise, st.lists(st.integers(0, 500), max_size=10))
def test_after_any_noise_the_parser_reads_again_and_keeps_little(data: bytes, cuts: list[int]) -> None:
    parser = FrameParser()
    for piece in pieces(data, cuts):
        parser.feed(piece)
        assert len(parser._rest) < 80
    after = [each for _ in range(6) for each in parser.feed(STILL)]
    # The longest wait for a wrong length is 74 bytes, a little more than three frames.
    assert after[-1] == Presence(False, True, 2.4, 60, 60)
    assert len(after) >= 3


class Station:
    """A radar at a pseudo-terminal, and what it said."""

    def __init__(self, folder: Path, *, silence_s: float = 0.3, repeat_s: float = 600.0) -> None:
        self.module = Ld2410OnPty(folder)
        self.seen: list[tuple[float, Presence]] = []
        self.said: list[str] = []
        self._silence_s = silence_s
        self._repeat_s = repeat_s
        self.radar: Ld2410 | None = None

    def open(self) -> Ld2410:
        self.radar = Ld2410(
            str(self.module.path),
            lambda at, presence: self.seen.append((at, presence)),
            on_failed=lambda at, reason: self.said.append(reason),
            on_recovered=lambda at: self.said.append("recovered"),
            on_died=lambda worker, reason: self.said.append(f"{worker} died: {reason}"),
            silence_s=self._silence_s,
            repeat_s=self._repeat_s,
        )
        return self.radar

    def states(self) -> list[tuple[bool, bool]]:
        return [(presence.is_moving, presence.is_still) for _, presence in self.seen]

    def close(self) -> None:
        if self.radar is not None:
            self.radar.close()
        self.module.close()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Station]]:
    stations: list[Station] = []

    def make(**options: float) -> Station:
        stations.append(Station(tmp_path, **options))
        return stations[-1]

    yield make
    for station in stations:
        station.close()


def test_only_what_changes_is_reported(make: Callable[..., Station]) -> None:
    station = make()
    station.open()
    assert eventually(lambda: station.states() == [(False, False)])
    station.module.says = MOVING
    assert eventually(lambda: len(station.seen) == 2)
    station.module.says = frame(is_moving=True, moving_cm=150)  # nearer, but the same
    time.sleep(0.3)
    station.module.says = STILL
    assert eventually(lambda: len(station.seen) == 3)
    assert station.states() == [(False, False), (True, False), (False, True)]
    assert station.said == []


def test_what_stays_is_repeated_at_its_pace(make: Callable[..., Station]) -> None:
    station = make(repeat_s=0.1)
    began = time.monotonic()
    station.open()
    assert eventually(lambda: len(station.seen) >= 5)
    assert len(station.seen) <= (time.monotonic() - began) / 0.1 + 1


def test_a_flood_of_changes_is_reported_at_a_bounded_rate_and_ends_with_what_holds(
    make: Callable[..., Station],
) -> None:
    station = make()
    station.module.says = (EMPTY + MOVING) * 40
    began = time.monotonic()
    station.open()
    assert eventually(lambda: len(station.seen) >= 4)
    assert len(station.seen) <= (time.monotonic() - began) / 0.2 + 2
    station.module.says = STILL
    assert eventually(lambda: station.states()[-1] == (False, True))
    assert station.said == []


def test_half_frames_and_garbage_on_the_wire_do_not_stop_the_reports(make: Callable[..., Station]) -> None:
    station = make()
    station.module.says = b"\x00garbage" + MOVING[:9] + STILL + damaged(4, 60) + STILL + STILL[:20]
    radar = station.open()
    assert eventually(lambda: radar.bad_frames > 10)
    assert set(station.states()) == {(False, True)}
    assert station.said == []


@pytest.mark.parametrize(
    ("says", "words"),
    [(b"", "sends nothing: check its power"), (b"\x00\x80" * 20, "sends nothing that can be read: check that it is")],
)
def test_silence_and_noise_without_a_frame_are_reported_once(
    make: Callable[..., Station], says: bytes, words: str
) -> None:
    station = make()
    station.module.says = MOVING
    station.open()
    assert eventually(lambda: len(station.seen) == 1)
    station.module.says = says
    assert eventually(lambda: len(station.said) == 1)
    assert words in station.said[0]
    time.sleep(0.4)
    station.module.says = MOVING
    assert eventually(lambda: len(station.seen) == 2)  # the same again, for nobody knew meanwhile
    assert station.said[1:] == ["recovered"]


def test_a_port_that_is_pulled_out_is_opened_again_once_it_is_back(make: Callable[..., Station]) -> None:
    station = make(silence_s=30.0)
    station.open()
    assert eventually(lambda: len(station.seen) == 1)
    station.module.pull_out()
    assert eventually(lambda: len(station.said) == 1)
    assert station.said == [f"the radar's port {station.module.path} is gone: check its plug"]
    station.module.says = MOVING
    station.module.plug_in()
    assert eventually(lambda: len(station.seen) == 2)
    assert station.said[1:] == ["recovered"]
    assert station.states() == [(False, False), (True, False)]


def test_half_a_frame_from_before_the_plug_was_pulled_spoils_nothing(make: Callable[..., Station]) -> None:
    station = make(silence_s=30.0)
    radar = station.open()
    assert eventually(lambda: len(station.seen) == 1)
    station.module.says = b""
    time.sleep(0.1)  # what was on its way has arrived
    station.module.say_once(STILL[:15])
    assert eventually(lambda: len(radar._parser._rest) == 15)
    station.module.pull_out()
    station.module.says = MOVING
    station.module.plug_in()
    assert eventually(lambda: station.states() == [(False, False), (True, False)])
    assert radar.bad_frames == 0


def test_a_port_that_is_not_there_or_none_or_taken_says_what_to_do(
    make: Callable[..., Station], tmp_path: Path
) -> None:
    station = make()
    station.module.pull_out()
    station.module.path.symlink_to("/dev/null")
    radar = station.open()
    assert eventually(lambda: len(station.said) == 1)
    radar.close()
    station.module.path.unlink()
    radar = station.open()
    assert eventually(lambda: len(station.said) == 2)
    radar.close()
    station.module.plug_in()
    taken = os.open(station.module.path, os.O_RDWR | os.O_NOCTTY)
    fcntl.flock(taken, fcntl.LOCK_EX)
    station.open()
    assert eventually(lambda: len(station.said) == 3)
    os.close(taken)
    path = station.module.path
    assert (
        station.said[:2]
        == [f"the radar's port {path} cannot be opened: check its plug and its name in the settings"] * 2
    )
    assert station.said[2] == f"the radar's port {path} cannot be opened: end the program that uses it"


def test_a_receiver_with_a_mistake_is_told_to_who_watches_the_workers(make: Callable[..., Station]) -> None:
    station = make()

    def stumble(_at: float, _presence: Presence) -> None:
        raise RuntimeError("a mistake in the receiver")

    died: list[str] = []
    radar = Ld2410(str(station.module.path), stumble, on_died=lambda worker, reason: died.append(f"{worker}: {reason}"))
    assert eventually(lambda: died == ["radar: RuntimeError: a mistake in the receiver"])
    radar.close()
