"""The watcher against whatever a broker may deliver."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue

import pytest

from agent.fleet.watch import MAX_SIGNALS, Signals, Watcher
from agent.mqtt.client import Accepted, Acknowledged, Broker, Connection, Signal
from agent.mqtt.payloads import Message, Status, encode, log_event
from tests.broker import Mosquitto, free_port
from tests.mqtt.conftest import PATIENCE_S, make_entries

NOW = datetime(2026, 11, 22, 4, tzinfo=UTC)
LOG = "stations/demo-1/log"
STATUS = "stations/demo-1/status"


class Sender:
    """Publishes whatever it is given, and returns once the broker has it."""

    def __init__(self, broker: Broker) -> None:
        self._signals: SimpleQueue[Signal] = SimpleQueue()
        self._connection = Connection(broker, "sender", self._signals.put)
        self._connection.open()
        assert isinstance(self._signals.get(timeout=PATIENCE_S), Accepted)

    def send(self, topic: str, message: Message | bytes, *, retain: bool = False) -> None:
        payload = encode(message) if isinstance(message, Message) else message
        mid = self._connection.publish(topic, payload, retain=retain)
        assert self._signals.get(timeout=PATIENCE_S) == Acknowledged(mid or 0)

    def close(self) -> None:
        self._connection.leave(1.0)


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    server = Mosquitto(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["5", "3.1.1"])
def broker(request: pytest.FixtureRequest, mosquitto: Mosquitto) -> Broker:
    return Broker("127.0.0.1", mosquitto.port, protocol=request.param)


@pytest.fixture
def watcher(broker: Broker) -> Iterator[Watcher]:
    watcher = Watcher(broker)
    watcher.start()
    yield watcher
    watcher.close()


@pytest.fixture
def sender(broker: Broker) -> Iterator[Sender]:
    sender = Sender(broker)
    yield sender
    sender.close()


def has(count: int) -> Callable[[Watcher], bool]:
    return lambda watcher: len(watcher.entries()) >= count


def test_an_entry_that_comes_twice_is_taken_once(watcher: Watcher, sender: Sender) -> None:
    events = [log_event("demo-1", entry, NOW) for entry in make_entries(3)]
    for event in (events[0], events[1], events[0], events[1], events[2]):
        sender.send(LOG, event)
    assert watcher.wait_for(has(3), PATIENCE_S)
    assert list(watcher.entries("demo-1")) == events
    assert watcher.duplicates == 2
    assert watcher.complaints() == ()


def test_a_second_entry_at_the_same_place_is_a_complaint(watcher: Watcher, sender: Sender) -> None:
    event = log_event("demo-1", make_entries(1)[0], NOW)
    sender.send(LOG, event)
    sender.send(LOG, event.model_copy(update={"hash": "0" * 64}))
    assert watcher.wait_for(lambda w: w.complaint_count == 1, PATIENCE_S)
    assert watcher.entries() == (event,)


def test_stations_are_kept_apart(watcher: Watcher, sender: Sender) -> None:
    entry = make_entries(1)[0]
    sender.send("stations/a/log", log_event("a", entry, NOW))
    sender.send("stations/b/log", log_event("b", entry, NOW))
    sender.send("stations/b/log", log_event("a", entry, NOW))  # one station writes another one's log
    assert watcher.wait_for(lambda w: w.complaint_count == 1, PATIENCE_S)
    assert [event.source for event in watcher.entries()] == ["/stations/a", "/stations/b"]
    assert len(watcher.entries("b")) == 1
    assert watcher.stations() == ("a", "b")


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        (LOG, b""),
        (LOG, b"{"),
        (LOG, b"\xff\xfe"),
        (LOG, b"[" * 30_000),
        (LOG, b"x" * 65_537),
        (STATUS, b'{"status":"online"}'),
        ("stations/demo-1/state/weather", b"{}"),
        ("stations/demo-1/state/door", b'{"mode":"normal"}'),
        ("stations/demo-1/readings", b'{"readings":[{}]}'),
    ],
)
def test_what_breaks_the_contract_is_a_complaint_and_the_rest_goes_on(
    watcher: Watcher, sender: Sender, topic: str, payload: bytes
) -> None:
    sender.send(topic, payload)
    sender.send(LOG, log_event("demo-1", make_entries(1)[0], NOW))
    assert watcher.wait_for(has(1), PATIENCE_S)
    assert watcher.complaint_count == 1
    assert watcher.complaints()[0].startswith(topic)


def status(kind: str, session: str) -> Status:
    return Status.model_validate(
        {"status": kind, "session": session, "agent": "0.1.0", "contract": "1.0", "since": None}
    )


def test_a_late_will_of_an_older_session_counts_for_nothing(watcher: Watcher, sender: Sender) -> None:
    for kind, session in (("online", "aaaaaaaa"), ("online", "bbbbbbbb"), ("offline", "aaaaaaaa")):
        sender.send(STATUS, status(kind, session), retain=True)
    sender.send(LOG, log_event("demo-1", make_entries(1)[0], NOW))  # everything before it has come
    assert watcher.wait_for(has(1), PATIENCE_S)
    assert watcher.is_online("demo-1")
    sender.send(STATUS, status("offline", "bbbbbbbb"), retain=True)
    assert watcher.wait_for(lambda w: not w.is_online("demo-1"), PATIENCE_S)


def test_wait_for_gives_up_in_time(watcher: Watcher) -> None:
    began = time.monotonic()
    assert not watcher.wait_for(has(1), 0.1)
    assert time.monotonic() - began < 5


def test_watcher_subscribes_again_after_a_restart_of_the_broker(
    mosquitto: Mosquitto, broker: Broker, watcher: Watcher
) -> None:
    mosquitto.kill()
    assert watcher.wait_for(lambda w: not w.is_subscribed, PATIENCE_S)
    mosquitto.start()
    assert watcher.wait_for(lambda w: w.is_subscribed, PATIENCE_S)
    sender = Sender(broker)
    sender.send(LOG, log_event("demo-1", make_entries(1)[0], NOW))
    assert watcher.wait_for(has(1), PATIENCE_S)
    sender.close()


def test_start_says_that_there_is_no_broker() -> None:
    watcher = Watcher(Broker("127.0.0.1", free_port()))
    with pytest.raises(ConnectionError, match="refused"):
        watcher.start(0.5)
    watcher.close()


def test_closing_is_safe_before_the_start_and_twice(mosquitto: Mosquitto) -> None:
    never_started = Watcher(Broker("127.0.0.1", mosquitto.port))
    never_started.close()
    watcher = Watcher(Broker("127.0.0.1", mosquitto.port))
    watcher.start()
    watcher.close()
    watcher.close()
    assert not watcher.is_subscribed


def test_what_comes_faster_than_it_is_sorted_in_waits_at_the_broker_and_none_is_lost(
    broker: Broker, watcher: Watcher
) -> None:
    count = 3 * MAX_SIGNALS
    sender = Sender(broker)
    entries = make_entries(count)
    with watcher._changed:  # the watcher cannot sort anything in meanwhile
        for entry in entries:
            sender.send(LOG, log_event("demo-1", entry, NOW))
        until = time.monotonic() + PATIENCE_S
        while len(watcher._signals) < MAX_SIGNALS and time.monotonic() < until:
            time.sleep(0.01)
        assert len(watcher._signals) == MAX_SIGNALS
    assert watcher.wait_for(lambda each: len(each.entries()) == count, PATIENCE_S)
    sender.close()


def test_a_network_thread_that_waits_for_room_is_let_go_at_the_end() -> None:
    signals = Signals()
    for _ in range(MAX_SIGNALS):
        signals.put(Acknowledged(1))
    signals.wake()  # does not wait
    thread = threading.Thread(target=signals.put, args=(Acknowledged(2),))
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()
    signals.close()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert len(signals) == MAX_SIGNALS
