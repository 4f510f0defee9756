"""A movement is asked for before the door opens: which, by whom, and what comes of it; see `core.movement`."""

from __future__ import annotations

from collections.abc import Mapping

from agent import events
from agent.core import movement, recognition, supervision, verification
from agent.core.access import Reason
from agent.core.passage import advise, refuse_entry
from agent.core.recognition import MovementDue, MovementFailed, MovementFailure
from agent.core.turn import Turn
from agent.effects import ChallengeFace

_ADVICE: Mapping[events.Movement, Reason] = {"left": Reason.LOOK_LEFT, "right": Reason.LOOK_RIGHT}
_REASONS: Mapping[MovementFailure, Reason] = {
    "wrong_way": Reason.TURNED_WRONG_WAY,
    "not_in_time": Reason.NOT_TURNED,
    "too_early": Reason.TURNED_TOO_EARLY,
    "changed": Reason.FACE_CHANGED,
    "not_live": Reason.NOT_LIVE,
}


def ask(turn: Turn, track: int, due: MovementDue, at: float) -> None:
    """Ask the person of this track for a movement, unless their face failed just now, or they were just let in."""
    state = turn.state
    paused_until = state.challenges.paused_until(due.member_id)
    if verification.in_force(state.code, at) is None:
        paused_until = max(paused_until, state.rests.get(due.member_id, paused_until))  # see `admission.is_resting`
    if at < paused_until:
        turn.set(tracks=recognition.rest_until(state.tracks, track, paused_until))
        return
    number = state.challenges.asked + 1
    way = movement.choose(turn.rules.challenge_secret, number)
    name = f"c-{number}"
    turn.set(
        challenges=movement.count(state.challenges),
        tracks=recognition.ask(state.tracks, track, name, due.member_id, at),
    )
    turn.do(ChallengeFace(name, track, way, movement.WITHIN_S))
    advise(turn, _ADVICE[way])


def on_answered(turn: Turn, event: events.ChallengeAnswered) -> None:
    """The movement was made, or not; an answer to nothing that is asked now changes nothing."""
    turn.set(vision=supervision.heard(turn.state.vision, turn.now))
    before = turn.state.tracks.get(event.track)
    proof = None if before is None else before.open_proof
    if proof is None or proof.challenge != event.challenge:
        return
    answer = event.answer if event.at <= proof.until else "not_in_time"
    turn.set(tracks=recognition.settle(turn.state.tracks, event.track, answer, event.at))
    if answer != "turned":
        refuse(turn, MovementFailed(proof.member_id, answer), event.at)


def refuse(turn: Turn, failed: MovementFailed, at: float) -> None:
    """It was not made as asked: say why, and let the face rest whose it was."""
    code = verification.in_force(turn.state.code, at)
    again_s = turn.rules.recognition.again_s
    turn.set(challenges=movement.failed(turn.state.challenges, failed.member_id, at, again_s))
    refuse_entry(turn, _REASONS[failed.why], "face" if code is None else code.way_in, failed.member_id)
