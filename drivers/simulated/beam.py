"""A counter in the doorway without beams."""

from __future__ import annotations

import time
from collections.abc import Callable

from drivers.beam import OnCount


class SimulatedBeams:
    """A `drivers.beam.Counter` past which people go by calls; every call comes on the thread that tells it.

    It never miscounts, as real beams do with two people close together, and reports a blocked beam at once.
    """

    def __init__(
        self,
        on_count: OnCount,
        *,
        on_failed: Callable[[float, str], None] | None = None,
        on_recovered: Callable[[float], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_count = on_count
        self._on_failed = on_failed
        self._on_recovered = on_recovered
        self._clock = clock
        self._is_blocked = False
        self._is_closed = False

    def close(self) -> None:
        """See `Counter`."""
        self._is_closed = True

    def enter(self) -> None:
        """Somebody comes in; nobody is counted while a beam is blocked."""
        self._pass(is_entering=True)

    def leave(self) -> None:
        """Somebody goes out."""
        self._pass(is_entering=False)

    def turn_back(self) -> None:
        """Somebody comes into the doorway and goes back to where he came from: he counts nothing."""

    def block(self, reason: str = "the simulated outer beam is interrupted: call unblock()") -> None:
        """Something stands in a beam for long."""
        if not self._is_blocked and not self._is_closed and self._on_failed is not None:
            self._on_failed(self._clock(), reason)
        self._is_blocked = True

    def unblock(self) -> None:
        """The doorway is free again."""
        if self._is_blocked and not self._is_closed and self._on_recovered is not None:
            self._on_recovered(self._clock())
        self._is_blocked = False

    def _pass(self, *, is_entering: bool) -> None:
        if not self._is_blocked and not self._is_closed:
            self._on_count(self._clock(), is_entering)
