"""The link to the broker: keeps one connection alive and publishes over it.

The deciding thread only puts orders into bounded places (microseconds); one supervising thread owns the connection,
encodes and sends; paho's network thread only hands over signals. What is not sent when a connection ends is forgotten:
the rules send state and log again after `BrokerConnected`.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from datetime import timedelta
from queue import Empty, SimpleQueue
from typing import Literal, Protocol

from agent import __version__
from agent.clock import Clock
from agent.core.problems import Words
from agent.core.spoken import error_words
from agent.effects import PublishEntries, PublishPresence, PublishReadings, PublishReply, PublishState, ReplayEntries
from agent.events import (
    BrokerConnected,
    BrokerDisconnected,
    CommandRejected,
    EntriesAcknowledged,
    EntryReplayed,
    Event,
    LoggedEntry,
    WorkerFailed,
)
from agent.mqtt.allowance import Allowance
from agent.mqtt.backoff import Backoff
from agent.mqtt.client import (
    Accepted,
    Acknowledged,
    Broker,
    Connection,
    Ended,
    Limits,
    Received,
    Retained,
    Signal,
    Subscribed,
)
from agent.mqtt.discovery import Announcement
from agent.mqtt.flow import MAX_ENTRIES, Batch, Flow, Item, Replayed
from agent.mqtt.payloads import (
    CONTRACT_VERSION,
    MAX_BATCH,
    MAX_PAYLOAD_BYTES,
    About,
    Message,
    PayloadError,
    Status,
    encode,
    log_event,
    readings_of,
    reply_of,
    state_of,
)
from agent.mqtt.topics import Topics

_log = logging.getLogger(__name__)

_CONNACK_S = 10.0  # twice what TCP and TLS may take: a broker that is silent after that is not one
# A PUBACK is late only if the connection is dead (half open), the broker hangs or the network thread died. Twice the
# keepalive, so that MQTT's own means come first.
_PUBACK_S = 60.0
_TICK_S = 5.0  # how late the two bounds above may be noticed
_STABLE_S = 30.0  # a connection that lived so long was a good one: the back-off begins anew
# Commands that wait to be read: as many as below are read at once, and 8 MB of a hostile broker's.
_WAITING_COMMANDS = 1_000
_WAITING_BYTES = 8 * 1024 * 1024
# Acknowledgements of a backlog are told together, for each fact is a turn of the deciding thread: at most so many, and
# none later than this. The last of those under way is told at once.
_TOLD_TOGETHER = 32
_TOLD_WITHIN_S = 0.01
# Of a flood that many are read, a tenth of one core; the rest is dropped unread, and counted. At once: what mosquitto
# keeps for a station that is away (max_queued_messages), for commands with a revision wait there and all come together.
_READ_PER_S = 200.0
_READ_AT_ONCE = 1_000
# Of those that are read and are no command: told to the rules, which count them in the log.
_REJECTED_PER_S = 20.0
_REJECTED_AT_ONCE = 20
_RENEWED = Words("重新连接", "renewed")
_NO_ANSWER = Words("服务器没有答复", "the broker did not answer")
_NO_RECEIPT = Words("服务器没有确认收到", "the broker does not acknowledge")
_CLOSED = Words("已关闭", "closed")
_FINE = Words("", "")
_LEAVE_S = 1.0  # for a DISCONNECT to go out
_PACKET_OVERHEAD_BYTES = 512  # fixed header, topic and properties of a PUBLISH


class Receive(Protocol):
    """See `agent.command_gate.CommandGate.receive`."""

    def __call__(self, payload: bytes, at: float, *, is_retained: bool) -> Event:
        """What the message is."""


class BrokerLink:
    """Publishes what the rules order; posts `BrokerConnected`, `BrokerDisconnected`, and what was acknowledged.

    `publish_…` and `replay_entries` may be called from the deciding thread: they never block and never raise; what
    comes while there is no connection, or for another session, is dropped silently. `post` is called on the supervising
    thread. `BrokerDisconnected` is posted once for each outage, also when the broker is absent from the start.
    """

    def __init__(
        self,
        broker: Broker,
        topics: Topics,
        about: About,
        clock: Clock,
        post: Callable[[Event], None],
        *,
        backoff: Backoff | None = None,
        receive: Receive | None = None,
        announcement: Announcement | None = None,
    ) -> None:
        """`receive`: makes an event of a command's message; None: the link subscribes to nothing."""
        self._announcement = announcement
        self._broker = broker
        self._receive = receive
        self._topics = topics
        self._about = Retained(topics.about, encode(about))
        self._clock = clock
        self._post = post
        self._backoff = backoff or Backoff()
        self._thread = threading.Thread(target=self._main, name="mqtt-link", daemon=True)
        self._closing = threading.Event()
        self._nudge = threading.Event()  # not to wait any longer: it closes, or the files of the connection are new
        self._goodbye_by = 0.0
        self._lock = threading.Lock()  # guards what follows; held for microseconds, never while paho is called
        self._session: str | None = None
        self._birth: Retained | None = None  # of the newest session
        self._flow = Flow(1)
        self._signals: SimpleQueue[Signal | None] = SimpleQueue()  # None wakes; bounded by what is in flight
        self._is_woken = False
        self._has_overflowed = False
        self._lost_readings = 0
        self._dropped_commands = 0
        self._reads = Allowance(_READ_PER_S, _READ_AT_ONCE)
        self._rejections = Allowance(_REJECTED_PER_S, _REJECTED_AT_ONCE)
        self._waiting_bytes = 0
        self._is_down = False  # of the supervising thread alone, like what follows
        self._untold: list[tuple[int, int]] = []  # entries that were acknowledged
        self._tell_by = 0.0
        self._refused_parts: set[str] = set()

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._thread.start()

    def close(self, timeout_s: float = 1.0) -> bool:
        """Publish `offline`, disconnect and end the thread within about `timeout_s`.

        False when the thread is still in a system call (a name server that does not answer); it ends by itself then.
        If the broker does not acknowledge the goodbye in time, the connection is cut and the last will speaks.
        """
        self._goodbye_by = self._clock.monotonic() + timeout_s * 0.7  # the rest is for the network thread to end
        self._closing.set()
        self._nudge.set()
        self._wake()
        if self._thread.ident is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def renew(self) -> None:
        """Make the connection anew, with certificates and password as their files are now. From any thread."""
        self._nudge.set()
        self._wake()

    def publish_state(self, effect: PublishState) -> None:
        """Publish one part, retained; only the newest of a part is sent when several wait."""
        with self._lock:
            if self._session is None:
                return
            self._flow.offer_retained(f"state/{effect.part}", effect)
        self._wake()

    def publish_presence(self, _effect: PublishPresence) -> None:
        """Publish `status` and `about` again, for a broker that forgot them or a server that asks."""
        with self._lock:
            if self._session is None or self._birth is None:
                return
            self._flow.offer_retained("status", self._birth)
            self._flow.offer_retained("about", self._about)
        self._wake()

    def publish_entries(self, effect: PublishEntries) -> None:
        """Publish entries in order; `EntriesAcknowledged` follows, in one or several, in the same order."""
        with self._lock:
            if self._session != effect.session or self._has_overflowed:
                return
            self._has_overflowed = not self._flow.offer_entries(effect.entries)
        self._wake()

    def replay_entries(self, effect: ReplayEntries) -> None:
        """Publish entries again, after all that is new; `EntryReplayed` follows for each."""
        with self._lock:
            if self._session != effect.session or self._has_overflowed:
                return
            self._has_overflowed = not self._flow.offer_replayed(effect.request, effect.entries)
        self._wake()

    def publish_readings(self, effect: PublishReadings) -> None:
        """Publish readings when nothing else waits; those that are lost are counted in the next batch."""
        with self._lock:
            if self._session is None:
                self._lost_readings += len(effect.readings) + effect.lost
                return
            self._flow.lost_readings += effect.lost
            for first in range(0, len(effect.readings), MAX_BATCH):
                self._flow.offer_readings(Batch(effect.readings[first : first + MAX_BATCH]))
        self._wake()

    def publish_reply(self, effect: PublishReply) -> None:
        """Publish what became of a command; without a connection it is dropped: a repeated command gets it again."""
        with self._lock:
            if self._session is None:
                return
            self._flow.offer_reply(effect)
        self._wake()

    # --- the supervising thread ---------------------------------------------------------------------------------------

    def _main(self) -> None:
        try:
            self._supervise()
        except Exception as error:  # noqa: BLE001 - a worker's top: nothing may end it unseen
            _log.exception("the link to the broker died")
            self._post(WorkerFailed(self._clock.now(), "mqtt", type(error).__name__))

    def _supervise(self) -> None:
        failures = 0
        while not self._closing.is_set():
            began = self._clock.monotonic()
            reason = self._connect()
            if self._closing.is_set():
                return
            if reason == _RENEWED:
                failures = 0
                continue
            failures = 1 if self._clock.monotonic() - began > _STABLE_S else failures + 1
            self._report_down(reason)
            wait_s = self._backoff.wait_s(failures)
            _log.debug("next attempt to reach the broker in %.1f s", wait_s)
            self._nudge.wait(wait_s)

    def _connect(self) -> Words:
        """Live through one connection; returns why it ended."""
        self._nudge.clear()  # the files are read below
        session = secrets.token_hex(8)
        signals: SimpleQueue[Signal | None] = SimpleQueue()
        with self._lock:
            self._signals, self._is_woken = signals, False
            self._waiting_bytes = 0
        if self._closing.is_set():  # its wake may have gone into the queue before this one
            return _CLOSED
        will = Retained(self._topics.status, self._status("offline", session, is_will=True))
        connection = Connection(
            self._broker,
            f"station-{self._topics.station}",
            self._bounded(signals),
            will=will,
            is_durable=self._receive is not None,  # a command with a revision waits in the broker for us
        )
        try:
            connection.open()
        except (OSError, ValueError) as error:  # ValueError: a host name that is none (UnicodeError), a bad certificate
            connection.cut()
            why = error_words(error)
            return Words(f"无法连接 {self._broker}:{why.zh}", f"cannot connect to {self._broker}: {why.en}")
        try:
            return self._converse(connection, session, signals)
        finally:
            self._tell_acknowledged(session)
            with self._lock:
                self._session = None
                self._lost_readings += self._flow.stop()
            connection.cut()

    def _converse(self, connection: Connection, session: str, signals: SimpleQueue[Signal | None]) -> Words:
        began = self._clock.monotonic()
        while True:
            signal = _next(signals, _TOLD_WITHIN_S if self._untold else _TICK_S)
            with self._lock:
                self._is_woken = False
            match signal:
                case Accepted(limits):
                    self._begin(session, limits)
                    if self._receive is not None:
                        connection.subscribe((self._topics.commands,), as_published=True)
                case Ended(reason):
                    return reason
                case Subscribed(refusal) if refusal:
                    _log.warning("the broker lets us have no commands: %s; check its access rules", refusal)
                case Received(_topic, payload, is_retained):
                    self._take_command(payload, is_retained=is_retained)
                case Acknowledged(mid, refusal):
                    if (reason := self._acknowledge(mid, refusal)) != _FINE:
                        return reason
            if self._must_tell():
                self._tell_acknowledged(session)
            if self._closing.is_set():
                self._say_goodbye(connection, session, signals)
                return _CLOSED
            if self._nudge.is_set():
                connection.leave(_LEAVE_S)  # in an orderly way: the last will is not published, the birth follows
                return _RENEWED
            if (reason := self._overdue(began)) != _FINE:
                return reason
            self._send_waiting(connection)

    def _bounded(self, signals: SimpleQueue[Signal | None]) -> Callable[[Signal], None]:
        def put(signal: Signal) -> None:
            if isinstance(signal, Received):
                with self._lock:
                    is_too_much = self._waiting_bytes + len(signal.payload) > _WAITING_BYTES
                    if is_too_much or signals.qsize() >= _WAITING_COMMANDS:
                        self._dropped_commands += 1
                        return
                    self._waiting_bytes += len(signal.payload)
            signals.put(signal)

        return put

    def _take_command(self, payload: bytes, *, is_retained: bool) -> None:
        now = self._clock.monotonic()
        with self._lock:
            self._waiting_bytes -= len(payload)
        if self._receive is not None and self._reads.take(now):
            event = self._receive(payload, self._clock.now(), is_retained=is_retained)
            if not isinstance(event, CommandRejected) or self._rejections.take(now):
                self._post(event)
                return
        self._dropped_commands += 1
        _log.debug("a command was dropped: too many at once, %d so far", self._dropped_commands)

    def _begin(self, session: str, limits: Limits) -> None:
        birth = Retained(self._topics.status, self._status("online", session))
        flow = Flow(limits.receive_maximum)
        flow.offer_retained("status", birth)
        flow.offer_retained("about", self._about)
        for each in self._announcement.messages if self._announcement else ():
            flow.offer_retained(each.topic, each)
        with self._lock:
            flow.lost_readings, self._lost_readings = self._lost_readings, 0
            self._flow, self._session, self._has_overflowed = flow, session, False
            self._birth = birth
        self._is_down = False
        _log.info("connected to %s, session %s", self._broker, session)
        if limits.packet_bytes is not None and limits.packet_bytes < MAX_PAYLOAD_BYTES + _PACKET_OVERHEAD_BYTES:
            _log.warning(
                "the broker takes only %d bytes a packet; the contract needs %d: raise its limit",
                limits.packet_bytes,
                MAX_PAYLOAD_BYTES + _PACKET_OVERHEAD_BYTES,
            )
        self._post(BrokerConnected(self._clock.now(), session))

    def _acknowledge(self, mid: int, refusal: str) -> Words:
        """Take a PUBACK; returns why the connection must end, or `_FINE`."""
        with self._lock:
            item, entries = self._flow.acknowledge(mid)
        if refusal and isinstance(item, LoggedEntry):  # it must not count as sent, nor those behind it
            return Words(f"服务器拒绝了一条记录:{refusal}", f"the broker refused an entry of the log: {refusal}")
        if isinstance(item, Replayed):
            self._post(_replayed(item, self._clock.now(), refusal))
        elif refusal:
            _log.warning("the broker refused %s: %s; check its access rules", type(item).__name__, refusal)
        elif self._announcement is not None and isinstance(item, Retained):
            self._announcement.taken(item.topic)
        if entries and not self._untold:
            self._tell_by = self._clock.monotonic() + _TOLD_WITHIN_S
        self._untold += [(entry.epoch, entry.sequence) for entry in entries]
        return _FINE

    def _must_tell(self) -> bool:
        if not self._untold:
            return False
        with self._lock:
            is_last = self._flow.entries_held == 0
        return is_last or len(self._untold) >= _TOLD_TOGETHER or self._clock.monotonic() >= self._tell_by

    def _tell_acknowledged(self, session: str) -> None:
        if self._untold:
            told, self._untold = tuple(self._untold), []
            self._post(EntriesAcknowledged(self._clock.now(), session, told))

    def _overdue(self, began: float) -> Words:
        now = self._clock.monotonic()
        with self._lock:
            if self._has_overflowed:
                _log.error("more than %d entries of the log were offered at once: the rules are wrong", MAX_ENTRIES)
                return Words("记录多于连接所能承受", "more entries than the link takes")
            if self._session is None:
                return _NO_ANSWER if now - began > _CONNACK_S else _FINE
            oldest_at = self._flow.oldest_at()
        return _NO_RECEIPT if oldest_at is not None and now - oldest_at > _PUBACK_S else _FINE

    def _send_waiting(self, connection: Connection) -> None:
        while True:
            with self._lock:
                item = self._flow.next() if self._session is not None else None
            if item is None or not self._send(connection, item):
                return

    def _send(self, connection: Connection, item: Item) -> bool:
        """Send one item; False when the connection is gone (its end is signalled on its own)."""
        try:
            message = self._encode(item)
        except PayloadError as error:
            self._refuse(item, error)
            return True
        mid = connection.publish(message.topic, message.payload, retain=isinstance(item, (Retained, PublishState)))
        if mid is None:
            return False
        with self._lock:  # the PUBACK may be here already: it waits in the signals, which this thread alone reads
            self._flow.sent(mid, item, self._clock.monotonic())
        return True

    def _encode(self, item: Item) -> Retained:
        match item:
            case Retained():
                return item
            case PublishState(part, at, body):
                state: Message = state_of(part, body, at, lambda moment: self._clock.wall_at(moment).isoformat())
                return Retained(_topic(self._topics, part), encode(state))
            case PublishReply():
                reply = reply_of(item, lambda moment: self._clock.wall_at(moment).isoformat())
                return Retained(self._topics.replies, encode(reply))
            case LoggedEntry():
                event = log_event(self._topics.station, item, self._clock.wall().utc, self._age(item))
                return Retained(self._topics.log, encode(event))
            case Replayed(_, entry):
                return self._encode(entry)
            case Batch(readings, lost):
                return Retained(self._topics.readings, encode(readings_of(readings, lost)))

    def _age(self, entry: LoggedEntry) -> timedelta | None:
        """By the monotonic clock, whatever became of the wall's since then; None for an entry of another boot."""
        if entry.boot != self._clock.boot_id:
            return None
        return timedelta(seconds=self._clock.now() - entry.monotonic_ms / 1000)

    def _refuse(self, item: Item, error: PayloadError) -> None:
        """Never rubbish on the wire: say what is wrong, once for each part, and do not publish it."""
        if isinstance(item, Replayed):  # whoever asked for it is told, and the log itself goes on
            self._post(_replayed(item, self._clock.now(), str(error)))
            return
        what = item.part if isinstance(item, PublishState) else type(item).__name__
        if isinstance(item, LoggedEntry):
            with self._lock:  # those behind it would leave a gap: the log waits, and the backlog shows it
                self._flow.stop_entries()
        level = logging.DEBUG if what in self._refused_parts else logging.ERROR
        self._refused_parts.add(what)
        _log.log(level, "not published: %s", error)

    def _say_goodbye(self, connection: Connection, session: str, signals: SimpleQueue[Signal | None]) -> None:
        with self._lock:
            was_open, self._session = self._session is not None, None
            has_room = self._flow.in_flight < self._flow.window
            self._flow.stop()
        if not was_open or not has_room:
            return  # without room the broker is not answering: the connection is cut, and the last will speaks
        mid = connection.publish(self._topics.status, self._status("offline", session), retain=True)
        while mid is not None and (left_s := self._goodbye_by - self._clock.monotonic()) > 0:
            match _next(signals, left_s):
                case Acknowledged(acknowledged) if acknowledged == mid:
                    connection.leave(left_s)
                    return
                case Ended():
                    return

    def _status(self, status: Literal["online", "offline"], session: str, *, is_will: bool = False) -> bytes:
        since = None if is_will else self._clock.wall().isoformat()
        return encode(Status(status=status, session=session, agent=__version__, contract=CONTRACT_VERSION, since=since))

    def _report_down(self, reason: Words) -> None:
        level = logging.DEBUG if self._is_down else logging.WARNING
        _log.log(level, "no link to the broker %s: %s; trying again", self._broker, reason.en)
        if not self._is_down:
            self._is_down = True
            self._post(BrokerDisconnected(self._clock.now(), reason))

    def _wake(self) -> None:
        with self._lock:
            if not self._is_woken:
                self._is_woken = True
                self._signals.put(None)


def _next(signals: SimpleQueue[Signal | None], timeout_s: float) -> Signal | None:
    try:
        return signals.get(timeout=timeout_s)
    except Empty:
        return None


def _replayed(item: Replayed, now: float, error: str) -> EntryReplayed:
    return EntryReplayed(now, item.request, item.entry.epoch, item.entry.sequence, error)


def _topic(topics: Topics, part: str) -> str:
    try:
        return topics.state(part)
    except ValueError as error:
        raise PayloadError(str(error)) from None
