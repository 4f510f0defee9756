"""The agent's side of the vision child: starts it when told, turns what it says into events, and never trusts it."""

from __future__ import annotations

import logging
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from agent import events
from agent.clock import Clock
from agent.events import Event, VisionStopped
from agent.vision import protocol
from agent.vision.protocol import MAX_FACT_BYTES, PROTOCOL_VERSION, AnyFact, ProtocolError, VisionConfig

log = logging.getLogger(__name__)

STOP_S = 0.3  # for a child to end by itself; then it is killed
JOIN_S = 1.0
WAITING_ORDERS = 32  # more photos than enrolments can be under way
STDERR_LINES_PER_S = 20  # a library that complains of every frame must not fill the journal
LINE_CHARACTERS = 300

WATCH = "door"
"""The id of the one `Watch` that the agent orders: the camera at the door."""


class VisionProcess:
    """Carries out `StartVision`, `KillVision` and `EncodePhoto`; posts what the child says.

    Called on the deciding thread, never blocks. `VisionStopped` is posted exactly once for every start.
    """

    def __init__(self, config: VisionConfig, clock: Clock, post: Callable[[Event], None]) -> None:
        self._config = config
        self._clock = clock
        self._post = post
        self._life: _Life | None = None

    def start(self) -> None:
        """Spawn a child; does nothing while one lives."""
        if self._life is None or not self._life.is_alive:
            self._life = _Life(self._config, self._clock, self._post)

    def kill(self, reason: str) -> None:
        """End the child at once."""
        if self._life is not None:
            self._life.kill(reason)

    def encode_photo(self, order: str, photo: bytes) -> None:
        """Pass an order on; without a child, or with too many waiting, it is dropped and the asker's patience ends."""
        if self._life is not None:
            self._life.send(protocol.EncodePhoto(id=order, photo=photo))

    def close(self) -> None:
        """End the child and the threads that serve it; under a second."""
        if self._life is not None:
            self._life.close()


class _Life:
    """One child from its start to its end, and the thread that serves it."""

    def __init__(self, config: VisionConfig, clock: Clock, post: Callable[[Event], None]) -> None:
        self._config = config
        self._clock = clock
        self._post = post
        self._orders: queue.Queue[protocol.Message | None] = queue.Queue(WAITING_ORDERS)
        self._process: subprocess.Popen[bytes] | None = None
        self._reason = ""
        self._last_words = ""
        self._is_closing = False
        self._thread = threading.Thread(target=self._live, name="vision", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def send(self, order: protocol.Message) -> None:
        try:
            self._orders.put_nowait(order)
        except queue.Full:
            log.warning("too many orders wait for vision: a %s is dropped", type(order).__name__)

    def kill(self, reason: str) -> None:
        self._reason = self._reason or reason
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        self._is_closing = True
        self.send(protocol.Stop())
        self._thread.join(STOP_S)
        self.kill("the agent ends")
        self._thread.join(JOIN_S)

    def _live(self) -> None:
        """The thread: spawn, listen, clean up, and say that it is over."""
        reason = "it could not be started"
        try:
            reason = self._spawn_and_listen()
        except OSError as error:
            reason = f"it could not be started: {error}"
        except Exception as error:  # the border of this worker: the child's end is a fact, not the agent's end
            log.exception("serving the vision child failed")
            reason = type(error).__name__
        finally:
            self._post(VisionStopped(self._clock.now(), reason))

    def _spawn_and_listen(self) -> str:
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                command = [sys.executable, "-m", "agent.vision", str(theirs.fileno())]
                process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                    command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
                )
            self._process = process
            if self._reason:
                process.kill()  # it was told to end before it began
            speaking = threading.Thread(target=self._send_orders, args=(ours,), name="vision-orders", daemon=True)
            logging_ = threading.Thread(target=self._log_stderr, args=(process,), name="vision-log", daemon=True)
            self._put_first(protocol.Configure(config=self._config))
            speaking.start()
            logging_.start()
            try:
                self._listen(ours)
            except (ProtocolError, ValueError) as error:
                self.kill(f"it does not keep to the protocol: {error}")
            except OSError as error:
                self.kill(str(error))
            return self._bury(process, ours, (speaking, logging_))

    def _put_first(self, order: protocol.Message) -> None:
        """In front of orders that came while the child was spawned."""
        waiting: list[protocol.Message | None] = []
        while not self._orders.empty():
            waiting.append(self._orders.get_nowait())
        for each in (order, *waiting):
            self._orders.put_nowait(each)

    def _bury(
        self, process: subprocess.Popen[bytes], ours: socket.socket, threads: tuple[threading.Thread, ...]
    ) -> str:
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()  # it closed its end but lives on
            process.wait()
        ours.close()
        while True:  # wake the sender, whatever waits
            try:
                self._orders.put_nowait(None)
                break
            except queue.Full:
                self._orders.get_nowait()
        for thread in threads:
            thread.join(JOIN_S)
        if process.stderr is not None:
            process.stderr.close()
        return self._reason or self._last_words or f"it ended with code {process.returncode}"

    def _listen(self, ours: socket.socket) -> None:
        body = protocol.read_body(ours.recv, MAX_FACT_BYTES)
        if body is None:
            return
        hello = protocol.parse_fact(body)
        if not isinstance(hello, protocol.Hello) or hello.protocol != PROTOCOL_VERSION:
            raise ProtocolError(f"it must begin with Hello of version {PROTOCOL_VERSION}")
        self._post(events.VisionStarted(self._clock.now(), hello.engine, hello.weights))
        self.send(protocol.Watch(id=WATCH))
        while (body := protocol.read_body(ours.recv, MAX_FACT_BYTES)) is not None:
            self._post(self._event_of(protocol.parse_fact(body)))

    def _event_of(self, fact: AnyFact) -> Event:
        now = self._clock.now()
        at = min(now, self._clock.station_time(fact.at))
        match fact:
            case protocol.Beat():
                age_s = None if fact.frame_at is None else max(0.0, self._clock.monotonic() - fact.frame_at)
                return events.VisionBeat(now, fact.frames, age_s)
            case protocol.CameraFailed():
                return events.CameraFailed(at, fact.reason)
            case protocol.CameraRecovered():
                return events.CameraRecovered(at)
            case protocol.FaceSeen():
                first_at = min(at, self._clock.station_time(fact.first_at))
                vector = protocol.decode_vector(fact.vector)
                return events.FaceSeen(at, fact.track, first_at, vector, fact.score, fact.width_px)
            case protocol.FaceUnusable():
                return events.FaceUnusable(at, fact.track, fact.reason)
            case protocol.TrackEnded():
                return events.TrackEnded(at, fact.track)
            case protocol.PhotoEncoded():
                return events.PhotoEncoded(now, fact.order, protocol.decode_vector(fact.vector))
            case protocol.PhotoRefused():
                return events.PhotoRefused(now, fact.order, fact.reason)
            case protocol.Hello():
                raise ProtocolError("Hello came twice")

    def _send_orders(self, ours: socket.socket) -> None:
        try:
            while (order := self._orders.get()) is not None:
                ours.sendall(protocol.pack(order))
        except OSError:
            log.debug("the vision child takes no more orders")  # its end is noticed by who listens

    def _log_stderr(self, process: subprocess.Popen[bytes]) -> None:
        """Pass the child's words on, bounded in length and rate; the last ones are kept as its reason to end."""
        if process.stderr is None:
            return
        second, lines = 0, 0
        for raw in iter(lambda: process.stderr.readline(4096), b""):  # type: ignore[union-attr]
            text = raw.decode(errors="replace").strip()[:LINE_CHARACTERS]
            if not text:
                continue
            self._last_words = text
            now = int(time.monotonic())
            second, lines = (second, lines + 1) if now == second else (now, 1)
            if lines <= STDERR_LINES_PER_S:
                log.info("vision: %s", text)
