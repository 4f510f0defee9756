from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.problems import problem
from agent.events import MinuteReading
from agent.mqtt.payloads import (
    MAX_BATCH,
    MAX_PAYLOAD_BYTES,
    About,
    HealthState,
    LogEvent,
    PayloadError,
    Status,
    encode,
    log_event,
    readings_of,
    state_of,
)
from agent.storage.chain import body_digest, canonical
from tests.mqtt.conftest import make_entries

NOON = datetime(2026, 11, 22, 3, 4, 5, 678_000, tzinfo=UTC)
(ENTRY,) = make_entries(1)
FAULT = {
    **problem("camera.failed", "camera", "unplugged", since=12.5).as_dict(),
    "stage": "seen",
    "is_present": True,
    "raised_at": "2026-11-22T03:04:12.500Z",
}
HEALTH: dict[str, Any] = {
    "faults": [FAULT],
    "fault_count": 1,
    "alarms": [
        {"alarm": "forced", "raised_at": None, "is_active": False, "is_acknowledged": False, "times": 2},
    ],
    "uptime_s": 60.5,
    "vision": "running",
    "storage": "ok",
    "backlog": 0,
}


def utc(at: float) -> str:
    return f"2026-11-22T03:04:{at:06.3f}Z"


def test_a_log_event_is_a_cloudevent() -> None:
    event = json.loads(encode(log_event("demo-1", ENTRY, NOON)))
    assert event["specversion"] == "1.0"
    assert event["id"] == "demo-1/1/1"
    assert event["source"] == "/stations/demo-1"
    assert event["type"] == "station.visit.entered"
    assert event["time"] == ENTRY.time
    assert event["datacontenttype"] == "application/json"
    assert event["sequence"] == "0000000000000000001"
    assert event["monotonic"] == "1001"  # text: a CloudEvents integer has 32 bits
    assert event["data"]["reason"] is None
    # Attribute names are lower-case letters and digits, and no attribute is null.
    assert all(name.isascii() and name.isalnum() and name == name.lower() for name in event)
    assert None not in event.values()


@pytest.mark.parametrize(("seconds", "is_historical"), [(0, False), (60, False), (61, True)])
def test_an_entry_older_than_a_minute_is_historical(seconds: int, is_historical: bool) -> None:
    sent_at = datetime.fromtimestamp(NOON.timestamp() + seconds, UTC)
    assert log_event("demo-1", ENTRY, sent_at).historical is is_historical


@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_that_was_set_makes_no_entry_historical_nor_young_again(days: int) -> None:
    sent_at = NOON + timedelta(days=days)
    assert log_event("demo-1", ENTRY, sent_at, timedelta(seconds=1)).historical is False
    assert log_event("demo-1", ENTRY, sent_at, timedelta(seconds=61)).historical is True


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e15, 1e15) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_a_body_reaches_the_other_end_with_its_digest_intact(body: Mapping[str, Any]) -> None:
    text, salt = canonical(body), "00" * 16
    entry = replace(ENTRY, body=text, salt=salt, digest=body_digest(salt, text))
    received = LogEvent.model_validate_json(encode(log_event("demo-1", entry, NOON)))
    assert received.data is not None
    assert canonical(received.data) == text
    assert received.entry() == replace(entry, body=None)


def test_a_blanked_body_travels_as_no_data() -> None:
    event = json.loads(encode(log_event("demo-1", replace(ENTRY, body=None, salt=None), NOON)))
    assert not {"data", "salt", "datacontenttype", "withheld"} & set(event)
    assert event["digest"] == ENTRY.digest


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (canonical({"note": "驿" * 30_000}), "too_large"),
        ("[1]", "unreadable"),
        ("{", "unreadable"),
        ('{"note":"\\ud800"}', "unreadable"),
        ('{"\\uDC00":1}', "unreadable"),
        ('{"value":NaN}', "unreadable"),
        ('{"value":1e400}', "unreadable"),
        ('{"a":' * 900 + "1" + "}" * 900, "unreadable"),
    ],
)
def test_a_body_that_cannot_travel_is_withheld_and_the_entry_goes(body: str, reason: str) -> None:
    payload = encode(log_event("demo-1", replace(ENTRY, body=body), NOON))
    received = LogEvent.model_validate_json(payload)
    assert (received.withheld, received.data, received.salt) == (reason, None, None)
    assert received.hash == ENTRY.hash


@pytest.mark.parametrize(
    "change",
    [
        {"hash": "x"},
        {"digest": "A" * 64},
        {"type": "visit"},
        {"time": "2026-11-22T03:04:05"},
        {"time": "yesterday"},
        {"epoch": -1},
        {"monotonic_ms": -1},
    ],
)
def test_an_entry_with_wrong_columns_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(PayloadError, match="entry"):
        log_event("demo-1", replace(ENTRY, **change), NOON)


def test_health_carries_its_faults_with_the_time_they_began() -> None:
    payload = encode(state_of("health", HEALTH, 30.0, utc))
    health = HealthState.model_validate_json(payload)
    assert health.observed_at == "2026-11-22T03:04:30.000Z"
    assert health.faults[0].code == "camera.failed"
    assert health.faults[0].since == "2026-11-22T03:04:12.500Z"
    assert "摄像头" in health.faults[0].text.zh


@pytest.mark.parametrize(
    ("part", "body"),
    [
        ("weather", {}),
        ("door/front", {}),
        ("appliances", {"state": "off", "power_w": None}),
        ("appliances/m", {"state": "broken", "power_w": None}),
        ("appliances/m", {"state": "off", "power_w": float("nan")}),
        ("appliances/m", {"state": "off", "power_w": "12"}),
        ("appliances/m", {"state": "off"}),
        ("occupancy", {"count": -1, "is_occupied": False}),
        ("occupancy", {"count": 1.5, "is_occupied": True}),
        ("occupancy", {"count": 1, "is_occupied": True, "who": "m-17"}),
        ("occupancy", {"count": {1}, "is_occupied": True}),
        ("health", {**HEALTH, "backlog": -1}),
        ("health", {**HEALTH, "faults": [{}]}),
        ("health", {**HEALTH, "faults": "none"}),
    ],
)
def test_a_body_that_breaks_the_contract_is_refused(part: str, body: Mapping[str, Any]) -> None:
    with pytest.raises(PayloadError, match="contract"):
        state_of(part, body, 1.0, utc)


def test_a_refusal_names_the_field_and_never_its_value() -> None:
    with pytest.raises(PayloadError) as refused:
        state_of("occupancy", {"count": 1, "is_occupied": "Eileen"}, 1.0, utc)
    assert "is_occupied" in str(refused.value)
    assert "Eileen" not in str(refused.value)


def test_an_oversized_message_is_refused() -> None:
    about = About(name="n", equipment=("驿" * 200,) * 64, capabilities=("驿" * 200,) * 64)
    with pytest.raises(PayloadError, match=str(MAX_PAYLOAD_BYTES)):
        encode(about)


def test_the_largest_batch_of_readings_fits() -> None:
    longest = MinuteReading("2026-11-22T03:04Z", "仪" * 64, "q" * 64, -1.2345678901234567e-300, 0.1, 1e300, 10**9)
    assert len(encode(readings_of((longest,) * MAX_BATCH, 10**9))) <= MAX_PAYLOAD_BYTES


def test_readings_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(PayloadError, match="mean"):
        readings_of((MinuteReading("2026-11-22T03:04Z", "s", "power_w", 0.0, float("nan"), 1.0, 1),), 0)


def test_the_will_knows_no_time() -> None:
    will = Status(status="offline", session="0123456789abcdef", agent="0.1.0", contract="1.0", since=None)
    assert Status.model_validate_json(encode(will)) == will
    assert json.loads(encode(will))["since"] is None
