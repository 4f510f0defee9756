"""A real process that rotates the keys, ended by SIGKILL at random moments: the key file opens every template."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np

from agent.storage import members
from agent.storage.database import open_readonly
from agent.storage.keys import KeyFile
from agent.storage.vault import Vault

KILLS = 25
MEMBERS = 60

# Forks one writer process after another, so that each need not import everything anew.
PROGRAM = """
import os
import sys
from pathlib import Path
from threading import Semaphore

import numpy as np

from agent.clock import SystemClock
from agent.effects import RotateVault, SaveMember
from agent.events import Member, MemberSaved, Template, VaultRotated
from agent.storage.writer import StorageWriter


def live(directory, members):
    done = Semaphore(0)

    def post(event):
        if isinstance(event, (MemberSaved, VaultRotated)):
            done.release()

    clock = SystemClock()
    writer = StorageWriter(Path(directory), "test-1", clock, post)
    writer.open()
    for n in range(members):
        template = Template("dlib", "w" * 64, np.full(128, n, np.float32))
        writer.submit(SaveMember(str(n), Member(f"m-{n}", (template,)), "Somebody", clock.now()))
    for _ in range(members):
        done.acquire()
    print(os.getpid(), flush=True)
    while True:
        writer.submit(RotateVault("r"))
        done.acquire()
        print(".", flush=True)


for line in sys.stdin:
    child = os.fork()
    if child == 0:
        live(sys.argv[1], int(line))
    os.waitpid(child, 0)
    print("ended", flush=True)
"""


def test_a_rotation_that_is_killed_leaves_every_template_readable(tmp_path: Path) -> None:
    state = tmp_path / "state"
    random_ = random.Random(20261122)
    command = [sys.executable, "-c", PROGRAM, str(state)]
    rotations = 0
    key_counts = set()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for life in range(KILLS):
            process.stdin.write(f"{0 if life else MEMBERS}\n")
            process.stdin.flush()
            pid = int(process.stdout.readline())
            for _ in range(random_.randint(1, 3)):
                began = time.monotonic()
                assert process.stdout.readline() == ".\n"
                rotations += 1
            time.sleep(random_.uniform(0, time.monotonic() - began))  # somewhere in the next one
            os.kill(pid, signal.SIGKILL)
            while (line := process.stdout.readline()) != "ended\n":
                assert line, "the writer's parent has ended"
                rotations += 1

            vault = Vault(KeyFile(state / "template.keys"))
            vault.load(may_make=False)
            with closing(open_readonly(state / "station.db")) as database:
                found, rows = members.load(database, vault)
            assert (rows.locked, rows.forged, rows.unusable) == ({}, [], 0), life
            assert {each.id: float(each.templates[0].vector[0]) for each in found} == {
                f"m-{n}": float(n) for n in range(MEMBERS)
            }
            assert all(np.ptp(each.templates[0].vector) == 0 for each in found)
            key_counts.add(len(vault.key_ids))
        process.stdin.close()
    assert rotations >= KILLS
    assert 2 in key_counts, "none was killed between the new key and the end of the old one"
