"""Which way a head is to be turned, and how long whoever failed has to wait."""

from __future__ import annotations

from itertools import pairwise

from agent.core.movement import (
    FORGET_S,
    MAX_PAUSES,
    PAUSE_MAX_S,
    Challenges,
    abandoned,
    choose,
    count,
    failed,
    passed,
)


def test_the_way_is_a_fair_lot_that_nobody_without_the_secret_can_foresee() -> None:
    one = [choose(b"one" * 10, number) for number in range(2000)]
    assert one == [choose(b"one" * 10, number) for number in range(2000)]
    assert 900 < one.count("left") < 1100
    other = [choose(b"two" * 10, number) for number in range(2000)]
    assert 900 < sum(a == b for a, b in zip(one, other, strict=True)) < 1100
    repeats = sum(a == b for a, b in pairwise(one))
    assert 900 < repeats < 1100  # and the last one says nothing about the next


def test_who_failed_rests_ever_longer_but_not_without_end() -> None:
    challenges, at, rests = Challenges(), 0.0, []
    for _ in range(12):
        challenges = failed(challenges, "m-1", at, 10.0)
        rests.append(challenges.paused_until("m-1") - at)
        at = challenges.paused_until("m-1")
    assert rests[:4] == [10.0, 20.0, 40.0, PAUSE_MAX_S]
    assert set(rests[4:]) == {PAUSE_MAX_S}


def test_nobody_is_asked_sooner_than_the_settings_say_however_long_that_is() -> None:
    challenges = failed(failed(Challenges(), "m-1", 0.0, 300.0), "m-1", 0.0, 300.0)
    assert challenges.paused_until("m-1") == 300.0


def test_one_members_failure_is_nobody_elses_and_a_success_or_time_forgets_it() -> None:
    challenges = failed(Challenges(), "m-1", 0.0, 10.0)
    assert challenges.paused_until("m-2") < 0
    assert passed(challenges, "m-1").paused_until("m-1") < 0
    late = failed(challenges, "m-1", 10.0 + FORGET_S, 10.0)
    assert late.paused_until("m-1") == 20.0 + FORGET_S
    assert late.pauses["m-1"].failures == 1


def test_failures_pile_up_only_so_far() -> None:
    challenges = abandoned(Challenges(), (f"m-{n}" for n in range(10 * MAX_PAUSES)), 0.0, 10.0)
    assert len(challenges.pauses) == MAX_PAUSES
    assert challenges.paused_until(f"m-{10 * MAX_PAUSES - 1}") == 10.0


def test_each_movement_is_counted() -> None:
    assert count(count(Challenges())).asked == 2
