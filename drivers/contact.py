"""The contact that tells whether the door stands open."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from gpiozero import Factory

from drivers.edges import EdgeInput, Pull
from drivers.errors import DeviceClosedError, DeviceError


class Contact(Protocol):
    """Open, shut, or not to be read."""

    @property
    def is_open(self) -> bool | None:
        """Whether the door stands open now; None when the contact cannot be read."""

    def close(self) -> None:
        """Release the contact (the door stays as it is); nothing is reported afterwards. Closing twice does nothing."""


class DoorContact:
    """A `Contact` on one pin: by default a reed to ground that is made while the door is shut.

    So an open door reads high, and a cut wire reads as an open door. `on_change(at, is_open)` gets every edge with its
    station time, bounces too, on the pin factory's thread; `is_open` is None once the contact cannot be read.
    Raises `PinError`.
    """

    def __init__(
        self,
        pin: int,
        on_change: Callable[[float, bool | None], None],
        *,
        open_is_high: bool = True,
        pull: Pull = "up",
        pin_factory: Factory,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_change = on_change
        self._open_is_high = open_is_high
        self._input = EdgeInput(
            "door contact", pin, pull=pull, on_edge=self._edge_seen, pin_factory=pin_factory, clock=clock
        )

    @property
    def is_open(self) -> bool | None:
        """See `Contact`."""
        try:
            return self._input.is_high is self._open_is_high
        except DeviceClosedError:
            raise
        except DeviceError:
            return None

    def close(self) -> None:
        """See `Contact`."""
        self._input.close()

    def _edge_seen(self, at: float, is_high: bool | None) -> None:
        self._on_change(at, None if is_high is None else is_high is self._open_is_high)
