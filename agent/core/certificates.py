"""When the certificates of the link to the broker end: a fault from 30 days before, so that somebody renews them.

What follows from it is `core.encryption`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

WARNING = timedelta(days=30)
"""Ahead of the end: a station master is away for two weeks, and the authority's office takes its time."""

OFF, UNREADABLE, EXPIRING, EXPIRED = "tls.off", "tls.unreadable", "tls.expiring", "tls.expired"


@dataclass(frozen=True, slots=True)
class LinkRules:
    """`files`: settings whose certificates are watched. `is_in_the_clear`: the link leaves this machine without TLS."""

    files: tuple[str, ...] = ()
    is_in_the_clear: bool = False


def wrong(certificates: Mapping[str, datetime], now: datetime) -> dict[str, str | None]:
    """The code of what is wrong with each now, by its file's setting; None: nothing. Times in UTC."""
    return {
        where: EXPIRED if now >= ends else EXPIRING if now >= ends - WARNING else None
        for where, ends in certificates.items()
    }
