"""Opening on a disk that cannot be written: the agent starts with what can be read, and it is tried again and again.

A door must not stay shut because a card is full or has gone read-only. Until the files are open every order waits in
`orders`, within its bounds; the directory is locked as far as it can be.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from agent.clock import Clock
from agent.events import (
    STORAGE_NOT_OPENED,
    Event,
    Member,
    Restored,
    StorageFailed,
    StorageOpened,
)
from agent.storage import consents, members, notes, templates
from agent.storage.database import DatabaseError, StorageError, StorageInUseError, explain, is_sound
from agent.storage.database import open_without_writing as open_database
from agent.storage.head import lock_unwritable
from agent.storage.keys import CREDENTIAL, KEY_LOST, KeyFile
from agent.storage.ledger import Ledger
from agent.storage.log import read_newest
from agent.storage.losses import LossCount
from agent.storage.opening import (
    LEDGER_FILE,
    STATION_DATABASE,
    OpenFiles,
    Progress,
    load_restored,
    open_files,
)
from agent.storage.orders import Orders, unread
from agent.storage.set_aside import SUSPECT_MARK
from agent.storage.space import Space
from agent.storage.vault import Vault

_logger = logging.getLogger(__name__)

# Soon at first (a mount that comes late), then seldom: every attempt reads the whole database through.
_FIRST_RETRY_S = 1.0
_LAST_RETRY_S = 60.0
# Of the reserve, for one attempt on a full disk: what it creates is small, and every one reads the whole database.
_STEPS = 2
# How often the thread looks up, to tell of losses.
_TICK_S = 1.0


class Opening:
    """Opens the files, at once or late. Used by one thread at a time."""

    def __init__(
        self, directory: Path, station: str, clock: Clock, post: Callable[[Event], None], keys: KeyFile
    ) -> None:
        self._directory = directory
        self._keys = keys
        self._station = station
        self._clock = clock
        self._post = post
        self._progress = Progress()
        self._space = Space(directory)
        self._lock: int | None = None
        self._has_read = False

    def begin(self) -> tuple[OpenFiles | None, Restored]:
        """The first attempt; without files `open_late` goes on. Raises `StorageInUseError`."""
        try:
            files = self._attempt()
        except StorageInUseError:
            raise
        except StorageError as error:
            return None, self._begin_without(str(error))
        return files, files.restored

    def open_late(self, orders: Orders, losses: LossCount) -> OpenFiles | None:
        """Try until it works (`StorageOpened`) or the end is ordered (None). Raises `StorageInUseError`."""
        retry_s = _FIRST_RETRY_S
        retry_at = self._clock.monotonic() + retry_s
        while True:
            pause_s = max(0.0, min(_TICK_S, retry_at - self._clock.monotonic()))
            orders.wait(pause_s, may_write=False, knows_end=False)
            for each in orders.take_reads():
                self._post(unread(each, self._clock.now(), "the storage is not open yet"))
            losses.tell(orders)
            is_stopping = orders.is_stopping
            if is_stopping or self._clock.monotonic() >= retry_at:
                try:
                    files = self._attempt()
                except StorageInUseError:
                    raise
                except StorageError as error:
                    _logger.debug("%s", error)
                else:
                    self._tell(files.restored, orders.erasures(), orders.withdrawals())
                    return files
                retry_s = min(2 * retry_s, _LAST_RETRY_S)
                retry_at = self._clock.monotonic() + retry_s
            if is_stopping:
                return None

    def close(self) -> None:
        """Let go of the lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _attempt(self) -> OpenFiles:
        self.close()  # the open head file holds a lock of its own
        try:
            return self._open_with_reserve()
        except StorageInUseError:
            raise
        except StorageError:
            self._lock = lock_unwritable(self._directory)
            raise

    def _open_with_reserve(self) -> OpenFiles:
        for _ in range(_STEPS):
            try:
                return self._open()
            except StorageInUseError:
                raise
            except StorageError:
                if not self._space.give_up():
                    raise
        return self._open()

    def _open(self) -> OpenFiles:
        return open_files(self._directory, self._station, self._clock, self._progress, self._keys)

    def _begin_without(self, reason: str) -> Restored:
        try:
            found = read_restored(self._directory, self._keys)
        except (DatabaseError, OSError) as error:
            _logger.warning("nor can the storage be read: %s", explain(error))
            found = None
        self._has_read = found is not None
        told = f"{reason}; " + ("the members could be read" if found else "no member is known until it can")
        _logger.warning("the agent starts without its storage: %s", told)
        self._post(StorageFailed(self._clock.now(), told))
        found = found or Restored(is_read=False)
        return replace(found, problems=(*found.problems, (STORAGE_NOT_OPENED, told)))

    def _tell(self, restored: Restored, erasures: frozenset[str], withdrawals: frozenset[str]) -> None:
        """Tell what is on the disk, without what was decided since the start and is not on it yet."""
        still = tuple(
            replace(each, templates=()) if each.id in withdrawals else each
            for each in restored.members
            if each.id not in erasures
        )
        restored = replace(restored, members=still)
        if self._has_read:  # it has gone on since, and is newer than what the disk has
            restored = replace(restored, open_visits=(), inside=None, order="", notes={})
        _logger.info("the storage is open")
        self._post(StorageOpened(self._clock.now(), restored))


def _suspended(restored: Restored, enrolments: Mapping[str, str], ledger: Ledger | None) -> tuple[Member, ...]:
    return restored.members if ledger is None else members.as_in_ledger(restored.members, enrolments, ledger)


def read_restored(directory: Path, keys: KeyFile | None = None) -> Restored | None:
    """What a start would find, without writing anything; None when the database is damaged or marked as such.

    Nobody may write there meanwhile. Raises `DatabaseError`, OSError.
    """
    if (directory / SUSPECT_MARK).exists():
        return None
    ledger_path = directory / LEDGER_FILE
    ledger = Ledger(ledger_path, is_readonly=True) if ledger_path.exists() else None
    try:
        database = open_database(directory / STATION_DATABASE)
        try:
            if not is_sound(database):
                return None
            vault = Vault(keys or KeyFile(directory / CREDENTIAL))
            vault.load(may_make=False)
            restored = load_restored(database, vault, read_newest(database), [])
            if vault.fault is not None and vault.fault.code == KEY_LOST and not templates.is_any_sealed(database):
                restored = replace(restored, faults=())  # the first key is made once the files can be written
            enrolments = members.enrolments(database)
            restored = replace(restored, members=_suspended(restored, dict(enrolments), ledger))
            if ledger is not None:
                restored = replace(restored, notes=notes.as_in_ledger(restored.notes, ledger))
            rest_on = consents.consents_of_all(database)
        finally:
            database.close()
    finally:
        if ledger:
            ledger.close()
    if ledger is None:
        return replace(restored, revoked_passes=frozenset())
    withdrawn = {id_ for id_, consent_id in rest_on if ledger.must_withdraw(id_, consent_id)}
    erased = {id_ for id_, enrolment in enrolments if ledger.must_erase(id_, enrolment)}
    return replace(
        restored,
        revoked_passes=ledger.revoked_passes,
        members=tuple(
            replace(each, templates=()) if each.id in withdrawn else each
            for each in restored.members
            if each.id not in erased
        ),
        open_visits=tuple(
            replace(each, member_id=None) if each.member_id in erased else each for each in restored.open_visits
        ),
    )
