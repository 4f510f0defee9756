"""Vectors of one track become one person or nobody.

A track is tried when it has `frames_needed` good frames and once more at `refuse_after`; then it is refused and has to
wait, each time twice as long. Every further try gives a stranger a further chance, so tries are counted per track and a
stranger never delays anybody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from agent.core.gallery import Gallery

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.events import FaceSeen

MAX_TRACKS = 16  # more faces than this are never followed at once; bounds what a broken tracker can pile up
BACK_OFF_S = 3.0  # after the first refusal; doubles each time
BACK_OFF_MAX_S = 60.0


@dataclass(frozen=True, slots=True)
class RecognitionSettings:
    """Frames: how many are fused before the first and the last try. `again_s`: rest after a person was recognised."""

    frames_needed: int = 2
    refuse_after: int = 5
    again_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Track:
    """One face followed over frames. Nothing is tried before `quiet_until` (station time)."""

    first_at: float
    vectors: tuple[NDArray[np.float32], ...] = field(default=(), compare=False)
    quiet_until: float = float("-inf")
    refusals: int = 0


@dataclass(frozen=True, slots=True)
class Recognised:
    """The person of this track. `first_at`: capture of the first frame with the face."""

    member_id: str
    distance: float
    first_at: float


@dataclass(frozen=True, slots=True)
class Unrecognised:
    """Nobody enrolled, or two people equally near."""

    first_at: float


Tracks = Mapping[int, Track]


def observe(
    tracks: Tracks, seen: FaceSeen, gallery: Gallery, settings: RecognitionSettings
) -> tuple[Tracks, Recognised | Unrecognised | None]:
    """Add one face to its track and try it when it is due."""
    track = tracks.get(seen.track, Track(seen.first_at))
    if seen.at < track.quiet_until:
        return tracks, None
    if not track.vectors and seen.track in tracks:
        # After a rest the latency of the next decision counts from here, not from when the rider first came.
        track = replace(track, first_at=seen.at)
    track = replace(track, vectors=(*track.vectors, seen.vector))
    decision: Recognised | Unrecognised | None = None
    count = len(track.vectors)
    if count == settings.frames_needed or count >= settings.refuse_after:
        match = gallery.identify(np.stack(track.vectors))
        if match is not None:
            decision = Recognised(match.member, match.distance, track.first_at)
            track = Track(track.first_at, quiet_until=seen.at + settings.again_s)
        elif count >= settings.refuse_after:
            decision = Unrecognised(track.first_at)
            rest_s = min(BACK_OFF_MAX_S, BACK_OFF_S * 2**track.refusals)
            track = Track(track.first_at, quiet_until=seen.at + rest_s, refusals=min(track.refusals + 1, 8))
    return _keep(tracks, seen.track, track), decision


def end(tracks: Tracks, number: int) -> Tracks:
    """The face is gone."""
    return {key: track for key, track in tracks.items() if key != number}


def _keep(tracks: Tracks, number: int, track: Track) -> Tracks:
    others = [(key, each) for key, each in tracks.items() if key != number]
    return dict([*others, (number, track)][-MAX_TRACKS:])
