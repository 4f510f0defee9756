"""A reader and keypad without wires."""

from __future__ import annotations

import time
from collections.abc import Callable

from drivers.keypad import KEYS, MAX_CARD, OnCard, OnKey


class SimulatedReader:
    """A `drivers.keypad.Reader` whose cards and keys come by calls, on the thread that calls.

    It never misreads and is never pulled out.
    """

    def __init__(self, on_card: OnCard, on_key: OnKey, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._on_card = on_card
        self._on_key = on_key
        self._clock = clock
        self._is_closed = False

    def close(self) -> None:
        """See `Reader`."""
        self._is_closed = True

    def present(self, number: str) -> None:
        """Hold a card to it. Raises ValueError for a number that no reader reports."""
        if not 0 < len(number) <= MAX_CARD or not set(number) <= set("0123456789abcdef"):
            raise ValueError(f"no reader reports this as a card: use 1 to {MAX_CARD} digits and letters a to f")
        if not self._is_closed:
            self._on_card(self._clock(), number)

    def press(self, keys: str) -> None:
        """Press these keys, one after the other. Raises ValueError for a key that no keypad has."""
        if not set(keys) <= KEYS:
            raise ValueError(f"no keypad has such a key: use {''.join(sorted(KEYS))}")
        for key in keys:
            if not self._is_closed:
                self._on_key(self._clock(), key)
