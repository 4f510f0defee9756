"""The reader: queries on a thread and a read-only connection of its own, so that no export delays the log."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from pathlib import Path

from agent.clock import Clock
from agent.effects import RunQuery
from agent.events import Event, QueryAnswered, WorkerFailed
from agent.storage.database import Database, DatabaseError, attach_readonly, explain, open_readonly
from agent.storage.queries import QUERIES, QueryRefusedError

_logger = logging.getLogger(__name__)

# Each waiting query has a person or a page waiting for it; more than this is a fault of who asks.
_WAITING = 32
# A page takes milliseconds; a query this long holds back the emptying of the write-ahead file.
_QUERY_S = 5.0
# How many steps of SQLite's machine pass between two looks at the time: well under a millisecond.
_STEPS = 10_000


class QueryReader:
    """Runs queries in order. `submit` never blocks; answers are posted."""

    def __init__(self, database: Path, readings: Path, clock: Clock, post: Callable[[Event], None]) -> None:
        self._paths = database, readings
        self._clock = clock
        self._post = post
        self._waiting: queue.Queue[RunQuery | None] = queue.Queue(_WAITING)
        self._is_stopping = False
        self._deadline = 0.0
        self._thread = threading.Thread(target=self._work, name="storage-reader", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, effect: RunQuery) -> None:
        """Put a query in line, or answer at once that the line is full."""
        try:
            self._waiting.put_nowait(effect)
        except queue.Full:
            self._answer(effect, error="too many queries wait: try again in a moment")

    def stop(self) -> None:
        """Order the end: a query that runs is broken off, those that wait are not begun."""
        self._is_stopping = True
        with contextlib.suppress(queue.Full):  # then there is a query, and the thread looks at the flag after it
            self._waiting.put_nowait(None)

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; False when it did not come in time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        try:
            self._run()
        except Exception as error:  # the top of this worker
            _logger.exception("the storage reader died")
            self._post(WorkerFailed(self._clock.now(), "storage reader", explain(error)))

    def _run(self) -> None:
        database: Database | None = None
        try:
            while (effect := self._waiting.get()) is not None and not self._is_stopping:
                try:
                    database = database or self._open()
                    self._deadline = self._clock.monotonic() + _QUERY_S
                    self._run_query(database, effect)
                except QueryRefusedError as error:
                    self._answer(effect, error=str(error))
                except DatabaseError as error:
                    self._answer(effect, error=f"the query failed: {explain(error)}")
        finally:
            if database:
                database.close()

    def _run_query(self, database: Database, effect: RunQuery) -> None:
        query = QUERIES.get(effect.query)
        if query is None:
            raise QueryRefusedError(f"there is no such query: there are {', '.join(QUERIES)}")
        rows = query.run(database.conn, effect.arguments)
        self._post(QueryAnswered(self._clock.now(), effect.request, rows))

    def _open(self) -> Database:
        database = open_readonly(self._paths[0])
        try:
            attach_readonly(database, self._paths[1], "readings")
        except BaseException:
            database.close()
            raise
        database.conn.set_progress_handler(self._is_overdue, _STEPS)
        return database

    def _is_overdue(self) -> bool:
        return self._is_stopping or self._clock.monotonic() > self._deadline

    def _answer(self, effect: RunQuery, *, error: str) -> None:
        self._post(QueryAnswered(self._clock.now(), effect.request, (), error))
