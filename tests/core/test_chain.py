"""The canonical form against RFC 8785's own examples, and what the chain shows."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.chain import ORIGIN, canonical, digest, entry_hash, header_bytes

SALT = "00112233445566778899aabbccddeeff"
HEADER = {
    "epoch": 1,
    "sequence": 1,
    "type": "visit.entered",
    "time": "2026-11-22T03:04:05.678Z",
    "boot": "b",
    "monotonic_ms": 1234,
    "clock": "trusted",
}

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(-(2.0**53) + 1, 2.0**53 - 1)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("number", "text"),
    [  # RFC 8785, appendix B and section 3.2.2
        (0.0, "0"),
        (-0.0, "0"),
        (5e-324, "5e-324"),
        (-5e-324, "-5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (9.999999999999997e22, "9.999999999999997e+22"),
        (1e23, "1e+23"),
        (1.0000000000000001e23, "1.0000000000000001e+23"),
        (333333333.33333329, "333333333.3333333"),
        (333333333.3333332, "333333333.3333332"),
        (0.000001, "0.000001"),
        (1e-7, "1e-7"),
        (-0.0000033333333333333333, "-0.0000033333333333333333"),
        (1424953923781206.2, "1424953923781206.2"),
        (1e30, "1e+30"),
        (4.50, "4.5"),
        (2e-3, "0.002"),
        (1e-27, "1e-27"),
        (100.0, "100"),
    ],
)
def test_numbers_are_written_as_the_rfc_prints_them(number: float, text: str) -> None:
    assert canonical({"n": number}) == f'{{"n":{text}}}'


def test_the_rfc_s_object_is_sorted_by_utf16_units() -> None:
    body = {"\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh"}
    body |= {"1": "One", "\U0001f600": "Emoji", "\x80": "Control", "\xf6": "Latin Small Letter O"}
    keys = list(json.loads(canonical(body)))
    assert keys == ["\r", "1", "\x80", "\xf6", "\u20ac", "\U0001f600", "\ufb33"]


@given(st.dictionaries(st.text(), JSON_VALUES, max_size=5))
def test_a_body_keeps_its_canonical_text_through_json(body: dict[str, object]) -> None:
    text = canonical(body)
    assert canonical(json.loads(text)) == text
    assert json.loads(text) == json.loads(json.dumps(body))


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 2**53, 2.0**60, "\ud800", {1: "x"}, {"s": {1, 2}}, b"bytes", object()]
)
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"a body|not exact"):
        canonical({"value": value})


def test_a_body_that_contains_itself_is_refused() -> None:
    body: dict[str, object] = {}
    body["again"] = body
    with pytest.raises(ValueError, match="nested"):
        canonical(body)


def test_the_chain_is_what_it_was_when_it_was_agreed() -> None:
    body = digest(SALT, canonical({"member": "m-17", "is_open": True}))
    assert body == "f708b334bb0e7497f567ab0bf6b4dde590c9ca721b3e3f1af1e3d9f5c7119d67"
    assert entry_hash(ORIGIN, header_bytes(**HEADER), body) == (  # type: ignore[arg-type]
        "ee7c401d4d2b1bc3b568abfb82a059b31d795ee3e3e3a396a074b0f947d684bf"
    )


@pytest.mark.parametrize("field", sorted(HEADER))
def test_every_field_of_the_header_is_under_the_hash(field: str) -> None:
    changed = HEADER | {field: HEADER[field] + 1 if isinstance(HEADER[field], int) else "other"}  # type: ignore[operator]
    body = digest(SALT, "{}")
    before = entry_hash(ORIGIN, header_bytes(**HEADER), body)  # type: ignore[arg-type]
    assert entry_hash(ORIGIN, header_bytes(**changed), body) != before  # type: ignore[arg-type]


def test_body_salt_and_previous_hash_are_under_the_hash() -> None:
    header = header_bytes(**HEADER)  # type: ignore[arg-type]
    seen = {
        entry_hash(ORIGIN, header, digest(SALT, "{}")),
        entry_hash(ORIGIN, header, digest(SALT, '{"a":1}')),
        entry_hash(ORIGIN, header, digest("ff" * 16, "{}")),
        entry_hash("1" * 64, header, digest(SALT, "{}")),
    }
    assert len(seen) == 4
