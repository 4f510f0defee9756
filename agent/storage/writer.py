"""The writer: the one thread that writes, and what the rest of the agent sees of storage.

Whatever waits is committed in one transaction, then the head file is synced, then it is told (`EntriesLogged`). When
the disk does not write, orders stay in memory in their order and are tried again; the bound is in `orders`.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from pathlib import Path

from agent.clock import Clock
from agent.effects import (
    AppendEntry,
    Effect,
    EraseMember,
    MoveCursor,
    ReadOutbox,
    RunQuery,
    SaveMember,
    WriteReading,
)
from agent.events import Event, Restored, WorkerFailed
from agent.storage import members
from agent.storage.chain import canonical
from agent.storage.database import explain
from agent.storage.opening import (
    READINGS_DATABASE,
    STATION_DATABASE,
    OpenFiles,
    open_files,
)
from agent.storage.orders import Orders, Pending, PendingErasure, PendingSave, pending_entry
from agent.storage.reader import QueryReader
from agent.storage.worker import Worker

_logger = logging.getLogger(__name__)

# Of the time to close, for what waits; the rest is for the readings and for closing the files.
_WRITING_SHARE = 0.7


class StorageWriter:
    """Storage as the agent uses it: `open`, then `submit` orders and receive events through `post`, then `close`.

    `submit` is called on one thread and never blocks. `post` is called on the storage's threads, must not block either.
    """

    def __init__(self, directory: Path, station: str, clock: Clock, post: Callable[[Event], None]) -> None:
        self._directory = directory
        self._station = station
        self._clock = clock
        self._post = post
        self._orders = Orders()
        self._reader = QueryReader(directory / STATION_DATABASE, directory / READINGS_DATABASE, clock, post)
        self._thread = threading.Thread(target=self._work, name="storage-writer", daemon=True)
        self._files: OpenFiles | None = None

    def open(self) -> Restored:
        """Open and repair on the caller's thread, then start the threads.

        Raises `StorageError` with the remedy when the directory cannot be written, the disk is full or another agent
        has it open.
        """
        self._files = open_files(self._directory, self._station, self._clock)
        restored = self._files.restored
        self._worker = Worker(self._files, self._directory, self._orders, self._clock, self._post)
        self._reader.start()
        self._thread.start()
        return restored

    def submit(self, effect: Effect) -> None:
        """Put an order in line; it may be dropped when the bound is reached (`EntriesLost`).

        Raises TypeError or ValueError for a body that is not JSON, for text that has no UTF-8 (a lone surrogate), for a
        template of another shape, and for an effect that is not storage's.
        """
        match effect:
            case AppendEntry():
                self._put(pending_entry(effect))
            case WriteReading():
                self._orders.put_reading(effect)
            case MoveCursor():
                self._orders.put_cursor(effect)
            case ReadOutbox():
                if not self._orders.put_read(effect):
                    _logger.warning("too many orders to read the outbox wait: this one is dropped")
            case RunQuery():
                self._reader.submit(effect)
            case SaveMember():
                members.check(effect.member)
                canonical([effect.member.id, effect.name])
                token = secrets.token_hex(8)
                self._put(PendingSave(effect.request, effect.member, effect.name, effect.at, token))
            case EraseMember():
                canonical(effect.member_id)
                self._put(PendingErasure(effect.request, effect.member_id, effect.at))
            case _:
                raise TypeError(f"{type(effect).__name__} is not an order for storage")

    def close(self, timeout_s: float = 1.4) -> bool:
        """Write what waits and end both threads; False when not all of it is durable after `timeout_s`.

        The default leaves the agent time to end in under 2 s. A second call only waits once more.
        """
        if self._files is None:
            return True
        now = self._clock.monotonic()
        deadline = now + timeout_s
        if not self._orders.is_stopping:
            self._worker.deadline = now + _WRITING_SHARE * timeout_s
            self._reader.stop()
            self._orders.stop()
        is_over = self._reader.join(timeout_s)
        self._thread.join(max(0.0, deadline - self._clock.monotonic()))
        return is_over and not self._thread.is_alive() and not self._orders.unfinished

    def _put(self, pending: Pending) -> None:
        if not self._orders.put(pending):
            _logger.log(logging.DEBUG, "the writer's bound is reached: an order is dropped")

    def _work(self) -> None:
        try:
            self._worker.run()
        except Exception as error:  # the top of this worker
            _logger.exception("the storage writer died")
            self._post(WorkerFailed(self._clock.now(), "storage writer", explain(error)))
        finally:
            if self._files:
                self._files.close()
