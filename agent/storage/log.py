"""The log: the record and the outbox in one table. `chain` says what its hashes are.

Columns of `log`: `epoch` and `sequence` (the key; sequences have no gaps and start at 1 in every epoch), `type` (such
as `station.visit.entered`), `time` (RFC 3339, UTC, milliseconds), `boot` (the kernel's boot id) and `monotonic_ms`
(station time), `clock` (`synchronised` or `unsynchronised` as it was written), `body` (canonical JSON) and `salt`, both
NULL once blanked, `digest`, `hash`.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from itertools import starmap
from typing import Any

from agent.events import LoggedEntry, LogPlace
from agent.storage.chain import Position, body_digest, entry_hash
from agent.storage.database import Database, OperationalError
from agent.storage.stamps import parse_rfc3339

_COLUMNS = "epoch, sequence, type, time, boot, monotonic_ms, clock, body, salt, digest, hash"
_INSERT = f"INSERT INTO log ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - constants
_IN_ORDER = f"SELECT {_COLUMNS} FROM log ORDER BY epoch, sequence"  # noqa: S608 - constants
_AFTER = f"SELECT {_COLUMNS} FROM log WHERE (epoch, sequence) > (?, ?) ORDER BY epoch, sequence LIMIT ?"  # noqa: S608

_NAMING_KEYS = ("member", "members", "look_alikes")  # an id, or a list of them
_UNDER_A_KEY = " OR ".join(
    f"EXISTS (SELECT 1 FROM json_each(body, '$.{key}') WHERE atom = :id)"  # noqa: S608 - constants
    for key in _NAMING_KEYS
)
NAMES_MEMBER = f"instr(body, json_quote(:id)) > 0 AND (NOT json_valid(body) OR {_UNDER_A_KEY})"
"""Whether a row of `log` names the member `:id`: under a key that holds members, not wherever the same text stands.

The quick search comes first. A body that is not JSON was tampered with; it counts as naming whomever it mentions.
"""

# Some weeks of a busy station; to look through all of a log by a clock that nobody ever set would take long.
_VOUCHED_ROWS = 20_000

PRUNED = "station.log.pruned"
"""The type of the entry that says through which one the log was let go (`agent.storage.pruning`)."""

_Row = tuple[int, int, str, str, str, int, str, str | None, str | None, str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """What is about to be appended. `body` is canonical JSON."""

    type: str
    time: str
    boot: str
    monotonic_ms: int
    clock: str
    body: str


class Log:
    """The end of the log, for the one thread that writes it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.newest = read_newest(database)

    def append(self, entries: Sequence[Entry], *, new_epoch: int | None = None) -> list[Position]:
        """Append inside the caller's transaction and say where each came to stand.

        `new_epoch` starts that epoch with the first of them. After a rollback call `reload`.
        """
        epoch, sequence, previous = self.newest.epoch, self.newest.sequence, self.newest.hash
        if new_epoch is not None:
            epoch, sequence = new_epoch, 0
        rows: list[_Row] = []
        places: list[Position] = []
        for entry in entries:
            sequence += 1
            salt = secrets.token_hex(16)
            digest = body_digest(salt, entry.body)
            previous = entry_hash(
                previous, entry.boot, entry.clock, epoch, entry.monotonic_ms, sequence, entry.time, entry.type, digest
            )
            head = (epoch, sequence, entry.type, entry.time, entry.boot, entry.monotonic_ms, entry.clock)
            rows.append((*head, entry.body, salt, digest, previous))
            places.append(Position(epoch, sequence, previous))
        self._database.conn.executemany(_INSERT, rows)
        if places:
            self.newest = places[-1]
        return places

    def reload(self) -> None:
        """Read the end again from what is committed."""
        self.newest = read_newest(self._database)


def read_newest(database: Database) -> Position:
    """The last entry; the anchor when all are pruned; before the first when there never was one."""
    row = database.conn.execute(
        "SELECT epoch, sequence, hash FROM log ORDER BY epoch DESC, sequence DESC LIMIT 1"
    ).fetchone()
    return Position(*row) if row else _read_anchor(database)


def read_last(database: Database, *types: str) -> dict[str, Any]:
    """The body of the last entry of one of these types; empty when there is none, or its body was blanked."""
    row = database.conn.execute(
        f"SELECT body FROM log WHERE type IN ({', '.join('?' * len(types))}) "  # noqa: S608 - marks only
        "ORDER BY epoch DESC, sequence DESC LIMIT 1",
        types,
    ).fetchone()
    body = json.loads(row[0]) if row and row[0] else {}
    return body if isinstance(body, dict) else {}


def read_vouched_time(database: Database) -> datetime | None:
    """The time of the newest entry by a clock that a time source had set; None when none of the last ones was."""
    row = database.conn.execute(
        "SELECT time FROM (SELECT epoch, sequence, time, clock FROM log ORDER BY epoch DESC, sequence DESC LIMIT ?) "
        "WHERE clock = 'synchronised' LIMIT 1",
        [_VOUCHED_ROWS],
    ).fetchone()
    try:
        return None if row is None else parse_rfc3339(row[0]).astimezone(UTC)
    except ValueError:  # somebody altered it
        return None


def read_after(database: Database, epoch: int, sequence: int, limit: int) -> tuple[LoggedEntry, ...]:
    """The next `limit` entries after a place, in order, across epochs.

    What a damaged page made no UTF-8 of is read all the same, with marks in the place of it: the rest is behind it.
    """
    try:
        return tuple(starmap(LoggedEntry, database.conn.execute(_AFTER, (epoch, sequence, limit))))
    except OperationalError:  # of the text, or of the disk: that says so again
        text_factory, database.conn.text_factory = database.conn.text_factory, _marked_text
        try:
            return tuple(starmap(LoggedEntry, database.conn.execute(_AFTER, (epoch, sequence, limit))))
        finally:
            database.conn.text_factory = text_factory


def read_within(database: Database, epoch: int, after: int, last: int, limit: int) -> tuple[LoggedEntry, ...]:
    """The next `limit` entries of one epoch after a place, in order, up to and with `last`."""
    found = read_after(database, epoch, after, limit)
    return tuple(each for each in found if each.epoch == epoch and each.sequence <= last)


def read_anchor(database: Database) -> LogPlace | None:
    """The last entry that was pruned, None where none was."""
    anchor = _read_anchor(database)
    return LogPlace(anchor.epoch, anchor.sequence, anchor.hash) if anchor.epoch else None


def read_hash(database: Database, epoch: int, sequence: int) -> str | None:
    """The hash at a place, or None when no entry (nor the anchor) stands there."""
    row = database.conn.execute("SELECT hash FROM log WHERE epoch = ? AND sequence = ?", (epoch, sequence)).fetchone()
    if row:
        return str(row[0])
    anchor = _read_anchor(database)
    return anchor.hash if anchor.place == (epoch, sequence) else None


def blank_bodies_naming(database: Database, member_id: str) -> int:
    """Blank every body that names this member; returns how many. Runs in the caller's transaction."""
    return database.conn.execute(
        f"UPDATE log SET body = NULL, salt = NULL WHERE {NAMES_MEMBER}",  # noqa: S608 - a constant
        {"id": member_id},
    ).rowcount


def _read_anchor(database: Database) -> Position:
    row = database.conn.execute("SELECT epoch, sequence, hash FROM anchor").fetchone()
    return Position(*row) if row else Position()


# --- checking --------------------------------------------------------------------------------------------------------


class Broken(Enum):
    """In what the chain does not hold."""

    GAP = "entries are missing before it"
    HALF_BLANKED = "its body and its salt are blanked only together"
    BODY = "its body does not fit its digest"
    HASH = "its hash does not follow from the entry before it, its header and its digest"
    OTHER_HEAD = "the head file has another hash for it"
    CUT_OFF = "the log ends before it, and the head file knows it"
    LET_GO = "what stood up to it is gone, and no entry of the log says so"


@dataclass(frozen=True, slots=True)
class Break:
    """The first place where the chain does not hold, and in what."""

    epoch: int
    sequence: int
    reason: Broken


@dataclass(frozen=True, slots=True)
class Verification:
    """What a walk through the whole log found. `newest` is the last good entry; `first_break` is None when all hold."""

    entries: int
    blanked: int
    newest: Position
    first_break: Break | None


def verify(database: Database, head: Position | None = None) -> Verification:
    """Walk the chain from the anchor to the end, one row in memory at a time; blanked bodies are in order.

    With the `head` given the end is checked too: entries cut off there leave no other trace. Give a connection of its
    own: the walk is one read transaction. The anchor lies outside the chain, so it counts only as the entry of the
    chain that told of it has it: or whoever may write could take away the beginning and put an anchor there.
    """
    anchor = previous = _read_anchor(database)
    entries = blanked = 0
    told: object = None
    text_factory, database.conn.text_factory = database.conn.text_factory, _any_text
    try:
        for row in database.conn.execute(_IN_ORDER):
            broken = _check(row, previous)
            if broken:
                return Verification(entries, blanked, previous, Break(row[0], row[1], broken))
            entries += 1
            blanked += row[7] is None
            previous = Position(row[0], row[1], row[10])
            if row[2] == PRUNED and row[7] is not None:
                told = _through(row[7])
            if head and previous.place == head.place and previous.hash != head.hash:
                return Verification(entries, blanked, previous, Break(*head.place, Broken.OTHER_HEAD))
    finally:
        database.conn.text_factory = text_factory
    if head and previous.place < head.place:
        first_lost = Break(previous.epoch, previous.sequence + 1, Broken.CUT_OFF)
        return Verification(entries, blanked, previous, first_lost)
    if anchor.epoch and told != {"epoch": anchor.epoch, "sequence": anchor.sequence, "hash": anchor.hash}:
        return Verification(0, 0, anchor, Break(*anchor.place, Broken.LET_GO))
    return Verification(entries, blanked, previous, None)


def _check(row: _Row, previous: Position) -> Broken | None:
    epoch, sequence, type_, time, boot, monotonic_ms, clock, body, salt, digest, hash_ = row
    follows = (epoch == previous.epoch and sequence == previous.sequence + 1) or (
        epoch > previous.epoch and sequence == 1
    )
    if not follows:
        return Broken.GAP
    if (body is None) != (salt is None):
        return Broken.HALF_BLANKED
    if body is not None and salt is not None and body_digest(salt, body) != digest:
        return Broken.BODY
    if entry_hash(previous.hash, boot, clock, epoch, monotonic_ms, sequence, time, type_, digest) != hash_:
        return Broken.HASH
    return None


def _through(body: str) -> object:
    """What an entry of pruning names; None where it is none that this agent writes."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found.get("through") if isinstance(found, dict) else None


def _marked_text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _any_text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
