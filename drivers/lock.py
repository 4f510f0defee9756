"""The relay that puts current on the lock. Imports nothing heavy: `station lock-safe` imports this module alone.

After `close()`, and once the process is gone, the line keeps its level only as long as the kernel holds it (a Raspberry
Pi does). Give the relay's input a resistor to its resting level, so that it also rests while the machine boots.
"""

from __future__ import annotations

from typing import Protocol

from gpiozero import Factory, OutputDevice

from drivers.errors import DeviceClosedError
from drivers.pins import DEFAULT_CHIP, claiming, open_pins, using


class Lock(Protocol):
    """Current on the lock, or none. Without current is the safe state; whether that is open is the lock's kind."""

    @property
    def is_energised(self) -> bool:
        """Whether there is current on the lock, by reading the output back. Raises `DeviceError`."""

    def energise(self) -> None:
        """Put current on. Takes microseconds. Raises `DeviceError`."""

    def deenergise(self) -> None:
        """Take the current off. Takes microseconds. Raises `DeviceError`."""

    def close(self) -> None:
        """Take the current off and release the pin. Closing twice does nothing. Raises `DeviceError` if it stays on."""


class LockRelay:
    """A `Lock` behind a relay on one pin, without current from the first moment.

    `pin`: the line's offset (a Raspberry Pi's BCM number). `active_high`: whether a high level puts current on.
    Raises `PinError`.
    """

    def __init__(self, pin: int, *, active_high: bool, pin_factory: Factory) -> None:
        self._what = f"lock relay on line {pin}"
        self._is_closed = False
        with claiming(self._what):
            self._output = OutputDevice(pin, active_high=active_high, initial_value=False, pin_factory=pin_factory)

    @property
    def is_energised(self) -> bool:
        """See `Lock`."""
        self._check_open()
        with using(self._what):
            return bool(self._output.value)

    def energise(self) -> None:
        """See `Lock`."""
        self._check_open()
        with using(self._what):
            self._output.on()

    def deenergise(self) -> None:
        """See `Lock`."""
        self._check_open()
        with using(self._what):
            self._output.off()

    def close(self) -> None:
        """See `Lock`."""
        if self._is_closed:
            return
        try:
            self.deenergise()
        finally:
            self._is_closed = True
            with using(self._what):
                self._output.close()

    def _check_open(self) -> None:
        if self._is_closed:
            raise DeviceClosedError(f"{self._what} is closed: give no orders after the shutdown")


def make_safe(pin: int, *, active_high: bool, chip: str = DEFAULT_CHIP) -> None:
    """Take the current off a lock that nobody holds any more: after a crash. Raises `PinError`, `DeviceError`."""
    with open_pins(chip) as pins:
        LockRelay(pin, active_high=active_high, pin_factory=pins).close()
