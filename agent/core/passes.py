"""Passes: what their bytes mean, and whether one holds at this station now. Signatures are checked at the edge.

`docs/passes.md` specifies the bytes. There is one way to write each pass: `unpack` refuses everything that `pack` does
not make, so a pass has no second form in which it could be presented again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from agent.core.access import Reason

VERSION = 1
SIGNATURE_BYTES = 64
TOKEN_BYTES_MAX = 110
"""With the signature: as base45 the code then has 45 × 45 modules at the most, which a cheap camera still reads."""

BODY_BYTES_MAX = TOKEN_BYTES_MAX - SIGNATURE_BYTES
SIGNED_PREFIX = b"station-agent pass\x00"
"""Stands before the body in what is signed, so that a signature made for anything else is never one of a pass."""

STATIONS_MAX = 3
CATEGORIES = range(1, 9)
KEY_IDS = range(1, 256)
NO_END = 0xFFFF_FFFF  # minutes; as the beginning 0 stands for none

_FIXED_BYTES = 20
_STATION_BYTES = 6  # 48 bits of a hash: of 15,000 stations two share them once in 2.5 million such unions
_HOLDER = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_ONCE, _GUEST, _STATIONS_SHIFT = 0x01, 0x02, 2
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class PassError(ValueError):
    """These bytes are no pass, or this cannot be one. Fault and remedy; never the bytes."""


@dataclass(frozen=True, slots=True)
class Pass:
    """What a pass says. Whoever holds one has only bytes until `verify` of `agent.signatures` made them a fact.

    `pass_id`: 16 hexadecimal digits, random. `holder`: an opaque id of a member, or of a guest (`is_guest`), who need
    not be enrolled. `stations`: digests (`station_digest`), none for any station. `valid_from`, `valid_until`: minutes
    since 1970 in UTC, the end not included; 0 and `NO_END` for no limit. `categories`: numbers of `CATEGORIES`.
    """

    key_id: int
    pass_id: str
    holder: str
    is_guest: bool = False
    stations: tuple[bytes, ...] = ()
    valid_from: int = 0
    valid_until: int = NO_END
    is_once: bool = False
    categories: tuple[int, ...] = ()

    @property
    def has_time_limit(self) -> bool:
        """Whether a clock is needed to judge it."""
        return self.valid_from != 0 or self.valid_until != NO_END

    @property
    def member_id(self) -> str | None:
        """The member who holds it; None for a guest."""
        return None if self.is_guest else self.holder


def station_digest(station: str) -> bytes:
    """What stands for a station in a pass: the first 6 bytes of SHA-256 of its id."""
    return sha256(station.encode()).digest()[:_STATION_BYTES]


def minute_of(moment: datetime) -> int:
    """The minute that a moment (with its zone) lies in, since 1970 in UTC."""
    return (moment - _EPOCH) // timedelta(minutes=1)


def moment_of(minute: int) -> datetime:
    """When a minute begins, in UTC. Raises OverflowError past the year 9999."""
    return _EPOCH + timedelta(minutes=minute)


def holder_length_max(station_count: int) -> int:
    """How many characters a holder's id may have beside so many stations."""
    return BODY_BYTES_MAX - _FIXED_BYTES - _STATION_BYTES * station_count


def pack(token: Pass) -> bytes:
    """The body: what is signed, behind `SIGNED_PREFIX`. Raises `PassError` for a pass that cannot be."""
    _check(token)
    flags = (_ONCE if token.is_once else 0) | (_GUEST if token.is_guest else 0)
    flags |= len(token.stations) << _STATIONS_SHIFT
    return b"".join(
        (
            bytes((VERSION, token.key_id)),
            bytes.fromhex(token.pass_id),
            token.valid_from.to_bytes(4, "big"),
            token.valid_until.to_bytes(4, "big"),
            bytes((flags, sum(1 << number - 1 for number in token.categories))),
            *token.stations,
            token.holder.encode("ascii"),
        )
    )


def split(token: bytes) -> tuple[bytes, bytes]:
    """Body and signature. Raises `PassError` when the length is not one of a pass."""
    if not _FIXED_BYTES + SIGNATURE_BYTES < len(token) <= TOKEN_BYTES_MAX:
        raise PassError(f"a pass has {_FIXED_BYTES + SIGNATURE_BYTES + 1} to {TOKEN_BYTES_MAX} bytes, not {len(token)}")
    return token[:-SIGNATURE_BYTES], token[-SIGNATURE_BYTES:]


def unpack(body: bytes) -> Pass:
    """What a body says. Raises `PassError` unless it is exactly what `pack` makes of it."""
    if not _FIXED_BYTES < len(body) <= BODY_BYTES_MAX:
        raise PassError("the length is not one of a pass")
    if body[0] != VERSION:
        raise PassError(f"version {body[0]} is not known here: update this software, or issue version {VERSION}")
    flags, categories = body[18], body[19]
    if flags >> _STATIONS_SHIFT > STATIONS_MAX:
        raise PassError("it has flags that are not known")
    stations_end = _FIXED_BYTES + _STATION_BYTES * (flags >> _STATIONS_SHIFT)
    if _HOLDER.fullmatch(body, stations_end) is None:
        raise PassError("the holder's id is not one")
    token = Pass(
        key_id=body[1],
        pass_id=body[2:10].hex(),
        holder=body[stations_end:].decode("ascii"),
        is_guest=bool(flags & _GUEST),
        stations=tuple(body[at : at + _STATION_BYTES] for at in range(_FIXED_BYTES, stations_end, _STATION_BYTES)),
        valid_from=int.from_bytes(body[10:14], "big"),
        valid_until=int.from_bytes(body[14:18], "big"),
        is_once=bool(flags & _ONCE),
        categories=tuple(number for number in CATEGORIES if categories & 1 << number - 1),
    )
    _check(token)
    return token


def _check(token: Pass) -> None:
    if token.key_id not in KEY_IDS:
        raise PassError(f"a key's id is {KEY_IDS[0]} to {KEY_IDS[-1]}, not {token.key_id}")
    if re.fullmatch(r"[0-9a-f]{16}", token.pass_id) is None:
        raise PassError("a pass's id is 16 hexadecimal digits in lower case")
    if not 0 <= token.valid_from < token.valid_until <= NO_END:
        raise PassError("the end must lie after the beginning")
    _check_stations(token)
    if list(token.categories) != sorted(set(token.categories)) or not set(token.categories) <= set(CATEGORIES):
        raise PassError(f"categories are different numbers of {CATEGORIES[0]} to {CATEGORIES[-1]}, in order")
    length_max = holder_length_max(len(token.stations))
    if len(token.holder) > length_max:
        raise PassError(f"the holder's id may have {length_max} characters beside {len(token.stations)} stations")
    if not token.holder.isascii() or _HOLDER.fullmatch(token.holder.encode()) is None:
        raise PassError("a holder's id begins with a letter or digit and holds only letters, digits, dots, - and _")


def _check_stations(token: Pass) -> None:
    if len(token.stations) > STATIONS_MAX:
        raise PassError(f"a pass names at most {STATIONS_MAX} stations: issue one for any, or several")
    if any(len(each) != _STATION_BYTES for each in token.stations):
        raise PassError(f"a station's digest has {_STATION_BYTES} bytes")
    if list(token.stations) != sorted(set(token.stations)):
        raise PassError("stations stand in the order of their digests, each once")
    if token.is_once and len(token.stations) != 1:
        # Two stations do not know of each other's doors: each would let it pass once.
        raise PassError("a pass for once names exactly one station")


@dataclass(frozen=True, slots=True)
class Place:
    """Where and when a pass is judged. `minute`: UTC, as in `Pass`; `may_trust_clock`: whether that counts."""

    station: bytes
    minute: int
    may_trust_clock: bool


def refusal_of_pass(token: Pass, place: Place, revoked: frozenset[str]) -> Reason | None:
    """Why a pass with a good signature does not hold here and now; None when it does, but for having been spent."""
    if token.stations and place.station not in token.stations:
        return Reason.PASS_OTHER_STATION
    if token.pass_id in revoked:
        return Reason.PASS_REVOKED
    if not token.has_time_limit:
        return None
    if not place.may_trust_clock:
        return Reason.PASS_CLOCK_NOT_SET
    if place.minute < token.valid_from:
        return Reason.PASS_EARLY
    if place.minute >= token.valid_until:
        return Reason.PASS_EXPIRED
    return None


def in_order(stations: Sequence[str]) -> tuple[bytes, ...]:
    """The digests of these station ids as a pass holds them."""
    return tuple(sorted({station_digest(each) for each in stations}))
