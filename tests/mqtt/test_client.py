"""A connection to a broker that breaks the protocol: it ends, says why, and keeps nothing of what was sent."""

from __future__ import annotations

import gc
import socket
import struct
import threading
import time
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from queue import SimpleQueue

import pytest

from agent.mqtt.client import Accepted, Broker, Connection, Ended, Received, Signal
from tests.broker import free_port

Connect = Callable[..., Connection]
PATIENCE_S = 10.0
MANY = 2_000


def packet(first: int, content: bytes, claimed: int | None = None) -> bytes:
    """An MQTT packet; `claimed`: the length that it says it has."""
    left, length = len(content) if claimed is None else claimed, b""
    while True:
        left, digit = divmod(left, 128)
        length += bytes([digit | (128 if left else 0)])
        if not left:
            return bytes([first]) + length + content


def publish(first: int, topic: bytes, payload: bytes, protocol: str, mid: bytes = b"") -> bytes:
    properties = b"\0" if protocol == "5" else b""
    return packet(first, struct.pack(">H", len(topic)) + topic + mid + properties + payload)


class HostileBroker:
    """Accepts one connection, says CONNACK and then whatever the test wants; `serve` to the end of the test."""

    def __init__(self, protocol: str) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.broker = Broker("127.0.0.1", self._listener.getsockname()[1], protocol="5" if protocol == "5" else "3.1.1")
        self.connack = packet(0x20, b"\0\0\0" if protocol == "5" else b"\0\0")
        self._thread: threading.Thread | None = None

    def serve(self, *sent: bytes, times: int = 1) -> None:
        self._thread = threading.Thread(target=self._talk, args=(sent, times), name="hostile-broker")
        self._thread.start()

    def _talk(self, sent: tuple[bytes, ...], times: int) -> None:
        peer, _ = self._listener.accept()
        with peer:
            peer.settimeout(PATIENCE_S)
            peer.recv(4096)  # CONNECT
            try:
                peer.sendall(self.connack)
                for _ in range(times):
                    for each in sent:
                        peer.sendall(each)
                while peer.recv(4096):
                    pass
            except OSError:
                return  # the other end has had enough, as it should

    def close(self) -> None:
        if self._thread is not None:
            self._thread.join(2 * PATIENCE_S)
            assert not self._thread.is_alive()
        self._listener.close()


@pytest.fixture(params=["5", "3.1.1"])
def hostile(request: pytest.FixtureRequest) -> Iterator[HostileBroker]:
    broker = HostileBroker(request.param)
    yield broker
    broker.close()


@pytest.fixture
def signals() -> SimpleQueue[Signal]:
    return SimpleQueue()


@pytest.fixture
def connect(signals: SimpleQueue[Signal]) -> Iterator[Connect]:
    opened: list[Connection] = []

    def connect_to(broker: Broker, *, is_subscriber: bool = False) -> Connection:
        connection = Connection(broker, "test", signals.put, is_durable=is_subscriber)
        opened.append(connection)
        connection.open()
        return connection

    yield connect_to
    for each in opened:
        each.cut()


def reason_of_end(signals: SimpleQueue[Signal]) -> str:
    """What it says when it ends; nothing but acceptance and messages may come before."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        signal = signals.get(timeout=max(0.1, deadline - time.monotonic()))
        if isinstance(signal, Ended):
            return signal.reason.en
        assert isinstance(signal, Accepted | Received)


def test_what_is_sent_does_not_wait_for_company(hostile: HostileBroker, connect: Connect) -> None:
    hostile.serve()
    connected = connect(hostile.broker)._client.socket()
    assert isinstance(connected, socket.socket)
    assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_nothing_of_a_connection_stays_when_it_was_cut(hostile: HostileBroker, signals: SimpleQueue[Signal]) -> None:
    hostile.serve()
    gc.disable()  # what only it would find stays for hours in a process that makes little rubbish
    try:
        connection = Connection(hostile.broker, "test", signals.put)
        client = weakref.ref(connection._client)
        connection.open()
        assert isinstance(signals.get(timeout=PATIENCE_S), Accepted)
        connection.publish("stations/a/log", b"in flight", retain=False)
        connection.cut()
        assert isinstance(signals.get(timeout=PATIENCE_S), Ended)
        del connection
        assert client() is None, "with its sockets and what was in flight"
    finally:
        gc.enable()


def test_nothing_of_a_connection_stays_when_there_is_no_broker() -> None:
    gc.disable()
    try:
        connection = Connection(Broker("127.0.0.1", free_port()), "test", lambda _signal: None)
        client = weakref.ref(connection._client)
        with pytest.raises(OSError):
            connection.open()
        connection.cut()
        del connection
        assert client() is None
    finally:
        gc.enable()


def test_a_packet_beyond_the_bound_ends_the_connection_before_it_is_in_memory(
    hostile: HostileBroker, signals: SimpleQueue[Signal], connect: Connect
) -> None:
    # One that claims 255 MB, and of which the most comes that a link can buffer at once.
    hostile.serve(packet(0x30, b"\0\1a", claimed=255 * 1024 * 1024), b"x" * 8 * 1024 * 1024)
    tracemalloc.start()
    try:
        connection = connect(hostile.broker, is_subscriber=True)
        assert "bytes in one packet" in reason_of_end(signals)
        connection.cut()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12 * 1024 * 1024  # 8 MiB of it is what this test sends


@pytest.mark.parametrize("first", [0x30, 0x32, 0x34])
def test_a_message_without_a_subscription_ends_the_connection(
    hostile: HostileBroker, signals: SimpleQueue[Signal], connect: Connect, first: int
) -> None:
    hostile.serve(publish(first, b"a", b"x", hostile.broker.protocol, b"\0\1" if first != 0x30 else b""))
    connect(hostile.broker)
    assert "nobody asked for" in reason_of_end(signals)


def test_messages_with_qos_2_end_the_connection_of_a_subscriber(
    hostile: HostileBroker, signals: SimpleQueue[Signal], connect: Connect
) -> None:
    hostile.serve(publish(0x34, b"a", b"x" * 60_000, hostile.broker.protocol, b"\0\1"), times=200)
    connect(hostile.broker, is_subscriber=True)
    assert "QoS 2" in reason_of_end(signals)


@pytest.mark.parametrize("first", [0x50, 0x62, 0x70, 0x90, 0xB0, 0xC0])
def test_a_packet_that_nobody_asked_for_ends_the_connection(
    hostile: HostileBroker, signals: SimpleQueue[Signal], connect: Connect, first: int
) -> None:
    hostile.serve(packet(first, b"" if first == 0xC0 else b"\0\1"))
    connect(hostile.broker)
    assert "nobody asked for" in reason_of_end(signals)


def test_a_topic_that_is_not_utf_8_ends_the_connection(
    hostile: HostileBroker, signals: SimpleQueue[Signal], connect: Connect
) -> None:
    hostile.serve(publish(0x30, b"\xff\xfe\xfd", b"x", hostile.broker.protocol))
    connect(hostile.broker, is_subscriber=True)
    assert "cannot be decoded" in reason_of_end(signals)


@pytest.mark.parametrize("rubbish", [b"\x40\x00", b"\x40\x01\x00", b"\x20\x00", b"\x30\x00"])
def test_a_packet_that_is_cut_short_ends_the_connection(
    hostile: HostileBroker, signals: SimpleQueue[Signal], connect: Connect, rubbish: bytes
) -> None:
    hostile.serve(rubbish)
    connect(hostile.broker, is_subscriber=True)
    assert reason_of_end(signals)


def test_a_second_acceptance_is_ignored(hostile: HostileBroker, signals: SimpleQueue[Signal], connect: Connect) -> None:
    hostile.serve(hostile.connack * MANY, packet(0x50, b"\0\1"))  # the last ends it
    connect(hostile.broker)
    seen: list[Signal] = []
    while not seen or not isinstance(seen[-1], Ended):
        seen.append(signals.get(timeout=PATIENCE_S))
    assert [type(each) for each in seen] == [Accepted, Ended]
