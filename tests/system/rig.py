"""A station with visitors, a network and a broker that can be broken, and a subscriber that counts: see `rigged`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Literal

from agent import command_keys
from agent.fleet.commander import Commander
from agent.fleet.watch import Watcher
from agent.mqtt.backoff import Backoff
from agent.mqtt.client import Broker
from agent.mqtt.payloads import OccupancyState
from agent.mqtt.topics import Topics
from tests.broker import Mosquitto
from tests.mosquitto_configuration import SecureBroker
from tests.network import Network
from tests.system.delivered import ARRIVAL_S, Delivery, Memory, assert_delivered
from tests.system.stations import PATIENCE_S, STATION, eventually, write_settings
from tests.system.visited import VisitedStation

AT_ONCE = Backoff(first_s=0.05, longest_s=0.2, least_s=0.02)
TOPICS = Topics("stations", STATION)
KEEPALIVE_S = 5
IN_FLIGHT = 20
# A request from afar must move the door within 2 s (GB 50396-2007); here it must be answered in that time, for a busy
# machine with other tests on it.
ANSWER_S = 2.0
_PAUSE_S = 0.03  # between two visits
# What mosquitto hands to one subscriber before it is acknowledged (max_inflight_messages: 64 as shipped, else 20).
_AT_THE_SUBSCRIBER = 64

# Everything is on the disk a moment after it changed; a broker that is killed before that moment forgets it.
PERSISTENCE = ("persistence true", "autosave_on_changes true", "autosave_interval 1")


class Visitors:
    """Somebody goes in again and again; a context manager. The door must answer, whatever the link does."""

    def __init__(self, visit: Callable[[], float]) -> None:
        self.slowest_s = 0.0
        self._visit = visit
        self._closing = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._main, name="visitors")

    def __enter__(self) -> Visitors:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._closing.set()
        self._thread.join(2 * PATIENCE_S)

    def check(self) -> None:
        """Fail when a visit failed, or the door did not answer in time."""
        if self._failure is not None:
            raise self._failure
        assert self.slowest_s < ANSWER_S, f"the door answered after {self.slowest_s:.2f} s"

    def _main(self) -> None:
        while not self._closing.wait(_PAUSE_S):
            try:
                self.slowest_s = max(self.slowest_s, self._visit())
            except Exception as error:  # noqa: BLE001 - a worker's top: it is raised where the run is checked
                self._failure = error
                return


class Rig:
    """One station for many faults: break something while visitors come, then look whether all arrived.

    `way`: between the station and the broker, `far_way`: between the broker and the subscriber. `memory` is looked at
    from `warm_up` on. `replayed`: entries that the broker had forgotten, and the station sent again when asked.
    `slowest_s`: the slowest answer to a request for the door.
    """

    def __init__(
        self,
        broker: Mosquitto,
        way: Network,
        far_way: Network,
        watcher: Watcher,
        station: VisitedStation,
        command: Callable[[], Commander],
    ) -> None:
        self.broker = broker
        self.way = way
        self.far_way = far_way
        self.watcher = watcher
        self.station = station
        self.memory: Memory | None = None
        self.replayed = 0
        self.slowest_s = 0.0
        self.command = command

    def run(self, fault: Fault, random: Random) -> Delivery:
        """Let visitors come while `fault` happens; then `settle`."""
        with Visitors(self.station.let_somebody_in) as visitors:
            fault(self, random)
        visitors.check()
        self.slowest_s = max(self.slowest_s, visitors.slowest_s)
        return self.settle()

    def warm_up(self, *faults: Fault, random: Random) -> None:
        """Walk every path once, then begin to watch the memory."""
        for fault in faults:
            self.run(fault, random)
        self.memory = Memory(self.station.process.pid)

    def settle(self) -> Delivery:
        """Mend the networks, ask for what is missing; assert that all has arrived, once, and that memory is flat."""
        self.way.forgets = False
        self.way.mend()
        self.far_way.mend()
        self.await_link()
        self._ask_for_what_is_missing()
        delivery = assert_delivered(self.watcher, self.station.state)
        assert delivery.duplicates <= self.duplicates_allowed, delivery
        inside = self.station.status()["parts"]["occupancy"]["count"]
        assert self.watcher.wait_for(lambda watcher: _shows(watcher, inside), PATIENCE_S), "live state is as it is"
        if self.memory is not None:
            self.memory.assert_flat()
        return delivery

    def _ask_for_what_is_missing(self) -> None:
        """As a central server does: it sees a gap at the next entry that comes, and asks for it."""
        self.station.let_somebody_in()
        newest = int(self.station.status()["log"]["sequence"])
        assert self.watcher.wait_for(lambda watcher: _newest(watcher) >= newest, ARRIVAL_S)
        gaps = self.watcher.gaps(STATION)
        if not gaps:
            return
        with self.command() as commander:
            for arguments in (each for gap in gaps for each in gap.requests()):
                last = list(commander.send("log.replay", arguments))[-1]
                assert last.status == "done", last
                assert last.result["missing"] == [], last
                self.replayed += int(str(last.result["sent"]))

    @property
    def duplicates_allowed(self) -> int:
        """What was in flight when connections ended, with the station or with the subscriber, from the beginning on."""
        return self.way.connections * IN_FLIGHT + self.far_way.connections * _AT_THE_SUBSCRIBER

    def acknowledged(self) -> int:
        """How many entries the broker has acknowledged since the start of the station."""
        return int(self.station.status()["broker"]["acknowledged"])

    def has_link(self) -> bool:
        """What the station itself says."""
        return bool(self.station.status()["broker"]["connected"])

    def await_link(self) -> None:
        """Until both ends have found the broker again."""
        eventually(self.has_link, "the station is at the broker again")
        eventually(lambda: self.watcher.is_subscribed, "the subscriber is at the broker again")

    def await_outage(self, patience_s: float = PATIENCE_S) -> float:
        """Until the station shows that the link is gone; returns how long that took, s."""
        began = time.monotonic()
        eventually(lambda: not self.has_link(), "the station notices", patience_s)
        return time.monotonic() - began


@contextmanager
def rigged(folder: Path, *broker_settings: str, version: Literal["5", "3.1.1"] = "5") -> Iterator[Rig]:
    """A station as a process, a plain mosquitto with `broker_settings`, and a durable subscriber."""
    place = f"persistence_location {folder}/"
    mosquitto = Mosquitto(folder, ("allow_anonymous true", place, *broker_settings))
    mosquitto.start()
    server = Broker("127.0.0.1", mosquitto.port, keepalive_s=KEEPALIVE_S)
    with _rigged(folder, mosquitto, server, server, {"mqtt": {"version": version}}) as rig:
        yield rig


@contextmanager
def rigged_as_shipped(folder: Path) -> Iterator[Rig]:
    """The same with mosquitto as it is shipped: TLS with certificates for all, an access list, its own persistence."""
    secure = SecureBroker(folder, STATION)
    tls = secure.certificates.tls(STATION)
    files = {"ca_file": str(tls.ca), "cert_file": str(tls.certificate), "key_file": str(tls.key)}
    server = replace(secure.as_("central-server"), keepalive_s=KEEPALIVE_S)
    tables: dict[str, dict[str, Any]] = {"mqtt": {"host": "localhost"}, "mqtt.tls": {"enabled": True, **files}}
    with _rigged(folder, secure.mosquitto, server, secure.as_("operator"), tables) as rig:
        yield rig


@contextmanager
def _rigged(
    folder: Path, mosquitto: Mosquitto, server: Broker, operator: Broker, tables: Mapping[str, Mapping[str, Any]]
) -> Iterator[Rig]:
    with ExitStack() as stack:
        stack.callback(mosquitto.stop)
        is_plain = server.tls is None
        way = stack.enter_context(Network(mosquitto.port, is_mqtt=is_plain))
        far_way = stack.enter_context(Network(mosquitto.port, is_mqtt=is_plain))
        watcher = Watcher(replace(server, port=far_way.port), client_id="central-server", backoff=AT_ONCE)
        stack.enter_context(closing(watcher))
        watcher.start()
        key = command_keys.generate("central-1")
        link = {
            "enabled": True,
            "host": "127.0.0.1",
            "port": way.port,
            "keepalive_s": KEEPALIVE_S,
            "reconnect_s_max": 1,
            "in_flight_max": IN_FLIGHT,
            "entries_per_s_max": 0,
            **tables["mqtt"],
        }
        commands = {f"commands.keys.{key.name}": {"public": key.public_text, "scopes": ["records"]}}
        station = VisitedStation(write_settings(folder, {**tables, "mqtt": link, **commands}))
        stack.callback(station.kill)
        station.await_ready()
        rig = Rig(mosquitto, way, far_way, watcher, station, partial(Commander, operator, TOPICS, key))
        rig.await_link()
        yield rig


def _shows(watcher: Watcher, inside: int) -> bool:
    occupancy = watcher.state(STATION, "occupancy")
    return watcher.is_online(STATION) and isinstance(occupancy, OccupancyState) and occupancy.count == inside


def _newest(watcher: Watcher) -> int:
    return max((int(event.sequence) for event in watcher.entries(STATION)), default=0)


Fault = Callable[[Rig, Random], None]
"""Something breaks and is mended again; see `tests.system.broker_faults`."""
