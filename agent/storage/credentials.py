"""Cards and PINs as rows: hashes, each with a token that the ledger keeps once it was taken away.

`carry_out` and `remove_again` run in the caller's transaction on the writer's connection, `load` on any.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.effects import PutMember, RemoveCredentials, SaveCard, SavePin
from agent.events import CredentialsChanged, CredentialsRefused, Event, SealedCard, SealedPin
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


def refusal_of_put(connection: Connection, order: PutMember, number: str) -> tuple[str, str] | None:
    """Why these cards, or a PIN with this number, cannot be theirs: a code and its detail."""
    owners = (_owner_of(connection, each) for each in order.cards) if "cards" in order.given else ()
    if taken := [owner for owner in owners if owner not in (None, order.member_id)]:
        return "card.taken", str(taken[0])
    if len(order.cards) > MAX_CARDS:
        return "card.too_many", str(MAX_CARDS)
    if order.pin is None:
        return None
    holder = connection.execute("SELECT member_id FROM pins WHERE number = ?", [number]).fetchone()
    is_free = number and (holder is None or holder[0] == order.member_id)
    return None if is_free else ("number.taken", "")


def number_of(connection: Connection, member_id: str, wanted: str) -> str:
    """The number that goes with a PIN: the wanted one, their own, or one that is free; empty when none was found."""
    return wanted or _own_number(connection, member_id) or _free_number(connection)


def tokens_put_away(connection: Connection, order: PutMember) -> list[str]:
    """Of the rows that go when this is carried out."""
    tokens: list[str] = []
    if "cards" in order.given:
        kept = {each.hash for card in order.cards for each in card}
        rows = connection.execute("SELECT hash, token FROM cards WHERE member_id = ?", [order.member_id])
        tokens += [token for hash_, token in rows if hash_ not in kept]
    if "pin" in order.given:
        rows = connection.execute("SELECT token FROM pins WHERE member_id = ?", [order.member_id])
        tokens += [token for (token,) in rows]
    return tokens


def put(  # noqa: PLR0917 - what the order comes to
    connection: Connection, order: PutMember, gone: list[str], number: str, token: str, at_utc: str
) -> None:
    """Store these cards and this PIN in the place of the rows with the tokens `gone`. The member is there."""
    for table in ("cards", "pins"):
        connection.executemany(f"DELETE FROM {table} WHERE token = ?", [(each,) for each in gone])  # noqa: S608
    for place, card in enumerate(order.cards):
        if _owner_of(connection, card) is None:
            row = (card[-1].hash, order.member_id, card[-1].key_id, f"{token}{place}", at_utc)
            connection.execute(
                "INSERT INTO cards (hash, member_id, key_id, token, added_at_utc) VALUES (?, ?, ?, ?, ?)", row
            )
    if order.pin is not None:
        _store_pin(connection, order.member_id, number, order.pin, token, at_utc)


def _owner_of(connection: Connection, card: tuple[SealedCard, ...]) -> str | None:
    """Whose card this is, under whichever key."""
    marks = ", ".join("?" * len(card))
    sql = f"SELECT member_id FROM cards WHERE hash IN ({marks})"  # noqa: S608 - marks only
    row = connection.execute(sql, [each.hash for each in card]).fetchone()
    return None if row is None else str(row[0])


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
    number = number_of(connection, order.member_id, order.number)
    holder = connection.execute("SELECT member_id FROM pins WHERE number = ?", [number]).fetchone()
    if not number or (holder is not None and holder[0] != order.member_id):
        return _refused(order.request, "number.taken")
    _note_removal(connection, ledger, pending, "pins", order.member_id)
    _store_pin(connection, order.member_id, number, order.pin, pending.token, at_utc)
    return lambda at: CredentialsChanged(at, order.request, order.member_id, "pin_set", number=number)


def _store_pin(  # noqa: PLR0917 - the columns of a row
    connection: Connection, member_id: str, number: str, pin: SealedPin, token: str, at_utc: str
) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO pins (member_id, number, key_id, salt, hash, duress_hash, token, set_at_utc) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (member_id, number, pin.key_id, pin.salt, pin.hash, pin.duress_hash, token, at_utc),
    )


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
