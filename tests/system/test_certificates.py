"""The whole agent against mosquitto as it is shipped: TLS both ways, a certificate for each station, access list."""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent import certificates, clock, command_keys
from agent.contract.entries import PREFIX, body_model
from agent.fleet.commander import Commander
from agent.fleet.watch import Watcher
from agent.mqtt.backoff import Backoff
from agent.mqtt.topics import Topics
from tests.broker import Mosquitto
from tests.mosquitto_configuration import SecureBroker
from tests.system.stations import PATIENCE_S, STATION, eventually, running, write_settings

AT_ONCE = Backoff(first_s=0.05, longest_s=0.2, least_s=0.02)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[SecureBroker]:
    secure = SecureBroker(tmp_path, STATION, "other-0001")
    yield secure
    secure.mosquitto.stop()


def link_settings(broker: SecureBroker, name: str = STATION) -> dict[str, dict[str, Any]]:
    folder = broker.certificates.folder
    return {
        "mqtt": {"enabled": True, "host": "localhost", "port": broker.mosquitto.port},
        "mqtt.tls": {
            "enabled": True,
            "ca_file": str(folder / "ca.pem"),
            "cert_file": str(folder / f"{name}.pem"),
            "key_file": str(folder / f"{name}.key"),
        },
    }


def test_visits_reach_the_central_server_through_the_shipped_broker(tmp_path: Path, broker: SecureBroker) -> None:
    watcher = Watcher(broker.as_("central-server"), backoff=AT_ONCE)
    watcher.start()
    try:
        with running(write_settings(tmp_path, link_settings(broker))) as station:
            station.let_somebody_in()
            written = station.status()["log"]["sequence"]
            assert watcher.wait_for(lambda each: len(each.entries(STATION)) >= written, PATIENCE_S)
            assert watcher.wait_for(lambda each: each.state(STATION, "occupancy") is not None, PATIENCE_S)
            assert station.faults() == set()
            assert watcher.is_online(STATION)
        assert watcher.wait_for(lambda each: not each.is_online(STATION), PATIENCE_S)
        assert watcher.audit(STATION).is_whole
        assert watcher.complaints() == ()
        entries = watcher.entries(STATION)
    finally:
        watcher.close()
    assert "station.visit.entered" in {each.type for each in entries}
    assert "station.log.epoch_began" in {each.type for each in entries}
    for each in entries:  # what the storage writes by itself is held to the contract here
        body_model(each.type.removeprefix(PREFIX)).model_validate_json(json.dumps(each.data))


def test_a_command_goes_through_the_shipped_broker_beside_the_server(tmp_path: Path, broker: SecureBroker) -> None:
    signer = command_keys.generate("central-1")
    keys = {f"commands.keys.{signer.name}": {"public": signer.public_text, "scopes": ["open"]}}
    watcher = Watcher(broker.as_("central-server"), backoff=AT_ONCE)
    watcher.start()
    try:
        with running(write_settings(tmp_path, {**link_settings(broker), **keys})) as station:
            assert watcher.wait_for(lambda each: each.is_online(STATION), PATIENCE_S)
            with Commander(broker.as_("operator"), Topics("stations", STATION), signer) as commander:
                answers = commander.send("door.unlock")
                assert next(answers).status == "accepted"
                assert station.parts.door.push()
                last = next(answers)
            assert (last.status, last.result["opened"]) == ("done", True)
            assert watcher.is_subscribed
            assert watcher.wait_for(lambda each: "station.command.ended" in _types(each), PATIENCE_S)
    finally:
        watcher.close()


def test_a_station_with_anothers_certificate_is_heard_as_neither(tmp_path: Path, broker: SecureBroker) -> None:
    watcher = Watcher(broker.as_("central-server"), backoff=AT_ONCE)
    watcher.start()
    try:
        with running(write_settings(tmp_path, link_settings(broker, "other-0001"))) as station:
            eventually(lambda: "Denied PUBLISH" in broker.mosquitto.log(), "the broker refuses its status")
            eventually(lambda: ("broker.disconnected", "mqtt") in station.faults(), "the station says so")
        assert watcher.stations() == ()
    finally:
        watcher.close()


def test_a_renewed_certificate_is_taken_without_a_restart(
    tmp_path: Path, broker: SecureBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(clock, "_is_synchronised", lambda: True)
    files = broker.certificates
    files.make("station", STATION, RENEW="1", DAYS="10")
    watcher = Watcher(broker.as_("central-server"), backoff=AT_ONCE)
    watcher.start()
    try:
        with running(write_settings(tmp_path, link_settings(broker))) as station:
            expiring = ("tls.expiring", "mqtt.tls.cert_file")
            eventually(lambda: station.faults() == {expiring}, "the end of the certificate is a fault")
            assert watcher.wait_for(lambda each: each.is_online(STATION), PATIENCE_S)
            before = watcher.status(STATION)
            assert before is not None

            files.make("station", STATION, RENEW="1")
            eventually(lambda: station.faults() == set(), "the fault is over")
            assert watcher.wait_for(lambda each: _session(each) not in (None, before.session), PATIENCE_S)
            assert watcher.is_online(STATION)
            station.let_somebody_in()
            written = station.status()["log"]["sequence"]
            assert watcher.wait_for(lambda each: len(each.entries(STATION)) >= written, PATIENCE_S)
            assert watcher.audit(STATION).is_whole
            assert "station.fault.raised" in {each.type for each in watcher.entries(STATION)}
            raised = [each.data for each in watcher.entries(STATION) if each.type == "station.fault.raised"]
            assert [each["code"] for each in raised if each] == ["tls.expiring"]  # the link's change is no outage
    finally:
        watcher.close()
    connections = [line for line in broker.mosquitto.log().splitlines() if "New client connected" in line]
    assert sum(f"as {STATION} " in line for line in connections) == 2


def test_a_password_from_systemds_credentials_opens_the_link_and_is_said_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    passwords, folder, place = tmp_path / "passwords", tmp_path / "credentials", tmp_path / "broker"
    for each in (folder, place):
        each.mkdir()
    command = ["/usr/bin/mosquitto_passwd", "-b", "-c", str(passwords), STATION, "open-sesame"]
    subprocess.run(command, check=True, capture_output=True)
    (folder / "mqtt.password").write_text("open-sesame\n")
    server = Mosquitto(place, ("allow_anonymous false", f"password_file {passwords}"))
    server.start()
    mqtt = {"enabled": True, "host": "127.0.0.1", "port": server.port, "username": STATION}
    path = write_settings(tmp_path, {"mqtt": mqtt})
    try:
        with running(path) as station:
            eventually(lambda: ("broker.disconnected", "mqtt") in station.faults(), "without it nobody comes in")
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
        with caplog.at_level(logging.DEBUG), running(path) as station:
            eventually(lambda: station.status()["broker"]["connected"], "the link is up")
            shown = json.dumps(station.status())
        assert "sesame" not in caplog.text + shown + server.log() + repr(station.app.settings)
    finally:
        server.stop()


def _types(watcher: Watcher) -> set[str]:
    return {each.type for each in watcher.entries(STATION)}


def _session(watcher: Watcher) -> str | None:
    status = watcher.status(STATION)
    return None if status is None else status.session
