"""`python -m bench [NAME…]`: run every measurement there is, or those named, and print what is met and what is not.

A measurement is a module of this package with a function `bars()` that yields `Bar`s. The exit code is 0 whatever is
met: this is a report, for a machine that is busy or slow fails bars that say nothing about the software.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import unicodedata
from collections.abc import Callable, Iterable

import bench
from bench.bar import Bar

NOT_MEASUREMENTS = {"__main__", "bar", "distortions", "doorway", "places"}


def main(wanted: list[str]) -> int:
    """Run the measurements named, or all."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # before numpy is imported, and for every process that is started
    measurements = _measurements()
    if unknown := [name for name in wanted if name not in measurements]:
        print(f"there is no measurement {', '.join(unknown)}: one of {', '.join(measurements)}", file=sys.stderr)
        return 2
    found: list[Bar] = []
    for name in wanted or measurements:
        print(f"{name} …", file=sys.stderr, flush=True)
        found += measurements[name]()
    for line in table(found):
        print(line)
    return 0


def _measurements() -> dict[str, Callable[[], Iterable[Bar]]]:
    names = sorted(each.name for each in pkgutil.iter_modules(bench.__path__) if each.name not in NOT_MEASUREMENTS)
    modules = {name: importlib.import_module(f"bench.{name}") for name in names}
    return {name: module.bars for name, module in modules.items() if hasattr(module, "bars")}


def table(bars: Iterable[Bar]) -> list[str]:
    """One line for each bar, under a title."""
    rows = [("what", "bar", "measured", ""), *((each.what, each.bar, each.measured, each.verdict) for each in bars)]
    widths = [max(_width(row[column]) for row in rows) for column in range(4)]
    return [
        "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
