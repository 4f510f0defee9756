"""The broker dies and the network fails while visitors come: nothing is lost, nothing counts twice, the door opens."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Literal

import pytest

from tests.system import broker_faults as faults
from tests.system.rig import PERSISTENCE, Fault, rigged, rigged_as_shipped

SEED = 20261122
DEATHS = 30
BUSY_S = 300  # on a machine with nothing else to do each takes a minute at most
SLOW = (
    faults.hang_broker,
    faults.half_open_both_ways,
    faults.half_open_to_the_broker,
    faults.half_open_to_the_station,
    faults.half_open_to_the_subscriber,
)
QUICK = tuple(each for each in faults.NETWORK if each not in SLOW)


@pytest.mark.timeout(BUSY_S)
@pytest.mark.parametrize(
    ("persistence", "version"), [(PERSISTENCE, "5"), ((), "3.1.1")], ids=["with_persistence", "without"]
)
def test_all_arrives_once_when_the_broker_is_killed_again_and_again(
    tmp_path: Path, persistence: tuple[str, ...], version: Literal["5", "3.1.1"]
) -> None:
    random = Random(SEED)
    with rigged(tmp_path, *persistence, version=version) as rig:
        rig.warm_up(faults.kill_broker, faults.stop_broker, random=random)
        for _ in range(DEATHS):
            faults.happen(rig, faults.kill_broker, random)


@pytest.mark.timeout(BUSY_S)
@pytest.mark.parametrize("chosen", [2 * QUICK, SLOW], ids=["quick", "slow"])
def test_all_arrives_once_when_the_network_fails(tmp_path: Path, chosen: tuple[Fault, ...]) -> None:
    random = Random(SEED)
    with rigged_as_shipped(tmp_path) as rig:
        rig.warm_up(faults.blink, random=random)
        for fault in chosen:
            faults.happen(rig, fault, random)


@pytest.mark.parametrize("fault", [faults.forget_what_waits, faults.forget_at_once], ids=["with_its_death", "at_once"])
def test_what_a_broker_acknowledged_and_forgot_is_sent_again_when_the_server_asks(tmp_path: Path, fault: Fault) -> None:
    random = Random(SEED)
    with rigged(tmp_path) as rig:
        rig.warm_up(fault, random=random)
        for _ in range(5):
            before = rig.replayed
            faults.happen(rig, fault, random)
            assert rig.replayed > before, "nothing was forgotten"


def test_a_server_whose_replay_was_cut_short_asks_once_more_and_has_all(tmp_path: Path) -> None:
    random = Random(SEED)
    with rigged(tmp_path) as rig:
        rig.warm_up(faults.cut_a_replay, random=random)
        faults.happen(rig, faults.cut_a_replay, random)
        assert rig.replayed > 0, "none was cut short"
