"""How late a thread is woken that does nothing else: what this machine adds to whatever runs beside it.

`python -m bench.handover` hands facts from one thread to another, as `bench/decision.py` does to the agent, until its
standard input ends; then it prints the milliseconds that each took, as a JSON array.
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


@contextmanager
def beside() -> Iterator[list[float]]:
    """Run it meanwhile; the list is filled on leaving, milliseconds."""
    took_ms: list[float] = []
    with subprocess.Popen(
        (sys.executable, "-m", "bench.handover"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            yield took_ms
            found, _ = process.communicate(timeout=_END_S)
            took_ms += json.loads(found)
        finally:
            process.kill()


def main() -> None:
    """The command."""
    posts: queue.SimpleQueue[float | None] = queue.SimpleQueue()
    took_ms: list[float] = []
    ended = threading.Event()

    def take() -> None:
        while (posted_at := posts.get()) is not None:
            took_ms.append(1000 * (time.monotonic() - posted_at))

    def await_end() -> None:
        sys.stdin.read()
        ended.set()

    threads = [threading.Thread(target=take), threading.Thread(target=await_end)]
    for each in threads:
        each.start()
    pause = random.Random(0)
    while not ended.wait(pause.uniform(0.001, 0.01)):
        posts.put(time.monotonic())
    posts.put(None)
    for each in threads:
        each.join()
    print(json.dumps(took_ms))


if __name__ == "__main__":
    main()
