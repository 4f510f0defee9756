"""A thermometer without wires."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from drivers.errors import DeviceError


class SimulatedDs18b20:
    """A `drivers.bus.PolledDevice` that measures the temperature it is told, in `temperature_c`.

    It answers at once where a real one takes 0.75 s, has no steps of 1/16 degree, and never says 85 after a loss of
    power. Calls may come from every thread.
    """

    def __init__(self, *, temperature_c: float = 20.0) -> None:
        self._lock = threading.Lock()
        self._temperature_c = temperature_c
        self._failure = ""

    def read(self) -> Mapping[str, float]:
        """See `PolledDevice`."""
        with self._lock:
            if self._failure:
                raise DeviceError(self._failure)
            return {"temperature_c": self._temperature_c}

    def set_temperature(self, temperature_c: float) -> None:
        """What is around the sensor has this temperature from now on."""
        with self._lock:
            self._temperature_c = temperature_c

    def fail(self, reason: str = "the simulated thermometer does not answer: call recover()") -> None:
        """Answer nothing from now on."""
        with self._lock:
            self._failure = reason

    def recover(self) -> None:
        """Answer again."""
        with self._lock:
            self._failure = ""
