"""Changing what is kept of a member in one transaction: validity, categories, cards, PIN; all of it or nothing.

What takes something away goes into the ledger before the rows change, as everywhere: if the power fails between the
two, old cards are gone, a former PIN too, and the validity is the new one, while nothing new was given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from agent.events import Event, Member, MemberPut, PutRefused
from agent.storage import credentials, members
from agent.storage.database import Database
from agent.storage.ledger import Ledger
from agent.storage.orders import PendingPut
from agent.storage.stamps import rfc3339

Outcome = Callable[[float], Event]
"""Makes the answer, once it is durable, of the station time of that."""

_FIELDS = ("needs_longer", "valid_from", "valid_until", "categories")


def carry_out(database: Database, ledger: Ledger, pending: PendingPut, at_utc: str) -> Outcome:
    """In the caller's transaction, on the writer's connection.

    Raises OSError when the ledger cannot be written; nothing was changed then.
    """
    order, connection = pending.order, database.conn
    found = members.read(database, order.member_id)
    if found is None and not order.may_create:
        return _refused(pending, "member.unknown", order.member_id)
    changes = {name: getattr(order, name) for name in _FIELDS if name in order.given}
    member = replace(found or Member(order.member_id), **changes)
    if member.valid_from is not None and member.valid_until is not None and member.valid_from >= member.valid_until:
        return _refused(pending, "member.validity")
    number = "" if order.pin is None else credentials.number_of(connection, order.member_id, order.number)
    if refusal := credentials.refusal_of_put(connection, order, number):
        return _refused(pending, *refusal)
    gone = credentials.tokens_put_away(connection, order)
    _tell_ledger(database, ledger, pending, member, gone, at_utc)
    name = order.name if "name" in order.given else None
    members.put(database, member, name=name, created_at_utc=at_utc, enrolment=pending.enrolment)
    credentials.put(connection, order, gone, number, pending.token, at_utc)
    drawn = "" if order.number else number
    return lambda at: MemberPut(
        at,
        order.request,
        member,
        found is None,
        tuple(order.given),
        len(order.cards),
        order.pin is not None,
        drawn,
    )


def _tell_ledger(  # noqa: PLR0917 - what the order comes to
    database: Database, ledger: Ledger, pending: PendingPut, member: Member, gone: list[str], at_utc: str
) -> None:
    """What a backup must not bring back; each line once, over the attempts that this may need."""
    enrolment = members.enrolment_of(database, member.id)
    if enrolment is None and ledger.was_erased(member.id) and "enrolled" not in pending.in_ledger:
        ledger.append("enrolled", member=member.id, enrolment=pending.enrolment)
        pending.in_ledger.add("enrolled")
    for token in gone:
        if token not in pending.in_ledger:
            ledger.append("credential_removed", token=token)
            pending.in_ledger.add(token)
    enrolment = enrolment or pending.enrolment
    valid_from, valid_until = (None if at is None else rfc3339(at) for at in (member.valid_from, member.valid_until))
    if (ledger.validity_of(member.id, enrolment) or (None, None)) != (valid_from, valid_until):
        limits = {"from": valid_from, "until": valid_until}
        ledger.append("validity", member=member.id, enrolment=enrolment, at_utc=at_utc, **limits)


def _refused(pending: PendingPut, code: str, detail: str = "") -> Outcome:
    return lambda at: PutRefused(at, pending.order.request, pending.order.member_id, code, detail)
