"""Whether a head turned the way it was asked to, in time and by itself: mode `challenge`, the judge of one movement.

A recording cannot know which way is asked. So the head must be frontal and still when it is asked and for as long as a
person needs to react, then go to the right side first, far enough, and come back to the front; all without a gap, a
jump or a step that no neck makes. Only frames count whose vector is the person's of the track: see `pipeline`.

Somebody who has recordings of both movements and plays the right one in time passes, and so does, every other time, who
plays one at the right moment: this mode makes that hard, and does not stop it. A picture that is moved with its holder
keeps its turn, for the nose and the eyes on it move together.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from agent.vision.quality import eyes_and_nose

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from agent.events import Movement, MovementAnswer

REACTION_S = 0.25  # nobody chooses between two signs in less; what is seen until then is where the head was
FRONTAL = 0.16  # distances between the eyes, as all that follow; further aside when asked is no frontal face
STILL = 0.10  # between the frames that are seen until then
FAR = 0.11
"""From where the head was, for a movement, and the other way for a wrong one.

Set on 28 people rendered from the London set. Riders who turn by 20 to 30° reach 0.10 to 0.5, for noses differ: 49 of
56 pass, and 14 % of 1,116 moments at which the video of a swinging head was held up and asked. With 0.14 45 of 56
riders pass and 5 % of the videos; but who plays the video of one turn is right every other time, whatever stands here.
"""
NEAR, RISE_S = 0.05, 0.6
"""A head that turns because it is asked gets from `NEAR` to `FAR` so quickly. Without this 17 % of the videos pass."""
FRAME_S = 0.1  # between two frames of those people
BACK = 0.055
EVIDENCE = 2  # frames on the far side: the landmarks of one may be off
RETURN_S = 2.5  # from the far side to the front
GAP_S = 1.0  # without a face, as in `tracking`
STEP, STEP_PER_S = 0.06, 2.5  # the landmarks' noise; some 200° a second, and heads turn half as fast


def turn_to_own_left(landmarks: NDArray[np.float32], engine: str, *, is_mirrored: bool) -> float:
    """How far the nose stands towards the person's own left, in distances between the eyes; see `quality.turn`.

    The own left of somebody before the camera is the right of the frame, unless the camera mirrors.
    """
    (left, right), nose = eyes_and_nose(landmarks, engine)
    across = (right[0] - left[0], right[1] - left[1])
    aside = (nose[0] - (left[0] + right[0]) / 2, nose[1] - (left[1] + right[1]) / 2)
    to_right = (aside[0] * across[0] + aside[1] * across[1]) / max(1.0, across[0] ** 2 + across[1] ** 2)
    return -to_right if is_mirrored else to_right


class TurnJudge:
    """Judges one movement that was asked for at `asked_at` and must be made within `seconds`; one thread.

    `before`: the turn in the last frame before, if there is one. Times: CLOCK_MONOTONIC, seconds.
    """

    def __init__(self, movement: Movement, asked_at: float, seconds: float, before: float | None = None) -> None:
        self._side = 1 if movement == "left" else -1
        self._asked_at = asked_at
        self._until = asked_at + seconds
        self._waiting = [] if before is None else [before]  # turns before anybody can have reacted
        self._base: float | None = None
        self._last: tuple[float, float] | None = None  # at, turn
        self._far = 0
        self._left_at = asked_at  # when the head was last where it began
        self._unseen_s: float | None = None
        self._is_known_there = False
        self._reached_at: float | None = None

    def take(self, turn: float, at: float, *, is_known: bool) -> MovementAnswer | None:
        """Add a frame; see `turn_to_own_left`. `is_known`: its vector is the person's. The answer once there is one."""
        if at <= self._asked_at:
            self._waiting = [turn]  # was on its way when the order came
            return None
        if late := self.miss(at):
            return late
        if self._last is not None and abs(turn - self._last[1]) > STEP + STEP_PER_S * (at - self._last[0]):
            return "changed"
        self._last = (at, turn)
        if at - self._asked_at < REACTION_S:
            self._waiting.append(turn)
            return None
        if self._base is None:
            self._base = median(self._waiting or [turn])
            if abs(self._base) > FRONTAL or max(self._waiting, default=0) - min(self._waiting, default=0) > STILL:
                return "too_early"
        gone = self._side * (turn - self._base)
        if self._reached_at is not None:
            return "turned" if gone <= BACK and is_known else None
        return self._look_out(gone, at, is_known=is_known)

    def miss(self, at: float) -> MovementAnswer | None:
        """There is no face in a frame of that time; the answer if that has lasted too long."""
        if at - max(self._asked_at, self._last[0] if self._last else 0.0) > GAP_S:
            return "changed"
        until = self._until if self._reached_at is None else self._reached_at + RETURN_S
        return "not_in_time" if at > until else None

    def _look_out(self, gone: float, at: float, *, is_known: bool) -> MovementAnswer | None:
        """The way out, from the front to the far side."""
        if gone <= -FAR:
            return "wrong_way"
        if gone <= NEAR:
            self._left_at, self._unseen_s = at, None
        elif self._unseen_s is None:
            # With fewer frames a second than these were set on, it left some time after it was last seen there.
            self._unseen_s = max(0.0, at - self._left_at - FRAME_S)
        if gone >= FAR:
            self._far += 1
            self._is_known_there |= is_known
            if self._far == 1 and at - self._left_at > RISE_S + (self._unseen_s or 0.0):
                return "not_in_time"
            if self._far >= EVIDENCE and self._is_known_there:
                self._reached_at = at
        return None
