"""What waits for the broker and what is in flight, within one session. No threads and no sockets here."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from agent.effects import PublishReply, PublishState
from agent.events import LoggedEntry, MinuteReading
from agent.mqtt.client import Retained

# In flight at once: hides 320 ms of round trip at 200 entries a second; holds at most 64 times 64 KiB = 4 MiB.
MAX_IN_FLIGHT = 64
# Entries that were offered and are not acknowledged. The rules keep at most 1,000 (`mqtt.in_flight_max`); beyond this
# they are broken, and a queue without end would hide it.
MAX_ENTRIES = 1024
MAX_REPLAYED = 64  # that wait; the rules hand over at most 50 before they are acknowledged
MAX_REPLIES = 200  # that wait; whoever misses one sends its command again
MAX_BATCHES = 8  # batches that wait: readings may be lost, memory may not


@dataclass(frozen=True, slots=True)
class Batch:
    """Readings that go together; `lost` counts those that were dropped before them."""

    readings: tuple[MinuteReading, ...]
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Replayed:
    """An entry that goes once more. `request`: whose."""

    request: str
    entry: LoggedEntry


Item = Retained | PublishState | PublishReply | LoggedEntry | Replayed | Batch


@dataclass(slots=True)
class _Sent:
    item: Item
    at: float
    is_acknowledged: bool = False


class Flow:
    """Chooses what goes next: replies, retained state (only the newest of each part), the log, its replay, readings.

    State may take half of the window while log entries wait, so neither starves the other; a replay never takes more
    than half, so that a new entry finds room. Not thread-safe: its owner
    locks. `window`: the bound on messages in flight, from the broker's Receive Maximum and ours.
    """

    def __init__(self, receive_maximum: int) -> None:
        self.window = max(1, min(MAX_IN_FLIGHT, receive_maximum))
        self.lost_readings = 0
        self._retained: dict[str, Retained | PublishState] = {}
        self._replies: deque[PublishReply] = deque(maxlen=MAX_REPLIES)
        self._entries: deque[LoggedEntry] = deque()
        self._takes_entries = True
        self._replayed: deque[Replayed] = deque()
        self._readings: deque[Batch] = deque()
        self._sent: dict[int, _Sent] = {}  # by message id, in the order of sending
        self.in_flight = 0
        """Messages that were sent and not acknowledged."""
        self._states_in_flight = 0
        self._replayed_in_flight = 0
        self._entries_sent = 0  # and not reported

    @property
    def entries_held(self) -> int:
        """Entries that wait, are in flight, or were acknowledged before their turn."""
        return len(self._entries) + self._entries_sent

    def offer_retained(self, topic: str, item: Retained | PublishState) -> None:
        """A newer one takes the place of an older one that still waits; topics are as many as the settings name."""
        self._retained[topic] = item

    def offer_reply(self, reply: PublishReply) -> None:
        """Beyond the bound the oldest is dropped."""
        self._replies.append(reply)

    def offer_entries(self, entries: tuple[LoggedEntry, ...]) -> bool:
        """False when that is beyond `MAX_ENTRIES`: none is taken, for the order must stay whole."""
        if self.entries_held + len(entries) > MAX_ENTRIES:
            return False
        if self._takes_entries:
            self._entries.extend(entries)
        return True

    def offer_replayed(self, request: str, entries: tuple[LoggedEntry, ...]) -> bool:
        """False when that is beyond `MAX_REPLAYED`: none is taken. What waits of an earlier request is dropped."""
        self._replayed = deque(each for each in self._replayed if each.request == request)
        if len(self._replayed) + len(entries) > MAX_REPLAYED:
            return False
        self._replayed.extend(Replayed(request, entry) for entry in entries)
        return True

    def stop_entries(self) -> None:
        """Send no more of the log in this session: an entry cannot go, and those behind it would leave a gap."""
        self._takes_entries = False
        self._entries.clear()

    def offer_readings(self, batch: Batch) -> None:
        """Beyond the bound the oldest batch is lost, and counted."""
        self._readings.append(batch)
        if len(self._readings) > MAX_BATCHES:
            self.lost_readings += _readings(self._readings.popleft())

    def next(self) -> Item | None:
        """Take what goes next, or None while nothing waits or the window is full."""
        if self.in_flight >= self.window:
            return None
        if self._replies:
            return self._replies.popleft()
        half = max(1, self.window // 2)
        if self._retained and (not self._entries or self._states_in_flight < half):
            return self._retained.pop(next(iter(self._retained)))
        if self._entries:
            return self._entries.popleft()
        if self._replayed and self._replayed_in_flight < half:
            return self._replayed.popleft()
        if self._readings:
            batch = self._readings.popleft()
            batch = replace(batch, lost=batch.lost + self.lost_readings)
            self.lost_readings = 0
            return batch
        return None

    def sent(self, mid: int, item: Item, at: float) -> None:
        """The item is on its way as message `mid`. `at`: monotonic, s."""
        self._sent[mid] = _Sent(item, at)
        self._count(item, 1)
        self._entries_sent += isinstance(item, LoggedEntry)

    def acknowledge(self, mid: int) -> tuple[Item | None, list[LoggedEntry]]:
        """Take a PUBACK: what it was for, and the entries that may now be reported.

        Entries are reported in the order of the log even if a broker acknowledges in another: whoever hears of one may
        take all before it as sent.
        """
        sent = self._sent.get(mid)
        if sent is None or sent.is_acknowledged:
            return None, []
        self._count(sent.item, -1)
        if not isinstance(sent.item, LoggedEntry):
            del self._sent[mid]
            return sent.item, []
        sent.is_acknowledged = True
        done: list[int] = []
        for number, other in self._sent.items():
            if isinstance(other.item, LoggedEntry):
                if not other.is_acknowledged:
                    break
                done.append(number)
        self._entries_sent -= len(done)
        reported = [self._sent.pop(number).item for number in done]
        return sent.item, [item for item in reported if isinstance(item, LoggedEntry)]

    def oldest_at(self) -> float | None:
        """When the oldest message without a PUBACK was sent (monotonic, s)."""
        return next((sent.at for sent in self._sent.values() if not sent.is_acknowledged), None)

    def stop(self) -> int:
        """Forget everything; returns how many readings are lost with it."""
        flying = [sent.item for sent in self._sent.values() if not sent.is_acknowledged]
        lost = self.lost_readings + sum(_readings(b) for b in (*self._readings, *flying) if isinstance(b, Batch))
        self.lost_readings = self.in_flight = self._entries_sent = 0
        self._states_in_flight = self._replayed_in_flight = 0
        self._sent.clear()
        self._retained.clear()
        self._replies.clear()
        self._entries.clear()
        self._replayed.clear()
        self._readings.clear()
        return lost

    def _count(self, item: Item, change: int) -> None:
        self.in_flight += change
        if isinstance(item, (Retained, PublishState)):
            self._states_in_flight += change
        elif isinstance(item, Replayed):
            self._replayed_in_flight += change


def _readings(batch: Batch) -> int:
    return len(batch.readings) + batch.lost
