"""What every reader and keypad reports, whatever wires it has: cards as text, keys as single characters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

ENTER = "#"
CLEAR = "*"
KEYS = frozenset("0123456789abcdef" + ENTER + CLEAR)
"""Every key there is; a keypad without `#` and `*` has Enter and Esc (or its own names for them) in their place."""

OnCard = Callable[[float, str], None]
"""`on_card(at, number_text)`: digits and a–f as the reader gives them, at most `MAX_CARD`; `at` in station time."""

OnKey = Callable[[float, str], None]
"""`on_key(at, key)`: one of `KEYS`."""

MAX_CARD = 32  # characters; the longest UID of ISO 14443 has 20

# Keypads with a Wiegand output send these for what is no digit (HID and ZKTeco among others agree).
_BURST_KEYS = "0123456789" + CLEAR + ENTER


class Reader(Protocol):
    """A reader of cards, a keypad, or both in one."""

    def close(self) -> None:
        """Let go of the device; nothing is reported afterwards. Closing twice does nothing."""


def key_of_burst(bits: Sequence[int]) -> str | None:
    """The key of a burst of 4 bits, or of 8 whose first half is the other half turned round; None: not a key."""
    if len(bits) == 8:
        if any(one == other for one, other in zip(bits[:4], bits[4:], strict=True)):
            return None
        bits = bits[4:]
    if len(bits) != 4:
        return None
    value = int("".join(map(str, bits)), 2)
    return _BURST_KEYS[value] if value < len(_BURST_KEYS) else None
