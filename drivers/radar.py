"""A 24 GHz radar that sees people who sit still: HLK-LD2410 (B, C) at a serial port.

It reports by itself some ten times a second at 256000 baud, 8N1: F4 F3 F2 F1, the length of the data (2 bytes), the
data, F8 F7 F6 F5; whole numbers are little-endian. The data: 02 (basic) or 01 (engineering), AA, state (bit 0 moving,
bit 1 still), distance of what moves (2, cm) and its energy (1), distance of what is still (2, cm) and its energy (1),
distance of detection (2, cm); in engineering mode more follows, which is not used; then 55 00. (Hi-Link, serial
protocol of the HLK-LD2410.) There is no checksum: a frame counts only when every fixed byte is right.

Untested on hardware: tested with bytes through a pseudo-terminal.
"""

from __future__ import annotations

import errno
import logging
import struct
import termios
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

from drivers.errors import DeviceError

_logger = logging.getLogger(__name__)

BAUD = 256_000

HEADER, TAIL = b"\xf4\xf3\xf2\xf1", b"\xf8\xf7\xf6\xf5"
_BASIC = struct.Struct("<BBBHBHBH")  # type, AA, state, moving cm, energy, still cm, energy, detection cm
_DATA_END = b"\x55\x00"
_SHORTEST = _BASIC.size + len(_DATA_END)
# Engineering mode has 35 bytes; more room for later firmware, and a bound on how long a wrong length makes it wait.
_LONGEST = 64
# It sees 6 m; what lies far beyond is no distance.
_FARTHEST_CM = 1000

# Read at once: at full speed 0.16 s of the wire.
_CHUNK = 4096
# How long a read waits for a byte, so that the end is seen soon.
_READ_S = 0.25
# Ten frames a second may each say something else; two reports within this are one too many for those who decide.
_MIN_GAP_S = 0.2
# A port that is gone is looked for soon at first, then seldom: whoever plugs it in again waits for it.
_FIRST_RETRY_S = 0.5
_LAST_RETRY_S = 10.0
# The thread waits a quarter of a second at most; longer means that a receiver hangs.
_JOIN_S = 2.0


_SILENCE = "sends nothing: check its power and that its TX goes to the port's RX"
_GARBAGE = f"sends nothing that can be read: check that it is an LD2410 at {BAUD} baud"
_REMEDIES = {
    errno.EACCES: "let the agent's account into the group dialout",
    errno.EAGAIN: "end the program that uses it",
    errno.EBUSY: "end the program that uses it",
}


@dataclass(frozen=True, slots=True)
class Presence:
    """What the radar sees. `is_still`: somebody who does not move; both can be.

    `distance_m`: to what moves, else to what is still; None when nobody is there. Energies: 0 to 100 by the radar.
    """

    is_moving: bool
    is_still: bool
    distance_m: float | None
    moving_energy: int = 0
    still_energy: int = 0


class Radar(Protocol):
    """Something that says whether somebody is there, also without movement."""

    def close(self) -> None:
        """Let go of the device; nothing is reported afterwards. Closing twice does nothing."""


OnPresence = Callable[[float, Presence], None]
"""`on_presence(at, presence)`: `at` in station time."""


class FrameParser:
    """Finds the frames in a stream of bytes that comes in pieces. It keeps one frame and the last piece at most.

    `bad_frames` counts what began as a frame and was none.
    """

    def __init__(self) -> None:
        self.bad_frames = 0
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[Presence]:
        """Take the next piece and return what its frames say, oldest first."""
        self._rest += data
        found = []
        while self._seek():
            size = self._size()
            if len(self._rest) < size:
                break
            presence = _decode(bytes(self._rest[6:size]))
            if presence is None:
                self.bad_frames += 1
                del self._rest[:1]  # a whole frame may begin within what looked like one
                continue
            del self._rest[:size]
            found.append(presence)
        return found

    def drop(self) -> None:
        """Forget what was begun."""
        self._rest.clear()

    def _seek(self) -> bool:
        """Go to the next header and return whether its length is there, too."""
        start = self._rest.find(HEADER)
        del self._rest[: start if start >= 0 else max(0, len(self._rest) - len(HEADER) + 1)]
        return start >= 0 and len(self._rest) >= len(HEADER) + 2

    def _size(self) -> int:
        """Bytes from header to tail; 0 for a length that no frame has."""
        length = int.from_bytes(self._rest[4:6], "little")
        return 6 + length + len(TAIL) if _SHORTEST <= length <= _LONGEST else 0


def _decode(frame: bytes) -> Presence | None:
    """What the data with its tail say; None when it is no report of a target."""
    data = frame[: -len(TAIL)]
    if frame[-len(TAIL) :] != TAIL or data[-len(_DATA_END) :] != _DATA_END:
        return None
    kind, head, state, moving_cm, moving_energy, still_cm, still_energy, _ = _BASIC.unpack_from(data)
    if kind not in (1, 2) or (kind == 2 and len(data) != _SHORTEST) or head != 0xAA or state > 3:
        return None
    if max(moving_cm, still_cm) > _FARTHEST_CM:
        return None
    is_moving, is_still = bool(state & 1), bool(state & 2)
    distance_m = moving_cm / 100.0 if is_moving else still_cm / 100.0 if is_still else None
    return Presence(is_moving, is_still, distance_m, moving_energy, still_energy)


class Ld2410:
    """A `Radar` at a serial port, such as `/dev/serial/by-id/usb-…` or `/dev/ttyAMA0`.

    `on_presence` gets the first report, every change of moving and still (at most one each 0.2 s), and each `repeat_s`
    seconds the same again. All calls come on this radar's thread, and so do `on_failed(at, reason)`, once when the port
    is gone or no frame came for `silence_s`, and `on_recovered(at)`, once frames come again, before the report; the
    port is tried again with growing pauses. `on_died(worker, reason)`: the thread died of a mistake.
    """

    def __init__(
        self,
        port: str,
        on_presence: OnPresence,
        *,
        on_failed: Callable[[float, str], None] | None = None,
        on_recovered: Callable[[float], None] | None = None,
        on_died: Callable[[str, str], None] | None = None,
        repeat_s: float = 10.0,
        silence_s: float = 3.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._port = port
        self._on_presence = on_presence
        self._on_failed = on_failed
        self._on_recovered = on_recovered
        self._on_died = on_died
        self._repeat_s = repeat_s
        self._silence_s = silence_s
        self._clock = clock
        self._parser = FrameParser()
        self._reported: tuple[float, Presence] | None = None
        self._has_failed = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"radar-{port.rpartition('/')[2]}", daemon=True)
        self._thread.start()

    @property
    def bad_frames(self) -> int:
        """How many frames were dropped since the beginning. For every thread."""
        return self._parser.bad_frames

    def close(self) -> None:
        """See `Radar`."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._thread.join(_JOIN_S)
        if self._thread.is_alive():
            _logger.error("%s did not end in %s s: a receiver hangs", self._thread.name, _JOIN_S)

    def _run(self) -> None:
        try:
            retry_s = _FIRST_RETRY_S
            while not self._closing.is_set():
                try:
                    port = _open(self._port)
                except DeviceError as error:
                    self._fail(str(error))
                else:
                    with closing(port):
                        self._listen(port)
                    if not self._has_failed:  # it had worked
                        retry_s = _FIRST_RETRY_S
                    self._fail(f"the radar's port {self._port} is gone: check its plug")
                self._closing.wait(retry_s)
                retry_s = min(2 * retry_s, _LAST_RETRY_S)
        except Exception as error:  # the border of this thread
            _logger.exception("a radar's thread died")
            if self._on_died is not None:
                self._on_died("radar", f"{type(error).__name__}: {error}")

    def _listen(self, port: Any) -> None:
        """Until the port is gone, or the end. `port`: a `serial.Serial`, which has no types."""
        self._parser.drop()
        good_at = time.monotonic()
        has_sent = False
        while not self._closing.is_set():
            try:
                data: bytes = port.read(1)
                if data:
                    data += port.read(min(port.in_waiting, _CHUNK))
            except OSError as error:
                _logger.debug("%s: %s", self._thread.name, error)
                return
            has_sent = has_sent or bool(data)
            for presence in self._parser.feed(data):
                good_at, has_sent = time.monotonic(), False
                self._take(good_at, presence)
            if time.monotonic() - good_at > self._silence_s:
                self._fail(f"the radar at {self._port} {_GARBAGE if has_sent else _SILENCE}")

    def _take(self, now: float, presence: Presence) -> None:
        if self._has_failed:
            self._has_failed = False
            self._reported = None
            if self._on_recovered is not None and not self._closing.is_set():
                self._on_recovered(self._clock())
        if self._is_news(now, presence) and not self._closing.is_set():
            self._reported = (now, presence)
            self._on_presence(self._clock(), presence)

    def _is_news(self, now: float, presence: Presence) -> bool:
        if self._reported is None:
            return True
        at, last = self._reported
        has_changed = (presence.is_moving, presence.is_still) != (last.is_moving, last.is_still)
        return now - at >= (min(_MIN_GAP_S, self._repeat_s) if has_changed else self._repeat_s)

    def _fail(self, reason: str) -> None:
        if not self._has_failed and not self._closing.is_set() and self._on_failed is not None:
            self._on_failed(self._clock(), reason)
        self._has_failed = True


def _open(path: str) -> Any:
    """The port for this program alone. Raises `DeviceError`."""
    import serial

    try:
        return serial.Serial(path, BAUD, timeout=_READ_S, exclusive=True)
    except (OSError, ValueError, termios.error) as error:
        number = error.errno if isinstance(error, OSError) else None
        remedy = _REMEDIES.get(number or 0, "check its plug and its name in the settings")
        raise DeviceError(f"the radar's port {path} cannot be opened: {remedy}") from error
