"""Whoever floods: one MQTT connection that publishes as fast as the broker takes it, with no good manners."""

from __future__ import annotations

import contextlib
import socket
from types import TracebackType

_KEEPALIVE_S = 600
_PIECE_BYTES = 1 << 16
_PATIENCE_S = 60.0
_CONNACK_BYTES, _PUBACK_BYTES = 4, 4


class Flood:
    """MQTT 3.1.1, QoS 1. `send` never waits for an acknowledgement; `settle` waits for all of them."""

    def __init__(self, port: int, client_id: str = "flood") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), _PATIENCE_S)
        self._socket.settimeout(_PATIENCE_S)
        self._waiting = bytearray()
        self._sent = self._acknowledged_bytes = 0
        name = client_id.encode()
        head = b"\x00\x04MQTT\x04\x02" + _KEEPALIVE_S.to_bytes(2, "big")  # a clean session
        self._socket.sendall(_packet(0x10, head + len(name).to_bytes(2, "big") + name))
        answer = self._socket.recv(_CONNACK_BYTES, socket.MSG_WAITALL)
        assert answer == b"\x20\x02\x00\x00", "the broker lets it in"

    def send(self, topic: str, payload: bytes, *, is_retained: bool = False, is_repeated: bool = False) -> None:
        name = topic.encode()
        self._sent += 1
        number = (self._sent - 1) % 65_535 + 1
        body = len(name).to_bytes(2, "big") + name + number.to_bytes(2, "big") + payload
        self._waiting += _packet(0x32 | is_retained | is_repeated << 3, body)
        if len(self._waiting) > _PIECE_BYTES:
            self.push()

    def push(self) -> None:
        """Hand what waits to the broker, and read its acknowledgements so that it need not stop."""
        self._socket.sendall(self._waiting)
        self._waiting.clear()
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while found := self._socket.recv(_PIECE_BYTES):
                self._acknowledged_bytes += len(found)
        self._socket.settimeout(_PATIENCE_S)

    def settle(self) -> None:
        """Wait until the broker has taken everything."""
        self.push()
        while self._acknowledged_bytes < _PUBACK_BYTES * self._sent:
            found = self._socket.recv(_PIECE_BYTES)
            assert found, "the broker ended the connection"
            self._acknowledged_bytes += len(found)

    def __enter__(self) -> Flood:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        self._socket.close()


def _packet(first: int, body: bytes) -> bytes:
    """Fixed header and the length in groups of seven bits (MQTT 3.1.1, 2.2.3)."""
    left, length = len(body), bytearray()
    while True:
        left, group = divmod(left, 128)
        length.append(group | (128 if left else 0))
        if not left:
            return bytes((first, *length)) + body
