"""USB readers: what is typed, what is dropped, and a plug that is pulled."""

from __future__ import annotations

import fcntl
import os
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from drivers import hid_reader
from drivers.errors import DeviceError
from drivers.hid_reader import EV_KEY, EV_SYN, EVIOCGRAB, SYN_DROPPED, HidReader, TypedCard, open_grabbed
from drivers.keypad import KEYS, MAX_CARD
from tests.drivers.typed import CODES, record, strokes
from tests.drivers.waiting import eventually


class Plug:
    """A device that can be pulled out and plugged in again: each opening is a fresh pipe."""

    def __init__(self, sends: Literal["cards", "keys"]) -> None:
        self.cards: list[str] = []
        self.keys: list[str] = []
        self.said: list[str] = []
        self.openings = 0
        self.is_there = True
        self._end: int | None = None
        self._guard = threading.Lock()
        self.reader = HidReader(
            "/dev/input/by-id/usb-reader",
            sends,
            lambda _at, number: self.cards.append(number),
            lambda _at, key: self.keys.append(key),
            on_failed=lambda _at, reason: self.said.append(reason),
            on_recovered=lambda _at: self.said.append("recovered"),
            on_died=lambda _worker, reason: self.said.append(reason),
            open_device=self._open,
        )

    def _open(self, path: str) -> int:
        with self._guard:
            if not self.is_there:
                raise DeviceError(f"the reader {path} cannot be opened (No such device): check its plug")
            self.openings += 1
            read, self._end = os.pipe()
            return read

    def send(self, data: bytes) -> None:
        assert eventually(lambda: self._end is not None)
        assert self._end is not None
        os.write(self._end, data)

    def pull_out(self) -> None:
        with self._guard:
            self.is_there = False
            assert self._end is not None
            os.close(self._end)
            self._end = None

    def close(self) -> None:
        self.reader.close()
        if self._end is not None:
            os.close(self._end)


@pytest.fixture
def cards() -> Iterator[Plug]:
    plug = Plug("cards")
    yield plug
    plug.close()


@pytest.fixture
def keys() -> Iterator[Plug]:
    plug = Plug("keys")
    yield plug
    plug.close()


def test_every_key_of_a_keypad_has_a_code_and_comes_through(keys: Plug) -> None:
    everything = "".join(sorted(KEYS))
    assert CODES.keys() == KEYS
    keys.send(strokes(everything))
    assert eventually(lambda: "".join(keys.keys) == everything)


def test_a_key_that_is_held_counts_once_and_keys_without_meaning_do_not_count(keys: Plug) -> None:
    held = b"".join(record(EV_KEY, CODES["5"], value) for value in (1, 2, 2, 2, 0))
    keys.send(held + record(EV_KEY, 16, 1) + record(4, 4, 458_782) + strokes("1"))
    assert eventually(lambda: keys.keys == ["5", "1"])


def test_records_that_arrive_in_pieces_are_put_together(keys: Plug) -> None:
    data = strokes("42")
    keys.send(data[:7])
    time.sleep(0.02)
    keys.send(data[7:])
    assert eventually(lambda: keys.keys == ["4", "2"])


def test_a_hexadecimal_card_typed_with_shift_is_one_number(cards: Plug) -> None:
    shift = [record(EV_KEY, 42, value) for value in (1, 0)]
    cards.send(strokes("04") + shift[0] + strokes("af") + shift[1] + strokes("19#"))
    assert eventually(lambda: cards.cards == ["04af19"])


def test_a_part_of_a_card_is_never_reported(cards: Plug) -> None:
    now = time.monotonic()
    cards.send(strokes("1234", now - 5.0) + strokes("5678#", now))  # the first half is from a broken read
    cards.send(strokes("#") + strokes("12") + record(EV_SYN, SYN_DROPPED, 0) + strokes("34#"))
    cards.send(strokes("1") + record(EV_KEY, 16, 1) + strokes("2#") + strokes("9" * (MAX_CARD + 1) + "#"))
    cards.send(strokes("77#"))
    assert eventually(lambda: cards.cards[-1:] == ["77"])
    assert cards.cards == ["5678", "34", "77"]


def test_a_card_begun_before_the_plug_was_pulled_is_not_finished_after_it(
    cards: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hid_reader, "_FIRST_RETRY_S", 0.02)
    cards.send(strokes("12"))
    cards.pull_out()
    assert eventually(lambda: len(cards.said) == 1)
    cards.is_there = True
    assert eventually(lambda: cards.openings == 2)
    cards.send(strokes("34#"))
    assert eventually(lambda: cards.cards == ["34"])


def test_a_plug_that_is_pulled_is_said_once_and_tried_again_until_it_is_back(
    keys: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hid_reader, "_FIRST_RETRY_S", 0.01)
    keys.send(strokes("1"))
    assert eventually(lambda: keys.keys == ["1"])
    keys.pull_out()
    assert eventually(lambda: len(keys.said) == 1)
    time.sleep(0.1)
    assert len(keys.said) == 1
    keys.is_there = True
    assert eventually(lambda: keys.said[-1] == "recovered")
    keys.send(strokes("2"))
    assert eventually(lambda: keys.keys == ["1", "2"])


def test_a_reader_that_is_not_there_can_be_closed_at_once() -> None:
    said: list[str] = []
    reader = HidReader(
        "/dev/input/by-id/none",
        "keys",
        lambda _a, _n: None,
        lambda _a, _k: None,
        on_failed=lambda _at, r: said.append(r),
    )
    assert eventually(lambda: said != [])
    began = time.monotonic()
    reader.close()
    assert time.monotonic() - began < 1.0
    assert said == ["the reader /dev/input/by-id/none cannot be opened (No such file or directory): check its plug"]


def test_a_mistake_in_a_receiver_is_told(caplog: pytest.LogCaptureFixture) -> None:
    read, write = os.pipe()
    died: list[str] = []

    def fail(_at: float, _key: str) -> None:
        raise RuntimeError("no")

    reader = HidReader(
        "x",
        "keys",
        fail,
        fail,
        open_device=lambda _path: read,
        on_died=lambda worker, why: died.append(f"{worker}: {why}"),
    )
    os.write(write, strokes("1"))
    assert eventually(lambda: died == ["hid reader: RuntimeError: no"])
    reader.close()
    os.close(write)
    assert "died" in caplog.text


def test_a_device_is_grabbed_before_anything_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "event0"
    os.mkfifo(path)
    orders: list[tuple[int, Any]] = []
    monkeypatch.setattr(fcntl, "ioctl", lambda _fd, order, value: orders.append((order, value)))
    descriptor = open_grabbed(str(path))
    os.close(descriptor)
    assert orders == [(EVIOCGRAB, 1), (hid_reader.EVIOCSCLOCKID, struct.pack("i", time.CLOCK_MONOTONIC))]


def test_what_cannot_be_grabbed_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "event0"
    path.write_bytes(strokes("1234#"))
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(DeviceError, match=r"cannot be grabbed \(.*\): name an event device"):
        open_grabbed(str(path))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_card_without_its_end_is_dropped_with_the_next_one() -> None:
    typed = TypedCard()
    assert [typed.take(0.01 * n, key) for n, key in enumerate("12")] == [None, None]
    assert typed.take(5.0, "3") is None
    assert typed.take(5.01, "#") == "3"
    assert typed.take(5.02, "#") is None
