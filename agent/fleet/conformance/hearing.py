"""What was heard of one station, in the order of its arrival. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from agent.fleet.conformance.promises import KitError
from agent.mqtt.payloads import CONTRACT_VERSION

# A station that is told to refresh publishes some dozen messages, a backlog comes at 200 a second; a minute of that is
# a tenth of this. At 64 KiB each a hostile one would fill 6 GB: so the bytes are bounded too, by what they take in
# memory, where `[],` is twenty times what it is on the wire.
MAX_HEARD = 100_000
MAX_BYTES = 256 * 1024 * 1024
_VALUE_BYTES = 64  # of a small one with its place in a list


@dataclass(frozen=True, slots=True)
class Heard:
    """One message. `at`: monotonic, s; `utc`: of this machine; `kind`: the topic behind the station's id.

    `is_stored`: the broker had it before. `body`: None where the payload is no JSON object.
    """

    at: float
    utc: datetime
    kind: str
    payload: bytes
    qos: int
    is_stored: bool
    body: Mapping[str, Any] | None

    def text(self, name: str) -> str:
        """A field that ought to be text; empty where it is not."""
        value = None if self.body is None else self.body.get(name)
        return value if isinstance(value, str) else ""


def read(payload: bytes) -> Mapping[str, Any] | None:
    """The JSON object, or None."""
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


@dataclass(slots=True)
class Hearing:
    """`began`, `ended`: of listening, monotonic, s; what came up to `quiet_until` came by itself.

    `kept`: what the broker handed to a newcomer at the end, by kind. `hears_all`: whether topics that there should not
    be would be heard too, as far as the broker tells.
    """

    station: str
    began: float = 0.0
    quiet_until: float = 0.0
    ended: float = 0.0
    messages: list[Heard] = field(default_factory=list)
    kept: dict[str, bytes] = field(default_factory=dict)
    hears_all: bool = True
    _bytes: int = 0

    def take(self, message: Heard) -> None:
        """One more. Raises `KitError` when it is too much."""
        self._bytes += len(message.payload)
        if message.body is not None:
            self._bytes += _VALUE_BYTES * sum(message.payload.count(mark) for mark in (b",", b"[", b"{"))
        if len(self.messages) >= MAX_HEARD or self._bytes > MAX_BYTES:
            raise KitError(
                f"收到的消息超过 {MAX_HEARD} 条或 {MAX_BYTES} 字节:请缩短 --listen 的时间",
                f"more than {MAX_HEARD} messages or {MAX_BYTES} bytes came: listen for a shorter time",
            )
        self.messages.append(message)

    def of(self, kind: str, since: int = 0) -> Iterator[Heard]:
        """What came on this topic, from message number `since` on."""
        return (each for each in self.messages[since:] if each.kind == kind)

    def live(self, kind: str, since: int = 0) -> Iterator[Heard]:
        """The same without what the broker had before."""
        return (each for each in self.of(kind, since) if not each.is_stored)

    def states(self) -> dict[str, list[Heard]]:
        """Live state by its topic."""
        found: dict[str, list[Heard]] = {}
        for each in self.messages:
            if each.kind.startswith("state/"):
                found.setdefault(each.kind, []).append(each)
        return found

    def entries(self, since: int = 0) -> list[Heard]:
        """Of the log as it came, those that are JSON."""
        return [each for each in self.live("log", since) if each.body is not None]

    @property
    def status(self) -> Heard | None:
        """The newest; the late will of an older session does not count."""
        newest: Heard | None = None
        for each in self.of("status"):
            is_late = newest is not None and each.text("status") == "offline"
            if newest is None or not is_late or each.text("session") == newest.text("session"):
                newest = each
        return newest

    @property
    def session(self) -> str | None:
        """The present one, of a station that is online."""
        status = self.status
        return status.text("session") if status is not None and status.text("status") == "online" else None

    @property
    def contract(self) -> str:
        """The version that the station says it keeps; this one's where it says nothing."""
        status = self.status
        return (status.text("contract") if status else "") or CONTRACT_VERSION

    @property
    def knows_all(self) -> bool:
        """Whether every field and topic must be known here: a later minor version may add some."""
        return self.contract == CONTRACT_VERSION

    @property
    def mode(self) -> str:
        """What holds for the door; empty where nothing was heard of it."""
        last = [each.text("mode") for each in self.of("state/door")][-1:]
        return last[0] if last else ""

    @property
    def listened_s(self) -> float:
        """For what comes by itself."""
        return self.quiet_until - self.began
