"""The chain of the log, computed from its description alone.

Nothing of the agent is used here, so that a mistake in the agent's own code shows. Canonical JSON: RFC 8785; numbers as
Number::toString of ECMA-262 prints them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_HEADER = ("boot", "clock", "epoch", "sequence", "time", "type")


def read(payload: bytes) -> Any:
    """JSON with every number as a double, which is what RFC 8785 makes of it. Raises ValueError, RecursionError."""
    return json.loads(payload, parse_int=float)


def digest_of(event: Mapping[str, Any]) -> str:
    """SHA-256 of the salt and the body of an event that has both."""
    return _sha256(str(event["salt"]) + canonical(event["data"]))


def hash_of(event: Mapping[str, Any], previous: str) -> str:
    """SHA-256 of the hash before it, its header and its digest. Raises KeyError, ValueError for what is no event."""
    header = {name: event[name] for name in _HEADER}
    header["monotonic_ms"] = float(event["monotonic"])
    header["sequence"] = float(event["sequence"])
    return _sha256(previous + canonical(header) + str(event["digest"]))


def canonical(value: Any) -> str:
    """RFC 8785 of what `read` gives."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(f"{_text(name)}:{canonical(value[name])}" for name in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(canonical(each) for each in value) + "]"
    if isinstance(value, float):
        return _number(value)
    return _text(value)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _number(value: float) -> str:
    """The shortest digits that read back as the same double are Python's too; where the point stands is not."""
    if value == 0:
        return "0"
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(digits) - len(fraction) + int(exponent or 0)
    digits = digits.rstrip("0")
    sign = "-" if value < 0 else ""
    if len(digits) <= point <= 21:
        return sign + digits.ljust(point, "0")
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    more = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{more}e{point - 1:+d}"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
