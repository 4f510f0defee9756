"""How often a gallery lets a stranger in and refuses a member, on a folder of people.

The protocol, for each of several random splits of the people. Members are N people with at least `enrol + probe`
pictures; everybody else with at least `probe` is a stranger. A member is enrolled with `enrol` pictures; then members
and strangers each try the door once, with `probe` pictures that are fused as at the door. People are split, not
pictures, and the threshold stands before any probe is looked at. What counts:

- FPIR: strangers taken for a member, of the strangers whose face was found (one without a face cannot be let in, and
  would only flatter the figure);
- FNIR: members not taken for themselves, of all members; also where no face was found or the quality refused it, in
  enrolment or at the door. A try with some usable pictures goes on with those, as the door does.

Terms as in ISO/IEC 19795-1. Intervals are 95 %: for a rate over all splits Wilson's, with the number of different
people tried as n (the same people come again in every split, so the number of tries would promise too much); for a
percentile over splits the percentile bootstrap of the splits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.core.gallery import TARGET_FPIR, Gallery, build_gallery
from agent.vision.people import People, PeopleError, read_people

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from agent.vision.engine import FaceEngine
    from agent.vision.people import Quality

    Vectors = Sequence[NDArray[np.float32] | None]

_Z95 = 1.959964  # standard normal, two-sided 95 %
_RESAMPLES = 2000  # of the bootstrap: its own error is then far below the interval's width

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Protocol:
    """What one evaluation does; see the module."""

    gallery: int
    enrol: int = 3
    probe: int = 2
    target_fpir: float = TARGET_FPIR
    splits: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.gallery, self.enrol, self.probe, self.splits) < 1:
            raise PeopleError("gallery, enrol, probe and splits are numbers from 1 up")
        if not 0 < self.target_fpir < 1:
            raise PeopleError(f"the target FPIR is above 0 and below 1, not {self.target_fpir}")


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """Rates are shares (0 to 1). `threshold`: mean over splits, and `threshold_range` the least and the largest.

    `gallery`, `strangers`: people in each split. `probes`: tries judged in all splits, members' and strangers'.
    `failed_to_acquire`: share of all pictures without a usable face; `failures` counts them by reason.
    `misidentified`: members taken for another member (part of FNIR).
    """

    fpir: float
    fpir_interval: Interval
    fpir_p95: float
    fpir_p95_interval: Interval
    fnir: float
    fnir_interval: Interval
    fnir_p95: float
    fnir_p95_interval: Interval
    misidentified: float
    threshold: float
    threshold_range: Interval
    gallery: int
    strangers: int
    probes: int
    pictures: int
    failed_to_acquire: float
    failed_to_acquire_interval: Interval
    failures: Mapping[str, int]
    enrol: int
    probe: int
    target_fpir: float
    splits: int
    seed: int
    engine: str
    detector: str
    intervals: str = (
        "95 %: rates Wilson, n = different people (pictures for failed_to_acquire); p95 bootstrap of splits"
    )

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


@dataclass(frozen=True, slots=True)
class _Split:
    """Outcomes of one split: per stranger tried, whether let in; per member, who they were taken for."""

    threshold: float
    strangers: Mapping[str, bool]
    members: Mapping[str, str | None]

    @property
    def fpir(self) -> float:
        return sum(self.strangers.values()) / max(1, len(self.strangers))

    @property
    def fnir(self) -> float:
        return sum(member != taken_for for member, taken_for in self.members.items()) / len(self.members)


def evaluate(
    directory: Path,
    *,
    gallery: int,
    enrol: int = 3,
    probe: int = 2,
    target_fpir: float = TARGET_FPIR,
    splits: int = 20,
    seed: int = 0,
    engine: FaceEngine,
    ceiling: float | None = None,
    quality: Quality | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> EvaluationReport:
    """Read the folder and judge it. Raises `PeopleError` when the folder or the numbers do not allow it."""
    protocol = Protocol(gallery, enrol, probe, target_fpir, splits, seed)
    people = read_people(directory, engine, quality=quality, progress=progress)
    names = {"engine": engine.name, "weights": engine.weights, "detector": engine.detector_name}
    return judge(people, protocol, ceiling=ceiling, **names)


def judge(
    people: People,
    protocol: Protocol,
    *,
    engine: str,
    weights: str,
    detector: str = "",
    ceiling: float | None = None,
) -> EvaluationReport:
    """Run every split on vectors. The same people, protocol and seed give the same report.

    `ceiling`: no threshold is larger, as by `recognition.max_distance`; None: the engine's own.
    """
    can_be_member = sorted(
        name for name, each in people.vectors.items() if len(each) >= protocol.enrol + protocol.probe
    )
    can_try = sorted(name for name, each in people.vectors.items() if len(each) >= protocol.probe)
    if len(can_be_member) < protocol.gallery or len(can_try) <= protocol.gallery:
        raise PeopleError(
            f"a gallery of {protocol.gallery} needs as many people with {protocol.enrol + protocol.probe} pictures, and"
            f" strangers with {protocol.probe}; there are {len(can_be_member)} such people, and {len(can_try)} with"
            f" {protocol.probe} pictures: ask for a smaller gallery or fewer pictures each"
        )
    build = partial(build_gallery, engine=engine, weights=weights, target_fpir=protocol.target_fpir, ceiling=ceiling)
    runs = []
    for number in range(protocol.splits):
        random = np.random.default_rng([protocol.seed, number])
        members = [can_be_member[i] for i in random.choice(len(can_be_member), protocol.gallery, replace=False)]
        enrolled = set(members)
        strangers = [name for name in can_try if name not in enrolled]
        shuffled = {name: _shuffled(people.vectors[name], random) for name in (*members, *strangers)}
        runs.append(_run(shuffled, members, strangers, protocol, build))
    return _report(people, protocol, runs, engine=engine, detector=detector)


def _run(
    vectors: Mapping[str, Vectors],
    members: Sequence[str],
    strangers: Sequence[str],
    protocol: Protocol,
    build: Callable[[Iterable[tuple[str, ArrayLike]]], Gallery],
) -> _Split:
    enrolled = {name: _usable(vectors[name][: protocol.enrol]) for name in members}
    gallery = build((name, np.stack(each)) for name, each in enrolled.items() if each)
    at_door = slice(protocol.enrol, protocol.enrol + protocol.probe)
    tries = {name: _usable(vectors[name][: protocol.probe]) for name in strangers}
    return _Split(
        threshold=gallery.threshold,
        strangers={name: _taken_for(gallery, each) is not None for name, each in tries.items() if each},
        members={name: _taken_for(gallery, _usable(vectors[name][at_door])) for name in members},
    )


def _shuffled(vectors: Vectors, random: np.random.Generator) -> Vectors:
    return [vectors[number] for number in random.permutation(len(vectors))]


def _usable(vectors: Vectors) -> list[NDArray[np.float32]]:
    return [vector for vector in vectors if vector is not None]


def _taken_for(gallery: Gallery, frames: Sequence[NDArray[np.float32]]) -> str | None:
    match = gallery.identify(np.stack(frames)) if frames else None
    return match.member if match is not None else None


def _report(
    people: People, protocol: Protocol, runs: Sequence[_Split], *, engine: str, detector: str
) -> EvaluationReport:
    stranger_tries = sum(len(run.strangers) for run in runs)
    member_tries = sum(len(run.members) for run in runs)
    fpir = sum(sum(run.strangers.values()) for run in runs) / max(1, stranger_tries)
    fnir = sum(run.fnir for run in runs) / len(runs)
    wrong = sum(taken not in (None, member) for run in runs for member, taken in run.members.items())
    failed = sum(people.failures.values())
    fpirs, fnirs = [run.fpir for run in runs], [run.fnir for run in runs]
    thresholds = [run.threshold for run in runs]
    return EvaluationReport(
        fpir=fpir,
        fpir_interval=wilson(fpir, len({name for run in runs for name in run.strangers})),
        fpir_p95=float(np.percentile(fpirs, 95)),
        fpir_p95_interval=_bootstrap_p95(fpirs, protocol.seed),
        fnir=fnir,
        fnir_interval=wilson(fnir, len({name for run in runs for name in run.members})),
        fnir_p95=float(np.percentile(fnirs, 95)),
        fnir_p95_interval=_bootstrap_p95(fnirs, protocol.seed),
        misidentified=wrong / member_tries,
        threshold=float(np.mean(thresholds)),
        threshold_range=(min(thresholds), max(thresholds)),
        gallery=protocol.gallery,
        strangers=sum(len(each) >= protocol.probe for each in people.vectors.values()) - protocol.gallery,
        probes=member_tries + stranger_tries,
        pictures=people.pictures,
        failed_to_acquire=failed / people.pictures,
        failed_to_acquire_interval=wilson(failed / people.pictures, people.pictures),
        failures=dict(people.failures),
        enrol=protocol.enrol,
        probe=protocol.probe,
        target_fpir=protocol.target_fpir,
        splits=protocol.splits,
        seed=protocol.seed,
        engine=engine,
        detector=detector,
    )


def wilson(rate: float, count: int) -> Interval:
    """95 % score interval of a share seen in `count` independent trials (Wilson 1927); (0, 1) without any."""
    if count == 0:
        return (0.0, 1.0)
    square = _Z95**2 / count
    middle = (rate + square / 2) / (1 + square)
    half = _Z95 * math.sqrt(rate * (1 - rate) / count + square / (4 * count)) / (1 + square)
    return (max(0.0, middle - half), min(1.0, middle + half))


def _bootstrap_p95(values: Sequence[float], seed: int) -> Interval:
    random = np.random.default_rng([seed, len(values), _RESAMPLES])
    samples = random.choice(np.asarray(values), size=(_RESAMPLES, len(values)))
    low, high = np.percentile(np.percentile(samples, 95, axis=1), (2.5, 97.5))
    return (float(low), float(high))
