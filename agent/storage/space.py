"""Who gets the last bytes of a disk: the log does, and readings go without first.

Three steps. Below `LOW_BYTES` of free space people are told. Below `READINGS_BYTES` no minute of readings is written
any more: they wait in memory, within their bound, and what goes then is counted. When the disk is full and the log
cannot be written, it grows into a file `reserve` that was made while there was room and is given up a step at a time,
so that whatever else fills the disk can take no more than a step before the log has written. It is made anew once
there is room.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

RESERVE_FILE = "reserve"

# The write-ahead file has up to 8 MB before it moves into the database, which takes about 1 KB for an entry: with the
# rest more than a week of a busy station.
RESERVE_BYTES = 16 * 1024 * 1024
# Some commits, or all that a start on a full disk creates; a reserve has 64 of them.
STEP_BYTES = 256 * 1024
# The log takes half a megabyte a day and readings a few: weeks to come and free some space.
LOW_BYTES = 128 * 1024 * 1024
# The readings' own write-ahead file, that of the log, and as much again.
READINGS_BYTES = 32 * 1024 * 1024
# Told of as over only when it is clearly over.
_MARGIN_BYTES = 8 * 1024 * 1024


class Space:
    """The free space where the storage is, and the reserve. Used by one thread at a time."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path = directory / RESERVE_FILE
        self.is_low = False

    def free_bytes(self) -> int:
        """What an ordinary account may still write. Raises OSError."""
        found = os.statvfs(self._directory)
        return found.f_bavail * found.f_frsize

    def look(self) -> int:
        """Bring `is_low` up to date and make the reserve whole where there is room; the free bytes. Raises OSError."""
        free = self.free_bytes()
        self.is_low = free < LOW_BYTES + (_MARGIN_BYTES if self.is_low else 0)
        missing = RESERVE_BYTES - self._held_bytes()
        if missing > 0 and free - missing >= READINGS_BYTES:
            self._fill()
        return free

    def takes_readings(self) -> bool:
        """Whether there is room for what is worth less than the log. Raises OSError."""
        return self.free_bytes() >= READINGS_BYTES

    def give_up(self) -> bool:
        """Let go of a step of the reserve if the disk is full; whether that made room."""
        try:
            held = self._held_bytes()
            if not held or self.free_bytes() >= STEP_BYTES:
                return False
            os.truncate(self._path, max(0, held - STEP_BYTES))
        except OSError:
            return False
        self.is_low = True
        return True

    def _held_bytes(self) -> int:
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0

    def _fill(self) -> None:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Blocks and not only a size; a failure half-way leaves the size as it was.
            with contextlib.suppress(OSError):
                os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
        finally:
            os.close(descriptor)
