"""The network that fails on purpose: what it loses and what it keeps, before others rely on it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.network import Network

PATIENCE_S = 10.0
QUIET_S = 0.2


@contextmanager
def joined() -> Iterator[tuple[Network, socket.socket, socket.socket]]:
    """A network, and both ends of a connection through it."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        Network(server.getsockname()[1]) as network,
        socket.create_connection(("127.0.0.1", network.port), PATIENCE_S) as station,
    ):
        broker, _address = server.accept()
        with broker:
            broker.settimeout(PATIENCE_S)
            yield network, station, broker


def read(end: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := end.recv(size - len(data))):
        data += more
    return data


def is_silent(end: socket.socket) -> bool:
    end.settimeout(QUIET_S)
    try:
        end.recv(1)
    except TimeoutError:
        return True
    finally:
        end.settimeout(PATIENCE_S)
    return False


def publish(topic: str, message: int, payload: bytes = b"{}", *, qos: int = 1) -> bytes:
    body = len(topic).to_bytes(2, "big") + topic.encode() + (message.to_bytes(2, "big") if qos else b"") + payload
    length = bytes([len(body)]) if len(body) < 128 else bytes([len(body) % 128 | 128, len(body) // 128])
    return bytes([0x30 | qos << 1]) + length + body


def test_bytes_pass_whole_and_in_order_also_when_the_sender_closes_at_once() -> None:
    sent = b"".join(publish("stations/a/state/door", each, bytes(range(256))) for each in range(1, 400))
    with joined() as (network, station, broker):
        network.delay_s = 0.05

        def send() -> None:
            station.sendall(sent)
            station.shutdown(socket.SHUT_WR)

        sending = threading.Thread(target=send)
        sending.start()
        assert read(broker, len(sent) + 1) == sent
        sending.join()


@pytest.mark.parametrize("resets", [False, True])
def test_a_cut_ends_both_ends_and_refuses_until_it_is_mended(resets: bool) -> None:
    with joined() as (network, station, broker):
        network.cut(resets=resets)
        for end in (station, broker):
            try:
                assert end.recv(1) == b""
            except ConnectionResetError:
                assert resets
        with socket.create_connection(("127.0.0.1", network.port), PATIENCE_S) as late, pytest.raises(OSError):
            assert late.recv(1), "refused"
        network.mend()
        assert network.connections == 1


def test_a_half_open_connection_stands_and_carries_one_way_until_it_is_reset() -> None:
    with joined() as (network, station, broker):
        network.swallow("up")
        station.sendall(publish("stations/a/log", 1))
        broker.sendall(b"hello")
        assert read(station, 5) == b"hello"
        assert is_silent(broker)
        assert is_silent(station)
        network.mend()
        with pytest.raises(ConnectionResetError):
            station.recv(1)


def test_that_an_end_closes_is_not_heard_through_a_half_open_connection() -> None:
    with joined() as (network, station, broker):
        network.swallow("up", "down")
        broker.close()
        assert is_silent(station)


def test_a_slow_network_takes_its_time() -> None:
    with joined() as (network, station, broker):
        network.delay_s, network.bytes_per_s = 0.1, 10_000.0
        packet = publish("stations/a/state/door", 1, bytes(2000))
        began = time.monotonic()
        station.sendall(packet)
        assert read(broker, len(packet)) == packet
        assert time.monotonic() - began >= 0.3


def test_a_broker_that_forgets_acknowledges_entries_of_the_log_and_takes_nothing_else_away() -> None:
    state, entry = publish("stations/a/state/door", 1), publish("stations/a/log", 513, bytes(300))
    with joined() as (network, station, broker):
        network.forgets = True
        for byte in state + entry + state:
            station.sendall(bytes([byte]))
        assert read(broker, 2 * len(state)) == 2 * state
        assert read(station, 4) == b"\x40\x02\x02\x01"
        assert is_silent(broker)
        assert network.forgotten == 1
        network.forgets = False
        station.sendall(entry)
        assert read(broker, len(entry)) == entry
