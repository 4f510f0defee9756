"""Vectors of one track become one person or nobody: 1:N, or against the few whom a code names.

A track is tried when it has `frames_needed` good frames and once more at `refuse_after`; then it is refused and has to
wait, each time twice as long. Every further try gives a stranger a further chance, so tries are counted per track and a
stranger never delays anybody else. A gallery too large for its target admits nobody without a code.

Who is recognised must also be live. Until the track is, the person waits, is asked to turn the head, and is refused in
the end; a track that is found to be a picture is refused at once, whoever is on it. Where a movement is asked for
besides (`core.movement`), only vectors from after it count, and they must be of the person from before it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from agent.core.gallery import Gallery, Match
from agent.core.movement import BACK_S, FRONTAL, RECOGNISED_AGAIN_S, SAME_PERSON, WITHIN_S, Proof

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.core.verification import Code
    from agent.events import FaceSeen, MovementAnswer

MAX_TRACKS = 16  # more faces than this are never followed at once; bounds what a broken tracker can pile up
BACK_OFF_S = 3.0  # after the first refusal; doubles each time
BACK_OFF_MAX_S = 60.0
TURN_HEAD_S = 1.0  # most people have moved enough by then; the others are asked to
ASK_AGAIN_S = 3.0
LIVE_WITHIN_S = 5.0  # after that, who was recognised but never seen to be live is refused


@dataclass(frozen=True, slots=True)
class RecognitionSettings:
    """Frames: how many are fused before the first and the last try. `again_s`: rest after a person was recognised.

    `code_window_s`: how long after a code only the faces of those whom it names count. `is_movement_needed`: whether
    who is recognised is asked to turn the head to a side.
    """

    frames_needed: int = 2
    refuse_after: int = 5
    again_s: float = 10.0
    code_window_s: float = 15.0
    is_movement_needed: bool = False


@dataclass(frozen=True, slots=True)
class Track:
    """One face followed over frames. Nothing is tried before `quiet_until` (station time).

    `recognised_at`: since when it is known who it is and only whether they are live is not; `asked_at`: when they were
    last told what to do. `proof`: the movement that was asked for.
    """

    first_at: float
    vectors: tuple[NDArray[np.float32], ...] = field(default=(), compare=False)
    quiet_until: float = float("-inf")
    refusals: int = 0
    recognised_at: float | None = None
    asked_at: float = float("-inf")
    proof: Proof | None = None

    @property
    def open_proof(self) -> Proof | None:
        """The movement that is still to be made."""
        return self.proof if self.proof is not None and self.proof.turned_at is None else None


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


@dataclass(frozen=True, slots=True)
class FrontAsked:
    """Somebody recognised has to look ahead before they are asked for a movement."""

    first_at: float


@dataclass(frozen=True, slots=True)
class MovementDue:
    """The person of this track is to be asked for a movement: `ask` keeps it, `rest_until` puts it off."""

    member_id: str
    first_at: float


@dataclass(frozen=True, slots=True)
class MovementFailed:
    """It was not made as asked, or not by one live person."""

    member_id: str
    why: MovementFailure


MovementFailure = Literal["wrong_way", "not_in_time", "too_early", "changed", "not_live"]
Tracks = Mapping[int, Track]
Decision = Recognised | Unrecognised | CodeNeeded | NotLive | TurnAsked | FrontAsked | MovementDue | MovementFailed


def observe(
    tracks: Tracks, seen: FaceSeen, gallery: Gallery, settings: RecognitionSettings, code: Code | None = None
) -> tuple[Tracks, Decision | None]:
    """Add one face to its track and try it when it is due. `code`: the one in force, which names who may be meant."""
    track = tracks.get(seen.track, Track(seen.first_at))
    if seen.at < track.quiet_until:
        return tracks, None
    if track.open_proof is not None:
        track, failed = _await_movement(track, track.open_proof, seen)
        return _keep(tracks, seen.track, track), failed
    if not track.vectors and seen.track in tracks:
        # After a rest or a movement the latency of the next decision counts from here, not from the first sight.
        track = replace(track, first_at=seen.at)
    track = replace(track, vectors=(*track.vectors, seen.vector)[-settings.refuse_after :])
    decision: Decision | None = None
    if len(track.vectors) < settings.frames_needed:
        pass
    elif seen.liveness == "attack":
        decision = NotLive(track.first_at)
        track = _rest(track, seen.at)
    elif code is None and gallery.is_too_large:
        decision = CodeNeeded(track.first_at)  # more frames cannot help
        track = _rest(track, seen.at)
    elif track.proof is not None:
        match = _match(gallery, np.stack(track.vectors), code)
        track, decision = _see_again(track, track.proof, seen, match, settings)
    else:
        track, decision = _try(track, seen, gallery, settings, code)
    return _keep(tracks, seen.track, track), decision


def _try(
    track: Track, seen: FaceSeen, gallery: Gallery, settings: RecognitionSettings, code: Code | None
) -> tuple[Track, Decision | None]:
    """There are frames enough: find out who it is, when that is due."""
    count = len(track.vectors)
    is_live = seen.liveness == "live"
    if track.recognised_at is not None and not is_live and not settings.is_movement_needed:
        return _wait(track, seen.at)
    if track.recognised_at is None and settings.frames_needed < count < settings.refuse_after:
        return track, None
    # Tried again with the frames of now: between them and the first try a code may have run out.
    match = _match(gallery, np.stack(track.vectors), code)
    if match is not None and settings.is_movement_needed:
        if abs(seen.turn) <= FRONTAL:
            return track, MovementDue(match.member, track.first_at)
        return _await_front(track, seen.at)
    if match is not None and not is_live:
        return replace(track, recognised_at=seen.at), None
    if match is not None:
        return _come_in(track, match, seen.at, settings)
    if track.recognised_at is not None or count >= settings.refuse_after:
        return _rest(track, seen.at), Unrecognised(track.first_at)
    return track, None


def _await_front(track: Track, at: float) -> tuple[Track, Decision | None]:
    """Recognised, but looking aside."""
    since = at if track.recognised_at is None else track.recognised_at
    track = replace(track, recognised_at=since)
    if at - since >= TURN_HEAD_S and at - track.asked_at >= ASK_AGAIN_S:
        return replace(track, asked_at=at), FrontAsked(track.first_at)
    return track, None


def _come_in(track: Track, match: Match, at: float, settings: RecognitionSettings) -> tuple[Track, Decision]:
    return Track(track.first_at, quiet_until=at + settings.again_s), Recognised(
        match.member, match.distance, track.first_at
    )


def _await_movement(track: Track, proof: Proof, seen: FaceSeen) -> tuple[Track, MovementFailed | None]:
    """Faces before the movement was made prove nothing."""
    if seen.liveness == "attack":
        return _rest(track, seen.at), MovementFailed(proof.member_id, "not_live")
    if seen.at > proof.until:
        return _rest(track, seen.at), MovementFailed(proof.member_id, "not_in_time")
    return track, None


def _see_again(
    track: Track, proof: Proof, seen: FaceSeen, match: Match | None, settings: RecognitionSettings
) -> tuple[Track, Decision | None]:
    """The movement was made: whoever did that must be whoever was asked."""
    is_same = match is not None and match.member == proof.member_id
    if match is not None and is_same and _apart(proof.before, _fused(track)) <= SAME_PERSON:
        if seen.liveness == "live":
            return _come_in(track, match, seen.at, settings)
    else:
        is_same = False
    if seen.at - (proof.turned_at or seen.at) <= RECOGNISED_AGAIN_S:
        return track, None
    return _rest(track, seen.at), MovementFailed(proof.member_id, "not_live" if is_same else "changed")


def ask(tracks: Tracks, number: int, challenge: str, member_id: str, at: float) -> Tracks:
    """The person of this track is asked for a movement now."""
    track = tracks[number]
    proof = Proof(challenge, member_id, at + WITHIN_S + BACK_S, _fused(track))
    return {**tracks, number: replace(track, proof=proof, vectors=(), recognised_at=None)}


def settle(tracks: Tracks, number: int, answer: MovementAnswer, at: float) -> Tracks:
    """This track's movement was made, or not: then it rests."""
    track = tracks[number]
    if answer == "turned" and track.proof is not None:
        return {**tracks, number: replace(track, proof=replace(track.proof, turned_at=at))}
    return {**tracks, number: _rest(track, at)}


def present(tracks: Tracks, member_ids: Collection[str]) -> Tracks:
    """A code names these members: only who was asked for a movement as one of them need not begin anew."""
    return {
        number: replace(track, vectors=())
        for number, track in tracks.items()
        if track.proof is not None and track.proof.member_id in member_ids
    }


def put_off(tracks: Tracks, seconds: float) -> Tracks:
    """A pause was skipped, and whoever is asked for a movement did not live through it."""
    return {
        number: track
        if track.proof is None
        else replace(track, proof=replace(track.proof, until=track.proof.until + seconds))
        for number, track in tracks.items()
    }


def asked_in(tracks: Tracks) -> tuple[str, ...]:
    """The members who are asked for a movement and have not made it."""
    return tuple(track.open_proof.member_id for track in tracks.values() if track.open_proof is not None)


def _fused(track: Track) -> NDArray[np.float32]:
    mean = np.mean(np.stack(track.vectors), axis=0)
    return np.asarray(mean / max(1e-6, float(np.linalg.norm(mean))), np.float32)


def _apart(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(one - other))


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
