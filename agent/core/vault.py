"""The templates' keys as the rules see them: what is wrong with them, who may turn them, and what is answered.

Without a key, or with a wrong one, templates that do not open are in no gallery, so face entry stops for their members;
everything else goes on.
"""

from __future__ import annotations

from collections.abc import Iterable

from agent import events
from agent.core.problems import CATALOGUE, problem
from agent.core.state import Waiting
from agent.core.turn import Turn
from agent.effects import DescribeVault, Reply, RotateVault
from agent.events import ControlRequested

# The whole database is written anew: half a minute for some hundred megabytes on a slow card. Less than the control
# server waits for an answer.
ROTATION_PATIENCE_S = 40.0

CODES = frozenset(code for code in CATALOGUE if code.startswith("vault."))


def raise_faults(turn: Turn, faults: Iterable[tuple[str, str, str]]) -> None:
    """Have exactly these faults of the vault stand. Each is (code, where, detail)."""
    wanted = {(code, where): detail for code, where, detail in faults}
    for code, where in tuple(turn.state.repairs):  # those from before the start as well
        if code in CODES and (code, where) not in wanted:
            turn.clear_fault(code, where)
    for (code, where), detail in wanted.items():
        turn.word_fault(code, where, detail)


def describe(turn: Turn, asked: ControlRequested) -> None:
    """Ask storage which keys there are."""
    turn.do(DescribeVault(asked.request))
    turn.expect(asked.request, problem("request.timed_out", asked.action, "the disk is slow"))


def rotate(turn: Turn, asked: ControlRequested) -> None:
    """Seal every template with a fresh key; answered when nothing of the former is left."""
    turn.log("vault.rotation_began", {"actor": asked.actor.name, "kind": asked.actor.kind})
    turn.do(RotateVault(asked.request))
    late = problem("request.timed_out", asked.action, "it goes on: see `station vault status`")
    waiting = Waiting(turn.now + ROTATION_PATIENCE_S, late)
    turn.set(waiting={**turn.state.waiting, asked.request: waiting})


def on_described(turn: Turn, event: events.VaultDescribed) -> None:
    """Answer."""
    if turn.forget(event.request) is not None:
        turn.do(Reply(event.request, ok=True, result=event.report))


def on_rotated(turn: Turn, event: events.VaultRotated) -> None:
    """Log it, by ids alone, and answer."""
    result = {"key": event.key, "dropped": list(event.dropped), "templates": event.templates}
    turn.log("vault.rotated", result, tag=event.request)
    if turn.forget(event.request) is not None:
        turn.answer_when_logged(event.request, result, "vault.rotate")


def on_refused(turn: Turn, event: events.VaultRefused) -> None:
    """Say what is wrong with the keys; a member that was to be saved is not."""
    if turn.forget(event.request) is not None:
        turn.refuse(event.request, problem(event.code, "vault", event.detail))


def on_examined(turn: Turn, event: events.VaultExamined) -> None:
    """What is wrong has changed."""
    raise_faults(turn, event.faults)
