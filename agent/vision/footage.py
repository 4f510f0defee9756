"""Recorded videos through the liveness check of the door: detector, track, `PhotoLiveness`, in mode `photo`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.vision.liveness import PACE_S, Liveness, PhotoLiveness
from agent.vision.tracking import Tracker
from drivers.camera import read_video
from drivers.errors import DriverError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from agent.vision.engine import FaceEngine

    TimedPicture = tuple[NDArray[np.uint8], float]

SECONDS_MAX = 60.0  # of one video: nobody stands before a door for longer


class FootageError(Exception):
    """A file cannot be judged; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What came of one video. `verdict`: `live`, `attack` or `undecided`; `decided_s`: when, from its first face."""

    verdict: str
    reason: str
    decided_s: float | None = None


def judge(frames: Iterable[TimedPicture], engine: FaceEngine) -> Judgement:
    """Judge the frames of one video, (H, W, 3) uint8 RGB with their times in seconds, in order.

    The largest face is followed as at the door; the first track that is live decides, else an attack, else the last
    word on the last track. A still picture is one frame, so never live.
    """
    tracker = Tracker()
    liveness, number, began_at = PhotoLiveness(), 0, 0.0
    found = Judgement("undecided", "no_face")
    for picture, at in _within(frames):
        faces = engine.detect(picture)
        track, _ended = tracker.follow(faces[0] if faces else None, at)
        if track is None:
            continue
        if track.number != number:
            liveness, number = PhotoLiveness(), track.number
            began_at = began_at if found.reason != "no_face" else at
        found = _weigh(found, liveness.take(picture, track.face.box, at), at - began_at)
        if found.verdict == "live":
            break
    return found


def _weigh(before: Judgement, now: Liveness, seconds: float) -> Judgement:
    if before.verdict == "attack" and now.verdict != "live":
        return before
    return Judgement(now.verdict, now.reason, None if now.verdict == "undecided" else seconds)


def _within(frames: Iterable[TimedPicture]) -> Iterator[TimedPicture]:
    began_at: float | None = None
    taken_at = float("-inf")
    for picture, at in frames:
        began_at = at if began_at is None else began_at
        if at - began_at > SECONDS_MAX:
            return
        if at - taken_at >= PACE_S:
            taken_at = at
            yield picture, at


def judge_file(path: Path, engine: FaceEngine) -> Judgement:
    """Judge a video file, or a picture. Raises `FootageError` when it is neither."""
    try:
        return judge(read_video(path), engine)
    except DriverError as error:
        raise FootageError(str(error)) from error
