"""What Home Assistant is told: its own form, and templates that read what is really published."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from agent.core.room import QUANTITIES
from agent.mqtt.discovery import NOTE_FILE, Announcement, Device, discovery_message, discovery_topic
from agent.mqtt.payloads import (
    MAX_PAYLOAD_BYTES,
    ApplianceState,
    DoorState,
    EnvironmentState,
    Notice,
    NoticeState,
    OccupancyState,
    encode,
)
from agent.mqtt.topics import Topics

TOPICS = Topics("stations", "demo-1")
DEVICE = Device("城东驿站", {"microwave": "微波炉"})


def rendered(component: dict[str, Any], payload: bytes) -> str:
    """What Home Assistant makes of a message."""
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    return environment.from_string(component["value_template"]).render(value_json=json.loads(payload))


@pytest.fixture
def components() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(discovery_message(TOPICS, DEVICE))["components"]
    return found


def test_it_is_one_device_with_everything_that_a_discovery_needs(components: dict[str, dict[str, Any]]) -> None:
    described = json.loads(discovery_message(TOPICS, DEVICE))
    assert described["device"]["identifiers"] == ["station-agent-demo-1"]
    assert described["origin"]["name"] == "station-agent"
    assert described["availability_topic"] == "stations/demo-1/status"
    assert {"door", "lock", "occupied", "people", "faults", "appliance_microwave"} <= set(components)
    for each in components.values():
        assert each["platform"] in ("binary_sensor", "sensor")
        assert each["state_topic"].startswith("stations/demo-1/state/")
        assert each["value_template"]
        assert each["name"]
        assert "command_topic" not in each
    identities = [each["unique_id"] for each in components.values()]
    assert len(set(identities)) == len(identities)


def test_names_are_in_the_language_of_the_settings() -> None:
    for language, door, power in (("zh", "门", "微波炉 功率"), ("en", "Door", "微波炉 power")):
        device = Device("x", DEVICE.appliances, "zh" if language == "zh" else "en")
        found = json.loads(discovery_message(TOPICS, device))["components"]
        assert (found["door"]["name"], found["appliance_microwave_power"]["name"]) == (door, power)


@pytest.mark.parametrize(("contact", "shown"), [("open", "ON"), ("closed", "OFF"), ("unknown", "None")])
def test_a_door_that_nobody_can_read_is_neither_open_nor_closed(
    components: dict[str, dict[str, Any]], contact: str, shown: str
) -> None:
    fields = {"mode": "normal", "admission": "members", "lock": "secured", "contact": contact, "alarms": ()}
    door = DoorState.model_validate({"observed_at": "2026-11-22T03:04:05Z", "holds_s": 90.0, **fields})
    assert rendered(components["door"], encode(door)) == shown
    assert rendered(components["lock"], encode(door)) == "OFF"
    assert rendered(components["alarm"], encode(door)) == "OFF"
    assert rendered(components["door_mode"], encode(door)) in components["door_mode"]["options"]


def test_people_are_counted(components: dict[str, dict[str, Any]]) -> None:
    inside = OccupancyState(observed_at="2026-11-22T03:04:05Z", holds_s=90.0, count=3, is_occupied=True)
    assert rendered(components["people"], encode(inside)) == "3"
    assert rendered(components["occupied"], encode(inside)) == "ON"


def test_of_the_air_it_shows_what_is_measured(components: dict[str, dict[str, Any]]) -> None:
    assert not set(QUANTITIES) & set(components)
    device = Device("x", {}, "en", tuple(QUANTITIES))
    shown = json.loads(discovery_message(TOPICS, device))["components"]
    air = EnvironmentState(
        observed_at="2026-11-22T03:04:05Z", holds_s=90.0, temperature_c=21.5, humidity_percent=None, co2_ppm=640.0
    )
    assert [rendered(shown[each], encode(air)) for each in QUANTITIES] == ["21.5", "None", "640.0"]
    assert [shown[each]["unit_of_measurement"] for each in QUANTITIES] == ["°C", "%", "ppm"]


@pytest.mark.parametrize(
    ("usable", "switched_off", "shown"),
    [("no", False, "ON"), ("yes", False, "OFF"), ("unknown", False, "None"), ("no", True, "OFF")],
)
def test_an_appliance_that_somebody_ordered_off_is_no_problem(
    components: dict[str, dict[str, Any]], usable: str, switched_off: bool, shown: str
) -> None:
    fields = {"state": "off", "usable": usable, "power_w": 0.0, "switched_off": switched_off}
    oven = ApplianceState.model_validate({"observed_at": "2026-11-22T03:04:05Z", "holds_s": 90.0, **fields})
    assert rendered(components["appliance_microwave_problem"], encode(oven)) == shown


def test_a_notice_is_shown_in_the_language_of_the_settings_and_gone_when_it_is_down(
    components: dict[str, dict[str, Any]],
) -> None:
    notice = Notice(zh="停水", en="No water", level="info", until=None, put_at=None)
    up = NoticeState(observed_at="2026-11-22T03:04:05Z", holds_s=90.0, notice=notice)
    down = NoticeState(observed_at="2026-11-22T03:04:05Z", holds_s=90.0, notice=None)
    assert rendered(components["notice"], encode(up)) == "停水"
    assert rendered(components["notice"], encode(down)) == "None"


@pytest.mark.parametrize("station", ["demo-1", "a.b", "a_b", "A", "x" * 64])
def test_every_station_has_a_topic_of_its_own_that_home_assistant_takes(station: str) -> None:
    topic = discovery_topic("homeassistant", station)
    assert re.fullmatch(r"homeassistant/device/[A-Za-z0-9_-]+/config", topic)
    assert topic != discovery_topic("homeassistant", "a-b")
    assert discovery_topic("homeassistant", "a.b") != discovery_topic("homeassistant", "a_b")


@pytest.mark.parametrize(("label", "told"), [("微波炉", range(45, 51)), ("微波炉" * 60, range(20, 45))])
def test_as_many_appliances_are_told_of_as_fit_into_one_message(label: str, told: range) -> None:
    many = {f"n{number:02}": label for number in range(50)}
    message = discovery_message(Topics("stations", "x" * 64), Device("驿站", many))
    assert len(message) <= MAX_PAYLOAD_BYTES
    found = [each for each in json.loads(message)["components"] if each.endswith("_power")]
    assert found == [f"appliance_n{number:02}_power" for number in range(len(found))]
    assert len(found) in told


# --- taking it back --------------------------------------------------------------------------------------------------


def test_what_was_announced_is_taken_back_until_the_broker_has_taken_that(tmp_path: Path) -> None:
    topic = discovery_topic("homeassistant", "demo-1")
    assert Announcement(tmp_path, TOPICS, "homeassistant", None).messages == ()
    (told,) = Announcement(tmp_path, TOPICS, "homeassistant", DEVICE).messages
    assert (told.topic, told.payload) == (topic, discovery_message(TOPICS, DEVICE))

    for _ in range(2):  # it ended before the broker was there
        off = Announcement(tmp_path, TOPICS, "homeassistant", None)
        assert [(each.topic, each.payload) for each in off.messages] == [(topic, b"")]
    off.taken("stations/demo-1/about")
    assert off.messages
    off.taken(topic)
    assert off.messages == ()
    assert not (tmp_path / NOTE_FILE).exists()
    assert Announcement(tmp_path, TOPICS, "homeassistant", None).messages == ()


def test_another_prefix_takes_the_former_one_back(tmp_path: Path) -> None:
    Announcement(tmp_path, TOPICS, "homeassistant", DEVICE)
    moved = Announcement(tmp_path, TOPICS, "ha", DEVICE)
    assert {each.topic: bool(each.payload) for each in moved.messages} == {
        "homeassistant/device/demo-1/config": False,
        "ha/device/demo-1/config": True,
    }
    moved.taken("ha/device/demo-1/config")
    moved.taken("homeassistant/device/demo-1/config")
    assert [each.topic for each in moved.messages] == ["ha/device/demo-1/config"]
    assert [each.topic for each in Announcement(tmp_path, TOPICS, "ha", DEVICE).messages] == ["ha/device/demo-1/config"]


@pytest.mark.parametrize("content", [b"stations/demo-1/status\n", b"#\n", b"\xff\xfe", b"a b/device/x/config\n"])
def test_a_note_that_was_tampered_with_removes_nothing_else(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NOTE_FILE).write_bytes(content)
    assert Announcement(tmp_path, TOPICS, "homeassistant", None).messages == ()
