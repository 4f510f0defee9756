"""The control socket's client, for the command line and for tests: one connection for each request."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
from collections.abc import Generator
from pathlib import Path
from typing import Any

from agent.control import wire
from agent.core.problems import Problem, Words, problem
from agent.core.spoken import system_words

ANSWER_S = 60.0  # longer than the server waits, so that its own words about a time-out arrive
_CHUNK = 256 * 1024
NULL = object()
"""An argument that is sent as null; None is not sent at all."""


class ControlError(Exception):
    """A request was not done. `problems` says why and what to do."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(each.text.en for each in problems))
        self.problems = problems


class ControlClient:
    """Asks the agent that serves `path`. Safe to share between threads: nothing is kept between requests."""

    def __init__(self, path: Path, timeout_s: float = ANSWER_S) -> None:
        self._path = path
        self._timeout_s = timeout_s

    def request(self, action: str, **arguments: Any) -> dict[str, Any]:
        """Ask, wait for the answer and return its result. Raises `ControlError`."""
        with contextlib.closing(self.stream(action, **arguments)) as answers:
            for result in answers:
                return result
        raise ControlError(problem("agent.bad_answer", "control", "0"))

    def stream(self, action: str, **arguments: Any) -> Generator[dict[str, Any], None, None]:
        """Ask and give every answer's result as it comes, until the last. Raises `ControlError`.

        The first answer must come in time, later ones may take for ever. Closing the iterator ends a subscription.
        """
        line = _encode(action, arguments)
        with self._connect() as connection:
            self._send(connection, line)
            received = bytearray()
            while True:
                answer = _decode(_read_line(connection, received))
                if not answer["ok"]:
                    raise ControlError(*_problems(answer))
                yield answer["result"]
                if answer["is_last"]:
                    return
                connection.settimeout(None)

    def _send(self, connection: socket.socket, line: bytes) -> None:
        # Who is refused is told so at once, while still sending: then the answer says why.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            try:
                connection.sendall(line)
            except TimeoutError:
                raise ControlError(problem("request.timed_out", "control", f"{self._timeout_s:.0f} s")) from None

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(self._timeout_s)
            connection.connect(str(self._path))
        except BlockingIOError:  # its queue of connections is full
            connection.close()
            raise ControlError(problem("request.busy", "control.socket", str(self._path))) from None
        except PermissionError:
            connection.close()
            raise ControlError(problem("agent.no_permission", "control.socket", str(self._path))) from None
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            connection.close()
            raise ControlError(problem("agent.not_running", "control.socket", str(self._path))) from None
        except OSError as error:
            connection.close()
            raise ControlError(problem("agent.not_running", "control.socket", f"{self._path}: {error}")) from None
        return connection


def _encode(action: str, arguments: dict[str, Any]) -> bytes:
    given: dict[str, Any] = {key: value for key, value in arguments.items() if value is not None}
    given |= {key: None for key, value in given.items() if value is NULL}
    if "photos" in given:
        given["photos"] = [base64.b64encode(photo).decode("ascii") for photo in given["photos"]]
    request = {"version": wire.VERSION, "id": "1", "action": action, "arguments": given}
    line = json.dumps(request, ensure_ascii=False).encode() + b"\n"
    if len(line) > wire.REQUEST_BYTES_MAX:
        most = f"{len(line) // 1024 // 1024} MiB > {wire.REQUEST_BYTES_MAX // 1024 // 1024} MiB"
        raise ControlError(problem("request.too_large", action, most))
    return line


def _read_line(connection: socket.socket, received: bytearray) -> bytes:
    while (end := received.find(b"\n")) < 0:
        if len(received) > wire.RESPONSE_BYTES_MAX:
            raise ControlError(problem("agent.bad_answer", "control", f"> {wire.RESPONSE_BYTES_MAX}"))
        try:
            data = connection.recv(_CHUNK)
        except TimeoutError:
            waited = f"{connection.gettimeout():.0f} s"
            raise ControlError(problem("request.timed_out", "control", waited)) from None
        except OSError as error:
            raise ControlError(problem("agent.not_running", "control", system_words(error))) from None
        if not data:
            closed = Words("连接在答复之前断开", "it hung up before the answer")
            raise ControlError(problem("agent.not_running", "control", closed))
        received += data
    line = bytes(received[:end])
    del received[: end + 1]
    return line


_KINDS = {"ok": bool, "is_last": bool, "result": dict, "problems": list}


def _decode(line: bytes) -> dict[str, Any]:
    """One answer with its keys and their types as the protocol has them."""
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise _bad(Words("不是 JSON", "not JSON"))
    if answer.get("version") != wire.VERSION:
        raise _bad(Words("协议版本不同", "another version of the protocol"))
    if any(not isinstance(answer.get(key), kind) for key, kind in _KINDS.items()):
        raise _bad(Words("内容不完整", "incomplete"))
    return answer


def _bad(detail: Words) -> ControlError:
    return ControlError(problem("agent.bad_answer", "control", detail))


def _problems(answer: dict[str, Any]) -> list[Problem]:
    try:
        return [wire.problem_from(each) for each in answer["problems"]] or [
            problem("agent.bad_answer", "control", Words("没有给出原因", "it gives no reason"))
        ]
    except ValueError as error:
        raise ControlError(problem("agent.bad_answer", "control", str(error))) from None
