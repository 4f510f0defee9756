"""Made-up people: vectors that lie as a face network's do, for tests of what is decided from vectors alone.

A common direction, a person's own part in 30 dimensions (so that distances between people spread by about an eighth,
as real ones do), and a part that changes with every picture. Real faces are measured by `station faces evaluate`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]


@dataclass(frozen=True)
class Crowd:
    """`unlike`: the mean distance between two people; `moods`: how far a picture is from its person's mean."""

    unlike: float = 0.57
    moods: float = 0.13
    seed: int = 0

    def people(self, count: int, pictures: int = 1) -> NDArray[np.float32]:
        """(count, pictures, 128) float32, length 1. The same seed gives the same people, and more of them."""
        common = np.zeros(128)
        common[0] = 1.0
        crowd = np.empty((count, pictures, 128), np.float32)
        for person in range(count):
            random = np.random.default_rng([self.seed, person])
            own = np.zeros(128)
            own[1:31] = random.normal(size=30) * self.unlike / np.sqrt(2 * 30)
            noise = random.normal(size=(pictures, 128)) * self.moods / np.sqrt(128)
            rows = common * np.sqrt(max(0.0, 1.0 - self.unlike**2 / 2)) + own + noise
            crowd[person] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return crowd
