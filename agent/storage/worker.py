"""What the writer's thread does: commit, sync the head, tell; try again when the disk does not write."""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from agent.clock import Clock
from agent.effects import ReadEntries, ReadOutbox
from agent.events import (
    ConsentRecorded,
    ConsentWithdrawn,
    DiskSpaceChanged,
    EntriesLogged,
    EntriesLost,
    EntriesRead,
    ErasureReceipt,
    Event,
    MemberErased,
    MemberSaved,
    MemberSuspended,
    MinutesMeasured,
    OutboxRead,
    PassRedeemed,
    PassRevoked,
    Receipt,
    RetentionRead,
    StorageFailed,
    StorageRecovered,
)
from agent.storage import consents, credentials, members, notes, particulars, pruning, visits
from agent.storage.chain import canonical
from agent.storage.database import DatabaseError, OperationalError, checkpoint, explain, is_damage
from agent.storage.keeper import VaultKeeper
from agent.storage.log import PRUNED, Entry, read_after, read_anchor, read_within
from agent.storage.losses import LossCount
from agent.storage.opening import OpenFiles
from agent.storage.orders import (
    Alone,
    Orders,
    Pending,
    PendingConsent,
    PendingCredential,
    PendingEntry,
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
    unread,
)
from agent.storage.pruning import Retention
from agent.storage.set_aside import is_any_set_aside, mark_suspect, remove_set_aside
from agent.storage.space import Space
from agent.storage.stamps import Stamps, rfc3339

_logger = logging.getLogger(__name__)

# One transaction: long enough to share a sync among many, short enough that the first of them is told soon.
_BATCH = 500
# How often the thread looks up when nothing is ordered: cursors and readings are not urgent.
_TICK_S = 1.0
# Tries again after a failure: soon at first (a lock), then seldom (a full disk).
_FIRST_RETRY_S = 0.1
_LAST_RETRY_S = 5.0
# More of the outbox at once would only wait in memory for the broker.
_OUTBOX_ROWS = 1_000
# A death forgets how far the broker has the log since the last time that was written: so many entries at the most are
# sent again, or somebody who dies every minute would send the same ones of a long backlog for ever.
_CURSOR_STEP = 500
# How often the free space is looked at; a disk that fills faster than that is found full by the log itself.
_SPACE_S = 10.0
# Lost readings alone are said in the log this seldom; they may go on for as long as a fault lasts.
_LOST_READINGS_S = 600.0


class Worker:
    """What the writer's thread does. All of it is used on that thread only.

    `has_failed`: the disk was said to fail before; that it writes again is told once what waited is written.
    """

    def __init__(  # noqa: PLR0917 - what the writer is made of
        self,
        files: OpenFiles,
        directory: Path,
        orders: Orders,
        losses: LossCount,
        clock: Clock,
        post: Callable[[Event], None],
        *,
        commit_readings_s: float,
        retention: Retention | None = None,
        has_failed: bool = False,
    ) -> None:
        self._files = files
        self._commit_readings_s = commit_readings_s
        self._directory = directory
        self._orders = orders
        self._losses = losses
        self._clock = clock
        self._post = post
        self._batch: list[Pending] = []  # taken, and not committed yet
        self._untold: list[Event] = []  # committed, and the head file is not synced yet
        self._unemptied: list[PendingErasure | PendingWithdrawal] = []  # erased, and still in the write-ahead file
        self._keeper = VaultKeeper(files, directory, clock, post)
        self._cursor = files.restored.cursor
        self._has_failed = has_failed
        self._retry_s = _FIRST_RETRY_S
        self._retry_at = 0.0  # monotonic
        self._losses_due_at = 0.0  # monotonic
        self._retention = retention
        self._prune_at = clock.monotonic() + (retention.first_s if retention else 0.0)
        self._is_time_to_write = False
        self._space = Space(directory)
        self._look_at = 0.0  # monotonic
        self._is_told_low = False

    def run(self) -> None:
        """Until the end is ordered and nothing is left, or its deadline has come."""
        is_stopping = False
        while True:
            pause_s = self._retry_at - self._clock.monotonic()
            may_write = pause_s <= 0
            # After a failure what was taken waits here, where a new order's arrival would not wake it.
            timeout_s = max(0.0, min(_TICK_S, pause_s)) if self._has_failed else _TICK_S
            self._orders.wait(timeout_s, may_write=may_write, knows_end=is_stopping)
            is_first_of_end = self._orders.is_stopping and not is_stopping
            is_stopping = self._orders.is_stopping
            # Entries that may wait are written when readings are, so that both wake the disk once. So is the cursor:
            # what a sudden death forgets of it is only sent again, and the server takes each entry once.
            self._is_time_to_write = self._files.readings.is_due(self._clock.now(), self._commit_readings_s)
            self._attempt(self._answer_reads)
            self._losses.tell(self._orders)
            if is_first_of_end or self._clock.monotonic() >= self._retry_at:
                self._attempt(self._write)
            self._look_at_space()
            self._gather_readings(is_last=is_stopping)
            if not is_stopping and not self._orders.unfinished:
                self._attempt(self._prune)  # never while somebody waits for the disk
            if is_stopping and (not self._orders.unfinished or self._clock.monotonic() >= self._orders.deadline):
                return

    # --- writing -----------------------------------------------------------------------------------------------------

    def _write(self) -> None:
        self._tell()
        self._write_what_waits()
        self._empty_write_ahead()
        self._note_losses()
        self._move_cursor()
        self._recover()

    def _attempt(self, work: Callable[[], None]) -> None:
        while True:
            try:
                work()
            except (OperationalError, OSError) as error:
                if is_damage(error):
                    self._give_up(error)
                if self._space.give_up():
                    _logger.info("the disk is full: the log takes from its reserve")
                    self._look_at = 0.0
                    continue
                self._fail(error)
            except DatabaseError as error:
                if is_damage(error):
                    self._give_up(error)
                raise
            return

    def _look_at_space(self) -> None:
        now = self._clock.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + _SPACE_S
        try:
            free = self._space.look()
        except OSError as error:
            _logger.debug("the free space cannot be seen: %s", explain(error))
            return
        if self._space.is_low != self._is_told_low:
            self._is_told_low = self._space.is_low
            self._post(DiskSpaceChanged(self._clock.now(), self._is_told_low, free // 1_000_000))

    def _write_what_waits(self) -> None:
        while True:
            if not self._batch and self._orders.has_urgent(or_any=self._is_time_to_write):
                self._batch = self._orders.take(_BATCH)
            if not self._batch:
                return
            first = self._batch[0]
            if isinstance(first, Alone):
                self._do_alone(first)
            else:
                self._commit()
            self._orders.done(self._batch)
            self._batch = []
            self._tell()
            self._empty_write_ahead()
            self._answer_reads()
            if self._orders.is_stopping and self._clock.monotonic() >= self._orders.deadline:
                return

    def _commit(self) -> None:
        files = self._files
        stamps = Stamps(self._clock)
        receipts: list[Receipt] = []
        saved: list[Event] = []
        cursor = self._due_cursor()
        run: list[PendingEntry] = []
        try:
            with files.database.atomic():
                for pending in self._batch:
                    if isinstance(pending, PendingEntry):
                        run.append(pending)
                    elif isinstance(pending, PendingNotes):
                        receipts += self._append(run, stamps)  # notes of one name are kept in the order they came in
                        run = []
                        self._keep(pending.notes)
                    elif isinstance(pending, PendingSave):
                        receipts += self._append(run, stamps)
                        run = []
                        saved.append(self._save(pending, stamps))
                    elif isinstance(pending, PendingConsent):
                        entry, recorded = self._record(pending, stamps)
                        receipts += self._append([*run, *entry], stamps)
                        run = []
                        saved.append(recorded)
                receipts += self._append(run, stamps)
                self._put_cursor(cursor)
        except BaseException:
            files.log.reload()
            raise
        self._cursor = cursor or self._cursor
        if receipts:
            self._untold.append(EntriesLogged(self._clock.now(), tuple(receipts)))
        self._untold += saved

    def _append(self, run: list[PendingEntry], stamps: Stamps) -> list[Receipt]:
        entries = [
            Entry(each.type, stamps.text(each.at), stamps.boot, round(each.at * 1000), stamps.clock, each.body)
            for each in run
        ]
        places = self._files.log.append(entries)
        for pending, place in zip(run, places, strict=True):
            for change in pending.visits:
                visits.change(self._files.database, change, place, stamps)
            self._keep(pending.notes)
        return [Receipt(*place.place, pending.tag) for pending, place in zip(run, places, strict=True)]

    def _keep(self, made: tuple[notes.WrittenNote, ...]) -> None:
        for each in made:
            if each.outlives_backup:  # before the row, as all that the ledger has
                self._files.ledger.note(each.kind, each.name, each.body)
            notes.keep(self._files.database, each)

    def _save(self, pending: PendingSave, stamps: Stamps) -> Event:
        files = self._files
        member_id = pending.member.id
        if refusal := self._keeper.refusal(pending):
            return refusal
        is_back = files.ledger.was_erased(member_id) and not members.exists(files.database, member_id)
        if is_back and not pending.is_in_ledger:
            # Before the row: a row whose enrolment the ledger does not know would be erased at the next start.
            files.ledger.append("enrolled", member=member_id, enrolment=pending.enrolment)
            pending.is_in_ledger = True
        created = stamps.text(pending.at)
        members.save(
            files.database,
            files.vault,
            pending.member,
            pending.name,
            created_at_utc=created,
            enrolment=pending.enrolment,
        )
        self._keeper.note_change()
        if pending.consent_id:
            consents.rest_on(files.database, member_id, pending.consent_id, stamps.utc(pending.at))
        return MemberSaved(self._clock.now(), pending.member, pending.request)

    def _record(self, pending: PendingConsent, stamps: Stamps) -> tuple[list[PendingEntry], Event]:
        """Insert the consent; its entry is for the caller to append in the same transaction."""
        given_at = stamps.utc(pending.at)
        if not consents.is_plausible(given_at):
            return [], ConsentRecorded(self._clock.now(), pending.request, pending.member_id, "", "")
        database, consent = self._files.database, pending.consent
        until = consents.add(database, pending.consent_id, pending.member_id, consent, given_at)
        body = {
            "member": pending.member_id,
            "version": consent.version,
            "language": consent.language,
            "purpose": consent.purpose,
            "until": until,
        }
        entry = PendingEntry(pending.at, "station.member.consented", canonical(body))
        return [entry], ConsentRecorded(
            self._clock.now(), pending.request, pending.member_id, pending.consent_id, until
        )

    def _do_alone(self, pending: Alone) -> None:
        match pending:
            case PendingErasure():
                self._erase(pending)
            case PendingWithdrawal():
                self._withdraw(pending)
            case PendingReview():
                self._read_retention()
            case PendingVault():
                self._keeper.tend(pending)
            case PendingRedemption():
                self._redeem(pending)
            case PendingRevocation():
                self._revoke(pending)
            case PendingPut():
                self._put(pending)
            case PendingSuspension():
                self._suspend(pending)
            case PendingCredential():
                at_utc = Stamps(self._clock).text(pending.order.at)
                with self._files.database.atomic():
                    outcome = credentials.carry_out(self._files.database, self._files.ledger, pending, at_utc)
                self._untold.append(outcome(self._clock.now()))

    def _redeem(self, pending: PendingRedemption) -> None:
        """Told only once it is durable: the door opens by this answer."""
        ledger = self._files.ledger
        outcome = "redeemed"
        if ledger.was_spent(pending.pass_id):
            outcome = "spent"
        elif self._clock.now() >= pending.until:
            outcome = "late"
        else:
            ledger.append("spent", **{"pass": pending.pass_id, "at_utc": Stamps(self._clock).text(pending.at)})
        self._post(PassRedeemed(self._clock.now(), pending.pass_id, outcome, pending.until))

    def _revoke(self, pending: PendingRevocation) -> None:
        ledger = self._files.ledger
        if pending.pass_id not in ledger.revoked_passes:
            ledger.append("revoked", **{"pass": pending.pass_id, "at_utc": Stamps(self._clock).text(pending.at)})
        self._post(PassRevoked(self._clock.now(), pending.request, pending.pass_id))

    def _put(self, pending: PendingPut) -> None:
        at_utc = Stamps(self._clock).text(pending.order.at)
        with self._files.database.atomic():
            outcome = particulars.carry_out(self._files.database, self._files.ledger, pending, at_utc)
        self._untold.append(outcome(self._clock.now()))

    def _suspend(self, pending: PendingSuspension) -> None:
        """Into the ledger before the row: if the power fails between the two, the next start goes by the ledger."""
        order, database = pending.order, self._files.database
        enrolment = members.enrolment_of(database, order.member_id)
        until_utc = None if order.until is None else rfc3339(order.until)
        if enrolment is not None and not pending.is_in_ledger:
            named = {"member": order.member_id, "enrolment": enrolment, "at_utc": Stamps(self._clock).text(order.at)}
            if order.is_suspended:
                self._files.ledger.append("suspended", **named, until=until_utc)
            else:
                self._files.ledger.append("resumed", **named)
            pending.is_in_ledger = True
        with database.atomic():
            members.suspend(database, order.member_id, is_suspended=order.is_suspended, until_utc=until_utc)
        self._untold.append(
            MemberSuspended(
                self._clock.now(),
                order.request,
                order.member_id,
                enrolment is not None,
                order.is_suspended,
                order.until,
                order.why,
            )
        )

    def _may_know(self, member_id: str) -> bool:
        """Whether this member is here, was once, or may be in a damaged database that is kept."""
        files = self._files
        return (
            members.is_known(files.database, member_id)
            or files.ledger.knows(member_id)
            or is_any_set_aside(self._directory)
        )

    def _erase(self, pending: PendingErasure) -> None:
        if not pending.is_in_ledger and not self._may_know(pending.member_id):
            self._unemptied.append(pending)  # nobody: nothing is touched by an id that somebody made up
            return
        at_utc = Stamps(self._clock).text(pending.at)
        salt = pending.receipt.salt if pending.receipt else secrets.token_hex(16)
        digest = hashlib.sha256(f"{salt}:{pending.member_id}".encode()).hexdigest()
        pending.receipt = pending.receipt or ErasureReceipt(at_utc, digest, {}, salt)
        if not pending.is_in_ledger:
            # Before the rows: if the power fails between the two, the next start erases them.
            self._files.ledger.append(
                "erased", member=pending.member_id, at_utc=at_utc, receipt=digest, why=pending.why
            )
            pending.is_in_ledger = True
        remove_set_aside(self._directory)
        with self._files.database.atomic():
            rows = members.erase(self._files.database, pending.member_id)
        pending.has_existed = bool(rows["members"] or rows["consents"])
        pending.receipt = replace(pending.receipt, rows=rows)
        self._unemptied.append(pending)

    def _withdraw(self, pending: PendingWithdrawal) -> None:
        stamps = Stamps(self._clock)
        consent_id = consents.consent_of(self._files.database, pending.member_id)
        if consent_id is not None:
            if not pending.is_in_ledger:
                # Before the rows, as for an erasure.
                at_utc = stamps.text(pending.at)
                self._files.ledger.append("withdrawn", member=pending.member_id, consent=consent_id, at_utc=at_utc)
                pending.is_in_ledger = True
            remove_set_aside(self._directory)
            with self._files.database.atomic():
                pending.templates = consents.withdraw(
                    self._files.database, pending.member_id, pending.why, stamps.utc(pending.at)
                )
        self._unemptied.append(pending)

    def _read_retention(self) -> None:
        wall = self._clock.wall()
        with self._files.database.atomic():
            consents.tidy(self._files.database, wall.utc)
        found = consents.dates(self._files.database)
        self._post(RetentionRead(self._clock.now(), wall.isoformat(), wall.is_trusted, found))

    def _empty_write_ahead(self) -> None:
        """Take what was erased out of the write-ahead file too; while a reader holds it, with the next try."""
        if self._unemptied and checkpoint(self._files.database):
            for each in self._unemptied:
                self._post(_outcome(each, self._clock.now()))
            self._unemptied.clear()
            self._keeper.note_change()
        self._keeper.finish()
        self._keeper.look_again()

    def _tell(self) -> None:
        if self._files.head.position != self._files.log.newest:
            self._files.head.write(self._files.log.newest)
        told, self._untold = self._untold, []
        for event in told:
            self._post(event)

    def _due_cursor(self) -> tuple[int, int] | None:
        """The cursor when it is to be written: when readings are, for on a card every page is wear, or far behind."""
        cursor = self._orders.cursor()
        if cursor is None or cursor <= self._cursor:
            return None
        begin = self._cursor[1] if cursor[0] == self._cursor[0] else 0
        is_far = cursor[1] - begin >= _CURSOR_STEP
        return cursor if is_far or self._orders.is_stopping or self._is_time_to_write else None

    def _move_cursor(self) -> None:
        """The cursor by itself, when no entry takes it along."""
        cursor = self._due_cursor()
        if cursor is None:
            return
        with self._files.database.atomic():
            self._put_cursor(cursor)
        self._cursor = cursor

    def _prune(self) -> None:
        """Let go of what is too old, some of it at a time."""
        now = self._clock.monotonic()
        if self._retention is None or now < self._prune_at:
            return
        self._prune_at = now + pruning.LATER_S  # also after a failure
        wall = self._clock.wall()
        if not wall.is_trusted:
            return
        is_more = self._prune_log(self._retention, wall.utc)
        is_more |= self._files.readings.prune(self._retention.readings_cutoff(wall.utc))
        self._prune_at = now + (pruning.AGAIN_S if is_more else pruning.EVERY_S)

    def _prune_log(self, retention: Retention, now_utc: datetime) -> bool:
        """Whether there may be more."""
        files = self._files
        end = pruning.find_end(
            files.database,
            retention.log_cutoff(now_utc),
            has_broker=retention.has_broker,
            needs_confirmation=retention.needs_confirmation,
        )
        if end is None:
            return False
        try:
            with files.database.atomic():
                body = canonical(pruning.prune(files.database, end))
                receipts = self._append([PendingEntry(self._clock.now(), PRUNED, body)], Stamps(self._clock))
        except BaseException:
            files.log.reload()
            raise
        self._untold.append(EntriesLogged(self._clock.now(), tuple(receipts)))
        self._tell()
        checkpoint(files.database)  # what went is in the write-ahead file still; a reader puts that off
        return True

    def _put_cursor(self, cursor: tuple[int, int] | None) -> None:
        if cursor and cursor > self._cursor:
            self._files.database.conn.execute(
                "INSERT OR REPLACE INTO cursor (id, epoch, sequence) VALUES (1, ?, ?)",
                min(cursor, self._files.log.newest.place),
            )

    # --- failing -----------------------------------------------------------------------------------------------------

    def _fail(self, error: DatabaseError | OSError) -> None:
        pause_s = _FIRST_RETRY_S if self._orders.is_stopping else self._retry_s
        self._retry_at = self._clock.monotonic() + pause_s
        self._retry_s = min(2 * self._retry_s, _LAST_RETRY_S)
        reason = explain(error)
        _logger.log(logging.DEBUG if self._has_failed else logging.WARNING, "storage cannot be written: %s", reason)
        if not self._has_failed:
            self._has_failed = True
            self._post(StorageFailed(self._clock.now(), reason))

    def _recover(self) -> None:
        self._retry_s = _FIRST_RETRY_S
        self._retry_at = 0.0
        if self._has_failed:
            self._has_failed = False
            _logger.info("storage is written again")
            self._post(StorageRecovered(self._clock.now()))

    def _give_up(self, error: DatabaseError | OSError) -> None:
        """Trying again cannot help: the process starts anew and sets the database aside."""
        mark_suspect(self._directory)
        self._post(StorageFailed(self._clock.now(), explain(error)))
        waiting = self._batch
        while len(waiting) < self._orders.unfinished and (more := self._orders.take(_BATCH)):
            waiting += more
        tags = tuple(each.tag for each in waiting if isinstance(each, PendingEntry) and each.tag)
        self._post(EntriesLost(self._clock.now(), tags))
        raise error

    def _note_losses(self) -> None:
        """Say in the log itself what is not in it."""
        now = self._clock.monotonic()
        losses = self._losses
        if not losses.entries and (not losses.readings or now < self._losses_due_at):
            return
        self._losses_due_at = now + _LOST_READINGS_S
        body = canonical({"entries": losses.entries, "readings": losses.readings})
        self._batch = [PendingEntry(self._clock.now(), "station.log.entries_lost", body)]
        try:
            self._commit()
        finally:
            self._batch = []
        losses.entries = losses.readings = 0
        self._tell()

    # --- reading and readings ----------------------------------------------------------------------------------------

    def _answer_reads(self) -> None:
        """The outbox, up to what has been told: an entry is published only when the head file has it."""
        failure: DatabaseError | None = None
        for effect in self._orders.take_reads():  # each gets its answer: who hears nothing would wait for it
            try:
                self._post(self._found(effect))
            except DatabaseError as error:
                self._post(unread(effect, self._clock.now(), explain(error)))
                failure = failure or error
        if failure is not None:
            raise failure

    def _found(self, effect: ReadOutbox | ReadEntries) -> Event:
        database, limit = self._files.database, min(effect.limit, _OUTBOX_ROWS)
        if isinstance(effect, ReadEntries):  # what the broker had before, so all of it was told
            entries = read_within(database, effect.epoch, effect.after, effect.last, limit)
            return EntriesRead(self._clock.now(), effect.question, entries, read_anchor(database))
        told = self._files.head.position.place
        found = read_after(database, effect.epoch, effect.after, limit)
        return OutboxRead(self._clock.now(), tuple(each for each in found if (each.epoch, each.sequence) <= told))

    def _gather_readings(self, *, is_last: bool) -> None:
        stamps = Stamps(self._clock)
        for each in self._orders.take_readings():
            self._losses.readings += self._files.readings.add(stamps, each.at, each.sensor, each.quantity, each.value)
        now = self._clock.now()
        over = self._files.readings.finish(None if is_last else stamps.minute(now))
        lost = self._losses.take_unmeasured()
        if over or lost:
            self._post(MinutesMeasured(now, over, lost))
        if self._is_time_to_write or is_last:
            self._write_readings(now)

    def _write_readings(self, now: float) -> None:
        """Not into the last of the space: that is the log's."""
        try:
            has_room = self._space.takes_readings()
        except OSError:
            has_room = False
        if has_room:
            self._files.readings.commit(now)
        else:
            self._files.readings.put_off(now)


def _outcome(done: PendingErasure | PendingWithdrawal, now: float) -> Event:
    if isinstance(done, PendingErasure):
        return MemberErased(now, done.member_id, done.request, done.has_existed, done.receipt, done.why)
    existed = done.templates is not None
    return ConsentWithdrawn(now, done.request, done.member_id, existed, done.templates or 0, done.why)
