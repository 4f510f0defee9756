"""Debouncing: a raw level counts once it has held for a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

Level = TypeVar("Level")


@dataclass(frozen=True, slots=True)
class Debounced(Generic[Level]):
    """`level` is what counts; `raw` what was last seen, since `raw_since` (station time)."""

    level: Level
    raw: Level
    raw_since: float = 0.0

    def deadline(self, hold_s: float) -> float | None:
        """When `settle` will have something to say."""
        return None if self.raw == self.level else self.raw_since + hold_s


def see(state: Debounced[Level], raw: Level, at: float) -> Debounced[Level]:
    """Take one raw edge; one that repeats the raw level, or is older than the last, does not restart the time."""
    if raw == state.raw or at < state.raw_since:
        return state
    return replace(state, raw=raw, raw_since=at)


def settle(state: Debounced[Level], now: float, hold_s: float) -> Debounced[Level]:
    """Let the raw level count when it has held for `hold_s` seconds."""
    deadline = state.deadline(hold_s)
    return state if deadline is None or now < deadline else replace(state, level=state.raw)
