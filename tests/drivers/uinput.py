"""A keyboard that the kernel makes (uinput), for machines that have it."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from pathlib import Path
from types import TracebackType

import pytest

from drivers.hid_reader import EV_KEY, EVIOCGRAB
from tests.drivers.typed import CODES, strokes

_DEVICE = Path("/dev/uinput")
# <linux/uinput.h>
_UI_SET_EVBIT = 0x40045564
_UI_SET_KEYBIT = 0x40045565
_UI_DEV_SETUP = 0x405C5503
_UI_DEV_CREATE = 0x5501
_UI_DEV_DESTROY = 0x5502
_UI_GET_SYSNAME = 0x8040552C

HAS_UINPUT = _DEVICE.exists() and os.access(_DEVICE, os.W_OK)
needs_uinput = pytest.mark.skipif(
    not HAS_UINPUT, reason="needs /dev/uinput (modprobe uinput); the recorded bytes stand for it in other tests"
)
"""Skips also where CI is set: most of its machines' kernels are built without it."""


class Keyboard:
    """A keyboard with the keys of `KEY_NAMES`. `path`: its event device."""

    def __enter__(self) -> Keyboard:
        self._descriptor = os.open(_DEVICE, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(self._descriptor, _UI_SET_EVBIT, EV_KEY)
        for code in CODES.values():
            fcntl.ioctl(self._descriptor, _UI_SET_KEYBIT, code)
        setup = struct.pack("HHHH80sI", 3, 0x1234, 0x5678, 1, b"station-agent test", 0)
        fcntl.ioctl(self._descriptor, _UI_DEV_SETUP, setup)
        fcntl.ioctl(self._descriptor, _UI_DEV_CREATE)
        name = fcntl.ioctl(self._descriptor, _UI_GET_SYSNAME, bytes(64)).rstrip(b"\0").decode()
        events = list(Path(f"/sys/devices/virtual/input/{name}").glob("event*"))
        self.path = f"/dev/input/{events[0].name}"
        return self

    def __exit__(self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None) -> None:
        fcntl.ioctl(self._descriptor, _UI_DEV_DESTROY)
        os.close(self._descriptor)

    def type(self, keys: str) -> None:
        """Press and let go."""
        os.write(self._descriptor, strokes(keys))

    def is_grabbed(self) -> bool:
        """Whether another program holds it for itself."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY)
        except OSError:
            return False
        try:
            fcntl.ioctl(descriptor, EVIOCGRAB, 1)
        except OSError as error:
            return error.errno == errno.EBUSY
        finally:
            os.close(descriptor)
        return False
