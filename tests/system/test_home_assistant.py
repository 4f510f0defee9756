"""Home Assistant's view of a whole station, read as it would read it from the shipped broker."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from agent.mqtt.client import Connection, Received, Signal, Subscribed
from tests.mosquitto_configuration import SecureBroker
from tests.system.stations import PATIENCE_S, STATION, eventually, running, write_settings
from tests.system.test_certificates import link_settings

TOPIC = f"homeassistant/device/{STATION}/config"
MICROWAVE = {"kind": "microwave", "power": "meter", "label_zh": "微波炉"}


class HomeAssistant:
    """A subscriber that keeps the newest of each topic, as the access list lets it."""

    def __init__(self, broker: SecureBroker) -> None:
        self.newest: dict[str, bytes] = {}
        self._signals: SimpleQueue[Signal] = SimpleQueue()
        self.connection = Connection(broker.as_("home-assistant"), "home-assistant", self._signals.put)
        self.connection.open()
        self._signals.get(timeout=PATIENCE_S)
        self.connection.subscribe(("homeassistant/#", "stations/#"))

    def hear(self) -> None:
        """Take what has come."""
        try:
            while True:
                signal = self._signals.get(timeout=0.02)
                assert isinstance(signal, (Received, Subscribed)), signal
                if isinstance(signal, Received):
                    self.newest[signal.topic] = signal.payload
        except Empty:
            return

    def shown(self) -> dict[str, str]:
        """What it shows for each component whose state has come."""
        self.hear()
        described = json.loads(self.newest.get(TOPIC) or b'{"components": {}}')
        return {
            key: render(each["value_template"], self.newest[each["state_topic"]])
            for key, each in described["components"].items()
            if each["state_topic"] in self.newest
        }


def render(template: str, payload: bytes) -> str:
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    return environment.from_string(template).render(value_json=json.loads(payload))


@contextmanager
def home_assistant(broker: SecureBroker) -> Iterator[HomeAssistant]:
    made = HomeAssistant(broker)
    try:
        yield made
    finally:
        made.connection.cut()


def settings_of(folder: Path, broker: SecureBroker, *, is_enabled: bool) -> Path:
    tables: dict[str, dict[str, Any]] = {
        **link_settings(broker),
        "mqtt.home_assistant": {"enabled": is_enabled},
        "sensors.meter": {"driver": "simulated", "interval_s": 0.2},
        "appliances.microwave": MICROWAVE,
    }
    return write_settings(folder, tables)


def test_home_assistant_sees_what_happens_and_forgets_the_station_when_it_is_switched_off(tmp_path: Path) -> None:
    broker = SecureBroker(tmp_path, STATION)
    broker.certificates.make("account", "home-assistant")
    try:
        with running(settings_of(tmp_path, broker, is_enabled=True)) as station, home_assistant(broker) as seen:
            eventually(lambda: seen.shown().get("door") == "OFF", "the closed door is shown")
            assert seen.shown()["lock"] == "OFF"
            assert seen.shown()["people"] == "0"
            eventually(lambda: seen.shown().get("appliance_microwave") in ("off", "standby"), "the microwave is shown")
            station.let_somebody_in()
            eventually(lambda: seen.shown()["people"] == "1", "somebody is inside")
            assert seen.shown()["occupied"] == "ON"

            station.client.request("notice.put", zh="停水", en="No water")
            eventually(lambda: seen.shown().get("notice") == "停水", "the notice is shown")

            described = json.loads(seen.newest[TOPIC])
            for key, each in described["components"].items():
                value = render(each["value_template"], seen.newest[each["state_topic"]])
                assert value not in ("", "None"), key
                if each["platform"] == "binary_sensor":
                    assert value in ("ON", "OFF"), key
                if "options" in each:
                    assert value in each["options"], key
            faults = described["components"]["faults"]
            listed = render(faults["json_attributes_template"], seen.newest[faults["json_attributes_topic"]])
            assert json.loads(listed) == {"faults": []}
            status = seen.newest[described["availability_topic"]]
            assert render(described["availability_template"], status) == "online"
            assert not any(topic.endswith(("/log", "/readings")) for topic in seen.newest)

        with home_assistant(broker) as seen:
            eventually(lambda: bool(seen.shown()), "the description is retained")
            with running(settings_of(tmp_path, broker, is_enabled=False)) as station:
                eventually(lambda: seen.shown() == {} and seen.newest[TOPIC] == b"", "it is taken back")
                eventually(lambda: station.status()["broker"]["connected"], "the link stays")
        with home_assistant(broker) as late:
            eventually(lambda: late.shown() == {} and bool(late.newest), "what is retained has come")
            time.sleep(0.2)
            late.hear()
            assert TOPIC not in late.newest
    finally:
        broker.mosquitto.stop()
