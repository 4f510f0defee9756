"""A power meter without wires."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from drivers.errors import DeviceError

_MAINS_V = 220.0  # the nominal voltage in China (GB/T 156)


class SimulatedMeter:
    """A `drivers.bus.PolledDevice` that measures what it is told, in `power_w`, `voltage_v` and `energy_kwh`.

    It has no noise, no start-up current and no power factor, answers at once, and forgets its energy with the process.
    Calls may come from every thread; the energy grows by `clock`.
    """

    def __init__(self, *, power_w: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._power_w = power_w
        self._energy_kwh = 0.0
        self._counted_at = clock()
        self._failure = ""

    def read(self) -> Mapping[str, float]:
        """See `PolledDevice`."""
        with self._lock:
            if self._failure:
                raise DeviceError(self._failure)
            self._count()
            return {"power_w": self._power_w, "voltage_v": _MAINS_V, "energy_kwh": self._energy_kwh}

    def set_power(self, power_w: float) -> None:
        """The appliance draws this much from now on."""
        with self._lock:
            self._count()
            self._power_w = power_w

    def fail(self, reason: str = "the simulated meter does not answer: call recover()") -> None:
        """Answer nothing from now on; the energy goes on being counted."""
        with self._lock:
            self._failure = reason

    def recover(self) -> None:
        """Answer again."""
        with self._lock:
            self._failure = ""

    def _count(self) -> None:
        now = self._clock()
        self._energy_kwh += self._power_w * (now - self._counted_at) / 3_600_000.0
        self._counted_at = now
