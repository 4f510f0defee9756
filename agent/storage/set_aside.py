"""Damaged databases: marked for the next start, kept for a while, and deleted when something must be gone for good."""

from __future__ import annotations

import logging
from datetime import UTC
from pathlib import Path

from agent.clock import Clock
from agent.storage.database import explain
from agent.storage.head import sync_directory

_logger = logging.getLogger(__name__)

SUSPECT_MARK = "station.db.suspect"
_SET_ASIDE = "station.db.damaged-"
# Each may be as large as the database; a card that dies slowly must not fill itself with them.
_SET_ASIDE_KEPT = 3


def mark_suspect(directory: Path) -> None:
    """Have the next start set the database aside: damage that showed while it ran need not show at the opening."""
    try:
        (directory / SUSPECT_MARK).touch()
    except OSError as error:
        _logger.warning("the damaged database cannot be marked: %s", explain(error))


def is_any_set_aside(directory: Path) -> bool:
    """Whether a damaged database is kept, in which anybody may be."""
    return any(directory.glob(f"{_SET_ASIDE}*"))


def remove_set_aside(directory: Path) -> None:
    """Delete the damaged databases that were kept: no erasure and no key reaches into them. Raises OSError."""
    for path in directory.glob(f"{_SET_ASIDE}*"):
        path.unlink()
        _logger.info("removed %s: it may hold what must be gone", path.name)


def set_aside(path: Path, clock: Clock) -> str:
    """Give a database another name, which is returned, and delete the oldest of those. Raises OSError."""
    stem = f"{_SET_ASIDE}{clock.wall().utc.astimezone(UTC):%Y%m%dT%H%M%S%fZ}"
    for suffix in ("-wal", "-shm", ""):  # the database last: until then the next start finds the damage again
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(path.with_name(stem + suffix))
    kept = sorted(each for each in path.parent.glob(f"{_SET_ASIDE}*Z"))
    for old in kept[:-_SET_ASIDE_KEPT]:
        for suffix in ("", "-wal", "-shm"):
            old.with_name(old.name + suffix).unlink(missing_ok=True)
    sync_directory(path.parent)
    return stem
