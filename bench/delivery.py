"""From the station to the broker and back: how soon an event is there, how soon a backlog is, and a command's way in.

A real mosquitto on this machine and the whole agent with its own threads; the wires are simulated. What a bar forbids
counts beyond what the broker takes itself: beside every sample a plain QoS 1 publish on a connection of its own is
timed to its PUBACK, and the disk's own sync is stated. The agent that drains a backlog is a process of its own
(`bench/backlog.py`), so that its memory can be told; what it is set beside is in `bench/rivals.py`.
"""

from __future__ import annotations

import os
import queue
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from agent import command_keys
from agent.app import App, build, settle_interpreter
from agent.clock import SystemClock
from agent.command_gate import CommandClaims, sign
from agent.command_keys import CommandSigner
from agent.control.client import ControlClient
from agent.core.door import Contact, Lock
from agent.effects import SaveMember
from agent.events import DeviceFailed, DeviceRecovered, EntriesAcknowledged, EntriesLogged, Event, Member, MemberSaved
from agent.fleet.commander import Commander
from agent.loop import Inbox
from agent.mqtt.client import Accepted, Acknowledged, Broker, Connection, Signal
from agent.mqtt.topics import Topics
from agent.settings import Settings, load_settings
from agent.storage.writer import StorageWriter
from bench import handover, rivals
from bench.backlog import SENSOR, AgentBeside, Subscriber, watched, write_backlog
from bench.bar import Bar, not_measured
from bench.decision import p99, spread
from bench.visitor import CARD, DEBOUNCE_S, NUMBER, PATIENCE_S, PIN, Stopwatch, Visitor, wait_for
from tests.broker import Mosquitto
from tests.system.stations import STATION, write_settings

TOPICS = Topics("stations", STATION)
BACKLOG = 100_000
SAMPLES = 100  # of an event and of a command
WARM = 2_000  # entries before memory is first looked at: everything has been imported and used once
IN_FLIGHT = 200  # of the backlog; more gains nothing on one machine
BESIDE = 40_000  # entries that drain while people come and go
MEMORY_COUNT, COMMITS_COUNT, RIVAL_RUNS = 8_000, 800, 3  # messages of each run, of which the median is stated
DRAIN_S = 120.0

EVENT_MS, COMMAND_MS, RATE_MIN, LIVE_S, GROWN_MB = 100.0, 50.0, 2_000, 2.0, 5.0

# A subscriber that is slower than the station must not lose messages to the broker's own bounds.
_BROKER = ("allow_anonymous true", "max_inflight_messages 200", "max_queued_messages 0")
_PAUSE_S = 0.03
_PAYLOAD = b"x" * 700  # of an entry
_PAGE = b"\0" * 4096
_T = TypeVar("_T")


@dataclass(slots=True)
class Round:
    """Times of one measurement, ms. `broker`: its own round trip beside each sample; `disk`: one sync beside each."""

    took_ms: list[float] = field(default_factory=list)
    broker_ms: list[float] = field(default_factory=list)
    disk_ms: list[float] = field(default_factory=list)

    @property
    def beyond_ms(self) -> float:
        """The 95th percentile beyond the broker's own."""
        return p95(self.took_ms) - p95(self.broker_ms)


@dataclass(frozen=True, slots=True)
class Drained:
    """A backlog that grew while the broker was away, and then went. Memory in bytes."""

    count: int
    rate: float
    lived_s: float
    order: str
    growing_rate: float
    before: int
    while_growing: int
    while_draining: int

    @property
    def grown_mb(self) -> float:
        """At the most."""
        return (max(self.while_growing, self.while_draining) - self.before) / 1e6


def p95(took: list[float]) -> float:
    """The 95th percentile, linear interpolation."""
    return float(np.quantile(took, 0.95))


# --- an event to the broker, and a command from it --------------------------------------------------------------------


class _Marks(Inbox):
    """An inbox that tells when entries were durable and when they were acknowledged."""

    def __init__(self) -> None:
        super().__init__()
        self.logged_at = 0.0
        self.acknowledged: queue.SimpleQueue[float] = queue.SimpleQueue()

    def post(self, event: Event) -> None:
        """See `Inbox`."""
        now = time.monotonic()
        if isinstance(event, EntriesLogged):
            self.logged_at = now
        elif isinstance(event, EntriesAcknowledged):
            self.acknowledged.put(now)
        super().post(event)


class _Probe:
    """A connection that does nothing but publish, to know what the broker takes for that."""

    def __init__(self, broker: Broker) -> None:
        self._signals: queue.SimpleQueue[Signal] = queue.SimpleQueue()
        self.connection = Connection(broker, "bench-probe", self._signals.put)
        self.connection.open()
        self._await(Accepted)

    def round_trip_ms(self) -> float:
        """Of one plain QoS 1 publish to its PUBACK."""
        began = time.monotonic()
        self.connection.publish("bench/probe", _PAYLOAD, retain=False)
        self._await(Acknowledged)
        return 1000 * (time.monotonic() - began)

    def _await(self, kind: type[Signal]) -> None:
        while not isinstance(self._signals.get(timeout=PATIENCE_S), kind):
            pass


def measure_events(app: App, marks: _Marks, probe: _Probe, folder: Path, count: int) -> tuple[Round, list[float]]:
    """`count` events, one at a time; and how long of each the storage took."""
    found, durable_ms, has_failed = Round(), list[float](), False
    with (folder / "sync").open("wb") as file:
        for _ in range(count):
            time.sleep(_PAUSE_S)
            found.broker_ms.append(probe.round_trip_ms())
            found.disk_ms.append(_sync_ms(file.fileno()))
            wait_for(lambda: _is_idle(app), "the outbox does not come to rest")
            while not marks.acknowledged.empty():
                marks.acknowledged.get()
            now = app.clock.now()
            began = time.monotonic()
            marks.post(DeviceRecovered(now, SENSOR) if has_failed else DeviceFailed(now, SENSOR, "no answer"))
            has_failed = not has_failed
            found.took_ms.append(1000 * (marks.acknowledged.get(timeout=PATIENCE_S) - began))
            durable_ms.append(1000 * (marks.logged_at - began))
    return found, durable_ms


def _sync_ms(file: int) -> float:
    os.pwrite(file, _PAGE, 0)
    began = time.monotonic()
    os.fdatasync(file)
    return 1000 * (time.monotonic() - began)


def _is_idle(app: App) -> bool:
    state = app.loop.state
    return state is not None and state.outbox.session is not None and state.outbox.cursor == state.outbox.newest


def measure_commands(app: App, commander: Commander, signer: CommandSigner, probe: _Probe, count: int) -> Round:
    """`count` signed openings, each with a nonce asked for before; somebody goes in after each."""
    moved: queue.SimpleQueue[float] = queue.SimpleQueue()
    app.hardware.lock.on_moved = lambda _is_energised, _seen_at: moved.put(time.monotonic())
    if app.hardware.simulated is None:
        raise RuntimeError("the measurement needs simulated hardware")
    leaf, found = app.hardware.simulated.door, Round()
    for number in range(count):
        time.sleep(_PAUSE_S)
        found.broker_ms.append(probe.round_trip_ms())
        *_, reply = commander.send("nonce.request")
        claims = CommandClaims(
            id=f"bench-{number}",
            station=STATION,
            name="door.unlock",
            issued_at=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            nonce=str(reply.result["nonce"]),
        )
        signed = sign(claims, signer.name, signer.private).encode()
        while not moved.empty():
            moved.get()
        began = time.monotonic()
        probe.connection.publish(TOPICS.commands, signed, retain=False)
        found.took_ms.append(1000 * (moved.get(timeout=PATIENCE_S) - began))
        leaf.push()
        wait_for(lambda: _door(app)[0] is Contact.OPEN, "the leaf is not seen")
        leaf.let_go()
        wait_for(lambda: _door(app) == (Contact.CLOSED, Lock.SECURED), "the door does not relock")
    return found


def _door(app: App) -> tuple[Contact | None, Lock | None]:
    state = app.loop.state
    return (None, None) if state is None else (state.door.contact, state.door.lock)


def measure_ways(folder: Path, count: int) -> tuple[Round, list[float], Round]:
    """Events, how long the storage took of each, and commands; the agent as its settings are shipped."""
    signer = command_keys.generate("bench")
    with ExitStack() as stack:
        broker = _broker(folder, stack)
        tables = {
            **_tables(broker),
            f"commands.keys.{signer.name}": {"public": signer.public_text, "scopes": ["open"]},
        }
        marks = _Marks()
        app = stack.enter_context(_running(load_settings(write_settings(folder, tables)), marks))
        address = Broker("127.0.0.1", broker.port)
        probe = _Probe(address)
        stack.callback(probe.connection.cut)
        events, durable_ms = measure_events(app, marks, probe, folder, count)
        with Commander(address, TOPICS, signer) as commander:
            return events, durable_ms, measure_commands(app, commander, signer, probe, count)


# --- a backlog --------------------------------------------------------------------------------------------------------


def measure_drain(folder: Path, count: int) -> tuple[Drained, float, float]:
    """The backlog grows while the agent runs and the broker is away; then its rivals publish to the same broker."""
    with ExitStack() as stack:
        broker = _broker(folder, stack)
        settings = write_settings(
            folder, _tables(broker, in_flight_max=IN_FLIGHT, entries_per_s_max=0, reconnect_s_max=1)
        )
        agent = AgentBeside(settings)
        stack.callback(agent.end)
        agent.grow(min(WARM, count))
        wait_for(lambda: agent.status()["parts"]["health"]["backlog"] == 0, "the first entries do not go")
        broker.stop()
        before = agent.resident_bytes()
        with watched(agent.resident_bytes) as growing:
            began = time.monotonic()
            agent.grow(count)
            growing_s = time.monotonic() - began
        broker.start()
        subscriber = Subscriber(Broker("127.0.0.1", broker.port), TOPICS, rivals.TOPIC)
        stack.callback(subscriber.close)
        newest = agent.status()["log"]["sequence"]
        with watched(agent.resident_bytes) as draining:
            subscriber.wait_for(newest, DRAIN_S)
        drained = Drained(
            subscriber.count,
            subscriber.rate,
            subscriber.lived_s,
            subscriber.order,
            count / growing_s,
            before,
            max(growing),
            max(draining),
        )
        memory = _rival("memory", broker, min(count, MEMORY_COUNT))
        commits = _rival("commits", broker, min(count, COMMITS_COUNT))
        return drained, memory, commits


def _rival(kind: str, broker: Mosquitto, count: int) -> float:
    return statistics.median(rivals.measure(kind, broker.port, count) for _ in range(RIVAL_RUNS))


@dataclass(frozen=True, slots=True)
class Beside:
    """Decisions at the door while a backlog of `count` entries drains. `bare_ms`: see `bench.handover`.

    `idle_ms`: as many decisions once it has drained. `rate`: entries acknowledged a second; there is no subscriber, for
    it would share the agent's interpreter.
    """

    count: int
    rate: float
    took_ms: list[float]
    idle_ms: list[float]
    bare_ms: list[float]


def measure_decisions(folder: Path, count: int) -> Beside:
    """People come and go while what was in the log before the start drains."""
    with ExitStack() as stack:
        broker = _broker(folder, stack)
        tables = {
            **_tables(broker, in_flight_max=IN_FLIGHT, entries_per_s_max=0),
            "door": {"contact_debounce_ms": round(DEBOUNCE_S * 1000)},
            "fire": {"fitted": True},
            "readers.cards": {"driver": "simulated"},
            "readers.keys": {"driver": "simulated", "sends": "keys"},
        }
        settings = load_settings(write_settings(folder, tables))
        _enrol_one(settings)
        write_backlog(settings, count)
        inbox = Stopwatch()
        app = stack.enter_context(_running(settings, inbox))
        client = ControlClient(settings.control.socket)
        client.request("members.card", id="m-0", number=CARD)
        client.request("members.pin", id="m-0", number=NUMBER, pin=PIN)
        visitor = Visitor(app, inbox, np.zeros((1, 2, 128), np.float32))
        first, began = _acknowledged(app), time.monotonic()
        with handover.beside() as bare_ms:
            while _acknowledged(app) < count:
                visitor.come_and_go()
            rate = (_acknowledged(app) - first) / (time.monotonic() - began)
        took_ms = [each.took_ms for each in visitor.samples]
        while len(visitor.samples) < 2 * len(took_ms):
            visitor.come_and_go()
        idle_ms = [each.took_ms for each in visitor.samples[len(took_ms) :]]
        return Beside(count, rate, took_ms, idle_ms, bare_ms)


def _acknowledged(app: App) -> int:
    state = app.loop.state
    return 0 if state is None else state.outbox.acknowledged_count


def _enrol_one(settings: Settings) -> None:
    said: queue.SimpleQueue[Event] = queue.SimpleQueue()
    writer = StorageWriter(settings.state.directory, settings.station.id, SystemClock(), said.put)
    writer.open()
    try:
        writer.submit(SaveMember("save-0", Member("m-0", ()), "Member 0"))
        while not isinstance(said.get(timeout=PATIENCE_S), MemberSaved):
            pass
    finally:
        writer.close(PATIENCE_S)


# --- what they run on -------------------------------------------------------------------------------------------------


def _broker(folder: Path, stack: ExitStack) -> Mosquitto:
    broker = Mosquitto(folder, _BROKER, is_verbose=False)
    stack.callback(broker.stop)
    broker.start()
    return broker


def _tables(broker: Mosquitto, **mqtt: Any) -> dict[str, dict[str, Any]]:
    return {
        "mqtt": {"enabled": True, "host": "127.0.0.1", "port": broker.port, **mqtt},
        SENSOR: {"driver": "simulated", "interval_s": 2.0},
    }


@contextmanager
def _running(settings: Settings, inbox: Inbox) -> Iterator[App]:
    with build(settings, SystemClock(), inbox=inbox) as app:
        thread = threading.Thread(target=app.run, name="deciding")
        thread.start()
        try:
            wait_for(lambda: app.loop.state is not None and app.loop.state.session is not None, "no link to the broker")
            yield app
        finally:
            app.end("the measurement is over")
            thread.join(PATIENCE_S)


# --- what is said of it -----------------------------------------------------------------------------------------------


def bars(backlog: int = BACKLOG, samples: int = SAMPLES) -> Iterator[Bar]:
    """Three minutes."""
    if shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None:
        yield not_measured("delivery", f"≥ {RATE_MIN} entries a second", "mosquitto is not installed")
        return
    settle_interpreter()
    events, durable_ms, commands = _in_a_folder(lambda folder: measure_ways(folder, samples))
    yield _judge_round("event → broker acknowledgement", events, EVENT_MS)
    yield Bar("    of that, until it is durable", "", spread(durable_ms), None)
    yield Bar("    the disk's own sync (one page, fdatasync)", "", spread(events.disk_ms), None)
    yield _judge_round("command → relay", commands, COMMAND_MS)
    drained, memory, commits = _in_a_folder(lambda folder: measure_drain(folder, backlog))
    yield from judge_drain(drained, memory, commits)
    beside = _in_a_folder(lambda folder: measure_decisions(folder, min(backlog, BESIDE)))
    words = (
        f"{spread(beside.took_ms)}; without it p50 {statistics.median(beside.idle_ms):.2f}, p99 "
        f"{p99(beside.idle_ms):.2f}; a bare thread beside it p99 {p99(beside.bare_ms):.2f}; the drain "
        f"{beside.rate:,.0f} a second"
    )
    yield Bar(f"fact → lock beside a backlog of {beside.count:,} that drains", "", words, None)


def _in_a_folder(measure: Callable[[Path], _T]) -> _T:
    with tempfile.TemporaryDirectory(prefix="station-bench-") as folder:
        return measure(Path(folder))


def _judge_round(what: str, found: Round, bar_ms: float) -> Bar:
    words = (
        f"p95 {p95(found.took_ms):.2f} ms, the broker's own {p95(found.broker_ms):.2f}: "
        f"{found.beyond_ms:.2f} beyond it; {spread(found.took_ms)}"
    )
    return Bar(what, f"p95 ≤ {bar_ms:g} ms beyond the broker's", words, found.beyond_ms <= bar_ms)


def judge_drain(found: Drained, memory: float, commits: float) -> Iterator[Bar]:
    """`memory`, `commits`: messages a second of the rivals."""
    words = f"{found.rate:,.0f} a second, {found.order}"
    yield Bar(f"backlog of {found.count:,} drained", f"≥ {RATE_MIN:,} a second", words, found.rate >= RATE_MIN)
    lived = f"{found.lived_s:.3f} s"
    yield Bar("    live state after the reconnect", f"≤ {LIVE_S:g} s", lived, found.lived_s <= LIVE_S)
    growing, draining = ((each - found.before) / 1e6 for each in (found.while_growing, found.while_draining))
    words = (
        f"{growing:+.1f} MB while it grew ({found.growing_rate:,.0f} entries a second), {draining:+.1f} MB while it "
        f"drained, of {found.before / 1e6:.0f} MB"
    )
    yield Bar(f"    memory grown by {found.count:,}", f"≤ {GROWN_MB:g} MB", words, found.grown_mb <= GROWN_MB)
    words = f"{memory:,.0f} a second: ours is {found.rate / memory:.2f} ×"
    yield Bar("    plain paho publish from memory", "", words, None)
    words = f"{commits:,.0f} a second: ours is {found.rate / commits:.1f} ×"
    yield Bar("    one commit for each message", "", words, None)
