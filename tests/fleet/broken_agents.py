"""Whole agents that break one promise of the contract each, for showing that the kit finds it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws

from agent import command_gate, command_keys
from agent.command_gate import CommandGate
from agent.contract.channels import PREFIX
from agent.core import command_desk, commands, publication, refusals, requests
from agent.core.commands import Answer, Commands, Proof, Refusal, Scope, Status
from agent.core.turn import Turn
from agent.effects import PublishReply, Reply
from agent.events import CommandReceived, LoggedEntry
from agent.fleet.conformance.kit import Authority, Report, examine
from agent.fleet.conformance.promises import Limits
from agent.mqtt import link, payloads
from agent.mqtt.backoff import Backoff
from agent.mqtt.client import Broker, Connection, Retained
from agent.mqtt.flow import Flow
from agent.mqtt.link import BrokerLink
from agent.mqtt.payloads import DoorState, LogEvent, Message, OccupancyState, encode, log_event
from agent.mqtt.topics import Topics
from agent.storage.roster_digest import RosterDigest
from tests.system.stations import PATIENCE_S, eventually, running, write_settings

WHOLE = "whole"
LISTEN_S = 36.0  # a beat and a reserve, and the 30 s that a nonce holds
_SCOPES = frozenset({Scope.OPEN, Scope.ROSTER, Scope.RECORDS})  # one is lacking, to see that refused
Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Break:
    """`apply`: breaks the agent; `follows`: what else may be found broken with it, and why in a comment there."""

    apply: Callable[[Patch], None]
    follows: frozenset[str] = frozenset()
    listen_s: float = 0.3
    may_open: bool = False
    is_cut: bool = False


def examine_agent(name: str, folder: Path, port: int) -> Report:
    """Run the agent that breaks this promise (or `WHOLE`), and the kit against it. In a process of its own."""
    broken = BREAKS.get(name) or Break(lambda _patch: None, listen_s=LISTEN_S, may_open=True, is_cut=True)
    station = f"t-{name.replace('_', '-')}"
    signer = command_keys.generate("central-1")
    folder.mkdir()
    tables: dict[str, dict[str, Any]] = {
        "station": {"id": station},
        "mqtt": {"enabled": True, "host": "127.0.0.1", "port": port},
        "door": {"unlock_s": 1.0},
        "sensors.oven": {"driver": "simulated"},  # whose values are in the bundle of diagnostics too
        f"commands.keys.{signer.name}": {"public": signer.public_text, "scopes": sorted(_SCOPES)},
    }
    limits = Limits(listen_s=broken.listen_s, answer_s=3.0, refusal_log_s=4.0)
    authority = Authority(signer, _SCOPES, may_open=broken.may_open)
    with Patch.context() as patch:
        patch.setattr(link, "Backoff", lambda: Backoff(first_s=0.2, longest_s=1.0, least_s=0.05))
        connections = _recorded(patch)
        broken.apply(patch)
        with running(write_settings(folder, tables)) as agent:
            eventually(lambda: agent.status()["broker"]["connected"], "the link is up")
            for number in range(3):
                agent.client.request("members.add", id=f"m-{number}", name="Somebody")
            with _cut_off(patch, connections) if broken.is_cut else _let_be():
                return examine(Broker("127.0.0.1", port), Topics(PREFIX, station), authority, limits)


def _recorded(patch: Patch) -> list[Connection]:
    """The connections that the agent makes."""
    made: list[Connection] = []

    class Recorded(Connection):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            made.append(self)

    patch.setattr(link, "Connection", Recorded)
    return made


@contextmanager
def _let_be() -> Iterator[None]:
    yield


@contextmanager
def _cut_off(patch: Patch, connections: list[Connection]) -> Iterator[None]:
    """Cut the agent's connection once the broker has its first answer to the kit, which is listening then."""
    has_answered = threading.Event()
    flow = Flow.acknowledge

    def acknowledge(self: Flow, mid: int) -> Any:
        found = flow(self, mid)
        if isinstance(found[0], PublishReply):
            has_answered.set()
        return found

    def cut() -> None:
        if has_answered.wait(PATIENCE_S):
            connections[-1].cut()

    patch.setattr(Flow, "acknowledge", acknowledge)
    thread = threading.Thread(target=cut, name="cutting")
    thread.start()
    try:
        yield
    finally:
        thread.join(PATIENCE_S)


# --- messages ---------------------------------------------------------------------------------------------------------


def _encoded(change: Callable[[Message, bytes], bytes]) -> Callable[[Patch], None]:
    def encode_otherwise(message: Message) -> bytes:
        return change(message, encode(message))

    return lambda patch: patch.setattr(link, "encode", encode_otherwise)


def _foreign_topic(patch: Patch) -> None:
    begin = BrokerLink._begin

    def begin_and_tell(self: BrokerLink, session: str, limits: Any) -> None:
        begin(self, session, limits)
        topic = f"{self._topics.prefix}/{self._topics.station}/weather"
        self._flow.offer_retained("weather", Retained(topic, b"{}"))
        self._wake()

    patch.setattr(BrokerLink, "_begin", begin_and_tell)


def _published(change: Callable[[Connection, str, bytes, bool], int | None]) -> Callable[[Patch], None]:
    def apply(patch: Patch) -> None:
        patch.setattr(
            Connection, "publish", lambda self, topic, payload, *, retain: change(self, topic, payload, retain)
        )

    return apply


_publish = Connection.publish


def _without_qos(self: Connection, topic: str, payload: bytes, retain: bool) -> int | None:
    if "/state/" not in topic:
        return _publish(self, topic, payload, retain=retain)
    return self._client.publish(topic, payload, qos=0, retain=retain).mid


def _log_twice(self: Connection, topic: str, payload: bytes, retain: bool) -> int | None:
    sent = _publish(self, topic, payload, retain=retain)
    if topic.endswith("/log"):
        event = LogEvent.model_validate_json(payload).model_copy(update={"hash": "0" * 64})
        _publish(self, topic, encode(event), retain=retain)
    return sent


# --- presence ---------------------------------------------------------------------------------------------------------


def _status(change: Callable[..., bytes]) -> Callable[[Patch], None]:
    original = BrokerLink._status

    def status(self: BrokerLink, kind: str, session: str, *, is_will: bool = False) -> bytes:
        return change(original, self, kind, session, is_will)

    return lambda patch: patch.setattr(BrokerLink, "_status", status)


def _late_birth(patch: Patch) -> None:
    following = Flow.next

    def next_(self: Flow) -> Any:
        if "status" in self._retained:
            self._retained["status"] = self._retained.pop("status")
        return following(self)

    patch.setattr(Flow, "next", next_)


def _old_state(patch: Patch) -> None:
    state_of = payloads.state_of
    patch.setattr(
        link, "state_of", lambda part, body, at, _utc: state_of(part, body, at, lambda _at: "2020-01-01T00:00:00Z")
    )


# --- the log ----------------------------------------------------------------------------------------------------------


def _event(change: Callable[[LogEvent], dict[str, Any]]) -> Callable[[Patch], None]:
    def event(*given: Any) -> LogEvent:
        found = log_event(*given)
        return found.model_copy(update=change(found))

    return lambda patch: patch.setattr(link, "log_event", event)


_offer = Flow.offer_entries
_offer_replayed = Flow.offer_replayed


def _without_one(self: Flow, entries: tuple[LoggedEntry, ...]) -> bool:
    return _offer(self, tuple(each for each in entries if each.type != "station.control.done"))


def _swapped(patch: Patch) -> None:
    held: list[LoggedEntry] = []

    def offer(self: Flow, entries: tuple[LoggedEntry, ...]) -> bool:
        for each in entries:
            if each.type == "station.command.accepted":
                held.append(each)
                continue
            _offer(self, (each, *held))
            held.clear()
        return True

    patch.setattr(Flow, "offer_entries", offer)


def _replayed_otherwise(patch: Patch) -> None:
    def offer(self: Flow, request: str, entries: tuple[LoggedEntry, ...]) -> bool:
        return _offer_replayed(self, request, tuple(replace(each, hash="0" * 64) for each in entries))

    patch.setattr(Flow, "offer_replayed", offer)


def _takes_every_word(patch: Patch) -> None:
    def confirm(turn: Turn, asked: Any) -> None:
        turn.do(Reply(asked.request, ok=True, result={"confirmed": None}))

    name = "log.confirm"
    patch.setitem(requests.ACTIONS, name, replace(requests.ACTIONS[name], carry_out=confirm))


def _other_digests(patch: Patch) -> None:
    run = RosterDigest.run

    def run_otherwise(self: RosterDigest, connection: Any, arguments: Mapping[str, Any]) -> Any:
        (row,) = run(self, connection, arguments)
        return ({**row, "digest": "0" * 64},)

    patch.setattr(RosterDigest, "run", run_otherwise)


def _loses_a_part(patch: Patch) -> None:
    finish = command_desk._finish_in_parts

    def finish_without_one(turn: Turn, command: str, parts: Any) -> None:
        finish(turn, command, [{"more": 1}, *parts])
        turn.effects[:] = [each for each in turn.effects if not (isinstance(each, PublishReply) and each.part == 1)]

    patch.setattr(command_desk, "_finish_in_parts", finish_without_one)


def _logged(keeps: Callable[[str], bool]) -> Callable[[Patch], None]:
    log = Turn.log

    def log_some(self: Turn, kind: str, body: Mapping[str, Any], **more: Any) -> None:
        if keeps(kind):
            log(self, kind, body, **more)

    return lambda patch: patch.setattr(Turn, "log", log_some)


# --- commands ---------------------------------------------------------------------------------------------------------


def _replies(change: Callable[[Answer], Answer | None]) -> Callable[[Patch], None]:
    publish = command_desk._publish

    def publish_otherwise(turn: Turn, command: str, answer: Answer) -> None:
        changed = change(answer)
        if changed is not None:
            publish(turn, command, changed)

    return lambda patch: patch.setattr(command_desk, "_publish", publish_otherwise)


def _refresh_fails(answer: Answer) -> Answer:
    is_refresh = answer.status is Status.DONE and not answer.result
    return replace(answer, status=Status.FAILED, code="conformance.broken") if is_refresh else answer


def _with_result(**fields: Any) -> Callable[[Answer], Answer]:
    """Fields of a result that has them; None takes one away."""

    def change(answer: Answer) -> Answer:
        result = {**answer.result, **{name: value for name, value in fields.items() if name in answer.result}}
        return replace(answer, result={name: each for name, each in result.items() if name not in fields or each})

    return change


def _forgetful(patch: Patch) -> None:
    answered = Commands.answered

    def answered_and_forgotten(self: Commands, command: str, answer: Answer) -> Any:
        after, notes = answered(self, command, answer)
        return replace(after, answers={}), notes

    patch.setattr(Commands, "answered", answered_and_forgotten)


def _unlocks_again(patch: Patch) -> None:
    on_received = command_desk.on_received

    def receive(turn: Turn, event: Any) -> None:
        if event.name == "door.unlock" and event.id in turn.state.commands.answers:
            command_desk._accept(turn, event, commands.COMMANDS[event.name])
        else:
            on_received(turn, event)

    patch.setattr(command_desk, "on_received", receive)
    from agent.core import station

    patch.setitem(station.HANDLERS, CommandReceived, receive)


def _without_rate(patch: Patch) -> None:
    patch.setattr(command_desk, "_REFUSALS_BURST", 1e9)
    patch.setattr(link, "_REJECTED_AT_ONCE", 1_000)  # or the link would tell the rules of some only


# --- refusals ---------------------------------------------------------------------------------------------------------


def _takes(refusal: Refusal) -> Callable[[Patch], None]:
    """Whatever this is said of is fresh."""
    original = commands.refusal_of

    def refusal_of(*given: Any, **named: Any) -> Refusal | None:
        found = original(*given, **named)
        return None if found is refusal else found

    return lambda patch: patch.setattr(commands, "refusal_of", refusal_of)


def _takes_made_up_nonces(patch: Patch) -> None:
    given: set[str] = set()
    original, with_nonce = commands.refusal_of, Commands.with_nonce

    def refusal_of(state: Commands, command: Any, key: str, proof: Proof, **named: Any) -> Refusal | None:
        found = original(state, command, key, proof, **named)
        return None if found is Refusal.STALE_NONCE and proof.nonce not in given else found

    def give(self: Commands, nonce: str, now: float) -> Commands:
        given.add(nonce)
        return with_nonce(self, nonce, now)

    patch.setattr(commands, "refusal_of", refusal_of)
    patch.setattr(Commands, "with_nonce", give)


def _gate(change: Callable[..., Any], name: str = "receive") -> Callable[[Patch], None]:
    original = getattr(CommandGate, name)

    def otherwise(self: CommandGate, *given: Any, **named: Any) -> Any:
        return change(original, self, *given, **named)

    return lambda patch: patch.setattr(CommandGate, name, otherwise)


def _open_without_key(original: Any, self: CommandGate, payload: bytes) -> Any:
    try:
        return original(self, payload)
    except command_gate._RejectedError as rejected:
        if rejected.reason is not Refusal.UNKNOWN_KEY:
            raise
        token = jws.extract_compact(payload)
        return next(iter(self._keys)), command_gate.CommandClaims.model_validate_json(token.payload)


class _EveryStation(str):
    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False


def _for_every_station(original: Any, self: CommandGate, station: str, keys: Any) -> None:
    original(self, _EveryStation(station), keys)


def _drops_arguments(original: Any, self: CommandGate, payload: bytes) -> Any:
    kid, claims = original(self, payload)
    return kid, claims.model_copy(update={"arguments": {}}) if claims.name == "station.refresh" else claims


class _EveryCommand(dict[str, Any]):
    def get(self, name: str, _default: Any = None) -> Any:
        return super().get(name, commands.COMMANDS["station.refresh"])


def _every_scope(original: Any, self: CommandGate, *given: Any, **named: Any) -> Any:
    event = original(self, *given, **named)
    return replace(event, scopes=frozenset(Scope)) if isinstance(event, CommandReceived) else event


def _lax_claims(patch: Patch) -> None:
    class Lax(command_gate.CommandClaims, extra="ignore"):
        pass

    patch.setattr(command_gate, "CommandClaims", Lax)


BREAKS: Mapping[str, Break] = {
    "topics": Break(_foreign_topic),
    "forms": Break(_encoded(lambda m, p: p.replace(b'"contact"', b'"leaf"') if isinstance(m, DoorState) else p)),
    "sizes": Break(_encoded(lambda m, p: p + b" " * 70_000 if isinstance(m, OccupancyState) else p)),
    "delivery": Break(_published(_without_qos)),
    "kept": Break(_published(lambda c, t, p, r: _publish(c, t, p, retain=r and "/state/" not in t))),
    "passing": Break(_published(lambda c, t, p, r: _publish(c, t, p, retain=r or t.endswith("/log")))),
    # Forms: the contract has no such field.
    "privacy": Break(
        lambda patch: patch.setattr(
            refusals, "_body", lambda key, role: {"action": key[1], "actor": key[0], "role": role, "name": "Somebody"}
        ),
        frozenset({"forms"}),
    ),
    "status": Break(
        _status(lambda original, link_, kind, session, _will: original(link_, kind, session, is_will=True))
    ),
    "birth": Break(_late_birth, listen_s=6.0, is_cut=True),
    "will": Break(
        _status(
            lambda original, link_, kind, session, will: original(
                link_, kind, "f" * 16 if will else session, is_will=will
            )
        ),
        listen_s=6.0,
        is_cut=True,
    ),
    # Kept: what is retained shows its age by the same time.
    "observed": Break(_old_state, frozenset({"kept"})),
    "renewed": Break(lambda patch: patch.setattr(payloads, "HOLDS_S", 0.05), listen_s=1.5),
    "beat": Break(lambda patch: patch.setattr(publication, "REFRESH_S", 3600.0), listen_s=LISTEN_S),
    "event": Break(_event(lambda _event: {"source": "/stations/another"})),
    # Forms: the schema says how many digits there are.
    "padding": Break(_event(lambda event: {"sequence": str(int(event.sequence))}), frozenset({"forms"})),
    # Replayed, unconfirmed: what comes behind an entry that was never sent counts as not acknowledged.
    "gaps": Break(
        lambda patch: patch.setattr(Flow, "offer_entries", _without_one), frozenset({"replayed", "unconfirmed"})
    ),
    "order": Break(_swapped),
    # Replayed: whether the right copy of an entry or the wrong one is compared hangs on which has come by then.
    "once": Break(_published(_log_twice), frozenset({"replayed"})),
    "chain": Break(_event(lambda event: {"hash": hashlib.sha256(event.hash.encode()).hexdigest()})),
    "digests": Break(_event(lambda event: {"salt": "0" * 32} if event.salt else {})),
    "historical": Break(lambda patch: patch.setattr(payloads, "HISTORICAL_AFTER", timedelta(days=-1))),
    # The others: the kit takes the answer to a refresh for the sign that what was sent before it has been read.
    "answered": Break(_replies(_refresh_fails), frozenset({"malformed", "oversized", "unknown_key", "bad_signature"})),
    "refreshed": Break(lambda patch: patch.setattr(BrokerLink, "publish_presence", lambda _self, _effect: None)),
    # The others: a nonce that was not really given out is refused, and so is the command that carries it.
    "nonces": Break(_replies(_with_result(nonce="0" * 32)), frozenset({"accepted_first", "repeated", "logged"})),
    "accepted_first": Break(_replies(lambda answer: None if answer.status is Status.ACCEPTED else answer)),
    "repeated": Break(_forgetful),
    "logged": Break(_logged(lambda kind: kind != "command.accepted")),
    "malformed": Break(_lax_claims),
    "oversized": Break(lambda patch: patch.setattr(command_gate, "MAX_PAYLOAD_BYTES", 10**6)),
    "unknown_key": Break(_gate(_open_without_key, "_open")),
    "bad_signature": Break(lambda patch: patch.setattr(jws, "validate_compact", lambda *_given: True)),
    # Bounded: the burst is of such commands, and each of them is done.
    "wrong_station": Break(_gate(_for_every_station, "__init__"), frozenset({"bounded"})),
    "retained": Break(_gate(lambda original, gate, payload, at, **_is: original(gate, payload, at, is_retained=False))),
    "unknown_command": Break(lambda patch: patch.setattr(command_desk, "COMMANDS", _EveryCommand(commands.COMMANDS))),
    "bad_arguments": Break(_gate(_drops_arguments, "_open")),
    "not_in_scope": Break(_gate(_every_scope)),
    "stale_session": Break(_takes(Refusal.STALE_SESSION)),
    "nonce_made_up": Break(_takes_made_up_nonces),
    "nonce_used": Break(lambda patch: patch.setattr(Commands, "without_nonce", lambda self, _nonce: self)),
    "nonce_expired": Break(_replies(_with_result(holds_s=0.1))),
    "stale_revision": Break(_takes(Refusal.STALE_REVISION)),
    # Once: an entry that comes again must be the same.
    "replayed": Break(_replayed_otherwise, frozenset({"once"})),
    "unconfirmed": Break(_takes_every_word),
    "digests_of_members": Break(_other_digests),
    "diagnosed": Break(_loses_a_part),
    "unlocks": Break(_replies(_with_result(opened=None)), may_open=True),
    "opens_once": Break(_unlocks_again, may_open=True),
    "refusals_logged": Break(_logged(lambda kind: kind != "control.refused")),
    "bounded": Break(_without_rate),
}
