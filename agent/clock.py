"""The only place that asks what time it is.

Three times: *station time* (seconds, what rules and deadlines use), *monotonic* (seconds, what latencies are measured
with; the same for every process of a machine) and *wall* (UTC, for records, with whether it can be trusted).
"""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Protocol

_TIME_ERROR = 5  # adjtimex(2): the kernel's clock is not synchronised
_LIBC = ctypes.CDLL(None)  # once: loading it takes ten times as long as what is asked of it
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class WallTime:
    """UTC and whether a time source had set the clock."""

    utc: datetime
    is_trusted: bool

    def isoformat(self) -> str:
        """RFC 3339 in UTC with milliseconds, such as `2026-11-22T03:04:05.678Z`."""
        return self.utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Clock(Protocol):
    """Safe to call from every thread."""

    @property
    def boot_id(self) -> str:
        """The kernel's boot, so that monotonic times of two boots are never compared."""

    def now(self) -> float:
        """Station time, seconds."""

    def monotonic(self) -> float:
        """CLOCK_MONOTONIC, seconds; never skipped."""

    def wall(self) -> WallTime:
        """The time for records."""

    def station_time(self, monotonic: float) -> float:
        """Station time of a moment that another process measured on CLOCK_MONOTONIC."""

    def wall_at(self, at: float) -> WallTime:
        """The time for records of a moment in station time, by today's idea of UTC."""


class SystemClock:
    """The machine's own clocks; station time is CLOCK_MONOTONIC."""

    @property
    def boot_id(self) -> str:
        """See `Clock`."""
        return _read_boot_id()

    def now(self) -> float:
        """See `Clock`."""
        return time.monotonic()

    def monotonic(self) -> float:
        """See `Clock`."""
        return time.monotonic()

    def wall(self) -> WallTime:
        """See `Clock`."""
        return WallTime(datetime.now(UTC), is_trusted=_is_synchronised())

    def station_time(self, monotonic: float) -> float:
        """See `Clock`."""
        return monotonic

    def wall_at(self, at: float) -> WallTime:
        """See `Clock`."""
        wall = self.wall()
        return WallTime(wall.utc - timedelta(seconds=self.now() - at), wall.is_trusted)


class SkippingClock(SystemClock):
    """Real time with its pauses cut out, for the demo and for tests: station time and wall jump ahead together.

    It does not slow anything down or stand still: a scene still runs in real time.
    """

    def __init__(self) -> None:
        self._skipped_s = 0.0

    def skip(self, seconds: float) -> None:
        """Let `seconds` (0 or more) pass at once. Deciding thread only: post `PauseSkipped` instead of calling it."""
        if seconds < 0:
            raise ValueError(f"cannot skip {seconds} s: time only goes forward; give 0 or more")
        self._skipped_s += seconds

    def now(self) -> float:
        """See `Clock`."""
        return time.monotonic() + self._skipped_s

    def wall(self) -> WallTime:
        """See `Clock`."""
        wall = super().wall()
        return WallTime(wall.utc + timedelta(seconds=self._skipped_s), wall.is_trusted)

    def station_time(self, monotonic: float) -> float:
        """See `Clock`."""
        return monotonic + self._skipped_s


@cache
def _read_boot_id() -> str:
    return _BOOT_ID.read_text().strip()


def _is_synchronised() -> bool:
    """Ask the kernel (adjtimex, mode 0 only reads); chrony, ntpd and timesyncd all set its state."""
    buffer = ctypes.create_string_buffer(256)  # struct timex is 208 bytes on 64-bit Linux; modes == 0
    return _LIBC.adjtimex(buffer) not in (-1, _TIME_ERROR)
