"""The tail of the distances between different people, and what is made of few of them."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from agent.core.likeness import (
    BINS,
    LIKENESS,
    PairModel,
    closest_pairs,
    fit,
    histogram_of_pairs,
)
from tests.crowd import Crowd

_DLIB = LIKENESS["dlib"]


def _normal_pairs(count: int, centre: float, spread: float) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    distances = np.random.default_rng(3).normal(centre, spread, count)
    counts: np.ndarray[tuple[int], np.dtype[np.int64]] = np.histogram(distances, BINS, (0.0, 2.0))[0].astype(np.int64)
    return counts


def test_line_through_many_pairs_finds_the_population() -> None:
    model = fit(_normal_pairs(200_000, 0.57, 0.06), _DLIB)

    assert model.distance(1e-6) == pytest.approx(0.57 - 4.7534 * 0.06, abs=0.006)
    assert model.share(model.distance(1e-5)) == pytest.approx(1e-5)


def test_a_tight_cluster_among_many_unlike_people_sets_the_tail() -> None:
    mixed = _normal_pairs(95_000, 0.60, 0.05) + _normal_pairs(5_000, 0.36, 0.03)
    distances = np.repeat((np.arange(BINS) + 0.5) * 2 / BINS, mixed)
    body = PairModel(float(distances.mean()), float(distances.std()))
    share = 0.001 * 5 / 100
    true_distance = 0.36 - 3.09 * 0.03  # a thousandth of the pairs within the cluster

    model = fit(mixed, _DLIB)

    assert model.distance(share) == pytest.approx(true_distance, abs=0.02)
    assert body.distance(share) > true_distance + 0.03  # what all pairs together would have promised


def test_without_pairs_the_prior_speaks() -> None:
    for few in (np.zeros(BINS, np.int64), _normal_pairs(3, 0.9, 0.01)):
        assert fit(few, _DLIB) == PairModel(_DLIB.centre, _DLIB.spread)


def test_few_unlike_members_move_the_prior_only_part_of_the_way() -> None:
    few = fit(_normal_pairs(28, 0.57, 0.06), _DLIB)
    many = fit(_normal_pairs(20_000, 0.57, 0.06), _DLIB)

    assert _DLIB.centre < few.centre < 0.48
    assert many.centre == pytest.approx(0.57, abs=0.02)


def test_one_pair_of_twins_does_not_ruin_a_small_gallery() -> None:
    pairs = _normal_pairs(45, 0.57, 0.06)
    with_twins = pairs.copy()
    with_twins[int(0.12 * BINS / 2)] += 1

    assert fit(with_twins, _DLIB).distance(1e-3) > fit(pairs, _DLIB).distance(1e-3) - 0.06


def test_all_pairs_equally_far_apart_are_no_division_by_zero() -> None:
    equal = np.zeros(BINS, np.int64)
    equal[500] = 1000

    assert 0.0 < fit(equal, _DLIB).distance(1e-4) < 500 * 2 / BINS + 0.01


def test_distance_is_never_negative() -> None:
    assert PairModel(0.1, 0.05).distance(1e-9) == 0.0


def test_every_pair_is_counted_once_also_across_blocks() -> None:
    vectors = Crowd().people(1100)[:, 0]
    histogram = histogram_of_pairs(vectors)

    assert histogram.sum() == 1100 * 1099 // 2
    few = [float(np.linalg.norm(a - b)) for a, b in combinations(vectors[1000:1050], 2)]
    expected = np.histogram(few, BINS, (0.0, 2.0))[0]
    # A product in float32 may put a distance into the bin beside the true one.
    found = histogram_of_pairs(vectors[1000:1050])
    assert np.abs(np.cumsum(found) - np.cumsum(expected)).max() <= 3


def test_closest_pairs_are_those_of_a_full_search() -> None:
    vectors = Crowd(seed=2).people(1200)[:, 0]
    distances = np.sqrt(np.maximum(0, 2 - 2 * vectors.astype(np.float64) @ vectors.T.astype(np.float64)))
    rows, columns = np.triu_indices(1200, 1)
    nearest = np.argsort(distances[rows, columns])[:5]

    found = closest_pairs(vectors, 5)

    assert [(row, column) for _, row, column in found] == [(int(rows[i]), int(columns[i])) for i in nearest]
    assert found[0][0] == pytest.approx(distances[rows, columns].min(), abs=1e-4)


@pytest.mark.parametrize("count", [0, 1])
def test_nobody_and_one_have_no_pairs(count: int) -> None:
    vectors = Crowd().people(count)[:, 0]

    assert histogram_of_pairs(vectors).sum() == 0
    assert closest_pairs(vectors, 5) == []
