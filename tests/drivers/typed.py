"""What a USB keyboard's event device hands over, and a kernel's Wiegand lines."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from drivers.hid_reader import EV_KEY, EV_SYN, KEY_NAMES, RECORD

CODES = {name: code for code, name in reversed(KEY_NAMES.items())}


def record(kind: int, code: int, value: int, at: float | None = None) -> bytes:
    """One `struct input_event`; `at` by CLOCK_MONOTONIC, default now."""
    at = time.monotonic() if at is None else at
    return RECORD.pack(int(at), int(at % 1 * 1e6), kind, code, value)


def strokes(keys: str, at: float | None = None) -> bytes:
    """These keys pressed and let go, each with the report's end as the kernel sends it."""
    return b"".join(
        record(EV_KEY, CODES[key], value, at) + record(EV_SYN, 0, 0, at) for key in keys for value in (1, 0)
    )


def card_bits(number: int, count: int = 26) -> list[int]:
    """A card's frame with its parities: even over the first half, odd over the second."""
    middle = [int(each) for each in f"{number:0{count - 2}b}"]
    half = len(middle) // 2
    return [sum(middle[:half]) % 2, *middle, 1 - sum(middle[half:]) % 2]


def times(bits: Sequence[int], begin: float, gap_s: float = 0.002) -> Iterator[tuple[float, int]]:
    """When each bit's pulse begins, and which it is."""
    return ((begin + number * gap_s, bit) for number, bit in enumerate(bits))
