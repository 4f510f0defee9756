"""A raw level counts once it has held."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.core.debounce import Debounced, see, settle

HOLD_S = 0.03


def test_a_level_counts_once_it_has_held() -> None:
    state = see(Debounced(False, False), True, at=1.0)
    assert settle(state, 1.02, HOLD_S).level is False
    assert settle(state, 1.03, HOLD_S).level is True


def test_a_bounce_that_comes_back_in_time_changes_nothing() -> None:
    state = see(Debounced(False, False), True, at=1.0)
    state = see(state, False, at=1.01)
    assert state.deadline(HOLD_S) is None
    assert settle(state, 9.0, HOLD_S).level is False


def test_every_new_edge_begins_the_time_again() -> None:
    state = Debounced(False, False)
    for n, raw in enumerate((True, False, True)):
        state = see(state, raw, at=1.0 + n / 100)
    assert state.deadline(HOLD_S) == 1.02 + HOLD_S


def test_an_edge_that_repeats_the_level_does_not_begin_the_time_again() -> None:
    state = see(see(Debounced(False, False), True, at=1.0), True, at=1.02)
    assert state.deadline(HOLD_S) == 1.0 + HOLD_S


def test_an_edge_older_than_the_last_one_is_ignored() -> None:
    state = see(Debounced(False, False), True, at=2.0)
    assert see(state, False, at=1.0) is state


@given(at=st.floats(0, 1e7), hold_s=st.floats(1e-4, 10))
def test_at_its_deadline_a_level_settles(at: float, hold_s: float) -> None:
    state = see(Debounced(False, False), True, at)
    deadline = state.deadline(hold_s)
    assert deadline is not None
    assert settle(state, deadline, hold_s).deadline(hold_s) is None
