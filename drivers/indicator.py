"""The light and the buzzer for the person at the door."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from gpiozero import Factory, OutputDevice

from drivers.errors import DeviceClosedError, DeviceError, UnknownPatternError
from drivers.pins import claiming, using

# The thread only sleeps between steps and is woken to end; longer means that a pin's write hangs.
_JOIN_S = 2.0

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Step:
    """Light and sound for so many seconds."""

    seconds: float
    light: bool = False
    sound: bool = False


@dataclass(frozen=True, slots=True)
class Pattern:
    """Steps in their order. One that lasts begins again at its end; another gives way to the last one that lasts."""

    steps: tuple[Step, ...]
    lasts: bool


def _momentary(*steps: Step) -> Pattern:
    return Pattern(steps, lasts=False)


def _lasting(*steps: Step) -> Pattern:
    return Pattern(steps, lasts=True)


_BEEP_AND_FLASH = Step(0.12, light=True, sound=True)

PATTERNS = MappingProxyType(
    {
        # One tone and a long light: go in.
        "granted": _momentary(Step(0.25, light=True, sound=True), Step(1.75, light=True)),
        # Three short tones, as different from the one as can be: not you, read the screen.
        "refused": _momentary(*(_BEEP_AND_FLASH, Step(0.12)) * 3),
        # Quick light without sound, for somebody who stands there but cannot be seen well.
        "look_here": _momentary(*(Step(0.1, light=True), Step(0.1)) * 4),
        # Two even tones like a door bell's, and a light that says: wait.
        "called": _momentary(*(Step(0.35, light=True, sound=True), Step(0.15)) * 2, Step(2.0, light=True)),
        # One long tone and light, or two: which way to turn the head. By the light alone, where there is no buzzer.
        "look_left": _momentary(Step(0.8, light=True, sound=True), Step(0.3)),
        "look_right": _momentary(*(Step(0.25, light=True, sound=True), Step(0.2)) * 2),
        # One short tone every other second: before the alarm, and not one yet.
        "close_the_door": _lasting(Step(0.06, light=True, sound=True), Step(1.94)),
        # A reminder that can be borne for minutes, for whoever holds the door may be carrying something.
        "door_open_too_long": _lasting(_BEEP_AND_FLASH, Step(0.88)),
        # Not to be overheard.
        "alarm": _lasting(Step(0.25, light=True, sound=True), Step(0.25, sound=True)),
        "ready": _lasting(Step(1.0, light=True)),
        # Slow and silent: it concerns the station master, not the rider.
        "fault": _lasting(Step(0.2, light=True), Step(1.8)),
        "off": _lasting(Step(1.0)),
    }
)


def find_pattern(name: str) -> Pattern:
    """Return the pattern of this name. Raises `UnknownPatternError`."""
    try:
        return PATTERNS[name]
    except KeyError:
        raise UnknownPatternError(f"no indication is called {name!r}: use one of {', '.join(PATTERNS)}") from None


class Indicator(Protocol):
    """Light and sound. One pattern at a time; a momentary one gives way to the last one that lasts."""

    def show(self, pattern: str) -> None:
        """Show a pattern of `PATTERNS` from its beginning, at once. Never waits. Raises `UnknownPatternError`."""

    def close(self) -> None:
        """Light and sound off. Closing twice does nothing."""


class LightAndBuzzer:
    """An `Indicator` of a light and a buzzer, each on one pin and switched on or off; `buzzer_pin` None means silent.

    Its own thread plays the steps, for `time.monotonic` whatever the station's clock says. `on_failed(at, reason)` is
    called once when a pin cannot be written, `on_recovered(at)` when it can again, `on_died(worker, reason)` when the
    thread dies of a mistake: all on that thread, with the station time by `clock`. Raises `PinError`.
    """

    def __init__(
        self,
        light_pin: int,
        buzzer_pin: int | None = None,
        *,
        light_active_high: bool = True,
        buzzer_active_high: bool = True,
        on_failed: Callable[[float, str], None] | None = None,
        on_recovered: Callable[[float], None] | None = None,
        on_died: Callable[[str, str], None] | None = None,
        pin_factory: Factory,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_failed = on_failed
        self._on_recovered = on_recovered
        self._on_died = on_died
        self._clock = clock
        self._has_failed = False
        self._changed = threading.Condition()
        self._lasting = PATTERNS["off"]
        self._wanted: Pattern | None = None
        self._is_closed = False
        with claiming(f"light on line {light_pin}"):
            self._light = OutputDevice(light_pin, active_high=light_active_high, pin_factory=pin_factory)
        self._buzzer = self._claim_buzzer(buzzer_pin, buzzer_active_high, pin_factory)
        self._thread = threading.Thread(target=self._run, name="indicator", daemon=True)
        self._thread.start()

    def show(self, pattern: str) -> None:
        """See `Indicator`."""
        wanted = find_pattern(pattern)
        with self._changed:
            if self._is_closed:
                raise DeviceClosedError("the indicator is closed: show nothing after the shutdown")
            self._wanted = wanted
            if wanted.lasts:
                self._lasting = wanted
            self._changed.notify()

    def close(self) -> None:
        """See `Indicator`."""
        with self._changed:
            if self._is_closed:
                return
            self._is_closed = True
            self._changed.notify()
        self._thread.join(_JOIN_S)
        if self._thread.is_alive():
            _logger.error("the indicator's thread did not end in %s s: a write to its pins hangs", _JOIN_S)
        try:
            self._drive(Step(0.0))
        finally:
            self._close_outputs()

    def _claim_buzzer(self, pin: int | None, active_high: bool, pin_factory: Factory) -> OutputDevice | None:
        if pin is None:
            return None
        try:
            with claiming(f"buzzer on line {pin}"):
                return OutputDevice(pin, active_high=active_high, pin_factory=pin_factory)
        except BaseException:
            self._light.close()
            raise

    def _close_outputs(self) -> None:
        with using("indicator"):
            self._light.close()
            if self._buzzer is not None:
                self._buzzer.close()

    def _run(self) -> None:
        try:
            self._play()
        except Exception as error:  # the border of this thread
            _logger.exception("the indicator's thread died")
            if self._on_died is not None:
                self._on_died("indicator", f"{type(error).__name__}: {error}")

    def _play(self) -> None:
        current, index = PATTERNS["off"], 0
        while True:
            step = current.steps[index]
            self._drive_reporting(step)
            is_steady = current.lasts and len(current.steps) == 1
            with self._changed:
                self._changed.wait_for(self._is_woken, None if is_steady else step.seconds)
                if self._is_closed:
                    return
                wanted, self._wanted = self._wanted, None
                index += 1
                if wanted is not None:
                    current, index = wanted, 0
                elif index == len(current.steps):
                    current, index = self._lasting, 0

    def _is_woken(self) -> bool:
        return self._is_closed or self._wanted is not None

    def _drive(self, step: Step) -> None:
        with using("indicator"):
            self._light.value = step.light
            if self._buzzer is not None:
                self._buzzer.value = step.sound

    def _drive_reporting(self, step: Step) -> None:
        try:
            self._drive(step)
        except DeviceError as error:
            if not self._has_failed and self._on_failed is not None:
                self._on_failed(self._clock(), str(error))
            self._has_failed = True
        else:
            if self._has_failed and self._on_recovered is not None:
                self._on_recovered(self._clock())
            self._has_failed = False
