"""The gallery: who is enrolled, how near is near enough, and who that is.

A fixed tolerance is not a lock: a door compares with everybody enrolled, and how alike people look depends on who they
are. So the threshold comes from the gallery itself. Distances between *different* members are draws from the very
distances at which a stranger will stand to a member. With `target_fpir` the share of strangers that may be let in and N
members, the threshold is the distance that a share `target_fpir / N` of such pairs undercuts (`core.likeness` says how
that is estimated), but never more than a ceiling; and two nearly equal candidates are nobody.

Everything here is a value: adding or removing a member makes a new gallery, for one matrix-vector product and one copy
(a few milliseconds at 10,000 members). Distances are Euclidean between vectors of length 1, so 0 to 2.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from agent.core.likeness import (
    LIKENESS,
    Likeness,
    PairModel,
    distance_of,
    distances_of,
    fit,
    histogram_of,
    histogram_of_pairs,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

TARGET_FPIR = 0.01  # one stranger in a hundred who stands before the camera
WARNING_SHARE = 0.1  # a look-alike is worth a warning when only one person in ten has one so near
CAPACITY_MAX = 10_000  # what the largest galleries are built for; beyond it a capacity is only extrapolation
WARNINGS_MAX = 5  # more names than these nobody reads
_SHORTEST = 1e-6  # a vector without a direction


class GalleryError(ValueError):
    """A vector cannot be enrolled. The text says what is wrong with it; trying the same vector again cannot help."""


@dataclass(frozen=True, slots=True)
class Match:
    """A member close enough. `distance`, `runner_up`: to them and to the next best (None when there is nobody else)."""

    member: str
    distance: float
    runner_up: float | None


@dataclass(frozen=True)
class Gallery:
    """Everybody enrolled with one engine, immutable; any thread. Made by `build_gallery`.

    `members`: opaque ids, each once. `vectors`: (N, D) float32, row i of length 1 belongs to `members[i]`. `pairs`:
    (2048,) int64, histogram of the distances between different members. `refused`: members whose stored vector is not
    usable (not finite, no direction, another length) and who are therefore not in it.
    """

    engine: str
    weights: str
    target_fpir: float
    likeness: Likeness
    members: tuple[str, ...]
    vectors: NDArray[np.float32] = field(compare=False, repr=False)
    pairs: NDArray[np.int64] = field(compare=False, repr=False)
    refused: tuple[str, ...] = ()
    # Follow from the above.
    model: PairModel = field(init=False)
    threshold: float = field(init=False)
    _rows: Mapping[str, int] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        # Column by column in memory: the product with a query is then a quarter faster.
        object.__setattr__(self, "vectors", np.asfortranarray(self.vectors))
        for array in (self.vectors, self.pairs):
            array.flags.writeable = False
        object.__setattr__(self, "model", fit(self.pairs, self.likeness))
        object.__setattr__(self, "threshold", self.threshold_among(len(self.members)))
        object.__setattr__(self, "_rows", {member: row for row, member in enumerate(self.members)})

    @property
    def min_margin(self) -> float:
        """How much farther the second best must be."""
        return self.likeness.margin

    def threshold_among(self, candidates: int) -> float:
        """The largest distance at which one of so many candidates is taken for the person at the door."""
        return min(self.model.distance(self.target_fpir / max(1, candidates)), self.likeness.ceiling)

    @property
    def capacity(self) -> int:
        """With how many members who look as alike as these the target is kept without refusing many; at most 10,000."""
        share = self.model.share(self.likeness.floor)
        return int(min(CAPACITY_MAX, self.target_fpir / share)) if share > 0 else CAPACITY_MAX

    @property
    def is_too_large(self) -> bool:
        """Whether 1:N keeps the target only by refusing more than about one member in ten: better ask for a code."""
        return bool(self.members) and self.threshold < self.likeness.floor

    def identify(self, vectors: ArrayLike) -> Match | None:
        """Who of all members this is: 1:N, one matrix-vector product.

        `vectors`: (D,) or the (K, D) of one track, which are fused. None: nobody is near enough, or two nearly equally.
        A vector that is not finite is nobody; one of another length raises ValueError.
        """
        query = self._query(vectors)
        if query is None or not self.members:
            return None
        return self._decide(self.members, self.vectors @ query, self.threshold)

    def verify(self, member_ids: Collection[str], vectors: ArrayLike) -> Match | None:
        """Whether this is one of the few whom a code names: 1:1 or 1:k, with the threshold for so many candidates.

        As `identify`; ids that are not in the gallery count for nothing.
        """
        named = tuple(dict.fromkeys(member for member in member_ids if member in self._rows))
        query = self._query(vectors)
        if query is None or not named:
            return None
        likeness = self.vectors[[self._rows[member] for member in named]] @ query
        return self._decide(named, likeness, self.threshold_among(len(named)))

    def nearest(self, vectors: ArrayLike, *, limit: int, without: str | None = None) -> tuple[Match, ...]:
        """The nearest members, nearest first, whatever their distance; `runner_up` is the next one's."""
        query = self._query(vectors)
        if query is None or not self.members:
            return ()
        distances = distances_of(self.vectors @ query)
        order = [int(row) for row in np.argsort(distances, kind="stable") if self.members[row] != without][: limit + 1]
        found = [float(distances[row]) for row in order]
        return tuple(
            Match(self.members[row], found[i], found[i + 1] if i + 1 < len(found) else None)
            for i, row in enumerate(order[:limit])
        )

    def with_member(self, member: str, vectors: ArrayLike) -> Gallery:
        """A gallery with this member, in place of an earlier one of the same id.

        `vectors`: (D,) or (K, D), which are fused. Raises `GalleryError` when they cannot be used.
        """
        base = self.without_member(member)
        vector = fuse(vectors)
        if base.members and vector.shape[0] != base.vectors.shape[1]:
            raise GalleryError(f"a vector of {vector.shape[0]} numbers among vectors of {base.vectors.shape[1]}")
        count = len(base.members)
        vectors = np.empty((count + 1, vector.shape[0]), np.float32, order="F")
        if count:
            vectors[:count] = base.vectors
        vectors[count] = vector
        pairs = base.pairs + histogram_of(vectors[:count] @ vector)
        return replace(base, members=(*base.members, member), vectors=vectors, pairs=pairs)

    def without_member(self, member: str) -> Gallery:
        """A gallery without this member; itself when they are not in it."""
        row = self._rows.get(member)
        refused = tuple(other for other in self.refused if other != member)
        if row is None:
            return self if refused == self.refused else replace(self, refused=refused)
        rest = np.empty((len(self.members) - 1, self.vectors.shape[1]), np.float32, order="F")
        rest[:row], rest[row:] = self.vectors[:row], self.vectors[row + 1 :]
        return replace(
            self,
            members=self.members[:row] + self.members[row + 1 :],
            vectors=rest,
            pairs=self.pairs - histogram_of(rest @ self.vectors[row]),
            refused=refused,
        )

    def _query(self, vectors: ArrayLike) -> NDArray[np.float32] | None:
        try:
            query = fuse(vectors)
        except GalleryError:
            return None
        if self.members and query.shape[0] != self.vectors.shape[1]:
            raise ValueError(f"a query of {query.shape[0]} numbers to a gallery of {self.vectors.shape[1]}")
        return query

    def _decide(self, members: tuple[str, ...], likeness: NDArray[np.float32], threshold: float) -> Match | None:
        best = int(np.argmax(likeness))
        distance = distance_of(float(likeness[best]))
        if not distance <= threshold:
            return None
        runner_up = None
        if len(members) > 1:
            likeness[best] = -np.inf
            runner_up = distance_of(float(likeness.max()))
            if runner_up - distance < self.min_margin:
                return None
        return Match(members[best], distance, runner_up)


def fuse(vectors: ArrayLike) -> NDArray[np.float32]:
    """One vector of length 1 from several of the same face: their mean after each was brought to length 1.

    `vectors`: (D,) or (K, D), K ≥ 1. Raises `GalleryError` when one is not finite or has no direction.
    """
    rows = np.asarray(vectors, np.float64)
    if rows.ndim == 1:
        rows = rows[None]
    if rows.ndim != 2 or rows.size == 0:
        raise GalleryError(f"a face is (D,) or (K, D) numbers, not {rows.shape}")
    lengths = np.sqrt(np.einsum("kd,kd->k", rows, rows))
    if not np.isfinite(lengths.sum()):
        raise GalleryError("a face vector holds numbers that are not finite: take other pictures")
    if lengths.min() < _SHORTEST:
        raise GalleryError("a face vector has no direction: take other pictures")
    mean = (1.0 / lengths) @ rows
    length = float(np.sqrt(mean @ mean))
    if length < _SHORTEST:
        raise GalleryError("these face vectors cancel out, they are not of one person: take other pictures")
    fused: NDArray[np.float32] = (mean / length).astype(np.float32)
    return fused


def build_gallery(
    templates: Iterable[tuple[str, ArrayLike]],
    *,
    engine: str,
    weights: str,
    target_fpir: float = TARGET_FPIR,
    ceiling: float | None = None,
    likeness: Likeness | None = None,
) -> Gallery:
    """Compare everybody with everybody: about a second at 10,000, so off the deciding thread; then add and remove.

    `templates`: (member, (D,) or (K, D)); several of one member are fused. Those that cannot be used are left out and
    named in `Gallery.refused`; where lengths differ, the first usable one counts. `ceiling` can only lower the engine's
    own, `likeness` replaces what is known of the engine.
    """
    if not 0 < target_fpir < 1:
        raise ValueError(f"target_fpir is a share of strangers, above 0 and below 1, not {target_fpir}")
    known = likeness or LIKENESS[engine]
    if ceiling is not None:
        known = replace(known, ceiling=min(known.ceiling, ceiling))
    kept, refused = _usable(templates)
    vectors = np.array([fuse(rows) for rows in kept.values()], np.float32) if kept else np.empty((0, 0), np.float32)
    return Gallery(
        engine=engine,
        weights=weights,
        target_fpir=target_fpir,
        likeness=known,
        members=tuple(kept),
        vectors=vectors,
        pairs=histogram_of_pairs(vectors),
        refused=refused,
    )


@dataclass(frozen=True, slots=True)
class EnrolmentCheck:
    """Who stands too near to a person about to be enrolled.

    `same`: a member whom the door would take this person for, so that the enrolment is refused: already enrolled, or so
    alike that both need a code. `look_alikes`: members near enough for a warning, nearest first.
    """

    same: Match | None
    look_alikes: tuple[Match, ...]

    @property
    def is_allowed(self) -> bool:
        """Whether the person may be enrolled."""
        return self.same is None


def enrolment_check(gallery: Gallery, vectors: ArrayLike, *, member: str | None = None) -> EnrolmentCheck:
    """Compare a person about to be enrolled with everybody else; `member` is their own id when they enrol again.

    The warning's distance is one that a tenth of people come within of somebody. Raises `GalleryError` for vectors that
    cannot be used.
    """
    near = gallery.nearest(fuse(vectors), limit=WARNINGS_MAX, without=member)
    others = max(1, len(gallery.members))
    warning = max(gallery.model.distance(min(0.5, WARNING_SHARE / others)), gallery.threshold + gallery.min_margin)
    same = near[0] if near and near[0].distance <= gallery.threshold else None
    return EnrolmentCheck(same, tuple(match for match in near if match is not same and match.distance <= warning))


def _usable(
    templates: Iterable[tuple[str, ArrayLike]],
) -> tuple[dict[str, NDArray[np.float32]], tuple[str, ...]]:
    kept: dict[str, NDArray[np.float32]] = {}
    refused: dict[str, None] = {}
    length = 0
    for member, vectors in templates:
        try:
            vector = fuse(vectors)
        except (GalleryError, TypeError, ValueError):
            refused[member] = None
            continue
        length = length or vector.shape[0]
        if vector.shape[0] != length:
            refused[member] = None
        else:
            kept[member] = np.vstack((kept[member], vector[None])) if member in kept else vector[None]
    return kept, tuple(refused)
