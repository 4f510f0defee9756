"""What the tests of MQTT devices share: who speaks as a device, and who keeps what the driver reports."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from drivers.mqtt_connection import MqttBroker
from drivers.mqtt_device import MqttDevice, MqttDevices
from tests.drivers.waiting import LIMIT_S, eventually

AHEAD_S = 86_400.0  # a station whose time was skipped by a day


def station_time() -> float:
    return time.monotonic() + AHEAD_S


class Firmware:
    """A client that speaks as a device, or as whoever else is on the broker."""

    def __init__(
        self, port: int, *, will: tuple[str, str] | None = None, account: tuple[str, str] | None = None
    ) -> None:
        self.heard: list[tuple[str, bytes, bool]] = []
        self._answers: dict[str, Callable[[bytes], None]] = {}
        self._is_subscribed = False
        self._client = client = Client(CallbackAPIVersion.VERSION2)
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        client.max_queued_messages_set(0)
        if will is not None:
            client.will_set(*will, qos=1, retain=True)
        if account is not None:
            client.username_pw_set(*account)
        client.connect("127.0.0.1", port)
        client.loop_start()
        assert eventually(client.is_connected)

    def say(self, topic: str, payload: str | bytes, *, retain: bool = False, qos: int = 1) -> None:
        """What is retained is at the broker when this returns."""
        told = self._client.publish(topic, payload, qos=qos, retain=retain)
        if retain:
            told.wait_for_publish(LIMIT_S)

    def answer(self, topic: str, answer: Callable[[bytes], None]) -> None:
        """Do this with what is ordered there."""
        self._answers[topic] = answer
        self._is_subscribed = False
        self._client.subscribe(topic, 1)
        assert eventually(lambda: self._is_subscribed)

    def die(self) -> None:
        """End without a word: the broker publishes the will."""
        connected = self._client.socket()
        assert isinstance(connected, socket.socket)
        self._client.reconnect_delay_set(60, 60)
        connected.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_subscribe(self, *_details: Any) -> None:
        self._is_subscribed = True

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.heard.append((message.topic, bytes(message.payload), message.retain))
        self._answers[message.topic](bytes(message.payload))


class Reports:
    """Keeps what the driver reports, in its order."""

    def __init__(self) -> None:
        self.all: list[tuple[Any, ...]] = []
        self.times: list[float] = []

    def _keep(self, kind: str, at: float, *what: Any) -> None:
        self.times.append(at)
        self.all.append((kind, *what))

    def receivers(self) -> dict[str, Any]:
        def receiver(kind: str) -> Callable[..., None]:
            return lambda at, *what: self._keep(kind, at, *what)

        kinds = ("read", "contact", "failed", "recovered", "switched")
        return {f"on_{kind}": receiver(kind) for kind in kinds}

    def of(self, kind: str, device: str) -> list[Any]:
        """What was reported of this kind about the device, without both."""
        found = [what[2:] for what in self.all if what[:2] == (kind, device)]
        return [each[0] if len(each) == 1 else each for each in found]

    def values(self, device: str) -> dict[str, float]:
        """The latest of each quantity."""
        latest: dict[str, float] = {}
        for each in self.of("read", device):
            latest.update(each)
        return latest


@contextmanager
def served(port: int, devices: Mapping[str, MqttDevice], reports: Reports, **more: Any) -> Iterator[MqttDevices]:
    """The real driver at a broker; it must not die."""
    deaths: list[tuple[str, str]] = []
    driver = MqttDevices(
        more.pop("broker", MqttBroker("127.0.0.1", port)),
        devices,
        **reports.receivers(),
        on_died=lambda worker, reason: deaths.append((worker, reason)),
        clock=station_time,
        **more,
    )
    driver.start()
    try:
        yield driver
    finally:
        driver.close()
    assert deaths == []
