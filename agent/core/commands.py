"""Commands of the central server: which are allowed now, what they do, and what became of each.

A signature says who sent a command (`agent.command_gate` checks it); these rules ask the rest: may this key do it, and
is it meant for now. One of three proofs says so. What opens or frees a door carries a *nonce* that the agent gave out
at most `NONCE_S` before by its monotonic clock, so nothing recorded, queued or late ever opens a door, whatever the
wall clock says. What may wait in the broker for a station that is offline carries a *revision* that only grows, for
each key. The rest names the *session*. What is allowed is then the very request that the command line would make.

Each command is answered: accepted, then done or failed; or refused. The last answer is kept, and a repeated id gets it
again and does nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the command line names scopes, and does not wait for every event and effect
    from agent.effects import Note
    from agent.events import CommandReceived

KIND, REVISION_KIND = "reply", "revision"
NONCE_S = 30.0
MAX_NONCES = 32  # a server asks for one and uses it; bounds what one that only asks can pile up
MAX_REPLIES = 500  # some days of a busy station; an id repeated later is refused by its freshness
MAX_RUNNING = 16  # at once; a server that sends more waits for answers first
# Beyond those, of what opens or frees the door: nobody waits outside until a roster of a thousand is on the disk.
MAX_DOOR_RUNNING = 4
# Commands with a revision wait in the broker for a station that is away, and come all together: as many as mosquitto
# keeps (max_queued_messages). Only a key of the settings gets one in here.
MAX_WAITING = 1_000
# Of answers that are no more kept the ids stay, until the end of the process: what names the session is fresh for as
# long as that lasts, and must not be taken twice. A megabyte.
MAX_LET_GO = 5_000
KEPT_BYTES = 8_000  # of a result: what is longer is sent and not kept
REVISION_MAX = 2**53 - 1  # what every JSON reader keeps exactly


class Freshness(StrEnum):
    """How a command proves that it is meant for now."""

    NONCE = "nonce"
    REVISION = "revision"
    SESSION = "session"


class Scope(StrEnum):
    """What a key may do."""

    OPEN = "open"
    ROSTER = "roster"
    OPERATE = "operate"
    RECORDS = "records"


class Refusal(StrEnum):
    """Why a command is not carried out. The first ones are said before these rules see it."""

    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    UNKNOWN_KEY = "unknown_key"
    BAD_SIGNATURE = "bad_signature"
    WRONG_STATION = "wrong_station"
    RETAINED = "retained"
    UNKNOWN_COMMAND = "unknown_command"
    BAD_ARGUMENTS = "bad_arguments"
    NOT_IN_SCOPE = "not_in_scope"
    STALE_NONCE = "stale_nonce"
    STALE_REVISION = "stale_revision"
    STALE_SESSION = "stale_session"
    ID_TAKEN = "id_taken"
    BUSY = "busy"


class Status(StrEnum):
    """Where a command is."""

    ACCEPTED = "accepted"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Command:
    """What one may do. `scope` None: every key; `action`: of `core.requests`, empty for what is answered here.

    `is_question`: it only reads, so it is neither logged nor is its answer kept.
    """

    scope: Scope | None
    freshness: Freshness
    action: str
    is_question: bool = False


COMMANDS: Mapping[str, Command] = {
    "nonce.request": Command(None, Freshness.SESSION, ""),
    "station.refresh": Command(None, Freshness.SESSION, ""),
    "door.unlock": Command(Scope.OPEN, Freshness.NONCE, "door.unlock"),
    "door.hold_open": Command(Scope.OPEN, Freshness.NONCE, "door.hold_open"),
    "door.lock_down": Command(Scope.OPEN, Freshness.NONCE, "door.lock_down"),
    "door.resume": Command(Scope.OPEN, Freshness.NONCE, "door.resume"),
    "members.erase": Command(Scope.ROSTER, Freshness.REVISION, "members.erase"),
    "members.digest": Command(Scope.ROSTER, Freshness.SESSION, "roster.digest", is_question=True),
    "members.put": Command(Scope.ROSTER, Freshness.REVISION, "roster.put"),
    "members.resume": Command(Scope.ROSTER, Freshness.REVISION, "members.resume"),
    "members.suspend": Command(Scope.ROSTER, Freshness.REVISION, "members.suspend"),
    "passes.revoke": Command(Scope.ROSTER, Freshness.REVISION, "passes.revoke"),
    "appliance.switch": Command(Scope.OPERATE, Freshness.SESSION, "appliances.switch"),
    "notice.put": Command(Scope.OPERATE, Freshness.REVISION, "notice.put"),
    "notice.clear": Command(Scope.OPERATE, Freshness.REVISION, "notice.clear"),
    "alarm.acknowledge": Command(Scope.OPERATE, Freshness.SESSION, "alarms.acknowledge"),
    "fault.update": Command(Scope.OPERATE, Freshness.SESSION, "faults.update"),
    "log.confirm": Command(Scope.RECORDS, Freshness.SESSION, "log.confirm"),
    "log.replay": Command(Scope.RECORDS, Freshness.SESSION, "log.replay"),
    "diagnostics.collect": Command(Scope.RECORDS, Freshness.SESSION, "diagnostics.collect"),
}
"""Every command there is."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a command. `code`: of a refusal, or of the problem that made it fail.

    `of`: whose it is and its name (`origin`); empty: nobody knows any more.
    """

    status: Status
    code: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)
    of: str = ""


@dataclass(frozen=True, slots=True)
class Commands:
    """What is known of commands.

    `nonces`: until when each holds, station time; `revisions`: the newest of each key; `running`: name by id;
    `answers`: the last answer of each id, oldest first; `let_go`: ids of older ones; `asked`: the last questions that
    were answered, name by id, for a slow disk may still answer one; `unlocking`: what an unlock will be told once the
    door was opened or not; `waiting`: those with a revision that came while others ran; `was_opened`: what became of
    the last unlock; `refusals` and `repeats` were answered up to the times beside them; `is_known`: whether the disk
    could be read, so that no revision is missing.
    """

    nonces: Mapping[str, float] = field(default_factory=dict)
    revisions: Mapping[str, int] = field(default_factory=dict)
    running: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, Answer] = field(default_factory=dict)
    let_go: Mapping[str, None] = field(default_factory=dict)
    asked: Mapping[str, str] = field(default_factory=dict)
    unlocking: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    waiting: tuple[CommandReceived, ...] = ()
    was_opened: bool | None = None
    refusals: float = 0.0
    refusals_at: float = 0.0
    repeats: float = 0.0
    repeats_at: float = 0.0
    is_known: bool = True

    def with_nonce(self, nonce: str, now: float) -> Commands:
        """One more that is given out; the oldest go when there are too many."""
        kept = {name: until for name, until in self.nonces.items() if now < until}
        newest = dict(list(kept.items())[1 - MAX_NONCES :]) if len(kept) >= MAX_NONCES else kept
        return replace(self, nonces={**newest, nonce: now + NONCE_S})

    def without_nonce(self, nonce: str) -> Commands:
        """It is used."""
        return replace(self, nonces={name: until for name, until in self.nonces.items() if name != nonce})

    def without(self, command: str) -> Commands:
        """A question that was answered."""
        running = {key: name for key, name in self.running.items() if key != command}
        asked = {key: name for key, name in self.asked.items() if key != command}
        asked[command] = self.running[command]
        return replace(self, running=running, asked=dict(list(asked.items())[-MAX_REPLIES:]))

    def answered(self, command: str, answer: Answer) -> tuple[Commands, tuple[Note, ...]]:
        """Its newest answer, and the notes that a start finds again.

        What an erasure answers names whom it was about, and proves it; it is told and not kept. Nor is the number that
        was drawn for a member: nothing would take it off the disk when they are erased.
        """
        before = self.answers.get(command)
        answer = replace(answer, of=answer.of or (before.of if before is not None else ""))
        kept = {name: each for name, each in self.answers.items() if name != command}
        kept[command] = answer
        gone = list(kept)[: max(0, len(kept) - MAX_REPLIES)]
        for name in gone:
            del kept[name]
        let_go = self.let_go
        if gone:
            let_go = dict.fromkeys([*self.let_go, *gone][-MAX_LET_GO:])
        running = dict(self.running)
        if answer.status is not Status.ACCEPTED:
            running.pop(command, None)
        what = self.running.get(command)
        note = answer
        if what == "members.erase" and answer.result:
            note = replace(answer, result={"omitted": "erased"})
        elif what == "members.put":
            note = replace(answer, result={key: each for key, each in answer.result.items() if key != "number"})
        from agent.effects import Note

        notes = (Note(KIND, command, _body(note)), *(Note(KIND, name, None) for name in gone))
        return replace(self, answers=kept, running=running, let_go=let_go), notes

    def has_taken(self, event: CommandReceived) -> bool:
        """Whether another command has this id: another key's, one of another name, or one long ago."""
        known, running = self.answers.get(event.id), self.running.get(event.id)
        if known is not None and known.of:
            return known.of != origin(event)
        if running is not None:
            return running != event.name
        if self.asked.get(event.id, event.name) != event.name:
            return True
        return known is None and event.id in self.let_go


def origin(event: CommandReceived) -> str:
    """What a repetition has in common with the first one, besides the id."""
    return f"{event.key} {event.name}"


@dataclass(frozen=True, slots=True)
class Proof:
    """What a command carries to prove that it is meant for now; two of them are None."""

    nonce: str | None = None
    revision: int | None = None
    session: str | None = None


def refusal_of(
    state: Commands, command: Command, key: str, proof: Proof, *, session: str | None, now: float
) -> Refusal | None:
    """Why this key's command is stale; None: it is meant for now. `session`: the present one."""
    match command.freshness:
        case Freshness.NONCE:
            until = state.nonces.get(proof.nonce or "")
            return None if until is not None and now < until else Refusal.STALE_NONCE
        case Freshness.REVISION if not state.is_known:
            return (
                Refusal.BUSY
            )  # anything that was ever sent would be newer; it may be sent again when the disk is read
        case Freshness.REVISION:
            is_newer = proof.revision is not None and proof.revision > state.revisions.get(key, 0)
            return None if is_newer else Refusal.STALE_REVISION
        case Freshness.SESSION:
            return None if session is not None and proof.session == session else Refusal.STALE_SESSION


def restored(notes: Mapping[str, Mapping[str, Mapping[str, Any]]], *, is_known: bool = True) -> Commands:
    """What was known before the start. A command that had no end then has failed: the log shows how far it came."""
    answers = {name: each for name, body in notes.get(KIND, {}).items() if (each := _read(body)) is not None}
    revisions = {
        key: body["revision"]
        for key, body in notes.get(REVISION_KIND, {}).items()
        if isinstance(body.get("revision"), int)
    }
    return Commands(revisions=revisions, answers=dict(list(answers.items())[-MAX_REPLIES:]), is_known=is_known)


def reopened(state: Commands, notes: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Commands:
    """With what the disk has, where that could be read only now: the newest revision of each key counts."""
    found = restored(notes)
    keys = {*found.revisions, *state.revisions}
    revisions = {key: max(found.revisions.get(key, 0), state.revisions.get(key, 0)) for key in keys}
    answers = dict(list({**found.answers, **state.answers}.items())[-MAX_REPLIES:])
    return replace(state, revisions=revisions, answers=answers, is_known=True)


def revision_note(key: str, revision: int) -> Note:
    """The newest revision of a key. With an older one a command that was carried out would be taken once more."""
    from agent.effects import Note

    return Note(REVISION_KIND, key, {"revision": revision}, outlives_backup=True)


def _body(answer: Answer) -> dict[str, Any]:
    result = dict(answer.result)
    if len(json.dumps(result)) > KEPT_BYTES:
        result = {"omitted": "too_large"}
    return {"status": answer.status.value, "code": answer.code, "result": result, "of": answer.of}


def _read(body: Mapping[str, Any]) -> Answer | None:
    try:
        status, code, result = Status(body["status"]), str(body["code"]), dict(body["result"])
        of = str(body.get("of", ""))
    except (KeyError, TypeError, ValueError):
        return None
    return (
        Answer(Status.FAILED, "interrupted", of=of) if status is Status.ACCEPTED else Answer(status, code, result, of)
    )
