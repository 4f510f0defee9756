"""Whether somebody is inside, from all sensors together."""

from __future__ import annotations

import pytest

from agent.core import presence
from agent.core.presence import Inside, Presence
from agent.core.presence_sensors import DEAF_AFTER, HELD_S, MAX_SENSORS


def pass_time(state: Presence, until: float) -> Presence:
    at = state.at
    while at < until:
        at = min(until, at + 60.0)
        state = presence.tend(state, at)
    return state


def open_and_close(state: Presence, at: float) -> Presence:
    state = presence.door_moved(pass_time(state, at), True, at)
    return presence.door_moved(state, False, at + 5)


def come(state: Presence, at: float) -> Presence:
    return open_and_close(presence.passed(pass_time(state, at), True, at), at)


def go(state: Presence, at: float) -> Presence:
    return open_and_close(presence.passed(pass_time(state, at), False, at), at)


def shut() -> Presence:
    """A room that nobody is in, with a motion sensor and a radar that see nobody."""
    state = presence.door_moved(Presence(), False, 0.0)
    state = presence.sensed(presence.moved(state, "motion", False, 0.0), "radar", False, False, 0.0)
    return pass_time(state, 3600.0)


def test_nothing_is_claimed_at_the_start() -> None:
    state = presence.begin(2, 5.0)
    assert (state.claim, state.estimate, state.confidence) == (Inside.UNKNOWN, None, 0.5)


def test_a_silent_room_is_empty() -> None:
    state = shut()
    assert (state.claim, state.estimate) == (Inside.EMPTY, 0)
    assert state.confidence > 0.99


def test_who_comes_in_is_inside_and_who_leaves_is_not() -> None:
    state = come(shut(), 3700.0)
    assert (state.claim, state.estimate) == (Inside.OCCUPIED, 1)
    state = come(state, 3760.0)
    assert state.estimate == 2
    state = go(go(state, 3800.0), 3900.0)
    assert pass_time(state, 4000.0).claim is Inside.EMPTY


def test_a_sleeper_behind_a_closed_door_stays_inside() -> None:
    alone = presence.lose(shut(), "radar")
    state = presence.moved(come(alone, 3700.0), "motion", True, 3710.0)
    state = presence.moved(state, "motion", False, 3720.0)
    assert pass_time(state, 3720.0 + 60 * 60).claim is Inside.OCCUPIED  # longer than a check on people waits


def test_an_opening_by_nobody_known_fills_an_empty_room_until_silence_shows_the_contrary() -> None:
    state = open_and_close(shut(), 3700.0)
    assert (state.claim, state.estimate) == (Inside.OCCUPIED, 1)
    assert pass_time(state, 3700.0 + 15 * 60).claim is Inside.EMPTY


def test_a_radar_that_sees_somebody_in_a_closed_and_empty_room_is_not_believed_and_is_stuck_in_the_end() -> None:
    state = presence.sensed(shut(), "radar", True, False, 3700.0)
    state = pass_time(state, 3700.0 + 20 * 60)
    assert (state.claim, state.stuck) == (Inside.EMPTY, ())
    state = pass_time(state, 3700.0 + 35 * 60)
    assert (state.claim, state.stuck) == (Inside.EMPTY, ("radar",))
    state = presence.sensed(state, "radar", False, False, 6000.0)
    assert state.stuck == ()


def test_a_radar_that_nothing_could_contradict_is_not_accused() -> None:
    state = presence.door_moved(Presence(), False, 0.0)
    state = presence.sensed(pass_time(state, 600.0), "radar", True, False, 600.0)
    assert pass_time(state, 600.0 + 6 * 3600).stuck == ()


def test_a_motion_sensor_that_never_sees_anybody_is_stuck_until_it_does() -> None:
    state = shut()
    for n in range(DEAF_AFTER):
        state = go(come(state, 4000.0 + 1200 * n), 4300.0 + 1200 * n)
    state = pass_time(state, 4000.0 + 1200 * DEAF_AFTER)
    assert "motion" in state.stuck
    state = presence.moved(state, "motion", True, state.at + 1)
    assert "motion" not in state.stuck


def test_a_motion_sensor_that_never_lets_go_is_stuck() -> None:
    state = presence.moved(come(shut(), 3700.0), "motion", True, 3710.0)
    assert pass_time(state, 3710.0 + HELD_S + 60).stuck == ("motion",)


def test_counters_count_better_than_visits() -> None:
    state = presence.passed(shut(), True, 3700.0, by_counter=True)
    state = presence.passed(state, True, 3701.0, by_counter=True)
    state = presence.passed(state, True, 3702.0)  # the visit of the first
    assert state.estimate == 2


def test_a_count_that_is_wrong_is_forgotten_when_the_room_is_empty() -> None:
    state = come(come(shut(), 3700.0), 3800.0)
    state = pass_time(go(state, 3900.0), 3900.0 + 3600)  # the second left unseen
    assert (state.claim, state.count) == (Inside.EMPTY, 0)


def test_cooking_shows_that_somebody_is_there() -> None:
    before = open_and_close(shut(), 3700.0)
    doubtful = pass_time(before, 3700.0 + 150)
    assert presence.used(doubtful, doubtful.at).occupied > doubtful.occupied


def test_a_sensor_that_failed_says_nothing() -> None:
    state = presence.sensed(come(shut(), 3700.0), "radar", True, False, 3705.0)
    assert "radar" not in presence.lose(state, "radar").sensors
    assert presence.lose(state, "nobody's") is state


def test_time_that_the_machine_slept_through_is_no_silence() -> None:
    state = open_and_close(shut(), 3700.0)
    assert presence.tend(presence.put_off(state, 7200.0), state.at + 7200.0).belief == state.belief


@pytest.mark.parametrize("gap_s", [1.0, 60.0, 86_400.0 * 30])
def test_probabilities_stay_probabilities(gap_s: float) -> None:
    state = come(shut(), 3700.0)
    for n in range(20):
        state = presence.moved(presence.tend(state, state.at + gap_s), "motion", n % 2 == 0, state.at + gap_s)
        assert sum(state.belief) == pytest.approx(1.0)
        assert all(0 < each < 1 for each in (*state.belief, *state.base))


def test_one_sensor_too_many_is_left_out_and_harms_nobody() -> None:
    state = presence.begin(0, 0.0)
    for n in range(MAX_SENSORS + 1):
        state = presence.sensed(state, f"radar-{n}", is_present=True, is_moving=True, at=1.0 + n)
    state = presence.moved(state, "motion", is_moving=True, at=60.0)
    assert len(state.sensors) == MAX_SENSORS
