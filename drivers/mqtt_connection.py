"""One connection to a local MQTT broker, driven by its owner's thread: the drivers' only importer of paho.

paho starts no thread here: the owner calls `exchange`, which waits for the broker and for the owner's own wake-up at
once, and gets back what came. MQTT 5 only: with it the broker itself keeps back what is longer than we take.
"""

from __future__ import annotations

import contextlib
import logging
import select
import ssl
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion, MessageType, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from drivers.errors import DeviceError

_logger = logging.getLogger(__name__)

_CONNECT_S = 5.0  # a broker on the same machine or network answers at once
_KEEPALIVE_S = 30  # a broker that is cut off without a word is noticed within twice this
_MAX_PASSWORD_BYTES = 65_535  # MQTT's own bound; also keeps a wrong path from being read into memory whole
_FILTERS_AT_ONCE = 50  # in one SUBSCRIBE, so that its packet stays within what every broker takes
_MOST_UNSENT = 200  # messages that paho keeps for a broker that does not take them
_QOS_BITS, _QOS_2 = 0x06, 0x04  # of the first byte of a PUBLISH


@dataclass(frozen=True, slots=True)
class MqttBroker:
    """Where the broker is and how to come in.

    ca_file: PEM; with it the connection is TLS, and the broker's certificate and host name are checked.
    password_file: one line of UTF-8 text, read at every connection, so that a new password counts without a restart.
    """

    host: str = "127.0.0.1"
    port: int = 1883
    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message. `is_retained`: the broker had kept it from some earlier time."""

    topic: str
    payload: bytes
    is_retained: bool


class Connection:
    """One connection from its beginning to its end; never used again. Every method is for the owner's thread."""

    def __init__(self, broker: MqttBroker, topics: tuple[str, ...], *, max_packet_bytes: int) -> None:
        self._broker = broker
        self._unsubscribed = deque(topics[i : i + _FILTERS_AT_ONCE] for i in range(0, len(topics), _FILTERS_AT_ONCE))
        self._max_packet_bytes = max_packet_bytes
        self._asked: tuple[int | None, int] = (None, 0)  # the SUBSCRIBE that is not yet answered, and its topics
        self._arrived: list[Arrived] = []
        self._reason = ""
        self._deadline = 0.0
        self.is_ready = False
        """Whether the broker has taken the connection and the topics."""
        self._client = client = _BoundedClient(
            max_packet_bytes, CallbackAPIVersion.VERSION2, protocol=MQTTv5, reconnect_on_failure=False
        )
        client.connect_timeout = _CONNECT_S
        client.max_queued_messages_set(_MOST_UNSENT)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message

    def open(self) -> None:
        """Connect the socket, in some seconds at most (name, TCP, TLS). Raises `DeviceError`."""
        broker = self._broker
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.MaximumPacketSize = self._max_packet_bytes
        try:
            if broker.username is not None or broker.password_file is not None:
                self._client.username_pw_set(broker.username or "", _read_password(broker.password_file))
            if broker.ca_file is not None:
                context = ssl.create_default_context(cafile=broker.ca_file)
                context.sslsocket_class = _TlsSocket
                self._client.tls_set_context(context)
            self._client.connect(broker.host, broker.port, _KEEPALIVE_S, clean_start=True, properties=properties)
        except (OSError, ValueError) as error:  # ValueError: a host name that cannot be one
            raise DeviceError(
                f"the MQTT broker {broker} cannot be reached ({error}): check that it runs, its address and its files"
            ) from error
        self._deadline = time.monotonic() + _CONNECT_S

    def exchange(self, wake: int, timeout_s: float) -> list[Arrived]:
        """Wait until something comes, `wake` (a file descriptor) is readable, or `timeout_s` is over.

        Returns what came, at most some messages. Raises `DeviceError` when the connection is over.
        """
        connected = self._client.socket()
        if connected is None:
            raise self._over("it ended the connection")
        poll = select.poll()
        poll.register(wake, select.POLLIN)
        poll.register(connected, select.POLLIN | (select.POLLOUT if self._client.want_write() else 0))
        # What TLS has already decrypted makes no descriptor readable.
        is_pending = isinstance(connected, ssl.SSLSocket) and connected.pending() > 0
        poll.poll(0 if is_pending else max(0.0, timeout_s) * 1000)
        try:
            self._client.loop_read()
            self._client.loop_write()
            self._client.loop_misc()
        except Exception as error:  # a border: paho raises all kinds of errors for bytes that are not MQTT
            _logger.debug("the broker %s sent what cannot be decoded", self._broker, exc_info=True)
            raise self._over("it sent what cannot be decoded") from error
        if self._reason:
            raise self._over(self._reason)
        if not self.is_ready and time.monotonic() > self._deadline:
            raise self._over(f"it did not take the connection within {_CONNECT_S:.0f} s")
        arrived, self._arrived = self._arrived, []
        return arrived

    def publish(self, topic: str, payload: bytes) -> bool:
        """Send with QoS 1, not retained; returns whether it is on its way."""
        return self._client.publish(topic, payload, qos=1, retain=False).rc == MQTTErrorCode.MQTT_ERR_SUCCESS

    def close(self) -> None:
        """End the connection with a goodbye. Safe to repeat."""
        self._client.on_disconnect = None
        with contextlib.suppress(OSError, ValueError):  # it may be over already
            self._client.disconnect()
        connected = self._client.socket()
        if connected is not None:
            with contextlib.suppress(OSError):
                connected.close()

    def _over(self, reason: str) -> DeviceError:
        return DeviceError(f"the MQTT broker {self._broker} is away ({reason}): it is tried again by itself")

    def _on_connect(
        self, _client: Client, _data: object, _flags: ConnectFlags, reason: ReasonCode, _properties: object
    ) -> None:
        if reason.is_failure:
            self._reason = self._reason or f"it refused the connection: {reason}"
        else:
            self._subscribe()

    def _on_disconnect(
        self, _client: Client, _data: object, _flags: DisconnectFlags, reason: ReasonCode, _properties: object
    ) -> None:
        self._reason = self._reason or f"the connection ended: {reason}"

    def _subscribe(self) -> None:
        """Ask for the next topics; when there are none left, the connection is ready."""
        if self._unsubscribed:
            topics = self._unsubscribed.popleft()
            _, mid = self._client.subscribe([(topic, 1) for topic in topics])
            self._asked = (mid, len(topics))
        else:
            self.is_ready = True

    def _on_subscribe(
        self, _client: Client, _data: object, mid: int, reasons: list[ReasonCode], _properties: object
    ) -> None:
        refused = [reason for reason in reasons if reason.is_failure]
        if refused or self._asked != (mid, len(reasons)):
            said = refused[0] if refused else "its answer does not fit what was asked"
            self._reason = self._reason or f"it does not let us subscribe: {said}"
        else:
            self._subscribe()

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self._arrived.append(Arrived(message.topic, bytes(message.payload), message.retain))


class _BoundedClient(Client):
    """paho, which takes packets of 256 MB and keeps QoS 2 messages, with bounds on what a broker may send.

    What goes beyond them ends the connection.
    """

    def __init__(self, max_packet_bytes: int, version: CallbackAPIVersion, **settings: Any) -> None:
        super().__init__(version, **settings)
        self._max_packet_bytes = max_packet_bytes

    def _sock_recv(self, bufsize: int) -> bytes:
        # paho asks for all that is left of a packet, so this sees its length before a byte of it is in memory.
        if bufsize > self._max_packet_bytes:
            raise ConnectionAbortedError("a packet beyond the bound")
        return super()._sock_recv(bufsize)

    def _packet_handle(self) -> MQTTErrorCode:
        command = self._in_packet["command"]
        if command & 0xF0 == MessageType.PUBLISH and command & _QOS_BITS >= _QOS_2:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        return super()._packet_handle()


class _TlsSocket(ssl.SSLSocket):
    """Closes itself when the handshake fails: paho would leave it open until it is collected."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except (OSError, ValueError):
            self.close()
            raise


def _read_password(path: Path | None) -> str | None:
    if path is None:
        return None
    with path.open("rb") as file:
        content = file.read(_MAX_PASSWORD_BYTES + 1)
    with contextlib.suppress(UnicodeDecodeError):
        if len(content) <= _MAX_PASSWORD_BYTES:
            return content.decode().rstrip("\r\n")
    # Without the content in the message, which may be the password.
    raise OSError(f"{path} is not a password file: put one line of UTF-8 text into it")
