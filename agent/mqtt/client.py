"""Makes MQTT clients: the agent's only importer of paho.

Every connection gets a client of its own (`Connection`): paho keeps queues, retries and state across reconnects, and
what hides there can be neither bounded nor thrown away. Facts from paho's network thread come out as `Signal`s through
one function, which must never block.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MessageType, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from agent.core.problems import Words
from agent.core.spoken import WrongUseError

_log = logging.getLogger(__name__)

_MAX_PASSWORD_BYTES = 65_535  # MQTT's own bound; also keeps a wrong path from being read into memory whole
_CONNECT_S = 5.0  # one attempt at TCP and TLS; a mobile network that needs longer carries no heartbeat either
_MAX_INCOMING_BYTES = 128 * 1024  # the contract's 64 KiB and its topic, with room; asked of the broker and enforced
DURABLE_S = 7 * 24 * 3600  # a subscriber that is away for a week is gone; the station keeps entries for longer
_UNSPECIFIED = 0x80  # MQTT's reason that names none; paho gives it where a socket is closed without a word
_UNANSWERED = Words(
    "服务器答复之前连接已断开:可能需要 TLS 或其他证书",
    "the connection ended before the broker answered: it may want TLS, or another certificate",
)
_ENDED_THERE = Words("服务器断开了连接", "the broker ended the connection")
_LOST = Words("连接中断", "connection lost")
PROTOCOL_RECEIVE_MAXIMUM = 65_535  # what MQTT 5 means when a broker names none


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM. The broker's certificate and host name are always checked; `ca` None: the system's authorities."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is and how to come in.

    keepalive_s: a silent connection is noticed by the broker after 1.5 times this, by us after twice this.
    """

    host: str
    port: int = 1883
    protocol: Literal["5", "3.1.1"] = "5"
    username: str | None = None
    password_file: Path | None = None
    tls: Tls | None = None
    keepalive_s: int = 30

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Retained:
    """A message that stays at the broker."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Limits:
    """What the broker said in its CONNACK (MQTT 5), or the protocol's own bounds."""

    receive_maximum: int = PROTOCOL_RECEIVE_MAXIMUM
    packet_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The broker accepted the connection."""

    limits: Limits


@dataclass(frozen=True, slots=True)
class Ended:
    """The connection is refused or over."""

    reason: Words


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """PUBACK for message `mid`; `refusal` is empty unless the broker would not take it (MQTT 5)."""

    mid: int
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Subscribed:
    """SUBACK; `refusal` is empty when every filter was granted."""

    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Received:
    """A message came in. `is_retained`: it was stored at the broker; also one that was just now sent so, where
    `subscribe` asked for that.
    """

    topic: str
    payload: bytes
    is_retained: bool
    qos: int = 1


Signal = Accepted | Ended | Acknowledged | Subscribed | Received


class Connection:
    """One MQTT connection from its beginning to its end; never used again.

    `signal` is called on paho's network thread. The methods are for one other thread, the owner's. `is_durable`: the
    broker keeps subscriptions, and what arrives for them, for `DURABLE_S` after the connection (MQTT 3.1.1: for ever).
    """

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        signal: Callable[[Signal], None],
        *,
        will: Retained | None = None,
        is_durable: bool = False,
    ) -> None:
        self._broker = broker
        self._signal = signal
        self._is_durable = is_durable
        self._ended = threading.Event()
        is_v5 = broker.protocol == "5"
        self._is_accepted = False
        self._client = client = _BoundedClient(
            self._end,
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if is_v5 else not is_durable,
            protocol=MQTTv5 if is_v5 else MQTTv311,
            reconnect_on_failure=False,
        )
        client.takes_messages = is_durable  # what was kept comes before a word of ours
        client.connect_timeout = _CONNECT_S
        client.max_inflight_messages_set(0)  # paho must not queue: the owner counts what is in flight
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        if will is not None:
            client.will_set(will.topic, will.payload, qos=1, retain=True)

    def open(self) -> None:
        """Connect the socket and start the network thread; `Accepted` or `Ended` follows.

        Takes up to some seconds (name, TCP, TLS). Raises OSError, also when a file of the settings cannot be read, and
        ValueError for one that holds no password, a bad certificate and a host name that is none.
        """
        self._enter_credentials()
        broker = self._broker
        if broker.protocol == "5":
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.MaximumPacketSize = _MAX_INCOMING_BYTES
            properties.SessionExpiryInterval = DURABLE_S if self._is_durable else 0
            is_clean = not self._is_durable
            self._client.connect(
                broker.host, broker.port, broker.keepalive_s, clean_start=is_clean, properties=properties
            )
        else:
            self._client.connect(broker.host, broker.port, broker.keepalive_s)
        connected = self._client.socket()
        if isinstance(connected, socket.socket):
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # nothing here is worth waiting for company
        self._client.loop_start()

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> int | None:
        """Send with QoS 1; returns the message's id, or None when the connection is gone. Never blocks."""
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        return info.mid if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS else None

    def subscribe(self, filters: tuple[str, ...], *, as_published: bool = False) -> None:
        """Subscribe with QoS 1; `Subscribed` follows.

        `as_published`: a message that its sender let the broker keep is `is_retained` also when it comes at once (MQTT
        5; in 3.1.1 only what was stored before shows it).
        """
        self._client.takes_messages = True
        if self._broker.protocol == "5":
            options = SubscribeOptions(qos=1, retainAsPublished=as_published)
            self._client.subscribe([(name, options) for name in filters])
        else:
            self._client.subscribe([(name, 1) for name in filters])

    def leave(self, timeout_s: float) -> None:
        """Say goodbye (the broker forgets the will) and end within `timeout_s` and a moment."""
        self._client.disconnect()
        self._ended.wait(timeout_s)
        self.cut()

    def cut(self) -> None:
        """End at once and without a word: the broker publishes the will. Safe to repeat."""
        connected = self._client.socket()
        if isinstance(connected, socket.socket):
            with contextlib.suppress(OSError):  # it may be over already
                connected.shutdown(socket.SHUT_RDWR)
        # paho's thread does not end while messages are unacknowledged and the socket lives; now it is dead.
        with contextlib.suppress(AttributeError):  # paho forgets its thread between its own test and its join
            self._client.loop_stop()
        self._client.let_go()

    def _enter_credentials(self) -> None:
        broker, client = self._broker, self._client
        if broker.username is not None or broker.password_file is not None:
            client.username_pw_set(broker.username or "", _read_password(broker.password_file))
        if broker.tls is not None:
            context = tls_context(broker.tls)
            context.sslsocket_class = _TlsSocket
            client.tls_set_context(context)

    def _on_connect(
        self, _client: Client, _data: object, _flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._end(Words(f"服务器拒绝连接:{reason}", f"the broker refused the connection: {reason}"))
            return
        if self._is_accepted:  # a second one would begin the session anew with the messages of the first in flight
            return
        self._is_accepted = True
        limits = Limits(
            receive_maximum=getattr(properties, "ReceiveMaximum", PROTOCOL_RECEIVE_MAXIMUM),
            packet_bytes=getattr(properties, "MaximumPacketSize", None),
        )
        self._signal(Accepted(limits))

    def _on_disconnect(
        self, _client: Client, _data: object, flags: DisconnectFlags, reason: ReasonCode, _p: Properties | None
    ) -> None:
        if not self._is_accepted and not flags.is_disconnect_packet_from_server:
            self._end(_UNANSWERED)
            return
        who = _ENDED_THERE if flags.is_disconnect_packet_from_server else _LOST
        is_told = reason.value != _UNSPECIFIED
        self._end(Words(f"{who.zh}:{reason}", f"{who.en}: {reason}") if is_told else who)

    def _end(self, reason: Words) -> None:
        if not self._ended.is_set():  # a refusal is followed by the end of the socket: the first reason tells more
            self._ended.set()
            self._signal(Ended(reason))

    def _on_publish(
        self, _client: Client, _data: object, mid: int, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        self._signal(Acknowledged(mid, str(reason) if reason.is_failure else ""))

    def _on_subscribe(
        self, _client: Client, _data: object, _mid: int, reasons: list[ReasonCode], _p: Properties | None
    ) -> None:
        self._signal(Subscribed("; ".join(str(reason) for reason in reasons if reason.is_failure)))

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self._signal(Received(message.topic, bytes(message.payload), message.retain, message.qos))


_ANSWERS = frozenset({MessageType.CONNACK, MessageType.PUBACK, MessageType.PINGRESP, MessageType.DISCONNECT})
_FOR_SUBSCRIBERS = _ANSWERS | {MessageType.SUBACK, MessageType.PUBLISH}
_QOS_BITS = 0x06  # of the first byte of a PUBLISH
_QOS_2 = 0x04


class _BoundedClient(Client):
    """paho with bounds on what a broker may send; what goes beyond them ends the connection.

    paho takes packets of 256 MB, keeps every QoS 2 message until its PUBREL, and answers what it never asked for. It
    also lets what it cannot decode end its thread, and then nothing tells that the connection is dead. `end` is told
    why, on paho's network thread. `takes_messages`: whether messages are expected at all, QoS 0 and 1 only.
    """

    def __init__(self, end: Callable[[Words], None], version: CallbackAPIVersion, **settings: Any) -> None:
        super().__init__(version, **settings)
        self.takes_messages = False
        self._tell_end = end

    def let_go(self) -> None:
        """Close what paho leaves open until it is collected, and let go of the owner, whose reference is a circle.

        Otherwise two files and what was in flight (up to 4 MiB) of each connection would stay until the interpreter
        looks for circles, which may be hours. Its thread must have ended.
        """
        self._reset_sockets()
        self.on_connect = self.on_disconnect = self.on_publish = self.on_subscribe = self.on_message = None
        self._tell_end = _nobody

    def _sock_recv(self, bufsize: int) -> bytes:
        # paho asks for all that is left of a packet, so this sees its length before a byte of it is in memory.
        if bufsize > _MAX_INCOMING_BYTES:
            most = _MAX_INCOMING_BYTES
            self._tell_end(
                Words(
                    f"服务器在一个数据包中发来 {bufsize} 字节,上限为 {most}",
                    f"the broker sent {bufsize} bytes in one packet, the bound is {most}",
                )
            )
            raise ConnectionAbortedError("a packet beyond the bound")
        return super()._sock_recv(bufsize)

    def _packet_handle(self) -> MQTTErrorCode:
        command = self._in_packet["command"]
        kind = command & 0xF0
        if kind not in (_FOR_SUBSCRIBERS if self.takes_messages else _ANSWERS):
            self._tell_end(
                Words(
                    f"服务器发来未请求的数据包(类型 {kind >> 4})",
                    f"the broker sent a packet that nobody asked for (type {kind >> 4})",
                )
            )
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        if kind == MessageType.PUBLISH and command & _QOS_BITS >= _QOS_2:
            self._tell_end(
                Words("服务器发来未约定的 QoS 2 消息", "the broker sent a message with QoS 2, which was not granted")
            )
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        self._acknowledge_at_once()
        try:
            return super()._packet_handle()
        except Exception:  # noqa: BLE001 - a border: paho raises all kinds of errors for bytes that are not MQTT
            _log.debug("a packet of type %d cannot be decoded", kind >> 4, exc_info=True)
            self._tell_end(
                Words(
                    f"服务器发来无法解读的数据包(类型 {kind >> 4})",
                    f"the broker sent a packet that cannot be decoded (type {kind >> 4})",
                )
            )
            return MQTTErrorCode.MQTT_ERR_PROTOCOL

    def _acknowledge_at_once(self) -> None:
        """Let TCP acknowledge what came now and not in 40 ms (tcp(7), TCP_QUICKACK, which does not stay set).

        A broker that sends by Nagle's algorithm, as mosquitto does unless told otherwise, holds the next small packet
        back until then: a command that follows an acknowledgement of ours would be as late.
        """
        connected = self.socket()
        if isinstance(connected, socket.socket):
            with contextlib.suppress(OSError):  # it may be over already
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def _nobody(_reason: Words) -> None:
    """Whoever was told is gone."""


class _TlsSocket(ssl.SSLSocket):
    """Closes itself when the handshake fails: paho would leave it open until it is collected."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except (OSError, ValueError):
            self.close()
            raise


def tls_context(tls: Tls) -> ssl.SSLContext:
    """What a connection is encrypted with, from the files. Raises OSError, also for a key that has a pass phrase."""
    context = ssl.create_default_context(cafile=tls.ca)
    if tls.certificate is not None:
        context.load_cert_chain(tls.certificate, tls.key, password="")  # or OpenSSL would ask for one on the terminal
    return context


def _read_password(path: Path | None) -> str | None:
    """Read at every connection, so that a new password counts without a restart."""
    if path is None:
        return None
    with path.open("rb") as file:
        content = file.read(_MAX_PASSWORD_BYTES + 1)
    with contextlib.suppress(UnicodeDecodeError):
        if len(content) <= _MAX_PASSWORD_BYTES:
            return content.decode().rstrip("\r\n")
    # Without the content in the message, which may be the password.
    raise WrongUseError(
        f"{path} 不是密码文件:其中应有一行 UTF-8 文字",
        f"{path} is not a password file: put one line of UTF-8 text into it",
    )
