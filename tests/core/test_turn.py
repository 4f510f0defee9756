"""One turn of the rules."""

from __future__ import annotations

from agent.core.state import Rules, StationState
from agent.core.turn import Turn


def test_what_is_already_so_makes_no_copy_and_what_is_not_does() -> None:
    before = StationState(started_at=0.0)
    turn = Turn(before, Rules(), 1.0)
    turn.set(door=before.door, is_moving=before.is_moving)
    assert turn.state is before
    turn.set(door=before.door, started_at=1.0)
    assert turn.state is not before
    assert (turn.state.started_at, before.started_at) == (1.0, 0.0)
