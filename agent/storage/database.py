"""The one importer of SQLite: connections with the pragmas that the promises rest on, and what its errors mean."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Literal

from sqlite_utils import Database, Migrations

__all__ = [
    "Connection",
    "Database",
    "DatabaseError",
    "Migrations",
    "OperationalError",
    "StorageError",
    "StorageInUseError",
    "attach_readonly",
    "checkpoint",
    "explain",
    "is_damage",
    "is_missing_schema",
    "is_sound",
    "open_readonly",
    "open_without_writing",
    "open_writable",
    "vacuum",
]

Connection = sqlite3.Connection
DatabaseError = sqlite3.DatabaseError
OperationalError = sqlite3.OperationalError

# Another process (a shell, a backup) may hold the lock for a moment. Longer waits are the writer's own, with back-off,
# so that it can still be told to end.
_BUSY_S = 0.25
# A write-ahead file that one great batch blew up is cut back to this.
_WAL_KEPT_BYTES = 8 * 1024 * 1024
# Moved into the database when it has so many pages, instead of SQLite's 1000: the page at the end of the log is then
# written there once for twice as many entries. Reading the file back at a start takes a fraction of a second.
_WAL_PAGES = 2000

_REMEDIES = {
    sqlite3.SQLITE_FULL: "the disk is full: free some space",
    sqlite3.SQLITE_BUSY: "another process holds the database locked: end it",
    sqlite3.SQLITE_LOCKED: "another process holds the database locked: end it",
    sqlite3.SQLITE_IOERR: "the disk reports an error: check it and the cable or card",
    sqlite3.SQLITE_READONLY: "the database cannot be written: check the mount and the owner of the files",
    sqlite3.SQLITE_CANTOPEN: "the database cannot be opened: check the directory and its owner, and for a full disk",
    sqlite3.SQLITE_CORRUPT: "the database is damaged: the next start sets it aside and begins a new epoch",
    sqlite3.SQLITE_NOTADB: "the database is damaged: the next start sets it aside and begins a new epoch",
}


class StorageError(Exception):
    """Storage cannot be opened; the message names the fault and the remedy. Trying again helps once that is done."""


class StorageInUseError(StorageError):
    """Another agent works in this directory: two at a time would give out the same places twice."""


def open_writable(path: Path, *, synchronous: Literal["FULL", "NORMAL"], is_private: bool = True) -> Database:
    """Open or create a database for the writer; safe to hand to another thread, for use by one at a time.

    `is_private`: what is deleted is overwritten (`secure_delete`), which costs a write of every page it was on.
    `temp_store` keeps sorted rows out of files. Raises `DatabaseError`, OSError.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives -wal and -shm the mode of the file
    connection = sqlite3.connect(path, timeout=_BUSY_S, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA secure_delete={'ON' if is_private else 'OFF'}")
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute(f"PRAGMA wal_autocheckpoint={_WAL_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit={_WAL_KEPT_BYTES}")
        return Database(connection, execute_plugins=False)
    except BaseException:
        connection.close()
        raise


def open_readonly(path: Path) -> Database:
    """Open for reading only, beside the writer. Raises `DatabaseError` when there is nothing to open."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S)
    try:
        connection.execute("PRAGMA query_only=ON")
        connection.execute("PRAGMA temp_store=MEMORY")
        return Database(connection, execute_plugins=False)
    except BaseException:
        connection.close()
        raise


def open_without_writing(path: Path) -> Database:
    """Open for reading where not even a lock or an index can be written: on a full disk or a read-only one.

    Nobody may write to the file meanwhile, in this process or another. Raises `DatabaseError`.
    """
    # `mode=ro` alone needs the shared index (-shm), which a full disk has no room for. What is in the write-ahead file
    # is read with an index in memory, which exclusive mode gives; without that file `immutable` takes the database as
    # it is, and would pass over that file (https://www.sqlite.org/wal.html, "Read-Only Databases").
    how = "vfs=unix-none" if path.with_name(f"{path.name}-wal").exists() else "immutable=1"
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&{how}", uri=True)
    try:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("PRAGMA query_only=ON")
        connection.execute("PRAGMA temp_store=MEMORY")
        return Database(connection, execute_plugins=False)
    except BaseException:
        connection.close()
        raise


def attach_readonly(database: Database, path: Path, name: str) -> None:
    """Make the tables of another file readable as `name.TABLE` (`name` comes from the code, never from outside)."""
    database.conn.execute(f"ATTACH DATABASE ? AS {name}", [f"{path.absolute().as_uri()}?mode=ro"])


def checkpoint(database: Database) -> bool:
    """Move the write-ahead file into the database and empty it; False while a reader keeps it from that."""
    busy, _, _ = database.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def vacuum(database: Database) -> None:
    """Write the whole database anew, through the write-ahead file and memory, so that free space holds nothing."""
    database.conn.execute("VACUUM")


def is_sound(database: Database) -> bool:
    """Whether every page reads as it should (`quick_check`: time grows with the file, seconds for 100 MB on a card)."""
    return [tuple(row) for row in database.conn.execute("PRAGMA quick_check(1)")] == [("ok",)]


def is_damage(error: BaseException) -> bool:
    """Whether the file itself is broken, so that trying again cannot help."""
    code = getattr(error, "sqlite_errorcode", None)
    if not isinstance(code, int):
        return False
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or code == sqlite3.SQLITE_IOERR_SHORT_READ


def is_missing_schema(error: BaseException) -> bool:
    """Whether the file is a database, but not this one: tables are missing, or others are in their place."""
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR


def explain(error: BaseException) -> str:
    """Fault and remedy in words; never a stored value."""
    code = getattr(error, "sqlite_errorcode", None)
    remedy = _REMEDIES.get(code & 0xFF) if isinstance(code, int) else None
    if isinstance(error, OSError) and error.errno is not None:
        return f"{os.strerror(error.errno)}: check the disk, its free space and the owner of the files"
    words = str(error).partition(" with text ")[0]  # of what is no UTF-8 the library repeats what stands there
    return f"{words}: {remedy}" if remedy else f"{type(error).__name__}: {words}"
