"""What the vision child costs while nobody is there: its own processor time over ten seconds, at 10 frames a second.

The camera is the simulated one, so drawing its noise counts as well, and decoding a real camera's pictures does not.
"""

from __future__ import annotations

import os
import queue
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from agent.clock import SystemClock
from agent.events import Event, VisionBeat, VisionStarted, VisionStopped
from agent.vision.protocol import SimulatedCameraConfig, VisionConfig
from agent.vision.supervisor import VisionProcess
from bench.bar import Bar, not_measured

WHAT, BAR, SHARE_MAX = "nobody there, 10 frames a second", "≤ 5 % of one core", 0.05
_STARTING_S = 60.0  # a first start converts the network
_SETTLING_S = 5.0  # the gate stays open for the first two
_MEASURED_S = 10.0
FPS = 10.0


def bars() -> Iterator[Bar]:
    """A quarter of a minute."""
    said: queue.Queue[Event] = queue.Queue()
    with tempfile.TemporaryDirectory(prefix="station-bench-") as folder:
        camera = SimulatedCameraConfig(stage=str(Path(folder) / "stage.json"), portraits={})
        vision = VisionProcess(VisionConfig(camera=camera, fps=FPS, cache=folder), SystemClock(), said.put)
        vision.start()
        try:
            yield _measure(said)
        finally:
            vision.close()


def _measure(said: queue.Queue[Event]) -> Bar:
    try:
        while not isinstance(event := said.get(timeout=_STARTING_S), VisionStarted):
            if isinstance(event, VisionStopped):
                return not_measured(WHAT, BAR, f"the vision child ended: {event.reason}")
    except queue.Empty:
        return not_measured(WHAT, BAR, "the vision child did not start")
    (child,) = _children()
    time.sleep(_SETTLING_S)
    before, began, frames_before = _cpu_s(child), time.monotonic(), _frames(said)
    time.sleep(_MEASURED_S)
    share = (_cpu_s(child) - before) / (time.monotonic() - began)
    rate = (_frames(said) - frames_before) / _MEASURED_S
    return Bar(WHAT, BAR, f"{share:.1%} ({rate:.0f} frames a second)", share <= SHARE_MAX)


def _children() -> list[int]:
    """The processes that any thread of this one has started (Linux, with CONFIG_PROC_CHILDREN)."""
    tasks = Path("/proc/self/task").iterdir()
    return [int(each) for task in tasks for each in (task / "children").read_text().split()]


def _cpu_s(process: int) -> float:
    """Seconds of processor time, user and system (proc(5), fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _frames(said: queue.Queue[Event]) -> int:
    """How many frames the newest beat counted."""
    frames = 0
    while not said.empty():
        event = said.get()
        frames = max(frames, event.frames) if isinstance(event, VisionBeat) else frames
    return frames
