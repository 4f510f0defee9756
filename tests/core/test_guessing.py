"""Wrong codes block a way for a while, and longer each time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.core.guessing import NONE, Guesses, GuessingRules, right, wrong

RULES = GuessingRules()


def guess(times: int, guesses: Guesses = NONE, at: float = 0.0) -> tuple[Guesses, list[float]]:
    blocks = []
    for _ in range(times):
        guesses, seconds = wrong(guesses, at, RULES)
        if seconds is not None:
            blocks.append(seconds)
    return guesses, blocks


def test_the_fifth_wrong_code_blocks_for_half_a_minute() -> None:
    guesses, blocks = guess(4)
    assert not guesses.is_blocked(0.0)
    guesses, more = guess(1, guesses)
    assert (blocks, more) == ([], [30.0])
    assert guesses.is_blocked(29.9)
    assert not guesses.is_blocked(30.0)


def test_each_block_is_twice_as_long_up_to_a_bound() -> None:
    guesses, at, lengths = NONE, 0.0, []
    for _ in range(8):
        guesses, blocks = guess(5, guesses, at)
        lengths += blocks
        at = guesses.blocked_until
    assert lengths == [30.0, 60.0, 120.0, 240.0, 480.0, 900.0, 900.0, 900.0]


def test_a_right_code_forgets_the_wrong_ones_and_the_blocks() -> None:
    guesses, _ = guess(5)
    guesses, _ = guess(4, guesses, 30.0)
    assert right(guesses, 30.0) == NONE


def test_a_right_code_that_was_under_way_does_not_lift_a_block() -> None:
    guesses, _ = guess(5)
    assert right(guesses, 10.0).is_blocked(10.0)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 2000)), max_size=200))
def test_nobody_gets_more_tries_than_the_blocks_allow(tries: list[tuple[bool, float]]) -> None:
    """Counted again, the simplest way: no five wrong codes without a block between them or a right code."""
    guesses, at, since, last_block = NONE, 0.0, 0, 0.0
    for is_right, pause_s in tries:
        at += pause_s
        if guesses.is_blocked(at):
            assert wrong(guesses, at, RULES) == (guesses, None)
            continue
        if is_right:
            guesses, since, last_block = right(guesses, at), 0, 0.0
            assert guesses == NONE
            continue
        guesses, seconds = wrong(guesses, at, RULES)
        since += 1
        assert (seconds is not None) is (since == RULES.wrong_codes)
        if seconds is not None:
            assert seconds == min(RULES.block_max_s, max(RULES.block_s, 2 * last_block))
            assert guesses.is_blocked(at)
            assert not guesses.is_blocked(at + seconds)
            since, last_block = 0, seconds
