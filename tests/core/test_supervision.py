"""When the vision child is started, ended and given a rest."""

from __future__ import annotations

from agent.core.supervision import (
    BUDGET,
    BUDGET_S,
    LOADING_S,
    PAUSE_S,
    REST_S,
    SILENCE_S,
    Phase,
    Supervision,
    begin,
    heard,
    put_off,
    started,
    stopped,
    tend,
)
from agent.effects import KillVision, StartVision


def start(now: float = 0.0) -> Supervision:
    state, orders = tend(begin(now), now)
    assert orders == (StartVision(),)
    return state


def test_the_child_is_started_at_once_and_only_once() -> None:
    state = start()
    assert state.phase is Phase.STARTING
    assert tend(state, 1.0) == (state, ())


def test_a_child_that_never_comes_up_is_ended() -> None:
    state = start()
    assert state.deadline() == LOADING_S
    assert tend(state, LOADING_S - 0.1)[1] == ()
    (order,) = tend(state, LOADING_S)[1]
    assert isinstance(order, KillVision)


def test_a_silent_child_is_ended_and_every_fact_puts_that_off() -> None:
    state = started(start(), 1.0)
    state = heard(state, 3.0)
    assert tend(state, 1.0 + SILENCE_S)[1] == ()
    state, orders = tend(state, 3.0 + SILENCE_S)
    assert isinstance(orders[0], KillVision)
    assert state.deadline() == 3.0 + 2 * SILENCE_S


def test_a_fact_while_it_loads_does_not_shorten_the_time_to_load() -> None:
    assert heard(start(), 1.0).silent_at == LOADING_S


def test_a_child_that_keeps_dying_is_started_five_times_a_minute_and_then_rests() -> None:
    state, starts = begin(0.0), list[float]()
    now = 0.0
    while now < 200:
        state, orders = tend(state, now)
        if StartVision() in orders:
            starts.append(now)
            state = stopped(state, now)
        deadline = state.deadline()
        assert deadline is not None
        assert deadline > now
        now = deadline
    assert starts[1] - starts[0] == PAUSE_S
    assert starts[BUDGET] - starts[BUDGET - 1] == REST_S
    for first, last in zip(starts, starts[BUDGET:], strict=False):
        assert last - first >= BUDGET_S


def test_one_death_a_day_never_uses_the_budget_up() -> None:
    state, now = begin(0.0), 0.0
    for _ in range(2 * BUDGET):
        state, _ = tend(state, now)
        state = stopped(started(state, now), now + 86_400)
        assert state.start_at == now + 86_400 + PAUSE_S
        now = state.start_at


def test_a_pause_that_was_skipped_does_not_count_against_the_child() -> None:
    state = put_off(started(start(), 0.0), 3600.0)
    assert tend(state, 3600.0 + SILENCE_S - 0.1)[1] == ()
    assert put_off(begin(1.0), 10.0).start_at == 11.0
    assert put_off(Supervision(), 10.0) == Supervision()
