"""Two different ways that name the same member."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.factors import FACTORS, Held, Proof, count, join
from agent.core.passes import Pass

WINDOW_S = 15.0
TOKEN = Pass(1, "a" * 16, "m-1")


def token_of(way: str) -> Pass | None:
    return TOKEN if way == "pass" else None


def given_ways(*ways: tuple[str, str, float], needed: int = 2) -> tuple[Held | None, list[str]]:
    held: Held | None = None
    opened = []
    for way, member_id, at in ways:
        held, proof = join(held, way, member_id, at, window_s=WINDOW_S, needed=needed, token=token_of(way))
        if proof is not None:
            assert (proof.token is not None) == ("pass" in proof.way)
            opened.append(proof.way)
    return held, opened


@pytest.mark.parametrize(
    ("way", "factors"), [("card", 1), ("number", 0), ("number+face", 1), ("card+face", 2), ("pass+keypad", 2), ("", 0)]
)
def test_what_proves_something_is_a_factor(way: str, factors: int) -> None:
    assert count(way) == factors


def test_one_is_enough_where_one_is_needed() -> None:
    assert given_ways(("face", "m-1", 0.0), needed=1) == (None, ["face"])


@pytest.mark.parametrize(
    ("one", "other"), [("card", "keypad"), ("face", "card"), ("pass", "keypad"), ("keypad", "face")]
)
def test_two_different_ways_of_one_member_open_and_are_used_up(one: str, other: str) -> None:
    held, opened = given_ways((one, "m-1", 0.0), (other, "m-1", 14.9))
    assert (held, opened) == (None, [f"{one}+{other}"])


def test_the_same_way_twice_is_one_factor() -> None:
    held, opened = given_ways(("card", "m-1", 0.0), ("card", "m-1", 1.0))
    assert (held, opened) == (Held("card", "m-1", 16.0), [])


def test_two_members_have_no_factor_in_common() -> None:
    held, opened = given_ways(("card", "m-1", 0.0), ("keypad", "m-2", 1.0))
    assert (held, opened) == (Held("keypad", "m-2", 16.0), [])


def test_a_factor_waits_only_for_a_while() -> None:
    assert given_ways(("card", "m-1", 0.0), ("keypad", "m-1", WINDOW_S))[1] == []


def test_a_number_with_the_face_is_the_face_alone() -> None:
    assert given_ways(("number+face", "m-1", 0.0))[1] == []
    assert given_ways(("number+face", "m-1", 0.0), needed=1)[1] == ["number+face"]


def test_a_pass_without_its_token_proves_nothing() -> None:
    held, proof = join(None, "pass+face", "m-1", 0.0, window_s=WINDOW_S, needed=2)
    assert (held, proof) == (Held("face", "m-1", WINDOW_S), None)


def test_a_pass_that_waits_is_one_of_the_two_with_the_face_that_was_looked_for_because_of_it() -> None:
    held, _ = join(None, "pass", "m-1", 0.0, window_s=WINDOW_S, needed=2, token=TOKEN)
    assert join(held, "pass+face", "m-1", 1.0, window_s=WINDOW_S, needed=2) == (None, Proof("pass+face", TOKEN))
    assert join(held, "pass+face", "m-1", WINDOW_S, window_s=WINDOW_S, needed=2)[1] is None
    assert join(held, "pass+face", "m-2", 1.0, window_s=WINDOW_S, needed=2)[1] is None


def test_a_pass_that_is_not_needed_any_more_is_left_as_it_is() -> None:
    held, _ = join(None, "pass", "m-1", 0.0, window_s=WINDOW_S, needed=2, token=TOKEN)
    assert join(held, "card+face", "m-1", 1.0, window_s=WINDOW_S, needed=2) == (None, Proof("card+face"))
    assert join(held, "face", "m-1", 1.0, window_s=WINDOW_S, needed=1) == (None, Proof("face"))


def test_two_passes_are_one_factor() -> None:
    held, _ = join(None, "pass", "m-1", 0.0, window_s=WINDOW_S, needed=2, token=TOKEN)
    other = Pass(1, "b" * 16, "m-1")
    held, proof = join(held, "pass", "m-1", 1.0, window_s=WINDOW_S, needed=2, token=other)
    assert (held, proof) == (Held("pass", "m-1", 16.0, other), None)


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(FACTORS)), st.sampled_from(["m-1", "m-2"]), st.floats(0, 20)), max_size=30
    )
)
def test_nothing_opens_without_two_ways_of_that_member_in_time(steps: list[tuple[str, str, float]]) -> None:
    held: Held | None = None
    at = 0.0
    seen: list[tuple[str, str, float]] = []
    for way, member_id, pause_s in steps:
        at += pause_s
        held, proof = join(held, way, member_id, at, window_s=WINDOW_S, needed=2, token=token_of(way))
        seen.append((way, member_id, at))
        if proof is not None:
            assert (proof.token is not None) == ("pass" in proof.way)
            last = seen[-2]
            assert last[1] == member_id
            assert last[0] != way
            assert at - last[2] < WINDOW_S
            seen.clear()
