"""The broker dies and the network fails while visitors come: nothing is lost, nothing counts twice, the door opens."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.system import broker_faults as faults
from tests.system.rig import PERSISTENCE, Fault, rigged

SEED = 20261122
DEATHS = 30
NETWORK = (faults.cut, faults.blink, faults.slow_down, faults.freeze_broker, faults.lose_the_subscriber)
HALF_OPEN = (faults.half_open_both_ways, faults.half_open_to_the_broker, faults.half_open_to_the_station)


@pytest.mark.parametrize("persistence", [PERSISTENCE, ()], ids=["with_persistence", "without"])
def test_all_arrives_once_when_the_broker_is_killed_again_and_again(
    tmp_path: Path, persistence: tuple[str, ...]
) -> None:
    random = Random(SEED)
    with rigged(tmp_path, *persistence) as rig:
        rig.warm_up(faults.kill_broker, faults.stop_broker, random=random)
        for _ in range(DEATHS):
            rig.run(faults.kill_broker, random)


def test_all_arrives_once_when_the_network_fails(tmp_path: Path) -> None:
    random = Random(SEED)
    with rigged(tmp_path) as rig:
        rig.warm_up(faults.blink, random=random)
        for fault in 2 * NETWORK:
            rig.run(fault, random)


def test_a_half_open_link_is_noticed_and_all_arrives_once(tmp_path: Path) -> None:
    random = Random(SEED)
    with rigged(tmp_path) as rig:
        rig.warm_up(faults.blink, random=random)
        for fault in HALF_OPEN:
            rig.run(fault, random)


@pytest.mark.parametrize("fault", [faults.forget_what_waits, faults.forget_at_once], ids=["with_its_death", "at_once"])
def test_what_a_broker_acknowledged_and_forgot_is_sent_again_when_the_server_asks(tmp_path: Path, fault: Fault) -> None:
    random = Random(SEED)
    with rigged(tmp_path) as rig:
        rig.warm_up(fault, random=random)
        for _ in range(5):
            before = rig.replayed
            rig.run(fault, random)
            assert rig.replayed > before, "nothing was forgotten"
