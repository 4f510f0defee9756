"""The bytes of a pass: one way to write each, and nothing else is read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.access import Reason
from agent.core.passes import (
    BODY_BYTES_MAX,
    NO_END,
    SIGNATURE_BYTES,
    TOKEN_BYTES_MAX,
    Pass,
    PassError,
    Place,
    holder_length_max,
    in_order,
    minute_of,
    moment_of,
    pack,
    refusal_of_pass,
    split,
    station_digest,
    unpack,
)

HERE = station_digest("station-0001")
PASS = Pass(7, "0123456789abcdef", "m-1", False, (HERE,), 1_000, 2_000, True, (1, 8))
IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,7}", fullmatch=True)


@st.composite
def passes(draw: st.DrawFn) -> Pass:
    stations = in_order(draw(st.lists(st.text("ab-01", min_size=1, max_size=9), max_size=3)))
    begins = draw(st.integers(0, NO_END - 1))
    return Pass(
        key_id=draw(st.integers(1, 255)),
        pass_id=draw(st.binary(min_size=8, max_size=8)).hex(),
        holder=draw(IDS),
        is_guest=draw(st.booleans()),
        stations=stations,
        valid_from=begins,
        valid_until=draw(st.integers(begins + 1, NO_END)),
        is_once=len(stations) == 1 and draw(st.booleans()),
        categories=tuple(sorted(draw(st.sets(st.integers(1, 8))))),
    )


@given(passes())
def test_every_pass_comes_back_from_its_bytes(token: Pass) -> None:
    assert unpack(pack(token)) == token


@given(st.binary(min_size=21, max_size=46))
def test_no_other_bytes_mean_the_same(rest: bytes) -> None:
    body = b"\x01" + rest[1:18] + bytes((rest[18] & 0x0F, rest[19])) + rest[20:]
    try:
        token = unpack(body)
    except PassError:
        return
    assert pack(token) == body


def test_the_bytes_are_those_that_the_document_shows() -> None:
    assert pack(PASS).hex() == "01070123456789abcdef000003e8000007d00581" + HERE.hex() + b"m-1".hex()
    assert HERE.hex() == "46b884011378"


@pytest.mark.parametrize(
    ("at", "value", "words"),
    [
        (0, 0, "version 0"),
        (0, 2, "version 2"),
        (1, 0, "a key's id"),
        (18, 0x15, "flags"),
        (18, 0x45, "flags"),
        (18, 0x85, "flags"),
        (26, ord("-"), "holder"),
        (26, 0, "holder"),
        (28, 0xFF, "holder"),
    ],
)
def test_other_bytes_are_refused_and_it_is_said_why(at: int, value: int, words: str) -> None:
    body = bytearray(pack(PASS))
    body[at] = value
    with pytest.raises(PassError, match=words):
        unpack(bytes(body))


def test_a_pass_for_once_and_any_station_is_refused() -> None:
    body = bytearray(pack(replace(PASS, stations=(), is_once=False)))
    body[18] |= 0x01
    with pytest.raises(PassError, match="exactly one station"):
        unpack(bytes(body))


@pytest.mark.parametrize("length", [0, 1, 20, 26])
def test_a_body_cut_short_is_refused(length: int) -> None:
    with pytest.raises(PassError):
        unpack(pack(PASS)[:length])


@pytest.mark.parametrize("length", [0, 64, 84, TOKEN_BYTES_MAX + 1, 1000])
def test_a_token_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(PassError):
        split(bytes(length))


@pytest.mark.parametrize("stations", [0, 1, 2, 3])
def test_the_longest_pass_has_110_bytes(stations: int) -> None:
    names = in_order([f"s-{n}" for n in range(stations)])
    token = replace(PASS, stations=names, is_once=stations == 1, holder="m" * holder_length_max(stations))
    assert len(pack(token)) == BODY_BYTES_MAX == 110 - SIGNATURE_BYTES
    with pytest.raises(PassError, match="the holder's id may have"):
        pack(replace(token, holder=token.holder + "m"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"key_id": 256},
        {"pass_id": "0123456789ABCDEF"},
        {"pass_id": "0123"},
        {"holder": ""},
        {"holder": "王芳"},
        {"holder": "m 1"},
        {"valid_from": 2_000},
        {"valid_from": -1},
        {"valid_until": NO_END + 1},
        {"stations": ()},
        {"stations": in_order(["a", "b"])},
        {"stations": (b"short",)},
        {"stations": in_order(["a", "b"])[::-1], "is_once": False},
        {"stations": (HERE, HERE), "is_once": False},
        {"stations": in_order("abcd"), "is_once": False},
        {"categories": (2, 1)},
        {"categories": (9,)},
    ],
)
def test_what_cannot_be_is_not_written(wrong: dict[str, object]) -> None:
    with pytest.raises(PassError):
        pack(replace(PASS, **wrong))  # type: ignore[arg-type]


def test_minutes_are_those_since_1970() -> None:
    assert minute_of(datetime(1970, 1, 1, 0, 1, 59, tzinfo=UTC)) == 1
    assert moment_of(minute_of(datetime(2026, 11, 22, 3, 4, tzinfo=UTC))).isoformat() == "2026-11-22T03:04:00+00:00"


@pytest.mark.parametrize(
    ("minute", "reason"),
    [
        (999, Reason.PASS_EARLY),
        (1_000, None),
        (1_999, None),
        (2_000, Reason.PASS_EXPIRED),
        (9_999, Reason.PASS_EXPIRED),
    ],
)
def test_a_pass_holds_from_its_first_minute_to_before_its_last(minute: int, reason: Reason | None) -> None:
    assert refusal_of_pass(PASS, Place(HERE, minute, may_trust_clock=True), frozenset()) is reason


def test_a_pass_for_other_stations_or_a_revoked_one_does_not_hold() -> None:
    at = Place(HERE, 1_500, may_trust_clock=True)
    elsewhere = replace(PASS, stations=in_order(["station-0002"]))
    assert refusal_of_pass(elsewhere, at, frozenset()) is Reason.PASS_OTHER_STATION
    assert refusal_of_pass(PASS, at, frozenset({PASS.pass_id})) is Reason.PASS_REVOKED
    assert refusal_of_pass(replace(PASS, stations=(), is_once=False), at, frozenset()) is None


def test_without_a_trusted_clock_only_a_pass_without_time_limits_holds() -> None:
    at = Place(HERE, 1_500, may_trust_clock=False)
    assert refusal_of_pass(PASS, at, frozenset()) is Reason.PASS_CLOCK_NOT_SET
    assert refusal_of_pass(replace(PASS, valid_from=0), at, frozenset()) is Reason.PASS_CLOCK_NOT_SET
    assert refusal_of_pass(replace(PASS, valid_until=NO_END), at, frozenset()) is Reason.PASS_CLOCK_NOT_SET
    assert refusal_of_pass(replace(PASS, valid_from=0, valid_until=NO_END), at, frozenset()) is None
