"""Vectors of one track become one person or nobody: 1:N, or against the few whom a code names.

A track is tried when it has `frames_needed` good frames and once more at `refuse_after`; then it is refused and has to
wait, each time twice as long. Every further try gives a stranger a further chance, so tries are counted per track and a
stranger never delays anybody else. A gallery too large for its target admits nobody without a code.

Who is recognised must also be live. Until the track is, the person waits, is asked to turn the head, and is refused in
the end; a track that is found to be a picture is refused at once, whoever is on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from agent.core.gallery import Gallery, Match

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.core.verification import Code
    from agent.events import FaceSeen

MAX_TRACKS = 16  # more faces than this are never followed at once; bounds what a broken tracker can pile up
BACK_OFF_S = 3.0  # after the first refusal; doubles each time
BACK_OFF_MAX_S = 60.0
TURN_HEAD_S = 1.0  # most people have moved enough by then; the others are asked to
ASK_AGAIN_S = 3.0
LIVE_WITHIN_S = 5.0  # after that, who was recognised but never seen to be live is refused


@dataclass(frozen=True, slots=True)
class RecognitionSettings:
    """Frames: how many are fused before the first and the last try. `again_s`: rest after a person was recognised.

    `code_window_s`: how long after a code only the faces of those whom it names count.
    """

    frames_needed: int = 2
    refuse_after: int = 5
    again_s: float = 10.0
    code_window_s: float = 15.0


@dataclass(frozen=True, slots=True)
class Track:
    """One face followed over frames. Nothing is tried before `quiet_until` (station time).

    `recognised_at`: since when it is known who it is and only whether they are live is not; `asked_at`: when they were
    last asked to turn the head.
    """

    first_at: float
    vectors: tuple[NDArray[np.float32], ...] = field(default=(), compare=False)
    quiet_until: float = float("-inf")
    refusals: int = 0
    recognised_at: float | None = None
    asked_at: float = float("-inf")


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


@dataclass(frozen=True, slots=True)
class CodeNeeded:
    """So many are enrolled that a face alone names nobody: a code must name them first."""

    first_at: float


@dataclass(frozen=True, slots=True)
class NotLive:
    """A picture, or nothing that could be told from one in time."""

    first_at: float


@dataclass(frozen=True, slots=True)
class TurnAsked:
    """Somebody recognised has to move before they count as live."""

    first_at: float


Tracks = Mapping[int, Track]
Decision = Recognised | Unrecognised | CodeNeeded | NotLive | TurnAsked


def observe(
    tracks: Tracks, seen: FaceSeen, gallery: Gallery, settings: RecognitionSettings, code: Code | None = None
) -> tuple[Tracks, Decision | None]:
    """Add one face to its track and try it when it is due. `code`: the one in force, which names who may be meant."""
    track = tracks.get(seen.track, Track(seen.first_at))
    if seen.at < track.quiet_until:
        return tracks, None
    if not track.vectors and seen.track in tracks:
        # After a rest the latency of the next decision counts from here, not from when the rider first came.
        track = replace(track, first_at=seen.at)
    track = replace(track, vectors=(*track.vectors, seen.vector)[-settings.refuse_after :])
    decision: Decision | None = None
    count = len(track.vectors)
    if count < settings.frames_needed:
        pass
    elif seen.liveness == "attack":
        decision = NotLive(track.first_at)
        track = _rest(track, seen.at)
    elif count >= settings.frames_needed and code is None and gallery.is_too_large:
        decision = CodeNeeded(track.first_at)  # more frames cannot help
        track = _rest(track, seen.at)
    elif track.recognised_at is not None and seen.liveness != "live":
        track, decision = _wait(track, seen.at)
    elif track.recognised_at is not None or count == settings.frames_needed or count >= settings.refuse_after:
        # Tried again with the frames of now: between them and the first try a code may have run out.
        match = _match(gallery, np.stack(track.vectors), code)
        if match is not None and seen.liveness != "live":
            track = replace(track, recognised_at=seen.at)
        elif match is not None:
            decision = Recognised(match.member, match.distance, track.first_at)
            track = Track(track.first_at, quiet_until=seen.at + settings.again_s)
        elif track.recognised_at is not None or count >= settings.refuse_after:
            decision = Unrecognised(track.first_at)
            track = _rest(track, seen.at)
    return _keep(tracks, seen.track, track), decision


def _wait(track: Track, at: float) -> tuple[Track, Decision | None]:
    """Recognised, but not known to be live."""
    since = at if track.recognised_at is None else track.recognised_at
    if at - since >= LIVE_WITHIN_S:
        return _rest(track, at), NotLive(track.first_at)
    if at - since >= TURN_HEAD_S and at - track.asked_at >= ASK_AGAIN_S:
        return replace(track, asked_at=at), TurnAsked(track.first_at)
    return track, None


def _match(gallery: Gallery, vectors: NDArray[np.float32], code: Code | None) -> Match | None:
    return gallery.identify(vectors) if code is None else gallery.verify(code.member_ids, vectors)


def _rest(track: Track, at: float) -> Track:
    rest_s = min(BACK_OFF_MAX_S, BACK_OFF_S * 2**track.refusals)
    return Track(track.first_at, quiet_until=at + rest_s, refusals=min(track.refusals + 1, 8))


def rest_until(tracks: Tracks, number: int, at: float) -> Tracks:
    """Try this track again no sooner than `at` (station time), and no later for having been recognised."""
    track = tracks.get(number)
    return tracks if track is None else {**tracks, number: replace(track, quiet_until=at)}


def end(tracks: Tracks, number: int) -> Tracks:
    """The face is gone."""
    return {key: track for key, track in tracks.items() if key != number}


def _keep(tracks: Tracks, number: int, track: Track) -> Tracks:
    others = [(key, each) for key, each in tracks.items() if key != number]
    return dict([*others, (number, track)][-MAX_TRACKS:])
