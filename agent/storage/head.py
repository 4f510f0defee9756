"""The head file: the last place that anybody may have been told of, synced apart from the database.

Two slots of one line each, 4096 bytes apart so that one write never touches the other's block, are written in turn: a
counter, the epoch, the sequence and the hash of the last entry, and a check sum. A write that is torn leaves the other
slot, which is the place before; nobody has been told of the new one yet. A lock on the directory keeps a second agent
out, also when somebody deletes the file while the first one runs.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from enum import Enum
from hashlib import sha256
from pathlib import Path

from agent.storage.chain import Position
from agent.storage.database import StorageInUseError

_SLOT_OFFSETS = (0, 4096)
_SLOT_BYTES = 3 * 21 + 64 + 1 + 16 + 1  # three numbers of 20 digits, a hash, a check sum, their separators


class HeadState(Enum):
    """How the file was found."""

    READ = "read"
    MISSING = "missing"
    DAMAGED = "damaged"


class Head:
    """The open head file. Used by one thread at a time.

    `position` is the place last written, or before the first when the file was missing or damaged (see `state`).
    """

    def __init__(self, path: Path) -> None:
        """Lock the directory and open or create the file. Raises `StorageInUseError` for another agent's, OSError."""
        self._lock = _lock(path.parent)
        try:
            self._open(path)
        except BaseException:
            os.close(self._lock)
            raise

    def _open(self, path: Path) -> None:
        is_new = not path.exists()
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if is_new:
                sync_directory(path.parent)
            size = os.fstat(self._descriptor).st_size
            slots = [self._read_slot(offset) for offset in _SLOT_OFFSETS]
        except BaseException:
            os.close(self._descriptor)
            raise
        self._counter, self.position = max((slot for slot in slots if slot), default=(0, Position()))
        if self._counter:
            self.state = HeadState.READ
        else:
            self.state = HeadState.DAMAGED if size else HeadState.MISSING

    def write(self, position: Position) -> None:
        """Replace the older slot and wait for the disk. Raises OSError; the place before then still stands."""
        text = f"{self._counter + 1:020} {position.epoch:020} {position.sequence:020} {position.hash}"
        line = f"{text} {_check_sum(text)}\n".encode()
        offset = _SLOT_OFFSETS[(self._counter + 1) % 2]
        if os.pwrite(self._descriptor, line, offset) != len(line):
            raise OSError("the head file took only a part of its line: free some space")
        os.fdatasync(self._descriptor)
        self._counter += 1
        self.position = position

    def close(self) -> None:
        """Close it and let go of the lock."""
        os.close(self._descriptor)
        os.close(self._lock)

    def _read_slot(self, offset: int) -> tuple[int, Position] | None:
        return _parse(os.pread(self._descriptor, _SLOT_BYTES, offset))


def lock_unwritable(directory: Path) -> int | None:
    """Lock a directory in which nothing can be written, until the descriptor returned is closed.

    None when it could not be locked. Raises `StorageInUseError` when another agent is there.
    """
    try:
        return _lock(directory)
    except OSError:  # it is not there, or on a file system without locks
        return None


def read_head(path: Path) -> Position | None:
    """Read without locking or creating; None when it is missing or damaged."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    slots = [_parse(content[offset : offset + _SLOT_BYTES]) for offset in _SLOT_OFFSETS]
    return max((slot for slot in slots if slot), default=(0, None))[1]


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable: a new file's name is not, by syncing the file."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock(directory: Path) -> int:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StorageInUseError(
            f"another agent is using {directory}: end it, or give this one another directory"
        ) from None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _parse(line: bytes) -> tuple[int, Position] | None:
    with contextlib.suppress(ValueError):  # UnicodeDecodeError is one
        text, check_sum = line.decode("ascii").rsplit(" ", 1)
        counter, epoch, sequence, hash_ = text.split(" ")
        if check_sum == f"{_check_sum(text)}\n":
            return int(counter), Position(int(epoch), int(sequence), hash_)
    return None


def _check_sum(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]
