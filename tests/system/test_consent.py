"""A person's way through a whole station: consent, enrolment, own data, withdrawal, erasure, and being forgotten."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent.control.client import ControlError
from agent.core.roster import FIRST_REVIEW_S, REVIEW_S
from agent.demo.portraits import find_portraits
from agent.events import PauseSkipped
from tests.system.stations import Station, eventually, running, write_settings

DAY_S = 86_400.0


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    settings = write_settings(tmp_path, {"vision": {"enabled": True}, "retention": {"unseen_days": 30}})
    with running(settings, find_portraits()) as station:
        eventually(lambda: station.status()["parts"]["health"]["vision"] == "running", "vision runs", 60)
        yield station


def log_of(station: Station, kind: str) -> list[dict[str, Any]]:
    path = station.settings.state.directory / "station.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT body FROM log WHERE type = ? ORDER BY epoch, sequence", [f"station.{kind}"])
        return [json.loads(body) if body else {} for (body,) in rows]


def skip(station: Station, seconds: float) -> None:
    station.app.inbox.post(PauseSkipped(station.app.clock.now(), seconds))


def test_nobody_is_enrolled_without_consent_and_everything_about_a_member_can_be_had_and_withdrawn(
    station: Station,
) -> None:
    collins = find_portraits()["collins"]
    with pytest.raises(ControlError) as caught:
        station.client.request("members.enrol", id="m-1", name="Eileen Collins", photos=[collins.read_bytes()])
    assert [each.code for each in caught.value.problems] == ["consent.missing"]
    station.enrol("m-1", collins, "Eileen Collins")
    (consented,) = log_of(station, "member.consented")
    assert set(consented) == {"member", "version", "language", "purpose", "until"}
    assert "Eileen" not in json.dumps(log_of(station, "member.enrolled"))
    station.parts.stage.show("collins")
    eventually(lambda: station.parts.door.is_released, "the door opens for her")
    (row,) = station.client.request("members.data", id="m-1", part="member")["rows"]
    assert (row["name"], row["last_seen_on"]) == ("Eileen Collins", row["created_at_utc"][:10])
    (template,) = station.client.request("members.data", id="m-1", part="templates")["rows"]
    assert template["engine"] == "dlib"
    named = station.client.request("members.data", id="m-1", part="log")["rows"]
    assert {"station.member.consented", "station.member.enrolled", "station.access.granted"} <= {
        each["type"] for each in named
    }
    station.client.request("members.withdraw", id="m-1")
    assert station.client.request("members.data", id="m-1", part="templates")["rows"] == []
    (listed,) = station.client.request("members.list")["rows"]
    assert (listed["id"], listed["templates"], listed["consent_ended"]) == ("m-1", 0, "withdrawn")


def test_an_erasure_is_proved_by_a_receipt_that_the_station_cannot_read(station: Station) -> None:
    station.enrol("m-1", find_portraits()["collins"])
    receipt = station.client.request("members.erase", id="m-1")["receipt"]
    assert receipt["digest"] == hashlib.sha256(f"{receipt['salt']}:m-1".encode()).hexdigest()
    assert receipt["rows"]["templates"] == receipt["rows"]["members"] == receipt["rows"]["consents"] == 1
    (entry,) = log_of(station, "member.erased")
    assert entry == {"why": "asked", "digest": receipt["digest"], "rows": receipt["rows"]}
    for path in station.settings.state.directory.glob("station.db*"):
        content = path.read_bytes()
        assert b'"m-1"' not in content
        assert receipt["salt"].encode() not in content


def test_somebody_is_enrolled_from_the_camera(station: Station) -> None:
    station.parts.stage.show("collins")
    answers = list(
        station.client.stream("members.enrol", id="m-1", name="Eileen Collins", camera=True, consent=station.consent())
    )
    assert set(answers[0]) == {"frames", "needed", "advice"}
    assert answers[-1]["member"] == "m-1"
    eventually(lambda: station.parts.door.is_released, "the camera watches the door again, and it opens for her")


def test_a_member_who_does_not_come_any_more_is_forgotten(station: Station) -> None:
    station.enrol("m-1", find_portraits()["collins"])
    skip(station, FIRST_REVIEW_S + 1)  # a first look, so that a clock nobody vouches for counts as even
    skip(station, 31 * DAY_S)
    skip(station, REVIEW_S)
    eventually(lambda: station.client.request("members.list")["rows"] == [], "they are erased")
    eventually(lambda: bool(log_of(station, "member.erased")), "the erasure is logged")
    assert log_of(station, "member.erased")[0]["why"] == "unseen"
