"""What somebody types on a keypad: a member number, `#`, a PIN, `#`; `*` begins again.

Keys come one by one with long pauses or none. Whatever is typed is bounded, forgotten `ENTRY_S` after the last key, and
never printed: an entry shows dots.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

ENTER = "#"
CLEAR = "*"
ENTRY_S = 10.0
"""From one key to the next; whoever needs longer begins again, and nobody ends what another one began."""

MAX_NUMBER = 10
MAX_PIN = 12
DIGITS = frozenset("0123456789")


@dataclass(frozen=True, slots=True)
class Entry:
    """What was typed so far. `at`: station time of the last key. `number` is None until its `#`."""

    at: float
    digits: str = field(default="", repr=False)
    number: str | None = field(default=None, repr=False)

    @property
    def shown(self) -> str:
        """As a screen may show it."""
        return "•" * len(self.digits)

    @property
    def until(self) -> float:
        """When it is forgotten."""
        return self.at + ENTRY_S


@dataclass(frozen=True, slots=True)
class NumberTyped:
    """The first part is there; the PIN is still to come."""

    number: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CodeTyped:
    """Number and PIN are there, right or wrong."""

    number: str = field(repr=False)
    pin: str = field(repr=False)


Typed = NumberTyped | CodeTyped


def press(entry: Entry | None, key: str, at: float) -> tuple[Entry | None, Typed | None]:
    """Take one key; returns what is typed so far (None: nothing) and what has become whole with it.

    A key that is neither a digit, `#` nor `*` changes nothing. Digits beyond the longest there can be make an entry
    that no member has, so that a jammed key is a wrong code and not a long one.
    """
    if entry is None or at >= entry.until:
        entry = Entry(at)
    if key == CLEAR:
        return None, None
    if key == ENTER:
        return _end_part(entry, at)
    if key not in DIGITS:
        return (entry if entry.digits or entry.number is not None else None), None
    most = MAX_NUMBER if entry.number is None else MAX_PIN
    return replace(entry, at=at, digits=(entry.digits + key)[: most + 1]), None


def _end_part(entry: Entry, at: float) -> tuple[Entry | None, Typed | None]:
    if not entry.digits:
        return (None if entry.number is None else entry), None  # an Enter too many
    if entry.number is None:
        return Entry(at, number=entry.digits), NumberTyped(entry.digits)
    return None, CodeTyped(entry.number, entry.digits)
