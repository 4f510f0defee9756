"""The thread that decides: takes facts from one inbox, asks the rules, carries out their orders.

Nothing else decides and nothing here waits for anything but the inbox, so that a slow disk, broker or camera never
keeps a door shut.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Mapping
from typing import Any

from agent.clock import Clock, SkippingClock
from agent.core import station
from agent.core.state import Rules, StationState
from agent.effects import Effect, Exit
from agent.events import Event, PauseSkipped, Restored, ShutdownRequested, TimePassed

log = logging.getLogger(__name__)

INBOX_SIZE = 10_000
"""Facts that may wait. Deciding takes well under a millisecond, so this is many seconds of the worst flood."""

LONGEST_WAIT_S = 1.0
"""The loop turns at least this often, to feed the watchdog; small against any sensible WatchdogSec."""

Carry = Callable[[Any], None]


class Inbox:
    """Where facts arrive, from every thread; posting never blocks."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Event] = queue.Queue(INBOX_SIZE)
        self._ending: ShutdownRequested | None = None
        self.dropped = 0

    def post(self, event: Event) -> None:
        """Add a fact; when the inbox is full it is dropped and counted, for whoever floods must not stop the door."""
        if isinstance(event, ShutdownRequested):
            self._ending = event  # the one fact that is never dropped
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            if self.dropped == 0:
                log.warning("the inbox is full; facts are dropped, the first is a %s", type(event).__name__)
            self.dropped += 1

    def take(self, timeout_s: float) -> Event | None:
        """The next fact, or None after `timeout_s` seconds. Deciding thread only."""
        if self._ending is not None:
            return self._ending
        try:
            return self._queue.get(timeout=timeout_s) if timeout_s > 0 else self._queue.get_nowait()
        except queue.Empty:
            return None


class Loop:
    """Runs `core.station` until it orders `Exit`. `carry` maps each type of order to what carries it out."""

    def __init__(self, inbox: Inbox, clock: Clock, rules: Rules, carry: Mapping[type[Effect], Carry]) -> None:
        self._inbox = inbox
        self._clock = clock
        self._rules = rules
        self._carry = carry
        self.state: StationState | None = None

    def run(self, restored: Restored, feed_watchdog: Callable[[], object]) -> int:
        """Decide until the end; returns the process's exit code. Runs on the calling thread."""
        now = self._clock.now()
        state, effects = station.begin(self._rules, restored, now)
        while True:
            self.state = state
            for effect in effects:
                if isinstance(effect, Exit):
                    log.info("ending: %s", effect.reason)
                    return effect.code
                self._carry[type(effect)](effect)
            feed_watchdog()
            event = self._inbox.take(self._wait_s(state))
            if isinstance(event, PauseSkipped) and isinstance(self._clock, SkippingClock):
                self._clock.skip(event.seconds)
            now = max(now, self._clock.now())
            state, effects = station.step(state, event or TimePassed(now), now, self._rules)

    def _wait_s(self, state: StationState) -> float:
        deadline = station.next_deadline(state, self._rules)
        if deadline is None:
            return LONGEST_WAIT_S
        return min(LONGEST_WAIT_S, max(0.0, deadline - self._clock.now()))
