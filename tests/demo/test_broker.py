"""The embedded broker carries the contract: the real link and the real watcher over it."""

from __future__ import annotations

import gc
import logging
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from agent.clock import SystemClock
from agent.demo.broker import EmbeddedBroker
from agent.effects import PublishEntries, PublishState
from agent.events import BrokerConnected, BrokerDisconnected
from agent.fleet.watch import Watcher
from agent.mqtt.client import Broker
from agent.mqtt.link import BrokerLink
from agent.mqtt.payloads import About
from tests.mqtt.conftest import AT_ONCE, PATIENCE_S, TOPICS, Inbox, make_entries

STATION = TOPICS.station


@pytest.fixture
def embedded() -> Iterator[EmbeddedBroker]:
    broker = EmbeddedBroker()
    broker.start()
    yield broker
    broker.stop()


def connect(embedded: EmbeddedBroker, inbox: Inbox) -> BrokerLink:
    broker = Broker("127.0.0.1", embedded.port, protocol="3.1.1")
    link = BrokerLink(broker, TOPICS, About(name="n"), SystemClock(), inbox.post, backoff=AT_ONCE)
    link.start()
    return link


def watch(embedded: EmbeddedBroker) -> Watcher:
    watcher = Watcher(Broker("127.0.0.1", embedded.port, protocol="3.1.1"))
    watcher.start()
    return watcher


def session_of(inbox: Inbox, number: int = 1) -> str:
    event = inbox.wait_for_count(BrokerConnected, number)[number - 1]
    assert isinstance(event, BrokerConnected)
    return event.session


def test_embedded_broker_carries_birth_state_log_and_goodbye(embedded: EmbeddedBroker) -> None:
    inbox = Inbox()
    watcher, link = watch(embedded), connect(embedded, inbox)
    session = session_of(inbox)
    link.publish_state(PublishState("occupancy", 0.0, {"count": 1, "is_occupied": True}))
    link.publish_entries(PublishEntries(session, make_entries(200)))
    inbox.wait_for_acknowledged(200)
    assert inbox.acknowledged() == [(1, sequence) for sequence in range(1, 201)]
    assert watcher.wait_for(lambda w: len(w.entries()) == 200, PATIENCE_S)
    assert watcher.audit(STATION).is_whole
    late = watch(embedded)
    assert late.wait_for(lambda w: w.is_online(STATION) and w.state(STATION, "occupancy") is not None, PATIENCE_S)
    assert link.close()
    assert watcher.wait_for(lambda w: not w.is_online(STATION), PATIENCE_S)
    watcher.close()
    late.close()
    assert watcher.complaints() == ()


def test_embedded_broker_comes_back_on_its_port_and_is_found_again(embedded: EmbeddedBroker) -> None:
    inbox = Inbox()
    watcher, link = watch(embedded), connect(embedded, inbox)
    first = session_of(inbox)
    port = embedded.port
    embedded.stop()  # with both still connected
    inbox.wait_for_count(BrokerDisconnected, 1)
    embedded.start()
    assert embedded.port == port
    assert session_of(inbox, 2) != first
    assert watcher.wait_for(lambda w: w.is_online(STATION), PATIENCE_S)
    assert link.close()
    watcher.close()


def test_stop_leaves_no_thread_no_socket_and_is_safe_to_repeat() -> None:
    before = threading.active_count()
    embedded = EmbeddedBroker()
    embedded.start()
    client = socket.create_connection(("127.0.0.1", embedded.port))  # says nothing
    began = time.monotonic()
    embedded.stop()
    embedded.stop()
    assert time.monotonic() - began < 5
    assert threading.active_count() == before
    with client, pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", embedded.port), 1)
    gc.collect()  # a transport or a coroutine that was left shows now, as a warning, which is an error


def test_stop_is_quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    embedded = EmbeddedBroker()
    embedded.start()
    watcher = watch(embedded)
    embedded.stop()
    watcher.close()
    assert [record.getMessage() for record in caplog.records] == []


def test_a_second_start_is_refused(embedded: EmbeddedBroker) -> None:
    with pytest.raises(RuntimeError, match="already"):
        embedded.start()


def test_a_port_that_is_taken_is_said(embedded: EmbeddedBroker) -> None:
    other = EmbeddedBroker()
    other.port = embedded.port
    with pytest.raises(OSError, match="in use"):
        other.start()
