"""A door with a lock, a contact and a spring."""

from __future__ import annotations

from drivers.simulated.contact import SimulatedDoorContact
from drivers.simulated.lock import SimulatedLockRelay


class SimulatedDoor:
    """Links a simulated lock and a simulated contact: only a released lock lets the door open.

    `is_fail_safe`: whether the lock is open without current; a fail-secure one is open with it. The bolt is a latch:
    the door falls shut also while the lock is not released. It takes no time to move, and stays where it is until it is
    pushed or let go.
    """

    def __init__(self, lock: SimulatedLockRelay, contact: SimulatedDoorContact, *, is_fail_safe: bool = False) -> None:
        self._lock = lock
        self._contact = contact
        self._is_fail_safe = is_fail_safe

    @property
    def is_released(self) -> bool:
        """Whether the lock lets the door open now."""
        return self._lock.has_current is not self._is_fail_safe

    def push(self) -> bool:
        """Push against the door and hold it open if it gives; return whether it stands open now."""
        if self.is_released:
            self._contact.open_door()
        return self._contact.is_open is True

    def let_go(self) -> None:
        """Let go of the door: its spring shuts it."""
        self._contact.shut_door()

    def force(self) -> None:
        """Break the door open, whatever the lock does."""
        self._contact.open_door()
