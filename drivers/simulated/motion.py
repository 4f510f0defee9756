"""A motion sensor without wires."""

from __future__ import annotations

import time
from collections.abc import Callable

from drivers.errors import DeviceClosedError


class SimulatedMotionSensor:
    """A `drivers.motion.Motion` sensor that sees what it is told.

    It has no range, no blind time after a movement as a PIR has, and `on_change` runs on the thread that tells it.
    """

    def __init__(
        self, on_change: Callable[[float, bool], None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._on_change = on_change
        self._clock = clock
        self._is_moving = False
        self._is_closed = False

    @property
    def is_moving(self) -> bool:
        """See `Motion`."""
        if self._is_closed:
            raise DeviceClosedError("the simulated motion sensor is closed: read nothing after the shutdown")
        return self._is_moving

    def close(self) -> None:
        """See `Motion`."""
        self._is_closed = True

    def start_moving(self) -> None:
        """Somebody begins to move."""
        self._change(True)

    def stop_moving(self) -> None:
        """Everything is still."""
        self._change(False)

    def _change(self, is_moving: bool) -> None:
        if is_moving is self._is_moving:
            return
        self._is_moving = is_moving
        if not self._is_closed:
            self._on_change(self._clock(), is_moving)
