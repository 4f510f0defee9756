"""What waits for the writer: bounded, in order, and never a delay for who submits."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

from agent.effects import (
    AppendEntry,
    MoveCursor,
    PutMember,
    ReadEntries,
    ReadOutbox,
    RemoveCredentials,
    SaveCard,
    SavePin,
    SuspendMember,
    VisitChange,
    WriteReading,
)
from agent.events import Consent, EntriesRead, ErasureReceipt, Event, Member, OutboxRead
from agent.storage.chain import canonical
from agent.storage.notes import WrittenNote, written

# A message on the wire holds 64 KiB; the envelope takes some of it.
BODY_BYTES = 60_000
# A busy station logs about a thousand entries a day, so this is more than a week of a disk that does not write.
WAITING_ORDERS = 10_000
# Enrolments and erasures are asked for by people, one by one: entries never crowd them out.
_PEOPLE_ORDERS = 1_000
WAITING_BYTES = 16 * 1024 * 1024
# Some minutes of a hundred quantities polled each second; readings may be thinned.
WAITING_READINGS = 20_000
# Of the outbox and of a replay one each is outstanding, and one for each command that runs; more come from a fault.
WAITING_READS = 64
# Tags that `EntriesLost` names; beyond them the count still says how many went.
_NAMED_TAGS = 1_000


@dataclass(slots=True)
class PendingEntry:
    """An `AppendEntry` with its body already written as JSON."""

    at: float
    type: str
    body: str
    tag: str = ""
    visits: tuple[VisitChange, ...] = ()
    notes: tuple[WrittenNote, ...] = ()
    may_wait: bool = False


@dataclass(slots=True)
class PendingNotes:
    """A `KeepNotes` with its bodies already written as JSON."""

    notes: tuple[WrittenNote, ...]
    may_wait: bool = False


@dataclass(slots=True)
class PendingSave:
    """A `SaveMember`, with the token of a fresh enrolment. `is_in_ledger`: an attempt before put that line there."""

    request: str
    member: Member
    name: str = field(repr=False)
    at: float
    enrolment: str
    is_in_ledger: bool = False
    consent_id: str = ""


@dataclass(slots=True)
class PendingConsent:
    """A `RecordConsent` with the id that the consent will have."""

    request: str
    member_id: str
    consent: Consent
    at: float
    consent_id: str


@dataclass(slots=True)
class PendingErasure:
    """An `EraseMember` and how far it has come, over the attempts that it may need."""

    request: str
    member_id: str
    at: float
    is_in_ledger: bool = False
    has_existed: bool = False
    why: str = "asked"
    receipt: ErasureReceipt | None = None


@dataclass(slots=True)
class PendingWithdrawal:
    """A `WithdrawConsent` and how far it has come. `templates`: how many there were, None for a member who is not."""

    request: str
    member_id: str
    at: float
    why: str
    is_in_ledger: bool = False
    templates: int | None = None


@dataclass(slots=True)
class PendingReview:
    """A `ReadRetention`."""


@dataclass(slots=True)
class PendingVault:
    """A `DescribeVault` or a `RotateVault`, and how far that has come. `templates`: how many were sealed anew."""

    request: str
    must_rotate: bool
    key_id: str = ""
    templates: int = 0


@dataclass(slots=True)
class PendingRedemption:
    """A `RedeemPass`. `until`: station time after which nobody waits for it."""

    pass_id: str
    at: float
    until: float


@dataclass(slots=True)
class PendingRevocation:
    """A `RevokePass`."""

    request: str
    pass_id: str
    at: float


@dataclass(slots=True)
class PendingCredential:
    """A change of somebody's cards or PIN, with the token of a new row, and whose tokens the ledger has already."""

    order: SaveCard | SavePin | RemoveCredentials
    token: str
    in_ledger: set[str] = field(default_factory=set)


@dataclass(slots=True)
class PendingPut:
    """A `PutMember` with the token of a fresh enrolment and one for rows of cards and PIN, and how far it has come.

    `in_ledger`: what attempts before this one put there: tokens of rows that go, and `enrolled`.
    """

    order: PutMember
    enrolment: str
    token: str
    in_ledger: set[str] = field(default_factory=set)


@dataclass(slots=True)
class PendingSuspension:
    """A `SuspendMember`. `is_in_ledger`: an attempt before put its line there."""

    order: SuspendMember
    is_in_ledger: bool = False


Alone = (
    PendingErasure
    | PendingPut
    | PendingSuspension
    | PendingWithdrawal
    | PendingReview
    | PendingVault
    | PendingRedemption
    | PendingRevocation
    | PendingCredential
)
"""What is not done in one transaction with others."""

Pending = PendingEntry | PendingNotes | PendingSave | PendingConsent | Alone


@dataclass(slots=True)
class Losses:
    """What was dropped since it was last asked."""

    tags: list[str] = field(default_factory=list)
    entries: int = 0
    readings: int = 0


class Orders:
    """The waiting orders. `put`, `stop` and `wait` may be called on any thread; the rest is the writer's."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._pending: deque[Pending] = deque()
        self._readings: deque[WriteReading] = deque()
        self._reads: deque[ReadOutbox | ReadEntries] = deque()
        self._cursor: tuple[int, int] | None = None
        self._losses = Losses()
        self._unfinished = 0  # pending, and taken but not done
        self._unfinished_bytes = 0
        self._urgent = 0  # pending, and not to wait for company
        self._is_stopping = False
        self._deadline = 0.0

    @property
    def is_stopping(self) -> bool:
        """Whether the end was ordered."""
        return self._is_stopping

    @property
    def deadline(self) -> float:
        """Monotonic: until when what waits may still be written, once the end was ordered."""
        return self._deadline

    @property
    def unfinished(self) -> int:
        """Entries, enrolments and erasures that are not durable yet."""
        return self._unfinished

    def put(self, pending: Pending) -> bool:
        """Add one at the end; False when the bound was reached and it was dropped."""
        size = len(pending.body) if isinstance(pending, PendingEntry) else 0
        with self._changed:
            limit = WAITING_ORDERS if isinstance(pending, PendingEntry) else WAITING_ORDERS + _PEOPLE_ORDERS
            if self._unfinished >= limit or self._unfinished_bytes + size > WAITING_BYTES:
                # Readings give way first: what they held is worth less than the next entries of this backlog.
                self._losses.readings += len(self._readings)
                self._readings.clear()
                self._losses.entries += 1
                if isinstance(pending, PendingEntry) and pending.tag and len(self._losses.tags) < _NAMED_TAGS:
                    self._losses.tags.append(pending.tag)
                return False
            if isinstance(pending, PendingRedemption):
                self._pending.appendleft(pending)  # somebody stands at the door; no order depends on it
            else:
                self._pending.append(pending)
            self._unfinished += 1
            self._unfinished_bytes += size
            if _is_urgent(pending):
                self._urgent += 1
                self._changed.notify()
            return True

    def put_reading(self, effect: WriteReading) -> None:
        """Add a reading, or count it as lost when too many wait or entries are close to their bound."""
        with self._changed:
            if len(self._readings) >= WAITING_READINGS or self._unfinished > WAITING_ORDERS // 2:
                self._losses.readings += 1
            else:
                self._readings.append(effect)

    def put_read(self, effect: ReadOutbox | ReadEntries) -> bool:
        """Add an order to read; False when too many wait."""
        with self._changed:
            if len(self._reads) >= WAITING_READS:
                return False
            self._reads.append(effect)
            self._changed.notify()
            return True

    def put_cursor(self, effect: MoveCursor) -> None:
        """Remember the furthest cursor; it rides along with the next entries."""
        with self._changed:
            place = (effect.epoch, effect.sequence)
            self._cursor = max(self._cursor or place, place)

    def stop(self, deadline: float) -> None:
        """Order the end: what waits is still to be done, until `deadline` (monotonic)."""
        with self._changed:
            self._deadline = deadline
            self._is_stopping = True
            self._changed.notify()

    def wait(self, timeout_s: float, *, may_write: bool, knows_end: bool) -> None:
        """Wait for an order to read, to write (if `may_write`) or to end (unless it is known)."""
        with self._changed:
            self._changed.wait_for(
                lambda: (self._is_stopping and not knows_end) or self._reads or (may_write and self._urgent),
                timeout_s,
            )

    def has_urgent(self, *, or_any: bool) -> bool:
        """Whether something waits that is to be written now; at the end, and if `or_any`, whether anything does."""
        with self._changed:
            return bool(self._pending if or_any or self._is_stopping else self._urgent)

    def take(self, limit: int) -> list[Pending]:
        """The next orders, at most `limit`; those that stand `Alone` come so. They count as waiting until `done`."""
        with self._changed:
            taken: list[Pending] = []
            while self._pending and len(taken) < limit:
                if isinstance(self._pending[0], Alone):
                    return taken or [self._next()]
                taken.append(self._next())
            return taken

    def _next(self) -> Pending:
        pending = self._pending.popleft()
        self._urgent -= _is_urgent(pending)
        return pending

    def done(self, taken: list[Pending]) -> None:
        """These are durable (or, an erasure, as far as it concerns the queue)."""
        size = sum(len(each.body) for each in taken if isinstance(each, PendingEntry))
        with self._changed:
            self._unfinished -= len(taken)
            self._unfinished_bytes -= size

    def erasures(self) -> frozenset[str]:
        """The ids that wait to be erased, of members who may still be on the disk."""
        with self._changed:
            return frozenset(each.member_id for each in self._pending if isinstance(each, PendingErasure))

    def withdrawals(self) -> frozenset[str]:
        """The ids whose templates wait to be erased and may still be on the disk."""
        with self._changed:
            return frozenset(each.member_id for each in self._pending if isinstance(each, PendingWithdrawal))

    def take_readings(self) -> list[WriteReading]:
        """All readings that wait."""
        with self._changed:
            taken = list(self._readings)
            self._readings.clear()
            return taken

    def take_reads(self) -> list[ReadOutbox | ReadEntries]:
        """All orders to read that wait."""
        with self._changed:
            taken = list(self._reads)
            self._reads.clear()
            return taken

    def cursor(self) -> tuple[int, int] | None:
        """The furthest cursor that was ordered."""
        return self._cursor

    def take_losses(self) -> Losses:
        """What was dropped since the last call."""
        with self._changed:
            taken, self._losses = self._losses, Losses()
            return taken


def _is_urgent(pending: Pending) -> bool:
    return not (isinstance(pending, PendingEntry | PendingNotes) and pending.may_wait)


def unread(order: ReadOutbox | ReadEntries, now: float, reason: str) -> Event:
    """The answer to a read that did not work."""
    return EntriesRead(now, order.question, error=reason) if isinstance(order, ReadEntries) else OutboxRead(now, ())


def pending_entry(effect: AppendEntry) -> PendingEntry:
    """Write the body as JSON. Raises ValueError or TypeError for a body that is not JSON, or is too long."""
    body = canonical(effect.body)
    if len(body.encode()) > BODY_BYTES:
        raise ValueError(f"the body of a {effect.type} entry is longer than {BODY_BYTES} bytes: shorten it")
    canonical(effect.type)  # raises for what has no UTF-8
    return PendingEntry(effect.at, effect.type, body, effect.tag, effect.visits, written(effect.notes), effect.may_wait)
