"""Certificates that end are a fault in time, and only by a clock that is right."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from agent.core.certificates import LinkRules
from agent.events import CertificateRead, ClockRead
from tests.core.station_play import RULES, Play, begin

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CERTIFICATE, AUTHORITY = "mqtt.tls.cert_file", "mqtt.tls.ca_file"
WATCHED = replace(RULES, link=LinkRules((AUTHORITY, CERTIFICATE)))


def tls_faults(play: Play) -> set[tuple[str, str]]:
    return {key for key in play.state.faults if key[0].startswith("tls.")}


def read(play: Play, left: timedelta | None, where: str = CERTIFICATE, detail: str = "") -> None:
    play.put(CertificateRead(play.now, where, None if left is None else NOW + left, detail))


def told_the_time(*, is_trusted: bool = True) -> Play:
    play = begin(rules=WATCHED)
    play.put(ClockRead(0.0, NOW, is_trusted))
    return play


@pytest.mark.parametrize(
    ("left", "codes"),
    [
        (timedelta(days=31), set()),
        (timedelta(days=30, seconds=1), set()),
        (timedelta(days=30), {"tls.expiring"}),
        (timedelta(seconds=1), {"tls.expiring"}),
        (timedelta(), {"tls.expired"}),
        (timedelta(days=-900), {"tls.expired"}),
    ],
)
def test_a_certificate_is_a_fault_from_30_days_before_its_end(left: timedelta, codes: set[str]) -> None:
    play = told_the_time()
    read(play, left)
    assert tls_faults(play) == {(code, CERTIFICATE) for code in codes}


def test_the_fault_comes_as_the_days_go_by_and_says_when() -> None:
    play = told_the_time()
    read(play, timedelta(days=40), AUTHORITY)
    assert tls_faults(play) == set()
    play.put(ClockRead(play.now, NOW + timedelta(days=11), True))
    assert tls_faults(play) == {("tls.expiring", AUTHORITY)}
    assert "2027-01-01" in play.state.faults["tls.expiring", AUTHORITY].text.en
    play.put(ClockRead(play.now, NOW + timedelta(days=41), True))
    assert tls_faults(play) == {("tls.expired", AUTHORITY)}


def test_a_renewed_certificate_ends_the_fault() -> None:
    play = told_the_time()
    read(play, timedelta(days=3))
    read(play, timedelta(days=365))
    assert tls_faults(play) == set()
    assert play.logged("fault.cleared")[-1]["code"] == "tls.expiring"


def test_a_clock_that_nobody_set_judges_no_certificate() -> None:
    play = told_the_time(is_trusted=False)
    read(play, timedelta(days=-1))
    assert tls_faults(play) == set()
    play.put(ClockRead(play.now, NOW, True))
    assert tls_faults(play) == {("tls.expired", CERTIFICATE)}
    play.put(ClockRead(play.now, NOW - timedelta(days=20_000), False))  # in doubt again: what was found stays
    assert tls_faults(play) == {("tls.expired", CERTIFICATE)}


def test_a_file_that_cannot_be_used_is_a_fault_until_it_can() -> None:
    play = told_the_time()
    read(play, None, detail="/x/y.pem: it holds no certificate in PEM")
    assert tls_faults(play) == {("tls.unreadable", CERTIFICATE)}
    assert "/x/y.pem" in play.state.faults["tls.unreadable", CERTIFICATE].text.zh
    read(play, timedelta(days=100))
    assert tls_faults(play) == set()


def test_a_link_in_the_clear_is_shown_from_the_start() -> None:
    play = begin(rules=replace(RULES, link=LinkRules(is_in_the_clear=True)))
    assert tls_faults(play) == {("tls.off", "mqtt.tls.enabled")}
    assert tls_faults(begin(rules=WATCHED)) == set()


def test_a_file_that_the_settings_do_not_name_is_nobodys_fault() -> None:
    play = told_the_time()
    read(play, timedelta(days=-1), "another.file")
    assert tls_faults(play) == set()
