"""Takes the central server's commands, lets them become requests, and answers each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from agent.core import commands, diagnosis, publication, refusals, requests
from agent.core.commands import COMMANDS, Answer, Freshness, Refusal, Status
from agent.core.turn import Turn
from agent.effects import AppendEntry, Effect, PublishPresence, PublishReply, Reply
from agent.events import Actor, CommandReceived, CommandRejected, ControlRequested, Restored

_REQUEST = "command:"
_REFUSALS_PER_S = 2.0  # answers to what is refused: enough for a server at work, too few to be made to shout
_REFUSALS_BURST = 20.0
# What is answered each time that it comes, kept answers and what only asks: more than a server at work needs, and too
# little for whoever replays without pause.
_REPEATS_PER_S = 10.0
_REPEATS_BURST = 40.0
# Of those that wait, in one turn: a thousand that end at once would keep the door waiting for a second.
_TAKEN_AT_ONCE = 16
_OUTCOMES = {"station.visit.entered": True, "station.access.not_taken": False}


def begin(turn: Turn, restored: Restored) -> None:
    """Go on with the revisions and answers from before the start."""
    turn.set(commands=commands.restored(restored.notes, is_known=restored.is_read))


def learn(turn: Turn, restored: Restored) -> None:
    """The disk could be opened late: what was accepted meanwhile goes on."""
    turn.set(commands=commands.reopened(turn.state.commands, restored.notes))


def on_received(turn: Turn, event: CommandReceived) -> None:
    """A command with a good signature of a known key, for this station. One with a revision waits for its turn."""
    state = turn.state.commands
    named = COMMANDS.get(event.name)
    is_full = len(state.running) >= commands.MAX_RUNNING
    may_wait = named is not None and named.freshness is Freshness.REVISION and named.scope in event.scopes
    is_new = event.id not in state.answers and event.id not in state.running
    if is_full and named is not None and may_wait and is_new and not event.is_retained:
        if any(each.id == event.id and commands.origin(each) == commands.origin(event) for each in state.waiting):
            return
        proof = commands.Proof(event.nonce, event.revision, event.session)
        refusal = commands.refusal_of(state, named, event.key, proof, session=turn.state.session, now=turn.now)
        if refusal is None and len(state.waiting) < commands.MAX_WAITING:
            turn.set(commands=replace(state, waiting=(*state.waiting, event)))
            return
    _take_up(turn, event)


def _take_up(turn: Turn, event: CommandReceived) -> None:
    state = turn.state.commands
    if state.has_taken(event):
        _refuse(turn, event.id, event.key, event.name if event.name in COMMANDS else "", Refusal.ID_TAKEN)
        return
    known = state.answers.get(event.id)
    if known is None and event.id in state.running:  # a question, or it runs for longer than answers are kept
        known = Answer(Status.ACCEPTED)
    if known is not None:
        if _may_repeat(turn):
            _publish(turn, event.id, known)
        return
    command = COMMANDS.get(event.name)
    if command is None:
        _refuse(turn, event.id, event.key, "", Refusal.UNKNOWN_COMMAND)  # a made-up name each time would fill the log
        return
    proof = commands.Proof(event.nonce, event.revision, event.session)
    refusal = commands.refusal_of(state, command, event.key, proof, session=turn.state.session, now=turn.now)
    if command.scope is not None and command.scope not in event.scopes:
        refusal = Refusal.NOT_IN_SCOPE
    if event.is_retained:
        refusal = Refusal.RETAINED
    if refusal is None and command.action and len(state.running) >= _room_for(command):
        refusal = Refusal.BUSY
    if refusal is not None:
        _refuse(turn, event.id, event.key, event.name, refusal)
        return
    _accept(turn, event, command)


def _room_for(command: commands.Command) -> int:
    """How many may be under way before one like this is refused."""
    is_of_door = command.freshness is Freshness.NONCE
    return commands.MAX_RUNNING + (commands.MAX_DOOR_RUNNING if is_of_door else 0)


def on_rejected(turn: Turn, event: CommandRejected) -> None:
    """A message that is no command of anybody who may send one."""
    _refuse(turn, event.id, event.key, "", Refusal(event.reason))


def _may_repeat(turn: Turn) -> bool:
    """Whether one more may be answered that a recording of it would get answered again."""
    state = turn.state.commands
    left = max(0.0, state.repeats - (turn.now - state.repeats_at) * _REPEATS_PER_S)
    may = left + 1 <= _REPEATS_BURST
    turn.set(commands=replace(state, repeats=left + may, repeats_at=turn.now))
    return may


def _accept(turn: Turn, event: CommandReceived, command: commands.Command) -> None:
    state = turn.state.commands
    notes: tuple[Any, ...] = ()
    if command.freshness is Freshness.NONCE and event.nonce is not None:
        state = state.without_nonce(event.nonce)
    if command.freshness is Freshness.REVISION and event.revision is not None:
        state = replace(state, revisions={**state.revisions, event.key: event.revision})
        notes = (commands.revision_note(event.key, event.revision),)
    if not command.action:
        if _may_repeat(turn):
            _answer_here(turn, event)
        return
    state = replace(state, running={**state.running, event.id: event.name})
    if event.name == "door.unlock":
        state = replace(state, was_opened=None)
    accepted = Answer(Status.ACCEPTED, of=commands.origin(event))
    if command.is_question:
        turn.set(commands=state)
    else:
        state, kept = state.answered(event.id, accepted)
        turn.set(commands=state)
        turn.log("command.accepted", {"id": event.id, "name": event.name, "key": event.key}, notes=(*notes, *kept))
    _publish(turn, event.id, accepted)
    asked = ControlRequested(
        event.at, f"{_REQUEST}{event.id}", Actor("remote", event.key, ""), command.action, event.arguments
    )
    requests.ACTIONS[command.action].carry_out(turn, asked)


def _answer_here(turn: Turn, event: CommandReceived) -> None:
    """What changes nothing is neither logged nor kept."""
    if event.name == "nonce.request":
        turn.set(commands=turn.state.commands.with_nonce(event.entropy, turn.now))
        _publish(turn, event.id, Answer(Status.DONE, "", {"nonce": event.entropy, "holds_s": commands.NONCE_S}))
        return
    turn.do(PublishPresence())
    publication.tell_all(turn)
    _publish(turn, event.id, Answer(Status.DONE))


def _refuse(turn: Turn, command: str, key: str, name: str, refusal: Refusal) -> None:
    action = f"command {name}: {refusal.value}" if name else f"command: {refusal.value}"
    counted, body = refusals.note(turn.state.refusals, Actor("remote", key or "nobody", ""), action, turn.now)
    turn.set(refusals=counted)
    if body is not None:
        turn.log("control.refused", body)
    state, now = turn.state.commands, turn.now
    left = max(0.0, state.refusals - (now - state.refusals_at) * _REFUSALS_PER_S)
    may = bool(command) and left + 1 <= _REFUSALS_BURST
    turn.set(commands=replace(state, refusals=left + may, refusals_at=now))
    if may:
        _publish(turn, command, Answer(Status.REFUSED, refusal.value))


# --- answers ---------------------------------------------------------------------------------------------------------


def collect(turn: Turn) -> None:
    """Make the answers to requests that commands became into answers to the commands. At the end of a turn."""
    _collect(turn)
    for _ in range(_TAKEN_AT_ONCE):
        if deadline(turn.state.commands) is None:
            break
        first, *rest = turn.state.commands.waiting
        turn.set(commands=replace(turn.state.commands, waiting=tuple(rest)))
        _take_up(turn, first)
        _collect(turn)


def deadline(state: commands.Commands) -> float | None:
    """When `collect` has something to do: at once, while there is room for one that waits."""
    return 0.0 if state.waiting and len(state.running) < commands.MAX_RUNNING else None


def _collect(turn: Turn) -> None:
    state = turn.state.commands
    if not state.running:
        return
    kept: list[Effect] = []
    found: list[Reply] = []
    for each in turn.effects:
        is_ours = isinstance(each, Reply) and each.request.startswith(_REQUEST)
        (found if is_ours else kept).append(each)  # type: ignore[arg-type]
    turn.effects[:] = kept
    _watch_door(turn)
    for reply in found:
        _take(turn, reply)
    _tell_unlocked(turn)


def _take(turn: Turn, reply: Reply) -> None:
    command = reply.request.removeprefix(_REQUEST)
    name = turn.state.commands.running.get(command)
    if name is None or not reply.is_last:
        return
    if not reply.ok:
        codes = [str(each.get("code", "")) for each in reply.problems]
        _finish(turn, command, Answer(Status.FAILED, codes[0] if codes else "failed", reply.result))
    elif name == diagnosis.ACTION:
        _finish_in_parts(turn, command, reply.result["parts"])
    elif name == "door.unlock":  # done, and what became of it shows within the release time
        state = turn.state.commands
        turn.set(commands=replace(state, unlocking={**state.unlocking, command: reply.result}))
    else:
        _finish(turn, command, Answer(Status.DONE, "", reply.result))


def _tell_unlocked(turn: Turn) -> None:
    """Say of an unlock whether the door was opened, once that is known; None: no contact tells, or it stood open."""
    state = turn.state.commands
    is_under_way = state.was_opened is None and any(cause.way == "remote" for cause in turn.state.door.causes)
    if not state.unlocking or is_under_way:
        return
    opened = state.was_opened if turn.rules.plate.has_contact else None
    for command, result in state.unlocking.items():
        _finish(turn, command, Answer(Status.DONE, "", {**result, "opened": opened}))
    turn.set(commands=replace(turn.state.commands, unlocking={}))


def _watch_door(turn: Turn) -> None:
    """Note what became of a release from afar: it may show before the disk has the order."""
    for each in turn.effects:
        if isinstance(each, AppendEntry) and each.body.get("way") == "remote" and each.type in _OUTCOMES:
            turn.set(commands=replace(turn.state.commands, was_opened=_OUTCOMES[each.type]))


def _finish(turn: Turn, command: str, answer: Answer) -> None:
    if COMMANDS[turn.state.commands.running[command]].is_question:
        turn.set(commands=turn.state.commands.without(command))
        _publish(turn, command, answer)
        return
    after, notes = turn.state.commands.answered(command, answer)
    turn.set(commands=after)
    turn.log("command.ended", {"id": command, "status": answer.status.value, "code": answer.code}, notes=notes)
    _publish(turn, command, answer)


def _finish_in_parts(turn: Turn, command: str, parts: Sequence[Mapping[str, Any]]) -> None:
    """Send what takes several messages; it is kept only that it was sent, and a repeated id hears that."""
    if turn.state.session is None:
        _finish(turn, command, Answer(Status.FAILED, "broker.disconnected"))
        return
    *first, last = parts
    for number, part in enumerate(first, 1):
        turn.do(PublishReply(command, turn.now, Status.ACCEPTED.value, "", part, number, len(parts)))
    sent = Answer(Status.DONE, "", {"omitted": "sent", "parts": len(parts)})
    after, notes = turn.state.commands.answered(command, sent)
    turn.set(commands=after)
    turn.log("command.ended", {"id": command, "status": sent.status.value, "code": ""}, notes=notes)
    turn.do(PublishReply(command, turn.now, sent.status.value, "", last, len(parts), len(parts)))


def _publish(turn: Turn, command: str, answer: Answer) -> None:
    result: Mapping[str, Any] = answer.result
    turn.do(PublishReply(command, turn.now, answer.status.value, answer.code, result))
