"""The sensor that sees whether somebody moves in the room."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from gpiozero import Factory

from drivers.edges import EdgeInput, Pull


class Motion(Protocol):
    """Movement, or none. No movement does not mean an empty room."""

    @property
    def is_moving(self) -> bool:
        """Whether the sensor sees movement now. Raises `DeviceError`."""

    def close(self) -> None:
        """Release the sensor; nothing is reported afterwards. Closing twice does nothing."""


class MotionSensor:
    """A `Motion` sensor on one pin: by default a PIR module that drives its output high while it sees movement.

    A cut wire reads as no movement. `on_change(at, is_moving)` gets every edge with its station time, on the pin
    factory's thread. `on_failed(at, reason)` is called once when the sensor cannot be read any more. Raises `PinError`.
    """

    def __init__(
        self,
        pin: int,
        on_change: Callable[[float, bool], None],
        *,
        moving_is_high: bool = True,
        pull: Pull = "down",
        on_failed: Callable[[float, str], None] | None = None,
        pin_factory: Factory,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_change = on_change
        self._on_failed = on_failed
        self._moving_is_high = moving_is_high
        self._input = EdgeInput(
            "motion sensor", pin, pull=pull, on_edge=self._edge_seen, pin_factory=pin_factory, clock=clock
        )

    @property
    def is_moving(self) -> bool:
        """See `Motion`."""
        return self._input.is_high is self._moving_is_high

    def close(self) -> None:
        """See `Motion`."""
        self._input.close()

    def _edge_seen(self, at: float, is_high: bool | None) -> None:
        if is_high is not None:
            self._on_change(at, is_high is self._moving_is_high)
        elif self._on_failed is not None:
            self._on_failed(at, "the motion sensor cannot be read: check the GPIO chip, then restart")
