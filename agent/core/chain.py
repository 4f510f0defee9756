"""The chain of the log: what is hashed, and in which canonical form. Pure; agent, server and tools share it.

    digest(n) = HMAC-SHA256(salt(n), body(n))
    hash(n)   = SHA-256(hash(n - 1) || digest(n) || header(n))

The body is reached only through its salted digest, so body and salt can both be blanked later: the chain
still verifies, and the digest of a guessable body ("member 17 entered") cannot be tried out without the salt.
The first entry of an epoch follows `ORIGIN`.

Hashes, digests and salts are lower-case hexadecimal text here, in the database and on the wire.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

ORIGIN = "0" * 64  # what stands for the previous hash before the first entry of an epoch
SALT_BYTES = 16  # 128 random bits: a body cannot be guessed from its digest, two equal bodies do not show as equal
_FORMAT = "station-log/1"  # stands in every header: another form of the chain can never be mistaken for this one
_EXACT_INTEGER = 2**53 - 1  # beyond it a reader with IEEE 754 numbers (most JSON readers) sees another number
_MAX_DEPTH = 32  # far beyond any body; ends a structure that contains itself with a clear error


def canonical(body: Mapping[str, Any]) -> str:
    """Write a body as RFC 8785 (JSON Canonicalization Scheme) says: any reader gets the same bytes again.

    Stable over a round trip through JSON: `canonical(json.loads(canonical(body))) == canonical(body)`.
    Raises ValueError for what JSON cannot hold exactly: NaN, infinity, integers beyond 2^53 - 1, other types.
    """
    return _object(body, 0)


def digest(salt: str, body_text: str) -> str:
    """Digest of a body's canonical text, keyed with its salt (hexadecimal, `SALT_BYTES` bytes)."""
    return hmac.new(bytes.fromhex(salt), body_text.encode(), hashlib.sha256).hexdigest()


def header_bytes(*, epoch: int, sequence: int, type: str, time: str, boot: str, monotonic_ms: int, clock: str) -> bytes:
    """Write the header of an entry: a JSON array in this order, without spaces, UTF-8."""
    fields = [_FORMAT, epoch, sequence, type, time, boot, monotonic_ms, clock]
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def entry_hash(previous: str, header: bytes, body_digest: str) -> str:
    """Link an entry to the one before it (`ORIGIN` before the first of an epoch)."""
    return hashlib.sha256(bytes.fromhex(previous) + bytes.fromhex(body_digest) + header).hexdigest()


def _value(value: Any, depth: int) -> str:
    if depth > _MAX_DEPTH:
        raise ValueError(f"a body is nested more than {_MAX_DEPTH} deep; flatten it")
    if isinstance(value, Mapping):
        return _object(value, depth)
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_value(item, depth + 1) for item in value) + "]"
    return _scalar(value)


def _object(body: Mapping[str, Any], depth: int) -> str:
    if not all(isinstance(key, str) for key in body):
        raise ValueError("a body has a key that is not text; JSON knows only text")
    # RFC 8785 sorts by UTF-16 code units, not by code points: they differ beyond the basic plane.
    members = sorted(body.items(), key=lambda member: member[0].encode("utf-16-be", "surrogatepass"))
    return "{" + ",".join(f"{_text(key)}:{_value(value, depth + 1)}" for key, value in members) + "}"


def _scalar(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        if abs(value) > _EXACT_INTEGER:
            raise ValueError(f"an integer of {value.bit_length()} bits is not exact in JSON; write it as text")
        return str(int(value))
    if isinstance(value, float):
        return _number(value)
    raise ValueError(f"a body holds a {type(value).__name__}; use JSON values only")


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError("a body holds half a surrogate pair, which is not Unicode text") from error
    return json.dumps(value, ensure_ascii=False)


def _number(value: float) -> str:
    """Write a float as ECMAScript's Number::toString does (RFC 8785 section 3.2.2.3), digits as `repr`."""
    if not math.isfinite(value):
        raise ValueError("a body holds NaN or infinity, which JSON does not know; use null")
    if value == 0:
        return "0"
    sign, digit_tuple, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)  # noqa: S101 - only NaN and infinity have another, and they are gone
    digits, minus = "".join(map(str, digit_tuple)), "-" * sign
    point = len(digits) + exponent  # where the point stands, counted from the first digit
    if len(digits) <= point <= 21:
        if abs(value) > _EXACT_INTEGER:  # it would be read back as an integer, which is refused above
            raise ValueError("a float beyond 2^53 is not exact in JSON; write it as text")
        return minus + digits + "0" * exponent
    if 0 < point <= 21:
        return f"{minus}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{minus}0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{minus}{digits[0]}{fraction}e{point - 1:+d}"
