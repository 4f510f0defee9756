"""Frames from a camera that may freeze, hang or be pulled out, read on a thread of its own.

A frame is evidence only if it is newer than the last one and differs from the last few: OpenCV may give the last
picture, or the driver's ring of buffers, for ever after a camera was unplugged. Whoever takes frames sees the newest
one, never a backlog.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

FIRST_WAIT_S = 0.5  # before a camera is opened again; doubles
LONGEST_WAIT_S = 4.0  # a camera that was plugged in again is there within this
JOIN_S = 1.0
BUFFERS = 8  # frames that a driver may hand out in turn; OpenCV asks V4L2 for 4
_ROW_STEP = 4  # of the rows are compared; a real sensor's noise changes each of them

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
    """Reads `open_source()` until closed, and opens it again when it fails.

    `errors`: what a source raises as part of its trade; one whose `can_retry` is false is the end. `fresh_within_s`:
    how long there may be no frame before that is a failure.
    """

    def __init__(self, open_source: Open, errors: tuple[type[Exception], ...], fresh_within_s: float) -> None:
        self._open_source = open_source
        self._errors = errors
        self._fresh_within_s = fresh_within_s
        self._changed = threading.Condition()  # guards what follows
        self._frame: Frame | None = None
        self._fresh_at = time.monotonic()
        self._error = ""
        self._is_closed = False
        self._calling_since: float | None = None
        self._recent: deque[int] = deque(maxlen=BUFFERS)  # hashes of the last pictures; the thread's own
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
            if self._error:
                return self._error
        if self.is_stuck(self._fresh_within_s / 2):
            return "the camera does not answer: check its cable"
        return "the picture stands still: check the camera's cable, and that nothing covers it"

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
            opened_at = time.monotonic()
            try:
                self._play()
            except self._errors as error:
                self._fail(str(error), is_known=True)
                if not getattr(error, "can_retry", True):
                    return
            except Exception as error:  # noqa: BLE001 - a worker's top: whatever a driver throws, it is tried again
                self._fail(f"the camera's driver failed ({type(error).__name__})", is_known=False)
            with self._changed:
                if self._fresh_at > opened_at:
                    wait_s = FIRST_WAIT_S
                self._changed.wait_for(lambda: self._is_closed, wait_s)
                wait_s = min(LONGEST_WAIT_S, wait_s * 2)

    def _fail(self, reason: str, *, is_known: bool) -> None:
        with self._changed:
            is_new = self._error != reason
            self._error = reason
        if is_new:
            log.warning("%s", reason, exc_info=not is_known)

    def _play(self) -> None:
        """Open the camera and read it until it fails or is no longer wanted."""
        self._calling_since = time.monotonic()
        try:
            source = self._open_source()
            try:
                while not self._is_closed:
                    self._calling_since = time.monotonic()
                    picture, at = source.read()
                    self._take(picture, min(at, time.monotonic()))
            finally:
                self._calling_since = time.monotonic()  # letting go of a camera can hang, too
                source.close()
        finally:
            self._calling_since = None

    def _take(self, picture: NDArray[np.uint8], at: float) -> None:
        last = self._frame
        trace = hash((picture.shape, picture[::_ROW_STEP].tobytes()))
        if trace in self._recent or (last is not None and at <= last.at):
            return
        self._recent.append(trace)
        with self._changed:
            self._frame = Frame(picture, at, last.number + 1 if last is not None else 1)
            self._fresh_at = time.monotonic()
            self._error = ""
            self._changed.notify_all()
