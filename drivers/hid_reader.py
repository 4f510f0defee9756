"""Readers and keypads that are USB keyboards: read straight from the kernel's event device, and grabbed.

Grabbed (EVIOCGRAB) means that what is typed goes nowhere else: not to a console, not to whatever has the focus there.
A device that cannot be grabbed is not used. Records are `struct input_event` of <linux/input.h>; the names of the
numbers below are those of <linux/input-event-codes.h> and <linux/input.h>.

Untested on hardware: tested from recorded bytes through a pipe, and with uinput where a machine has it.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import select
import struct
import threading
import time
from collections.abc import Callable
from typing import Literal

from drivers.errors import DeviceError
from drivers.keypad import CLEAR, ENTER, MAX_CARD, OnCard, OnKey

_logger = logging.getLogger(__name__)

RECORD = struct.Struct("@llHHi")
"""`struct input_event` with the `timeval` of 64-bit kernels: seconds, microseconds, type, code, value."""

EV_SYN, EV_KEY = 0, 1
SYN_DROPPED = 3
EVIOCGRAB = 0x40044590  # _IOW('E', 0x90, int)
EVIOCSCLOCKID = 0x400445A0  # _IOW('E', 0xa0, int)

_DIGITS = {2: "1", 3: "2", 4: "3", 5: "4", 6: "5", 7: "6", 8: "7", 9: "8", 10: "9", 11: "0"}  # KEY_1 … KEY_0
_NUMBER_PAD = {82: "0", 79: "1", 80: "2", 81: "3", 75: "4", 76: "5", 77: "6", 71: "7", 72: "8", 73: "9"}  # KEY_KP0 …
_LETTERS = {30: "a", 48: "b", 46: "c", 32: "d", 18: "e", 33: "f"}
_ENDS = dict.fromkeys((28, 96, 0x20B), ENTER)  # KEY_ENTER, KEY_KPENTER, KEY_NUMERIC_POUND
_CLEARS = dict.fromkeys((1, 14, 55, 111, 0x20A), CLEAR)  # KEY_ESC, KEY_BACKSPACE, KEY_KPASTERISK, KEY_DELETE, …_STAR
_NUMERIC = {0x200 + digit: str(digit) for digit in range(10)}  # KEY_NUMERIC_0 …
KEY_NAMES = _DIGITS | _NUMBER_PAD | _LETTERS | _ENDS | _CLEARS | _NUMERIC
"""Code → key (see `keypad.KEYS`). Other keys have no meaning."""

_SILENT_KEYS = frozenset((42, 54, 69))  # both shifts and NumLock: readers press them between characters

# A reader types a card within a tenth of a second; a part of one that stays alone is from a broken read.
_TYPING_S = 1.0
# A device that was pulled out is looked for soon at first, then seldom: whoever plugs it in again waits for it.
_FIRST_RETRY_S = 0.5
_LAST_RETRY_S = 10.0
_RECORDS = 64  # read at once
# The thread waits for the device or for its end; longer means that a receiver hangs.
_JOIN_S = 2.0
# A record is handed over in milliseconds; one that seems older was stamped by another clock.
_OLDEST_S = 60.0

_GONE = "the reader does not answer: check its plug; it is tried again by itself"


def open_grabbed(path: str) -> int:
    """Open an event device for this program alone and return its file descriptor. Raises `DeviceError`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        remedy = "let the agent's account into the group input" if error.errno == errno.EACCES else "check its plug"
        raise DeviceError(f"the reader {path} cannot be opened ({error.strerror}): {remedy}") from error
    try:
        fcntl.ioctl(descriptor, EVIOCGRAB, 1)
        fcntl.ioctl(descriptor, EVIOCSCLOCKID, struct.pack("i", time.CLOCK_MONOTONIC))
    except OSError as error:
        os.close(descriptor)
        remedy = "end the program that has grabbed it" if error.errno == errno.EBUSY else "name an event device"
        raise DeviceError(f"the reader {path} cannot be grabbed ({error.strerror}): {remedy}") from error
    return descriptor


class TypedCard:
    """Puts the characters of a card together: those between two Enters, typed in one go."""

    def __init__(self) -> None:
        self._text = ""
        self._is_broken = False
        self._at = float("-inf")

    def take(self, at: float, key: str | None) -> str | None:
        """One key at its station time, None for one without meaning; returns a whole card's text."""
        if at - self._at > _TYPING_S:
            self.drop()
        self._at = at
        if key == ENTER:
            text, is_broken = self._text, self._is_broken
            self.drop()
            return text if text and not is_broken else None
        if key is None or key == CLEAR or len(self._text) >= MAX_CARD:
            self._is_broken = True
        else:
            self._text += key
        return None

    def drop(self) -> None:
        """Forget what was begun."""
        self._text, self._is_broken = "", False


class HidReader:
    """A `Reader` at an event device such as `/dev/input/by-id/usb-…-event-kbd`.

    `sends`: `cards` for a reader that types a number and Enter, `keys` for a keypad. `on_card` and `on_key` run on this
    reader's thread, and so do `on_failed(at, reason)`, once when the device goes away or is not there, and
    `on_recovered(at)`, once it is back; meanwhile it is tried again with growing pauses. `on_died(worker, reason)`: the
    thread died of a mistake. `open_device` is for tests.
    """

    def __init__(
        self,
        path: str,
        sends: Literal["cards", "keys"],
        on_card: OnCard,
        on_key: OnKey,
        *,
        on_failed: Callable[[float, str], None] | None = None,
        on_recovered: Callable[[float], None] | None = None,
        on_died: Callable[[str, str], None] | None = None,
        open_device: Callable[[str], int] = open_grabbed,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._sends = sends
        self._on_card = on_card
        self._on_key = on_key
        self._on_failed = on_failed
        self._on_recovered = on_recovered
        self._on_died = on_died
        self._open_device = open_device
        self._clock = clock
        self._card = TypedCard()
        self._is_closed = False
        self._has_failed = False
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name=f"hid-{path.rpartition('/')[2]}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """See `Reader`."""
        if self._is_closed:
            return
        self._is_closed = True
        os.eventfd_write(self._wake, 1)
        self._thread.join(_JOIN_S)
        if self._thread.is_alive():
            _logger.error("%s did not end in %s s: a receiver hangs", self._thread.name, _JOIN_S)
        else:
            os.close(self._wake)

    def _run(self) -> None:
        try:
            retry_s = _FIRST_RETRY_S
            while not self._is_closed:
                try:
                    descriptor = self._open_device(self._path)
                except DeviceError as error:
                    self._fail(str(error))
                else:
                    retry_s = _FIRST_RETRY_S
                    self._recover()
                    try:
                        self._listen(descriptor)
                    finally:
                        os.close(descriptor)
                    self._fail(_GONE)
                self._wait(retry_s)
                retry_s = min(2 * retry_s, _LAST_RETRY_S)
        except Exception as error:  # the border of this thread
            _logger.exception("a reader's thread died")
            if self._on_died is not None:
                self._on_died("hid reader", f"{type(error).__name__}: {error}")

    def _listen(self, descriptor: int) -> None:
        """Until the device is gone, or the end."""
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        self._card.drop()
        rest = b""
        while True:
            poll.poll()
            if self._is_closed:
                return
            try:
                data = os.read(descriptor, _RECORDS * RECORD.size)
            except BlockingIOError:
                continue
            except OSError:  # ENODEV: it was pulled out
                return
            if not data:
                return
            rest += data
            whole = len(rest) - len(rest) % RECORD.size
            for record in RECORD.iter_unpack(rest[:whole]):
                self._take(*record)
            rest = rest[whole:]

    def _take(self, seconds: int, microseconds: int, kind: int, code: int, value: int) -> None:
        if kind == EV_SYN and code == SYN_DROPPED:
            self._card.drop()  # the kernel's buffer ran over: a part of this card is missing
        if kind != EV_KEY or value != 1 or code in _SILENT_KEYS or self._is_closed:
            return  # 0 is a release, 2 a repetition of a key that is held
        age_s = time.monotonic() - (seconds + microseconds / 1e6)
        at = self._clock() - (age_s if 0.0 <= age_s <= _OLDEST_S else 0.0)
        key = KEY_NAMES.get(code)
        if self._sends == "keys":
            if key is not None:
                self._on_key(at, key)
        elif (number := self._card.take(at, key)) is not None:
            self._on_card(at, number)

    def _fail(self, reason: str) -> None:
        if not self._has_failed and not self._is_closed and self._on_failed is not None:
            self._on_failed(self._clock(), reason)
        self._has_failed = True

    def _recover(self) -> None:
        if self._has_failed and self._on_recovered is not None:
            self._on_recovered(self._clock())
        self._has_failed = False

    def _wait(self, seconds: float) -> None:
        if not self._is_closed:
            select.select([self._wake], [], [], seconds)
