"""How often strangers get in and members are refused: what `station faces evaluate` measures, with its defaults.

Every picture is read once and judged for each size of gallery; with the default detector of a new station, HOG, and
with YuNet where its file lies.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.cli.evaluation import default_choice
from agent.vision.engine import FaceEngine, load_engine
from agent.vision.evaluate import EvaluationReport, Protocol, judge
from agent.vision.models import is_installed
from agent.vision.people import People, door_gate, read_people
from bench.bar import Bar, not_measured
from bench.places import LFW, LONDON, MODELS


@dataclass(frozen=True, slots=True)
class Wanted:
    """At most these shares; None: nothing is asked."""

    protocol: Protocol
    fnir: float
    fpir: float | None = None
    fpir_p95: float | None = None

    @property
    def text(self) -> str:
        """The bar as it is written."""
        parts = [f"FPIR ≤ {self.fpir:.1%}"] if self.fpir is not None else []
        parts += [f"p95 ≤ {self.fpir_p95:.0%}"] if self.fpir_p95 is not None else []
        return ", ".join([*parts, f"FNIR ≤ {self.fnir:.0%}"])

    def is_met(self, report: EvaluationReport) -> bool:
        """Whether every share is small enough."""
        return (
            report.fnir <= self.fnir
            and (self.fpir is None or report.fpir <= self.fpir)
            and (self.fpir_p95 is None or report.fpir_p95 <= self.fpir_p95)
        )


WANTED = {
    LFW: (
        Wanted(Protocol(150), fpir=0.015, fpir_p95=0.03, fnir=0.04),
        Wanted(Protocol(8), fpir_p95=0.04, fnir=0.12),
        Wanted(Protocol(16), fpir_p95=0.04, fnir=0.12),
    ),
    LONDON: (Wanted(Protocol(50, enrol=1, probe=1), fpir=0.015, fnir=0.02),),
}


def bars() -> Iterator[Bar]:
    """About a minute for each detector."""
    detectors = ("hog", "yunet") if is_installed("yunet", MODELS) else ("hog",)
    for folder, wanted in WANTED.items():
        if not folder.is_dir():
            for each in wanted:
                yield not_measured(_name(folder, each, "any"), each.text, f"{folder} is not there")
            continue
        for detector in detectors:
            yield from _judge(folder, wanted, detector)


def _judge(folder: Path, wanted: tuple[Wanted, ...], detector: str) -> Iterator[Bar]:
    chosen = default_choice()
    with tempfile.TemporaryDirectory(prefix="station-bench-") as cache:
        engine: FaceEngine = load_engine(detector=detector, models=MODELS, cache=Path(cache))
        print(f"  reading {folder.name} with {detector}", file=sys.stderr)
        people: People = read_people(folder, engine, quality=door_gate(engine, chosen.floors))
    for each in wanted:
        report = judge(
            people,
            each.protocol,
            engine=engine.name,
            weights=engine.weights,
            detector=detector,
            ceiling=chosen.ceiling,
        )
        words = f"FPIR {report.fpir:.2%}, p95 {report.fpir_p95:.2%}, FNIR {report.fnir:.2%}"
        yield Bar(_name(folder, each, detector), each.text, words, each.is_met(report))


def _name(folder: Path, wanted: Wanted, detector: str) -> str:
    return f"{folder.name}, gallery {wanted.protocol.gallery}, {detector}"
