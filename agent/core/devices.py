"""The wires: the door contact, the exit button, movement, and devices that fail."""

from __future__ import annotations

from agent import events
from agent.core import debounce, door, people, sensors
from agent.core.passage import drive_lock, let_out, put, settle_contact
from agent.core.state import Rules, StationState
from agent.core.turn import Turn

LOCK_RETRY_S = 2.0  # a relay that failed is given its order again this often


def on_contact(turn: Turn, event: events.DoorContactChanged) -> None:
    """The door contact moved, or cannot be read."""
    if event.is_open is None and turn.state.contact.raw is None and turn.state.contact.level is None:
        put(turn, door.Input.CONTACT_LOST)  # fitted, and not to be read from the start
    settle_contact(turn, event.at)  # the level before this edge may have held, though nobody looked then
    turn.set(contact=debounce.see(turn.state.contact, event.is_open, event.at))
    if event.is_open is None:
        turn.raise_fault("device.failed", "contact", "it cannot be read")
    else:
        turn.clear_fault("device.failed", "contact")


def door_deadline(state: StationState, rules: Rules) -> float | None:
    """The door's own, but not while a leaf that moved before it still bounces: who opened in time is no intruder."""
    due_at = state.door.deadline()
    settled_at = state.contact.deadline(rules.contact_debounce_s)
    if due_at is None or settled_at is None or state.contact.raw_since > due_at:
        return due_at
    return max(due_at, settled_at)


def on_exit_button(turn: Turn, event: events.ExitButtonPressed) -> None:
    """Somebody inside wants out."""
    let_out(turn, event.at)


def on_device_failed(turn: Turn, event: events.DeviceFailed) -> None:
    """A device does not do its work."""
    turn.raise_fault("lock.failed" if event.device == "lock" else "device.failed", event.device, event.reason)
    people.on_lost(turn, event.device)
    if event.device == "lock":
        turn.set(lock_retry_at=turn.now + LOCK_RETRY_S)


def on_device_recovered(turn: Turn, event: events.DeviceRecovered) -> None:
    """It does again."""
    turn.clear_fault("lock.failed" if event.device == "lock" else "device.failed", event.device)
    if event.device == "lock":
        turn.set(lock_retry_at=None)


def end_older_fault(turn: Turn, event: events.Event) -> None:
    """A driver says that a device works again only if it saw it fail: one from before the start ends with its word."""
    device = sensors.shown_to_work(event)
    key = ("device.failed", device)
    if device and key in turn.state.repairs and key not in turn.state.faults:
        turn.clear_fault(*key)


def _try_lock_again(turn: Turn) -> None:
    """An order that failed may have been the one to secure the lock: it is given until it is carried out."""
    if turn.state.lock_retry_at is not None and turn.now >= turn.state.lock_retry_at:
        turn.set(lock_retry_at=turn.now + LOCK_RETRY_S)
        drive_lock(turn)


def tend(turn: Turn) -> None:
    """Let the door's own time pass, and try the lock again where it failed."""
    door_at = door_deadline(turn.state, turn.rules)
    if door_at is not None and turn.now >= door_at:
        settle_contact(turn, turn.now)
        for what in door.due(turn.state.door, turn.now):
            put(turn, what)
    _try_lock_again(turn)
