"""How late a thread is woken that does nothing else: what this machine adds to whatever runs beside it.

`python -m bench.handover` hands facts from one thread to another and lets that one wait for a deadline after each, as
`bench/decision.py` has the agent do, until its standard input ends. Then it prints how many milliseconds each hand-over
and each deadline came late, as a JSON array.
"""

from __future__ import annotations

import json
import queue
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_END_S = 10.0
_DEADLINE_S = 0.005
_PAUSE_S = (0.006, 0.015)  # between two facts, longer than the deadline


@contextmanager
def beside() -> Iterator[list[float]]:
    """Run it meanwhile; the list is filled on leaving, milliseconds."""
    late_ms: list[float] = []
    command = (sys.executable, "-m", "bench.handover")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield late_ms
            found, _ = process.communicate(timeout=_END_S)
            late_ms += json.loads(found)
        finally:
            process.kill()


def main() -> None:
    """The command."""
    posts: queue.Queue[float | None] = queue.Queue()  # what the agent's inbox is made of
    late_ms: list[float] = []
    ended = threading.Event()

    def take() -> None:
        fact = posts.get()
        while fact is not None:
            late_ms.append(1000 * (time.monotonic() - fact))
            due_at = time.monotonic() + _DEADLINE_S
            try:
                fact = posts.get(timeout=_DEADLINE_S)
            except queue.Empty:
                late_ms.append(1000 * (time.monotonic() - due_at))
                fact = posts.get()

    def await_end() -> None:
        sys.stdin.read()
        ended.set()

    threads = [threading.Thread(target=take), threading.Thread(target=await_end)]
    for each in threads:
        each.start()
    pause = random.Random(0)
    while not ended.wait(pause.uniform(*_PAUSE_S)):
        posts.put(time.monotonic())
    posts.put(None)
    for each in threads:
        each.join()
    print(json.dumps(late_ms))


if __name__ == "__main__":
    main()
