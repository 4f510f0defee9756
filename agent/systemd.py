"""Tells systemd how the agent is: a few lines of sd_notify(3) in place of a library."""

from __future__ import annotations

import os
import socket


def notify(message: str) -> bool:
    """Send one message, such as `READY=1`; return whether systemd listens. Never blocks, never raises.

    Does nothing without NOTIFY_SOCKET. A name that begins with @ is in the abstract namespace.
    """
    name = os.environ.get("NOTIFY_SOCKET", "")
    if not name.startswith(("/", "@")):
        return False
    address = "\0" + name[1:] if name.startswith("@") else name
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)  # the deciding thread feeds the watchdog; a full queue means systemd is behind
            sender.sendto(message.encode(), address)
    except OSError:
        return False
    return True


def ready() -> bool:
    """The door is being looked after: the start is over."""
    return notify("READY=1")


def feed_watchdog() -> bool:
    """The deciding thread decides. Only it may call this."""
    return notify("WATCHDOG=1")


def stopping() -> bool:
    """The end has begun."""
    return notify("STOPPING=1")


def status(text: str) -> bool:
    """One line for `systemctl status`."""
    return notify("STATUS=" + " ".join(text.split()))


def watchdog_interval_s() -> float | None:
    """Seconds between two feedings, half of what systemd allows (sd_watchdog_enabled(3)); None: no watchdog."""
    pid = os.environ.get("WATCHDOG_PID")
    if pid is not None and pid != str(os.getpid()):
        return None  # meant for another process, such as our parent
    try:
        allowed_us = int(os.environ.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    return allowed_us / 1e6 / 2 if allowed_us > 0 else None
