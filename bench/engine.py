"""Speed and vectors beside `face_recognition`: what `station faces bench` measures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agent.vision.bench import BenchError, run_bench
from bench.bar import Bar, not_measured
from bench.places import MODELS

DIFFERENCE = 1e-5
RATIOS = {
    "embed": ("vector, against face_recognition", 15.0),
    "path": ("frame (640×480) → decision, against the usual recipe", 8.0),
    "path_whole": ("    the same where no movement is known", 8.0),
    "match": ("query against 10,000", 20.0),
}


def bars() -> Iterator[Bar]:
    """About a minute."""
    try:
        report = run_bench(models=MODELS if MODELS.is_dir() else None)
    except BenchError as error:
        for what, ratio in RATIOS.values():
            yield not_measured(what, f"≥ {ratio:g} ×", str(error))
        return
    for key, (what, ratio) in RATIOS.items():
        found = report[f"{key}_ratio"]
        times = f"{found:.1f} × ({report[f'{key}_ms']:.2f} against {report[f'{key}_reference_ms']:.2f} ms)"
        yield Bar(what, f"≥ {ratio:g} ×", times, found >= ratio)
        if key == "path":
            yield from _by_width(report["path_by_face_width_px"], ratio)
    largest = report["max_abs_difference"]
    words = f"{largest:.1e} over {report['faces']} faces"
    yield Bar("largest difference of a vector", f"≤ {DIFFERENCE:g}", words, largest <= DIFFERENCE)


def _by_width(measured: Mapping[str, Mapping[str, float]], ratio: float) -> Iterator[Bar]:
    for width, times in measured.items():
        found = times["reference_ms"] / times["ms"]
        words = f"{found:.1f} × ({times['ms']:.1f} against {times['reference_ms']:.1f} ms)"
        words += f"; {times['reference_ms'] / times['whole_ms']:.1f} × where no movement is known"
        yield Bar(f"    of these, a face {width} px wide", f"≥ {ratio:g} ×", words, found >= ratio)
