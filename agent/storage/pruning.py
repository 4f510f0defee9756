"""How long records stay: what is older than the settings say goes, a bounded number of rows at a time.

The age of an entry is not taken from its own clock, which may have been wrong. Entries stand in the order in which they
were written, so everything up to one that a synchronised clock stamped is at least as old as that. Where no clock was
ever synchronised nothing goes. Nor does what the broker has not acknowledged, where there is one, nor, where the
settings say so, what the central server has not confirmed. The last entry that goes is the anchor that the chain of the
rest hangs on.

An entry `station.log.pruned` says what went. It carries on what a start reads from the last entry of its kind: how many
are inside, and the order to the door, which may be older than all that is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from agent.effects import CONFIRMED
from agent.storage.chain import Position
from agent.storage.database import Database
from agent.storage.log import PRUNED, read_last
from agent.storage.stamps import rfc3339

ABOUT_INSIDE = ("station.visit.entered", "station.visit.left", PRUNED)
"""Types whose last entry says how many are inside."""

ABOUT_ORDER = ("station.door.ordered", PRUNED)
"""Types whose last entry says what the station master wants of the door."""

LEAST_DAYS = 30  # the contract with the central server, whatever the settings say
BATCH_ROWS = 1_000  # some days of a busy station: a transaction of half a megabyte, a tenth of a second on a card
FIRST_S = 600.0  # after a start, when everything has settled
EVERY_S = 86_400.0
AGAIN_S = 10.0  # while more is left: the card rests in between
LATER_S = 3_600.0  # while the clock is in doubt
_ALL = (2**62, 0)  # beyond every place


@dataclass(frozen=True, slots=True)
class Retention:
    """Days. `has_broker`: entries wait for its acknowledgement. `first_s`: from the start to the first look.

    `needs_confirmation`: where there is a broker, they wait for the server's word too (`agent.core.confirming`).
    """

    log_days: int = 365
    readings_days: int = 90
    has_broker: bool = True
    first_s: float = FIRST_S
    needs_confirmation: bool = False

    def log_cutoff(self, now_utc: datetime) -> str:
        """What was written before this is old; RFC 3339."""
        return rfc3339(now_utc - timedelta(days=max(LEAST_DAYS, self.log_days)))

    def readings_cutoff(self, now_utc: datetime) -> str:
        """Minutes before this one are old."""
        return (now_utc - timedelta(days=self.readings_days)).strftime("%Y-%m-%dT%H:%MZ")


def find_end(
    database: Database, cutoff: str, *, has_broker: bool, needs_confirmation: bool = False, limit: int = BATCH_ROWS
) -> Position | None:
    """The last of the entries that can go now, at most `limit` of them; None when none can."""
    through = _safe_through(database, needs_confirmation=needs_confirmation) if has_broker else _ALL
    rows = database.conn.execute(
        "SELECT epoch, sequence, hash, clock, time FROM log WHERE (epoch, sequence) <= (?, ?) "
        "ORDER BY epoch, sequence LIMIT ?",
        (*through, limit),
    ).fetchall()
    trusted = [(Position(*row[:3]), row[4]) for row in rows if row[3] == "synchronised"]
    old = [position for position, time in trusted if time < cutoff]
    if old:
        return old[-1]
    if rows and not trusted and _is_followed_by_old(database, cutoff):
        return Position(*rows[-1][:3])
    return None


def prune(database: Database, end: Position) -> dict[str, Any]:
    """Delete everything up to `end`, with the visits that ended by then; returns the body of the entry that says so.

    Runs in the caller's transaction, and the entry belongs into the same.
    """
    carried = {
        "inside": read_last(database, *ABOUT_INSIDE).get("inside"),
        "order": read_last(database, *ABOUT_ORDER).get("order"),
    }
    connection = database.conn
    entries = connection.execute("DELETE FROM log WHERE (epoch, sequence) <= (?, ?)", end.place).rowcount
    visits = connection.execute(
        "DELETE FROM visits WHERE left_at_utc IS NOT NULL AND (left_epoch, left_sequence) <= (?, ?)", end.place
    ).rowcount
    connection.execute(
        "INSERT OR REPLACE INTO anchor (id, epoch, sequence, hash) VALUES (1, ?, ?, ?)", (*end.place, end.hash)
    )
    through = {"epoch": end.epoch, "sequence": end.sequence, "hash": end.hash}
    return {"entries": entries, "visits": visits, "through": through, **carried}


def _safe_through(database: Database, *, needs_confirmation: bool) -> tuple[int, int]:
    """The place up to which the other end has the log, as far as this one can tell."""
    row = database.conn.execute("SELECT epoch, sequence FROM cursor").fetchone()
    through = (row[0], row[1]) if row else (0, 0)
    if not needs_confirmation:
        return through
    row = database.conn.execute(
        "SELECT json_extract(body, '$.epoch'), json_extract(body, '$.sequence') FROM notes "
        "WHERE kind = ? AND json_valid(body)",
        (CONFIRMED,),
    ).fetchone()
    is_confirmed = row is not None and all(isinstance(each, int) for each in row)
    return min(through, (row[0], row[1])) if is_confirmed else (0, 0)


def _is_followed_by_old(database: Database, cutoff: str) -> bool:
    """Whether the first entry that a synchronised clock stamped is old, and so all before it."""
    first = database.conn.execute(
        "SELECT time FROM log WHERE clock = 'synchronised' ORDER BY epoch, sequence LIMIT 1"
    ).fetchone()
    return first is not None and first[0] < cutoff
