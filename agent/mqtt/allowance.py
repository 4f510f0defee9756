"""How many messages are taken in a second, and at once. No threads and no clock here."""

from __future__ import annotations


class Allowance:
    """A bucket that is full at first. Used by one thread at a time."""

    def __init__(self, per_s: float, at_once: int) -> None:
        self._per_s = per_s
        self._at_once = float(at_once)
        self._left = self._at_once
        self._at: float | None = None

    def take(self, now: float) -> bool:
        """Whether one more is allowed at `now` (monotonic, s); it is counted then."""
        if self._at is not None:
            self._left = min(self._at_once, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
