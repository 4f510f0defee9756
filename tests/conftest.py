"""What every test stands on: the flag for real pins, and no thread left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

# Long enough for a thread that was told to end and is on its way; a leak is one that stays.
_ENDING_S = 3.0


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("hardware", "real pins: an output that is wired to an input by one jumper")
    group.addoption("--hardware", action="store_true", help="also run the tests that need real pins")
    group.addoption("--gpio-chip", default="/dev/gpiochip0", help="the chip with the two lines")
    group.addoption("--gpio-drive", type=int, default=23, help="the line that drives")
    group.addoption("--gpio-sense", type=int, default=24, help="the line that senses")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--hardware"):
        return
    skip = pytest.mark.skip(reason="needs two GPIO lines joined by a jumper: run with --hardware")
    for item in items:
        if item.get_closest_marker("hardware"):
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def no_leaked_threads() -> Iterator[None]:
    """Fail a test that leaves a thread behind; threads of fixtures with a wider scope are older and stay."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + _ENDING_S
    while (leaked := _leaked(before)) and time.monotonic() < deadline:
        leaked[0].join(0.05)
    assert not leaked, f"threads left behind: {', '.join(thread.name for thread in leaked)}"


def _leaked(before: set[threading.Thread]) -> list[threading.Thread]:
    # Native threads that once called into Python stay listed for ever and cannot be joined.
    return [
        thread
        for thread in threading.enumerate()
        if thread not in before and not isinstance(thread, threading._DummyThread)
    ]
