"""Which way a head is to be turned before the door opens, and how long whoever failed has to wait.

Nobody outside can foresee the way: it is the bit of a keyed hash of a counter, and the key is drawn at every start. Who
fails is asked again only after a rest that doubles, kept for the member and not for the track: a picture that is taken
away and held up again, a code that is given once more or a camera that is covered draws no new lot.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from agent.events import Movement

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WITHIN_S = 4.0  # to hear it, understand it and turn
BACK_S = 4.0  # to the front again, with time for the answer to arrive
RECOGNISED_AGAIN_S = 3.0  # after the turn: good frames of the same person from the front
FRONTAL = 0.12  # distances between the eyes; who is asked must look ahead
SAME_PERSON = 0.30
"""Euclidean distance between the person before the movement and after it, at the most.

Below `vision.tracking.OTHER_PERSON`, for several frames are fused on either side.
"""
PAUSE_MAX_S = 60.0
FORGET_S = 600.0  # failures so long ago do not count any more
MAX_PAUSES = 64  # members who failed within that; a picture of more people is not shown


@dataclass(frozen=True, slots=True)
class Proof:
    """A movement that was asked of one track, in station time; `turned_at`: since when it has been made.

    `before`: (128,) float32, length 1, of the person until then.
    """

    challenge: str
    member_id: str
    until: float
    before: NDArray[np.float32] = field(compare=False, repr=False)
    turned_at: float | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """A member is not asked before `until` (station time), after so many failures."""

    until: float
    failures: int


@dataclass(frozen=True, slots=True)
class Challenges:
    """`asked`: how many movements since the start; `pauses` by member, the newest last."""

    asked: int = 0
    pauses: Mapping[str, Pause] = field(default_factory=dict)

    def paused_until(self, member_id: str) -> float:
        """When this member may be asked."""
        pause = self.pauses.get(member_id)
        return float("-inf") if pause is None else pause.until


def choose(secret: bytes, number: int) -> Movement:
    """The way that the movement of this number goes."""
    digest = hashlib.blake2b(number.to_bytes(8, "big"), key=secret, digest_size=1).digest()
    return "left" if digest[0] & 1 else "right"


def count(challenges: Challenges) -> Challenges:
    """One more is asked."""
    return replace(challenges, asked=challenges.asked + 1)


def failed(challenges: Challenges, member_id: str, at: float, again_s: float) -> Challenges:
    """This member's face was asked and did not do it."""
    kept = {key: each for key, each in challenges.pauses.items() if key != member_id and at < each.until + FORGET_S}
    before = challenges.pauses.get(member_id)
    failures = 0 if before is None or at >= before.until + FORGET_S else before.failures
    pause = Pause(at + max(again_s, min(PAUSE_MAX_S, again_s * 2**failures)), min(failures + 1, 8))
    return replace(challenges, pauses=dict([*list(kept.items())[-(MAX_PAUSES - 1) :], (member_id, pause)]))


def abandoned(challenges: Challenges, member_ids: Iterable[str], at: float, again_s: float) -> Challenges:
    """These members' faces were asked and their tracks are no more: nobody draws a new lot by that."""
    for member_id in member_ids:
        challenges = failed(challenges, member_id, at, again_s)
    return challenges


def passed(challenges: Challenges, member_id: str) -> Challenges:
    """This member did it and came in."""
    return replace(challenges, pauses={key: each for key, each in challenges.pauses.items() if key != member_id})
