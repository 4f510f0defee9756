"""A door in mode `challenge` without wires: the child's pipeline and the agent's rules, one frame after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent import events
from agent.core import station
from agent.core.gallery import Gallery
from agent.core.recognition import RecognitionSettings
from agent.core.state import Rules, StationState
from agent.effects import AppendEntry, ChallengeFace, Effect, EnergiseLock
from agent.events import Movement
from agent.vision import protocol
from agent.vision.capture import Frame
from agent.vision.engine import FaceEngine
from agent.vision.pipeline import Pipeline
from agent.vision.quality import Floors

_WATCH = "door"


@dataclass(frozen=True, slots=True)
class Visit:
    """What came of somebody before the door. `result`: `admitted`, a reason of refusal, or `waiting` at the end.

    `asked`: the first movement; `seconds`: from the first frame to the result.
    """

    result: str
    seconds: float
    asked: Movement | None


class Doorway:
    """The door of a station whose members' faces are `gallery`; each visit begins at a door that nobody stood at."""

    def __init__(self, engine: FaceEngine, gallery: Gallery) -> None:
        self._engine = engine
        self._gallery = gallery
        self._members = tuple(events.Member(each) for each in gallery.members)

    def visit(
        self,
        frames: Iterable[tuple[NDArray[np.uint8], float]],
        secret: bytes,
        on_asked: Callable[[Movement, float], None],
    ) -> Visit:
        """Play frames, (H, W, 3) uint8 RGB with their seconds, until the door opens or refuses.

        `on_asked(movement, at)` is called as the door asks; `secret` says what it will ask.
        """
        pipeline = Pipeline(self._engine, Floors(), _WATCH)
        rules = Rules(recognition=RecognitionSettings(is_movement_needed=True), challenge_secret=secret)
        state = self._begin(rules)
        asked: Movement | None = None
        at = 0.0
        for number, (picture, at) in enumerate(frames, 1):
            waiting = pipeline.take(Frame(picture, at, number))
            while waiting:
                event = _event_of(waiting.pop(0))
                if event is None:
                    continue
                state, effects = station.step(state, event, at, rules)
                if result := _result_of(effects):
                    return Visit(result, at, asked)
                for order in effects:
                    if isinstance(order, ChallengeFace):
                        asked = asked or order.movement
                        on_asked(order.movement, at)
                        waiting += pipeline.challenge(_message_of(order), at)
        return Visit("waiting", at, asked)

    def _begin(self, rules: Rules) -> StationState:
        state, _ = station.begin(rules, events.Restored(members=self._members), 0.0)
        started = events.VisionStarted(0.0, self._gallery.engine, self._gallery.weights)
        state, _ = station.step(state, started, 0.0, rules)
        built = events.GalleryBuilt(0.0, state.gallery_request, self._gallery)
        return station.step(state, built, 0.0, rules)[0]


def _result_of(effects: Iterable[Effect]) -> str:
    for order in effects:
        if isinstance(order, EnergiseLock):
            return "admitted"
        if isinstance(order, AppendEntry) and order.type == "station.access.refused":
            return str(order.body["reason"])
    return ""


def _message_of(order: ChallengeFace) -> protocol.Challenge:
    return protocol.Challenge(id=order.challenge, track=order.track, movement=order.movement, seconds=order.within_s)


def _event_of(fact: protocol.Fact) -> events.Event | None:
    match fact:
        case protocol.FaceSeen():
            vector = protocol.decode_vector(fact.vector)
            return events.FaceSeen(
                fact.at, fact.track, fact.first_at, vector, fact.score, fact.width_px, fact.liveness, fact.turn
            )
        case protocol.ChallengeAnswered():
            return events.ChallengeAnswered(fact.at, fact.challenge, fact.track, fact.answer)
        case protocol.TrackEnded():
            return events.TrackEnded(fact.at, fact.track)
    return None  # advice, which a rendered rider does not take
