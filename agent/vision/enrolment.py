"""Frames of somebody who is being enrolled: every good one with its pose, and why others do not count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.vision.protocol import EnrolmentFrame, EnrolmentUnusable, Fact, encode_vector
from agent.vision.quality import Floors, nod, turn, unusable

if TYPE_CHECKING:
    from agent.vision.capture import Frame
    from agent.vision.engine import Face, FaceEngine

PACE_S = 0.25  # between two good frames: a head that turns shows another side about this often
ADVICE_S = 1.0  # between two reasons
RIVAL = 0.5  # a second face at least so wide as the largest: it must be certain whose face is enrolled


class EnrolmentPipeline:
    """One thread. Stands in the place of `Pipeline` until `until` (CLOCK_MONOTONIC, seconds); nothing is tracked."""

    def __init__(self, engine: FaceEngine, floors: Floors, order: str, until: float) -> None:
        self.until = until
        self._engine = engine
        self._floors = floors
        self._order = order
        self._taken_at = float("-inf")
        self._advised_at = float("-inf")

    def take(self, frame: Frame) -> list[Fact]:
        """The facts of one frame."""
        if frame.at - self._taken_at < PACE_S:
            return []
        floor = self._floors.score
        faces = [face for face in self._engine.detect(frame.picture) if floor is None or face.score >= floor]
        if not faces:
            return []
        reason = self._reason(frame, faces)
        if reason:
            if frame.at - self._advised_at < ADVICE_S:
                return []
            self._advised_at = frame.at
            return [EnrolmentUnusable(at=frame.at, order=self._order, reason=reason)]
        face = faces[0]
        self._taken_at = frame.at
        return [
            EnrolmentFrame(
                at=frame.at,
                order=self._order,
                vector=encode_vector(self._engine.vector(frame.picture, face)),
                turn=turn(face.landmarks, self._engine.name),
                nod=nod(face.landmarks, self._engine.name),
                width_px=face.box[2],
            )
        ]

    def drop_track(self, _at: float) -> list[Fact]:
        """Nothing is followed here, so nothing ends."""
        return []

    def _reason(self, frame: Frame, faces: list[Face]) -> str:
        if len(faces) > 1 and faces[1].box[2] >= RIVAL * faces[0].box[2]:
            return "two_faces"
        return unusable(frame.picture, faces[0], self._floors, self._engine.name)
