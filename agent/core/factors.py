"""Two factors: two different ways that name the same member within a while.

A way is a factor when it proves something: a card or a pass that is held, a PIN that is known, a face, the master who
vouches. A member number alone proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

FACTORS = frozenset({"card", "face", "keypad", "master", "pass"})


@dataclass(frozen=True, slots=True)
class Held:
    """The factor that was given first, and waits for another one `until` (station time)."""

    way: str
    member_id: str
    until: float


def count(way: str) -> int:
    """How many factors a way in has; `card+face` has two."""
    return len(FACTORS.intersection(way.split("+")))


def join(
    held: Held | None, way: str, member_id: str, at: float, *, window_s: float, needed: int
) -> tuple[Held | None, str | None]:
    """Add a way that named this member; returns what waits now, and the whole way in once it has factors enough."""
    if count(way) >= needed:
        return None, way
    whole = way
    if held is not None and held.member_id == member_id and at < held.until:
        whole = "+".join(dict.fromkeys([*held.way.split("+"), *way.split("+")]))
    if count(whole) >= needed:
        return None, whole
    return Held(whole, member_id, at + window_s), None
