"""The other end of commands: signs one, sends it, waits for what becomes of it; asks for nonce and session itself."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import Any

from pydantic import ValidationError

from agent.command_gate import CommandClaims, sign
from agent.command_keys import CommandSigner
from agent.core.commands import COMMANDS, Freshness
from agent.core.problems import Words
from agent.core.spoken import SpokenError, error_words
from agent.mqtt.client import Accepted, Broker, Connection, Ended, Received, Signal, Subscribed
from agent.mqtt.payloads import CommandReply, Status, Utc
from agent.mqtt.topics import Topics

_CONNECT_S = 10.0


_NEVER_ONLINE = Words(
    "站点从未连接过这个服务器:请检查 --station、--prefix 和 --broker",
    "the station has never been online at this broker: check --station, --prefix and --broker",
)
_SILENT = Words(
    "站点没有答复:它在线吗?它的配置中有这个密钥吗?", "the station does not answer; is it online, and has it this key?"
)
_BROKER_SILENT = Words("消息服务器没有答复", "the broker does not answer")


class CommandError(SpokenError):
    """It cannot be sent, or nobody answers; the message says what to do."""


class Commander:
    """Commands one station. One thread at a time; a context manager.

    `revision`: of the next command that needs one; by default the milliseconds since 1970, which only grow.
    """

    def __init__(self, broker: Broker, topics: Topics, key: CommandSigner) -> None:
        self._topics = topics
        self._key = key
        self._signals: SimpleQueue[Signal] = SimpleQueue()
        self._connection = Connection(broker, f"commander-{secrets.token_hex(6)}", self._signals.put)
        self._session: str | None = None
        self._closing = threading.Event()

    def __enter__(self) -> Commander:
        """Connect and subscribe. Raises `CommandError`."""
        try:
            self._connection.open()
            self._expect(Accepted, _CONNECT_S)
            self._connection.subscribe((self._topics.replies, self._topics.status))
            self._expect(Subscribed, _CONNECT_S)
        except (OSError, ValueError) as error:
            self._connection.cut()
            why = error_words(error)
            raise CommandError(f"无法连接消息服务器:{why.zh}", f"no connection to the broker: {why.en}") from None
        except CommandError:
            self._connection.cut()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._connection.cut()

    def send(
        self, name: str, arguments: Mapping[str, Any] | None = None, *, timeout_s: float = 30.0, command: str = ""
    ) -> Iterator[CommandReply]:
        """Sign and send one; yields its replies as they come, until it is done, failed or refused.

        Raises `CommandError` when the station is offline or does not answer in time.
        """
        until = time.monotonic() + timeout_s
        known = COMMANDS.get(name)
        proof: dict[str, Any] = {}
        if known is None or known.freshness is Freshness.SESSION:
            proof = {"session": self._await_session(until)}
        elif known.freshness is Freshness.REVISION:
            proof = {"revision": time.time_ns() // 1_000_000}
        else:
            (reply,) = list(self.send("nonce.request", timeout_s=until - time.monotonic()))[-1:]
            if "nonce" not in reply.result:
                yield reply
                return
            proof = {"nonce": reply.result["nonce"]}
        command = command or secrets.token_hex(8)
        claims = CommandClaims(
            id=command,
            station=self._topics.station,
            name=name,
            arguments=dict(arguments or {}),
            issued_at=_now(),
            **proof,
        )
        self._connection.publish(
            self._topics.commands, sign(claims, self._key.name, self._key.private).encode(), retain=False
        )
        while True:
            reply = self._next_reply(command, until)
            yield reply
            if reply.status != "accepted":
                return

    def _await_session(self, until: float) -> str:
        while self._session is None:
            self._take(until, _NEVER_ONLINE)
        return self._session

    def _next_reply(self, command: str, until: float) -> CommandReply:
        while True:
            found = self._take(until, _SILENT)
            if isinstance(found, CommandReply) and found.id == command:
                return found

    def _take(self, until: float, late: Words) -> CommandReply | None:
        match self._signal(until, late):
            case Ended(reason):
                raise CommandError(
                    f"与消息服务器的连接已断开:{reason.zh}", f"the connection to the broker ended: {reason.en}"
                )
            case Received(topic, payload, _):
                return self._read(topic, payload)
        return None

    def _read(self, topic: str, payload: bytes) -> CommandReply | None:
        try:
            if topic == self._topics.status:
                status = Status.model_validate_json(payload)
                self._session = status.session if status.status == "online" else None
                return None
            return CommandReply.model_validate_json(payload)
        except ValidationError:
            return None  # not by the contract: it is not ours to judge here

    def _expect(self, kind: type[Signal], timeout_s: float) -> None:
        until = time.monotonic() + timeout_s
        while not isinstance(found := self._signal(until, _BROKER_SILENT), kind):
            if isinstance(found, Ended):
                raise CommandError(found.reason.zh, found.reason.en)
            if isinstance(found, Received):
                self._read(found.topic, found.payload)
        if isinstance(found, Subscribed) and found.refusal:
            raise CommandError(
                f"消息服务器拒绝订阅,请检查它的访问规则:{found.refusal}",
                f"the broker refuses the subscription, check its access rules: {found.refusal}",
            )

    def _signal(self, until: float, late: Words) -> Signal:
        try:
            return self._signals.get(timeout=max(0.0, until - time.monotonic()))
        except Empty:
            raise CommandError(late.zh, late.en) from None


def _now() -> Utc:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
