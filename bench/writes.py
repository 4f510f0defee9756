"""What the storage writes in a day, counted at the block layer: a real ext4 on a loop device, with its journal.

The real `StorageWriter` is fed by a clock of its own with days of a station: twelve sensors at their default
intervals, entries (an average day of 13 visits, and a busy one of 200, what they bring with them, appliances that start
and stop) and the broker's acknowledgements. A day before them is not counted: the write-ahead files have grown by then.
The file system is synced after every burst of writes, as ext4 does with its journal after five seconds, so that nothing
that is written apart in a real day falls together here. Sectors are those of `/sys/block/loopN/stat`
(Documentation/block/stat.rst: field 7, of 512 bytes).

Beside it: the same values with one commit for each reading. That is minutes of the day, multiplied.

Without the right to mount, `/proc/self/io` counts what this process gave to the page cache to be written
(`write_bytes`, proc(5)) instead: it lacks the file system's journal, and the bar says so.
"""

from __future__ import annotations

import ctypes
import os
import random
import sqlite3
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar, TypeVar

from agent.clock import WallTime
from agent.effects import (
    AppendEntry,
    BeginVisit,
    EndVisit,
    KeepNotes,
    MoveCursor,
    Note,
    ReadOutbox,
    VisitChange,
    WriteReading,
)
from agent.events import EntriesLogged, Event, OutboxRead
from agent.storage.writer import StorageWriter
from bench.bar import Bar, not_measured

BAR, BYTES_MAX = "≤ 20 MB", 20e6
AVERAGE_VISITS, BUSY_VISITS = 13, 200
_DAYS = 2  # of each: what is moved out of the write-ahead files comes in lumps
_JOURNAL_S = 5.0  # ext4's mount option `commit`
EACH = "the same readings, a commit each"
DAY_S = 86_400
_IMAGE_BYTES = 1 << 30
_SECTOR = 512
_ANSWER_S = 30.0
_EACH_MINUTES = 3  # of the comparison: some thousand commits
_E = TypeVar("_E", bound=Event)
_BEGINS = datetime(2026, 11, 22, tzinfo=UTC)

METER = ("voltage_v", "current_a", "power_w", "energy_kwh", "frequency_hz", "power_factor")
SENSORS: dict[str, tuple[float, tuple[str, ...]]] = {
    **{
        name: (2.0, METER)
        for name in ("mains", "microwave", "water_dispenser", "refrigerator", "air_conditioner", "heater", "charger")
    },
    "room": (10.0, ("temperature_c", "humidity_percent", "pressure_hpa")),
    "air": (10.0, ("co2_ppm", "temperature_c", "humidity_percent")),
    "fridge_inside": (10.0, ("temperature_c",)),
    "water_tank": (10.0, ("temperature_c",)),
    "presence": (2.0, ("distance_m",)),
}
"""Twelve, with the seconds between two readings and what each gives: seven meters, of six quantities, are the most."""


class ModelledClock:
    """Time that goes on only when it is told to."""

    boot_id = "00000000-0000-4000-8000-000000000000"

    def __init__(self, begins: datetime = _BEGINS) -> None:
        self.seconds = 0.0
        self.begins = begins
        self.is_trusted = True

    def now(self) -> float:
        """See `agent.clock.Clock`."""
        return self.seconds

    def monotonic(self) -> float:
        """See `agent.clock.Clock`."""
        return self.seconds

    def wall(self) -> WallTime:
        """See `agent.clock.Clock`."""
        return self.wall_at(self.seconds)

    def station_time(self, monotonic: float) -> float:
        """See `agent.clock.Clock`."""
        return monotonic

    def wall_at(self, at: float) -> WallTime:
        """See `agent.clock.Clock`."""
        return WallTime(self.begins + timedelta(seconds=at), self.is_trusted)


def bars() -> Iterator[Bar]:
    """Five minutes."""
    with tempfile.TemporaryDirectory(prefix="station-bench-") as folder, _disk(Path(folder)) as disk:
        yield from _measure_days(disk)
    with tempfile.TemporaryDirectory(prefix="station-bench-") as folder, _disk(Path(folder)) as disk:
        yield _measure_each(disk)


@dataclass(slots=True)
class Disk:
    """A directory to write in. `written`: bytes so far; `sync`: bring everything to the device."""

    directory: Path
    written: Callable[[], int]
    remark: str = ""

    def sync(self) -> None:
        """Bring everything to the device."""
        if not self.remark:
            _sync_file_system(self.directory)


@contextmanager
def _disk(folder: Path) -> Iterator[Disk]:
    image, mounted = folder / "disk.img", folder / "disk"
    mounted.mkdir()
    with image.open("wb") as file:
        file.truncate(_IMAGE_BYTES)
    # As on a Raspberry Pi's card; nothing is left for the kernel to initialise while it is measured.
    made = _try("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image))
    if not made or not _try("mount", "-o", "loop", str(image), str(mounted)):
        directory = folder / "state"
        directory.mkdir()
        yield Disk(directory, _written_by_this_process, "write_bytes of this process: no right to mount a loop device")
        return
    try:
        device = next(line.split()[0] for line in _mounts() if line.split()[1] == str(mounted))
        stat = Path("/sys/block") / Path(device).name / "stat"
        yield Disk(mounted, lambda: int(stat.read_text().split()[6]) * _SECTOR)
    finally:
        subprocess.run(["umount", "-l", str(mounted)], check=True)


def _mounts() -> list[str]:
    return Path("/proc/mounts").read_text().splitlines()


def _try(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _written_by_this_process() -> int:
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["write_bytes"])


def _sync_file_system(directory: Path) -> None:
    """syncfs(2): of this file system alone."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
            raise OSError(ctypes.get_errno(), "the file system could not be synced")
    finally:
        os.close(descriptor)


def _measure_days(disk: Disk) -> Iterator[Bar]:
    station = _Station(disk)
    try:
        station.live_a_day(BUSY_VISITS)
        for visits in (AVERAGE_VISITS, BUSY_VISITS):
            days = [station.live_a_day(visits) for _ in range(_DAYS)]
            log, readings = (sum(each) / _DAYS for each in zip(*days, strict=True))
            written = log + readings
            what = f"12 sensors, {visits} visits, a day"
            told = (
                f"{written / 1e6:.1f} MB (urgent entries {log / 1e6:.1f}, readings and the rest {readings / 1e6:.1f})"
            )
            if disk.remark:
                yield not_measured(what, BAR, f"{told}; {disk.remark}")
            else:
                yield Bar(what, BAR, told, written <= BYTES_MAX)
    finally:
        station.close()


@dataclass(frozen=True, slots=True)
class _Entry:
    """`at`: seconds of the day."""

    at: float
    type: str
    body: dict[str, object]
    visits: tuple[VisitChange, ...] = ()
    may_wait: bool = False


def _entries(dice: random.Random, begins: float, visits: int) -> Iterator[_Entry]:
    """One day's, in no order."""
    for n in range(visits):
        came = dice.triangular(0, DAY_S - 3600, 43_200)
        left = came + dice.uniform(120, 3500)
        who: dict[str, object] = {"way": "face", "member": None}
        visit = f"bench0001-{begins:.0f}-{n}"
        yield _Entry(came, "station.access.granted", who)
        body = {**who, "visit": visit, "ended": [], "inside": 3}
        yield _Entry(came + 4, "station.visit.entered", body, (BeginVisit(visit, None, begins + came + 4),))
        leaving: dict[str, object] = {"way": "exit_button", "member": None}
        yield _Entry(left, "station.access.exit_requested", leaving, may_wait=True)
        end = EndVisit(visit, begins + left + 3, "exit_button")
        yield _Entry(left + 3, "station.visit.left", {"way": "exit_button", "visits": [visit], "inside": 2}, (end,))
    for name, runs, lasting_s in (
        ("refrigerator", 48, 700),
        ("microwave", visits // 3, 120),
        ("water_dispenser", 60, 240),
    ):
        for _ in range(runs):
            at = dice.uniform(0, DAY_S - 900)
            for after, state, was in ((0, "running", "standby"), (lasting_s, "standby", "running")):
                body = {"appliance": name, "state": state, "was": was}
                yield _Entry(at + after, "station.appliance.changed", body, may_wait=True)
    for _ in range(visits // 5):
        body = {"way": "face", "member": None, "reason": "not_enrolled"}
        yield _Entry(dice.uniform(0, DAY_S - 900), "station.access.refused", body)
    for n in range(6):
        body = {"code": "supply.low", "where": f"supply_{n}", "severity": "warning"}
        yield _Entry(dice.uniform(0, DAY_S - 900), "station.fault.raised", body)


def _learned(dice: random.Random) -> tuple[Note, ...]:
    """What is kept of appliances each hour: some ninety numbers of each."""
    names = [name for name, (_, quantities) in SENSORS.items() if quantities is METER]
    return tuple(Note("appliance", name, {"seconds": [round(dice.uniform(0, 1e5), 1)] * 90}) for name in names)


class Values:
    """Measured values that move as real ones do; counters only grow."""

    _REST: ClassVar = {
        "voltage_v": (230.0, 0.4), "current_a": (0.6, 0.05), "power_w": (140.0, 9.0), "frequency_hz": (50.0, 0.01),
        "power_factor": (0.9, 0.01), "temperature_c": (21.0, 0.05), "humidity_percent": (45.0, 0.2),
        "pressure_hpa": (1013.0, 0.05), "co2_ppm": (600.0, 4.0), "distance_m": (2.0, 0.3),
    }  # fmt: skip

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._counters: dict[str, float] = {}

    def next(self, sensor: str, quantity: str) -> float:
        """The next value, as a meter rounds it."""
        if quantity == "energy_kwh":
            self._counters[sensor] = self._counters.get(sensor, 100.0) + 140.0 * 2 / 3.6e6
            return round(self._counters[sensor], 3)
        rest, spread = self._REST[quantity]
        return round(self._dice.gauss(rest, spread), 2)


@dataclass(slots=True)
class _Station:
    """The real writer, in a time of its own."""

    disk: Disk
    clock: ModelledClock = field(default_factory=ModelledClock)
    random: random.Random = field(default_factory=lambda: random.Random(11))
    writer: StorageWriter = field(init=False)
    values: Values = field(init=False)
    _counted_bytes: int = 0
    _answers: list[Event] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self.writer = StorageWriter(self.disk.directory / "state", "bench-1", self.clock, self._take)
        self.writer.open()
        self.values = Values(self.random)

    def close(self) -> None:
        self.writer.close(_ANSWER_S)

    def live_a_day(self, visits: int) -> tuple[int, int]:
        """Write one day: bytes with entries that cannot wait, and with readings and the entries that go along."""
        begins, clock = self.clock.seconds, self.clock
        entries = deque(sorted(_entries(self.random, begins, visits), key=lambda each: each.at))
        log = readings = 0
        self._counted()
        for minute in range(DAY_S // 60):
            ends = begins + 60 * (minute + 1)
            while entries and begins + entries[0].at < ends:
                entry = entries.popleft()
                self._log(begins + entry.at, entry)
                if not entries or entries[0].at > entry.at + _JOURNAL_S:
                    log += self._counted()
            clock.seconds = ends
            if minute % 60 == 0:
                self.writer.submit(KeepNotes(_learned(self.random), may_wait=True))
            self._measure(ends - 60)
            self._turn()
            readings += self._counted()
        return log, readings

    def _measure(self, begins: float) -> None:
        for sensor, (interval_s, quantities) in SENSORS.items():
            for n in range(int(60 / interval_s)):
                for quantity in quantities:
                    value = self.values.next(sensor, quantity)
                    self.writer.submit(WriteReading(begins + n * interval_s, sensor, quantity, value))

    def _counted(self) -> int:
        self.disk.sync()
        before, self._counted_bytes = self._counted_bytes, self.disk.written()
        return self._counted_bytes - before

    def _log(self, at: float, entry: _Entry) -> None:
        """One entry, and a second later the broker's acknowledgement of it."""
        self.clock.seconds = at
        self.writer.submit(AppendEntry(at, entry.type, entry.body, "", entry.visits, may_wait=entry.may_wait))
        if entry.may_wait:
            return
        receipt = self._wait(EntriesLogged).receipts[-1]
        self.clock.seconds = at + 1.0
        self.writer.submit(MoveCursor(receipt.epoch, receipt.sequence))
        self._turn()

    def _turn(self) -> None:
        """Let the writer's thread look at everything: an order to read wakes it, the next is taken after its turn."""
        for _ in range(2):
            self.writer.submit(ReadOutbox(1, 2**40, 1))
            self._wait(OutboxRead)

    def _take(self, event: Event) -> None:
        with self._changed:
            if isinstance(event, EntriesLogged | OutboxRead):
                self._answers.append(event)
                self._changed.notify_all()

    def _wait(self, kind: type[_E]) -> _E:
        with self._changed:
            while True:
                for event in self._answers:
                    if isinstance(event, kind):
                        self._answers.remove(event)
                        return event
                if not self._changed.wait(_ANSWER_S):
                    raise TimeoutError("the writer does not answer")


def _measure_each(disk: Disk) -> Bar:
    """Every value a commit of its own, in a database that is otherwise set as the agent's is."""
    values = Values(random.Random(11))
    connection = sqlite3.connect(disk.directory / "each.db", isolation_level=None)
    with closing(connection):
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("CREATE TABLE readings (at REAL, sensor TEXT, quantity TEXT, value REAL) STRICT")
        disk.sync()
        before, commits = disk.written(), 0
        for second in range(60 * _EACH_MINUTES):
            for sensor, (interval_s, quantities) in SENSORS.items():
                if second % interval_s == 0:
                    for quantity in quantities:
                        row = (float(second), sensor, quantity, values.next(sensor, quantity))
                        connection.execute("INSERT INTO readings VALUES (?, ?, ?, ?)", row)
                        commits += 1
            disk.sync()
        written = disk.written() - before
    scale = DAY_S / (60 * _EACH_MINUTES)
    told = f"{written * scale / 1e9:.1f} GB ({commits} commits in {_EACH_MINUTES} minutes, times {scale:.0f})"
    return Bar(EACH, "", f"{told}; {disk.remark}" if disk.remark else told, None)
