"""The whole agent against mosquitto as it is shipped: TLS both ways, a certificate for each station, access list."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.contract.entries import PREFIX, body_model
from agent.fleet.watch import Watcher
from agent.mqtt.backoff import Backoff
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
