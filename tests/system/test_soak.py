"""The long run itself: what it says, and that it ends at the first thing that is wrong."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.flood import Flood
from tests.system import agent_faults
from tests.system.rig import Rig
from tests.system.soak import soak
from tests.system.stations import STATION, eventually

TOPIC = f"stations/{STATION}/log"


def test_it_says_what_was_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert soak(0.001, 7, tmp_path, [agent_faults.move_clock]) == 0
    said = capsys.readouterr().out
    assert "move_clock 1" in said
    assert "held: " in said


def test_it_ends_with_the_seed_at_what_is_against_the_contract(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def forge_an_entry(rig: Rig, _random: Random) -> None:
        with Flood(rig.broker.port) as sender:
            sender.send(TOPIC, b"{}")
            sender.settle()
        eventually(lambda: bool(rig.watcher.complaints()), "the subscriber complains")

    assert soak(1.0, 7, tmp_path, [forge_an_entry]) == 1
    assert "python -m tests.system.soak 1 7" in capsys.readouterr().out
