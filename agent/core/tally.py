"""The counter in the door beside what is known of who comes and goes: the same person is never counted twice.

Whoever was let in or out is expected at the counter, and whoever is counted is one of them while there is one. The two
come in either order: somebody recognised on the way through an open door may be counted before the grant is decided.
So who is counted and not expected waits a moment before they are somebody of whom nothing is known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

PAIR_S = 3.0  # from a face in view to the grant it takes 1 s; an event is to be at the centre within 5 s
OPEN_PAIR_S = (
    15.0  # from a grant to passing a door that stands open; who was let in and stayed out is missing after that
)
MAX_WAITING = 32  # more people than this do not pass a door in `OPEN_PAIR_S`; a counter that chatters is not believed


@dataclass(frozen=True, slots=True)
class CounterRules:
    """`is_fitted`: whether somebody counts those who pass the door."""

    is_fitted: bool = False


@dataclass(frozen=True, slots=True)
class Direction:
    """Of those who go one way: when each was `counted` and is not known yet, until when each is `expected`."""

    counted: tuple[float, ...] = ()
    expected: tuple[float, ...] = ()

    def expect(self, now: float, until: float) -> Direction:
        """Somebody was let through: they are the one who was counted just before, or will be counted `until` then."""
        if self.counted:
            return replace(self, counted=self.counted[1:])
        waiting = tuple(each for each in self.expected if each > now)
        return replace(self, expected=tuple(sorted((*waiting, until)))[-MAX_WAITING:])

    def count(self, at: float) -> Direction:
        """The counter saw somebody: one who was expected, or one of whom nothing is known so far."""
        waiting = tuple(each for each in self.expected if each > at)
        if waiting:
            return replace(self, expected=waiting[1:])
        return Direction(counted=(*self.counted, at)[:MAX_WAITING])

    def unknown(self, now: float) -> tuple[Direction, tuple[float, ...]]:
        """Those of whom nothing will be known any more: when each was counted."""
        over = tuple(each for each in self.counted if now >= each + PAIR_S)
        return replace(self, counted=tuple(each for each in self.counted if each not in over)), over


@dataclass(frozen=True, slots=True)
class Tally:
    """Both ways."""

    entering: Direction = Direction()
    leaving: Direction = Direction()

    def deadline(self) -> float | None:
        """When the next one counts as unknown."""
        return min((at + PAIR_S for at in (*self.entering.counted, *self.leaving.counted)), default=None)
