"""An independent subscriber: sees what stations publish, takes each log entry once, and can prove what is missing.

For the demo, the tests and the central server's tools. It shares the contract's models with the agent and nothing else.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from queue import Empty, Full, Queue
from typing import TypeVar

from pydantic import ValidationError

from agent.fleet.audit import Audit, Gap, audit
from agent.mqtt.backoff import Backoff
from agent.mqtt.client import Accepted, Broker, Connection, Ended, Received, Signal, Subscribed
from agent.mqtt.payloads import MAX_PAYLOAD_BYTES, STATES, About, LogEvent, Readings, State, Status

_log = logging.getLogger(__name__)

MAX_ENTRIES = 200_000  # kept, of all stations: about 400 MB; the oldest go first
_MAX_RETAINED = 50_000  # status, about and parts: 15,000 stations are looked at by a server, not by this
_MAX_READINGS = 10_000  # batches kept
_MAX_COMPLAINTS = 100  # the first ones tell what is wrong; the number counts the rest
_ANSWER_S = 10.0  # for CONNACK and SUBACK
_CLOSE_S = 2.0
# Messages that wait to be sorted in: at 64 KiB each 16 MiB at the worst. Beyond it the connection is not read on, so
# the rest waits at the broker, which keeps it as long as it keeps anything for a subscriber.
MAX_SIGNALS = 256
_LOOK_UP_S = 0.1  # how soon a network thread that waits for room notices the end
# A watcher is one of few, so it comes back faster than stations do, to be there before them.
_BACKOFF = Backoff(first_s=0.2, longest_s=5.0, least_s=0.05)

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class Signals:
    """What one connection reports, at most `MAX_SIGNALS` at a time.

    `put` is for its network thread, `get` for the watcher's. `put` waits for room, for as long as nothing is closed:
    what is dropped here would be missing from the log for good.
    """

    def __init__(self) -> None:
        self._waiting: Queue[Signal | None] = Queue(MAX_SIGNALS)
        self._is_closed = threading.Event()

    def put(self, signal: Signal) -> None:
        """Add one at the end; after `close` it is dropped."""
        while not self._is_closed.is_set():
            try:
                self._waiting.put(signal, timeout=_LOOK_UP_S)
            except Full:
                continue
            return

    def get(self, timeout_s: float | None) -> Signal | None:
        """The next one; None when somebody only woke. Raises `Empty`."""
        return self._waiting.get(timeout=timeout_s)

    def wake(self) -> None:
        """Let `get` return; where signals wait it does so anyway."""
        with contextlib.suppress(Full):
            self._waiting.put_nowait(None)

    def close(self) -> None:
        """Nobody reads any more: let go of the network thread."""
        self._is_closed.set()

    def __len__(self) -> int:
        return self._waiting.qsize()


class Watcher:
    """Subscribes to `status`, `about`, `state/#`, `log` and `readings` of every station under `prefix`.

    Safe to use from every thread. It reconnects by itself; with a `client_id` the subscription is durable, and the
    broker keeps what comes while it is away (a broker that forgets, such as one without persistence, loses it).
    """

    def __init__(
        self, broker: Broker, prefix: str = "stations", *, client_id: str = "", backoff: Backoff = _BACKOFF
    ) -> None:
        self._broker = broker
        self._prefix = prefix
        self._client_id = client_id
        self._backoff = backoff
        self._thread = threading.Thread(target=self._main, name="fleet-watcher", daemon=True)
        self._closing = threading.Event()
        self._changed = threading.Condition()  # guards all that follows
        self._signals = Signals()
        self._is_subscribed = False
        self._failure = ""
        self._entries: OrderedDict[tuple[str, int, int], LogEvent] = OrderedDict()
        self._duplicates = 0
        self._status: OrderedDict[str, Status] = OrderedDict()
        self._about: OrderedDict[str, About] = OrderedDict()
        self._states: OrderedDict[tuple[str, str], State] = OrderedDict()
        self._readings: deque[tuple[str, Readings]] = deque(maxlen=_MAX_READINGS)
        self._complaints: list[str] = []
        self._complaint_count = 0

    def start(self, timeout_s: float = _ANSWER_S) -> None:
        """Connect and subscribe. Raises ConnectionError when that has not worked within `timeout_s`; then close it."""
        self._thread.start()
        if not self.wait_for(lambda watcher: watcher.is_subscribed, timeout_s):
            raise ConnectionError(f"no subscription at {self._broker} within {timeout_s} s: {self._failure}")

    def close(self) -> None:
        """Disconnect and end the thread; what was received stays."""
        self._closing.set()
        with self._changed:
            self._signals.wake()
        if self._thread.ident is not None:
            self._thread.join(_CLOSE_S)

    def wait_for(self, predicate: Callable[[Watcher], bool], timeout_s: float) -> bool:
        """Wait until `predicate` is true of this watcher; it is called at every change, and must not block."""
        with self._changed:
            return self._changed.wait_for(lambda: predicate(self), timeout_s)

    @property
    def is_subscribed(self) -> bool:
        """Whether the subscription is in force now."""
        with self._changed:
            return self._is_subscribed

    def stations(self) -> tuple[str, ...]:
        """The stations heard of, sorted."""
        with self._changed:
            named = {*self._status, *self._about}
            named.update(station for station, _ in self._states)
            named.update(station for station, _, _ in self._entries)
        return tuple(sorted(named))

    def entries(self, station: str | None = None) -> tuple[LogEvent, ...]:
        """Log entries in the order of their first arrival, each once."""
        with self._changed:
            return tuple(event for key, event in self._entries.items() if station in (None, key[0]))

    @property
    def duplicates(self) -> int:
        """How many entries came a further time (MQTT allows it)."""
        with self._changed:
            return self._duplicates

    def audit(self, station: str) -> Audit:
        """Whether the log of this station is whole as it arrived."""
        return audit(self.entries(station))

    def gaps(self, station: str) -> tuple[Gap, ...]:
        """What of the log of this station to ask for again, from its first entry on (`Gap.requests`)."""
        return audit(self.entries(station), is_from_first=True).gaps

    def status(self, station: str) -> Status | None:
        """The newest status; an `offline` of a session that is not the newest did not count."""
        with self._changed:
            return self._status.get(station)

    def is_online(self, station: str) -> bool:
        """Whether the newest status says so."""
        status = self.status(station)
        return status is not None and status.status == "online"

    def about(self, station: str) -> About | None:
        """What its service board shows."""
        with self._changed:
            return self._about.get(station)

    def state(self, station: str, part: str) -> State | None:
        """The newest live state of a part."""
        with self._changed:
            return self._states.get((station, part))

    def readings(self, station: str) -> tuple[Readings, ...]:
        """The batches received."""
        with self._changed:
            return tuple(batch for name, batch in self._readings if name == station)

    def complaints(self) -> tuple[str, ...]:
        """What was received and is against the contract: the first hundred, in words."""
        with self._changed:
            return tuple(self._complaints)

    @property
    def complaint_count(self) -> int:
        """How many messages were against the contract."""
        with self._changed:
            return self._complaint_count

    # --- the watcher's thread -----------------------------------------------------------------------------------------

    def _main(self) -> None:
        failures = 0
        while not self._closing.is_set():
            try:
                reason = self._watch_once()
            except Exception as error:  # noqa: BLE001 - a worker's top: say it and go on watching
                _log.exception("the watcher stumbled")
                reason = type(error).__name__
            with self._changed:
                failures = 1 if self._is_subscribed else failures + 1
                self._is_subscribed = False
                self._failure = reason
                self._changed.notify_all()
            self._closing.wait(self._backoff.wait_s(failures))

    def _watch_once(self) -> str:
        """Live through one connection; returns why it ended."""
        signals = Signals()
        with self._changed:
            self._signals = signals
        if self._closing.is_set():
            return "closed"
        client_id = self._client_id or f"watcher-{secrets.token_hex(8)}"
        connection = Connection(self._broker, client_id, signals.put, is_durable=bool(self._client_id))
        try:
            connection.open()
            return self._listen(connection, signals)
        except (OSError, ValueError) as error:
            return str(error)
        finally:
            signals.close()
            connection.leave(_CLOSE_S / 2) if self._closing.is_set() else connection.cut()

    def _listen(self, connection: Connection, signals: Signals) -> str:
        while not self._closing.is_set():
            try:
                signal = signals.get(None if self.is_subscribed else _ANSWER_S)
            except Empty:
                return "the broker does not answer"
            match signal:
                case Accepted():
                    kinds = ("status", "about", "state/#", "log", "readings")
                    connection.subscribe(tuple(f"{self._prefix}/+/{kind}" for kind in kinds))
                case Subscribed(refusal):
                    if refusal:
                        return f"the broker refused the subscription: {refusal}"
                    with self._changed:
                        self._is_subscribed = True
                        self._changed.notify_all()
                case Ended(reason):
                    return reason.en
                case Received():
                    self._take(signal)
        return "closed"

    def _take(self, message: Received) -> None:
        with self._changed:
            try:
                self._sort_in(message)
            except (ValidationError, ValueError) as error:
                self._complaint_count += 1
                if len(self._complaints) < _MAX_COMPLAINTS:
                    self._complaints.append(f"{message.topic[:200]}: {_first_line(error)}")
            self._changed.notify_all()

    def _sort_in(self, message: Received) -> None:
        rest = message.topic.removeprefix(f"{self._prefix}/")
        station, _, kind = rest.partition("/")
        if len(message.payload) > MAX_PAYLOAD_BYTES:
            raise ValueError(f"{len(message.payload)} bytes, the contract allows {MAX_PAYLOAD_BYTES}")
        match kind.split("/", 1):
            case ["log"]:
                self._take_entry(station, LogEvent.model_validate_json(message.payload))
            case ["status"]:
                self._take_status(station, Status.model_validate_json(message.payload))
            case ["about"]:
                _keep(self._about, station, About.model_validate_json(message.payload), _MAX_RETAINED)
            case ["readings"]:
                self._readings.append((station, Readings.model_validate_json(message.payload)))
            case ["state", part] if (model := STATES.get(part.split("/")[0])) is not None:
                _keep(self._states, (station, part), model.model_validate_json(message.payload), _MAX_RETAINED)
            case _:
                raise ValueError("the contract has no such topic")

    def _take_entry(self, station: str, event: LogEvent) -> None:
        if event.source != f"/stations/{station}":
            raise ValueError("an entry of another station's log")
        key = (station, event.epoch, int(event.sequence))
        known = self._entries.get(key)
        if known is None:
            _keep(self._entries, key, event, MAX_ENTRIES)
            return
        self._duplicates += 1
        if known.hash != event.hash:
            raise ValueError(f"entry {event.epoch}/{int(event.sequence)} came a second time with another hash")

    def _take_status(self, station: str, status: Status) -> None:
        known = self._status.get(station)
        is_stale = known is not None and status.status == "offline" and known.session != status.session
        if not is_stale:  # otherwise the late will of an older connection
            _keep(self._status, station, status, _MAX_RETAINED)


def _keep(kept: OrderedDict[_Key, _Value], key: _Key, value: _Value, most: int) -> None:
    kept[key] = value
    if len(kept) > most:
        kept.popitem(last=False)


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc'])) or 'message'}: {first['msg']}"
    return str(error)[:200]
