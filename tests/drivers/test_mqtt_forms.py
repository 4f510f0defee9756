"""What each maker's messages mean, and that nothing that can be sent breaks their reading."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.mqtt_forms import FORMS
from drivers.mqtt_message import LIMITS, MAX_NAME, MAX_PAYLOAD_BYTES, STATES, Heard, check_name

ENERGY = {"Total": 12.5, "Yesterday": 0.4, "Today": 0.1, "Power": 1043, "Factor": 0.97, "Voltage": 229, "Current": 4.56}
FULL = {
    "id": 0,
    "source": "init",
    "output": True,
    "apower": 1043.5,
    "voltage": 229.4,
    "current": 4.551,
    "aenergy": {"total": 12500.0, "by_minute": [0, 0, 0], "minute_ts": 1782000000},
    "temperature": {"tC": 41.2, "tF": 106.2},
}
PLUG = {"power_w": 1043.5, "voltage_v": 229.4, "current_a": 4.551, "energy_kwh": 12.5}

# form, topic, payload, values, states, is_online
SAID: list[tuple[str, str, Any, dict[str, float], dict[str, bool], bool | None]] = [
    (
        "zigbee2mqtt",
        "zigbee2mqtt/{name}",
        {"state": "ON", "power": 61.4, "voltage": 231, "current": 0.27, "energy": 3.02, "linkquality": 134},
        {"power_w": 61.4, "voltage_v": 231.0, "current_a": 0.27, "energy_kwh": 3.02, "link_quality": 134.0},
        {"on": True},
        None,
    ),
    (
        "zigbee2mqtt",
        "zigbee2mqtt/{name}",
        {"battery": 97, "voltage": 3015, "temperature": -4.27, "humidity": 44.7, "pressure": 1008},
        {"battery_percent": 97.0, "temperature_c": -4.27, "humidity_percent": 44.7},
        {},
        None,
    ),
    (
        "zigbee2mqtt",
        "zigbee2mqtt/{name}",
        {"contact": False, "tamper": False},
        {},
        {"open": True, "tamper": False},
        None,
    ),
    ("zigbee2mqtt", "zigbee2mqtt/{name}", {"contact": True}, {}, {"open": False}, None),
    (
        "zigbee2mqtt",
        "zigbee2mqtt/{name}",
        {"water_leak": True, "battery_low": False, "voltage": 2900},
        {},
        {"water_leak": True, "battery_low": False},
        None,
    ),
    (
        "zigbee2mqtt",
        "zigbee2mqtt/{name}",
        {"occupancy": True, "illuminance": 12, "power": None, "action": "single", "update": {"state": "idle"}},
        {"illuminance_lx": 12.0},
        {"occupancy": True},
        None,
    ),
    ("zigbee2mqtt", "zigbee2mqtt/{name}/availability", {"state": "online"}, {}, {}, True),
    ("zigbee2mqtt", "zigbee2mqtt/{name}/availability", {"state": "offline"}, {}, {}, False),
    ("zigbee2mqtt", "zigbee2mqtt/{name}/availability", "offline", {}, {}, False),
    ("zigbee2mqtt", "zigbee2mqtt/bridge/state", {"state": "offline"}, {}, {}, False),
    (
        "tasmota",
        "tele/{name}/SENSOR",
        {"Time": "2026-11-22T03:04:05", "ENERGY": ENERGY},
        {"power_w": 1043.0, "voltage_v": 229.0, "current_a": 4.56, "energy_kwh": 12.5},
        {},
        None,
    ),
    (
        "tasmota",
        "tele/{name}/SENSOR",
        {"ESP32": {"Temperature": 51.1}, "AM2301": {"Temperature": 20.6, "Humidity": 51.0}, "TempUnit": "C"},
        {"temperature_c": 20.6, "humidity_percent": 51.0},
        {},
        None,
    ),
    (
        "tasmota",
        "tele/{name}/SENSOR",
        {"DS18B20": {"Temperature": 50}, "TempUnit": "F"},
        {"temperature_c": 10.0},
        {},
        None,
    ),
    ("tasmota", "tele/{name}/STATE", {"Uptime": "0T00:10:11", "POWER": "OFF"}, {}, {"on": False}, None),
    ("tasmota", "stat/{name}/STATUS10", {"StatusSNS": {"ENERGY": {"Power": 7}}}, {"power_w": 7.0}, {}, None),
    ("tasmota", "stat/{name}/POWER", "ON", {}, {"on": True}, None),
    ("tasmota", "stat/{name}/POWER1", "OFF", {}, {"on": False}, None),
    ("tasmota", "tele/{name}/LWT", "Online", {}, {}, True),
    ("tasmota", "tele/{name}/LWT", "Offline", {}, {}, False),
    ("shelly_gen1", "shellies/{name}/online", "false", {}, {}, False),
    ("shelly_gen1", "shellies/{name}/relay/0", "on", {}, {"on": True, "overpower": False}, None),
    ("shelly_gen1", "shellies/{name}/relay/0", "overpower", {}, {"on": False, "overpower": True}, None),
    ("shelly_gen1", "shellies/{name}/relay/0/power", "43.71", {"power_w": 43.71}, {}, None),
    ("shelly_gen1", "shellies/{name}/relay/0/energy", "90000", {"energy_kwh": 1.5}, {}, None),
    ("shelly_gen1", "shellies/{name}/sensor/temperature", "21.5", {"temperature_c": 21.5}, {}, None),
    ("shelly_gen1", "shellies/{name}/sensor/flood", "true", {}, {"water_leak": True}, None),
    (
        "shelly_gen2",
        "{name}/events/rpc",
        {"src": "shellyplugsg3-1", "method": "NotifyStatus", "params": {"ts": 1.5, "switch:0": FULL}},
        PLUG,
        {"on": True},
        None,
    ),
    (
        "shelly_gen2",
        "{name}/events/rpc",
        {"method": "NotifyStatus", "params": {"switch:0": {"id": 0, "apower": 0.0}}},
        {"power_w": 0.0},
        {},
        None,
    ),
    ("shelly_gen2", "{name}/events/rpc", {"method": "NotifyEvent", "params": {"events": []}}, {}, {}, None),
    (
        "shelly_gen2",
        "{name}/events/rpc",
        {
            "method": "NotifyFullStatus",
            "params": {
                "temperature:0": {"tC": 4.5},
                "humidity:0": {"rh": 61.0},
                "devicepower:0": {"battery": {"percent": 88}},
                "input:0": {"state": True},
            },
        },
        {"temperature_c": 4.5, "humidity_percent": 61.0, "battery_percent": 88.0},
        {"input": True},
        None,
    ),
    ("shelly_gen2", "{name}/status/switch:0", FULL, PLUG, {"on": True}, None),
    ("shelly_gen2", "{name}/status/flood:0", {"id": 0, "alarm": True}, {}, {"water_leak": True}, None),
    ("shelly_gen2", "{name}/online", "true", {}, {}, True),
]


def say(form: str, topic: str, payload: Any) -> Heard:
    content = payload if isinstance(payload, str | bytes) else json.dumps(payload)
    return FORMS[form].topics[topic](content if isinstance(content, bytes) else content.encode())


@pytest.mark.parametrize(("form", "topic", "payload", "values", "states", "is_online"), SAID)
def test_a_message_means_what_its_maker_documents(
    form: str, topic: str, payload: Any, values: dict[str, float], states: dict[str, bool], is_online: bool | None
) -> None:
    heard = say(form, topic, payload)
    assert heard.faults == ()
    assert dict(heard.values) == pytest.approx(values)
    assert dict(heard.states) == states
    assert heard.is_online is is_online


def test_every_topic_of_every_form_is_read_at_least_once_by_this_table_or_is_a_sibling() -> None:
    seen = {(form, topic) for form, topic, *_rest in SAID}
    unseen = {(form, topic) for form, each in FORMS.items() for topic in each.topics} - seen
    assert unseen == {
        ("shelly_gen1", "shellies/{name}/sensor/humidity"),
        ("shelly_gen1", "shellies/{name}/sensor/battery"),
        *(
            ("shelly_gen2", f"{{name}}/status/{each}:0")
            for each in ("pm1", "input", "temperature", "humidity", "smoke", "devicepower")
        ),
    }


@pytest.mark.parametrize(
    ("form", "topic", "payload"),
    [
        ("zigbee2mqtt", "zigbee2mqtt/{name}", "garbage"),
        ("zigbee2mqtt", "zigbee2mqtt/{name}", b"\xff\xfe"),
        ("zigbee2mqtt", "zigbee2mqtt/{name}", "[1, 2]"),
        ("zigbee2mqtt", "zigbee2mqtt/{name}", '{"power": NaN}'),
        ("zigbee2mqtt", "zigbee2mqtt/{name}", '{"power": Infinity}'),
        ("zigbee2mqtt", "zigbee2mqtt/{name}", '{"power": 1e400}'),
        ("zigbee2mqtt", "zigbee2mqtt/{name}", '{"power": 1' + "0" * 400 + "}"),
        ("zigbee2mqtt", "zigbee2mqtt/{name}", '{"power": "61.4"}'),
        ("zigbee2mqtt", "zigbee2mqtt/{name}", '{"power": true}'),
        ("zigbee2mqtt", "zigbee2mqtt/{name}", '{"occupancy": 1}'),
        ("zigbee2mqtt", "zigbee2mqtt/{name}", '{"state": "TOGGLE"}'),
        ("zigbee2mqtt", "zigbee2mqtt/{name}", "[" * 16_000),
        ("zigbee2mqtt", "zigbee2mqtt/{name}", '{"a":' * 3_000),
        ("zigbee2mqtt", "zigbee2mqtt/{name}/availability", "perhaps"),
        ("zigbee2mqtt", "zigbee2mqtt/{name}/availability", '{"state": 1}'),
        ("tasmota", "tele/{name}/SENSOR", '{"ENERGY": 7}'),
        ("tasmota", "tele/{name}/SENSOR", '{"ENERGY": {"Power": [1, 2]}}'),
        ("tasmota", "stat/{name}/STATUS10", "{}"),
        ("tasmota", "stat/{name}/POWER", "MAYBE"),
        ("shelly_gen1", "shellies/{name}/relay/0/power", "nan"),
        ("shelly_gen1", "shellies/{name}/relay/0/power", "inf"),
        ("shelly_gen1", "shellies/{name}/relay/0/power", "12 W"),
        ("shelly_gen1", "shellies/{name}/relay/0", "half"),
        ("shelly_gen1", "shellies/{name}/sensor/flood", "1"),
        ("shelly_gen2", "{name}/events/rpc", '{"method": "NotifyStatus", "params": 7}'),
        ("shelly_gen2", "{name}/events/rpc", '{"method": "NotifyStatus", "params": {"switch:0": []}}'),
        ("shelly_gen2", "{name}/status/switch:0", '{"aenergy": 7}'),
        ("shelly_gen2", "{name}/status/switch:0", '{"temperature": {}, "output": "on"}'),
    ],
)
def test_what_is_not_readable_is_a_fault_and_no_value(form: str, topic: str, payload: str | bytes) -> None:
    heard = say(form, topic, payload)
    assert heard.faults
    assert not heard.values
    assert not heard.states
    assert heard.is_online is None


def test_a_field_that_is_wrong_takes_no_other_with_it() -> None:
    heard = say("zigbee2mqtt", "zigbee2mqtt/{name}", {"power": "much", "voltage": 231, "state": "ON", "humidity": 101})
    assert dict(heard.values) == {"voltage_v": 231.0}
    assert dict(heard.states) == {"on": True}
    assert len(heard.faults) == 2


@pytest.mark.parametrize("form", FORMS)
def test_a_retained_message_that_was_cleared_says_nothing(form: str) -> None:
    for parse in FORMS[form].topics.values():
        assert parse(b"") == Heard()


WORDS = st.sampled_from(["ON", "OFF", "F", "online", "", "\0", "12", "nan"])
SCALARS: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.just([]) | st.just({})
)
KNOWN = {"power", "voltage", "contact", "state", "battery", "ENERGY", "Power", "Temperature", "StatusSNS", "POWER"}
KNOWN |= {"TempUnit", "method", "params", "switch:0", "apower", "aenergy", "total", "output", "temperature:0", "tC"}
KEYS = st.sampled_from(sorted(KNOWN))
FLAT = st.dictionaries(KEYS, SCALARS, max_size=4)
NESTED = st.dictionaries(KEYS, SCALARS | FLAT, max_size=4)
LIKELY = st.dictionaries(KEYS, SCALARS | FLAT | NESTED, max_size=5)
METHOD = st.sampled_from(["NotifyStatus", "NotifyFullStatus"])
NOTIFIED = st.builds(lambda method, params: {"method": method, "params": params}, METHOD, LIKELY)


@given(st.binary(max_size=200) | st.builds(lambda each: json.dumps(each).encode(), LIKELY | NOTIFIED))
def test_nothing_that_can_be_sent_breaks_the_reading(payload: bytes) -> None:
    for form in FORMS.values():
        for parse in form.topics.values():
            heard = parse(payload)
            assert heard.states.keys() <= STATES
            for quantity, value in heard.values.items():
                low, high = LIMITS[quantity]
                assert math.isfinite(value)
                assert low - 1e-9 <= value <= high * (1 + 1e-9)


@pytest.mark.parametrize("name", ["plug", "kitchen/plug", "0x00158d00018255df", "微波炉", "tasmota_9CF9D1", "a b"])
def test_a_name_of_a_device_is_taken(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    "name", ["", "+", "#", "plug/#", "a/+/b", "$SYS", "/a", "a/", "a//b", "bridge", "bridge/x", "a\0", "a\n", "x" * 101]
)
def test_a_name_that_would_reach_other_topics_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a device's name"):
        check_name(name)


def test_the_bounds_leave_room_for_the_longest_documented_message() -> None:
    whole = {"method": "NotifyFullStatus", "params": {f"switch:{i}": FULL for i in range(8)}}
    assert len(json.dumps(whole)) < MAX_PAYLOAD_BYTES // 4
    assert MAX_NAME < 65_535 // 4
