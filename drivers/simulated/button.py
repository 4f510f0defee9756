"""A push button without wires."""

from __future__ import annotations

import time
from collections.abc import Callable

from drivers.errors import DeviceClosedError


class SimulatedPushButton:
    """A `drivers.button.Button` that is pressed by calls.

    It never bounces, and `on_press` runs on the thread that presses. As an exit button it does not release the lock by
    a wire of its own, as a real one does.
    """

    def __init__(
        self, what: str, on_press: Callable[[float], None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._what = what
        self._on_press = on_press
        self._clock = clock
        self._is_pressed = False
        self._is_closed = False

    @property
    def is_pressed(self) -> bool:
        """See `Button`."""
        if self._is_closed:
            raise DeviceClosedError(f"the simulated {self._what} is closed: read nothing after the shutdown")
        return self._is_pressed

    def close(self) -> None:
        """See `Button`."""
        self._is_closed = True

    def press(self) -> None:
        """Push the button and let it go."""
        self.hold()
        self.let_go()

    def hold(self) -> None:
        """Push the button and stay on it."""
        if self._is_pressed:
            return
        self._is_pressed = True
        if not self._is_closed:
            self._on_press(self._clock())

    def let_go(self) -> None:
        """Take the hand off."""
        self._is_pressed = False
