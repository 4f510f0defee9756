"""How often a pass's code is read in one frame, over the distortions of `bench/distortions.py`.

`python -m bench.codes --json` prints the shares by kind, with their 95 % intervals (Wilson), and how long a look takes.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import cv2
import numpy as np

from agent.signatures import generate
from agent.vision.codes import read_codes
from bench.bar import Bar
from bench.distortions import CODE_PX, COLUMNS, KINDS, MILD, RANGES, ROWS, shots

READ_MIN = 0.85
SEED = 20261122  # not one that the reader was tuned on
COUNT = 300  # of each kind


def bars() -> Iterator[Bar]:
    """Two minutes, most of them for making the frames."""
    for kind, found in measure(COUNT, SEED)["kinds"].items():
        words = f"{found['read']:.1%} of {found['frames']}, {found['look_ms']:.0f} ms a look"
        what = f"code read at {CODE_PX} px, {kind}"
        yield Bar(what, f"≥ {READ_MIN:.0%}", words, found["read"] >= READ_MIN)


def measure(count: int, seed: int) -> dict[str, Any]:
    """Shares and times by kind, as JSON values. A code that is read as another text counts as not read."""
    cv2.setNumThreads(1)
    detector = cv2.QRCodeDetectorAruco()
    key = generate(1)
    kinds: dict[str, Any] = {}
    for kind in KINDS:
        read, wrong, took_s = 0, 0, []
        for shot in shots(kind, count, key, seed):
            began = time.perf_counter()
            texts = read_codes(shot.picture, detector)
            took_s.append(time.perf_counter() - began)
            read += shot.text in texts
            wrong += bool(set(texts) - {shot.text})
        kinds[kind] = {
            "frames": count,
            "read": read / count,
            "interval": _interval(read, count),
            "read_wrongly": wrong,
            "look_ms": 1000 * float(np.median(took_s)),
            "look_p95_ms": 1000 * float(np.quantile(took_s, 0.95)),
        }
    return {
        "seed": seed,
        "frame": [COLUMNS, ROWS],
        "code_px": CODE_PX,
        "ranges": asdict(RANGES),
        "mild": asdict(MILD),
        "kinds": kinds,
    }


def _interval(count: int, total: int) -> list[float]:
    """Wilson's, 95 %."""
    z, share = 1.96, count / total
    middle = share + z * z / (2 * total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return [(middle - half) / (1 + z * z / total), (middle + half) / (1 + z * z / total)]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="How often a pass's code is read.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--count", type=int, default=COUNT, help="frames of each kind")
    parser.add_argument("--seed", type=int, default=SEED)
    chosen = parser.parse_args()
    found = measure(chosen.count, chosen.seed)
    if chosen.json:
        print(json.dumps(found))
        return
    for kind, each in found["kinds"].items():
        low, high = each["interval"]
        print(f"{kind:6} {each['read']:6.1%} [{low:.1%}, {high:.1%}]  {each['look_ms']:.0f} ms")


if __name__ == "__main__":
    main()
