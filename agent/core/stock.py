"""Supplies as the station keeps them: what people ask and say about them, and the faults that follow."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from agent.core import supplies
from agent.core.problems import problem
from agent.core.state import StationState
from agent.core.supplies import Supply, SupplyError, SupplyRules
from agent.core.turn import Turn
from agent.effects import KeepNotes, Reply
from agent.events import ControlRequested, Restored


def begin(turn: Turn, restored: Restored) -> None:
    """Go on with what was counted before."""
    turn.set(supplies=supplies.restored(turn.rules.supplies, restored.notes.get(supplies.KIND, {})))


def learn(turn: Turn, restored: Restored) -> None:
    """The disk could be opened late: what was counted meanwhile is newer than what it has."""
    found = supplies.restored(turn.rules.supplies, restored.notes.get(supplies.KIND, {}))
    since = {name: each for name, each in turn.state.supplies.items() if each != Supply()}
    turn.set(supplies={**found, **since})
    for member_id, removal in turn.state.removals.items():
        if removal.is_erasure:  # its order to the disk waits, and what was read is from before it
            forget_member(turn, member_id)


def review(turn: Turn) -> None:
    """Raise and clear what is wrong with each: after a change, and whenever the clock was read."""
    now = _utc(turn)
    is_known = now is not None and turn.state.clock is not None and turn.state.clock.is_trusted
    seconds = now.timestamp() if now is not None and is_known else None
    today = now.astimezone(turn.rules.zone).date() if now is not None and is_known else None
    for name, each in turn.state.supplies.items():
        found = supplies.faults(each, turn.rules.supplies[name], seconds, today)
        for code in supplies.judged(is_known):
            if code not in found:
                turn.clear_fault(code, name)
        for code, detail in found.items():
            turn.word_fault(code, name, detail)


def forget_member(turn: Turn, member_id: str) -> None:
    """A member is erased; nobody else learns who had what."""
    after = {name: supplies.forget(each, member_id) for name, each in turn.state.supplies.items()}
    changed = {name: each for name, each in after.items() if each is not turn.state.supplies[name]}
    if changed:
        turn.set(supplies=after)
        turn.do(KeepNotes(tuple(supplies.note(name, each) for name, each in changed.items())))


def list_supplies(turn: Turn, asked: ControlRequested) -> None:
    """Every supply with what is wrong with it."""
    rows = [
        {"supply": name, **supplies.body(each), **judgement(turn.state, turn.rules.supplies[name], name)}
        for name, each in turn.state.supplies.items()
    ]
    result = {"rows": rows, "labels": turn.rules.plate.labels, "timezone": turn.rules.plate.timezone}
    turn.do(Reply(asked.request, ok=True, result=result))


def check(turn: Turn, asked: ControlRequested) -> None:
    """Somebody counted it on a round."""
    known = _known(turn, asked)
    if known is None:
        return
    now = _utc(turn)
    best_before = asked.arguments.get("best_before")
    quantity = int(asked.arguments["quantity"])
    after = supplies.check(
        known,
        quantity,
        None if best_before is None else date.fromisoformat(best_before),
        None if now is None else now.timestamp(),
    )
    _keep(turn, asked, "supply.checked", after, {"quantity": quantity, "best_before": best_before})
    for code in supplies.OF_ROUNDS:  # whatever the clock says, somebody has just looked
        turn.clear_fault(code, asked.arguments["supply"])


def take(turn: Turn, asked: ControlRequested) -> None:
    """Somebody takes or borrows some."""
    _move(turn, asked, is_taken=True)


def give_back(turn: Turn, asked: ControlRequested) -> None:
    """Somebody brings some back."""
    _move(turn, asked, is_taken=False)


def _move(turn: Turn, asked: ControlRequested, *, is_taken: bool) -> None:
    known = _known(turn, asked)
    if known is None:
        return
    rules = turn.rules.supplies[asked.arguments["supply"]]
    quantity, member_id = int(asked.arguments.get("quantity", 1)), asked.arguments.get("member_id")
    if member_id is not None and member_id not in turn.state.members:
        turn.refuse(asked.request, problem("member.unknown", member_id))
        return
    now = _utc(turn)
    try:
        if is_taken:
            after = supplies.take(known, rules, quantity, member_id, None if now is None else now.timestamp())
        else:
            after = supplies.give_back(known, rules, quantity, member_id)
    except SupplyError as error:
        left = "?" if known.quantity is None else str(known.quantity)
        turn.refuse(asked.request, problem(str(error), asked.arguments["supply"], left))
        return
    said = {"quantity": quantity, "left": after.quantity, **({} if member_id is None else {"member": member_id})}
    _keep(turn, asked, "supply.taken" if is_taken else "supply.returned", after, said)


def _known(turn: Turn, asked: ControlRequested) -> Supply | None:
    name = asked.arguments["supply"]
    known = turn.state.supplies.get(name)
    if known is None:
        turn.refuse(asked.request, problem("supply.unknown", name))
    return known


def _keep(turn: Turn, asked: ControlRequested, kind: str, after: Supply, said: dict[str, Any]) -> None:
    name = asked.arguments["supply"]
    turn.set(supplies={**turn.state.supplies, name: after})
    body = {"supply": name, **said, "by": asked.actor.name}
    turn.log(kind, body, tag=asked.request, notes=(supplies.note(name, after),))
    review(turn)
    result = {"supply": name, "quantity": after.quantity, "lent": len(after.loans)}
    turn.answer_when_logged(asked.request, result, asked.action)


def judgement(state: StationState, rules: SupplyRules, name: str) -> dict[str, Any]:
    """Whether it can be used, and what is wrong."""
    wrong = [code for code in supplies.CODES if (code, name) in state.faults]
    return {
        "minimum": rules.minimum,
        "usable": supplies.usable(state.supplies[name], frozenset(wrong)),
        "faults": wrong,
    }


def _utc(turn: Turn) -> datetime | None:
    clock = turn.state.clock
    return None if clock is None else clock.utc + timedelta(seconds=turn.now - clock.at)
