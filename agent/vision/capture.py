"""Frames from a camera that may freeze, hang or be pulled out, read on a thread of its own.

A frame is evidence only if it is newer than the last one and differs from it: OpenCV may give the last picture for ever
after a camera was unplugged. Whoever takes frames sees the newest one, never a backlog.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

FIRST_WAIT_S = 0.5  # before a camera is opened again; doubles
LONGEST_WAIT_S = 5.0  # a camera that was plugged in again is there within this
JOIN_S = 1.0

Open = Callable[[], "Source"]


class Source(Protocol):
    """An open camera, as `drivers.camera` has it."""

    def read(self) -> tuple[NDArray[np.uint8], float]:
        """The next frame, (H, W, 3) uint8 RGB, and when it was captured (CLOCK_MONOTONIC, seconds)."""

    def close(self) -> None:
        """Let go of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A frame that is evidence. `number` counts them from 1."""

    picture: NDArray[np.uint8]
    at: float
    number: int


class Capture:
    """Reads `open_source()` until closed, and opens it again when it fails. `errors`: what a source may raise."""

    def __init__(self, open_source: Open, errors: tuple[type[Exception], ...], fresh_within_s: float) -> None:
        self._open_source = open_source
        self._errors = errors
        self._fresh_within_s = fresh_within_s
        self._changed = threading.Condition()  # guards what follows
        self._frame: Frame | None = None
        self._fresh_at = time.monotonic()
        self._error = ""
        self._is_closed = False
        self._source: Source | None = None
        self._calling_since: float | None = None
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._thread.start()

    def next(self, after: int, timeout_s: float) -> Frame | None:
        """The newest frame if its number is above `after`, waiting for it up to `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None and self._frame.number > after, timeout_s)
            return self._frame if self._frame is not None and self._frame.number > after else None

    def failure(self) -> str:
        """Why there is no fresh frame, once that has lasted for `fresh_within_s`; else empty."""
        with self._changed:
            if time.monotonic() - self._fresh_at < self._fresh_within_s:
                return ""
            return self._error or "the picture stands still or the camera does not answer"

    def is_stuck(self, limit_s: float) -> bool:
        """Whether one call into the camera's driver has not returned for `limit_s`."""
        began_at = self._calling_since
        return began_at is not None and time.monotonic() - began_at > limit_s

    def close(self) -> None:
        """End the thread; one that hangs in the camera's driver is left behind and ends with the process."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join(JOIN_S)

    def _run(self) -> None:
        wait_s = FIRST_WAIT_S
        while not self._is_closed:
            try:
                self._calling_since = time.monotonic()
                self._source = self._open_source()
                self._read_all(self._source)
            except self._errors as error:
                with self._changed:
                    if self._error != str(error):
                        log.warning("%s", error)
                    self._error = str(error)
                    was_good = time.monotonic() - self._fresh_at < self._fresh_within_s
                    wait_s = FIRST_WAIT_S if was_good else min(LONGEST_WAIT_S, wait_s * 2)
            finally:
                self._calling_since = None
                if self._source is not None:
                    self._source.close()
                    self._source = None
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed, wait_s)

    def _read_all(self, source: Source) -> None:
        while not self._is_closed:
            self._calling_since = time.monotonic()
            picture, at = source.read()
            self._calling_since = None
            last = self._frame
            if last is not None and (at <= last.at or np.array_equal(picture, last.picture)):
                continue
            with self._changed:
                self._frame = Frame(picture, at, last.number + 1 if last is not None else 1)
                self._fresh_at = time.monotonic()
                self._error = ""
                self._changed.notify_all()
