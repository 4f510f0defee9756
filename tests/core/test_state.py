"""The state of the station as a value."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace

import pytest

from agent.core.state import StationState


def test_a_change_makes_another_state_that_differs_in_nothing_else() -> None:
    before = StationState(1.0, session="s-1")
    after = before.changed({"refresh_at": 3.0, "session": None})
    assert after == replace(before, refresh_at=3.0, session=None)
    assert before == StationState(1.0, session="s-1")
    assert all(hasattr(after, each.name) for each in fields(StationState))
    with pytest.raises(FrozenInstanceError):
        after.refresh_at = 4.0  # type: ignore[misc]


def test_a_field_that_does_not_exist_is_not_made_up() -> None:
    with pytest.raises(TypeError, match="sesion"):
        StationState(1.0).changed({"sesion": None, "refresh_at": 0.0})
