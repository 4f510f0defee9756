"""What the settings become for the rules."""

from __future__ import annotations

from pathlib import Path

from agent.rules import rules_of
from agent.settings import load_settings
from tests.system.stations import write_settings


def test_screens_learn_what_the_station_is_and_has(tmp_path: Path) -> None:
    path = tmp_path / "station.toml"
    path.write_text(
        '[station]\nid = "gate-7"\nname = "Gate"\ntimezone = "Asia/Urumqi"\n[hardware]\nsimulated = true\n'
        '[contact]\nfitted = false\n[appliances.a]\nkind = "other"\nlabel_en = "Kettle"\n'
        '[appliances.b]\nkind = "other"\n'
    )
    plate = rules_of(load_settings(path)).plate

    assert (plate.id, plate.name, plate.timezone) == ("gate-7", "Gate", "Asia/Urumqi")
    assert (plate.has_contact, plate.has_broker) == (False, False)
    assert plate.labels == {"a": {"en": "Kettle"}}


def test_the_bound_on_a_backlog_can_be_lifted(tmp_path: Path) -> None:
    rates = [
        rules_of(load_settings(write_settings(tmp_path, {"mqtt": chosen}))).outbox.entries_per_s
        for chosen in ({}, {"entries_per_s_max": 7}, {"entries_per_s_max": 0})
    ]
    assert rates == [50.0, 7.0, None]


def test_the_rules_know_which_meters_are_plugs(tmp_path: Path) -> None:
    path = tmp_path / "station.toml"
    path.write_text(
        '[station]\nid = "gate-7"\n[hardware]\nsimulated = true\n[sensors.a]\ndriver = "tasmota"\ndevice = "a"\n'
        '[sensors.b]\ndriver = "simulated"\n[appliances.a]\nkind = "heater"\npower = "a"\n'
        '[appliances.b]\nkind = "heater"\npower = "b"\n'
    )
    appliances = rules_of(load_settings(path)).appliances
    assert {name: each.is_plug for name, each in appliances.items()} == {"a": True, "b": False}
