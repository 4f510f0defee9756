"""A real writer process, ended by SIGKILL at random moments: what it told of must be there."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.storage.database import open_readonly
from agent.storage.head import read_head
from agent.storage.log import read_after, verify

KILLS = 20

# Forks one writer process after another, so that each need not import everything anew. A writer appends as fast as it
# is told, with a visit in every third entry, and reports each told place over the pipe; the dot says the line is whole.
PROGRAM = """
import os
import sys
from pathlib import Path
from threading import Semaphore

from agent.clock import SystemClock
from agent.effects import AppendEntry, BeginVisit
from agent.events import EntriesLogged
from agent.storage.writer import StorageWriter


def live(directory, life):
    room = Semaphore(40)

    def post(event):
        if isinstance(event, EntriesLogged):
            for receipt in event.receipts:
                sys.stdout.write(f"{receipt.epoch} {receipt.sequence} {receipt.tag} .\\n")
                room.release()
            sys.stdout.flush()

    clock = SystemClock()
    writer = StorageWriter(Path(directory), "test-1", clock, post)
    epoch, _ = writer.open().newest
    print("open", os.getpid(), epoch, flush=True)
    n = 0
    while True:
        room.acquire()
        tag = f"{life}-{n}"
        visits = (BeginVisit(tag, None, clock.now()),) if n % 3 == 0 else ()
        writer.submit(AppendEntry(clock.now(), "station.test.happened", {"tag": tag}, tag, visits))
        n += 1


for line in sys.stdin:
    child = os.fork()
    if child == 0:
        live(sys.argv[1], line.strip())
    os.waitpid(child, 0)
    print("\\nended", flush=True)
"""


class Writers:
    """Writer processes on one directory, one after another."""

    def __init__(self, state: Path) -> None:
        command = [sys.executable, "-c", PROGRAM, str(state)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run_and_kill(self, life: int, delay_s: float) -> list[tuple[int, int, str]]:
        """What the writer told before it was killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{life}\n")
        self._process.stdin.flush()
        word, pid, epoch = self._process.stdout.readline().split()
        assert (word, epoch) == ("open", "1")
        time.sleep(delay_s)
        os.kill(int(pid), signal.SIGKILL)
        told = []
        while (line := self._process.stdout.readline()) != "ended\n":
            assert line, "the writer's parent has ended"
            if line.endswith(" .\n"):
                place = line.split()
                told.append((int(place[0]), int(place[1]), place[2]))
        return told

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture
def writers(tmp_path: Path) -> Iterator[Writers]:
    writers = Writers(tmp_path / "state")
    yield writers
    writers.close()


def test_nothing_that_was_told_is_missing_after_kill_9(writers: Writers, tmp_path: Path) -> None:
    state = tmp_path / "state"
    random_ = random.Random(20261122)
    told: list[tuple[int, int, str]] = []
    for life in range(KILLS):
        told += writers.run_and_kill(life, random_.uniform(0, 0.25))
        with closing(open_readonly(state / "station.db")) as database:
            found = verify(database, read_head(state / "head"))
            assert found.first_break is None, (life, found.first_break)
            logged = {(each.epoch, each.sequence): each.body for each in read_after(database, 0, 0, 1_000_000)}
            visits = {row[0] for row in database.conn.execute("SELECT id FROM visits")}
        for epoch, sequence, tag in told:
            assert logged[epoch, sequence] == f'{{"tag":"{tag}"}}', life
            assert (tag in visits) == (int(tag.split("-")[1]) % 3 == 0)
    assert len(told) > 10 * KILLS
    assert len({(epoch, sequence) for epoch, sequence, _ in told}) == len(told)
