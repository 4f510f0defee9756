"""By what the central server finds where its roster differs from a station's, a page at a time.

The *facts* of a member are an object with these members:

    cards            how many cards they have
    categories       their numbers, in order
    face             whether there is any template of their face
    id               their id
    needs_longer     whether the door's extended times are theirs
    pin              whether they have a PIN
    suspended        whether they are suspended
    suspended_until  until when, null: until they are resumed, or not suspended
    valid_from, valid_until   their validity, null: no limit

Times are RFC 3339 in UTC with milliseconds and `Z`, what is finer is cut off. A member's *digest* is SHA-256 of the RFC
8785 JSON of their facts in UTF-8; the *digest of the roster* is SHA-256 of all members' digests in the order of their
ids, joined as text without anything between. Both in hexadecimal, 64 small letters and digits.

Each page is read in one transaction and names the digest of the whole roster as it was then: pages with the same one
are of the same roster, whatever was changed between them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Any

from agent.storage.chain import canonical
from agent.storage.database import Connection

PAGE_MEMBERS = 200
"""Of the longest ids, 32 KB of JSON: a message on the wire holds 64 KiB."""

_FACTS = """
    SELECT id, is_suspended, suspended_until_utc, needs_longer, valid_from_utc, valid_until_utc, categories,
        (SELECT count(*) FROM cards WHERE member_id = members.id),
        EXISTS (SELECT 1 FROM pins WHERE member_id = members.id),
        EXISTS (SELECT 1 FROM templates WHERE member_id = members.id)
    FROM members ORDER BY id
"""


class RosterDigest:
    """A question for the reader, like those of `queries`: its answer is one row."""

    defaults: Mapping[str, Any] = MappingProxyType({"after": "", "limit": PAGE_MEMBERS})

    def run(self, connection: Connection, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
        """`after`: the last id of the page before; `limit`: of members. Raises `DatabaseError`."""
        rows = connection.execute(_FACTS).fetchall()
        ids = [row[0] for row in rows]
        digests = [digest_of(_facts(*row)) for row in rows]
        given = {**self.defaults, **arguments}
        first = bisect_right(ids, given["after"])
        last = first + min(given["limit"], PAGE_MEMBERS)
        page = [{"id": id_, "digest": digest} for id_, digest in zip(ids[first:last], digests[first:last], strict=True)]
        return (
            {
                "members": page,
                "count": len(ids),
                "digest": sha256("".join(digests).encode()).hexdigest(),
                "next": ids[last - 1] if last < len(ids) else None,
            },
        )


def digest_of(facts: Mapping[str, Any]) -> str:
    """A member's digest."""
    return sha256(canonical(facts).encode()).hexdigest()


def _facts(  # noqa: PLR0917 - the columns of a row
    id_: str,
    is_suspended: int,
    suspended_until: str | None,
    needs_longer: int,
    valid_from: str | None,
    valid_until: str | None,
    categories: str,
    cards: int,
    has_pin: int,
    has_face: int,
) -> dict[str, Any]:
    return {
        "cards": cards,
        "categories": [int(each) for each in categories.split(",") if each],
        "face": bool(has_face),
        "id": id_,
        "needs_longer": bool(needs_longer),
        "pin": bool(has_pin),
        "suspended": bool(is_suspended),
        "suspended_until": suspended_until if is_suspended else None,
        "valid_from": valid_from,
        "valid_until": valid_until,
    }
