"""A sensor for the air, or another that Linux would read, without wires."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from drivers.errors import DeviceError

_ROOM = {"temperature_c": 21.0, "humidity_percent": 45.0, "pressure_hpa": 1013.25, "co2_ppm": 600.0}


class SimulatedIioSensor:
    """A `drivers.bus.PolledDevice` that measures what it is told; without `values` the air of a room.

    It answers at once where a CO2 sensor takes seconds, and has no noise and no drift. Calls may come from every
    thread.
    """

    def __init__(self, values: Mapping[str, float] | None = None) -> None:
        self._lock = threading.Lock()
        self._values = dict(_ROOM if values is None else values)
        self._failure = ""

    def read(self) -> Mapping[str, float]:
        """See `PolledDevice`."""
        with self._lock:
            if self._failure:
                raise DeviceError(self._failure)
            return dict(self._values)

    def set(self, quantity: str, value: float) -> None:
        """This quantity has this value from now on. Raises KeyError for one that the sensor does not measure."""
        with self._lock:
            if quantity not in self._values:
                raise KeyError(f"this sensor does not measure {quantity}: use one of {', '.join(self._values)}")
            self._values[quantity] = value

    def fail(self, reason: str = "the simulated sensor does not answer: call recover()") -> None:
        """Answer nothing from now on."""
        with self._lock:
            self._failure = reason

    def recover(self) -> None:
        """Answer again."""
        with self._lock:
            self._failure = ""
