"""The chain: what makes an entry of the log unalterable, in terms that any server can recompute.

*Canonical JSON* is RFC 8785: no white space, object members sorted by the UTF-16 code units of their names, shortest
escapes, numbers as ECMAScript prints them (`1.0` is `1`, `1e-7` is `1e-7`). Every number is a double, so an integer
beyond ±(2^53 - 1) is written only if its digits are the ones that ECMAScript prints for a double (`1e17` is
`100000000000000000`): whatever was written reads back, and is written as the same text again.

    header  = canonical JSON of {"boot", "clock", "epoch", "monotonic_ms", "sequence", "time", "type"}
    digest  = SHA-256(salt ‖ body)
    hash    = SHA-256(previous hash ‖ header ‖ digest)

All of them are joined as UTF-8 text: `salt` is 32 hexadecimal digits, digests and hashes 64, in lower case; `body` is
its canonical JSON, the very text that is stored. The chain is one list through the whole log in the order of (epoch,
sequence): the first entry of an epoch follows the last entry that the database still had, which its body names under
`after`; the very first follows 64 zeros. Blanking removes body and salt together (without the salt a short body cannot
be guessed from its digest); the digest stays, so the chain holds. Pruning leaves the last pruned hash as the anchor,
which holds as far as the last entry `station.log.pruned` names it under `through`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from json.encoder import encode_basestring  # the string escapes of RFC 8785, in C
from math import isfinite

GENESIS = "0" * 64
_GREATEST_INTEGER = 2**53 - 1  # beyond it a double, and so JavaScript, loses digits
_EXPONENT_FROM = 10**21  # from here on ECMAScript prints an exponent


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """An entry's place and hash; (0, 0, GENESIS) is before the first."""

    epoch: int = 0
    sequence: int = 0
    hash: str = GENESIS

    @property
    def place(self) -> tuple[int, int]:
        """(epoch, sequence)."""
        return self.epoch, self.sequence


def canonical(value: object) -> str:
    """Write a JSON value as RFC 8785. Raises ValueError or TypeError for what JSON does not have."""
    text = _encode(value)
    text.encode()  # a lone surrogate has no UTF-8
    return text


def body_digest(salt: str, body: str) -> str:
    """SHA-256(salt ‖ body), hexadecimal."""
    return sha256(f"{salt}{body}".encode("utf-8", "surrogateescape")).hexdigest()


def entry_hash(  # noqa: PLR0917 - the header's members in their canonical order
    previous: str,
    boot: str,
    clock: str,
    epoch: int,
    monotonic_ms: int,
    sequence: int,
    time: str,
    type_: str,
    digest: str,
) -> str:
    """SHA-256(previous ‖ header ‖ digest), hexadecimal."""
    quote = encode_basestring
    header = (
        f'{{"boot":{quote(boot)},"clock":{quote(clock)},"epoch":{epoch},"monotonic_ms":{monotonic_ms},'
        f'"sequence":{sequence},"time":{quote(time)},"type":{quote(type_)}}}'
    )
    # Text that is not UTF-8 can only come from tampering; it must give a wrong hash, not an error.
    return sha256(f"{previous}{header}{digest}".encode("utf-8", "surrogateescape")).hexdigest()


def _encode(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return encode_basestring(value)
        case int():
            return _encode_integer(value)
        case float():
            return _encode_float(value)
        case Mapping():
            if not all(isinstance(key, str) for key in value):
                raise TypeError("the names of a JSON object are strings")
            names = sorted(value, key=_utf16)
            return "{" + ",".join(f"{encode_basestring(name)}:{_encode(value[name])}" for name in names) + "}"
        case Sequence() if not isinstance(value, bytes | bytearray | memoryview):
            return "[" + ",".join(map(_encode, value)) + "]"
        case _:
            raise TypeError(f"{type(value).__name__} is not a JSON value")


def _utf16(name: str) -> bytes:
    return name.encode("utf-16-be")


def _encode_integer(value: int) -> str:
    text = int.__repr__(value)
    if abs(value) > _GREATEST_INTEGER and (abs(value) >= _EXPONENT_FROM or _encode_float(float(value)) != text):
        raise ValueError("an integer beyond 2^53 - 1 does not survive JSON: send it as a string")
    return text


def _encode_float(value: float) -> str:
    """Number::toString of ECMA-262, as RFC 8785 section 3.2.2.3 asks."""
    if not isfinite(value):
        raise ValueError("JSON has no infinity and no NaN")
    if value == 0:
        return "0"
    parts = Decimal(float.__repr__(value)).normalize().as_tuple()
    digits, exponent = "".join(map(str, parts.digits)), int(parts.exponent)
    sign = "-" if parts.sign else ""
    point = len(digits) + exponent  # where the decimal point stands, from the left of the digits
    if len(digits) <= point <= 21:
        return f"{sign}{digits}{'0' * exponent}"
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{point - 1:+d}"
