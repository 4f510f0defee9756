"""Frames become facts: gate, detector, track, liveness, quality, vector, challenge; and the codes that are held up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.vision.challenge import TurnJudge, turn_to_own_left
from agent.vision.codes import CodeReader
from agent.vision.gate import MotionGate
from agent.vision.liveness import PhotoLiveness, Verdict
from agent.vision.protocol import (
    Challenge,
    ChallengeAnswered,
    CodeSeen,
    FaceSeen,
    FaceUnusable,
    Fact,
    TrackEnded,
    encode_vector,
)
from agent.vision.quality import Floors, unusable
from agent.vision.search import FaceSearch
from agent.vision.tracking import Track, Tracker

if TYPE_CHECKING:
    from agent.events import MovementAnswer
    from agent.vision.capture import Frame
    from agent.vision.engine import Face, FaceEngine

BRISK_S = 0.06  # between two vectors while a person is new: a decision wants several soon
CALM_S = 0.5  # after that: somebody who waits costs little
BRISK_VECTORS = 10
TURN_MAX = 10.0  # what a message may say; beyond it the landmarks are no face's
ADVICE_S = 1.0  # advice is not given more often, nor to somebody who had a good frame within this
RIVAL = 0.75  # a second face at least so wide as the largest stands as near, and it is not said who wants to come in


class Pipeline:
    """One thread. Facts carry `order`, the id of the `Watch` they belong to.

    `is_proof_needed`: whether tracks are judged by `PhotoLiveness`; otherwise every face counts as live. `is_mirrored`:
    of the camera.
    """

    def __init__(
        self,
        engine: FaceEngine,
        floors: Floors,
        order: str,
        *,
        is_proof_needed: bool = True,
        is_mirrored: bool = False,
    ) -> None:
        self._engine = engine
        self._floors = floors
        self._order = order
        self._gate = MotionGate()
        self._search = FaceSearch(engine)
        self._tracker = Tracker()
        self._codes = CodeReader()
        self._advised_at = float("-inf")
        self._is_proof_needed = is_proof_needed
        self._is_mirrored = is_mirrored
        self._judged = 0  # the track that `_liveness` is about
        self._liveness = PhotoLiveness()
        self._told: Verdict = "undecided"
        self._turned: tuple[int, float] | None = None  # the last track, and how its head was turned
        self._challenge: tuple[Challenge, TurnJudge] | None = None

    def challenge(self, order: Challenge, at: float) -> list[Fact]:
        """Judge from now on, `at` seconds, whether a head turns as it is asked to."""
        track = self._tracker.track
        if track is None or track.number != order.track:
            return [self._answered(order, "changed", at)]
        base = self._turned[1] if self._turned is not None and self._turned[0] == track.number else None
        self._challenge = (order, TurnJudge(order.movement, at, order.seconds, base))
        return []

    def take(self, frame: Frame) -> list[Fact]:
        """The facts of one frame."""
        is_followed = self._tracker.track is not None
        if not self._gate.is_open(frame.picture, frame.at, is_learning=not is_followed) and not is_followed:
            return []
        return [*self._look_for_faces(frame), *self._look_for_codes(frame)]

    def _look_for_codes(self, frame: Frame) -> list[Fact]:
        texts = self._codes.take(frame.picture, frame.at)
        return [CodeSeen(at=frame.at, order=self._order, text=text) for text in texts]

    def _look_for_faces(self, frame: Frame) -> list[Fact]:
        floor = self._floors.score
        found = self._search.find(frame.picture, self._gate.moved, frame.at)
        faces = [face for face in found if floor is None or face.score >= floor]
        track, ended = self._tracker.follow(faces[0] if faces else None, frame.at)
        facts = self._ended(ended, frame.at)
        if track is not None:
            facts += self._look_at(frame, track, faces, self._judge(frame, track))
        if self._challenge is not None:  # whatever became of this frame, time has passed
            is_frozen = self._liveness.state.reason == "frozen"
            facts += self._settle("changed" if is_frozen else self._challenge[1].miss(frame.at), frame.at)
        return facts

    def drop_track(self, at: float) -> list[Fact]:
        """End what was followed, as when the camera fails: after a gap it is somebody else until shown."""
        self._gate.forget()
        return self._ended(self._tracker.end(), at)

    def _judge(self, frame: Frame, track: Track) -> Verdict:
        if not self._is_proof_needed:
            return "live"
        if track.number != self._judged:
            self._judged, self._liveness, self._told = track.number, PhotoLiveness(), "undecided"
        return self._liveness.take(frame.picture, track.face.box, frame.at).verdict

    def _look_at(self, frame: Frame, track: Track, faces: list[Face], verdict: Verdict) -> list[Fact]:
        face = faces[0]
        if len(faces) > 1 and faces[1].box[2] >= RIVAL * face.box[2]:
            return self._advise(track, "two_faces", frame.at)
        reason = unusable(frame.picture, face, self._floors, self._engine.name)
        if reason == "turned_away" and self._challenge is not None:
            # It goes further aside than a vector can be taken from: there, but not known whose it is.
            judge = self._challenge[1]
            return self._settle(judge.take(self._turn_of(face), frame.at, is_known=False), frame.at)
        if reason:
            return self._advise(track, reason, frame.at)
        is_brisk = track.vectors < BRISK_VECTORS or self._challenge is not None
        pace_s = BRISK_S if is_brisk else CALM_S
        if frame.at - track.vector_at < pace_s and verdict == self._told:
            return []
        vector = self._engine.vector(frame.picture, face)
        facts: list[Fact] = []
        if not self._tracker.is_same_person(track, vector, frame.at):
            track, ended = self._tracker.replace(face, frame.at)
            self._tracker.is_same_person(track, vector, frame.at)
            verdict = self._judge(frame, track)
            facts = self._ended(ended, frame.at)
        self._told = verdict
        turn = self._turn_of(face)
        self._turned = (track.number, turn)
        seen = FaceSeen(
            at=frame.at,
            order=self._order,
            track=track.number,
            first_at=track.first_at,
            vector=encode_vector(vector),
            score=face.score,
            width_px=face.box[2],
            liveness=verdict,
            turn=turn,
        )
        if self._challenge is not None:
            return [*facts, seen, *self._settle(self._challenge[1].take(turn, frame.at, is_known=True), frame.at)]
        return [*facts, seen]

    def _turn_of(self, face: Face) -> float:
        turn = turn_to_own_left(face.landmarks, self._engine.name, is_mirrored=self._is_mirrored)
        return max(-TURN_MAX, min(TURN_MAX, turn))

    def _settle(self, answer: MovementAnswer | None, at: float) -> list[Fact]:
        """End the challenge if it has its answer."""
        if answer is None or self._challenge is None:
            return []
        (order, _judge), self._challenge = self._challenge, None
        if self._tracker.track is not None:
            self._tracker.track.vectors = 0  # whoever turned is awaited: the next decision wants several vectors soon
        return [self._answered(order, answer, at)]

    def _answered(self, order: Challenge, answer: MovementAnswer, at: float) -> ChallengeAnswered:
        return ChallengeAnswered(at=at, order=self._order, challenge=order.id, track=order.track, answer=answer)

    def _advise(self, track: Track, reason: str, at: float) -> list[Fact]:
        if at - max(self._advised_at, track.vector_at) < ADVICE_S:
            return []
        self._advised_at = at
        return [FaceUnusable(at=at, order=self._order, track=track.number, reason=reason)]

    def _ended(self, number: int | None, at: float) -> list[Fact]:
        if number is None:
            return []
        return [*self._settle("changed", at), TrackEnded(at=at, order=self._order, track=number)]
