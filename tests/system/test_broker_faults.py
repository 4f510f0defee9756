"""The broker dies and the network fails while visitors come: nothing is lost, nothing counts twice, the door opens."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.system import broker_faults
from tests.system.rig import PERSISTENCE, Fault, rigged

SEED = 20261122
DEATHS = 30
HALF_OPEN = (
    broker_faults.half_open_both_ways,
    broker_faults.half_open_to_the_broker,
    broker_faults.half_open_to_the_station,
)
NETWORK = (broker_faults.cut, broker_faults.blink, broker_faults.slow_down, broker_faults.lose_the_subscriber)


def test_all_arrives_once_when_a_broker_with_persistence_is_killed_again_and_again(tmp_path: Path) -> None:
    random = Random(SEED)
    with rigged(tmp_path, *PERSISTENCE, f"persistence_location {tmp_path}/") as rig:
        rig.warm_up(broker_faults.kill_broker, broker_faults.stop_broker, random=random)
        for _ in range(DEATHS):
            rig.run(broker_faults.kill_broker, random)


@pytest.mark.parametrize("fault", [*NETWORK, broker_faults.freeze_broker], ids=lambda each: each.__name__)
def test_all_arrives_once_when_the_network_fails(tmp_path: Path, fault: Fault) -> None:
    random = Random(SEED)
    with rigged(tmp_path) as rig:
        rig.warm_up(broker_faults.blink, random=random)
        for _ in range(2):
            rig.run(fault, random)


def test_a_half_open_link_is_noticed_and_all_arrives_once(tmp_path: Path) -> None:
    random = Random(SEED)
    with rigged(tmp_path) as rig:
        rig.warm_up(broker_faults.blink, random=random)
        for fault in HALF_OPEN:
            rig.run(fault, random)
