"""A backlog of the log: how it comes to be, the agent that drains it, and the subscriber that counts what comes out.

`python -m bench.backlog SETTINGS` is the agent as `station run` has it, in a process of its own so that its memory can
be told, with one thread more: `grow COUNT` on the standard input lets a sensor fail and work again until COUNT entries
are in the log, each by a fact that the rules decide on. It answers `grown` and ends with its input.
"""

from __future__ import annotations

import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from agent.app import App, build, settle_interpreter
from agent.clock import SystemClock
from agent.control.client import ControlClient, ControlError
from agent.effects import AppendEntry
from agent.events import DeviceFailed, DeviceRecovered, EntriesLogged, Event
from agent.mqtt.client import Accepted, Broker, Connection, Received, Signal, Subscribed
from agent.mqtt.topics import Topics
from agent.settings import Settings, load_settings
from agent.storage.writer import StorageWriter
from bench.visitor import wait_for

PATIENCE_S = 60.0
SENSOR = "sensors.microwave"
_AT_ONCE = 200  # facts that wait to be durable: more would measure what waits in memory, and a real door brings fewer
_WRITTEN_AT_ONCE = 5_000
_LOOK_S = 0.002
_SEQUENCE = re.compile(rb'"sequence":"(\d+)"')


# --- how it comes to be ----------------------------------------------------------------------------------------------


def write_backlog(settings: Settings, count: int) -> None:
    """Put entries of a station's days into the log of an agent that does not run."""
    said: SimpleQueue[Event] = SimpleQueue()
    writer = StorageWriter(settings.state.directory, settings.station.id, SystemClock(), said.put)
    writer.open()
    try:
        entries, written = _entries(count), 0
        for first in range(0, count, _WRITTEN_AT_ONCE):
            wanted = min(count, first + _WRITTEN_AT_ONCE)
            for _ in range(first, wanted):
                writer.submit(next(entries))
            while written < wanted:
                event = said.get(timeout=PATIENCE_S)
                written += len(event.receipts) if isinstance(event, EntriesLogged) else 0
    finally:
        writer.close(PATIENCE_S)


def _entries(count: int) -> Iterator[AppendEntry]:
    """As visits bring them: granted, entered, an appliance, left."""
    clock = SystemClock()
    for number in range(count):
        visit, kind = divmod(number, 4)
        who = {"way": "face", "member": f"m-{visit % 2000}"}
        types: tuple[tuple[str, dict[str, Any]], ...] = (
            ("access.granted", who),
            ("visit.entered", {**who, "visit": f"bench-{visit}", "ended": [], "inside": 3}),
            ("appliance.changed", {"appliance": "microwave", "state": "running", "was": "standby"}),
            ("visit.left", {**who, "way": "exit_button", "visits": [f"bench-{visit}"], "inside": 2}),
        )
        type_, body = types[kind]
        yield AppendEntry(clock.now(), f"station.{type_}", body)


# --- the other end ---------------------------------------------------------------------------------------------------


class Subscriber:
    """Counts the log of one station at the other end, and sees when it comes online and tells its live state."""

    def __init__(self, broker: Broker, topics: Topics, *others: str) -> None:
        """`others`: further topics, of which it only takes what comes."""
        self._topics = topics
        self._parts = {topics.state(each) for each in ("door", "occupancy", "health")}
        self._told: set[str] = set()
        self._is_accepted, self._is_subscribed = threading.Event(), threading.Event()
        self.count = self.repeated = self.missing = self.newest = 0
        self.first_at = self.last_at = 0.0
        self.online_at: float | None = None
        self.live_at: float | None = None
        self._connection = Connection(broker, f"bench-{secrets.token_hex(4)}", self._take)
        self._connection.open()
        self._is_accepted.wait(PATIENCE_S)
        self._connection.subscribe((topics.log, topics.status, *self._parts, *others))
        if not self._is_subscribed.wait(PATIENCE_S):
            raise TimeoutError("the broker does not let the measurement subscribe")

    @property
    def rate(self) -> float:
        """Entries a second, from the first to the last."""
        return self.count / max(1e-9, self.last_at - self.first_at)

    @property
    def lived_s(self) -> float:
        """From the station's birth to the last part of its live state."""
        return float("inf") if self.live_at is None or self.online_at is None else self.live_at - self.online_at

    @property
    def order(self) -> str:
        """In words."""
        is_whole = not self.repeated and not self.missing
        return "each once and in order" if is_whole else f"{self.missing} MISSING, {self.repeated} repeated"

    def wait_for(self, newest: int, patience_s: float) -> None:
        """Until the entry of this number has come. Raises TimeoutError."""
        deadline = time.monotonic() + patience_s
        while self.newest < newest:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.newest} of {newest} entries came in {patience_s:.0f} s")
            time.sleep(0.02)

    def close(self) -> None:
        """End."""
        self._connection.cut()

    def _take(self, signal: Signal) -> None:
        match signal:
            case Accepted():
                self._is_accepted.set()
            case Subscribed():
                self._is_subscribed.set()
            case Received(topic, payload, is_retained):
                self._receive(topic, payload, is_retained=is_retained)

    def _receive(self, topic: str, payload: bytes, *, is_retained: bool) -> None:
        if topic == self._topics.log:
            self._count(payload)
        elif is_retained:
            return  # from before
        elif topic == self._topics.status:
            self.online_at = time.monotonic() if b'"online"' in payload else None
            self._told, self.live_at = set(), None
        elif topic in self._parts and self.online_at is not None:
            self._told.add(topic)
            if self.live_at is None and self._told >= self._parts:
                self.live_at = time.monotonic()

    def _count(self, payload: bytes) -> None:
        found = _SEQUENCE.search(payload)
        sequence = int(found[1]) if found else 0
        if sequence <= self.newest:
            self.repeated += 1
            return
        self.last_at = time.monotonic()
        if not self.count:
            self.first_at = self.last_at
        elif sequence != self.newest + 1:
            self.missing += sequence - self.newest - 1
        self.newest = sequence
        self.count += 1


# --- the agent as a process of its own -------------------------------------------------------------------------------


class AgentBeside:
    """The program below, from the side of the one that measures it."""

    def __init__(self, settings_path: Path) -> None:
        self._client = ControlClient(load_settings(settings_path).control.socket, timeout_s=PATIENCE_S)
        command = [sys.executable, "-m", "bench.backlog", str(settings_path)]
        self._said = settings_path.with_suffix(".log").open("ab")
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True
        )
        try:
            wait_for(self._answers, "the agent does not answer")
        except BaseException:
            self.end()
            raise

    def grow(self, count: int) -> None:
        """Let it log so many; returns when they are durable."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the agent has no input")
        self._process.stdin.write(f"grow {count}\n")
        self._process.stdin.flush()
        if self._process.stdout.readline() != "grown\n":
            raise RuntimeError("the agent ended while its backlog grew")

    def status(self) -> dict[str, Any]:
        """What it says of itself."""
        return self._client.request("status")

    def resident_bytes(self) -> int:
        """Its memory (proc(5), VmRSS)."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))

    def end(self) -> None:
        """As SIGTERM does."""
        self._process.terminate()
        self._process.wait(PATIENCE_S)
        for each in (self._process.stdin, self._process.stdout, self._said):
            if each is not None:
                each.close()

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError("the agent ended as it began")
        try:
            self.status()
        except ControlError:
            time.sleep(0.1)
            return False
        return True


@contextmanager
def watched(read: Callable[[], int]) -> Iterator[list[int]]:
    """Read a number twenty times a second meanwhile."""
    found = [read()]
    is_over = threading.Event()

    def work() -> None:
        while not is_over.wait(0.05):
            found.append(read())

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield found
    finally:
        is_over.set()
        thread.join()


# --- the program -----------------------------------------------------------------------------------------------------


def main(settings_path: str) -> int:
    """The command."""
    settings = load_settings(Path(settings_path))
    with build(settings, SystemClock()) as app:
        settle_interpreter()
        signal.signal(signal.SIGTERM, lambda *_: app.end("the measurement is over"))
        threading.Thread(target=_obey, args=(app,), daemon=True).start()
        return app.run()


def _obey(app: App) -> None:
    for line in sys.stdin:
        _grow(app, int(line.split()[1]))
        print("grown", flush=True)
    app.end("the measurement is over")


def _grow(app: App, count: int) -> None:
    has_failed = False
    begin = _newest(app)
    for first in range(0, count, _AT_ONCE):
        for _ in range(min(_AT_ONCE, count - first)):
            now = app.clock.now()
            app.inbox.post(DeviceRecovered(now, SENSOR) if has_failed else DeviceFailed(now, SENSOR, "no answer"))
            has_failed = not has_failed
        while _newest(app) < begin + min(count, first + _AT_ONCE):
            time.sleep(_LOOK_S)


def _newest(app: App) -> int:
    state = app.loop.state
    return 0 if state is None else state.outbox.newest[1]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
