"""An LD2410 at a pseudo-terminal: its frames by the maker's document, at its pace, and its plug."""

from __future__ import annotations

import os
import pty
import struct
import threading
import tty
from contextlib import suppress
from pathlib import Path

# A real one takes 0.1 s; quicker, so that the tests are.
PACE_S = 0.02


def frame(
    *, is_moving: bool = False, is_still: bool = False, moving_cm: int = 0, still_cm: int = 0, energy: int = 60
) -> bytes:
    """A frame of the basic mode."""
    state = is_moving + 2 * is_still
    data = struct.pack("<BBBHBHBH", 2, 0xAA, state, moving_cm, energy, still_cm, energy, max(moving_cm, still_cm))
    return wrapped(data + b"\x55\x00")


def wrapped(data: bytes) -> bytes:
    """Data with header, length and tail."""
    return b"\xf4\xf3\xf2\xf1" + struct.pack("<H", len(data)) + data + b"\xf8\xf7\xf6\xf5"


EMPTY = frame()


class Ld2410OnPty:
    """A module that sends `says` again and again; `path` is its port, which is there while it is plugged in."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "radar"
        self.says = EMPTY
        self._guard = threading.Lock()
        self._ends: tuple[int, int] | None = None
        self._stopping = threading.Event()
        self.plug_in()
        self._thread = threading.Thread(target=self._send, name="ld2410")
        self._thread.start()

    def plug_in(self) -> None:
        with self._guard:
            ends = pty.openpty()
            tty.setraw(ends[1])
            os.set_blocking(ends[0], False)  # who does not read loses bytes, as at a real port
            self.path.symlink_to(os.ttyname(ends[1]))
            self._ends = ends

    def pull_out(self) -> None:
        with self._guard:
            self.path.unlink(missing_ok=True)
            for end in self._ends or ():
                os.close(end)
            self._ends = None

    def say_once(self, data: bytes) -> None:
        with self._guard:
            assert self._ends is not None
            os.write(self._ends[0], data)

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()
        self.pull_out()

    def _send(self) -> None:
        while not self._stopping.wait(PACE_S):
            with self._guard, suppress(BlockingIOError):
                if self._ends is not None:
                    os.write(self._ends[0], self.says)
