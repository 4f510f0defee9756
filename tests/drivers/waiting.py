"""Wait for what another thread will do."""

from __future__ import annotations

import time
from collections.abc import Callable

# Far beyond anything that works; only a failing test waits so long.
LIMIT_S = 10.0


def eventually(holds: Callable[[], bool]) -> bool:
    """Return whether `holds()` became true in time."""
    deadline = time.monotonic() + LIMIT_S
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True
