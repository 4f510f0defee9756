from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from agent.core.replaying import MAX_ENTRIES
from agent.events import LoggedEntry
from agent.fleet.audit import Anchor, Forgery, Gap, audit
from agent.mqtt.payloads import LogEvent, log_event
from agent.storage.chain import GENESIS, body_digest, canonical, entry_hash
from tests.mqtt.conftest import make_entries

NOW = datetime(2026, 11, 22, 4, tzinfo=UTC)
ENTRIES = make_entries(6)


def events_of(*entries: LoggedEntry) -> list[LogEvent]:
    return [log_event("demo-1", entry, NOW) for entry in entries]


def test_a_whole_log_is_whole_in_any_order() -> None:
    report = audit(reversed(events_of(*ENTRIES)))
    assert report.is_whole
    assert (report.entries, report.unlinked) == (6, ())


def test_nothing_received_is_whole() -> None:
    assert audit([]).is_whole


def test_a_gap_is_named_by_its_ends() -> None:
    report = audit(events_of(ENTRIES[0], ENTRIES[3], ENTRIES[5]))
    assert report.gaps == (Gap(1, 2, 3), Gap(1, 5, 5))
    assert report.unlinked == ((1, 4), (1, 6))
    assert not report.is_whole


def test_who_listens_late_misses_no_entry_but_cannot_prove_the_first() -> None:
    report = audit(events_of(*ENTRIES[2:]))
    assert report.is_whole
    assert report.unlinked == ((1, 3),)


def test_blanked_bodies_keep_the_chain_whole() -> None:
    blanked = [replace(entry, body=None, salt=None) for entry in ENTRIES]
    assert audit(events_of(*blanked)).is_whole


def test_a_withheld_body_keeps_the_chain_whole() -> None:
    withheld = replace(ENTRIES[2], body="{")
    assert audit(events_of(*ENTRIES[:2], withheld, *ENTRIES[3:])).is_whole


@pytest.mark.parametrize("value", [2.0**53, -1e17, 999999999999999700000.0, 1e21])
def test_a_great_number_in_a_body_is_no_forgery_when_it_has_come_over_the_wire(value: float) -> None:
    first = ENTRIES[0]
    body, salt = canonical({"value": value}), "ab" * 16
    digest = body_digest(salt, body)
    hash_ = entry_hash(GENESIS, first.boot, first.clock, 1, first.monotonic_ms, 1, first.time, first.type, digest)
    (sent,) = events_of(replace(first, body=body, salt=salt, digest=digest, hash=hash_))
    assert audit([LogEvent.model_validate_json(sent.model_dump_json())]).is_whole


@pytest.mark.parametrize(
    "change",
    [
        {"type": "station.visit.left"},
        {"time": "2026-11-22T03:04:05.679Z"},
        {"boot": "4c70"},
        {"monotonic_ms": 1},
        {"clock": "unsynchronised"},
        {"body": '{"member":"m-666"}'},
        {"salt": "ff" * 16},
        {"digest": "0" * 64},
        {"hash": "0" * 64},
    ],
)
def test_a_change_anywhere_shows_at_that_entry(change: dict[str, Any]) -> None:
    forged = events_of(*ENTRIES[:3], replace(ENTRIES[3], **change), *ENTRIES[4:])
    report = audit(forged)
    assert (1, 4) in {(forgery.epoch, forgery.sequence) for forgery in report.forgeries}
    assert all(forgery.sequence >= 4 for forgery in report.forgeries)


def test_an_id_that_does_not_fit_is_a_forgery() -> None:
    event = events_of(ENTRIES[0])[0].model_copy(update={"id": "demo-2/1/1"})
    (forgery,) = audit([event]).forgeries
    assert isinstance(forgery, Forgery)
    assert "id" in forgery.reason


def test_a_later_epoch_follows_whatever_the_restored_log_still_had() -> None:
    later = make_entries(3, epoch=2, previous=ENTRIES[3].hash)  # entries 5 and 6 were not in the backup
    report = audit(events_of(*ENTRIES, *later))
    assert report.is_whole
    assert report.unlinked == ()
    afresh = make_entries(3, epoch=3)  # a damaged file was set aside
    assert audit(events_of(*ENTRIES, *later, *afresh)).unlinked == ()


def test_the_missing_beginning_of_a_later_epoch_is_a_gap() -> None:
    later = make_entries(3, epoch=2, previous=ENTRIES[5].hash)
    assert audit(events_of(*ENTRIES, *later[1:])).gaps == (Gap(2, 1, 1),)


# --- what to ask for again -------------------------------------------------------------------------------------------


def began(after: LoggedEntry) -> LoggedEntry:
    """The first entry of epoch 2, which follows `after`."""
    body = canonical({"after": {"epoch": after.epoch, "sequence": after.sequence, "hash": after.hash}})
    salt, type_ = "ab" * 16, "station.log.epoch_began"
    digest, time, boot = body_digest(salt, body), after.time, after.boot
    hash_ = entry_hash(after.hash, boot, "synchronised", 2, 1, 1, time, type_, digest)
    return LoggedEntry(2, 1, type_, time, boot, 1, "synchronised", body, salt, digest, hash_)


def test_a_gap_asks_for_exactly_itself_in_parts_that_are_allowed() -> None:
    assert list(Gap(3, 7, 9).requests()) == [{"epoch": 3, "first": 7, "last": 9}]
    asked = list(Gap(1, 1, 2 * MAX_ENTRIES + 1).requests())
    assert [(each["first"], each["last"]) for each in asked] == [
        (1, MAX_ENTRIES),
        (MAX_ENTRIES + 1, 2 * MAX_ENTRIES),
        (2 * MAX_ENTRIES + 1, 2 * MAX_ENTRIES + 1),
    ]


def test_a_missing_beginning_is_a_gap_for_whoever_wants_it_all() -> None:
    assert audit(events_of(*ENTRIES[2:]), is_from_first=True).gaps == (Gap(1, 1, 2),)


def test_the_end_of_a_former_epoch_that_has_not_come_is_a_gap() -> None:
    events = events_of(*ENTRIES[:3], began(ENTRIES[5]))
    report = audit(events)
    assert report.gaps == (Gap(1, 4, 6),)
    assert report.unlinked == ((2, 1),)
    whole = audit(events_of(*ENTRIES, began(ENTRIES[5])))
    assert whole.is_whole
    assert whole.unlinked == ()


def test_more_of_a_former_epoch_than_the_station_has_is_no_gap() -> None:
    report = audit(events_of(*ENTRIES, began(ENTRIES[2])))
    assert report.is_whole
    assert report.unlinked == ()


def test_what_was_pruned_is_no_gap_and_the_chain_goes_on_from_it() -> None:
    events = events_of(ENTRIES[0], *ENTRIES[4:])
    assert audit(events).gaps == (Gap(1, 2, 4),)
    report = audit(events, anchor=Anchor(1, 4, ENTRIES[3].hash))
    assert (report.is_whole, report.unlinked) == (True, ())
    partly = audit(events_of(ENTRIES[0], ENTRIES[5]), anchor=Anchor(1, 4, ENTRIES[3].hash))
    assert partly.gaps == (Gap(1, 5, 5),)
    forged = audit(events, anchor=Anchor(1, 4, "0" * 64))
    assert [(each.epoch, each.sequence) for each in forged.forgeries] == [(1, 5)]
