"""What the central server says it has safely: up to which entry, and by which hash.

A broker's acknowledgement says that the broker has an entry; only the server knows whether it does. Its word is taken
for the very entry that stands here: never beyond the cursor, never with another hash, and never back. It is kept with
an entry of the log in one transaction, in the database and not in the ledger: a backup that is put back brings the word
that belongs to its own entries, and a database that begins anew has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent import events
from agent.core.outbox import START, Position
from agent.core.problems import problem
from agent.core.turn import Turn
from agent.effects import CONFIRMED, Note, ReadEntries, Reply
from agent.events import ControlRequested, Restored

NAME = "log"


def begin(turn: Turn, restored: Restored) -> None:
    """Go on from what was confirmed before the start."""
    found = restored.notes.get(CONFIRMED, {}).get(NAME, {})
    turn.set(confirmed=max(turn.state.confirmed, _place(found)))


def confirm(turn: Turn, asked: ControlRequested) -> None:
    """Look whether the entry is the one that stands here."""
    meant = {key: asked.arguments[key] for key in ("epoch", "sequence", "hash")}
    epoch, sequence = _place(meant)
    if not turn.state.is_read:
        turn.refuse(asked.request, problem("storage.failed", "storage", "the log is not open yet"))
    elif (epoch, sequence) > turn.state.outbox.cursor:
        turn.refuse(asked.request, problem("log.beyond_cursor", asked.action, f"{epoch}/{sequence}"))
    else:
        turn.do(ReadEntries(asked.request, epoch, sequence - 1, sequence, 1))
        turn.expect(asked.request, problem("storage.failed", asked.action, "the log was not read in time"), meant)


def on_entries(turn: Turn, event: events.EntriesRead) -> None:
    """The entry that stands there, or the last one that was pruned."""
    waiting = turn.forget(event.question)
    if waiting is None:
        return
    meant = waiting.result
    place, words = _place(meant), f"{meant['epoch']}/{meant['sequence']}"
    if event.error:
        turn.refuse(event.question, problem("storage.failed", "storage", event.error))
        return
    found = {(each.epoch, each.sequence): each.hash for each in event.entries}
    anchor = event.anchor
    if anchor is not None:
        found[anchor.epoch, anchor.sequence] = anchor.hash
    is_pruned = anchor is not None and place < (anchor.epoch, anchor.sequence)
    if place not in found and not is_pruned:
        turn.refuse(event.question, problem("log.no_such_entry", "log.confirm", words))
    elif found.get(place, meant["hash"]) != meant["hash"]:
        turn.refuse(event.question, problem("log.other_hash", "log.confirm", words))
    elif place < turn.state.confirmed:
        turn.do(Reply(event.question, ok=True, result={"confirmed": as_dict(turn.state.confirmed)}))
    else:
        turn.set(confirmed=place)
        turn.log("log.confirmed", meant, tag=event.question, notes=(Note(CONFIRMED, NAME, meant),))
        turn.answer_when_logged(event.question, {"confirmed": as_dict(place)}, "log.confirm")


def as_dict(confirmed: Position) -> dict[str, int] | None:
    """As it is shown; None: nothing was ever confirmed."""
    return None if confirmed == START else {"epoch": confirmed[0], "sequence": confirmed[1]}


def _place(body: Mapping[str, Any]) -> Position:
    match body:
        case {"epoch": int(epoch), "sequence": int(sequence)}:
            return epoch, sequence
    return START
