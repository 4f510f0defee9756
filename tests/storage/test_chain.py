from __future__ import annotations

import json
import math
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.storage.chain import GENESIS, body_digest, canonical, entry_hash

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("number", "text"),
    [  # RFC 8785, appendix B
        (0.0, "0"),
        (-0.0, "0"),
        (5e-324, "5e-324"),
        (-5e-324, "-5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (9007199254740992.0, "9007199254740992"),
        (295147905179352830000.0, "295147905179352830000"),
        (9.999999999999997e22, "9.999999999999997e+22"),
        (1e23, "1e+23"),
        (999999999999999700000.0, "999999999999999700000"),
        (1e21, "1e+21"),
        (9.999999999999997e-7, "9.999999999999997e-7"),
        (0.000001, "0.000001"),
        (333333333.3333332, "333333333.3333332"),
        (-0.0000033333333333333333, "-0.0000033333333333333333"),
        (1424953923781206.2, "1424953923781206.2"),
        (21.5, "21.5"),
        (100.0, "100"),
    ],
)
def test_numbers_are_written_as_rfc_8785_prints_them(number: float, text: str) -> None:
    assert canonical(number) == text


def test_members_are_sorted_by_utf_16_code_units() -> None:
    # The smiley is beyond U+FFFF, so its first code unit (D83D) sorts before U+FB33.
    assert canonical({"\ufb33": 1, "\U0001f600": 2, "\u20ac": 3, "1": 4, "\r": 5}) == (
        '{"\\r":5,"1":4,"\u20ac":3,"\U0001f600":2,"\ufb33":1}'
    )


def test_strings_have_the_shortest_escapes() -> None:
    assert canonical('\u20ac$\x0f\nA\'B"\\"/驿\x7f') == '"\u20ac$\\u000f\\nA\'B\\"\\\\\\"/驿\x7f"'


@given(JSON_VALUES)
def test_canonical_json_reads_back_as_what_was_written(value: Any) -> None:
    doubles = json.loads(canonical(value), parse_int=float)  # as a reader does whose numbers are doubles
    assert doubles == value
    assert canonical(doubles) == canonical(value)
    assert canonical(json.loads(canonical(value))) == canonical(value)


@pytest.mark.parametrize("number", [2.0**53, -(2.0**53), 1e17, 295147905179352830000.0, -999999999999999700000.0, 1e21])
def test_a_great_whole_float_is_written_again_as_the_same_text_by_a_reader_with_integers(number: float) -> None:
    read = json.loads(canonical({"a": number}))
    assert float(read["a"]) == number
    assert canonical(read) == canonical({"a": number})


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        2**53 + 1,
        -(2**53) - 1,
        295147905179352825856,
        10**21,
        10**400,
        {1: 2},
        b"x",
        object(),
        "\ud800",
        {"a": {"\ud800": 1}},
    ],
)
def test_what_json_does_not_have_is_refused(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        canonical(value)


def test_a_server_that_knows_only_the_description_computes_the_same_hash() -> None:
    header = {
        "type": "station.visit.entered",
        "time": "2026-11-22T03:04:05.678Z",
        "sequence": 7,
        "monotonic_ms": 1234,
        "epoch": 2,
        "clock": "synchronised",
        "boot": "0f1e",
    }
    salt, body = "ab" * 16, '{"member":"m1"}'
    digest = sha256((salt + body).encode()).hexdigest()
    text = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    expected = sha256((GENESIS + text + digest).encode()).hexdigest()
    assert body_digest(salt, body) == digest
    assert (
        entry_hash(
            GENESIS, "0f1e", "synchronised", 2, 1234, 7, "2026-11-22T03:04:05.678Z", "station.visit.entered", digest
        )
        == expected
    )
