"""How alike different people look: the distribution of distances that a threshold is set by.

What matters is the small end, and it is far thinner than one pair in those there are. So it is extrapolated: on
normal-probability paper the closest pairs of a gallery lie on a straight line, and the line goes on. A small gallery
says little about its tail, therefore its line is blended with a prior, by the number of pairs. The figures behind
every constant are in docs/decisions/2026-11-22-gallery-threshold.md.

Distances are Euclidean between vectors of length 1, so 0 to 2. Any thread.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 2048  # of a histogram of distances 0 to 2: steps of 0.001, a fifth of the error of a threshold's estimate

# The closest pairs that the line is drawn through: this share of all, and at least so many. With fewer than 50 a single
# look-alike swings the line; with more than 2 % the many who look unlike hide the few who look alike.
_TAIL_SHARE = 0.02
_TAIL_PAIRS = 50
# The prior counts as this many pairs, so that a line that lacks its 50 counts less. Under 6 pairs there is no line.
_PRIOR_PAIRS = 50
_FEWEST_PAIRS = 6
_BLOCK = 1024  # rows compared at once: 4 MB of cosines for every thousand members
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Likeness:
    """What is known about an engine's distances before anybody is enrolled.

    `centre`, `spread`: mean and standard deviation of the distances between different people of one homogeneous
    population. `ceiling`: no threshold is larger, since members come closer than that. `floor`: with a threshold below,
    more than about one member in ten would be refused. `margin`: the second best must be so much farther.
    """

    centre: float
    spread: float
    ceiling: float
    floor: float
    margin: float


LIKENESS: Mapping[str, Likeness] = {
    # Centre and spread: published shares of East-Asian webcam pairs under given distances, rounded to the safe side.
    # Ceiling, floor, margin: the London set, neutral against smiling (all under 0.284, 92 % under 0.20).
    "dlib": Likeness(centre=0.38, spread=0.05, ceiling=0.30, floor=0.20, margin=0.03),
    # Not measured: every figure in the same proportion to OpenCV's published 1.128 as above to the customary 0.41.
    "sface": Likeness(centre=1.05, spread=0.13, ceiling=0.82, floor=0.55, margin=0.08),
}


@dataclass(frozen=True, slots=True)
class PairModel:
    """The distances between different people near the small end: normal, with `centre` and `spread`."""

    centre: float
    spread: float

    def distance(self, share: float) -> float:
        """The distance that this share (0 < share < 1) of pairs undercuts; at least 0."""
        return max(0.0, self.centre + self.spread * _NORMAL.inv_cdf(share))

    def share(self, distance: float) -> float:
        """The share of pairs at most this far apart."""
        return _NORMAL.cdf((distance - self.centre) / self.spread)


def fit(histogram: NDArray[np.int64], prior: Likeness) -> PairModel:
    """The line through the closest pairs, blended with the prior; `histogram`: (2048,), of all pairs of members.

    Least squares of distance on the normal score of the pair's mid-rank. A line is linear in centre and spread, so the
    blend of two lines is one.
    """
    total = int(histogram.sum())
    if total < _FEWEST_PAIRS:
        return PairModel(prior.centre, prior.spread)
    # A pair taken out again may fall into the bin beside the one it was counted in: rounding differs between products.
    below = np.maximum.accumulate(np.maximum(np.cumsum(histogram), 0)).astype(np.float64)
    counts = np.diff(below, prepend=0.0)
    bins = np.flatnonzero(counts)
    counts = counts[bins]
    ranks = below[bins] - counts / 2
    closest = max(_TAIL_PAIRS, math.ceil(_TAIL_SHARE * total))
    used = max(2, int(np.count_nonzero(ranks <= closest)))
    weight = counts[:used] / counts[:used].sum()
    score = np.array([_NORMAL.inv_cdf(rank / total) for rank in ranks[:used]])
    distance = (bins[:used] + 0.5) * (2.0 / BINS)
    mean_score, mean_distance = float(weight @ score), float(weight @ distance)
    variance = float(weight @ (score - mean_score) ** 2)
    slope = float(weight @ ((score - mean_score) * (distance - mean_distance))) / variance if variance > 0 else 0.0
    own = total / (total + _PRIOR_PAIRS)
    return PairModel(
        centre=own * (mean_distance - slope * mean_score) + (1 - own) * prior.centre,
        spread=own * slope + (1 - own) * prior.spread,
    )


def distance_of(cosine: float) -> float:
    """Euclidean distance of two vectors of length 1 from their product."""
    return math.sqrt(max(0.0, 2.0 - 2.0 * cosine))


def distances_of(cosines: NDArray[np.float32]) -> NDArray[np.float32]:
    """As `distance_of`, for an array of any shape."""
    distances: NDArray[np.float32] = np.sqrt(np.maximum(2.0 - 2.0 * cosines, np.float32(0.0)))
    return distances


def histogram_of(cosines: NDArray[np.float32]) -> NDArray[np.int64]:
    """(2048,) counts of the distances."""
    bins = (distances_of(cosines.ravel()) * np.float32(BINS / 2)).astype(np.int64)
    return np.bincount(np.minimum(bins, BINS - 1), minlength=BINS).astype(np.int64, copy=False)


def histogram_of_pairs(vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """(2048,) counts of the distances between all rows of an (N, D) array, each pair once."""
    histogram = np.zeros(BINS, np.int64)
    for _, cosines, is_pair in _blocks(vectors):
        histogram += histogram_of(cosines[is_pair])
    return histogram


def closest_pairs(vectors: NDArray[np.float32], limit: int) -> list[tuple[float, int, int]]:
    """The closest rows of an (N, D) array: distance, row, row; nearest first."""
    found: list[tuple[float, int, int]] = []
    for start, cosines, is_pair in _blocks(vectors):
        flat = np.where(is_pair, cosines, -np.inf).ravel()
        take = min(limit, int(is_pair.sum()))
        for index in np.argpartition(-flat, max(0, take - 1))[:take]:
            row, column = divmod(int(index), cosines.shape[1])
            found.append((distance_of(float(flat[index])), start + row, start + column))
        found = sorted(found)[:limit]
    return found


def _blocks(
    vectors: NDArray[np.float32],
) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.bool_]]]:
    """Cosines block by block: the first row's number, (rows, columns from there on), where each pair stands once."""
    for start in range(0, len(vectors), _BLOCK):
        cosines = vectors[start : start + _BLOCK] @ vectors[start:].T
        yield start, cosines, ~np.tri(*cosines.shape, dtype=np.bool_)
