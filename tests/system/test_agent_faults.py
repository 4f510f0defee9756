"""The station dies, alone and together with its broker, while visitors come: nothing is lost, nothing counts twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.system import agent_faults
from tests.system.mortal import mortal
from tests.system.rig import PERSISTENCE, Rig

SEED = 20261122
DEATHS = 8


@pytest.mark.timeout(300)
def test_all_arrives_once_when_station_and_broker_die_again_and_again(tmp_path: Path) -> None:
    random = Random(SEED)
    with mortal(tmp_path, *PERSISTENCE) as rig:
        for _ in range(DEATHS):
            delivery = rig.run(agent_faults.kill_agent_and_broker, random)
        assert delivery.visits > DEATHS
        rig.check_files()


@pytest.mark.parametrize(
    "fault",
    [agent_faults.end_agent, agent_faults.move_clock],
    ids=lambda each: each.__name__,
)
def test_all_arrives_once_whatever_happens_to_the_station(tmp_path: Path, fault: Callable[[Rig, Random], None]) -> None:
    random = Random(SEED)
    with mortal(tmp_path) as rig:
        rig.run(fault, random)
        rig.check_files()
