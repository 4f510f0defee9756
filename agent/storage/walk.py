"""Checking the log of a directory from outside, also while an agent writes to it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from agent.storage.database import DatabaseError, StorageError, explain, open_readonly
from agent.storage.head import read_head
from agent.storage.log import Verification, verify
from agent.storage.opening import HEAD_FILE, STATION_DATABASE


@dataclass(frozen=True, slots=True)
class Walk:
    """`has_head`: whether the end could be compared; without it entries that were cut off there leave no trace."""

    found: Verification
    has_head: bool


def walk(directory: Path) -> Walk:
    """Check the chain from the first entry that is kept to the last. Takes seconds for 100,000 entries.

    An erasure is done only once this is over: it holds one read transaction. Raises `StorageError`.
    """
    path = directory / STATION_DATABASE
    try:
        # The head first: what is written meanwhile is then in the database, and not the other way round.
        head = read_head(directory / HEAD_FILE)
        path.stat()
        with closing(open_readonly(path)) as database:
            database.conn.execute("BEGIN")
            return Walk(verify(database, head), head is not None)
    except (DatabaseError, OSError) as error:
        raise StorageError(f"{path}: {explain(error)}") from error
