"""A broker inside the process, so that the demo needs no other program. MQTT 3.1.1 only, loopback only, no persistence.

Not for a station: amqtt is an installation of the `demo` extra.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from typing import Self

_log = logging.getLogger(__name__)

HOST = "127.0.0.1"
_START_S = 10.0  # importing the broker takes a second on a small machine
_STOP_S = 5.0
_SHUTDOWN_S = 3.0  # amqtt's own waits end before that; beyond it its tasks are cancelled
_ACCEPTED_S = 0.05  # what the kernel had accepted already shows itself in this time, and is closed with the rest
_LEAVE_S = 0.5  # one of the broker's sessions now and then waits for ever after its client has gone
_SWEEP_S = 1.0  # how late a new client is looked after; until then the broker alone serves it
# Anybody who can reach the loopback may come in: it lives for a demo and holds simulated data.
_PLUGINS = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}


class EmbeddedBroker:
    """Runs amqtt in a thread of its own on a free port; the port stays the same over a stop and a new start.

    `start` and `stop` are for one thread. A subscriber may get a retained message twice: count by id.
    """

    def __init__(self) -> None:
        self.port = 0
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen. Raises RuntimeError without amqtt or when it does not come up, OSError when the port is taken."""
        if self._thread is not None:
            raise RuntimeError("the embedded broker runs already; stop it first")
        started: Future[int] = Future()
        self._thread = threading.Thread(target=self._main, args=(started,), name="embedded-broker", daemon=True)
        self._thread.start()
        try:
            self.port = started.result(_START_S)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Cut every connection and end the thread, within some seconds. Safe to repeat."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._loop is not None and self._stopping is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopping.set)
        thread.join(_STOP_S)
        if thread.is_alive():
            raise RuntimeError(f"the embedded broker did not end within {_STOP_S} s")

    def _main(self, started: Future[int]) -> None:
        try:
            asyncio.run(self._serve(started))
        except Exception as error:  # noqa: BLE001 - a worker's top
            if started.done():
                _log.exception("the embedded broker died")
            else:
                started.set_exception(error)

    async def _serve(self, started: Future[int]) -> None:
        try:
            from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
            from amqtt.broker import Broker
            from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType
        except ImportError as error:
            raise RuntimeError("the demo's broker is not installed: pip install 'station-agent[demo]'") from error
        for noisy in ("amqtt", "transitions"):  # they report every packet and every state as information
            logging.getLogger(noisy).setLevel(logging.ERROR)
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        listener = "default"
        # An external listener: the socket is ours, so the port is known before anybody is told of it.
        config = BrokerConfig(listeners={listener: ListenerConfig(type=ListenerType.EXTERNAL)}, plugins=_PLUGINS)
        broker = Broker(config)
        sessions: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

        # Not a coroutine: a connection that comes as the broker stops must be known here before anything else runs.
        def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            inside = broker.external_connected(StreamReaderAdapter(reader), StreamWriterAdapter(writer), listener)
            sessions[asyncio.create_task(inside)] = writer

        await broker.start()
        server = None
        try:
            server = await asyncio.start_server(take, HOST, self.port)
            started.set_result(server.sockets[0].getsockname()[1])
            while not self._stopping.is_set():
                await _first_of(self._stopping, sessions)
        finally:
            if server is not None:
                server.close()
                await asyncio.sleep(_ACCEPTED_S)
            async with asyncio.timeout(_SHUTDOWN_S):
                await broker.shutdown()
            for writer in sessions.values():
                writer.close()
            if sessions:  # what is left after this is cancelled with the loop
                await asyncio.wait(sessions, timeout=_LEAVE_S)


async def _first_of(stopping: asyncio.Event, sessions: dict[asyncio.Task[None], asyncio.StreamWriter]) -> None:
    """Wait for the end, and close what clients have left meanwhile."""
    waits = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({waits, *sessions}, timeout=_SWEEP_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waits.cancel()
    for task in [task for task in sessions if task.done()]:
        sessions.pop(task).close()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.debug("a client of the embedded broker ended with %s", type(error).__name__)
