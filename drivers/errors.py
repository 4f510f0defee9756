"""What a driver can say went wrong.

Each message is one line: the fault, then what to do about it.

    DriverError
    +-- PinError             no GPIO chip, no permission, a line that another program holds, a line that is not there
    +-- DeviceError          the device is there but does not do its work: a read fails, a write fails
    |   +-- DeviceClosedError    it was used after `close()`: a mistake in the program
    +-- NotAllowedError      an order that the settings do not allow, such as switching a fridge's plug
    +-- UnknownPatternError  an indication that `drivers.indicator.PATTERNS` does not have
"""

from __future__ import annotations


class DriverError(Exception):
    """A driver cannot do what it was asked. `can_retry`: whether the same call may work later by itself."""

    can_retry = False


class PinError(DriverError):
    """The pin cannot be had: such as no `/dev/gpiochip0`, or a line that is in use. Somebody has to act first."""


class DeviceError(DriverError):
    """The device does not answer, or answers nonsense: such as a wire that came off, or a meter without power."""

    can_retry = True


class DeviceClosedError(DeviceError):
    """The device was used after it was closed: such as an order that came after the shutdown."""

    can_retry = False


class NotAllowedError(DriverError):
    """The settings do not allow this order: such as switching the plug of a fridge."""


class UnknownPatternError(DriverError, ValueError):
    """No indication has this name: such as `blink`."""
