"""What is up on the notice board of the station's screens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

LEVELS = ("info", "warning")


@dataclass(frozen=True, slots=True)
class Notice:
    """`level`: of `LEVELS`. `until`: UTC, None: until somebody takes it down. `put_at`: RFC 3339 in UTC."""

    zh: str
    en: str
    level: str = LEVELS[0]
    until: datetime | None = None
    put_at: str | None = None


@dataclass(frozen=True, slots=True)
class Board:
    """`is_touched`: it was changed since the start, so what the disk has is older."""

    notice: Notice | None = None
    is_touched: bool = False
