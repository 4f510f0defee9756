"""The control socket's server: tells who asks, hands requests to the deciding thread, and brings the answers back.

One thread accepts and one serves each connection. `reply` only puts an answer into a connection's queue, so a client
that does not read never holds the deciding thread up; it loses its connection instead.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import os
import pwd
import select
import socket
import stat
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from agent.clock import Clock
from agent.control import protocol, wire
from agent.control.protocol import RequestError, Response
from agent.core.problems import Problem, Words, problem
from agent.core.requests import ROLES
from agent.effects import Reply
from agent.events import Actor, ControlRequested, Event, SubscriberLeft, WorkerFailed

CONNECTIONS_MAX = 16  # some screens, a command line and the web service; bounds threads and memory
ACCOUNT_CONNECTIONS_MAX = 6  # so that one account that hangs or means harm leaves room for the others
RESERVED_CONNECTIONS = 2  # for who may open the door and look after it, whatever those who only look do
_MAY_TAKE_RESERVED = ROLES[ROLES.index("master") :]
REPLIES_WAITING_MAX = 256  # minutes of a lively station; a client that reads less than that does not read at all
IDLE_S = 60.0  # between two requests of one connection
ARRIVAL_S = 30.0  # for the rest of a request whose beginning has come; 48 MiB take a fraction of a second
ANSWER_S = 45.0  # for the first answer; enrolment, the slowest, gives itself 30 s
WRITE_S = 10.0  # for one answer to be taken off us
CLOSE_S = 1.0  # for all threads to end; the agent has 2 s for its whole end
_CHUNK = 256 * 1024
_PEER = struct.Struct("3i")  # struct ucred: pid, uid, gid (unix(7))

_logger = logging.getLogger(__name__)


class SocketInUseError(RuntimeError):
    """The path is taken by a living agent, or by something that is no socket."""


class ControlServer:
    """Serves the control socket from `start` to `close`.

    `roles`: account name → role. `post`: takes facts, must not block. `start`, `reply` and `close` are called by one
    thread; `start` raises `SocketInUseError`, `OSError`.
    """

    def __init__(self, path: Path, roles: Mapping[str, str], post: Callable[[Event], None], clock: Clock) -> None:
        self.path = path
        self._roles = dict(roles)
        self._post = post
        self._clock = clock
        self._numbers = itertools.count(1)
        self._guard = threading.Lock()
        self._waiting: dict[str, _Connection] = {}
        self._connections: set[_Connection] = set()
        self._large = threading.Semaphore(1)  # one big request at a time bounds the memory
        self._is_closing = False
        self._inode: int | None = None
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None

    def start(self) -> None:
        """Take the socket's path, also from an agent that died, and begin to accept."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        _clear_stale(self.path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            os.fchmod(listener.fileno(), 0o600)  # nobody else gets in before the mode below is set
            listener.bind(str(self.path))
            self.path.chmod(0o660)
            self._inode = self.path.stat().st_ino
            listener.listen(CONNECTIONS_MAX)
        except OSError as error:
            listener.close()
            if error.errno == errno.EADDRINUSE:
                raise SocketInUseError(f"{self.path} is in use: another agent started just now") from None
            raise
        self._listener = listener
        self._acceptor = threading.Thread(target=self._accept, args=(listener,), name="control-accept", daemon=True)
        self._acceptor.start()

    def reply(self, effect: Reply) -> None:
        """Queue an answer. Never blocks; an answer to a client that is gone is dropped."""
        with self._guard:
            connection = self._waiting.get(effect.request)
        if connection is not None:
            connection.queue(effect)

    def close(self) -> None:
        """End every connection and thread within `CLOSE_S` and remove the socket. Closing twice does nothing."""
        with self._guard:
            self._is_closing = True
            connections = tuple(self._connections)
        if self._listener is None:
            return
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept(2)
        self._listener.close()
        self._listener = None
        with contextlib.suppress(OSError):
            if self.path.stat().st_ino == self._inode:
                self.path.unlink()
        for connection in connections:
            connection.end()
        until = time.monotonic() + CLOSE_S
        for thread in (self._acceptor, *(each.thread for each in connections)):
            if thread is not None:
                thread.join(max(0.0, until - time.monotonic()))
                if thread.is_alive():
                    _logger.error("%s did not end within %s s", thread.name, CLOSE_S)

    # --- accepting ---------------------------------------------------------------------------------------------------

    def _accept(self, listener: socket.socket) -> None:
        try:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError as error:
                    if self._is_closing:
                        return
                    if error.errno in (errno.EMFILE, errno.ENFILE, errno.ECONNABORTED, errno.ENOBUFS, errno.ENOMEM):
                        _logger.warning("the control socket cannot accept: %s; trying again", error.strerror)
                        time.sleep(0.1)  # until something is closed, so that this does not spin
                        continue
                    raise
                self._admit(peer)
        except Exception as error:  # the border of this thread
            _logger.exception("the control socket's thread failed")
            self._post(WorkerFailed(self._clock.now(), "control", type(error).__name__))

    def _admit(self, peer: socket.socket) -> None:
        uid, actor, refusal = self._identify(peer)
        with self._guard:
            if self._is_closing:
                peer.close()
                return
            if actor is not None:
                refusal = self._refuse_place(uid, actor)
            if refusal is None and actor is not None:
                connection = _Connection(self, peer, uid, actor)
                self._connections.add(connection)
                connection.thread.start()
                return
        if refusal is not None:
            _turn_away(peer, refusal)

    def _refuse_place(self, uid: int, actor: Actor) -> Problem | None:
        """Why there is no place for one more of this account; the guard is held."""
        most = CONNECTIONS_MAX - (0 if actor.role in _MAY_TAKE_RESERVED else RESERVED_CONNECTIONS)
        words = None
        if len(self._connections) >= most:
            words = Words(f"已有 {most} 个连接", f"{most} connections already")
        elif sum(each.uid == uid for each in self._connections) >= ACCOUNT_CONNECTIONS_MAX:
            count = ACCOUNT_CONNECTIONS_MAX
            words = Words(f"账户 {actor.name} 已有 {count} 个连接", f"{actor.name} has {count} connections already")
        return None if words is None else problem("request.busy", "control", words)

    def _identify(self, peer: socket.socket) -> tuple[int, Actor | None, Problem | None]:
        """Who the kernel says it is, by uid and by role; nothing that the client says counts."""
        _, uid, _ = _PEER.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        try:
            name = pwd.getpwuid(uid).pw_name
        except KeyError:
            name = f"uid {uid}"
        role = "administrator" if uid in (0, os.getuid()) else self._roles.get(name)
        if role is None:
            # No name: it may be a person's, and what is logged is part of the diagnostics. `id -un UID` tells it.
            _logger.warning("the control socket refused the account with uid %d: it has no role", uid)
            words = Words(f"账户 {name} 没有角色", f"the account {name} has no role")
            return uid, None, problem("request.forbidden", "control.roles", words)
        return uid, Actor("local", name, role), None

    # --- for connections, on their threads ---------------------------------------------------------------------------

    def _begin(self, connection: _Connection, action: str, arguments: Mapping[str, object]) -> str:
        request = f"control-{next(self._numbers)}"
        with self._guard:
            self._waiting[request] = connection
        self._post(ControlRequested(self._clock.now(), request, connection.actor, action, arguments))
        return request

    def _finish(self, request: str, *, is_answered: bool) -> None:
        with self._guard:
            self._waiting.pop(request, None)
        if not is_answered:
            self._post(SubscriberLeft(self._clock.now(), request))

    def _forget(self, connection: _Connection) -> None:
        with self._guard:
            self._connections.discard(connection)


class _ConnectionEnded(Exception):  # noqa: N818  # not an error: the usual end
    """The client is gone, was too slow, or the server closes."""


class _Connection:
    """One client. `queue` and `end` may be called by every thread; the rest runs on the connection's own."""

    def __init__(self, server: ControlServer, peer: socket.socket, uid: int, actor: Actor) -> None:
        self.uid = uid
        self.actor = actor
        self._server = server
        self._peer = peer
        self._guard = threading.Lock()
        self._replies: deque[Reply] = deque()
        self._is_ending = False
        self._is_too_slow = False
        self._wake: int | None = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._received = bytearray()
        self.thread = threading.Thread(target=self._run, name=f"control-{peer.fileno()}", daemon=True)

    def queue(self, reply: Reply) -> None:
        """Take an answer for the client; one that does not read loses the connection."""
        with self._guard:
            if len(self._replies) >= REPLIES_WAITING_MAX:
                self._is_too_slow = True
            else:
                self._replies.append(reply)
            self._ring()

    def end(self) -> None:
        """Make the thread end soon."""
        with self._guard:
            self._is_ending = True
            self._ring()

    def _ring(self) -> None:
        if self._wake is not None:
            os.eventfd_write(self._wake, 1)

    def _run(self) -> None:
        try:
            self._peer.setblocking(False)
            while True:
                self._serve_one()
        except _ConnectionEnded as reason:
            _logger.debug("a control connection of %s ended: %s", self.actor.name, reason)
        except Exception:  # the border of this thread
            _logger.exception("a control connection failed")
        finally:
            self._server._forget(self)
            self._peer.close()
            with self._guard:
                wake, self._wake = self._wake, None
            if wake is not None:
                os.close(wake)

    def _serve_one(self) -> None:
        with contextlib.ExitStack() as stack:
            line = self._read_line(stack)
            try:
                asked = protocol.decode_request(line)
                arguments = protocol.decode_arguments(asked)
            except RequestError as error:
                self._send_problems(error.id, *error.problems)
                return
            del line
        request = self._server._begin(self, asked.action, arguments)
        del arguments
        is_answered = False
        try:
            is_answered = self._answer(asked.id, request)
        finally:
            self._server._finish(request, is_answered=is_answered)
            with self._guard:
                self._replies.clear()

    def _answer(self, identifier: str, request: str) -> bool:
        """Send every answer of one request; return whether the last one was among them."""
        until: float | None = time.monotonic() + ANSWER_S
        while True:
            taken = self._take(request)
            for reply in taken:
                until = None  # a subscription goes on for as long as it likes
                self._send(_response(identifier, reply))
                if reply.is_last:
                    return True
            if taken:
                continue  # what came while we sent has rung already
            if until is not None and time.monotonic() >= until:
                waited = Words(f"{ANSWER_S:.0f} 秒内没有答复", f"nothing within {ANSWER_S:.0f} s")
                self._send_problems(identifier, problem("request.timed_out", "control", waited))
                return False
            if self._is_ending:
                self._send_problems(identifier, problem("agent.stopping", "control"))
            self._wait(0, until)

    def _take(self, request: str) -> list[Reply]:
        with self._guard:
            if self._is_too_slow:
                raise _ConnectionEnded("it does not read its answers")
            taken = [reply for reply in self._replies if reply.request == request]
            self._replies.clear()
        return taken

    # --- the wire ----------------------------------------------------------------------------------------------------

    def _read_line(self, stack: contextlib.ExitStack) -> bytes:
        """The next line. A big one is read only while no other connection reads one; `stack` ends that."""
        until = time.monotonic() + (ARRIVAL_S if self._received else IDLE_S)
        searched, is_large = 0, False
        while (end := self._received.find(b"\n", searched)) < 0:
            searched = len(self._received)
            if searched > wire.REQUEST_BYTES_MAX:
                self._refuse_size(wire.REQUEST_BYTES_MAX)
            if searched > wire.PLAIN_REQUEST_BYTES_MAX and not is_large:
                self._claim_large(stack, until)
                is_large = True
            if not self._wait(select.POLLIN, until):
                if time.monotonic() >= until:
                    raise _ConnectionEnded("it sent no whole request in time")
                continue
            data = self._receive()
            if not self._received:
                until = time.monotonic() + ARRIVAL_S
            self._received += data
        if end > wire.REQUEST_BYTES_MAX:
            self._refuse_size(wire.REQUEST_BYTES_MAX)
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        return line

    def _claim_large(self, stack: contextlib.ExitStack, until: float) -> None:
        while not self._server._large.acquire(timeout=0.1):  # short, for the server may be closing
            if self._is_ending or time.monotonic() >= until:
                busy = Words("另一个大请求正在处理", "another large request is being read")
                self._send_problems("", problem("request.busy", "control", busy))
                raise _ConnectionEnded("two large requests at once")
        stack.callback(self._server._large.release)

    def _receive(self) -> bytes:
        try:
            data = self._peer.recv(_CHUNK)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise _ConnectionEnded(error.strerror or "receive failed") from None
        if not data:
            raise _ConnectionEnded("the client closed it")
        return data

    def _refuse_size(self, most: int) -> None:
        words = Words(f"最多 {most // 1024 // 1024} MiB", f"at most {most // 1024 // 1024} MiB")
        self._send_problems("", problem("request.too_large", "control", words))
        raise _ConnectionEnded("the request is too large")

    def _send_problems(self, identifier: str, *problems: Problem) -> None:
        self._send(_refusal(identifier, *problems))

    def _send(self, line: bytes) -> None:
        until = time.monotonic() + WRITE_S
        view = memoryview(line)
        while view:
            try:
                view = view[self._peer.send(view, socket.MSG_NOSIGNAL) :]
            except BlockingIOError:
                if self._is_ending or time.monotonic() >= until:
                    raise _ConnectionEnded("it does not read its answers") from None
                self._wait(select.POLLOUT, until)
            except OSError as error:
                raise _ConnectionEnded(error.strerror or "send failed") from None

    def _wait(self, wanted: int, until: float | None) -> bool:
        """Wait for the socket, for an answer or for the end; return whether the socket is ready for `wanted`.

        A client that only stopped sending is still listened for; one that is gone altogether ends the connection.
        """
        if self._is_ending and wanted != select.POLLOUT:
            raise _ConnectionEnded("the agent is stopping")
        poll = select.poll()
        poll.register(self._peer, wanted)
        assert self._wake is not None  # noqa: S101  # only `_run`'s end takes it away, on this thread
        poll.register(self._wake, select.POLLIN)
        timeout_ms = None if until is None else max(0, int((until - time.monotonic()) * 1000) + 1)
        ready = dict(poll.poll(timeout_ms))
        if self._wake in ready:
            os.eventfd_read(self._wake)
        state = ready.get(self._peer.fileno(), 0)
        if state & (select.POLLHUP | select.POLLERR) and not state & wanted:
            raise _ConnectionEnded("the client is gone")
        return bool(state & wanted)


def _response(identifier: str, reply: Reply) -> bytes:
    try:
        response = Response(
            id=identifier,
            ok=reply.ok,
            result=dict(reply.result),
            problems=[dict(each) for each in reply.problems],
            is_last=reply.is_last,
        )
        line = protocol.encode(response)
    except ValueError:
        _logger.exception("an answer cannot be written as JSON")
        return _refusal(identifier, problem("agent.bad_answer", "control", "JSON"), is_last=reply.is_last)
    if len(line) > wire.RESPONSE_BYTES_MAX:
        size = f"{len(line)} > {wire.RESPONSE_BYTES_MAX}"
        return _refusal(identifier, problem("reply.too_large", "control", size), is_last=reply.is_last)
    return line


def _refusal(identifier: str, *problems: Problem, is_last: bool = True) -> bytes:
    found = [each.as_dict() for each in problems]
    return protocol.encode(Response(id=identifier, ok=False, problems=found, is_last=is_last))


def _turn_away(peer: socket.socket, refusal: Problem) -> None:
    """Say why and hang up, without reading what a stranger sends. A new socket's buffer takes this line at once."""
    with peer, contextlib.suppress(OSError):
        peer.setblocking(False)
        peer.send(_refusal("", refusal), socket.MSG_NOSIGNAL)


def _clear_stale(path: Path) -> None:
    """Remove the socket of an agent that died. Raises `SocketInUseError` when somebody answers there."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise SocketInUseError(f"{path} is not a socket: remove it, or correct control.socket in the settings")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)  # a full backlog makes connect(2) wait: that agent lives
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise SocketInUseError(f"{path} cannot be taken over ({error}): stop the agent that uses it") from None
    raise SocketInUseError(f"another agent already serves {path}: stop it first (systemctl stop station-agent)")
