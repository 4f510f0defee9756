"""A power meter without wires."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from drivers.errors import DeviceError

_MAINS_V = 220.0  # the nominal voltage in China (GB/T 156)
_MAINS_HZ = 50.0


class SimulatedMeter:
    """A `drivers.bus.PolledDevice` that measures what it is told, in the quantities of `drivers.modbus_meter`.

    Its mains are always 220 V at 50 Hz, and do not sag under a load. It has one phase, no noise, no start-up current,
    and no resolution (a real one rounds, and shows nothing of the first 0.4 W or so); it answers at once, and forgets
    its energy with the process. The power factor is the one it was given, also without a load. Calls may come from
    every thread; the energy grows by `clock`.
    """

    def __init__(
        self, *, power_w: float = 0.0, power_factor: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._power_w = power_w
        self._power_factor = _in_range(power_factor)
        self._energy_kwh = 0.0
        self._counted_at = clock()
        self._failure = ""

    def read(self) -> Mapping[str, float]:
        """See `PolledDevice`."""
        with self._lock:
            if self._failure:
                raise DeviceError(self._failure)
            self._count()
            return {
                "power_w": self._power_w,
                "voltage_v": _MAINS_V,
                "current_a": self._power_w / (_MAINS_V * self._power_factor),
                "energy_kwh": self._energy_kwh,
                "frequency_hz": _MAINS_HZ,
                "power_factor": self._power_factor,
            }

    def set_power(self, power_w: float, power_factor: float | None = None) -> None:
        """The appliance draws this much from now on. Raises ValueError for a power factor that is not in (0, 1]."""
        with self._lock:
            self._count()
            self._power_w = power_w
            if power_factor is not None:
                self._power_factor = _in_range(power_factor)

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


def _in_range(power_factor: float) -> float:
    if not 0 < power_factor <= 1:
        raise ValueError(f"no appliance has the power factor {power_factor}: use more than 0 and at most 1")
    return power_factor
