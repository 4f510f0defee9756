"""Light and buzzer without wires."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from drivers.errors import DeviceClosedError
from drivers.indicator import find_pattern

# Some hours of a busy door; whoever reads the record reads it at once.
_REMEMBERED = 1000


class SimulatedIndicator:
    """A `drivers.indicator.Indicator` that records what it was told to show.

    It plays no steps, has no thread, and does not return to the last pattern that lasts. `shown`: the station time and
    the name of the last 1,000 patterns, oldest first.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._is_closed = False
        self.shown: deque[tuple[float, str]] = deque(maxlen=_REMEMBERED)

    def show(self, pattern: str) -> None:
        """See `Indicator`."""
        find_pattern(pattern)
        if self._is_closed:
            raise DeviceClosedError("the simulated indicator is closed: show nothing after the shutdown")
        self.shown.append((self._clock(), pattern))

    def close(self) -> None:
        """See `Indicator`."""
        self._is_closed = True
