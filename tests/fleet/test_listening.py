"""What the kit makes of what it heard, where no agent of ours would do it: other versions, other servers, leftovers."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.command_gate import CommandClaims
from agent.fleet.conformance import forms, journal, presence, records
from agent.fleet.conformance.bench import Bench, Caller
from agent.fleet.conformance.hearing import MAX_BYTES, Heard, Hearing, read
from agent.fleet.conformance.kit import PROMISES, judged
from agent.fleet.conformance.promises import Finding, KitError, Limits, Verdict
from agent.mqtt.payloads import encode, log_event
from tests.mqtt.conftest import make_entries

NOW = datetime(2026, 11, 22, 3, 4, 10, tzinfo=UTC)
DOOR = {"mode": "normal", "admission": "members", "lock": "secured", "contact": "closed", "alarms": []}
ENTRIES = make_entries(8)


class Ear:
    """Hears one message each tenth of a second."""

    def __init__(self) -> None:
        self.bench = Bench(Hearing("demo-1"), Limits())
        self.at = 0.0

    def hear(self, kind: str, body: dict[str, Any] | bytes, *, is_stored: bool = False, qos: int = 1) -> Heard:
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.at += 0.1
        heard = Heard(self.at, NOW, kind, payload, qos, is_stored, read(payload))
        self.bench.hearing.take(heard)
        self.bench.hearing.ended = self.at
        return heard

    def status(self, session: str, status: str = "online", contract: str = "1.0", *, is_will: bool = False) -> None:
        since = None if is_will else "2026-11-22T03:04:05Z"
        body = {"status": status, "session": session, "agent": "x", "contract": contract, "since": since}
        self.hear("status", body)

    def state(self, age_s: float = 0.0, *, is_stored: bool = False, **more: Any) -> None:
        at = (NOW - timedelta(seconds=age_s)).isoformat().replace("+00:00", "Z")
        self.hear("state/door", {**DOOR, "observed_at": at, "holds_s": 90.0, **more}, is_stored=is_stored)

    def entry(self, number: int, **change: Any) -> Heard:
        event = log_event("demo-1", ENTRIES[number - 1], NOW)
        return self.hear("log", encode(event.model_copy(update=change)))


def says(finding: Finding) -> str:
    return finding.verdict.value


@pytest.fixture
def ear() -> Ear:
    return Ear()


def test_a_later_minor_version_may_say_more(ear: Ear) -> None:
    ear.status("a" * 8, contract="1.7")
    ear.state(weather="fair")
    ear.hear("state/weather", {"observed_at": "2026-11-22T03:04:05Z"})
    ear.entry(1, type="station.weather.changed")
    assert says(forms.forms(ear.bench)) == says(forms.topics(ear.bench)) == "holds"


def test_but_what_is_known_must_fit_all_the_same(ear: Ear) -> None:
    ear.status("a" * 8, contract="1.7")
    ear.state(lock="ajar")
    assert says(forms.forms(ear.bench)) == "broken"


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"\xff", b"[" * 30_000, b'{"hash":' * 5_000])
def test_rubbish_is_a_finding_and_never_an_error(ear: Ear, payload: bytes) -> None:
    for kind in ("log", "status", "state/door", "readings", "about", "replies"):
        ear.hear(kind, payload)
    assert says(forms.forms(ear.bench)) == "broken"
    for promise in (*forms.PROMISES, *presence.PROMISES, *journal.PROMISES):
        assert promise.check(ear.bench).verdict in set(Verdict)


def test_entries_whose_fields_are_of_another_kind_are_a_finding_and_never_an_error(ear: Ear) -> None:
    good = json.loads(encode(log_event("demo-1", ENTRIES[0], NOW)))
    values: tuple[Any, ...] = (None, 7, -1.5, [], {}, "x", True)
    for name in good:
        for value in values:
            ear.hear("log", {**good, name: value})
    for promise in (*forms.PROMISES, *presence.PROMISES, *journal.PROMISES):
        assert promise.check(ear.bench).verdict in set(Verdict)


def test_more_than_fits_ends_the_run_and_not_the_machine(ear: Ear) -> None:
    heard = ear.hear("readings", b"x" * 60_000)
    for _ in range(MAX_BYTES // 60_000 - 1):
        ear.bench.hearing.take(heard)
    with pytest.raises(KitError, match="shorter time"):
        ear.bench.hearing.take(heard)


def test_what_takes_more_memory_than_it_has_bytes_counts_as_what_it_takes(ear: Ear) -> None:
    heard = ear.hear("readings", b'{"a":[' + b"[]," * 20_000 + b"0]}")
    for _ in range(MAX_BYTES // 2_620_137 - 1):
        ear.bench.hearing.take(heard)
    with pytest.raises(KitError, match="shorter time"):
        ear.bench.hearing.take(heard)


_ENTRY = json.loads(encode(log_event("demo-1", ENTRIES[1], NOW)))
_DEEP = b'{"a":' * 800 + b"1" + b"}" * 800
_ODD: list[tuple[str, str, dict[str, Any], bytes]] = [
    ("observed", "observed_at", {**DOOR, "holds_s": 90.0}, b'"2026-11-22T03:04:05"'),
    ("observed", "holds_s", {**DOOR, "observed_at": "2026-11-22T03:04:05Z"}, b"1" + b"0" * 400),
    ("renewed", "holds_s", {**DOOR, "observed_at": "2026-11-22T03:04:05Z"}, b"1" + b"0" * 400),
    ("chain", "type", _ENTRY, _DEEP),
    ("replayed", "sequence", _ENTRY, b'"' + b"9" * 5_000 + b'"'),
]


@pytest.mark.parametrize(("name", "key", "body", "value"), _ODD)
def test_what_cannot_be_computed_with_is_broken_and_no_end_of_the_run(
    ear: Ear, name: str, key: str, body: dict[str, Any], value: bytes
) -> None:
    ear.entry(1)
    for _ in range(2):
        payload = json.dumps({**body, key: "ODD"}).encode().replace(b'"ODD"', value)
        ear.hear("log" if body is _ENTRY else "state/door", payload)
    (promise,) = (each for each in PROMISES if each.name == name)
    finding = judged(ear.bench, promise)
    assert says(finding) == "broken"
    assert "cannot be judged" in finding.seen.en


def test_what_is_shown_of_a_broken_promise_is_short(ear: Ear) -> None:
    ear.status("a" * 8)
    ear.hear("state/door", {"x" * 60_000: 1})
    (promise,) = (each for each in PROMISES if each.name == "forms")
    finding = judged(ear.bench, promise)
    assert says(finding) == "broken"
    assert len(finding.seen.en) <= 500


def test_a_station_that_claims_a_billion_parts_is_not_counted_after(ear: Ear) -> None:
    part = {"id": "c-1", "status": "done", "at": "x", "code": "", "result": {"a": 1}, "part": 1, "parts": 10**12}
    ear.bench.caller = Answering(ear.hear("replies", part))
    assert says(records.diagnosed(ear.bench)) == "broken"


class Answering(Caller):
    """Gives one answer to everything."""

    def __init__(self, answer: Heard) -> None:
        self.answer = answer

    def claims(self, name: str, arguments: Any = None, **_proof: Any) -> CommandClaims:
        at = "2026-11-22T03:04:05Z"
        return CommandClaims(id="c-1", station="demo-1", name=name, arguments=arguments or {}, issued_at=at)

    def ask(self, *_given: Any, **_more: Any) -> list[Heard]:
        return [self.answer]


def test_what_another_server_has_replayed_is_no_disorder_of_the_station(ear: Ear) -> None:
    for number in (5, 6, 2, 7):
        ear.entry(number)
    assert says(journal.order(ear.bench)) == "broken"
    ear.entry(8, type="station.command.accepted", data={"id": "c-1", "name": "log.replay", "key": "central-2"})
    assert says(journal.order(ear.bench)) == says(journal.gaps(ear.bench)) == "not_checked"


def test_our_own_replay_hides_nothing_that_came_at_another_time(ear: Ear) -> None:
    for number in (5, 6, 2, 3, 7):
        ear.entry(number)
    ear.bench.replays.append((0.25, 0.45))
    assert says(journal.order(ear.bench)) == says(journal.gaps(ear.bench)) == "holds"
    ear.entry(4)
    assert says(journal.order(ear.bench)) == "broken"


def test_after_a_new_connection_the_unacknowledged_come_again(ear: Ear) -> None:
    ear.status("a" * 8)
    for number in (1, 2, 3):
        ear.entry(number)
    ear.status("b" * 8)
    for number in (2, 3, 4):
        ear.entry(number)
    for check in (journal.order, journal.gaps, journal.once, journal.chain):
        assert says(check(ear.bench)) == "holds"
    assert says(presence.birth(ear.bench)) == "holds"


def test_the_beginning_of_a_new_epoch_is_no_gap(ear: Ear) -> None:
    for each in (*ENTRIES[3:5], *make_entries(2, epoch=2, previous=ENTRIES[4].hash)):
        ear.hear("log", encode(log_event("demo-1", each, NOW)))
    assert says(journal.gaps(ear.bench)) == says(journal.order(ear.bench)) == "holds"


def test_a_blanked_body_breaks_nothing(ear: Ear) -> None:
    for each in ENTRIES[:3]:
        ear.hear("log", encode(log_event("demo-1", replace(each, body=None, salt=None), NOW)))
    assert says(journal.chain(ear.bench)) == "holds"
    assert says(journal.digests(ear.bench)) == "not_checked"


@pytest.mark.parametrize(
    ("age_s", "said", "verdict"),
    [
        (5, False, "holds"),
        (5, True, "broken"),
        (65, True, "not_checked"),
        (65, False, "not_checked"),
        (90, False, "broken"),
    ],
)
def test_near_the_minute_nothing_is_said_of_what_is_historical(ear: Ear, age_s: int, said: bool, verdict: str) -> None:
    at = (NOW - timedelta(seconds=age_s)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    ear.entry(1, time=at, historical=said)
    assert says(journal.historical(ear.bench)) == verdict


def test_a_part_that_the_settings_no_longer_name_is_left_over_and_not_late(ear: Ear) -> None:
    ear.hear(
        "state/appliances/old", {"observed_at": "2026-11-20T00:00:00Z", "holds_s": 90.0, "state": "off"}, is_stored=True
    )
    for _ in range(2):
        ear.state()
    assert says(presence.renewed(ear.bench)) == "holds"


def test_what_the_broker_had_counts_from_the_time_that_it_names(ear: Ear) -> None:
    ear.state(age_s=20, is_stored=True)
    assert says(presence.renewed(ear.bench)) == "not_checked"
    ear.state()
    assert says(presence.renewed(ear.bench)) == "holds"
    late = Ear()
    late.state(age_s=20, is_stored=True)
    late.bench.hearing.ended = 100.0
    assert says(presence.renewed(late.bench)) == "broken"


def test_state_that_goes_back_or_comes_late_is_named(ear: Ear) -> None:
    ear.state(age_s=2)
    ear.state(age_s=4)
    assert "went back" in presence.observed(ear.bench).seen.en
    other = Ear()
    other.state(age_s=-3600)
    assert "clocks" in presence.observed(other.bench).seen.en


def test_a_late_will_of_an_older_connection_changes_nothing(ear: Ear) -> None:
    ear.status("a" * 8)
    ear.status("b" * 8)
    ear.status("a" * 8, "offline", is_will=True)
    ear.state()
    assert ear.bench.hearing.session == "b" * 8
    assert (
        says(presence.birth(ear.bench)) == says(presence.will(ear.bench)) == says(presence.status(ear.bench)) == "holds"
    )


def test_a_session_that_is_used_again_is_named(ear: Ear) -> None:
    ear.status("a" * 8)
    ear.status("a" * 8)  # a refresh
    ear.status("a" * 8, "offline", is_will=True)
    assert says(presence.birth(ear.bench)) == "holds"
    ear.status("a" * 8)
    assert says(presence.birth(ear.bench)) == "broken"


@pytest.mark.parametrize("name", ["photo", "PIN", "name"])
def test_a_field_about_people_is_found_in_any_depth(ear: Ear, name: str) -> None:
    ear.hear("replies", {"result": {"rows": [{"more": [{name: "x"}]}]}})
    assert says(forms.privacy(ear.bench)) == "broken"


def test_the_station_master_on_the_board_is_no_secret(ear: Ear) -> None:
    ear.hear("about", {"name": "x", "station_master": {"name": "y", "phone": "1"}})
    ear.entry(1, type="station.command.accepted", data={"id": "c-1", "name": "door.unlock", "key": "central-1"})
    assert says(forms.privacy(ear.bench)) == "holds"
