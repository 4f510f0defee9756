"""What every fault run asks in the end: the subscriber has what the log has, each once, and the memory is flat."""

from __future__ import annotations

import os
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from agent.fleet.watch import Watcher
from agent.storage.database import open_readonly
from tests.system.stations import STATION

ARRIVAL_S = 60.0  # for the backlog of a whole run at the slowest rate that one sets; only a failure waits so long
_LOOK_S = 0.05
# What a process may have grown by after its warm-up: the bar for a backlog of 100,000 entries. What is leaked at each
# fault (a connection with its buffers, a session's queue, a thread's stack) passes it within a run.
GROWTH_BYTES = 5 * 1024 * 1024
# A moment may differ by one connection to the broker (its socket, and the pair that wakes its thread) and two requests.
_FILES, _THREADS = 6, 3
_SHOWN = 5  # of what is missing, in a failure

Log = dict[str, str]
"""The hash of each entry, by the id it has on the wire."""


def logged(state: Path, station: str = STATION) -> Log:
    """The agent's log, from its database in `state`; also while it runs."""
    with closing(open_readonly(state / "station.db")) as database:
        rows = database.conn.execute("SELECT epoch, sequence, hash FROM log").fetchall()
    return {f"{station}/{epoch}/{sequence}": hash_ for epoch, sequence, hash_ in rows}


def received(watcher: Watcher, station: str = STATION) -> Log:
    """What the subscriber took, each once."""
    return {event.id: event.hash for event in watcher.entries(station)}


def visits_logged(state: Path) -> int:
    """Visits in the station's own table of them, which is none of the log."""
    with closing(open_readonly(state / "station.db")) as database:
        return int(database.conn.execute("SELECT count(*) FROM visits").fetchone()[0])


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a run: `duplicates` came a further time on the wire, and were not taken again."""

    entries: int
    visits: int
    duplicates: int


def assert_delivered(
    watcher: Watcher, state: Path, *, station: str = STATION, patience_s: float = ARRIVAL_S
) -> Delivery:
    """Wait until the subscriber has exactly what the log in `state` has, by id and hash, and every visit once.

    The agent may run on; then it must come to rest for a moment. Fails with what is missing, strange or altered.
    """
    deadline = time.monotonic() + patience_s
    while not _is_same(watcher, state, station):
        assert time.monotonic() < deadline, _difference(logged(state, station), received(watcher, station))
        time.sleep(_LOOK_S)
    found = watcher.audit(station)
    assert found.is_whole, found
    assert watcher.complaints() == ()
    entries = watcher.entries(station)
    visits = sum(event.type == "station.visit.entered" for event in entries)
    assert visits == visits_logged(state), "the server counts as many visits as the station"
    return Delivery(len(entries), visits, watcher.duplicates)


def _is_same(watcher: Watcher, state: Path, station: str) -> bool:
    with closing(open_readonly(state / "station.db")) as database:
        count = int(database.conn.execute("SELECT count(*) FROM log").fetchone()[0])
    return count == len(watcher.entries(station)) and logged(state, station) == received(watcher, station)


def _difference(log: Log, arrived: Log) -> str:
    missing = [each for each in log if each not in arrived]
    strange = [each for each in arrived if each not in log]
    altered = [each for each in arrived if each in log and arrived[each] != log[each]]
    return (
        f"of {len(log)} entries {len(missing)} have not arrived {missing[:_SHOWN]}; "
        f"{len(strange)} arrived that the log has not {strange[:_SHOWN]}; "
        f"{len(altered)} have another hash {altered[:_SHOWN]}"
    )


def resident_bytes(process: int) -> int:
    """Memory that a process holds now (proc(5), statm)."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def held(process: int) -> tuple[int, int]:
    """Open files and threads of a process."""
    folder = Path(f"/proc/{process}")
    return len(list((folder / "fd").iterdir())), len(list((folder / "task").iterdir()))


class Memory:
    """Whether what a process holds is flat. Make it after the warm-up, when every path has been walked once."""

    def __init__(self, process: int) -> None:
        self._process = process
        self._at_first = resident_bytes(process)
        self._files, self._threads = held(process)

    @property
    def growth_bytes(self) -> int:
        """Since it was made."""
        return resident_bytes(self._process) - self._at_first

    def assert_flat(self, most_bytes: int = GROWTH_BYTES) -> None:
        """Fail when it has grown by more, or holds more files or threads than a connection and two requests need."""
        grown = self.growth_bytes
        assert grown <= most_bytes, f"{grown / 2**20:.1f} MiB more than after the warm-up, the bound is {most_bytes}"
        files, threads = held(self._process)
        assert files <= self._files + _FILES, f"{files} open files, {self._files} after the warm-up"
        assert threads <= self._threads + _THREADS, f"{threads} threads, {self._threads} after the warm-up"
