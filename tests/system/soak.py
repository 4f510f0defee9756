"""Everything that can fail, by chance and for as long as wanted, against one set of files: `make soak MINUTES=…`.

`python -m tests.system.soak [MINUTES] [SEED]`: a line for each fault, and at the end what was checked. It ends with 1
at the first thing that is not as it must be, and names the seed; with it the same faults come in the same order.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

from tests.storage.conftest import fill
from tests.system import agent_faults, broker_faults
from tests.system.delivered import resident_bytes
from tests.system.mortal import Mortal, moment, mortal
from tests.system.rig import PERSISTENCE, Rig
from tests.system.stations import eventually

DEFAULT_MINUTES = 30.0
# Low for the agent from the beginning; with the reserve there is as much room as the readings ask for, and some.
_DISK = "96m"

Fault = Callable[[Rig, Random], None]


def fill_disk(rig: Rig, random: Random) -> None:
    """Every byte of the station's disk is taken for a while."""
    state = rig.station.state
    before = int(rig.station.status()["log"]["sequence"])
    ballast = fill(state)
    try:
        eventually(lambda: int(rig.station.status()["log"]["sequence"]) > before + 5, "the log goes on")
        moment(random, 2.0)
    finally:
        ballast.unlink()


FAULTS: tuple[Fault, ...] = (*broker_faults.NETWORK, *broker_faults.FORGETTING, *agent_faults.FAULTS, fill_disk)


def soak(minutes: float, seed: int, folder: Path, among: Sequence[Fault] = FAULTS) -> int:
    """Let them happen until the time is over; returns the process's exit code."""
    random = Random(seed)
    counts: Counter[str] = Counter()
    print(f"soak: {minutes:g} minutes, seed {seed}", flush=True)
    with _disk(folder) as has_disk, mortal(folder, *PERSISTENCE) as rig:
        faults = [each for each in among if has_disk or each is not fill_disk]
        until = time.monotonic() + 60 * minutes
        try:
            while time.monotonic() < until:
                # Each of them comes before any comes again.
                for fault in random.sample(faults, len(faults)):
                    _run(rig, fault, random, counts)
                    if time.monotonic() >= until:
                        break
        except BaseException as error:
            if not isinstance(error, Exception | KeyboardInterrupt):
                raise
            traceback.print_exc()
            print(f"FAILED after {sum(counts.values())} faults: python -m tests.system.soak {minutes:g} {seed}")
            print(f"the files are in {folder}")
            return 1
        _sum_up(rig, counts)
    return 0


def _run(rig: Mortal, fault: Fault, random: Random, counts: Counter[str]) -> None:
    name = fault.__name__
    print(f"{name:<28}", end="", flush=True)
    began = time.monotonic()
    replayed = rig.replayed
    delivery = rig.run(fault, random)
    assert rig.replayed == replayed or fault not in broker_faults.NETWORK, "counted as delivered what no broker had"
    rig.check_files()
    counts[name] += 1
    megabytes = resident_bytes(rig.station.process.pid) / 2**20
    print(
        f"{time.monotonic() - began:6.1f} s  {delivery.entries:7} entries  {delivery.visits:6} visits  "
        f"{delivery.duplicates:7} sent again  {rig.replayed:6} replayed  {megabytes:6.1f} MiB",
        flush=True,
    )


def _sum_up(rig: Mortal, counts: Counter[str]) -> None:
    delivery = rig.settle()
    first, last = rig.resident[:1] or [0], rig.resident[-1:] or [0]
    print(", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    print(
        f"held: {delivery.entries} entries by id and hash, {delivery.visits} visits each once, "
        f"{delivery.duplicates} sent again and not taken, {rig.replayed} replayed, {rig.deaths} deaths of the station, "
        f"{rig.restarts} restarts, slowest answer of the door {rig.slowest_s:.2f} s, "
        f"memory {first[0] / 2**20:.1f} MiB at the first death, {last[0] / 2**20:.1f} MiB at the last"
    )


@contextmanager
def _disk(folder: Path) -> Iterator[bool]:
    """The station's files on a disk of their own that can be filled, where this account may mount one."""
    state = folder / "state"
    state.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "none", str(state)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        print("no disk is filled: mounting a small one needs root with the right to mount")
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run(["umount", "-l", str(state)], check=True)


def main(arguments: list[str]) -> int:
    """See the module."""
    minutes = float(arguments[0]) if arguments else DEFAULT_MINUTES
    seed = int(arguments[1]) if len(arguments) > 1 else secrets.randbelow(10**6)
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    return soak(minutes, seed, folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
