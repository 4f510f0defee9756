"""What a restart must not forget: an order to the door, and who left without saying their name."""

from __future__ import annotations

from pathlib import Path

from tests.system.stations import eventually, running, write_settings


def test_a_lock_down_outlives_a_restart(tmp_path: Path) -> None:
    settings = write_settings(tmp_path)
    with running(settings) as station:
        station.client.request("door.lock_down")
    with running(settings) as station:
        assert station.status()["parts"]["door"]["mode"] == "locked_down"
        assert not station.parts.door.push()
        station.parts.exit_button.press()
        eventually(lambda: station.parts.door.is_released, "leaving is honoured")


def test_the_number_of_people_inside_outlives_a_restart(tmp_path: Path) -> None:
    settings = write_settings(tmp_path)
    with running(settings) as station:
        for _ in range(3):
            station.let_somebody_in()
        station.parts.exit_button.press()
        eventually(lambda: station.parts.door.is_released, "leaving is honoured")
        assert station.parts.door.push()
        eventually(lambda: station.status()["parts"]["occupancy"]["count"] == 2, "one has left")
        station.parts.door.let_go()
    with running(settings) as station:
        assert station.status()["parts"]["occupancy"]["count"] == 2
