"""One input pin whose edges are reported raw, each with the time it happened."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

from gpiozero import Factory, InputDevice

from drivers.errors import DeviceClosedError
from drivers.pins import claiming, using

Pull = Literal["up", "down", "none"]

# An edge is handed over in milliseconds. One that seems a minute old, or from the future, was stamped with another
# clock (lgpio takes the wall clock on old kernels); then the time of its arrival is the better one.
_OLDEST_EDGE_S = 60.0


class EdgeInput:
    """An input that calls `on_edge(at, is_high)` for every edge, bounces too.

    `what` names it in errors; `pull` is the resistor inside the chip; `clock` gives station time in seconds. `on_edge`
    runs on the thread of the pin factory and must not wait; `is_high` is None once the line cannot be read any more.
    Raises `PinError`.
    """

    def __init__(
        self,
        what: str,
        pin: int,
        *,
        pull: Pull,
        on_edge: Callable[[float, bool | None], None],
        pin_factory: Factory,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what = f"{what} on line {pin}"
        self._on_edge = on_edge
        self._clock = clock
        self._factory = pin_factory
        self._is_closed = False
        pull_up = {"up": True, "down": False, "none": None}[pull]
        with claiming(self._what):
            self._input = InputDevice(
                pin, pull_up=pull_up, active_state=True if pull_up is None else None, pin_factory=pin_factory
            )
            self._input.pin.edges = "both"
            self._input.pin.when_changed = self._pin_changed

    @property
    def is_high(self) -> bool:
        """The level now. Raises `DeviceError`."""
        if self._is_closed:
            raise DeviceClosedError(f"{self._what} is closed: read nothing after the shutdown")
        with using(self._what):
            return bool(self._input.pin.state)

    def close(self) -> None:
        """Release the pin; no edge is reported afterwards. Closing twice does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        with using(self._what):
            self._input.close()

    def _pin_changed(self, ticks: float, state: bool | None) -> None:
        if self._is_closed:
            return
        age_s = self._factory.ticks_diff(self._factory.ticks(), ticks)
        at = self._clock() - (age_s if 0.0 <= age_s <= _OLDEST_EDGE_S else 0.0)
        self._on_edge(at, None if state is None else bool(state))
