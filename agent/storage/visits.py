"""Visits as rows. The changes run in the transaction of the entry that reports them, on the writer's connection."""

from __future__ import annotations

from agent.effects import BeginVisit, VisitChange
from agent.events import OpenVisit
from agent.storage.chain import Position
from agent.storage.consents import note_seen
from agent.storage.database import Database
from agent.storage.stamps import Stamps


def change(database: Database, change_: VisitChange, entry: Position, stamps: Stamps) -> None:
    """Begin or end a visit. Said twice, the first counts; a member erased meanwhile leaves the visit anonymous."""
    if isinstance(change_, BeginVisit):
        database.conn.execute(
            "INSERT INTO visits (id, member_id, entered_at_utc, entered_epoch, entered_sequence) "
            "VALUES (?, (SELECT id FROM members WHERE id = ?), ?, ?, ?) ON CONFLICT (id) DO NOTHING",
            (change_.visit, change_.member_id, stamps.text(change_.entered_at), *entry.place),
        )
        note_seen(database, change_.member_id, stamps.utc(change_.entered_at))
    else:
        database.conn.execute(
            "UPDATE visits SET left_at_utc = ?, left_epoch = ?, left_sequence = ?, how = ? "
            "WHERE id = ? AND left_at_utc IS NULL",
            (stamps.text(change_.left_at), *entry.place, change_.how, change_.visit),
        )


def load_open(database: Database) -> tuple[OpenVisit, ...]:
    """The visits without an end, oldest first."""
    rows = database.conn.execute(
        "SELECT id, member_id FROM visits WHERE left_at_utc IS NULL ORDER BY entered_at_utc, id"
    )
    return tuple(OpenVisit(id_, member_id) for id_, member_id in rows)
