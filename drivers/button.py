"""Push buttons: the one inside that lets people out, and the one at the door that calls the station master.

The exit button is wired to the lock as well: leaving never waits for this program.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from gpiozero import Factory

from drivers.edges import EdgeInput, Pull


class Button(Protocol):
    """A push button."""

    @property
    def is_pressed(self) -> bool:
        """Whether it is held down now. Raises `DeviceError`."""

    def close(self) -> None:
        """Release the button's pin; nothing is reported afterwards. Closing twice does nothing."""


class PushButton:
    """A `Button` on one pin: by default to ground, so that it reads low while pressed.

    `what` names it in errors. `on_press(at)` gets every press with its station time, bounces too, on the pin factory's
    thread. `on_failed(at, reason)` is called once when the button cannot be read any more. Raises `PinError`.
    """

    def __init__(
        self,
        what: str,
        pin: int,
        on_press: Callable[[float], None],
        *,
        pressed_is_high: bool = False,
        pull: Pull = "up",
        on_failed: Callable[[float, str], None] | None = None,
        pin_factory: Factory,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what = what
        self._on_press = on_press
        self._on_failed = on_failed
        self._pressed_is_high = pressed_is_high
        self._input = EdgeInput(what, pin, pull=pull, on_edge=self._edge_seen, pin_factory=pin_factory, clock=clock)

    @property
    def is_pressed(self) -> bool:
        """See `Button`."""
        return self._input.is_high is self._pressed_is_high

    def close(self) -> None:
        """See `Button`."""
        self._input.close()

    def _edge_seen(self, at: float, is_high: bool | None) -> None:
        if is_high is None:
            if self._on_failed is not None:
                self._on_failed(at, f"the {self._what} cannot be read: check the GPIO chip, then restart")
        elif is_high is self._pressed_is_high:
            self._on_press(at)
