"""What the settings become for the rules."""

from __future__ import annotations

from pathlib import Path

from agent.app import rules_of
from agent.settings import load_settings


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
