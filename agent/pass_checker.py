"""Checks the signatures of passes on a thread of its own: a fraction of a millisecond each, but not the door's."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from agent.clock import Clock
from agent.core.access import Reason
from agent.core.passes import Pass, minute_of
from agent.effects import CheckPass
from agent.events import Event, PassChecked, WorkerFailed
from agent.signatures import ForgedPassError, UnreadablePassError, verify

log = logging.getLogger(__name__)

_WAITING_MAX = 16  # some seconds of the most that vision tells; a check that waits longer is no longer wanted
_JOIN_S = 0.2


class PassChecker:
    """Carries out `CheckPass` in order; `PassChecked` answers, with the time of the check."""

    def __init__(self, keys: Mapping[int, Ed25519PublicKey], clock: Clock, post: Callable[[Event], None]) -> None:
        self._keys = dict(keys)
        self._clock = clock
        self._post = post
        self._orders: queue.Queue[CheckPass | None] = queue.Queue(_WAITING_MAX)
        self._thread = threading.Thread(target=self._work, name="passes", daemon=True)
        self._thread.start()

    def check(self, order: CheckPass) -> None:
        """Put an order in line; never blocks. With too many waiting it is dropped: the code is still held up."""
        try:
            self._orders.put_nowait(order)
        except queue.Full:
            log.warning("too many codes wait to be checked: one is dropped")

    def close(self) -> None:
        """End the thread."""
        try:
            self._orders.put(None, timeout=_JOIN_S)
        except queue.Full:
            return  # it ends with the process
        self._thread.join(_JOIN_S)

    def _work(self) -> None:
        try:
            while (order := self._orders.get()) is not None:
                self._post(self._checked(order))
        except Exception as error:  # the top of this worker
            log.exception("the checker of passes died")
            self._post(WorkerFailed(self._clock.now(), "passes", type(error).__name__))

    def _checked(self, order: CheckPass) -> PassChecked:
        token: Pass | None = None
        fault = ""
        try:
            token = verify(order.text, self._keys)
        except UnreadablePassError:
            fault = Reason.PASS_UNREADABLE.value
        except ForgedPassError as error:
            fault = Reason.PASS_FORGED.value
            log.info("a pass was refused: %s", error)
        wall = self._clock.wall()
        return PassChecked(order.at, token, fault, minute_of(wall.utc), wall.is_trusted)
