"""A hundred thousand messages that are no commands of anybody who may send one, through a real mosquitto."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent import command_keys
from agent.command_keys import CommandSigner
from agent.fleet.commander import Commander, CommandError
from agent.fleet.watch import Watcher
from agent.mqtt.client import Broker, Connection, Received, Signal, Subscribed
from agent.mqtt.topics import Topics
from tests.broker import Mosquitto
from tests.flood import Flood
from tests.system.delivered import Memory, assert_delivered
from tests.system.hostile import Hostile
from tests.system.stations import STATION, eventually, write_settings
from tests.system.visited import VisitedStation

MESSAGES = 100_000
WARM_UP = 5_000
SEED = 20261122
TOPICS = Topics("stations", STATION)
# Answers to what is replayed, 10 a second, and refusals, 2 a second; 40 and 20 may go at once.
REPLIES_PER_S, REPLIES_AT_ONCE = 12.0, 60.0


@dataclass
class Replies:
    """What the station answered anybody, as somebody hears who only listens; also every command that was sent."""

    count: int = 0
    commands: list[bytes] = field(default_factory=list)
    is_listening: bool = False
    keeps_commands: bool = True

    def take(self, signal: Signal) -> None:
        self.is_listening |= isinstance(signal, Subscribed)
        if not isinstance(signal, Received):
            return
        if signal.topic == TOPICS.replies:
            self.count += 1
        elif self.keeps_commands:
            self.commands.append(signal.payload)


@contextmanager
def heard(broker: Broker, *topics: str) -> Iterator[Replies]:
    replies = Replies()
    connection = Connection(broker, "listener", replies.take)
    connection.open()
    connection.subscribe(topics)
    try:
        eventually(lambda: replies.is_listening, "somebody listens")
        yield replies
    finally:
        connection.cut()


@pytest.mark.timeout(400)
def test_a_hundred_thousand_hostile_messages_open_no_door_and_keep_no_rightful_command_out(tmp_path: Path) -> None:
    signer = command_keys.generate("central-1")
    # The broker keeps all of them for the station, however slowly it reads.
    server = Mosquitto(tmp_path, ("allow_anonymous true", "max_queued_messages 0"))
    server.start()
    tables: dict[str, dict[str, Any]] = {
        "mqtt": {"enabled": True, "host": "127.0.0.1", "port": server.port},
        "door": {"unlock_s": 1.0},  # an unlock is done once it is known whether somebody went in
        f"commands.keys.{signer.name}": {"public": signer.public_text, "scopes": ["open"]},
    }
    broker = Broker("127.0.0.1", server.port)
    watcher = Watcher(broker)
    station = VisitedStation(write_settings(tmp_path, tables))
    try:
        watcher.start()
        station.await_ready()
        eventually(lambda: station.status()["broker"]["connected"], "the link is up")
        with heard(broker, TOPICS.commands, TOPICS.replies) as replies:
            assert command(broker, signer, "door.unlock") == "done"
            recorded = [each for each in replies.commands if each.count(b".") == 2]
        assert recorded
        hostile = Hostile(signer, recorded, random.Random(SEED))
        flood(server.port, hostile, WARM_UP)
        assert command(broker, signer, "station.refresh") == "done"
        memory = Memory(station.process.pid)

        with heard(broker, TOPICS.replies) as replies:
            began = time.monotonic()
            slowest_s = flood_beside(station, lambda: flood(server.port, hostile, MESSAGES))
            assert command(broker, signer, "station.refresh") == "done", "all of it was read before"
            took_s = time.monotonic() - began
        assert replies.count <= REPLIES_PER_S * (took_s + 1) + REPLIES_AT_ONCE
        assert slowest_s < 2.0, "who asks at the station is answered meanwhile"
        assert server.log().count(f"Sending PUBLISH to station-{STATION}") > 0.99 * (WARM_UP + MESSAGES)
        memory.assert_flat()
        assert command(broker, signer, "door.unlock") == "done"
        assert_delivered(watcher, tmp_path / "state")
    finally:
        watcher.close()
        station.kill()
        server.stop()
    types = [each.type for each in watcher.entries(STATION)]
    assert types.count("station.access.granted") == 2
    assert types.count("station.control.refused") < 100, "refusals are counted, and not written one by one"


def command(broker: Broker, signer: CommandSigner, name: str) -> str:
    """What became of a rightful command; a server sends again what nobody answers."""
    with Commander(broker, TOPICS, signer) as commander:
        for _ in range(50):
            try:
                return [each.status for each in commander.send(name, timeout_s=6.0)][-1]
            except CommandError:
                continue
    raise AssertionError("no answer")


def flood(port: int, hostile: Hostile, count: int) -> None:
    with Flood(port) as sender:
        for number in range(count):
            sender.send(TOPICS.commands, hostile.next(), is_retained=number % 50 == 0, is_repeated=number % 7 == 0)
        sender.settle()


def flood_beside(station: VisitedStation, work: Callable[[], None]) -> float:
    """Do it while the door is watched; returns the longest time that an answer took."""
    thread = threading.Thread(target=work, name="flooding")
    thread.start()
    slowest_s = 0.0
    while thread.is_alive():
        began = time.monotonic()
        assert station.status()["parts"]["door"]["lock"] == "secured"
        slowest_s = max(slowest_s, time.monotonic() - began)
        time.sleep(0.05)
    thread.join()
    return slowest_s
