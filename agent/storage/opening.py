"""Opening what a former run left: a torn head, an older or damaged database, members that a backup brought back.

What is found decides the epoch. Sequences of an epoch are never given out twice: when the database may lack entries
that somebody was told of, a new epoch begins with an entry `station.log.epoch_began` that says why (`reason`):

| reason | found |
|---|---|
| `first_start` | no database and no head file: epoch 1 |
| `database_missing` | a head file or a ledger, and a database without entries |
| `database_damaged` | SQLite cannot read it; it was set aside |
| `database_older` | its last entry lies before the head: a restored backup |
| `database_diverged` | it has another entry where the head is, or an epoch that never began here: a copy's |
| `head_copied` | the head is a copy of the file that was written: a backup of the whole directory |
| `head_missing`, `head_damaged` | entries, but nothing to compare them with |
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agent.clock import Clock
from agent.events import Restored
from agent.storage import consents, credentials, members, notes, sealing, visits
from agent.storage.chain import GENESIS, Position, canonical
from agent.storage.database import (
    Database,
    DatabaseError,
    OperationalError,
    StorageError,
    checkpoint,
    explain,
    is_damage,
    is_missing_schema,
    is_sound,
    open_writable,
)
from agent.storage.head import Head, HeadState, sync_directory
from agent.storage.keys import KeyFile
from agent.storage.ledger import Ledger
from agent.storage.log import Entry, Log, read_hash, read_last, read_vouched_time
from agent.storage.pruning import ABOUT_INSIDE, ABOUT_ORDER
from agent.storage.readings import Readings
from agent.storage.schema import PROBE, STATION
from agent.storage.set_aside import SUSPECT_MARK, set_aside
from agent.storage.stamps import Stamps
from agent.storage.vault import Vault

_logger = logging.getLogger(__name__)

STATION_DATABASE = "station.db"
READINGS_DATABASE = "readings.db"
HEAD_FILE = "head"
LEDGER_FILE = "ledger"


@dataclass(slots=True)
class Progress:
    """How far attempts to open that failed have come, so that the next one does not do the same again.

    `epoch`: begun in the ledger for `reason`; 0 when none was.
    """

    set_aside: str = ""
    epoch: int = 0
    reason: str = ""


@dataclass(slots=True)
class OpenFiles:
    """Everything that the writer holds open."""

    database: Database
    log: Log
    head: Head
    ledger: Ledger
    readings: Readings
    vault: Vault
    restored: Restored

    def close(self) -> None:
        """Close all of it."""
        self.readings.close()
        self.database.close()
        self.ledger.close()
        self.head.close()


def open_files(directory: Path, station: str, clock: Clock, progress: Progress, keys: KeyFile) -> OpenFiles:
    """Open or create everything, repair what can be repaired; after a failure try again with the same `progress`.

    Raises `StorageError` (disk full, no right) and `StorageInUseError`.
    """
    closers: list[Any] = []
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        head = Head(directory / HEAD_FILE)
        closers.append(head)
        ledger = Ledger(directory / LEDGER_FILE)
        closers.append(ledger)
        database = _open_database(directory, clock, progress)
        closers.append(database)
        log = Log(database)
        problems = _continue_or_begin(log, database, head, ledger, progress, station=station, clock=clock)
        vault = Vault(keys)
        remains = _settle_vault(directory, database, vault, log, head, clock)
        readings = Readings(directory / READINGS_DATABASE)
        closers.append(readings)
        sync_directory(directory)
        restored = load_restored(database, vault, log.newest, problems)
        restored = replace(restored, faults=(*restored.faults, *remains), revoked_passes=ledger.revoked_passes)
    except (DatabaseError, OSError, StorageError) as error:
        for each in reversed(closers):
            each.close()
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"the storage in {directory} cannot be opened: {explain(error)}") from error
    return OpenFiles(database, log, head, ledger, readings, vault, restored)


def reason_for_new_epoch(
    newest: Position, head: Head, *, hash_at_head: str | None, is_set_aside: bool, highest_known: int
) -> str | None:
    """Why a new epoch must begin, or None; see the module's table. `hash_at_head`: the database's there."""
    if is_set_aside:
        return "database_damaged"
    if not newest.epoch:
        return "database_missing" if highest_known else "first_start"
    if head.state is HeadState.MISSING:
        return "head_missing"
    if head.state is HeadState.DAMAGED:
        return "head_damaged"
    if head.state is HeadState.COPIED:
        return "head_copied"
    if newest.epoch > highest_known:
        return "database_diverged"
    if newest.place < head.position.place:
        return "database_older"
    if newest.epoch == head.position.epoch and hash_at_head != head.position.hash:
        return "database_diverged"
    return None


def _continue_or_begin(
    log: Log, database: Database, head: Head, ledger: Ledger, progress: Progress, *, station: str, clock: Clock
) -> list[str]:
    problems: list[str] = []
    if progress.set_aside:
        problems.append(f"database_set_aside: the database was damaged; it is kept as {progress.set_aside}")
    if ledger.unreadable:
        problems.append(
            f"ledger_unreadable: {ledger.unreadable} lines of the ledger cannot be read; see that the disk is sound"
        )
    before = log.newest
    reason = _reason(before, head, ledger, database, progress)
    stamps = Stamps(clock)
    now = clock.now()
    new_epoch = None
    entries: list[Entry] = []
    if reason:
        new_epoch = _reserve_epoch(before, head, ledger, progress, reason)
        if head.state is HeadState.MISSING:
            head.write(Position())  # from here on a crash leaves a head to compare with
        body = {
            "reason": reason,
            "station": station,
            "after": None if before.hash == GENESIS else _place(before) | {"hash": before.hash},
            "head": _place(head.position) if head.position.epoch else None,
        }
        entries.append(_entry("station.log.epoch_began", body, stamps, now))
    if progress.epoch and progress.reason != "first_start":
        problems.append(f"log_epoch_began: the log begins epoch {progress.epoch} ({progress.reason})")
    with database.atomic():
        applied = _apply_ledger(database, ledger, clock)
        if any(applied.values()):
            entries.append(_entry("station.ledger.applied", applied, stamps, now))
        problems += [sentence.format(count) for key, sentence in _APPLIED.items() if (count := applied[key])]
        log.append(entries, new_epoch=new_epoch)
    if any(applied.values()):
        checkpoint(database)
    if head.position != log.newest:
        head.write(log.newest)
    return problems


_APPLIED = {
    "erased": "members_erased_again: {} members that a backup brought back were erased",
    "withdrawn": "consents_withdrawn_again: the faces of {} members that a backup brought back were erased",
    "credentials": "credentials_removed_again: {} cards or PINs that a backup brought back were removed",
    "suspensions": "suspensions_applied_again: {} members are suspended, or not, as they were before a backup",
    "validities": "validities_applied_again: {} members are valid from when and until when they were before a backup",
    "notes": "notes_kept_again: {} notes that a backup brought back older are as they were last",
}


def _apply_ledger(database: Database, ledger: Ledger, clock: Clock) -> dict[str, int]:
    """Do again what an old backup has undone; how much of each."""
    erased = [id_ for id_, enrolment in members.enrolments(database) if ledger.must_erase(id_, enrolment)]
    for member_id in erased:
        members.erase(database, member_id)
    return {
        "erased": len(erased),
        "withdrawn": _withdraw_again(database, ledger, clock),
        "credentials": credentials.remove_again(database, ledger),
        "suspensions": members.suspend_again(database, ledger),
        "validities": members.limit_again(database, ledger),
        "notes": notes.keep_again(database, ledger),
    }


def _withdraw_again(database: Database, ledger: Ledger, clock: Clock) -> int:
    """Erase templates whose consent was withdrawn; returns of how many members."""
    return sum(
        bool(consents.withdraw(database, member_id, "withdrawn", clock.wall().utc))
        for member_id, consent_id in consents.consents_of_all(database)
        if ledger.must_withdraw(member_id, consent_id)
    )


def _reason(before: Position, head: Head, ledger: Ledger, database: Database, progress: Progress) -> str | None:
    if progress.epoch and before.epoch == progress.epoch:
        return None  # an attempt before this one came as far as the database
    if _is_reserved(before, head, ledger, progress):
        return progress.reason
    return reason_for_new_epoch(
        before,
        head,
        hash_at_head=read_hash(database, *head.position.place),
        is_set_aside=bool(progress.set_aside),
        highest_known=max(head.position.epoch, ledger.highest_epoch),
    )


def _reserve_epoch(before: Position, head: Head, ledger: Ledger, progress: Progress, reason: str) -> int:
    if not _is_reserved(before, head, ledger, progress):
        epoch = max(before.epoch, head.position.epoch, ledger.highest_epoch) + 1
        ledger.append("epoch", epoch=epoch)
        progress.epoch, progress.reason = epoch, reason
    return progress.epoch


def _is_reserved(before: Position, head: Head, ledger: Ledger, progress: Progress) -> bool:
    """Whether an attempt before this one put the epoch into the ledger, and nothing stands in it yet."""
    return ledger.highest_epoch == progress.epoch > max(before.epoch, head.position.epoch)


def _settle_vault(  # noqa: PLR0917 - what a start has open
    directory: Path, database: Database, vault: Vault, log: Log, head: Head, clock: Clock
) -> tuple[sealing.Fault, ...]:
    def log_sealed(body: dict[str, Any]) -> None:
        log.append([_entry("station.vault.sealed", body, Stamps(clock), clock.now())])

    remains = sealing.settle(directory, database, vault, log_sealed)
    if head.position != log.newest:
        head.write(log.newest)
    return remains


def load_restored(database: Database, vault: Vault, newest: Position, problems: list[str]) -> Restored:
    """What the agent goes on from; `problems` are `code: sentence` each. Raises `DatabaseError`."""
    found, rows = members.load(database, vault)
    if rows.unusable:
        problems.append(f"templates_unreadable: {rows.unusable} templates cannot be used; enrol these members again")
    cursor = database.conn.execute("SELECT epoch, sequence FROM cursor").fetchone()
    inside = read_last(database, *ABOUT_INSIDE).get("inside")
    order = read_last(database, *ABOUT_ORDER).get("order")
    return Restored(
        members=found,
        open_visits=visits.load_open(database),
        cursor=(cursor[0], cursor[1]) if cursor else (0, 0),
        newest=newest.place,
        inside=inside if isinstance(inside, int) else None,
        order=order if isinstance(order, str) else "",
        notes=notes.load(database),
        problems=_split(problems),
        faults=sealing.faults_of(rows, vault),
        vouched_utc=read_vouched_time(database),
    )


def _split(problems: list[str]) -> tuple[tuple[str, str], ...]:
    """`code: sentence` each."""
    return tuple((code, sentence) for code, _, sentence in (each.partition(": ") for each in problems))


def _entry(type_: str, body: dict[str, Any], stamps: Stamps, now: float) -> Entry:
    return Entry(type_, stamps.text(now), stamps.boot, round(now * 1000), stamps.clock, canonical(body))


def _place(position: Position) -> dict[str, Any]:
    return {"epoch": position.epoch, "sequence": position.sequence}


def _open_database(directory: Path, clock: Clock, progress: Progress) -> Database:
    """The database; `progress` tells under which name a damaged one was set aside."""
    path = directory / STATION_DATABASE
    suspect = directory / SUSPECT_MARK
    if not suspect.exists():
        try:
            database = _open_sound(path)
        except DatabaseError as error:
            if not is_damage(error) and not is_missing_schema(error):
                raise
            _logger.warning("the database is set aside: %s", explain(error))
        else:
            if database is not None:
                return database
    progress.set_aside = set_aside(path, clock)
    suspect.unlink(missing_ok=True)
    database = _open_sound(path)
    if database is None:
        raise OperationalError("a new database does not read back as it was written: check the disk")
    return database


def _open_sound(path: Path) -> Database | None:
    database = open_writable(path, synchronous="FULL")
    try:
        if is_sound(database):
            STATION.apply(database)
            database.conn.execute(PROBE)
            return database
    except BaseException:
        database.close()
        raise
    database.close()
    return None
