"""The kit's own computation of the chain, against the agent's and against published values."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.fleet.conformance import recipe
from agent.mqtt.payloads import encode, log_event
from agent.storage import chain
from tests.mqtt.conftest import make_entries

NOW = datetime(2026, 11, 22, 4, tzinfo=UTC)
VALUES: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("number", "text"),  # RFC 8785, appendix B, and the borders between the forms
    [
        ("-0.0", "0"),
        ("5e-324", "5e-324"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("9007199254740992", "9007199254740992"),
        ("295147905179352830000", "295147905179352830000"),
        ("9.999999999999997e22", "9.999999999999997e+22"),
        ("1e23", "1e+23"),
        ("999999999999999700000", "999999999999999700000"),
        ("1e21", "1e+21"),
        ("9.999999999999997e-7", "9.999999999999997e-7"),
        ("0.000001", "0.000001"),
        ("333333333.33333329", "333333333.3333333"),
        ("-120.50", "-120.5"),
        ("1.0", "1"),
    ],
)
def test_numbers_are_written_as_the_standard_says(number: str, text: str) -> None:
    assert recipe.canonical(recipe.read(number.encode())) == text


def test_names_are_sorted_by_their_utf_16_code_units() -> None:
    assert recipe.canonical({"\ufb33": 1.0, "\U0001f600": 2.0, "a": 3.0}) == '{"a":3,"\U0001f600":2,"\ufb33":1}'


@given(VALUES)
def test_it_agrees_with_what_the_agent_writes(value: Any) -> None:
    text = chain.canonical(value)
    assert recipe.canonical(recipe.read(text.encode())) == text


def test_hashes_and_digests_agree_over_the_wire() -> None:
    events = [recipe.read(encode(log_event("demo-1", entry, NOW))) for entry in make_entries(4)]
    for before, each in pairwise(events):
        assert recipe.hash_of(each, before["hash"]) == each["hash"]
        assert recipe.digest_of(each) == each["digest"]


@pytest.mark.parametrize(
    "change", [{"boot": "x"}, {"clock": "x"}, {"monotonic_ms": 1}, {"time": "2026-11-22T03:04:05.679Z"}, {"epoch": 2}]
)
def test_whatever_changes_in_the_header_changes_the_hash(change: dict[str, Any]) -> None:
    first, second = make_entries(2)
    event = json.loads(encode(log_event("demo-1", replace(second, **change), NOW)))
    assert recipe.hash_of(event, first.hash) != second.hash
