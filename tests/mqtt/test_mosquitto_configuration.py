"""config/mosquitto/ with a real mosquitto: who gets in, and who may read and write what."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from agent.mqtt.client import (
    Accepted,
    Acknowledged,
    Broker,
    Connection,
    Ended,
    Received,
    Retained,
    Signal,
    Subscribed,
    Tls,
)
from agent.mqtt.topics import Topics
from tests.mosquitto_configuration import SecureBroker

PATIENCE_S = 15.0
ONE, OTHER = Topics("stations", "one"), Topics("stations", "other")
OWN = ("status", "about", "state/door", "state/appliances/microwave", "log", "readings", "replies")


class Client:
    """One connection and what it was told."""

    def __init__(self, broker: Broker, client_id: str) -> None:
        self.signals: SimpleQueue[Signal] = SimpleQueue()
        self.connection = Connection(broker, client_id, self.signals.put)
        self.connection.open()

    def wait_for(self, kind: type[Signal]) -> Signal:
        """The next signal of this kind; messages in between are passed over only when none is wanted."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            signal = self.signals.get(timeout=max(0.1, deadline - time.monotonic()))
            if isinstance(signal, kind):
                return signal
            assert not isinstance(signal, (Ended, Received)), signal

    def publish(self, topic: str, payload: bytes = b"{}", *, retain: bool = False) -> str:
        """Why the broker refused it; empty: it did not."""
        assert self.connection.publish(topic, payload, retain=retain) is not None
        done = self.wait_for(Acknowledged)
        assert isinstance(done, Acknowledged)
        return done.refusal

    def subscribe(self, *filters: str) -> None:
        self.connection.subscribe(filters)
        self.wait_for(Subscribed)

    def topics(self, until: str) -> list[str]:
        """Topics of the messages that come, up to the first one on `until`."""
        found: list[str] = []
        while until not in found:
            received = self.signals.get(timeout=PATIENCE_S)
            assert isinstance(received, Received), received
            found.append(received.topic)
        return found


Enter = Callable[..., Client]


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    broker = SecureBroker(tmp_path_factory.mktemp("secure"), "one", "other")
    yield broker
    broker.mosquitto.stop()


@pytest.fixture
def enter(secure: SecureBroker) -> Iterator[Enter]:
    clients: list[Client] = []

    def come_in(name: str, client_id: str = "", protocol: str = "5") -> Client:
        client = Client(secure.as_(name, protocol=protocol), client_id or name)
        clients.append(client)
        client.wait_for(Accepted)
        return client

    yield come_in
    for each in clients:
        each.connection.cut()


def reason_to_refuse(broker: Broker, *, name: str = "one") -> str:
    """What somebody hears who may not come in; the test fails when they may."""
    signals: SimpleQueue[Signal] = SimpleQueue()
    connection = Connection(broker, name, signals.put)
    try:
        connection.open()
        # With TLS 1.3 a client hears only after its own handshake that its certificate was refused.
        signal = signals.get(timeout=PATIENCE_S)
        assert isinstance(signal, Ended), signal
    except OSError as error:
        return str(error)
    finally:
        connection.cut()
    return signal.reason.en


# --- who gets in -----------------------------------------------------------------------------------------------------


def test_who_has_no_certificate_does_not_get_in(secure: SecureBroker) -> None:
    broker = secure.as_("one")
    assert reason_to_refuse(replace(broker, tls=Tls(ca=secure.certificates.folder / "ca.pem")))
    assert reason_to_refuse(replace(broker, tls=None))
    assert reason_to_refuse(replace(broker, tls=None, username="central-server"))


def test_a_certificate_of_another_authority_does_not_get_in(secure: SecureBroker, tmp_path: Path) -> None:
    stranger = SecureBroker(tmp_path, "one")
    try:
        tls = replace(stranger.certificates.tls("one"), ca=secure.certificates.folder / "ca.pem")
        assert reason_to_refuse(replace(secure.as_("one"), tls=tls))
    finally:
        stranger.mosquitto.stop()


def test_the_brokers_own_certificate_is_nobodys(secure: SecureBroker) -> None:
    assert reason_to_refuse(secure.as_("server"))


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_broker_whose_certificate_has_another_name_is_left(tmp_path: Path, protocol: str) -> None:
    elsewhere = SecureBroker(tmp_path, "one", host="elsewhere.example")
    try:
        assert "Hostname mismatch" in reason_to_refuse(elsewhere.as_("one", protocol=protocol))
        assert "connected from" not in elsewhere.mosquitto.log()
    finally:
        elsewhere.mosquitto.stop()


def test_a_station_cannot_pose_as_the_broker(tmp_path: Path) -> None:
    """Its certificate is of the same authority, but a client's."""
    true = SecureBroker(tmp_path, "one")
    true.mosquitto.stop()
    folder = true.certificates.folder
    for kind in ("pem", "key"):
        (folder / f"server.{kind}").write_bytes((folder / f"one.{kind}").read_bytes())
    true.mosquitto.start()
    try:
        assert "unsuitable certificate purpose" in reason_to_refuse(true.as_("one"))
    finally:
        true.mosquitto.stop()


def test_a_revoked_certificate_and_the_one_before_it_do_not_get_in(tmp_path: Path) -> None:
    broker = SecureBroker(tmp_path, "one", "other")
    certificates, kept = broker.certificates, tmp_path / "kept"
    kept.mkdir()
    try:
        for name in ("first", "second"):
            for kind in ("pem", "key"):
                (kept / f"{name}.{kind}").write_bytes((certificates.folder / f"one.{kind}").read_bytes())
            certificates.make("station", "one", RENEW="1")
        certificates.make("revoke", "one")
        broker.mosquitto.stop()
        broker.mosquitto.add(f"crlfile {certificates.folder / 'revoked.pem'}")
        broker.mosquitto.start()

        for name in ("first", "second"):
            tls = Tls(certificates.folder / "ca.pem", kept / f"{name}.pem", kept / f"{name}.key")
            assert reason_to_refuse(replace(broker.as_("other"), tls=tls))
        certificates.make("station", "one")
        for name in ("one", "other"):
            client = Client(broker.as_(name), name)
            client.wait_for(Accepted)
            client.connection.cut()
    finally:
        broker.mosquitto.stop()


# --- who may do what -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_the_central_server_hears_all_that_stations_say(enter: Enter, protocol: str) -> None:
    server, station = enter("central-server", protocol=protocol), enter("one", protocol=protocol)
    server.subscribe("stations/#")
    for name in OWN:
        assert station.publish(f"stations/one/{name}") == ""
    assert sorted(server.topics(until=ONE.replies)) == sorted(f"stations/one/{name}" for name in OWN)


@pytest.mark.parametrize("account", ["central-server", "operator"])
def test_nobody_but_the_station_reads_the_cards_and_pins_in_its_commands(enter: Enter, account: str) -> None:
    reader, station = enter(account), enter("one")
    station.subscribe(ONE.commands)
    reader.subscribe("stations/#", ONE.commands, "stations/+/commands")
    assert reader.publish(ONE.commands) == ""
    assert station.topics(until=ONE.commands) == [ONE.commands]
    station.publish(ONE.replies)
    assert reader.topics(until=ONE.replies) == [ONE.replies]


def test_a_station_can_write_nothing_of_anothers(enter: Enter) -> None:
    station = enter("one")
    for name in (*OWN, "commands"):
        assert "Not authorized" in station.publish(f"stations/other/{name}"), name
    for topic in (ONE.commands, "stations/one", "stations/one/more", "homeassistant/device/other/config", "x"):
        assert "Not authorized" in station.publish(topic), topic


def test_what_a_station_writes_of_anothers_reaches_nobody_in_3_1_1_too(enter: Enter) -> None:
    """There the broker acknowledges what it drops."""
    server, station = enter("central-server"), enter("one", protocol="3.1.1")
    server.subscribe("stations/#")
    for name in (*OWN, "commands"):
        station.publish(f"stations/other/{name}", retain=True)
    station.publish(ONE.log)
    assert server.topics(until=ONE.log) == [ONE.log]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_station_reads_its_own_commands_and_nothing_else(enter: Enter, protocol: str) -> None:
    server, other, station = enter("central-server"), enter("other"), enter("one", protocol=protocol)
    for name in OWN:
        other.publish(f"stations/other/{name}", b"secret", retain=True)
    station.subscribe("#", "stations/#", "stations/other/status", "stations/+/commands", "$SYS/#")
    for name in OWN:
        other.publish(f"stations/other/{name}", b"secret")
        station.publish(f"stations/one/{name}")
    assert server.publish(OTHER.commands) == ""
    assert server.publish(ONE.commands) == ""
    assert set(station.topics(until=ONE.commands)) == {ONE.commands}
    for name in OWN:
        other.publish(f"stations/other/{name}", b"", retain=True)


def test_the_central_server_cannot_speak_for_a_station(enter: Enter) -> None:
    server = enter("central-server")
    for name in OWN:
        assert "Not authorized" in server.publish(f"stations/one/{name}"), name


def test_a_last_will_on_anothers_topic_is_not_published(secure: SecureBroker, enter: Enter) -> None:
    server = enter("central-server")
    server.subscribe("stations/#")
    signals: SimpleQueue[Signal] = SimpleQueue()
    connection = Connection(secure.as_("one"), "one", signals.put, will=Retained(OTHER.status, b"offline"))
    connection.open()
    signals.get(timeout=PATIENCE_S)  # accepted or refused: either will do
    connection.cut()
    enter("other").publish(OTHER.log)
    assert server.topics(until=OTHER.log) == [OTHER.log]


def test_a_client_id_of_anothers_does_not_end_its_connection(enter: Enter) -> None:
    station = enter("one", client_id="station-one")
    enter("other", client_id="station-one")
    assert station.publish(ONE.log) == ""
    enter("one", client_id="whatever")  # the same certificate, on the other hand, is the same station
    assert isinstance(station.wait_for(Ended), Ended)
    with pytest.raises(Empty):
        station.signals.get_nowait()


# --- the script ------------------------------------------------------------------------------------------------------


def test_nothing_that_exists_is_overwritten(secure: SecureBroker) -> None:
    files = {path: path.read_bytes() for path in secure.certificates.folder.iterdir() if path.is_file()}
    for arguments in (("ca",), ("server", "localhost"), ("station", "one"), ("account", "central-server")):
        done = secure.certificates.run(*arguments)
        assert done.returncode == 1
        assert "exists" in done.stderr
    assert {path: path.read_bytes() for path in files} == files


@pytest.mark.parametrize(
    "name", ["central-server", "operator", "home-assistant", "ca", "server", "revoked", "a/b", "+", "#", "", ".x"]
)
def test_no_station_can_have_a_name_that_opens_more(secure: SecureBroker, name: str) -> None:
    assert secure.certificates.run("station", name).returncode != 0


def test_keys_are_for_nobody_else_to_read(secure: SecureBroker) -> None:
    keys = list(secure.certificates.folder.glob("*.key"))
    assert {"ca", "server", "operator", "one"} <= {path.stem for path in keys}
    assert all(path.stat().st_mode & 0o077 == 0 for path in keys)


def test_a_request_gets_the_name_that_was_asked_for_and_not_its_own(secure: SecureBroker, tmp_path: Path) -> None:
    request, key = tmp_path / "station.csr", tmp_path / "station.key"
    make = [
        "openssl",
        "req",
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-noenc",
        "-subj",
        "/CN=central-server",
    ]
    command = [*make, "-keyout", str(key), "-out", str(request)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    secure.certificates.make("station", "third", str(request))
    made = x509.load_pem_x509_certificate((secure.certificates.folder / "third.pem").read_bytes())
    assert [each.value for each in made.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["third"]
    assert not (secure.certificates.folder / "third.key").exists()
    assert reason_free(
        secure, Tls(secure.certificates.folder / "ca.pem", secure.certificates.folder / "third.pem", key)
    )


def reason_free(secure: SecureBroker, tls: Tls) -> bool:
    client = Client(replace(secure.as_("one"), tls=tls), "third")
    try:
        client.wait_for(Accepted)
        return client.publish("stations/third/log") == "" and "Not authorized" in client.publish("stations/one/log")
    finally:
        client.connection.cut()
