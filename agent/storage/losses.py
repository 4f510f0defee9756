"""What was dropped because the disk did not write: told at once, and counted until the log itself can say so."""

from __future__ import annotations

import logging
from collections.abc import Callable

from agent.clock import Clock
from agent.events import EntriesLost, Event
from agent.storage.orders import Orders

_logger = logging.getLogger(__name__)


class LossCount:
    """`entries` and `readings` that are gone and not yet said in the log. Used by one thread at a time."""

    def __init__(self, clock: Clock, post: Callable[[Event], None]) -> None:
        self.entries = 0
        self.readings = 0
        self._unmeasured = 0  # of the readings: values that no minute has, and that were not told as such yet
        self._clock = clock
        self._post = post

    def tell(self, orders: Orders) -> None:
        """Count what `orders` had to drop since the last call, and tell of entries."""
        lost = orders.take_losses()
        self.entries += lost.entries
        self.readings += lost.readings
        self._unmeasured += lost.readings
        if lost.entries:
            _logger.warning("%d entries were lost: the disk does not write", lost.entries)
            self._post(EntriesLost(self._clock.now(), tuple(lost.tags)))

    def take_unmeasured(self) -> int:
        """Values that were dropped before they were part of a minute, since the last call."""
        taken, self._unmeasured = self._unmeasured, 0
        return taken
