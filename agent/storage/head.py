"""The head file: the last place that anybody may have been told of, synced apart from the database.

Two slots of one line each, 4096 bytes apart so that one write never touches the other's block, are written in turn: a
counter, the epoch, the sequence and the hash of the last entry, the file's own inode and time of birth, and a check
sum. A write that is torn leaves the other slot, which is the place before; nobody has been told of the new one yet.

The file is only ever written in place, so an inode or a birth that differs means that somebody copied it: a backup of
the whole directory was put back, in which database and head agree and both are old. Only a copy of the whole disk,
block by block, keeps both. The device's number is not looked at: a card gets another one at another socket.

A lock on the directory keeps a second agent
out, also when somebody deletes the file while the first one runs.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import struct
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from pathlib import Path

from agent.storage.chain import Position
from agent.storage.database import StorageInUseError

_SLOT_OFFSETS = (0, 4096)
_SLOT_BYTES = 5 * 21 + 64 + 1 + 16 + 1  # five numbers of 20 digits, a hash, a check sum, their separators
# statx(2): struct statx is 256 bytes, `stx_btime` stands at 80 as seconds and nanoseconds.
_AT_EMPTY_PATH = 0x1000
_STATX_BTIME = 0x800
_STATX_BYTES = 256
_BIRTH_OFFSET = 80


class HeadState(Enum):
    """How the file was found."""

    READ = "read"
    MISSING = "missing"
    DAMAGED = "damaged"
    COPIED = "copied"


@dataclass(frozen=True, slots=True, order=True)
class _Slot:
    """`inode` and `born_ns` are 0 where they are not known: an older agent wrote it, the file system has no births."""

    counter: int
    position: Position
    inode: int = 0
    born_ns: int = 0


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
            found = os.fstat(self._descriptor)
            self._inode, self._born_ns = found.st_ino, _born_ns(self._descriptor)
            slots = [self._read_slot(offset) for offset in _SLOT_OFFSETS]
        except BaseException:
            os.close(self._descriptor)
            raise
        last = max((slot for slot in slots if slot), default=_Slot(0, Position()))
        self._counter, self.position = last.counter, last.position
        if last.counter:
            self.state = HeadState.READ if self._is_own(last) else HeadState.COPIED
        else:
            self.state = HeadState.DAMAGED if found.st_size else HeadState.MISSING

    def write(self, position: Position) -> None:
        """Replace the older slot and wait for the disk. Raises OSError; the place before then still stands."""
        place = f"{position.epoch:020} {position.sequence:020} {position.hash}"
        text = f"{self._counter + 1:020} {place} {self._inode:020} {self._born_ns:020}"
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

    def _is_own(self, slot: _Slot) -> bool:
        is_born_then = not slot.born_ns or not self._born_ns or slot.born_ns == self._born_ns
        return not slot.inode or (slot.inode == self._inode and is_born_then)

    def _read_slot(self, offset: int) -> _Slot | None:
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
    found = max((slot for slot in slots if slot), default=None)
    return None if found is None else found.position


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


def _parse(slot: bytes) -> _Slot | None:
    with contextlib.suppress(ValueError):  # UnicodeDecodeError is one
        line, end, _ = slot.partition(b"\n")
        text, check_sum = line.decode("ascii").rsplit(" ", 1)
        counter, epoch, sequence, hash_, *own = text.split(" ")
        if end and check_sum == _check_sum(text):
            return _Slot(int(counter), Position(int(epoch), int(sequence), hash_), *map(int, own[:2]))
    return None


def _born_ns(descriptor: int) -> int:
    """When this file was made, or 0 where nobody knows; `os.stat` does not tell on Linux."""
    try:
        statx = ctypes.CDLL(None).statx
    except AttributeError:  # an old C library
        return 0
    found = ctypes.create_string_buffer(_STATX_BYTES)
    if statx(descriptor, b"", _AT_EMPTY_PATH, _STATX_BTIME, found):
        return 0
    (known,) = struct.unpack_from("=I", found)
    seconds, nanoseconds = struct.unpack_from("=qI", found, _BIRTH_OFFSET)
    return max(0, seconds * 10**9 + nanoseconds) if known & _STATX_BTIME else 0


def _check_sum(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]
