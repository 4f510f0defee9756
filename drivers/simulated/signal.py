"""A wire that says one thing, without the wire."""

from __future__ import annotations

import time
from collections.abc import Callable

from drivers.errors import DeviceClosedError


class SimulatedSignal:
    """A `drivers.signal.Signal` that says what it is told.

    It never bounces and is never cut, and `on_change` runs on the thread that tells it.
    """

    def __init__(
        self,
        on_change: Callable[[float, bool | None], None],
        *,
        on_failed: Callable[[float, str], None] | None = None,
        is_active: bool | None = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_change = on_change
        self._on_failed = on_failed
        self._clock = clock
        self._is_active = is_active
        self._is_closed = False

    @property
    def is_active(self) -> bool | None:
        """See `Signal`."""
        if self._is_closed:
            raise DeviceClosedError("the simulated signal is closed: read nothing after the shutdown")
        return self._is_active

    def close(self) -> None:
        """See `Signal`."""
        self._is_closed = True

    def begin(self) -> None:
        """There is something to say; nothing happens when it is said already."""
        self._change(True)

    def end(self) -> None:
        """It is over."""
        self._change(False)

    def fail(self) -> None:
        """It cannot be read any more, until it begins or ends."""
        if self._is_active is not None and not self._is_closed and self._on_failed is not None:
            self._on_failed(self._clock(), "the simulated signal cannot be read: let it begin or end")
        self._change(None)

    def _change(self, is_active: bool | None) -> None:
        if is_active is self._is_active:
            return
        self._is_active = is_active
        if not self._is_closed:
            self._on_change(self._clock(), is_active)
