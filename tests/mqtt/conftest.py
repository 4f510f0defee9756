"""What the tests of the link share: a broker, the events that were posted, a watcher at the other end."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.events import EntriesAcknowledged, Event, LoggedEntry
from agent.fleet.watch import Watcher
from agent.mqtt.backoff import Backoff
from agent.mqtt.client import Broker
from agent.mqtt.link import BrokerLink
from agent.mqtt.payloads import About
from agent.mqtt.topics import Topics
from agent.storage.chain import GENESIS, body_digest, canonical, entry_hash
from tests.broker import Mosquitto

PATIENCE_S = 15.0
AT_ONCE = Backoff(first_s=0.05, longest_s=0.2, least_s=0.02)
TOPICS = Topics("stations", "demo-1")


class Inbox:
    """Keeps what is posted, in order."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._events: list[Event] = []

    def post(self, event: Event) -> None:
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()

    def all(self, kind: type[Event]) -> list[Event]:
        with self._changed:
            return [event for event in self._events if isinstance(event, kind)]

    def wait_for_count(self, kind: type[Event], count: int) -> list[Event]:
        with self._changed:
            reached = self._changed.wait_for(lambda: len(self.all(kind)) >= count, PATIENCE_S)
            assert reached, f"{len(self.all(kind))} of {count} {kind.__name__}; all: {self._events[-20:]}"
            return self.all(kind)

    def acknowledged(self) -> list[tuple[int, int]]:
        events = self.all(EntriesAcknowledged)
        return [place for event in events if isinstance(event, EntriesAcknowledged) for place in event.places]

    def wait_for_acknowledged(self, count: int) -> None:
        with self._changed:
            reached = self._changed.wait_for(lambda: len(self.acknowledged()) >= count, PATIENCE_S)
            assert reached, f"{len(self.acknowledged())} of {count} acknowledged"


def make_entries(count: int, *, first: int = 1, epoch: int = 1, previous: str = GENESIS) -> tuple[LoggedEntry, ...]:
    """Entries with a true chain, as the storage writes them."""
    entries = []
    for sequence in range(first, first + count):
        body = canonical({"member": f"m-{sequence}", "latency_ms": sequence / 3, "reason": None})
        salt = hashlib.sha256(str(sequence).encode()).hexdigest()[:32]
        digest = body_digest(salt, body)
        time, boot, type_ = "2026-11-22T03:04:05.678Z", "3b6f", "station.visit.entered"
        previous = entry_hash(previous, boot, "synchronised", epoch, 1000 + sequence, sequence, time, type_, digest)
        entries.append(
            LoggedEntry(
                epoch, sequence, type_, time, boot, 1000 + sequence, "synchronised", body, salt, digest, previous
            )
        )
    return tuple(entries)


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    server = Mosquitto(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["5", "3.1.1"])
def broker(request: pytest.FixtureRequest, mosquitto: Mosquitto) -> Broker:
    """The same broker, spoken to in both versions of the protocol."""
    return Broker("127.0.0.1", mosquitto.port, protocol=request.param)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def make_link(inbox: Inbox) -> Iterator[Callable[[Broker], BrokerLink]]:
    links: list[BrokerLink] = []

    def make(broker: Broker) -> BrokerLink:
        about = About(name="城东驿站", equipment=("microwave", "aed"))
        link = BrokerLink(broker, TOPICS, about, SystemClock(), inbox.post, backoff=AT_ONCE)
        links.append(link)
        link.start()
        return link

    yield make
    assert all(link.close() for link in links)


@pytest.fixture
def make_watcher() -> Iterator[Callable[[Broker], Watcher]]:
    watchers: list[Watcher] = []

    def make(broker: Broker, client_id: str = "") -> Watcher:
        watcher = Watcher(broker, client_id=client_id)
        watchers.append(watcher)
        watcher.start()
        return watcher

    yield make
    for watcher in watchers:
        watcher.close()
