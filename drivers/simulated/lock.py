"""A lock relay without wires."""

from __future__ import annotations

from drivers.errors import DeviceClosedError


class SimulatedLockRelay:
    """A `drivers.lock.Lock` that only remembers whether it is energised.

    It has no pin, takes no time to pull in or to fall off, never sticks and never fails.
    """

    def __init__(self) -> None:
        self._is_energised = False
        self._is_closed = False

    @property
    def is_energised(self) -> bool:
        """See `Lock`."""
        self._check_open()
        return self._is_energised

    def energise(self) -> None:
        """See `Lock`."""
        self._check_open()
        self._is_energised = True

    def deenergise(self) -> None:
        """See `Lock`."""
        self._check_open()
        self._is_energised = False

    def close(self) -> None:
        """See `Lock`."""
        self._is_energised = False
        self._is_closed = True

    @property
    def has_current(self) -> bool:
        """What a tester's lamp at the relay would show, also after `close()`."""
        return self._is_energised

    def _check_open(self) -> None:
        if self._is_closed:
            raise DeviceClosedError("the simulated lock relay is closed: give no orders after the shutdown")
