"""A rig whose station dies: killed, ended, begun again on the same files; see `mortal`."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from statistics import median

from agent.control.client import ControlError
from agent.storage import worker
from agent.storage.database import open_readonly
from agent.storage.head import read_head
from agent.storage.log import verify
from tests.system.delivered import GROWTH_BYTES, Delivery, Memory, resident_bytes
from tests.system.rig import IN_FLIGHT, Fault, Rig, Visitors, rigged
from tests.system.stations import PATIENCE_S, quick_restarts
from tests.system.visited import VisitedStation

START_S = 90.0  # the first restart compiles every module; on a machine that does much else besides
# A death forgets how far the broker has the log since that was written last; and what was acknowledged meanwhile.
RESENT = worker._CURSOR_STEP + 10 * IN_FLIGHT


class Mortal(Rig):
    """`deaths`: how often the station was killed."""

    def __init__(self, rig: Rig, settings: Path) -> None:
        super().__init__(rig.broker, rig.way, rig.far_way, rig.watcher, rig.station, rig.command)
        self.deaths = 0
        self.restarts = 0
        self.resident: list[int] = []  # of each life at its end, when it had come as far as visits
        self._settings = settings
        self._takes_visits = True

    def begin(self) -> None:
        """Start it, and do not wait."""
        self.restarts += 1
        self.station = VisitedStation(self._settings, quick_restarts(self._settings))

    def await_ready(self) -> None:
        """Until it answers; from then on it has visitors again."""
        self.station.await_ready(START_S)
        self._takes_visits = True
        self.await_link()

    def kill(self) -> None:
        """SIGKILL."""
        if self._takes_visits:
            self.resident.append(resident_bytes(self.station.process.pid))
        self._takes_visits = False
        self.deaths += 1
        self.memory = None
        self.station.kill()

    def end(self) -> None:
        """SIGTERM, as systemd does it."""
        self._takes_visits = False
        self.memory = None
        self.station.process.send_signal(signal.SIGTERM)
        self.station.process.wait(PATIENCE_S)
        self.station.kill()

    def run(self, fault: Fault, random: Random) -> Delivery:
        """As of `Rig`; whoever comes to a dead station comes again."""
        with Visitors(self._visit) as visitors:
            fault(self, random)
        visitors.check()
        self.slowest_s = max(self.slowest_s, visitors.slowest_s)
        delivery = self.settle()
        if self.memory is None:
            self.memory = Memory(self.station.process.pid)
        return delivery

    def _visit(self) -> float:
        station, is_open = self.station, self._takes_visits
        try:
            return station.let_somebody_in() if is_open else 0.0
        except (ControlError, OSError, ValueError, AssertionError):  # ValueError: its pipes are closed
            if station is self.station and self._takes_visits:
                raise
            return 0.0

    @property
    def duplicates_allowed(self) -> int:
        """Also what the deaths of the station put in doubt."""
        return super().duplicates_allowed + self.restarts * RESENT

    def check_files(self) -> None:
        """The log is unbroken and of one epoch, and a life takes no more memory because the ones before were many."""
        with closing(open_readonly(self.station.state / "station.db")) as database:
            found = verify(database, read_head(self.station.state / "head"))
            epochs = database.conn.execute("SELECT count(DISTINCT epoch) FROM log").fetchone()[0]
        assert found.first_break is None, found
        assert epochs == 1, "no restart took the log for a restored backup"
        if len(self.resident) > 1:
            assert median(self.resident[-5:]) - median(self.resident[:5]) <= GROWTH_BYTES, self.resident


@contextmanager
def mortal(folder: Path, *broker_settings: str) -> Iterator[Mortal]:
    """A rig with `broker_settings` whose station may die."""
    with rigged(folder, *broker_settings) as rig:
        found = Mortal(rig, folder / "station.toml")
        try:
            yield found
        finally:
            found.station.kill()


def moment(random: Random, most_s: float = 0.5) -> None:
    """Wait for a moment."""
    time.sleep(random.uniform(0, most_s))
