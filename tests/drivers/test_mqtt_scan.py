"""What a scan of a real broker finds, and what it makes of nonsense."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.errors import DeviceError
from drivers.found import Found
from drivers.mqtt_connection import Arrived, MqttBroker
from drivers.mqtt_scan import MOST_FOUND, _read, scan
from tests.broker import Mosquitto, free_port
from tests.drivers.mqtt_station import Firmware

# Long enough for a busy machine; a scan always takes its whole time.
LISTEN_S = 1.5


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    server = Mosquitto(tmp_path)
    server.start()
    yield server
    server.stop()


def test_a_scan_lists_the_devices_of_every_form(mosquitto: Mosquitto) -> None:
    zigbee = [
        {"friendly_name": "Coordinator", "type": "Coordinator", "definition": None},
        {
            "friendly_name": "fridge",
            "type": "Router",
            "definition": {"vendor": "Xiaomi", "model": "ZNCZ02LM", "description": "Mi power plug"},
        },
        {"friendly_name": "0x00158d0001", "type": "EndDevice", "definition": None},
    ]
    tasmota = {"ip": "192.168.0.7", "dn": "Wasserkocher", "md": "Sonoff S31", "t": "kettle"}
    with closing(Firmware(mosquitto.port)) as firmware:
        announced = {"id": "shellyplug-1", "model": "SHPLG-1", "ip": "192.168.0.8", "fw_ver": "1"}
        firmware.answer("shellies/command", lambda _: firmware.say("shellies/announce", json.dumps(announced)))
        firmware.say("zigbee2mqtt/bridge/devices", json.dumps(zigbee), retain=True)
        firmware.say("tasmota/discovery/5CCF7F000001/config", json.dumps(tasmota), retain=True)
        firmware.say("shellies/shellyplug-1/online", "true", retain=True)
        firmware.say("shellyplugsg3-1/online", "false", retain=True)
        firmware.say("tasmota/discovery/5CCF7F000002/config", "garbage", retain=True)
        found = scan(MqttBroker("127.0.0.1", mosquitto.port), LISTEN_S)
        assert [(topic, payload) for topic, payload, _ in firmware.heard] == [("shellies/command", b"announce")]
    assert found == [
        Found("mqtt_device", "shelly_gen1:shellyplug-1", "SHPLG-1 192.168.0.8"),
        Found("mqtt_device", "shelly_gen2:shellyplugsg3-1", "offline"),
        Found("mqtt_device", "tasmota:kettle", "Wasserkocher Sonoff S31 192.168.0.7"),
        Found("mqtt_device", "zigbee2mqtt:0x00158d0001", "not supported by Zigbee2MQTT"),
        Found("mqtt_device", "zigbee2mqtt:fridge", "Xiaomi ZNCZ02LM Mi power plug"),
    ]


def test_a_scan_of_a_broker_that_lists_thousands_stays_bounded_and_of_one_line_each(mosquitto: Mosquitto) -> None:
    many = [
        {"friendly_name": f"d{n}", "type": "Router", "definition": {"description": "a\nb" * 1_000}} for n in range(250)
    ]
    with closing(Firmware(mosquitto.port)) as firmware:
        firmware.say("zigbee2mqtt/bridge/devices", json.dumps(many), retain=True)
        found = scan(MqttBroker("127.0.0.1", mosquitto.port), LISTEN_S)
    assert len(found) == MOST_FOUND
    assert {len(each.description) for each in found} == {80}
    assert "\n" not in found[0].description


def test_a_scan_without_a_broker_says_so() -> None:
    with pytest.raises(DeviceError, match="cannot be reached"):
        scan(MqttBroker("127.0.0.1", free_port()), LISTEN_S)


TOPICS = [
    "zigbee2mqtt/bridge/devices",
    "tasmota/discovery/x/config",
    "shellies/announce",
    "shellies/a/online",
    "a/online",
]
KEYS = st.sampled_from(["friendly_name", "type", "definition", "vendor", "t", "dn", "id", "gen"])
SCALARS = st.none() | st.booleans() | st.integers() | st.sampled_from(["", "+", "#", "a/b", "plug", "\n\0"])
OBJECTS = st.dictionaries(KEYS, SCALARS | st.dictionaries(KEYS, SCALARS, max_size=3), max_size=5)
CONTENT = SCALARS | OBJECTS | st.lists(SCALARS | OBJECTS, max_size=4)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([*TOPICS, "other", "a/b/c"]),
    st.binary(max_size=50) | st.builds(lambda each: json.dumps(each).encode(), CONTENT),
)
def test_whatever_is_on_the_broker_gives_only_devices_that_can_be_served(topic: str, payload: bytes) -> None:
    for _form, name, description in _read(Arrived(topic, payload, True)):
        assert name
        assert not set(name) & set("+#\n\0")
        assert description.isprintable()
