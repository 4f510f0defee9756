"""Two factors: two different ways that name the same member within a while.

A way is a factor when it proves something: a card or a pass that is held, a PIN that is known, a face, the master who
vouches. A member number alone proves nothing. A pass counts only together with its token, for whatever opens by it has
to be redeemed: where the token is gone, a face that was looked for because of it is a face alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.core.passes import Pass

PASS = "pass"  # noqa: S105 - the name of a way in
FACTORS = frozenset({"card", "face", "keypad", "master", PASS})


@dataclass(frozen=True, slots=True)
class Held:
    """The factor that was given first, and waits for another one `until` (station time). `token`: of a pass."""

    way: str
    member_id: str
    until: float
    token: Pass | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """Factors enough: the whole way in, and the pass that is one of them, not redeemed yet."""

    way: str
    token: Pass | None = None


def count(way: str) -> int:
    """How many factors a way in has; `card+face` has two."""
    return len(FACTORS.intersection(way.split("+")))


def join(
    held: Held | None,
    way: str,
    member_id: str,
    at: float,
    *,
    window_s: float,
    needed: int,
    token: Pass | None = None,
) -> tuple[Held | None, Proof | None]:
    """Add a way that named this member; returns what waits now, and the proof once it has factors enough.

    `token`: of the pass that is presented with it. A pass that is not needed for the proof is left as it is.
    """
    earlier = held if held is not None and held.member_id == member_id and at < held.until else None
    if token is None and earlier is not None:
        token = earlier.token
    own = [each for each in way.split("+") if each != PASS or token is not None]
    if count("+".join(own)) >= needed:
        return None, Proof("+".join(own), token if PASS in own else None)
    every = "+".join(dict.fromkeys([*(earlier.way.split("+") if earlier is not None else ()), *own]))
    if count(every) >= needed:
        return None, Proof(every, token)
    return Held(every, member_id, at + window_s, token), None
