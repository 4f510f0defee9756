"""What the checks of one run share: what was heard, and a way to command the station."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.command_gate import CommandClaims, sign
from agent.command_keys import CommandSigner
from agent.core.commands import Scope
from agent.fleet.conformance.hearing import Heard, Hearing
from agent.fleet.conformance.line import Line
from agent.fleet.conformance.promises import KitError, Limits

_FINAL = frozenset({"done", "failed", "refused"})


@dataclass(slots=True)
class Caller:
    """Commands one station by one key, over the line that hears what becomes of it."""

    line: Line
    hearing: Hearing
    key: CommandSigner
    limits: Limits
    is_v5: bool = True
    sent: set[str] = field(default_factory=set)

    def claims(self, name: str, arguments: Mapping[str, Any] | None = None, **proof: Any) -> CommandClaims:
        """A command that nobody sent before; without a proof it names the present session, once there is one."""
        if not proof:
            if not self.line.hear(self.limits.answer_s, lambda: self.hearing.session is not None):
                raise KitError("站点已离线:恢复后再试", "the station went offline: try again when it is back")
            proof = {"session": self.hearing.session}
        command = f"conformance-{secrets.token_hex(8)}"
        self.sent.add(command)
        return CommandClaims(
            id=command,
            station=self.hearing.station,
            name=name,
            arguments=dict(arguments or {}),
            issued_at=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            **proof,
        )

    def signed(self, claims: CommandClaims) -> bytes:
        """By this key."""
        return sign(claims, self.key.name, self.key.private).encode()

    def signed_otherwise(
        self, body: Mapping[str, Any], header: Mapping[str, Any] | None = None, *, pad_bytes: int = 0
    ) -> bytes:
        """A signature that is right for a body and a header that may not be; `pad_bytes` of white space at its end."""
        head = {"alg": "Ed25519", "kid": self.key.name, **(header or {})}
        text = f"{_b64(json.dumps(head).encode())}.{_b64(json.dumps(body).encode() + b' ' * pad_bytes)}"
        private = self.key.private.get_op_key("sign")
        if not isinstance(private, Ed25519PrivateKey):
            raise KitError("密钥不是 Ed25519 密钥", "the key is no Ed25519 key")
        return f"{text}.{_b64(private.sign(text.encode()))}".encode()

    def ask(
        self, claims: CommandClaims, payload: bytes | None = None, *, retain: bool = False, most_s: float = 0.0
    ) -> list[Heard]:
        """Send it and wait for its end, for `most_s` at least; every reply to it, which may be none."""
        since = len(self.hearing.messages)
        self.line.send(payload or self.signed(claims), retain=retain)
        return self.replies(claims.id, since, most_s=most_s)

    def replies(self, command: str, since: int, *, most_s: float = 0.0) -> list[Heard]:
        """Those that came from message number `since` on, once the last one is there or time is up."""

        def is_over() -> bool:
            return any(each.text("status") in _FINAL for each in self._told(command, since))

        self.line.hear(self.limits.answer_s, lambda: bool(self._told(command, since)))
        if self._told(command, since):
            self.line.hear(max(self.limits.answer_s, most_s), is_over)
        return self._told(command, since)

    def is_reached(self) -> bool:
        """Whether a rightful command is answered: what was sent before it has been read then."""
        last = self.ask(self.claims("station.refresh"))[-1:]
        return bool(last) and last[0].text("status") == "done"

    def told(self, command: str) -> list[Heard]:
        """Every reply to it so far."""
        return self._told(command, 0)

    def _told(self, command: str, since: int) -> list[Heard]:
        return [each for each in self.hearing.live("replies", since) if each.text("id") == command]


@dataclass(slots=True)
class Bench:
    """`caller`: None without a key; `scopes`: what its settings allow that key; `spare`: a nonce to grow old.

    `deed`: a command that was carried out and changed nothing; `commands_since`: number of the first message after
    listening; `replays`: when those that were asked for began and ended, monotonic, s.
    """

    hearing: Hearing
    limits: Limits
    caller: Caller | None = None
    scopes: frozenset[Scope] = frozenset()
    may_open: bool = False
    spare: Nonce | None = None
    deed: Deed | None = None
    commands_since: int = 0
    replays: list[tuple[float, float]] = field(default_factory=list)
    found: dict[str, Any] = field(default_factory=dict)

    @property
    def own(self) -> frozenset[str]:
        """The ids of the commands that this run sent."""
        return frozenset(self.caller.sent) if self.caller is not None else frozenset()

    @property
    def call(self) -> Caller:
        """For checks that need a key."""
        if self.caller is None:
            raise KitError("这一项需要密钥", "this check needs a key")
        return self.caller

    def is_replayed(self, entry: Heard) -> bool:
        """Whether it came while a replay that this run asked for was under way."""
        return any(first <= entry.at <= last for first, last in self.replays)


@dataclass(frozen=True, slots=True)
class Nonce:
    """`until`: when the station said that it no longer holds, monotonic, s."""

    text: str
    until: float


@dataclass(frozen=True, slots=True)
class Deed:
    """A command that was accepted: its id, name, its very message, and the replies."""

    command: str
    name: str
    payload: bytes
    replies: tuple[Heard, ...]


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
