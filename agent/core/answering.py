"""What becomes of a call: it is logged once and shown until somebody opens, answers, or its time is over.

Whoever goes on pressing is told each time that the call is out, adds to its count and writes nothing: the log is not
for the impatient. A call that nobody answered ends with its time, so that the next press is news again.
"""

from __future__ import annotations

from dataclasses import replace

from agent.core import alarms
from agent.core.access import Advice
from agent.core.calls import BOUNCE_S, Call
from agent.core.problems import Words
from agent.core.turn import Turn
from agent.effects import ShowIndication
from agent.events import Actor, CallButtonPressed

CALLED = Advice("called", Words("已呼叫站长,请稍候。", "The station master is called. Please wait."))
ANSWERED = Advice("called", Words("站长已收到呼叫,请稍候。", "The station master has your call. Please wait."))
UNANSWERED = Advice(
    "refused",
    Words(
        "站长暂时没有应答,请再按一次,或拨打公示牌上的电话。",
        "Nobody has answered. Please press again, or ring the number on the board.",
    ),
)


def on_press(turn: Turn, event: CallButtonPressed) -> None:
    """Make the call, or count the press in the one that is out."""
    call, last_at = turn.state.call, turn.state.call_pressed_at
    turn.set(call_pressed_at=event.at)
    if last_at is not None and event.at < last_at + BOUNCE_S:
        return
    if call is None:
        waits_s = turn.rules.calls.waits_s
        turn.set(call=Call(turn.now, turn.now + waits_s))
        turn.log("call.made", {"waits_s": waits_s})
    else:
        turn.set(call=replace(call, presses=call.presses + 1))
    turn.do(ShowIndication(CALLED.pattern))


def answer(turn: Turn, actor: Actor, how: str) -> None:
    """Somebody in charge has seen to it: `how` is `opened` or `answered`. Nothing where nobody calls."""
    if turn.state.call is None:
        return
    _end(turn, turn.state.call, how, actor.name)
    alarm = turn.state.alarms.get("call")
    if alarm is not None:  # whoever answers has seen it
        turn.set(alarms=alarms.changed_by(turn.state.alarms, {"call": alarms.acknowledged(alarm)}))
    if how == "answered":
        turn.do(ShowIndication(ANSWERED.pattern))


def give_up(turn: Turn) -> None:
    """Tell the one who called that nobody answered in time."""
    call = turn.state.call
    if call is not None and turn.now >= call.until:
        _end(turn, call, "unanswered", None)
        turn.do(ShowIndication(UNANSWERED.pattern))


def _end(turn: Turn, call: Call, how: str, actor: str | None) -> None:
    turn.set(call=None)
    body = {"how": how, "actor": actor, "presses": call.presses, "waited_s": round(turn.now - call.began_at, 3)}
    turn.log("call.ended", body)
