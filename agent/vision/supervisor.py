"""The agent's side of the vision child: starts it when told, turns what it says into events, and never trusts it.

Each child has a life of three threads here: one that spawns it, listens and buries it, one that writes orders and one
that reads its standard output and error. None of them is ever waited for on the deciding thread.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence

from pydantic import ValidationError

from agent import events
from agent.clock import Clock
from agent.effects import ChallengeFace
from agent.events import Event, VisionStopped
from agent.vision import protocol
from agent.vision.protocol import MAX_PHOTO_BYTES, PROTOCOL_VERSION, AnyFact, ProtocolError, VisionConfig

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-P", "-m", "agent.vision")
"""How the child is started; the number of its socket follows. `-P`: no module from the working directory."""

STOP_S = 0.3  # for a child to end by itself; then it is killed
KILLED_S = 2.0  # for the kernel to end a killed child; one that waits in a driver may never go
JOIN_S = 0.5
WAITING_ORDERS = 32  # more photos than enrolments can be under way
FACTS_PER_S = 300
"""A child that says more is mad, and would push what the door says out of the inbox. A whole one says 40 at the most;
280 small ones fit into the socket, and come at once when this process was held up."""

STDERR_LINES_PER_S = 20  # a library that complains of every frame must not fill the journal
LINE_CHARACTERS = 300

_OF_A_WATCH = (
    protocol.FaceSeen,
    protocol.FaceUnusable,
    protocol.TrackEnded,
    protocol.CodeSeen,
    protocol.ChallengeAnswered,
)

WATCH = "door"
"""The id of the one `Watch` that the agent orders: the camera at the door."""


class VisionProcess:
    """Carries out `StartVision`, `KillVision`, `EncodePhoto` and `ChallengeFace`; posts what the child says.

    Called on the deciding thread; only `close` waits. `VisionStopped` is posted exactly once for every start, as the
    last fact of that child. `command`: see `COMMAND`.
    """

    def __init__(
        self, config: VisionConfig, clock: Clock, post: Callable[[Event], None], command: Sequence[str] = COMMAND
    ) -> None:
        self._config = config
        self._clock = clock
        self._post = post
        self._command = tuple(command)
        self._life: _Life | None = None
        self._is_closed = False

    def start(self) -> None:
        """Spawn a child; does nothing while one lives, whose `VisionStopped` is still to come, and after `close`."""
        if not self._is_closed and (self._life is None or self._life.is_over):
            self._life = _Life(self._config, self._clock, self._post, self._command)

    def kill(self, reason: str) -> None:
        """End the child at once."""
        if self._life is not None:
            self._life.kill(reason)

    def encode_photo(self, order: str, photo: bytes) -> None:
        """Pass an order on; without a child, or with too many waiting, it is dropped and the asker's patience ends."""
        if len(photo) > MAX_PHOTO_BYTES:
            self._post(events.PhotoRefused(self._clock.now(), order, "too_large"))
            return
        try:
            message = protocol.EncodePhoto(id=order, photo=photo)
        except ValidationError:
            self._post(events.PhotoRefused(self._clock.now(), order, "not_readable"))
            return
        if self._life is not None:
            self._life.send(message)

    def enrol(self, order: str, seconds: float) -> None:
        """Have the child look for somebody to enrol; see `encode_photo` for an order that cannot be passed on."""
        if self._life is not None:
            self._life.send(protocol.Enrol(id=order, seconds=seconds))

    def challenge(self, order: ChallengeFace) -> None:
        """Have the child judge a movement; without a child there is nobody who would be let in for it."""
        if self._life is not None:
            message = protocol.Challenge(
                id=order.challenge, track=order.track, movement=order.movement, seconds=order.within_s
            )
            self._life.send(message)

    def watch(self) -> None:
        """Have the child watch the door again."""
        if self._life is not None:
            self._life.send(protocol.Watch(id=WATCH))

    def close(self) -> None:
        """End the child and the threads that serve it; under a second."""
        self._is_closed = True
        if self._life is not None:
            self._life.close()


class _Life:
    """One child from its start to its end, and the threads that serve it."""

    def __init__(
        self, config: VisionConfig, clock: Clock, post: Callable[[Event], None], command: tuple[str, ...]
    ) -> None:
        self.is_over = False
        self._config = config
        self._clock = clock
        self._post = post
        self._command = command
        self._orders: queue.SimpleQueue[protocol.Message | None] = queue.SimpleQueue()
        self._process: subprocess.Popen[bytes] | None = None
        self._reason = ""
        self._last_words = ""
        self._thread = threading.Thread(target=self._live, name="vision", daemon=True)
        self._thread.start()

    def send(self, order: protocol.Message) -> None:
        if self._orders.qsize() >= WAITING_ORDERS:
            log.warning("too many orders wait for vision: a %s is dropped", type(order).__name__)
        else:
            self._orders.put(order)

    def kill(self, reason: str) -> None:
        self._reason = self._reason or reason
        process = self._process
        if process is not None:  # else it is being spawned, and killed as soon as it is
            process.kill()

    def close(self) -> None:
        self.send(protocol.Stop())
        self._thread.join(STOP_S)
        self.kill("the agent ends")
        self._thread.join(JOIN_S)

    def _live(self) -> None:
        """The thread: spawn, listen, clean up, and say that it is over."""
        reason = "serving it failed"
        try:
            reason = self._spawn_and_listen()
        except OSError as error:
            reason = f"it could not be started: {error}"
        except Exception:  # the border of this worker: the child's end is a fact, not the agent's end
            log.exception("serving the vision child failed")
        finally:
            # First this: whoever takes the fact may start the next child before this thread has ended.
            self.is_over = True
            self._post(VisionStopped(self._clock.now(), reason))

    def _spawn_and_listen(self) -> str:
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                    (*self._command, str(theirs.fileno())),
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    bufsize=0,
                )
            self._process = process
            if self._reason:
                process.kill()  # it was told to end before it began
            speaking = threading.Thread(target=self._send_orders, args=(ours,), name="vision-orders", daemon=True)
            reading = threading.Thread(target=self._log_words, args=(process,), name="vision-log", daemon=True)
            try:
                speaking.start()
                reading.start()
                self._listen(ours)
            except ProtocolError as error:
                self.kill(f"it does not keep to the protocol: {error}")
            except OSError:
                log.debug("the vision child died with orders unread")  # its last words say more
            finally:
                ended = self._bury(process, ours, speaking, reading)
            return self._reason or self._last_words or ended

    def _bury(
        self,
        process: subprocess.Popen[bytes],
        ours: socket.socket,
        speaking: threading.Thread,
        reading: threading.Thread,
    ) -> str:
        """See to it that nothing of the child is left; returns how it ended."""
        with contextlib.suppress(OSError):
            ours.shutdown(socket.SHUT_RDWR)  # wakes the sender from a full socket, and tells a child that lives on
        self._orders.put(None)
        ended = _end(process)
        for thread in (speaking, reading):
            if thread.ident is not None:
                thread.join(JOIN_S)
        if process.stdout is not None and not reading.is_alive():
            process.stdout.close()
        return ended

    def _listen(self, ours: socket.socket) -> None:
        """Post what the child says until it closes its end. Raises `ProtocolError` and `OSError`."""
        hello = protocol.read_fact(ours.recv)
        if hello is None:
            return
        if not isinstance(hello, protocol.Hello) or hello.protocol != PROTOCOL_VERSION:
            raise ProtocolError(f"it must begin with Hello of version {PROTOCOL_VERSION}")
        self._post(events.VisionStarted(self._clock.now(), hello.engine, hello.weights))
        second, count = 0, 0
        while (fact := protocol.read_fact(ours.recv)) is not None:
            now = int(self._clock.monotonic())
            second, count = (second, count + 1) if now == second else (now, 1)
            if count > FACTS_PER_S:
                raise ProtocolError(f"it says more than {FACTS_PER_S} facts in a second")
            event = self._event_of(fact)
            if event is not None:
                self._post(event)

    def _event_of(self, fact: AnyFact) -> Event | None:  # noqa: PLR0912 - one case for each fact
        now = self._clock.now()
        if isinstance(fact, _OF_A_WATCH) and fact.order != WATCH:
            raise ProtocolError("it tells of a watch that was not ordered")
        at = min(now, self._clock.station_time(fact.at))
        match fact:
            case protocol.Beat():
                age_s = None if fact.frame_at is None else max(0.0, self._clock.monotonic() - fact.frame_at)
                return events.VisionBeat(now, fact.frames, age_s)
            case protocol.CameraFailed():
                return events.CameraFailed(at, fact.reason)
            case protocol.CameraRecovered():
                return events.CameraRecovered(at)
            case protocol.FaceSeen() | protocol.CodeSeen() if (
                self._clock.monotonic() - fact.at > self._config.fresh_within_s
            ):
                return None  # either of the processes was held up: who stood there then may have gone
            case protocol.FaceSeen():
                first_at = min(at, self._clock.station_time(fact.first_at))
                vector = protocol.decode_vector(fact.vector)
                return events.FaceSeen(
                    at, fact.track, first_at, vector, fact.score, fact.width_px, fact.liveness, fact.turn
                )
            case protocol.ChallengeAnswered():
                return events.ChallengeAnswered(at, fact.challenge, fact.track, fact.answer)
            case protocol.FaceUnusable():
                return events.FaceUnusable(at, fact.track, fact.reason)
            case protocol.CodeSeen():
                return events.CodeSeen(at, fact.text)
            case protocol.TrackEnded():
                return events.TrackEnded(at, fact.track)
            case protocol.PhotoEncoded():
                return events.PhotoEncoded(now, fact.order, protocol.decode_vector(fact.vector))
            case protocol.PhotoRefused():
                return events.PhotoRefused(now, fact.order, fact.reason)
            case protocol.EnrolmentFrame():
                vector = protocol.decode_vector(fact.vector)
                return events.EnrolmentFrameTaken(at, fact.order, vector, fact.turn, fact.nod, fact.width_px)
            case protocol.EnrolmentUnusable():
                return events.EnrolmentFrameUnusable(at, fact.order, fact.reason)
            case protocol.Hello():
                raise ProtocolError("Hello came twice")

    def _send_orders(self, ours: socket.socket) -> None:
        try:
            ours.sendall(protocol.pack(protocol.Configure(config=self._config)))
            ours.sendall(protocol.pack(protocol.Watch(id=WATCH)))
            while (order := self._orders.get()) is not None:
                ours.sendall(protocol.pack(order))
        except OSError:
            log.debug("the vision child takes no more orders")  # its end is noticed by who listens

    def _log_words(self, process: subprocess.Popen[bytes]) -> None:
        """Pass the child's words on, bounded in length and rate; the last ones are kept as its reason to end."""
        if process.stdout is None:
            return
        second, lines = 0, 0
        while raw := process.stdout.read(4096):
            for line in raw.decode(errors="replace").splitlines():
                text = " ".join("".join(each if each.isprintable() else " " for each in line).split())
                if not text:
                    continue
                self._last_words = text[:LINE_CHARACTERS]
                now = int(time.monotonic())
                second, lines = (second, lines + 1) if now == second else (now, 1)
                if lines <= STDERR_LINES_PER_S:
                    log.info("vision: %s", self._last_words)


def _end(process: subprocess.Popen[bytes]) -> str:
    """Wait for a child that ends, and kill one that does not; returns how it ended."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        return f"it ended with code {process.wait(STOP_S)}"
    process.kill()  # it closed its end of the socket but lives on
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(KILLED_S)
        return "it stopped serving and was killed"
    return "it cannot be ended: a driver hangs in the kernel; restart the machine"
