"""A whole station with a reader: cards and PINs are given out, open the door, and block it after five wrong ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.clock import SystemClock
from agent.control.client import ControlError
from agent.events import Member
from agent.storage.writer import StorageWriter
from tests.storage.inbox import Inbox, save
from tests.system.stations import Station, eventually, running, write_settings


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    inbox = Inbox()
    writer = StorageWriter(tmp_path / "state", "test-0001", SystemClock(), inbox)
    writer.open()
    save(writer, inbox, Member("m-1"))
    assert writer.close(5.0)
    tables: dict[str, dict[str, Any]] = {
        "readers.front": {"driver": "simulated"},
        "readers.exit": {"driver": "simulated", "side": "inside"},
    }
    with running(write_settings(tmp_path, tables)) as station:
        yield station


def lock(station: Station) -> str:
    return str(station.status()["parts"]["door"]["lock"])


def alarms(station: Station) -> list[str]:
    return list(station.status()["parts"]["door"]["alarms"])


def patterns(station: Station) -> list[str]:
    return [pattern for _at, pattern in station.parts.indicator.shown]


def log_of(station: Station) -> list[dict[str, Any]]:
    return station.client.request("members.data", id="m-1", part="log")["rows"]  # type: ignore[no-any-return]


def test_a_card_and_a_pin_open_the_door_and_five_wrong_ones_block_the_keypad_alone(station: Station) -> None:
    front = station.parts.readers["front"]
    station.client.request("members.card", id="m-1", number="0012345678")
    number = station.client.request("members.pin", id="m-1", pin="2580", duress="2581")["number"]
    for _ in range(5):
        refused = patterns(station).count("refused")
        front.press("99#9999#")
        eventually(lambda refused=refused: patterns(station).count("refused") > refused, "it is refused")  # type: ignore[misc]
    eventually(lambda: alarms(station) == ["guessing"], "the keypad is blocked")
    front.press(f"{number}#2580#")
    front.present("12345678")
    eventually(lambda: lock(station) == "released", "the card opens all the same")
    eventually(lambda: [each for each in log_of(station) if each["type"] == "station.access.granted"] != [], "logged")
    ways = [each["body"]["way"] for each in log_of(station) if each["type"] == "station.access.granted"]
    assert ways == ["card"]


def test_a_duress_pin_opens_and_is_in_the_log_and_no_secret_is_in_any_file(station: Station, tmp_path: Path) -> None:
    number = station.client.request("members.pin", id="m-1", pin="258036914", duress="741852963")["number"]
    station.client.request("members.card", id="m-1", number="987654321098")
    station.parts.readers["front"].press(f"{number}#741852963#")
    eventually(lambda: lock(station) == "released", "it opens")
    eventually(lambda: alarms(station) == ["duress"], "those who see alarms see it")
    eventually(lambda: any(each["type"] == "station.access.duress" for each in log_of(station)), "it is logged")
    assert patterns(station)[-1] == "granted"
    content = b"".join(each.read_bytes() for each in (tmp_path / "state").iterdir() if each.is_file())
    for secret in (b"258036914", b"741852963", b"987654321098"):
        assert secret not in content
    assert "258036914" not in json.dumps(log_of(station))


def test_a_card_that_was_taken_away_opens_no_more(station: Station) -> None:
    station.client.request("members.card", id="m-1", number="4711")
    assert station.client.request("members.uncard", id="m-1")["count"] == 1
    station.parts.readers["front"].present("4711")
    eventually(lambda: "refused" in patterns(station), "it is refused")
    assert lock(station) == "secured"


def test_a_card_is_read_at_the_door_and_given(station: Station) -> None:
    answers = station.client.stream("members.card", id="m-1", read=True)
    assert "advice" in next(answers)
    station.parts.readers["front"].present("4711")
    assert next(answers)["member"] == "m-1"
    answers.close()
    station.parts.readers["front"].present("4711")
    eventually(lambda: lock(station) == "released", "it opens")


def test_any_card_at_the_reader_inside_lets_out(station: Station) -> None:
    station.client.request("door.lock_down")
    station.parts.readers["exit"].present("1")
    eventually(lambda: lock(station) == "released", "whoever is inside may leave")


def test_a_weak_pin_is_refused_in_words(station: Station) -> None:
    with pytest.raises(ControlError, match="first that anybody tries"):
        station.client.request("members.pin", id="m-1", pin="1234")
