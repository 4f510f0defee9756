"""Who passes the door without being let through: visits of nobody in particular, where a counter is fitted.

In opening hours and while the door is held open people come in that no reader and no face names, and so does who
follows a member in. Each is an anonymous visit, and whoever the counter sees leave without a button or a card has left.
"""

from __future__ import annotations

import math
from dataclasses import replace

from agent.core import occupancy, people
from agent.core.door import Cause, Input
from agent.core.passage import begin_visit, end_visits, put
from agent.core.turn import Turn
from agent.events import PersonCounted

WAY = "counter"


def on_count(turn: Turn, event: PersonCounted) -> None:
    """The counter saw somebody go in or out."""
    people.on_counted(turn, event)
    if event.is_entering:
        put(turn, Input.ENTERED)
    if not turn.rules.counter.is_fitted:
        return
    tally = turn.state.tally
    if event.is_entering:
        turn.set(tally=replace(tally, entering=tally.entering.count(event.at)))
    else:
        turn.set(tally=replace(tally, leaving=tally.leaving.count(event.at)))


def settle(turn: Turn, until: float) -> None:
    """Let those count as unknown who are not explained by `until` (station time); at the end, everybody."""
    tally = turn.state.tally
    entering, entered = tally.entering.unknown(until)
    leaving, left = tally.leaving.unknown(until)
    if not entered and not left:
        return
    turn.set(tally=replace(tally, entering=entering, leaving=leaving))
    for at in entered:
        begin_visit(turn, Cause(WAY), at)
    for at in left:
        end_visits(turn, *occupancy.leave(turn.state.occupancy, at, WAY), WAY)


def settle_all(turn: Turn) -> None:
    """The agent ends: nobody who was counted is forgotten."""
    settle(turn, math.inf)
