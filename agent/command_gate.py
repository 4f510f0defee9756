"""Lets commands of the central server in: checks size, form, signature and station, before any rule sees one.

A command is a compact JWS (RFC 7515), `alg` `Ed25519` (RFC 9864), `kid` a key of the settings; its payload is a
`CommandClaims` object. Everything else is a `CommandRejected` with the reason, and never more of a hostile message than
its id.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from pydantic import Field, JsonValue, ValidationError

from agent.control.protocol import Request as ControlRequest
from agent.control.protocol import RequestError, decode_arguments
from agent.core.commands import COMMANDS, REVISION_MAX, Refusal
from agent.events import CommandReceived, CommandRejected
from agent.mqtt.payloads import MAX_PAYLOAD_BYTES, Code, Message, Short, Utc

ALGORITHM = "Ed25519"
_HEADER = {"alg", "kid", "typ"}
_ID = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$"

CommandId = Annotated[str, Field(pattern=_ID)]
Proof = Annotated[str, Field(min_length=8, max_length=64)]


class CommandClaims(Message):
    """What is signed. Of `nonce`, `revision` and `session` it carries the one that the command's name asks for."""

    id: CommandId
    station: Short
    name: Code
    arguments: dict[str, JsonValue] = Field(default_factory=dict, max_length=20, repr=False)
    issued_at: Utc
    nonce: Proof | None = None
    revision: Annotated[int, Field(ge=1, le=REVISION_MAX)] | None = None
    session: Proof | None = None


@dataclass(frozen=True, slots=True)
class CommandKey:
    """A public key and what it may do."""

    key: OKPKey
    scopes: frozenset[str]


def command_key(public: str, scopes: tuple[str, ...]) -> CommandKey:
    """Of the settings: `public` is base64 of 32 bytes. Raises ValueError."""
    raw = base64.b64decode(public, validate=True)
    x = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    try:
        key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": x})
    except JoseError as error:
        raise ValueError(str(error)) from None
    return CommandKey(key, frozenset(scopes))


class CommandGate:
    """Makes events of messages. May be called on any one thread; takes some tenths of a millisecond each."""

    def __init__(self, station: str, keys: Mapping[str, CommandKey]) -> None:
        self._station = station
        self._keys = dict(keys)

    def receive(self, payload: bytes, at: float, *, is_retained: bool) -> CommandReceived | CommandRejected:
        """`at`: station time of the arrival."""
        if len(payload) > MAX_PAYLOAD_BYTES:
            return CommandRejected(at, Refusal.TOO_LARGE)
        try:
            kid, claims = self._open(payload)
        except _RejectedError as rejected:
            return CommandRejected(at, rejected.reason, rejected.command, rejected.key)
        command = COMMANDS.get(claims.name)
        arguments: dict[str, Any] = {}
        if command is not None and command.action:
            try:
                arguments = decode_arguments(
                    ControlRequest(id=claims.id, action=command.action, arguments=claims.arguments)
                )
            except RequestError:
                return CommandRejected(at, Refusal.BAD_ARGUMENTS, claims.id, kid)
        elif command is not None and claims.arguments:
            return CommandRejected(at, Refusal.BAD_ARGUMENTS, claims.id, kid)
        return CommandReceived(
            at,
            claims.id,
            claims.name,
            arguments,
            kid,
            self._keys[kid].scopes,
            secrets.token_hex(16),
            claims.nonce,
            claims.revision,
            claims.session,
            is_retained,
        )

    def _open(self, payload: bytes) -> tuple[str, CommandClaims]:
        try:
            token = jws.extract_compact(payload)
            header = token.headers()
        except (JoseError, ValueError, TypeError, RecursionError):
            raise _RejectedError(Refusal.MALFORMED) from None
        if not header.keys() <= _HEADER:  # no extension changes what is signed
            raise _RejectedError(Refusal.MALFORMED)
        kid = header.get("kid")
        key = self._keys.get(kid) if isinstance(kid, str) else None
        if key is None or not isinstance(kid, str):
            raise _RejectedError(Refusal.UNKNOWN_KEY)
        try:
            is_good = header.get("alg") == ALGORITHM and jws.validate_compact(token, key.key, [ALGORITHM])
        except (JoseError, ValueError, TypeError):
            is_good = False
        if not is_good:
            raise _RejectedError(Refusal.BAD_SIGNATURE, key=kid)
        try:  # through JSON, as it is on the wire: strict there means JSON's types
            claims = CommandClaims.model_validate_json(token.payload)
        except (ValidationError, ValueError, RecursionError):
            raise _RejectedError(Refusal.MALFORMED, _id_in(token.payload), kid) from None
        if claims.station != self._station:
            raise _RejectedError(Refusal.WRONG_STATION, claims.id, kid)
        return kid, claims


class _RejectedError(Exception):
    def __init__(self, reason: Refusal, command: str = "", key: str = "") -> None:
        super().__init__(reason.value)
        self.reason, self.command, self.key = reason, command, key


def _id_in(payload: bytes) -> str:
    """The id in claims that are signed and wrong, so that their sender learns which."""
    try:
        found = json.loads(payload)["id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return found if isinstance(found, str) and re.fullmatch(_ID, found) else ""


def sign(claims: CommandClaims, kid: str, private: OKPKey) -> str:
    """The message of a command, for the other end of the contract."""
    body = claims.model_dump_json(exclude_none=True)
    return jws.serialize_compact({"alg": ALGORITHM, "kid": kid}, body, private, algorithms=[ALGORITHM])
