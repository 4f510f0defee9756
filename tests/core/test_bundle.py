"""A bundle in parts: whole rows, each part within its bound, and all of it together again."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent.core.bundle import PART_BYTES, as_sent, packed, unpacked

ROW = st.dictionaries(st.text(max_size=8), st.text(max_size=40) | st.integers() | st.none(), max_size=4)
SECTIONS = st.dictionaries(st.text(min_size=1, max_size=10), ROW | st.lists(ROW, max_size=12), max_size=8)


@given(SECTIONS, st.integers(2_000, 4_000))
def test_every_part_is_within_the_bound_and_all_together_are_the_bundle(sections: dict[str, Any], limit: int) -> None:
    parts = packed(sections, limit)
    assert parts
    assert all(len(as_sent(part)) <= limit for part in parts)
    assert unpacked(json.loads(as_sent(part)) for part in parts) == sections


def test_what_fits_goes_in_one_part() -> None:
    assert packed({"a": {"b": 1}, "c": []}) == [{"a": {"b": 1}, "c": []}]
    assert packed({}) == [{}]


def test_a_long_section_goes_on_in_the_next_part_with_whole_rows() -> None:
    rows = [{"message": "驿" * 100, "number": number} for number in range(1_000)]
    parts = packed({"head": {"x": 1}, "rows": rows, "tail": {"y": 2}})
    assert len(parts) == -(-len(as_sent(rows)) // PART_BYTES)
    assert unpacked(parts)["rows"] == rows


def test_what_is_too_large_for_any_part_says_so_and_the_rest_is_there() -> None:
    huge = "x" * PART_BYTES
    whole = unpacked(packed({"first": {"x": 1}, "huge": {"x": huge}, "rows": [{"x": huge}, {"x": "small"}]}))
    assert whole == {
        "first": {"x": 1},
        "huge": {"error": "too large"},
        "rows": [{"error": "too large"}, {"x": "small"}],
    }
