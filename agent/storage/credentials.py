"""Cards and PINs as rows: hashes, each with a token that the ledger keeps once it was taken away.

`carry_out` and `remove_again` run in the caller's transaction on the writer's connection, `load` on any.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.effects import RemoveCredentials, SaveCard, SavePin
from agent.events import CredentialsChanged, CredentialsRefused, Event, SealedPin
from agent.storage.database import Connection, Database
from agent.storage.ledger import Ledger
from agent.storage.orders import PendingCredential

MAX_CARDS = 8  # of one member; a fob, a bus card and a badge are three
_DRAWN_DIGITS = 6  # of a number that nobody chose: a million, far more than a station has members
_DRAWS = 1_000  # tries for one that is free; with ten thousand members already the third succeeds


@dataclass(frozen=True, slots=True)
class StoredPin:
    """Whose PIN it is, with its hashes."""

    member_id: str
    pin: SealedPin


@dataclass(frozen=True, slots=True)
class Stored:
    """All there are: hash of a card → its member, number → PIN."""

    cards: dict[str, str] = field(default_factory=dict, repr=False)
    pins: dict[str, StoredPin] = field(default_factory=dict, repr=False)
    key_ids: frozenset[str] = frozenset()


Outcome = Callable[[float], Event]
"""Makes the answer, once it is durable, of the station time of that."""


def load(connection: Connection) -> Stored:
    """Every card and PIN. Raises `DatabaseError`."""
    cards = connection.execute("SELECT hash, member_id, key_id FROM cards").fetchall()
    pins = connection.execute("SELECT number, member_id, key_id, salt, hash, duress_hash FROM pins").fetchall()
    return Stored(
        {hash_: member_id for hash_, member_id, _ in cards},
        {row[0]: StoredPin(row[1], SealedPin(*row[2:])) for row in pins},
        frozenset([row[2] for row in cards] + [row[2] for row in pins]),
    )


def carry_out(database: Database, ledger: Ledger, pending: PendingCredential, at_utc: str) -> Outcome:
    """Change somebody's cards or PIN. Raises OSError when the ledger cannot be written; nothing was changed then."""
    order, connection = pending.order, database.conn
    if not connection.execute("SELECT 1 FROM members WHERE id = ?", [order.member_id]).fetchone():
        return _refused(order.request, "member.unknown", order.member_id)
    match order:
        case SaveCard():
            return _add_card(connection, order, pending.token, at_utc)
        case SavePin():
            return _set_pin(connection, ledger, pending, order, at_utc)
        case RemoveCredentials():
            return _remove(connection, ledger, pending, order)


def remove_again(database: Database, ledger: Ledger) -> int:
    """Delete rows that were taken away and that a backup brought back; returns how many."""
    connection = database.conn
    removed = 0
    for table in ("cards", "pins"):
        rows = connection.execute(f"SELECT token FROM {table}").fetchall()  # noqa: S608 - one of two names
        gone = [(token,) for (token,) in rows if ledger.must_remove(token)]
        connection.executemany(f"DELETE FROM {table} WHERE token = ?", gone)  # noqa: S608
        removed += len(gone)
    return removed


def _add_card(connection: Connection, order: SaveCard, token: str, at_utc: str) -> Outcome:
    owner = connection.execute("SELECT member_id FROM cards WHERE hash = ?", [order.card.hash]).fetchone()
    if owner is not None and owner[0] != order.member_id:
        return _refused(order.request, "card.taken", owner[0])
    count = _count(connection, order.member_id)
    if owner is None:
        if count >= MAX_CARDS:
            return _refused(order.request, "card.too_many", str(MAX_CARDS))
        connection.execute(
            "INSERT INTO cards (hash, member_id, key_id, token, added_at_utc) VALUES (?, ?, ?, ?, ?)",
            (order.card.hash, order.member_id, order.card.key_id, token, at_utc),
        )
        count += 1
    return lambda at: CredentialsChanged(at, order.request, order.member_id, "card_added", count)


def _set_pin(
    connection: Connection, ledger: Ledger, pending: PendingCredential, order: SavePin, at_utc: str
) -> Outcome:
    number = order.number or _own_number(connection, order.member_id) or _free_number(connection)
    holder = connection.execute("SELECT member_id FROM pins WHERE number = ?", [number]).fetchone()
    if not number or (holder is not None and holder[0] != order.member_id):
        return _refused(order.request, "number.taken")
    _note_removal(connection, ledger, pending, "pins", order.member_id)
    pin = order.pin
    connection.execute(
        "INSERT OR REPLACE INTO pins (member_id, number, key_id, salt, hash, duress_hash, token, set_at_utc) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (order.member_id, number, pin.key_id, pin.salt, pin.hash, pin.duress_hash, pending.token, at_utc),
    )
    return lambda at: CredentialsChanged(at, order.request, order.member_id, "pin_set", number=number)


def _remove(connection: Connection, ledger: Ledger, pending: PendingCredential, order: RemoveCredentials) -> Outcome:
    table = "cards" if order.what == "cards" else "pins"
    _note_removal(connection, ledger, pending, table, order.member_id)
    count = connection.execute(f"DELETE FROM {table} WHERE member_id = ?", [order.member_id]).rowcount  # noqa: S608
    what = "cards_removed" if table == "cards" else "pin_removed"
    return lambda at: CredentialsChanged(at, order.request, order.member_id, what, count)


def _note_removal(
    connection: Connection, ledger: Ledger, pending: PendingCredential, table: str, member_id: str
) -> None:
    """Into the ledger before the rows go: if the power fails between the two, the next start removes them."""
    rows = connection.execute(f"SELECT token FROM {table} WHERE member_id = ?", [member_id]).fetchall()  # noqa: S608
    for (token,) in rows:
        if token not in pending.in_ledger:
            ledger.append("credential_removed", token=token)
            pending.in_ledger.add(token)


def _count(connection: Connection, member_id: str) -> int:
    row = connection.execute("SELECT count(*) FROM cards WHERE member_id = ?", [member_id]).fetchone()
    return int(row[0])


def _own_number(connection: Connection, member_id: str) -> str:
    row = connection.execute("SELECT number FROM pins WHERE member_id = ?", [member_id]).fetchone()
    return str(row[0]) if row else ""


def _free_number(connection: Connection) -> str:
    """One that nobody has, without a leading zero; empty when none was found."""
    least = 10 ** (_DRAWN_DIGITS - 1)
    for _ in range(_DRAWS):
        number = str(least + secrets.randbelow(9 * least))
        if not connection.execute("SELECT 1 FROM pins WHERE number = ?", [number]).fetchone():
            return number
    return ""


def _refused(request: str, code: str, detail: str = "") -> Outcome:
    return lambda at: CredentialsRefused(at, request, code, detail)
