"""Lists the devices that show themselves on a local MQTT broker.

Where they do: Zigbee2MQTT's retained list `zigbee2mqtt/bridge/devices`; Tasmota's retained
`tasmota/discovery/MAC/config` (`t` is the topic, `dn` the name that somebody gave, `md` the model); a Shelly's
`online`, and the answer of the first generation to `announce`. See `drivers.mqtt_forms` for their documentation.
What does not speak within the time is not found; what only looks like a device is listed as well.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from drivers.errors import DeviceError
from drivers.found import Found
from drivers.mqtt_connection import Arrived, Connection, MqttBroker
from drivers.mqtt_message import check_name

MOST_FOUND = 200
"""A station has a dozen; whoever lists thousands wants to fill the memory."""

_DRIVER = "mqtt_device"
_MAX_PACKET_BYTES = 1024 * 1024  # Zigbee2MQTT describes every device with some KiB, all in one message
_MAX_TEXT = 80  # of a description, which comes from the device
_TICK_S = 0.25

Named = tuple[str, str, str]  # form, name, description


def scan(broker: MqttBroker, seconds: float = 3.0) -> list[Found]:
    """Listen for `seconds` and return what is there, by address (`form:name`), at most `MOST_FOUND`.

    Publishes one message, which asks every Shelly to announce itself. Raises `DeviceError` when the broker is away.
    """
    found: dict[str, Found] = {}
    connection = Connection(broker, tuple(_READERS), max_packet_bytes=_MAX_PACKET_BYTES)
    wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)  # which nobody uses here
    try:
        connection.open()
        has_asked, deadline = False, time.monotonic() + seconds
        while (left_s := deadline - time.monotonic()) > 0:
            for message in connection.exchange(wake, min(left_s, _TICK_S)):
                for form, name, description in _read(message):
                    address = f"{form}:{name}"
                    if len(found) < MOST_FOUND and (description or address not in found):
                        found[address] = Found(_DRIVER, address, description)
            if connection.is_ready and not has_asked:
                has_asked = connection.publish("shellies/command", b"announce")
        if not connection.is_ready:
            raise DeviceError(f"the MQTT broker {broker} did not answer within {seconds:g} s: check its address")
    finally:
        connection.close()
        os.close(wake)
    return [found[address] for address in sorted(found)]


def _read(message: Arrived) -> list[Named]:
    """Return the devices that a message names, with names that can be served."""
    levels = message.topic.split("/")
    for topic, read in _READERS.items():
        pattern = topic.split("/")
        if len(pattern) == len(levels) and all(p in ("+", level) for p, level in zip(pattern, levels, strict=True)):
            try:
                content = json.loads(message.payload)
                return [each for each in read(levels, content) if _can_be_served(each)]
            except (ValueError, RecursionError):
                return []
    return []


def _can_be_served(named: Named) -> bool:
    try:
        check_name(named[1])
    except ValueError:
        return False
    return True


def _text(*parts: object) -> str:
    """Join what a device says of itself, as one line of bounded length."""
    joined = " ".join(part.strip() for part in parts if isinstance(part, str) and part.strip())
    return "".join(each for each in joined if each.isprintable())[:_MAX_TEXT]


def _zigbee(_levels: list[str], content: Any) -> Iterator[Named]:
    for each in content if isinstance(content, list) else []:
        if isinstance(each, dict) and each.get("type") != "Coordinator" and isinstance(each.get("friendly_name"), str):
            definition = each.get("definition")
            known = definition if isinstance(definition, dict) else {}
            said = _text(known.get("vendor"), known.get("model"), known.get("description"))
            yield "zigbee2mqtt", each["friendly_name"], said or "not supported by Zigbee2MQTT"


def _tasmota(_levels: list[str], content: Any) -> Iterator[Named]:
    if isinstance(content, dict) and isinstance(content.get("t"), str):
        yield "tasmota", content["t"], _text(content.get("dn"), content.get("md"), content.get("ip"))


def _announced(_levels: list[str], content: Any) -> Iterator[Named]:
    if isinstance(content, dict) and isinstance(content.get("id"), str):
        is_first = not isinstance(content.get("gen"), int)
        form = "shelly_gen1" if is_first else "shelly_gen2"
        yield form, content["id"], _text(content.get("model"), content.get("ip"))


def _first_shelly(levels: list[str], content: Any) -> Iterator[Named]:
    if isinstance(content, bool):
        yield "shelly_gen1", levels[1], "" if content else "offline"


def _later_shelly(levels: list[str], content: Any) -> Iterator[Named]:
    if isinstance(content, bool):
        yield "shelly_gen2", levels[0], "" if content else "offline"


_READERS: dict[str, Callable[[list[str], Any], Iterator[Named]]] = {
    "zigbee2mqtt/bridge/devices": _zigbee,
    "tasmota/discovery/+/config": _tasmota,
    "shellies/announce": _announced,
    "shellies/+/online": _first_shelly,
    "+/online": _later_shelly,
}
