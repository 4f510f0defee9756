"""How long to wait before the next attempt to connect."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off with full jitter: a random time from 0 to a limit that doubles with each failure.

    All stations of a province lose a broker in the same second. Full jitter spreads them evenly over the limit
    ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015): 15,000 stations come back at 4,000 a second at most
    while the limit is 4 s, and at 250 a second once it is 60 s; a cluster takes the first, one machine the second.

    first_s: limit of the first wait, s: a link that only blinked is back after 2 s on average.
    longest_s: the limit stops growing here, s: the centre hears of a station within a minute of the broker's return.
    least_s: never less than this, s: an unlucky draw must not make a busy loop.
    """

    first_s: float = 4.0
    longest_s: float = 60.0
    least_s: float = 0.1

    def wait_s(self, failures: int, draw: Callable[[], float] = random.random) -> float:
        """Seconds to wait after `failures` (1 or more) in a row; `draw` gives a number in [0, 1)."""
        doublings = min(failures - 1, 32)  # 2**32 s is beyond every limit; keeps the float finite
        limit = min(self.longest_s, self.first_s * 2.0**doublings)
        return max(self.least_s, limit * draw())
