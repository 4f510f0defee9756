"""What is typed on a keypad."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.core.keypad import ENTRY_S, MAX_NUMBER, MAX_PIN, CodeTyped, Entry, NumberTyped, Typed, press


def typed(
    keys: str, *, pause_s: float = 0.5, entry: Entry | None = None, at: float = 0.0
) -> tuple[Entry | None, list[Typed]]:
    """Press these keys; returns what is typed so far and everything that became whole."""
    whole = []
    for key in keys:
        entry, result = press(entry, key, at)
        at += pause_s
        if result is not None:
            whole.append(result)
    return entry, whole


def test_a_number_and_a_pin_make_a_code() -> None:
    assert typed("123456#2580#") == (None, [NumberTyped("123456"), CodeTyped("123456", "2580")])


def test_a_star_begins_again_in_either_part() -> None:
    assert typed("99*12#77*12#2580#")[1][-1] == CodeTyped("12", "2580")
    assert typed("12#25*") == (None, [NumberTyped("12")])


def test_an_enter_too_many_and_other_keys_change_nothing() -> None:
    assert typed("##12#")[1] == typed("12#")[1]
    assert typed("12##25#80")[1] == typed("12#25#80")[1]
    assert typed("1a2#2b5#")[1] == [NumberTyped("12"), CodeTyped("12", "25")]
    assert typed("a") == (None, [])


def test_what_was_begun_is_forgotten_after_a_while_and_nobody_ends_it() -> None:
    entry, _ = typed("123456#25")
    assert entry is not None
    assert typed("80#", entry=entry, at=entry.until) == typed("80#", at=entry.until)
    assert typed("80#", entry=entry, at=entry.until - 0.1)[1] == [CodeTyped("123456", "2580")]


def test_slow_fingers_have_time_for_every_key() -> None:
    assert typed("123456#2580#", pause_s=ENTRY_S - 0.1)[1][-1] == CodeTyped("123456", "2580")


def test_nothing_that_was_typed_is_printed_but_dots_are() -> None:
    entry, whole = typed("123456#2580")
    assert entry is not None
    assert entry.shown == "••••"
    assert not any(secret in f"{entry} {whole} {typed('123456#2580#')}" for secret in ("123456", "2580"))


def test_a_jammed_key_is_bounded_and_never_a_code_that_somebody_has() -> None:
    entry, _ = typed("1" * 1000, pause_s=0.01)
    assert entry is not None
    assert len(entry.digits) == MAX_NUMBER + 1
    (_, code) = typed("1#" + "2" * 1000 + "#", pause_s=0.01)[1]
    assert isinstance(code, CodeTyped)
    assert len(code.pin) == MAX_PIN + 1


@given(st.lists(st.tuples(st.sampled_from("0123456789#*abcdef"), st.floats(0, 12)), max_size=60))
def test_whatever_is_pressed_is_bounded_and_made_of_digits(keys: list[tuple[str, float]]) -> None:
    entry: Entry | None = None
    at = 0.0
    for key, pause_s in keys:
        at += pause_s
        entry, whole = press(entry, key, at)
        if entry is not None:
            assert len(entry.digits) <= max(MAX_NUMBER, MAX_PIN) + 1
            assert entry.at <= at
        if isinstance(whole, CodeTyped):
            assert whole.number.isdigit()
            assert whole.pin.isdigit()
            assert entry is None
