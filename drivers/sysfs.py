"""Small text files that the kernel makes at the moment they are read."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from drivers.errors import DeviceError

# An attribute is one page at most, by the kernel's rules for sysfs.
_PAGE = 4096


def read_attribute(path: Path, what: str) -> str:
    """The text of an attribute. Blocks as long as the kernel's driver does. Raises `DeviceError` that names `what`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(descriptor, _PAGE).decode("ascii", errors="replace")
        finally:
            os.close(descriptor)
    except OSError as error:
        raise DeviceError(f"{what} cannot be read ({error.strerror}): {_remedy(error.errno)}") from error


def _remedy(number: int | None) -> str:
    if number in (errno.ENOENT, errno.ENODEV):
        return "it is not there; check its wires, its power and that its kernel driver is loaded"
    if number in (errno.EACCES, errno.EPERM):
        return "let the agent's account read it"
    if number == errno.EBUSY:
        return "another program uses it; end that"
    return "check its wires and its power"
