"""What every reader and keypad promises, whatever it is made of."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from unittest.mock import patch

import pytest
from gpiozero.pins.mock import MockFactory

from drivers.hid_reader import HidReader
from drivers.keypad import Reader
from drivers.pins import GpiodFactory
from drivers.simulated.reader import SimulatedReader
from drivers.wiegand import WiegandReader
from tests.drivers.fake_gpiod import FakeGpiod
from tests.drivers.typed import card_bits, strokes, times
from tests.drivers.uinput import Keyboard, needs_uinput
from tests.drivers.waiting import eventually

AHEAD_S = 86_400.0  # a station whose time was skipped by a day
Seen = list[tuple[float, str]]


def station_time() -> float:
    return time.monotonic() + AHEAD_S


class Rig(ABC):
    """A reader and the hand before it."""

    def __init__(self) -> None:
        self.on_exit = ExitStack()

    @abstractmethod
    def reader(self, on_card: Callable[[float, str], None], on_key: Callable[[float, str], None]) -> Reader: ...

    @abstractmethod
    def present(self, number: int) -> None: ...

    @abstractmethod
    def press(self, key: str) -> None: ...


class SimulatedRig(Rig):
    def reader(self, on_card: Callable[[float, str], None], on_key: Callable[[float, str], None]) -> Reader:
        self._reader = self.on_exit.enter_context(closing(SimulatedReader(on_card, on_key, clock=station_time)))
        return self._reader

    def present(self, number: int) -> None:
        self._reader.present(str(number))

    def press(self, key: str) -> None:
        self._reader.press(key)


class WiegandRig(Rig):
    """The real driver on two lines; the pulses come at a reader's pace."""

    def __init__(self) -> None:
        super().__init__()
        self._fake = FakeGpiod()
        self._factory = self.on_exit.enter_context(GpiodFactory(gpiod=self._fake))

    def reader(self, on_card: Callable[[float, str], None], on_key: Callable[[float, str], None]) -> Reader:
        reader = WiegandReader(5, 6, on_card, on_key, pin_factory=self._factory, clock=station_time)
        return self.on_exit.enter_context(closing(reader))

    def pulse(self, line: int, at: float) -> None:
        self._fake.wire(line, False, at=at)
        self._fake.wire(line, True, at=at + 0.0001)

    def present(self, number: int) -> None:
        self._send(card_bits(number))

    def press(self, key: str) -> None:
        self._send([int(bit) for bit in f"{'0123456789*#'.index(key):04b}"])
        time.sleep(0.04)  # nobody presses two keys within the silence that parts them

    def _send(self, bits: list[int]) -> None:
        """At a reader's pace by their stamps, however late a busy machine hands them over."""
        for at, bit in times(bits, time.monotonic(), 0.0005):
            self.pulse(5 + bit, at)


class MockPinRig(WiegandRig):
    def __init__(self) -> None:
        super().__init__()
        self._factory = self.on_exit.enter_context(MockFactory())

    def pulse(self, line: int, at: float) -> None:
        pin = self._factory.pin(line)
        with patch("gpiozero.pins.mock.monotonic", return_value=at):
            pin.drive_low()
            pin.drive_high()


class HidRig(Rig):
    """The real driver at two recorded devices: a reader of cards and a keypad."""

    def reader(self, on_card: Callable[[float, str], None], on_key: Callable[[float, str], None]) -> Reader:
        pipes = {each: os.pipe() for each in ("cards", "keys")}
        self._ends = {each: write for each, (_read, write) in pipes.items()}
        readers = [
            HidReader(each, each, on_card, on_key, open_device=lambda path: pipes[path][0], clock=station_time)
            for each in ("cards", "keys")
        ]
        for each in readers:
            self.on_exit.callback(each.close)
        for end in self._ends.values():
            self.on_exit.callback(os.close, end)
        return _Both(readers)

    def present(self, number: int) -> None:
        self._type("cards", f"{number:010}#")

    def press(self, key: str) -> None:
        self._type("keys", key)

    def _type(self, device: str, keys: str) -> None:
        with suppress(BrokenPipeError):  # whoever let go of the device hears nothing of it
            os.write(self._ends[device], strokes(keys))


class UinputRig(Rig):
    """The real driver at keyboards that the kernel makes."""

    def reader(self, on_card: Callable[[float, str], None], on_key: Callable[[float, str], None]) -> Reader:
        self._cards, self._keys = (self.on_exit.enter_context(Keyboard()) for _ in range(2))
        readers = [
            HidReader(self._cards.path, "cards", on_card, on_key, clock=station_time),
            HidReader(self._keys.path, "keys", on_card, on_key, clock=station_time),
        ]
        for each in readers:
            self.on_exit.callback(each.close)
        assert eventually(lambda: self._cards.is_grabbed() and self._keys.is_grabbed())
        return _Both(readers)

    def present(self, number: int) -> None:
        self._cards.type(f"{number:010}#")

    def press(self, key: str) -> None:
        self._keys.type(key)


class _Both:
    def __init__(self, readers: list[HidReader]) -> None:
        self._readers = readers

    def close(self) -> None:
        for each in self._readers:
            each.close()


RIGS: dict[str, Callable[[], Rig]] = {
    "simulated": SimulatedRig,
    "wiegand_mock_pins": MockPinRig,
    "wiegand_fake_kernel": WiegandRig,
    "hid_recorded": HidRig,
    "hid_uinput": UinputRig,
}


@pytest.fixture(params=[pytest.param(each, marks=[needs_uinput] if "uinput" in each else []) for each in RIGS])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    rig = RIGS[request.param]()
    with rig.on_exit:
        yield rig


def test_a_reader_reports_each_card_with_its_station_time(rig: Rig) -> None:
    cards: Seen = []
    keys: Seen = []
    rig.reader(lambda at, number: cards.append((at, number)), lambda at, key: keys.append((at, key)))
    began = station_time()
    for number in (12_345_678, 1, 12_345_678):
        rig.present(number)
        time.sleep(0.1)  # a hand takes longer to come again
    assert eventually(lambda: len(cards) == 3)
    assert [int(number) for _at, number in cards] == [12_345_678, 1, 12_345_678]
    moments = [at for at, _number in cards]
    assert moments == sorted(moments)
    assert began - 0.001 <= moments[0] <= moments[-1] <= station_time() + 0.001
    assert keys == []


def test_a_keypad_reports_each_key_in_its_order(rig: Rig) -> None:
    cards: Seen = []
    keys: Seen = []
    rig.reader(lambda at, number: cards.append((at, number)), lambda at, key: keys.append((at, key)))
    began = station_time()
    for key in "0912*3#":
        rig.press(key)
    assert eventually(lambda: len(keys) == 7)
    assert "".join(key for _at, key in keys) == "0912*3#"
    assert began - 0.001 <= keys[0][0] <= keys[-1][0] <= station_time() + 0.001
    assert cards == []


def test_a_reader_that_is_closed_reports_nothing(rig: Rig) -> None:
    seen: Seen = []
    reader = rig.reader(lambda at, number: seen.append((at, number)), lambda at, key: seen.append((at, key)))
    reader.close()
    reader.close()
    rig.present(7)
    rig.press("7")
    time.sleep(0.1)
    assert seen == []
