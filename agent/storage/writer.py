"""The writer: the one thread that writes, and what the rest of the agent sees of storage.

Whatever waits is committed in one transaction, then the head file is synced, then it is told (`EntriesLogged`). When
the disk does not write, orders stay in memory in their order and are tried again; the bound is in `orders`. The same
holds when it cannot even be opened (`late`).
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from agent.clock import Clock
from agent.effects import (
    AppendEntry,
    DescribeVault,
    Effect,
    EraseMember,
    KeepNotes,
    MoveCursor,
    PutMember,
    ReadEntries,
    ReadOutbox,
    ReadRetention,
    RecordConsent,
    RedeemPass,
    RemoveCredentials,
    RevokePass,
    RotateVault,
    RunQuery,
    SaveCard,
    SaveMember,
    SavePin,
    SuspendMember,
    WithdrawConsent,
    WriteReading,
)
from agent.events import Event, PutRefused, QueryAnswered, Restored, WorkerFailed
from agent.storage import members
from agent.storage.chain import canonical
from agent.storage.database import explain
from agent.storage.keys import CREDENTIAL, KeyFile
from agent.storage.late import Opening
from agent.storage.losses import LossCount
from agent.storage.notes import written
from agent.storage.opening import READINGS_DATABASE, STATION_DATABASE, OpenFiles
from agent.storage.orders import (
    Orders,
    Pending,
    PendingConsent,
    PendingCredential,
    PendingErasure,
    PendingNotes,
    PendingPut,
    PendingRedemption,
    PendingReview,
    PendingRevocation,
    PendingSave,
    PendingSuspension,
    PendingVault,
    PendingWithdrawal,
    pending_entry,
    unread,
)
from agent.storage.pruning import Retention
from agent.storage.reader import QueryReader
from agent.storage.readings import COMMIT_READINGS_S
from agent.storage.worker import Worker

_logger = logging.getLogger(__name__)

# The agent has 2 s for its whole end.
_END_S = 1.4
# Of the time to close, for what waits; the rest is for the readings and for closing the files.
_WRITING_SHARE = 0.7


class StorageWriter:
    """Storage as the agent uses it: `open`, then `submit` orders and receive events through `post`; `stop`, `close`.

    `submit` is called on one thread and never blocks. `post` is called on the storage's threads, must not block either.
    """

    def __init__(
        self,
        directory: Path,
        station: str,
        clock: Clock,
        post: Callable[[Event], None],
        keys: KeyFile | None = None,
        *,
        retention: Retention | None = None,
        commit_readings_s: float = COMMIT_READINGS_S,
    ) -> None:
        """`keys`: of the templates; without it they are in the directory too. `retention` None: everything stays."""
        self._retention = retention
        self._commit_readings_s = commit_readings_s
        self._directory = directory
        self._clock = clock
        self._post = post
        self._orders = Orders()
        self._losses = LossCount(clock, post)
        self._opening = Opening(directory, station, clock, post, keys or KeyFile(directory / CREDENTIAL))
        self._reader = QueryReader(directory / STATION_DATABASE, directory / READINGS_DATABASE, clock, post)
        self._thread = threading.Thread(target=self._work, name="storage-writer", daemon=True)
        self._files: OpenFiles | None = None
        self._is_open = False
        self._end_by: float | None = None  # monotonic

    def open(self) -> Restored:
        """Open and repair on the caller's thread, then start the threads.

        When the directory cannot be written (a full disk, a read-only one, no right) that is a fault and not an end:
        what can be read is returned with the problem `STORAGE_NOT_OPENED`, `StorageFailed` is posted, orders wait, and
        the writer's thread tries again until it can tell `StorageOpened`. Raises `StorageInUseError` when another agent
        has the directory.
        """
        self._files, restored = self._opening.begin()
        self._is_open = True
        self._reader.start()
        self._thread.start()
        return restored

    def submit(self, effect: Effect) -> None:
        """Put an order in line; it may be dropped when the bound is reached (`EntriesLost`).

        Raises TypeError or ValueError for a body that is not JSON, for text that has no UTF-8 (a lone surrogate), for a
        template of another shape, and for an effect that is not storage's.
        """
        match effect:
            case AppendEntry():
                self._put(pending_entry(effect))
            case KeepNotes():
                self._put(PendingNotes(written(effect.notes), effect.may_wait))
            case WriteReading():
                self._orders.put_reading(effect)
            case MoveCursor():
                self._orders.put_cursor(effect)
            case ReadOutbox() | ReadEntries():
                if not self._orders.put_read(effect):  # it gets its answer: who hears nothing would wait for it
                    _logger.debug("too many orders to read the log wait: this one is dropped")
                    self._post(unread(effect, self._clock.now(), "too many orders to read the log wait"))
            case RunQuery():
                self._ask(effect)
            case SaveMember():
                members.check(effect.member)
                canonical([effect.member.id, effect.name])
                token = secrets.token_hex(8)
                self._put(
                    PendingSave(
                        effect.request, effect.member, effect.name, effect.at, token, consent_id=effect.consent_id
                    )
                )
            case EraseMember():
                canonical(effect.member_id)
                self._put(PendingErasure(effect.request, effect.member_id, effect.at, why=effect.why))
            case RecordConsent():
                canonical([effect.member_id, asdict(effect.consent)])
                consent_id = secrets.token_hex(8)
                self._put(PendingConsent(effect.request, effect.member_id, effect.consent, effect.at, consent_id))
            case WithdrawConsent():
                canonical(effect.member_id)
                self._put(PendingWithdrawal(effect.request, effect.member_id, effect.at, effect.why))
            case _:
                self._put(_pending_of(effect))

    def stop(self, timeout_s: float = _END_S) -> None:
        """Order the end, without waiting: what waits is written, as far as that goes within `timeout_s`."""
        if self._orders.is_stopping:
            return
        now = self._clock.monotonic()
        self._end_by = now + timeout_s
        self._reader.stop()
        self._orders.stop(now + _WRITING_SHARE * timeout_s)

    def close(self, timeout_s: float = _END_S) -> bool:
        """Write what waits and end both threads; False when not all of it is durable after `timeout_s`.

        The time counts from `stop`, and is that of `stop`, when it came first; a second call only waits once more. A
        thread that the disk holds in a system call is left behind: it ends with the process.
        """
        if not self._is_open:
            return True
        self.stop(timeout_s)
        end_by, self._end_by = self._end_by or self._clock.monotonic() + timeout_s, None
        self._thread.join(max(0.0, end_by - self._clock.monotonic()))
        is_over = self._reader.join(max(0.0, end_by - self._clock.monotonic()))
        if self._orders.unfinished:
            _logger.error("%d orders are not on the disk as the agent ends", self._orders.unfinished)
        return is_over and not self._thread.is_alive() and not self._orders.unfinished

    def _put(self, pending: Pending) -> None:
        if not self._orders.put(pending):
            _logger.log(logging.DEBUG, "the writer's bound is reached: an order is dropped")
            if isinstance(pending, PendingPut):  # nothing else would end it, and the next ones have a bound
                order, why = pending.order, "too many orders wait for the disk"
                self._post(PutRefused(self._clock.now(), order.request, order.member_id, "storage.failed", why))

    def _ask(self, effect: RunQuery) -> None:
        if self._files is not None:
            self._reader.submit(effect)
        else:
            error = "the storage could not be opened: see the fault storage.failed"
            self._post(QueryAnswered(self._clock.now(), effect.request, (), error))

    def _work(self) -> None:
        try:
            is_late = self._files is None
            self._files = self._files or self._opening.open_late(self._orders, self._losses)
            if self._files:
                worker = Worker(
                    self._files,
                    self._directory,
                    self._orders,
                    self._losses,
                    self._clock,
                    self._post,
                    retention=self._retention,
                    commit_readings_s=self._commit_readings_s,
                    has_failed=is_late,
                )
                worker.run()
        except Exception as error:  # the top of this worker
            _logger.exception("the storage writer died")
            self._post(WorkerFailed(self._clock.now(), "storage writer", explain(error)))
        finally:
            self._opening.close()
            if self._files:
                self._files.close()


def _pending_of(effect: Effect) -> Pending:
    match effect:
        case ReadRetention():
            return PendingReview()
        case RedeemPass():
            return PendingRedemption(effect.pass_id, effect.at, effect.until)
        case RevokePass():
            return PendingRevocation(effect.request, effect.pass_id, effect.at)
        case PutMember():
            canonical([effect.member_id, effect.name, effect.number])
            return PendingPut(effect, secrets.token_hex(8), secrets.token_hex(8))
        case SuspendMember():
            canonical(effect.member_id)
            return PendingSuspension(effect)
        case SaveCard() | SavePin() | RemoveCredentials():
            canonical([effect.member_id, effect.number if isinstance(effect, SavePin) else ""])
            return PendingCredential(effect, secrets.token_hex(8))
        case DescribeVault() | RotateVault():
            return PendingVault(effect.request, must_rotate=isinstance(effect, RotateVault))
        case _:
            raise TypeError(f"{type(effect).__name__} is not an order for storage")
