"""Whom the demo's agent notifies: a web server of this process that takes messages as a service would."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

HOST = "127.0.0.1"
WAY = "office"
"""The name of its URL, by which the demo's settings know it."""

MAX_BYTES = 64 * 1024  # far more than a message has; whoever sends more is not the agent
MAX_MESSAGES = 10_000  # a demo that runs for weeks; the oldest are dropped, and still counted
_HEAR_S = 5.0  # for a request that was begun and is not ended
_POLL_S = 0.02
_JOIN_S = 2.0


class NoticeRecipient:
    """Takes JSON messages by HTTP on a free port of the loopback. Calls may come from every thread.

    Used as a context: it listens from the beginning and has ended on leaving.
    """

    def __init__(self) -> None:
        self._count = 0
        self._messages: deque[tuple[int, str]] = deque(maxlen=MAX_MESSAGES)
        self._changed = threading.Condition()
        self._server = _Server((HOST, 0), _Handler)
        self._server.take = self._take
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_S,), name="notice-recipient", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_JOIN_S)

    @property
    def count(self) -> int:
        """Messages that came so far."""
        with self._changed:
            return self._count

    def give_url(self, file: Path) -> None:
        """Write the file of URLs that leads here, for this account alone. Raises OSError."""
        text = f'{WAY} = "json://{HOST}:{self._server.server_port}/"\n'
        file.touch(0o600, exist_ok=False)
        file.write_text(text, encoding="utf-8")

    def wait_for(self, words: str, after: int, seconds: float) -> bool:
        """Whether a message that holds these words came after the first `after`, now or within this time."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not any(number > after and words in text for number, text in self._messages):
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return False
                self._changed.wait(left_s)
            return True

    def _take(self, text: str) -> None:
        with self._changed:
            self._count += 1
            self._messages.append((self._count, text))
            self._changed.notify_all()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    take: Callable[[str], None]


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _HEAR_S

    def do_POST(self) -> None:
        text = self._read()
        if text is not None:
            self.server.take(text)
        self.send_response(400 if text is None else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _read(self) -> str | None:
        """Title and body of a message; None for what is none."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            return None
        body = self.rfile.read(min(int(length), MAX_BYTES + 1))
        try:
            message = json.loads(body) if len(body) <= MAX_BYTES else None
        except ValueError:
            return None
        if not isinstance(message, dict):
            return None
        return f"{message.get('title', '')}\n{message.get('message', '')}"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the demo's screen is for the demo."""
