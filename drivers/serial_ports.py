"""The serial ports of this machine, by names that stay: for radars and meters."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from drivers.found import Found

BY_ID = Path("/dev/serial/by-id")


def scan(by_id: Path = BY_ID) -> Iterator[Found]:
    """The ports, USB ones by their link under `by_id`, which does not change with the order of plugging in.

    What hangs on a port cannot be seen without asking; the description is that of the port.
    """
    from serial.tools import list_ports

    stable = {link.resolve(): link for link in sorted(by_id.glob("*"))}
    for port in sorted(list_ports.comports()):
        path = stable.get(Path(port.device).resolve(), Path(port.device))
        named = port.description not in ("n/a", port.name)
        yield Found("serial", str(path), port.description if named else "serial port")
