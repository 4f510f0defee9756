"""Devices that do not speak by themselves: one thread asks each device of a bus in turn."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from drivers.errors import DeviceError

# A device answers in milliseconds and its driver gives up within a second; two leave room for one repetition. Others on
# the bus wait meanwhile, so a slower answer counts as a failure.
READ_LIMIT_S = 2.0
# A device that fails is asked less often, so that its time-outs do not hold up the others; once a minute is still often
# enough for whoever has just plugged it in again.
_LONGEST_WAIT_S = 60.0

_logger = logging.getLogger(__name__)


class PolledDevice(Protocol):
    """A device that answers when asked, such as a power meter."""

    def read(self) -> Mapping[str, float]:
        """Ask once: values by quantity with the unit in its name, such as `power_w`, `voltage_v`, `energy_kwh`.

        Runs on the bus's thread and ends within the bus's limit by time-outs of its own. Raises `DeviceError`.
        """


@dataclass(slots=True)
class _Turn:
    """How often a device is asked, when next (`time.monotonic`, seconds), and how often in a row it failed."""

    device: PolledDevice
    interval_s: float
    due: float
    failures: int = 0

    def pause_s(self) -> float:
        doublings = min(self.failures, 10)  # bounded: 2.0 ** 1024 does not fit into a float
        return max(self.interval_s, min(self.interval_s * 2.0**doublings, _LONGEST_WAIT_S))


class BusPoller:
    """Asks every device of one bus each `interval_s` seconds, one after another, on one thread.

    `devices`: by their names in the settings. `interval_s`: one for all, or one for each by its name.
    `on_read(at, device, values)` gets every good answer; `on_failed(at, device, reason)` is called once when a device
    begins to fail, `on_recovered(at, device)` once it answers again (before that answer's `on_read`). All run on the
    bus's thread and must not wait; `at` is station time by `clock`, the intervals are real ones. A failing device is
    asked with growing pauses, at most 60 s. When the thread dies of a mistake it calls `on_died(bus, reason)`.
    `read_limit_s`: what one read may take; a bus of its own with more than `READ_LIMIT_S` is for devices whose
    measurement takes long, such as some CO2 sensors.
    """

    def __init__(
        self,
        bus: str,
        devices: Mapping[str, PolledDevice],
        *,
        interval_s: float | Mapping[str, float],
        on_read: Callable[[float, str, Mapping[str, float]], None],
        on_failed: Callable[[float, str, str], None],
        on_recovered: Callable[[float, str], None],
        on_died: Callable[[str, str], None],
        read_limit_s: float = READ_LIMIT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        intervals_s = interval_s if isinstance(interval_s, Mapping) else dict.fromkeys(devices, interval_s)
        for name in devices:
            if not intervals_s.get(name, 0.0) > 0:
                raise ValueError(f"cannot poll {name} on {bus} every {intervals_s.get(name)} s: give more than 0")
        self._bus = bus
        self._on_read = on_read
        self._on_failed = on_failed
        self._on_recovered = on_recovered
        self._on_died = on_died
        self._read_limit_s = read_limit_s
        self._clock = clock
        now = time.monotonic()
        self._turns = {name: _Turn(device, intervals_s[name], due=now) for name, device in devices.items()}
        self._asking: tuple[str, float] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"bus-{bus}", daemon=True)

    def start(self) -> None:
        """Begin; every device is asked at once."""
        self._thread.start()

    def stop(self, join_s: float | None = None) -> bool:
        """End the thread and return whether it ended within `join_s`: a read that hangs for ever is left behind.

        By default as long as a read may take, and half a second.
        """
        join_s = self._read_limit_s + 0.5 if join_s is None else join_s
        self._stopping.set()
        if self._thread.ident is None:
            return True
        self._thread.join(join_s)
        if self._thread.is_alive():
            _logger.error(
                "bus %s did not end in %s s: %s hangs", self._bus, join_s, self.hanging() or "a read or a receiver"
            )
        return not self._thread.is_alive()

    def hanging(self) -> str | None:
        """Name the device whose read has gone on longer than it may, which holds up the bus. For every thread."""
        asking = self._asking
        if asking is None or time.monotonic() - asking[1] <= self._read_limit_s:
            return None
        return asking[0]

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                name = min(self._turns, key=lambda name: self._turns[name].due, default=None)
                if name is None:
                    return
                if not self._stopping.wait(self._turns[name].due - time.monotonic()):
                    self._take_turn(name, self._turns[name])
        except Exception as error:  # the border of this thread
            _logger.exception("bus %s died", self._bus)
            self._on_died(self._bus, f"{type(error).__name__}: {error}")

    def _take_turn(self, name: str, turn: _Turn) -> None:
        values, reason = self._ask(name, turn.device)
        if self._stopping.is_set():
            return
        at = self._clock()
        if reason:
            if turn.failures == 0:
                self._on_failed(at, name, reason)
            turn.failures += 1
        else:
            if turn.failures:
                self._on_recovered(at, name)
            turn.failures = 0
            self._on_read(at, name, values)
        turn.due = max(turn.due, time.monotonic() - turn.interval_s) + turn.pause_s()

    def _ask(self, name: str, device: PolledDevice) -> tuple[Mapping[str, float], str]:
        """Return the values, or why there are none."""
        began = time.monotonic()
        self._asking = (name, began)
        try:
            values = device.read()
        except DeviceError as error:
            return {}, str(error)
        except Exception as error:  # the border to a device's driver: one that fails must not take the bus with it
            _logger.exception("%s on bus %s: its driver failed", name, self._bus)
            return {}, f"its driver failed ({type(error).__name__}): report this with the log"
        finally:
            self._asking = None
        took_s = time.monotonic() - began
        if took_s > self._read_limit_s:
            limit_s = self._read_limit_s
            return {}, f"answered after {took_s:.1f} s, at most {limit_s} s: check the wiring and the address"
        nonsense = [quantity for quantity, value in values.items() if not math.isfinite(value)]
        if nonsense:
            return {}, f"{', '.join(nonsense)} is not a number: check the device and its type in the settings"
        return values, ""
