"""A radar without a serial port."""

from __future__ import annotations

import time
from collections.abc import Callable

from drivers.radar import OnPresence, Presence


class SimulatedRadar:
    """A `drivers.radar.Radar` that sees what it is told; every call comes on the thread that tells it.

    It does not repeat by itself what it sees: call `see` with the same again. It has no range and no flicker, and
    nothing confuses it.
    """

    def __init__(
        self,
        on_presence: OnPresence,
        *,
        on_failed: Callable[[float, str], None] | None = None,
        on_recovered: Callable[[float], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_presence = on_presence
        self._on_failed = on_failed
        self._on_recovered = on_recovered
        self._clock = clock
        self._has_failed = False
        self._is_closed = False

    def close(self) -> None:
        """See `Radar`."""
        self._is_closed = True

    def see(self, *, is_moving: bool = False, is_still: bool = False, distance_m: float = 2.0) -> None:
        """Report this; without arguments an empty room. A radar that had failed works again."""
        if self._is_closed:
            return
        if self._has_failed:
            self._has_failed = False
            if self._on_recovered is not None:
                self._on_recovered(self._clock())
        is_there = is_moving or is_still
        self._on_presence(self._clock(), Presence(is_moving, is_still, distance_m if is_there else None))

    def fail(self, reason: str = "the simulated radar sends nothing: call see()") -> None:
        """It cannot be read any more."""
        if not self._has_failed and not self._is_closed and self._on_failed is not None:
            self._on_failed(self._clock(), reason)
        self._has_failed = True
