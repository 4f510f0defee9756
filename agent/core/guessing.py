"""Against guessing: so many wrong codes on one way block that way for a while, each time twice as long.

The other ways stay open, so that nobody can lock the members out by typing nonsense. A right code forgets it all. (GB
50396-2007 wants an alarm within five wrong tries.)
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GuessingRules:
    """`wrong_codes`: how many until a block. Seconds: of the first block, and of the longest."""

    wrong_codes: int = 5
    block_s: float = 30.0
    block_max_s: float = 900.0


@dataclass(frozen=True, slots=True)
class Guesses:
    """One way. `wrong`: codes since the last block or right code; `blocked_until`: station time."""

    wrong: int = 0
    blocks: int = 0
    blocked_until: float = float("-inf")

    def is_blocked(self, at: float) -> bool:
        """Whether nothing that is tried now counts."""
        return at < self.blocked_until


NONE = Guesses()


def wrong(guesses: Guesses, at: float, rules: GuessingRules) -> tuple[Guesses, float | None]:
    """Count a wrong code; returns also for how many seconds the way is blocked by it, None: not yet."""
    if guesses.is_blocked(at):
        return guesses, None  # it was under way as the block began
    count = guesses.wrong + 1
    if count < rules.wrong_codes:
        return Guesses(count, guesses.blocks, guesses.blocked_until), None
    seconds = min(rules.block_max_s, rules.block_s * 2.0 ** min(guesses.blocks, 32))  # 2.0 ** 1024 would not fit
    return Guesses(0, guesses.blocks + 1, at + seconds), seconds


def right(guesses: Guesses, at: float) -> Guesses:
    """A right code forgets the wrong ones; a block that stands goes on."""
    return guesses if guesses.is_blocked(at) else NONE
