"""The link against a real broker."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

import pytest

from agent.clock import SystemClock
from agent.core.problems import Words
from agent.effects import PublishEntries, PublishPresence, PublishReadings, PublishState, ReplayEntries
from agent.events import (
    BrokerConnected,
    BrokerDisconnected,
    CommandRejected,
    EntriesAcknowledged,
    EntryReplayed,
    MinuteReading,
    WorkerFailed,
)
from agent.fleet.watch import Watcher
from agent.mqtt.client import Accepted, Acknowledged, Broker, Connection, Received, Signal, Subscribed, Tls
from agent.mqtt.link import BrokerLink
from agent.mqtt.payloads import About, ApplianceState, DoorState, OccupancyState
from tests.broker import Mosquitto, free_port
from tests.certificates import make_certificates
from tests.mqtt.conftest import AT_ONCE, PATIENCE_S, TOPICS, Inbox, make_entries

MakeLink = Callable[[Broker], BrokerLink]
MakeWatcher = Callable[..., Watcher]
_Kind = TypeVar("_Kind")
STATION = TOPICS.station
DOOR = {"mode": "normal", "admission": "members", "lock": "secured", "contact": "closed", "alarms": []}


def session_of(inbox: Inbox, number: int = 1) -> str:
    event = inbox.wait_for_count(BrokerConnected, number)[number - 1]
    assert isinstance(event, BrokerConnected)
    return event.session


def test_birth_says_online_with_the_session_that_is_posted(
    broker: Broker, inbox: Inbox, make_link: MakeLink, make_watcher: MakeWatcher
) -> None:
    make_link(broker)
    session = session_of(inbox)
    late = make_watcher(broker)  # it comes after the birth, so it sees what is retained
    assert late.wait_for(lambda w: w.is_online(STATION) and w.about(STATION) is not None, PATIENCE_S)
    status, about = late.status(STATION), late.about(STATION)
    assert status is not None
    assert about is not None
    assert (status.session, status.contract) == (session, "1.0")
    assert about.name == "城东驿站"


def test_a_broker_that_forgot_status_and_about_is_told_again(
    broker: Broker, inbox: Inbox, make_link: MakeLink, make_watcher: MakeWatcher
) -> None:
    link = make_link(broker)
    session = session_of(inbox)
    link.publish_state(PublishState("door", 0.0, DOOR))
    early = make_watcher(broker)
    assert early.wait_for(lambda w: w.state(STATION, "door") is not None, PATIENCE_S)  # the birth is out
    signals: SimpleQueue[Signal] = SimpleQueue()
    eraser = Connection(broker, "eraser", signals.put)
    eraser.open()
    for topic in (TOPICS.status, TOPICS.about):
        eraser.publish(topic, b"", retain=True)
        while not isinstance(signals.get(timeout=PATIENCE_S), Acknowledged):
            pass
    eraser.cut()
    link.publish_presence(PublishPresence())
    late = make_watcher(broker)
    assert late.wait_for(lambda w: w.is_online(STATION) and w.about(STATION) is not None, PATIENCE_S)
    status = late.status(STATION)
    assert status is not None
    assert status.session == session


def test_a_command_that_is_retained_shows_it_where_the_protocol_does(broker: Broker, inbox: Inbox) -> None:
    came: SimpleQueue[tuple[bytes, bool]] = SimpleQueue()

    def receive(payload: bytes, at: float, *, is_retained: bool) -> CommandRejected:
        came.put((payload, is_retained))
        return CommandRejected(at, payload.decode())

    link = BrokerLink(broker, TOPICS, About(name="x"), SystemClock(), inbox.post, backoff=AT_ONCE, receive=receive)
    link.start()
    signals: SimpleQueue[Signal] = SimpleQueue()
    server = Connection(broker, "server", signals.put)
    server.open()
    try:
        session_of(inbox)
        assert isinstance(signals.get(timeout=PATIENCE_S), Accepted)
        deadline = time.monotonic() + PATIENCE_S
        while came.empty():  # a connection comes before its subscription
            assert time.monotonic() < deadline
            server.publish(TOPICS.commands, b"before", retain=False)
            time.sleep(0.05)
        server.publish(TOPICS.commands, b"now", retain=True)
        while (found := came.get(timeout=PATIENCE_S))[0] == b"before":
            assert found[1] is False
        assert found == (b"now", broker.protocol == "5")
    finally:
        server.cut()
        link.close()


def test_goodbye_says_offline_and_takes_little_time(
    broker: Broker, inbox: Inbox, make_link: MakeLink, make_watcher: MakeWatcher
) -> None:
    watcher = make_watcher(broker)
    link = make_link(broker)
    session = session_of(inbox)
    began = time.monotonic()
    assert link.close(1.0)
    assert time.monotonic() - began < 1.0
    assert watcher.wait_for(lambda w: w.status(STATION) is not None and not w.is_online(STATION), PATIENCE_S)
    status = watcher.status(STATION)
    assert status is not None
    assert status.session == session
    assert status.since is not None  # said by the agent itself: a will could not know the time
    assert inbox.all(BrokerDisconnected) == []


def test_last_will_speaks_for_a_killed_agent(mosquitto: Mosquitto, make_watcher: MakeWatcher) -> None:
    watcher = make_watcher(Broker("127.0.0.1", mosquitto.port))
    program = (
        "import sys, time\n"
        "from agent.clock import SystemClock\n"
        "from agent.mqtt.client import Broker\n"
        "from agent.mqtt.link import BrokerLink\n"
        "from agent.mqtt.payloads import About\n"
        "from agent.mqtt.topics import Topics\n"
        "broker = Broker('127.0.0.1', int(sys.argv[1]))\n"
        "BrokerLink(broker, Topics('stations', 'demo-1'), About(name='n'), SystemClock(), print).start()\n"
        "time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program, str(mosquitto.port)], stdout=subprocess.DEVNULL)
    try:
        assert watcher.wait_for(lambda w: w.is_online(STATION), PATIENCE_S)
        online = watcher.status(STATION)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert watcher.wait_for(lambda w: not w.is_online(STATION), PATIENCE_S)
    offline = watcher.status(STATION)
    assert online is not None
    assert offline is not None
    assert (offline.session, offline.since) == (online.session, None)


def test_state_is_retained_with_when_it_was_so_and_how_long_it_holds(
    broker: Broker, inbox: Inbox, make_link: MakeLink, make_watcher: MakeWatcher
) -> None:
    link = make_link(broker)
    session_of(inbox)
    clock = SystemClock()
    before = clock.wall().utc
    link.publish_state(PublishState("door", clock.now() - 60.0, {**DOOR, "contact": "open"}))
    link.publish_state(PublishState("door", clock.now(), DOOR))
    link.publish_state(PublishState("occupancy", clock.now(), {"count": 1, "is_occupied": True}))
    link.publish_state(PublishState("appliances/微波炉", clock.now(), {"state": "running", "power_w": 1150.5}))
    watcher = make_watcher(broker)
    assert watcher.wait_for(lambda w: w.state(STATION, "appliances/微波炉") is not None, PATIENCE_S)
    door, occupancy = watcher.state(STATION, "door"), watcher.state(STATION, "occupancy")
    appliance = watcher.state(STATION, "appliances/微波炉")
    assert isinstance(door, DoorState)
    assert (door.contact, door.holds_s) == ("closed", 90.0)
    assert abs(datetime.fromisoformat(door.observed_at) - before) < timedelta(seconds=10)
    assert isinstance(occupancy, OccupancyState)
    assert occupancy.count == 1
    assert isinstance(appliance, ApplianceState)
    assert appliance.power_w == 1150.5
    assert watcher.complaints() == ()


def test_entries_arrive_whole_and_are_acknowledged_in_order(
    broker: Broker, inbox: Inbox, make_link: MakeLink, make_watcher: MakeWatcher
) -> None:
    watcher = make_watcher(broker)
    link = make_link(broker)
    session = session_of(inbox)
    entries = make_entries(500)
    link.publish_entries(PublishEntries(session, entries[:300]))
    link.publish_entries(PublishEntries(session, entries[300:]))
    inbox.wait_for_acknowledged(500)
    assert inbox.acknowledged() == [(1, sequence) for sequence in range(1, 501)]
    assert watcher.wait_for(lambda w: len(w.entries()) == 500, PATIENCE_S)
    assert [event.hash for event in watcher.entries(STATION)] == [entry.hash for entry in entries]
    report = watcher.audit(STATION)
    assert report.is_whole
    assert report.unlinked == ()
    assert watcher.complaints() == ()


class StandingClock(SystemClock):
    """On which nothing is ever late."""

    def monotonic(self) -> float:
        return 0.0


def test_acknowledgements_of_a_backlog_are_told_in_runs(broker: Broker, inbox: Inbox) -> None:
    link = BrokerLink(broker, TOPICS, About(name="a"), StandingClock(), inbox.post, backoff=AT_ONCE)
    link.start()
    try:
        session = session_of(inbox)
        link.publish_entries(PublishEntries(session, make_entries(500)))
        inbox.wait_for_acknowledged(500)
        assert inbox.acknowledged() == [(1, sequence) for sequence in range(1, 501)]
        assert len(inbox.all(EntriesAcknowledged)) == 16  # 15 of 32, and what is left as soon as it is in
    finally:
        assert link.close()


def test_a_broker_with_a_small_receive_maximum_is_respected(tmp_path: Path, inbox: Inbox, make_link: MakeLink) -> None:
    server = Mosquitto(tmp_path, ("allow_anonymous true", "max_inflight_messages 3"))
    server.start()
    try:
        link = make_link(Broker("127.0.0.1", server.port))
        session = session_of(inbox)
        link.publish_entries(PublishEntries(session, make_entries(100)))
        inbox.wait_for_acknowledged(100)
        assert inbox.all(BrokerDisconnected) == []  # a broker ends a connection that exceeds it
        assert link.close()
        assert server.log().count("Received PUBLISH from station-demo-1") == 103
    finally:
        server.stop()


def test_nothing_is_acknowledged_and_nothing_blocks_while_the_broker_is_silent(
    broker: Broker, mosquitto: Mosquitto, inbox: Inbox, make_link: MakeLink, make_watcher: MakeWatcher
) -> None:
    watcher = make_watcher(broker)
    link = make_link(broker)
    session = session_of(inbox)
    assert watcher.wait_for(lambda w: w.is_online(STATION), PATIENCE_S)
    mosquitto.freeze()
    began = time.monotonic()
    link.publish_entries(PublishEntries(session, make_entries(200)))
    for number in range(2000):
        link.publish_state(PublishState("occupancy", 0.0, {"count": number, "is_occupied": True}))
    assert time.monotonic() - began < 1.0
    time.sleep(0.2)
    assert inbox.acknowledged() == []
    mosquitto.thaw()
    inbox.wait_for_acknowledged(200)
    assert inbox.acknowledged() == [(1, sequence) for sequence in range(1, 201)]

    def shows_the_newest(watcher: Watcher) -> bool:
        state = watcher.state(STATION, "occupancy")
        return isinstance(state, OccupancyState) and state.count == 1999

    assert watcher.wait_for(shows_the_newest, PATIENCE_S)


def test_link_comes_back_after_a_restart_and_sends_nothing_by_itself(
    broker: Broker, mosquitto: Mosquitto, inbox: Inbox, make_link: MakeLink, make_watcher: MakeWatcher
) -> None:
    link = make_link(broker)
    first = session_of(inbox)
    mosquitto.kill()
    inbox.wait_for_count(BrokerDisconnected, 1)
    link.publish_state(PublishState("door", 0.0, DOOR))  # dropped: there is no connection
    time.sleep(0.5)  # several attempts fail
    mosquitto.start()
    second = session_of(inbox, 2)
    assert second != first
    assert len(inbox.all(BrokerDisconnected)) == 1  # once for the outage, not once for each attempt
    entries = make_entries(3)
    link.publish_entries(PublishEntries(first, entries))  # of the earlier session: dropped
    link.publish_entries(PublishEntries(second, entries[:1]))
    inbox.wait_for_acknowledged(1)
    watcher = make_watcher(broker)
    assert watcher.wait_for(lambda w: w.is_online(STATION), PATIENCE_S)
    assert watcher.state(STATION, "door") is None
    assert inbox.acknowledged() == [(1, 1)]


def test_a_durable_watcher_gets_what_came_while_it_was_away(
    broker: Broker, inbox: Inbox, make_link: MakeLink, make_watcher: MakeWatcher
) -> None:
    watcher = make_watcher(broker, "server-1")
    link = make_link(broker)
    session = session_of(inbox)
    watcher.close()
    link.publish_entries(PublishEntries(session, make_entries(20)))
    inbox.wait_for_acknowledged(20)
    again = make_watcher(broker, "server-1")
    assert again.wait_for(lambda w: len(w.entries(STATION)) == 20, PATIENCE_S)
    assert again.audit(STATION).is_whole


def test_an_absent_broker_is_reported_once_and_found_when_it_comes(
    tmp_path: Path, inbox: Inbox, make_link: MakeLink, caplog: pytest.LogCaptureFixture
) -> None:
    server = Mosquitto(tmp_path)
    make_link(Broker("127.0.0.1", server.port))
    inbox.wait_for_count(BrokerDisconnected, 1)
    time.sleep(0.5)
    server.start()
    try:
        session_of(inbox)
        assert len(inbox.all(BrokerDisconnected)) == 1
        warnings = [record for record in caplog.records if record.levelname == "WARNING"]
        assert len(warnings) == 1
    finally:
        server.stop()


def test_close_is_bounded_before_any_broker_and_while_it_is_silent(
    mosquitto: Mosquitto, inbox: Inbox, make_link: MakeLink
) -> None:
    absent = make_link(Broker("127.0.0.1", free_port()))
    began = time.monotonic()
    assert absent.close(1.0)
    link = make_link(Broker("127.0.0.1", mosquitto.port))
    session_of(inbox)
    mosquitto.freeze()
    assert link.close(1.0)
    assert time.monotonic() - began < 3.0


def test_a_port_that_accepts_and_says_nothing_is_not_a_broker(inbox: Inbox, make_link: MakeLink) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        link = make_link(Broker("127.0.0.1", mute.getsockname()[1]))
        taken, _ = mute.accept()
        with taken:
            assert taken.recv(1) == b"\x10"  # CONNECT
            assert inbox.all(BrokerConnected) == []
            assert link.close(1.0)


@pytest.mark.parametrize(
    ("connack", "reason"),
    [
        (b"", Words("服务器没有答复", "the broker did not answer")),
        (b"\x20\x03\0\0\0", Words("服务器没有确认收到", "the broker does not acknowledge")),
    ],
    ids=["no_connack", "no_puback"],
)
def test_a_broker_that_takes_all_and_answers_nothing_is_given_up(
    connack: bytes, reason: Words, inbox: Inbox, make_link: MakeLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bound in ("_CONNACK_S", "_PUBACK_S", "_TICK_S"):
        monkeypatch.setattr(f"agent.mqtt.link.{bound}", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        make_link(Broker("127.0.0.1", mute.getsockname()[1]))
        taken, _ = mute.accept()
        with taken:
            taken.sendall(connack)
            (down,) = inbox.wait_for_count(BrokerDisconnected, 1)
            assert isinstance(down, BrokerDisconnected)
            assert down.reason == reason
            taken.settimeout(PATIENCE_S)
            while taken.recv(4096):
                pass  # until the link closes it


def test_a_part_that_breaks_the_contract_is_not_published_and_the_rest_goes_on(
    broker: Broker,
    inbox: Inbox,
    make_link: MakeLink,
    make_watcher: MakeWatcher,
    caplog: pytest.LogCaptureFixture,
) -> None:
    watcher = make_watcher(broker)
    link = make_link(broker)
    session_of(inbox)
    for part, body in (
        ("weather", {}),
        ("door", {**DOOR, "mode": "ajar"}),
        ("appliances/a+b", {"state": "off", "power_w": 0.0}),
    ):
        link.publish_state(PublishState(part, 0.0, body))
        link.publish_state(PublishState(part, 1.0, body))
    link.publish_state(PublishState("occupancy", 0.0, {"count": 0, "is_occupied": False}))
    assert watcher.wait_for(lambda w: w.state(STATION, "occupancy") is not None, PATIENCE_S)
    errors = {record.getMessage() for record in caplog.records if record.levelname == "ERROR"}
    assert len(errors) == 3
    assert any("weather" in error for error in errors)
    assert any("mode" in error for error in errors)
    assert watcher.state(STATION, "door") is None
    assert inbox.all(WorkerFailed) == []


def minute(sensor: str) -> MinuteReading:
    return MinuteReading("2026-11-22T03:04Z", sensor, "power_w", 0.0, 5.5, 1200.0, 30)


def test_readings_go_out_in_batches(
    broker: Broker, inbox: Inbox, make_link: MakeLink, make_watcher: MakeWatcher
) -> None:
    watcher = make_watcher(broker)
    link = make_link(broker)
    session_of(inbox)
    link.publish_readings(PublishReadings(tuple(minute(f"meter-{number}") for number in range(300))))
    assert watcher.wait_for(lambda w: len(w.readings(STATION)) == 3, PATIENCE_S)
    batches = watcher.readings(STATION)
    assert [len(batch.readings) for batch in batches] == [128, 128, 44]
    assert [batch.lost for batch in batches] == [0, 0, 0]
    assert (batches[0].readings[0].min, batches[0].readings[0].max) == (0.0, 1200.0)


def test_readings_that_come_without_a_connection_are_counted_as_lost(
    tmp_path: Path, inbox: Inbox, make_link: MakeLink, make_watcher: MakeWatcher
) -> None:
    server = Mosquitto(tmp_path)
    link = make_link(Broker("127.0.0.1", server.port))
    inbox.wait_for_count(BrokerDisconnected, 1)
    link.publish_readings(PublishReadings((minute("a"), minute("b"), minute("c"))))
    server.start()
    try:
        watcher = make_watcher(Broker("127.0.0.1", server.port))
        session_of(inbox)
        link.publish_readings(PublishReadings((minute("a"),), lost=2))
        assert watcher.wait_for(lambda w: len(w.readings(STATION)) == 1, PATIENCE_S)
        assert watcher.readings(STATION)[0].lost == 3 + 2
        assert link.close()
        watcher.close()
    finally:
        server.stop()


def test_more_entries_than_the_bound_end_the_session_and_none_is_skipped(
    mosquitto: Mosquitto, inbox: Inbox, make_link: MakeLink, make_watcher: MakeWatcher
) -> None:
    watcher = make_watcher(Broker("127.0.0.1", mosquitto.port))
    link = make_link(Broker("127.0.0.1", mosquitto.port))
    session = session_of(inbox)
    entries = make_entries(1100)
    link.publish_entries(PublishEntries(session, entries))
    link.publish_entries(PublishEntries(session, entries[-1:]))  # would leave a gap
    again = session_of(inbox, 2)
    assert watcher.entries() == ()
    link.publish_entries(PublishEntries(again, entries[:5]))
    assert watcher.wait_for(lambda w: len(w.entries()) == 5, PATIENCE_S)


def test_an_entry_that_the_broker_refuses_is_never_acknowledged(
    tmp_path: Path, inbox: Inbox, make_link: MakeLink
) -> None:
    rules = tmp_path / "acl"
    rules.write_text("topic write stations/demo-1/status\ntopic write stations/demo-1/about\n")
    rules.chmod(0o600)
    server = Mosquitto(tmp_path, ("allow_anonymous true", f"acl_file {rules}"))
    server.start()
    try:
        link = make_link(Broker("127.0.0.1", server.port))  # MQTT 5: 3.1.1 has no way to say it
        session = session_of(inbox)
        link.publish_entries(PublishEntries(session, make_entries(5)))
        (lost,) = inbox.wait_for_count(BrokerDisconnected, 1)
        assert isinstance(lost, BrokerDisconnected)
        assert "refused" in lost.reason.en
        assert lost.reason.zh.startswith("服务器拒绝了一条记录:")
        assert inbox.acknowledged() == []
    finally:
        assert link.close()
        server.stop()


def replayed(inbox: Inbox) -> list[tuple[int, str]]:
    found = [each for each in inbox.all(EntryReplayed) if isinstance(each, EntryReplayed)]
    return [(each.sequence, each.error) for each in found if each.request == "r-1"]


def heard_of(heard: list[Signal], kind: type[_Kind], count: int) -> list[_Kind]:
    """So many signals of a kind."""
    deadline = time.monotonic() + PATIENCE_S
    found: list[_Kind] = []
    while len(found) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count}"
        time.sleep(0.01)
        found = [each for each in heard if isinstance(each, kind)]
    return found


def test_what_goes_once_more_is_the_same_event_and_acknowledged_on_its_own(
    broker: Broker, inbox: Inbox, make_link: MakeLink, make_watcher: MakeWatcher
) -> None:
    watcher = make_watcher(broker)
    heard: list[Signal] = []
    spy = Connection(broker, "spy", heard.append)
    spy.open()
    spy.subscribe((TOPICS.log,))
    heard_of(heard, Subscribed, 1)
    link = make_link(broker)
    session = session_of(inbox)
    entries = make_entries(60)
    too_large = replace(entries[2], body=json.dumps({"text": "x" * 66_000}))
    entries = (*entries[:2], too_large, *entries[3:])
    link.publish_entries(PublishEntries(session, entries))
    inbox.wait_for_acknowledged(60)
    link.replay_entries(ReplayEntries("s-0", "r-1", entries[:50]))  # of another session: dropped
    link.replay_entries(ReplayEntries(session, "r-1", entries[:50]))
    inbox.wait_for_count(EntryReplayed, 50)
    assert sorted(replayed(inbox)) == [(sequence, "") for sequence in range(1, 51)]
    assert inbox.acknowledged() == [(1, sequence) for sequence in range(1, 61)]
    assert watcher.wait_for(lambda w: w.duplicates == 50, PATIENCE_S)
    assert len(watcher.entries(STATION)) == 60
    assert watcher.complaints() == ()
    assert watcher.entries(STATION)[2].withheld == "too_large"
    payloads = [each.payload for each in heard_of(heard, Received, 110)]
    spy.leave(PATIENCE_S)
    assert payloads[60:] == payloads[:50]  # in order, byte by byte; all of them are historical


def test_a_body_that_was_erased_meanwhile_goes_blank(
    broker: Broker, inbox: Inbox, make_link: MakeLink, make_watcher: MakeWatcher
) -> None:
    watcher = make_watcher(broker)
    link = make_link(broker)
    session = session_of(inbox)
    (entry,) = make_entries(1)
    link.replay_entries(ReplayEntries(session, "r-1", (replace(entry, body=None, salt=None),)))
    assert watcher.wait_for(lambda w: len(w.entries()) == 1, PATIENCE_S)
    (event,) = watcher.entries(STATION)
    assert (event.data, event.salt, event.withheld, event.hash) == (None, None, None, entry.hash)


def test_an_entry_that_cannot_go_once_more_is_said_and_the_log_goes_on(
    broker: Broker, inbox: Inbox, make_link: MakeLink
) -> None:
    link = make_link(broker)
    session = session_of(inbox)
    entries = make_entries(3)
    link.replay_entries(ReplayEntries(session, "r-1", (replace(entries[0], hash="rubbish"), entries[1])))
    link.publish_entries(PublishEntries(session, entries[2:]))
    inbox.wait_for_count(EntryReplayed, 2)
    inbox.wait_for_acknowledged(1)
    (first, why), second = sorted(replayed(inbox))
    assert (first, "hash" in why, second) == (1, True, (2, ""))
    assert inbox.all(BrokerDisconnected) == []


def test_a_replayed_entry_that_the_broker_refuses_is_not_taken(
    tmp_path: Path, inbox: Inbox, make_link: MakeLink
) -> None:
    rules = tmp_path / "acl"
    rules.write_text("topic write stations/demo-1/status\ntopic write stations/demo-1/about\n")
    rules.chmod(0o600)
    server = Mosquitto(tmp_path, ("allow_anonymous true", f"acl_file {rules}"))
    server.start()
    try:
        link = make_link(Broker("127.0.0.1", server.port))
        link.replay_entries(ReplayEntries(session_of(inbox), "r-1", make_entries(1)))
        inbox.wait_for_count(EntryReplayed, 1)
        ((sequence, why),) = replayed(inbox)
        assert (sequence, bool(why)) == (1, True)
    finally:
        assert link.close()
        server.stop()


def test_password_comes_from_a_file_and_is_never_repeated(
    tmp_path: Path, inbox: Inbox, make_link: MakeLink, caplog: pytest.LogCaptureFixture
) -> None:
    server = Mosquitto(tmp_path)
    passwords, secret = tmp_path / "passwords", tmp_path / "secret"
    command = [str(Path("/usr/bin/mosquitto_passwd")), "-b", "-c", str(passwords), "demo-1", "open-sesame"]
    subprocess.run(command, check=True, capture_output=True)
    server = Mosquitto(tmp_path, ("allow_anonymous false", f"password_file {passwords}"))
    server.start()
    try:
        make_link(Broker("127.0.0.1", server.port, username="demo-1", password_file=secret))
        (missing,) = inbox.wait_for_count(BrokerDisconnected, 1)
        assert isinstance(missing, BrokerDisconnected)
        assert str(secret) in missing.reason.en
        secret.write_text("open-barley\n")
        time.sleep(0.5)
        assert inbox.all(BrokerConnected) == []
        secret.write_text("open-sesame\n")  # a new password counts without a restart
        session_of(inbox)
        assert "open-" not in caplog.text
    finally:
        server.stop()


@pytest.mark.parametrize(("named", "is_accepted"), [("localhost", True), ("other.example", False)])
def test_tls_checks_the_name_of_the_broker(
    tmp_path: Path, inbox: Inbox, make_link: MakeLink, named: str, is_accepted: bool
) -> None:
    authority, certificate, key = make_certificates(tmp_path, named)
    server = Mosquitto(
        tmp_path, (f"cafile {authority}", f"certfile {certificate}", f"keyfile {key}", "allow_anonymous true")
    )
    server.start()
    try:
        link = make_link(Broker("localhost", server.port, tls=Tls(ca=authority)))
        if is_accepted:
            session_of(inbox)
        else:
            (refused,) = inbox.wait_for_count(BrokerDisconnected, 1)
            assert isinstance(refused, BrokerDisconnected)
            assert "certificate" in refused.reason.en.lower()
            assert inbox.all(BrokerConnected) == []
        assert link.close()
    finally:
        server.stop()


def test_a_supervisor_that_dies_is_reported(mosquitto: Mosquitto) -> None:
    posted: list[object] = []
    is_reported = threading.Event()

    def post(event: object) -> None:
        posted.append(event)
        if isinstance(event, WorkerFailed):
            is_reported.set()
            return
        raise RuntimeError("the inbox is broken")

    broker = Broker("127.0.0.1", mosquitto.port)
    link = BrokerLink(broker, TOPICS, About(name="n"), SystemClock(), post, backoff=AT_ONCE)
    link.start()
    assert is_reported.wait(PATIENCE_S)
    assert isinstance(posted[-1], WorkerFailed)
    assert posted[-1].worker == "mqtt"
    assert link.close()
