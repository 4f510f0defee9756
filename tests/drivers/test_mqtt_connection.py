"""The drivers' connection to a broker: TLS, and brokers that break the protocol or say nothing."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import drivers.mqtt_connection
from drivers.mqtt_connection import MqttBroker
from drivers.mqtt_device import MqttDevice
from tests.broker import Mosquitto
from tests.certificates import make_certificates
from tests.drivers.mqtt_station import Firmware, Reports, served
from tests.drivers.waiting import LIMIT_S, eventually

FRIDGE = {"fridge": MqttDevice("zigbee2mqtt", "fridge")}
CONNACK = b"\x20\x03\x00\x00\x00"
TOPIC = struct.pack(">H", 18) + b"zigbee2mqtt/fridge"


def length_of(size: int) -> bytes:
    digits = b""
    while True:
        size, digit = divmod(size, 128)
        digits += bytes([digit | (128 if size else 0)])
        if not size:
            return digits


class HostileBroker:
    """Says what the test wants to everybody who connects."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.says = b""
        self._thread = threading.Thread(target=self._run, name="hostile-broker")
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            peer.settimeout(LIMIT_S)
            try:
                with peer if self._context is None else self._context.wrap_socket(peer, server_side=True) as talking:
                    talking.recv(4096)  # CONNECT
                    talking.sendall(self.says)
                    while talking.recv(4096):
                        pass
            except OSError:
                continue  # the other end has had enough, as it should

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(2 * LIMIT_S)
        assert not self._thread.is_alive()


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture
def hostile() -> Iterator[HostileBroker]:
    broker = HostileBroker()
    yield broker
    broker.close()


@pytest.mark.parametrize(
    "packets",
    [
        b"\x30" + length_of(255 * 1024 * 1024) + b"x" * 4 * 1024 * 1024,
        b"\x30" + length_of(20_000) + TOPIC + b"\0" + b"x" * 20_000,
        b"\x34" + length_of(len(TOPIC) + 5) + TOPIC + b"\0\1" + b"\0" + b"{}",
        b"\x30\x05\x00\x03\xff\xfe\xfd",
        b"\x30\x00",
        b"\x90\x00",
        b"\x90\x03\x00\x01\x00",
        b"\xf0\x00",
        b"\x30\xff\xff\xff\xff\xff",
    ],
    ids=["huge", "long", "qos-2", "not-utf-8", "empty", "cut-short", "suback-without-reasons", "reserved", "length"],
)
def test_a_broker_that_breaks_the_protocol_is_left_and_tried_again(
    hostile: HostileBroker, reports: Reports, packets: bytes
) -> None:
    hostile.says = CONNACK + packets
    tracemalloc.start()
    try:
        with served(hostile.port, FRIDGE, reports):
            assert eventually(lambda: reports.of("failed", "fridge") != [])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    [reason] = reports.of("failed", "fridge")
    assert "tried again by itself" in reason
    assert "did not take the connection" not in reason  # which would be for want of a SUBACK
    assert peak < 8 * 1024 * 1024


def test_a_broker_that_says_nothing_is_left(
    hostile: HostileBroker, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drivers.mqtt_connection, "_CONNECT_S", 0.3)
    with served(hostile.port, FRIDGE, reports):
        assert eventually(lambda: reports.of("failed", "fridge") != [])
    assert "did not take the connection" in reports.of("failed", "fridge")[0]


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize(("named", "is_accepted"), [("localhost", True), ("other.example", False)])
def test_tls_checks_the_name_of_the_broker_and_reads_all_that_comes_at_once(
    tmp_path: Path, reports: Reports, named: str, is_accepted: bool
) -> None:
    authority, certificate, key = make_certificates(tmp_path, named)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        plain = probe.getsockname()[1]
    tls = (f"cafile {authority}", f"certfile {certificate}", f"keyfile {key}", "allow_anonymous true")
    server = Mosquitto(tmp_path, (*tls, f"listener {plain} 127.0.0.1"))
    server.start()
    try:
        broker = MqttBroker("localhost", server.port, ca_file=authority)
        with served(server.port, FRIDGE, reports, broker=broker):
            if not is_accepted:
                assert eventually(lambda: reports.of("failed", "fridge") != [])
                assert "certificate" in reports.of("failed", "fridge")[0].lower()
                return
            assert eventually(lambda: is_open(plain))
            with closing(Firmware(plain)) as firmware:
                firmware.say("zigbee2mqtt/fridge/availability", "offline", retain=True)
                assert eventually(lambda: reports.of("failed", "fridge") != [])
                assert "is offline" in reports.of("failed", "fridge")[0]
                for number in range(40):
                    firmware.say("zigbee2mqtt/fridge", f'{{"power": {number}}}', qos=0)
                assert eventually(lambda: reports.values("fridge") == {"power_w": 39.0})
    finally:
        server.stop()


def test_messages_that_come_in_one_tls_record_are_read_without_waiting(tmp_path: Path, reports: Reports) -> None:
    authority, certificate, key = make_certificates(tmp_path, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    values = [f'{{"power": {number}}}'.encode() for number in range(45)]
    records = [b"\x30" + length_of(len(TOPIC) + 1 + len(value)) + TOPIC + b"\0" + value for value in values]
    with closing(HostileBroker(context)) as server:
        # To the driver's first SUBSCRIBE, which has three topics and is message 1; all of it fits into one record.
        server.says = CONNACK + b"\x90\x06\x00\x01\x00\x01\x01\x01" + b"".join(records)
        broker = MqttBroker("localhost", server.port, ca_file=authority)
        with served(server.port, FRIDGE, reports, broker=broker):
            assert eventually(lambda: reports.values("fridge") == {"power_w": 44.0})
    assert len(reports.of("read", "fridge")) == 45
