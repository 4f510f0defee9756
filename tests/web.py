"""A real web server of this machine that takes messages, or does not: what deliveries are tested against."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

DRIP_S = 0.2


class WebServer:
    """Answers by the first part of the path: `500`, `403`, `302` with that, `hang` and `drip` not to the end.

    `errcode`: as a WeCom bot refuses, with 200. Anything else: 200.
    """

    def __init__(self, port: int = 0) -> None:
        self.taken: list[tuple[str, dict[str, Any]]] = []
        self.changed = threading.Condition()
        self.is_over = threading.Event()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.daemon_threads = False
        self._server.web = self
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="web")
        self._thread.start()

    def url(self, path: str, schema: str = "json") -> str:
        return f"{schema}://127.0.0.1:{self.port}/{path}"

    def paths(self) -> list[str]:
        with self.changed:
            return [path for path, _ in self.taken]

    def messages(self) -> list[dict[str, Any]]:
        with self.changed:
            return [message for _, message in self.taken]

    def close(self) -> None:
        self.is_over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    web: WebServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever hung up has gone: tests look at what arrived."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        web = self.server.web
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with web.changed:
            web.taken.append((self.path, _read(body)))
            web.changed.notify_all()
        what = self.path.split("/")[1]
        if what == "hang":
            web.is_over.wait()
            return
        self.send_response(int(what) if what.isdigit() else 200)
        if what == "302":
            self.send_header("Location", "/elsewhere")
        answer = b'{"errcode": 93000, "errmsg": "invalid webhook url"}' if what == "errcode" else b"{}"
        self.send_header("Content-Length", "100000" if what == "drip" else str(len(answer)))
        self.end_headers()
        with contextlib.suppress(OSError):
            while what == "drip" and not web.is_over.wait(DRIP_S):
                self.wfile.write(b" ")
            self.wfile.write(answer)

    def do_GET(self) -> None:
        """A redirect that is followed comes here."""
        with self.server.web.changed:
            self.server.web.taken.append((self.path, {}))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Paths hold tokens."""


def _read(body: str) -> dict[str, Any]:
    if body.startswith("{"):
        message: dict[str, Any] = json.loads(body)
        return message
    return {key: values[0] for key, values in parse_qs(body).items()}


@contextmanager
def web_server(port: int = 0) -> Iterator[WebServer]:
    server = WebServer(port)
    try:
        yield server
    finally:
        server.close()
