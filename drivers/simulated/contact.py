"""A door contact without wires."""

from __future__ import annotations

import time
from collections.abc import Callable

from drivers.errors import DeviceClosedError


class SimulatedDoorContact:
    """A `drivers.contact.Contact` on a door that is moved by calls.

    It never bounces, and `on_change` runs on the thread that moves the door.
    """

    def __init__(
        self,
        on_change: Callable[[float, bool | None], None],
        *,
        is_open: bool | None = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_change = on_change
        self._clock = clock
        self._is_open = is_open
        self._is_closed = False

    @property
    def is_open(self) -> bool | None:
        """See `Contact`."""
        if self._is_closed:
            raise DeviceClosedError("the simulated door contact is closed: read nothing after the shutdown")
        return self._is_open

    def close(self) -> None:
        """See `Contact`."""
        self._is_closed = True

    def open_door(self) -> None:
        """The door opens; nothing happens when it stands open."""
        self._change(True)

    def shut_door(self) -> None:
        """The door falls shut; nothing happens when it is shut."""
        self._change(False)

    def fail(self) -> None:
        """The contact cannot be read any more, until the door is moved."""
        self._change(None)

    def _change(self, is_open: bool | None) -> None:
        if is_open is self._is_open:
            return
        self._is_open = is_open
        if not self._is_closed:
            self._on_change(self._clock(), is_open)
