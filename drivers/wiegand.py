"""Readers and keypads with a Wiegand output: two lines that rest high, and a pulse on one of them for each bit.

A pulse to ground on D0 is a 0, on D1 a 1; it lasts 20 to 200 µs and the next one follows 0.2 to 20 ms later (Security
Industry Association, AC-01). A silence ends the frame. 26 and 34 bits are a card: an even parity over the first half,
the number, an odd parity over the second. 4 and 8 bits are a key. Anything else is noise and is dropped.

Untested on hardware: tested on gpiozero's mock pins and against a fake of the `gpiod` module.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from gpiozero import Factory, InputDevice

from drivers.keypad import OnCard, OnKey, key_of_burst
from drivers.pins import claiming, using

_logger = logging.getLogger(__name__)

CARD_BITS = (26, 34)
MAX_GAP_S = 0.025
"""Between two bits of a frame: the slowest readers pause 20 ms."""

MIN_GAP_S = 50e-6
"""Two pulses closer than this are a disturbance: the quickest readers take 200 µs a bit."""

# How long the lines must be silent before the thread looks: more than a gap, for each line's edges arrive by a thread
# of their own, and a busy machine hands them over late.
_SILENCE_S = 0.06
# A line that swings without end must not fill the memory; the longest frame there is has 37 bits.
_MAX_PULSES = 256
# The thread only waits and calls; longer means that a receiver hangs.
_JOIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Pulse:
    """One bit. `ticks`: when, on the pin factory's clock, seconds."""

    ticks: float
    bit: int


def frames_of(pulses: Sequence[Pulse]) -> list[tuple[Pulse, ...]]:
    """The frames in it, oldest first: a gap longer than `MAX_GAP_S` parts them, whatever order the pulses came in."""
    frames: list[list[Pulse]] = []
    for pulse in sorted(pulses, key=lambda each: each.ticks):
        if not frames or pulse.ticks - frames[-1][-1].ticks > MAX_GAP_S:
            frames.append([])
        frames[-1].append(pulse)
    return [tuple(frame) for frame in frames]


def is_disturbed(frame: Sequence[Pulse]) -> bool:
    """Whether two pulses are closer than a reader makes them."""
    return any(later.ticks - earlier.ticks < MIN_GAP_S for earlier, later in pairwise(frame))


def card_of(bits: Sequence[int]) -> str | None:
    """The number on the card, decimal; None when these are not a card's bits or a parity is wrong."""
    if len(bits) not in CARD_BITS:
        return None
    half = len(bits) // 2
    if sum(bits[:half]) % 2 != 0 or sum(bits[half:]) % 2 != 1:
        return None
    return str(int("".join(map(str, bits[1:-1])), 2))


class _Line:
    """One of the two lines. `on_pulse(ticks, bit)` runs on the factory's thread; a `bit` of None is its end."""

    def __init__(self, pin: int, bit: int, on_pulse: Callable[[float, int | None], None], factory: Factory) -> None:
        self._what = f"Wiegand D{bit} on line {pin}"
        self._bit = bit
        self._on_pulse = on_pulse
        with claiming(self._what):
            self._input = InputDevice(pin, pull_up=True, pin_factory=factory)
            self._input.pin.edges = "falling"
            self._input.pin.when_changed = self._edge_seen

    def close(self) -> None:
        with using(self._what):
            self._input.close()

    def _edge_seen(self, ticks: float, state: bool | None) -> None:
        if state is None:
            self._on_pulse(ticks, None)
        elif not state:
            self._on_pulse(ticks, self._bit)


class WiegandReader:
    """A `Reader` on two lines: cards by `on_card`, keys by `on_key`, both on this reader's own thread.

    `on_failed(at, reason)` is called once when a line cannot be read any more, on a thread of the pin factory's;
    `on_died(worker, reason)` when this reader's thread dies of a mistake. `misreads` counts frames that were dropped.
    Raises `PinError`.
    """

    def __init__(
        self,
        d0_pin: int,
        d1_pin: int,
        on_card: OnCard,
        on_key: OnKey,
        *,
        on_failed: Callable[[float, str], None] | None = None,
        on_died: Callable[[str, str], None] | None = None,
        pin_factory: Factory,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.misreads = 0
        self._on_card = on_card
        self._on_key = on_key
        self._on_failed = on_failed
        self._on_died = on_died
        self._factory = pin_factory
        self._clock = clock
        self._changed = threading.Condition()
        self._pulses: deque[Pulse] = deque(maxlen=_MAX_PULSES)
        self._count = 0
        self._is_closed = False
        self._has_failed = False
        self._lines = [_Line(d0_pin, 0, self._pulse_seen, pin_factory)]
        try:
            self._lines.append(_Line(d1_pin, 1, self._pulse_seen, pin_factory))
        except BaseException:
            self._lines[0].close()
            raise
        self._thread = threading.Thread(target=self._run, name=f"wiegand-{d0_pin}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """See `Reader`."""
        with self._changed:
            if self._is_closed:
                return
            self._is_closed = True
            self._changed.notify()
        for line in self._lines:
            line.close()
        self._thread.join(_JOIN_S)
        if self._thread.is_alive():
            _logger.error("%s did not end in %s s: a receiver hangs", self._thread.name, _JOIN_S)

    def _pulse_seen(self, ticks: float, bit: int | None) -> None:
        with self._changed:
            if self._is_closed:
                return
            if bit is not None:
                self._pulses.append(Pulse(ticks, bit))
                self._count += 1
                self._changed.notify()
                return
            is_first, self._has_failed = not self._has_failed, True
        if is_first and self._on_failed is not None:
            self._on_failed(self._clock(), "the reader cannot be read: check the GPIO chip, then restart")

    def _run(self) -> None:
        try:
            while (pulses := self._next_pulses()) is not None:
                for frame in frames_of(pulses):
                    self._report(frame)
        except Exception as error:  # the border of this thread
            _logger.exception("a Wiegand reader's thread died")
            if self._on_died is not None:
                self._on_died("wiegand", f"{type(error).__name__}: {error}")

    def _next_pulses(self) -> tuple[Pulse, ...] | None:
        """What came until the lines fell silent, or as much as is kept of it; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._pulses)
            while not self._is_closed:
                before = self._count
                if not self._changed.wait_for(lambda: self._is_closed or self._count > before, _SILENCE_S):  # noqa: B023
                    pulses = tuple(self._pulses)
                    self._pulses.clear()
                    return pulses
            return None

    def _report(self, frame: tuple[Pulse, ...]) -> None:
        bits = [each.bit for each in frame]
        age_s = self._factory.ticks_diff(self._factory.ticks(), frame[-1].ticks)
        at = self._clock() - max(0.0, age_s)
        if not is_disturbed(frame):
            if (number := card_of(bits)) is not None:
                self._on_card(at, number)
                return
            if (key := key_of_burst(bits)) is not None:
                self._on_key(at, key)
                return
        self.misreads += 1
        _logger.debug("a frame of %d bits was dropped", len(bits))  # never the bits: they may be a card's
