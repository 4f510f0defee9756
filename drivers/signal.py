"""A wire that says one thing: there is fire, a housing is open, the tank is empty, the floor is wet, the mains failed.

Floats, leak probes, smoke detectors' relays, the contacts of an AED's cabinet or a first-aid box, a relay on the mains:
each is a contact on one pin and needs no driver of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from gpiozero import Factory

from drivers.edges import EdgeInput, Pull
from drivers.errors import DeviceClosedError, DeviceError


class Signal(Protocol):
    """Active, at rest, or not to be read."""

    @property
    def is_active(self) -> bool | None:
        """Whether it says so now; None when it cannot be read."""

    def close(self) -> None:
        """Release the wire; nothing is reported afterwards. Closing twice does nothing."""


class SignalContact:
    """A `Signal` on one pin: by default a contact to ground that opens when there is something to say.

    So a cut wire counts as active; turned round (`active_is_high=False`) it would count as at rest, and nobody would
    notice. `what` names it in errors. `on_change(at, is_active)` gets every edge with its
    station time, bounces too, on the pin factory's thread; `is_active` is None once the wire cannot be read, and
    `on_failed(at, reason)` is called then. Raises `PinError`.
    """

    def __init__(
        self,
        what: str,
        pin: int,
        on_change: Callable[[float, bool | None], None],
        *,
        active_is_high: bool = True,
        pull: Pull = "up",
        on_failed: Callable[[float, str], None] | None = None,
        pin_factory: Factory,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what = what
        self._on_change = on_change
        self._on_failed = on_failed
        self._active_is_high = active_is_high
        self._input = EdgeInput(what, pin, pull=pull, on_edge=self._edge_seen, pin_factory=pin_factory, clock=clock)

    @property
    def is_active(self) -> bool | None:
        """See `Signal`."""
        try:
            return self._input.is_high is self._active_is_high
        except DeviceClosedError:
            raise
        except DeviceError:
            return None

    def close(self) -> None:
        """See `Signal`."""
        self._input.close()

    def _edge_seen(self, at: float, is_high: bool | None) -> None:
        if is_high is None and self._on_failed is not None:
            self._on_failed(at, f"the {self._what} cannot be read: check the GPIO chip, then restart")
        self._on_change(at, None if is_high is None else is_high is self._active_is_high)
