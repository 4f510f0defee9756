"""Lets Home Assistant find the station by itself: one retained message that describes the contract's own topics.

The form is that of a device with its components (`homeassistant/device/ID/config`, Home Assistant 2024.11 and later).
Nothing is published besides, and nothing can be switched from there. Where it was announced is noted in a file beside
the database, so that it can be taken back once it is switched off or its prefix is another.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from agent import __version__
from agent.core.problems import Words
from agent.mqtt.client import Retained
from agent.mqtt.payloads import HOLDS_S, MAX_PAYLOAD_BYTES, ApplianceState, DoorState
from agent.mqtt.topics import Topics

_log = logging.getLogger(__name__)

NOTE_FILE = "home-assistant.topic"
_NOTED_MAX = 8  # prefixes that were tried while the broker was away
_TOPIC = re.compile(r"[^\s+#]{1,200}/device/[A-Za-z0-9_-]{1,80}/config")  # nothing else is ever removed
Language = Literal["zh", "en"]

_DOOR = Words("门", "Door")
_LOCK = Words("门锁", "Lock")
_MODE = Words("门的模式", "Door mode")
_ALARM = Words("警报", "Alarm")
_OCCUPIED = Words("有人", "Occupied")
_COUNT = Words("人数", "People inside")
_FAULT = Words("故障", "Fault")
_FAULTS = Words("故障数", "Faults")
_NOTICE = Words("通知", "Notice")
_POWER = Words("功率", "power")
_UNUSABLE = Words("故障", "problem")
_AIR: Mapping[str, tuple[Words, str, str]] = {
    "temperature_c": (Words("室温", "Temperature"), "temperature", "°C"),
    "humidity_percent": (Words("湿度", "Humidity"), "humidity", "%"),
    "co2_ppm": (Words("二氧化碳", "CO₂"), "carbon_dioxide", "ppm"),
}
"""What each quantity of the air is called, with Home Assistant's device class and unit."""


@dataclass(frozen=True, slots=True)
class Device:
    """What is announced. `appliances`: what screens call each, by name on the wire; `air`: what of it is measured."""

    name: str
    appliances: Mapping[str, str]
    language: Language = "zh"
    air: tuple[str, ...] = ()


def discovery_topic(prefix: str, station: str) -> str:
    """Where Home Assistant looks; it takes A-Z a-z 0-9 _ - there, so another id gets a part of its hash."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", station)
    mark = "" if plain == station else f"_{hashlib.sha256(station.encode()).hexdigest()[:8]}"
    return f"{prefix}/device/{plain}{mark}/config"


def discovery_message(topics: Topics, device: Device) -> bytes:
    """The whole description, JSON; appliances that would not fit into a message are left out, the last ones first."""
    message = _message(topics, device)
    told = device
    while len(message) > MAX_PAYLOAD_BYTES and told.appliances:
        told = replace(told, appliances=dict(list(told.appliances.items())[:-1]))
        message = _message(topics, told)
    if told is not device:
        _log.warning("Home Assistant is told of %d appliances of %d", len(told.appliances), len(device.appliances))
    return message


def _message(topics: Topics, device: Device) -> bytes:
    described = {
        "device": {
            "identifiers": [f"station-agent-{topics.station}"],
            "name": device.name,
            "model": "station-agent",
            "sw_version": __version__,
        },
        "origin": {"name": "station-agent", "sw_version": __version__},
        "availability_topic": topics.status,
        "availability_template": "{{ value_json.status }}",
        "qos": 1,
        "components": _components(topics, device),
    }
    return json.dumps(described, ensure_ascii=False, separators=(",", ":")).encode()


class Announcement:
    """What is to be retained for Home Assistant at each connection, and what is to be taken back from it.

    `device` None: it is switched off. A topic is noted before anything is published there, until the broker has taken
    its removal. Raises nothing: what cannot be noted cannot be taken back later, and that is logged.
    """

    def __init__(self, folder: Path, topics: Topics, prefix: str, device: Device | None) -> None:
        self._note = folder / NOTE_FILE
        self._noted = self._read()
        wanted: tuple[Retained, ...] = ()
        if device is not None:
            wanted = (Retained(discovery_topic(prefix, topics.station), discovery_message(topics, device)),)
        self._outdated = set(self._noted) - {each.topic for each in wanted}
        self.messages = (*(Retained(topic, b"") for topic in sorted(self._outdated)), *wanted)
        if any(each.topic not in self._noted for each in wanted):
            self._write([*self._noted, *(each.topic for each in wanted)])

    def taken(self, topic: str) -> None:
        """The broker acknowledged the message on this topic. On the link's thread."""
        if topic in self._outdated:
            self._outdated.remove(topic)
            self.messages = tuple(each for each in self.messages if each.topic != topic)
            self._write([each for each in self._noted if each != topic])

    def _read(self) -> list[str]:
        try:
            lines = self._note.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):
            return []
        return [line for line in lines[:_NOTED_MAX] if _TOPIC.fullmatch(line)]

    def _write(self, noted: list[str]) -> None:
        self._noted = noted[-_NOTED_MAX:]
        try:
            if self._noted:
                self._note.write_text("".join(f"{each}\n" for each in self._noted), encoding="utf-8")
            else:
                self._note.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("%s cannot be kept, so Home Assistant may not be told of an end: %s", self._note, error)


def _components(topics: Topics, device: Device) -> dict[str, dict[str, Any]]:
    door, occupancy, health = topics.state("door"), topics.state("occupancy"), topics.state("health")
    notice = topics.state("notice")
    modes = list(get_args(DoorState.model_fields["mode"].annotation))
    found = {
        "door": _binary(_DOOR, "door", door, _of("contact", open="ON", closed="OFF")),
        "lock": _binary(_LOCK, "lock", door, _of("lock", released="ON", secured="OFF")),
        "door_mode": _choice(_MODE, door, "mode", modes),
        "alarm": _binary(_ALARM, "safety", door, "{{ 'ON' if value_json.alarms else 'OFF' }}"),
        "occupied": _binary(_OCCUPIED, "occupancy", occupancy, "{{ 'ON' if value_json.is_occupied else 'OFF' }}"),
        "people": _number(_COUNT, occupancy, "{{ value_json.count }}"),
        "fault": _binary(_FAULT, "problem", health, "{{ 'ON' if value_json.fault_count else 'OFF' }}"),
        "faults": {
            **_number(_FAULTS, health, "{{ value_json.fault_count }}"),
            "json_attributes_topic": health,
            "json_attributes_template": "{{ {'faults': value_json.faults} | tojson }}",
        },
    }
    for quantity in device.air:
        words, kind, unit = _AIR[quantity]
        template = f"{{{{ value_json.{quantity} }}}}"
        found[quantity] = _measured(words, topics.state("environment"), template, kind, unit)
    found["notice"] = {
        "platform": "sensor",
        "name": _NOTICE,
        "state_topic": notice,
        "value_template": f"{{{{ value_json.notice.{device.language} if value_json.notice else 'None' }}}}",
    }
    for name, label in device.appliances.items():
        topic = topics.state(f"appliances/{name}")
        states = list(get_args(ApplianceState.model_fields["state"].annotation))
        found[f"appliance_{name}"] = _choice(Words(label, label), topic, "state", states)
        power = _measured(_named(label, _POWER), topic, "{{ value_json.power_w }}", "power", "W")
        found[f"appliance_{name}_power"] = power
        # What somebody ordered off is not usable, and nothing is wrong with it.
        problem = f"{{% if value_json.switched_off %}}OFF{{% else %}}{_of('usable', no='ON', yes='OFF')}{{% endif %}}"
        found[f"appliance_{name}_problem"] = _binary(_named(label, _UNUSABLE), "problem", topic, problem)
    return {
        key: {
            **each,
            "name": each["name"].zh if device.language == "zh" else each["name"].en,
            "unique_id": f"station-agent-{topics.station}-{key}",
            "expire_after": int(HOLDS_S),
        }
        for key, each in found.items()
    }


def _named(label: str, what: Words) -> Words:
    return Words(f"{label} {what.zh}", f"{label} {what.en}")


def _of(field: str, **words: str) -> str:
    """A template that turns a field's words into others; one that is not listed is unknown."""
    return f"{{{{ {json.dumps(words)}.get(value_json.{field}, 'None') }}}}"


def _binary(name: Words, kind: str, topic: str, template: str) -> dict[str, Any]:
    """It knows ON, OFF and None."""
    return {
        "platform": "binary_sensor",
        "name": name,
        "device_class": kind,
        "state_topic": topic,
        "value_template": template,
    }


def _choice(name: Words, topic: str, field: str, options: list[str]) -> dict[str, Any]:
    return {
        "platform": "sensor",
        "name": name,
        "device_class": "enum",
        "options": options,
        "state_topic": topic,
        "value_template": f"{{{{ value_json.{field} }}}}",
    }


def _measured(name: Words, topic: str, template: str, kind: str, unit: str) -> dict[str, Any]:
    return {**_number(name, topic, template), "device_class": kind, "unit_of_measurement": unit}


def _number(name: Words, topic: str, template: str) -> dict[str, Any]:
    return {
        "platform": "sensor",
        "name": name,
        "state_class": "measurement",
        "state_topic": topic,
        "value_template": template,
    }
