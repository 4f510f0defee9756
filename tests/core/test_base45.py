"""RFC 9285, with its own examples."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.base45 import ALPHABET, Base45Error, decode, encode


@pytest.mark.parametrize(
    ("data", "text"), [(b"AB", "BB8"), (b"Hello!!", "%69 VD92EX0"), (b"base-45", "UJCLQE7W581"), (b"ietf!", "QED8WEX0")]
)
def test_the_examples_of_the_rfc(data: bytes, text: str) -> None:
    assert encode(data) == text
    assert decode(text) == data


@given(st.binary(max_size=120))
def test_bytes_come_back_and_their_text_is_alphanumeric(data: bytes) -> None:
    text = encode(data)
    assert decode(text) == data
    assert set(text) <= set(ALPHABET)


@given(st.text(alphabet=ALPHABET, max_size=12))
def test_no_bytes_have_two_texts(text: str) -> None:
    try:
        data = decode(text)
    except Base45Error:
        return
    assert encode(data) == text


@pytest.mark.parametrize("text", ["A", "GGW", ":::", "::", "bb8", "BB8A", "BB", "文字文"])
def test_what_is_not_base45_is_refused(text: str) -> None:
    if text == "BB":
        text = "U5"  # 5 × 45 + 30 = 255 is the last that one byte holds
        assert decode(text) == b"\xff"
        text = "V5"
    with pytest.raises(Base45Error) as caught:
        decode(text)
    assert text not in str(caught.value)
