"""The kit's connection: hears everything of one station, and sends it commands."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from queue import Empty

from agent.core.spoken import error_words
from agent.fleet.conformance.hearing import Heard, Hearing, read
from agent.fleet.conformance.promises import KitError
from agent.fleet.watch import Signals
from agent.mqtt.client import Accepted, Acknowledged, Broker, Connection, Ended, Received, Signal, Subscribed
from agent.mqtt.topics import Topics

_CONNECT_S = 10.0  # for CONNACK and SUBACK
# A station may drop commands that come too fast; its own agent takes 20 rejected ones a second, and as many at once.
_PER_S = 15.0
_AT_ONCE = 10.0
_KINDS = ("status", "about", "state/#", "log", "readings", "replies")  # where a broker gives nobody all of them
_SETTLE_S = 0.3  # after the last expected message that a broker had kept: what else it has comes with it


class Line:
    """Hears `PREFIX/ID/#` into a `Hearing`. One thread; a context manager. Raises `KitError` throughout."""

    def __init__(self, broker: Broker, topics: Topics, hearing: Hearing) -> None:
        self._broker = broker
        self._topics = topics
        self._hearing = hearing
        self._signals = Signals()
        self._connection = Connection(broker, f"conformance-{secrets.token_hex(6)}", self._signals.put)
        self._allowance, self._allowed_at = _AT_ONCE, time.monotonic()

    def __enter__(self) -> Line:
        """Connect and subscribe."""
        try:
            self._connection.open()
            self._expect(Accepted)
            self._hearing.hears_all = not self._subscribe("#")
            if not self._hearing.hears_all:
                self._insist(*_KINDS)
        except (OSError, ValueError) as error:
            self._close()
            why = error_words(error)
            raise KitError(
                f"无法连接消息服务器 {self._broker}:{why.zh}", f"no connection to the broker {self._broker}: {why.en}"
            ) from None
        except KitError:
            self._close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._close()

    def hear(self, timeout_s: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Take what comes until something is so; False: not within `timeout_s`."""
        end = time.monotonic() + timeout_s
        while not until():
            left_s = end - time.monotonic()
            if left_s <= 0:
                return False
            self._take(left_s)
        return True

    def send(self, payload: bytes, *, retain: bool = False, is_paced: bool = True) -> None:
        """One command's message; waits a moment so that the station reads them all."""
        if is_paced:
            self._pace()
        if self._connection.publish(self._topics.commands, payload, retain=retain) is None:
            raise KitError("与消息服务器的连接已断开", "the connection to the broker ended")

    def _pace(self) -> None:
        now = time.monotonic()
        self._allowance = min(_AT_ONCE, self._allowance + (now - self._allowed_at) * _PER_S) - 1
        self._allowed_at = now
        self.hear(max(0.0, -self._allowance) / _PER_S)

    def settle(self) -> None:
        """Take what comes within a moment."""
        self.hear(_SETTLE_S)

    def _take(self, timeout_s: float) -> Signal | None:
        try:
            signal = self._signals.get(timeout_s)
        except Empty:
            return None
        match signal:
            case Ended(reason):
                raise KitError(
                    f"与消息服务器 {self._broker} 的连接已断开:{reason.zh}",
                    f"the connection to the broker {self._broker} ended: {reason.en}",
                )
            case Acknowledged(_, refusal) if refusal:
                raise KitError(
                    f"消息服务器不让这个账户发送指令,请检查它的访问规则:{refusal}",
                    f"the broker lets this account send no commands, check its access rules: {refusal}",
                )
            case Received():
                self._sort_in(signal)
        return signal

    def _sort_in(self, message: Received) -> None:
        kind = message.topic.removeprefix(f"{self._topics.prefix}/{self._topics.station}/")
        self._hearing.take(
            Heard(
                time.monotonic(),
                datetime.now(UTC),
                kind,
                message.payload,
                message.qos,
                message.is_retained,
                read(message.payload),
            )
        )

    def _subscribe(self, *kinds: str) -> str:
        """Why the broker refuses it; empty: it does not."""
        self._connection.subscribe(tuple(f"{self._topics.prefix}/{self._topics.station}/{kind}" for kind in kinds))
        found = self._expect(Subscribed)
        return found.refusal if isinstance(found, Subscribed) else ""

    def _insist(self, *kinds: str) -> None:
        refusal = self._subscribe(*kinds)
        if refusal:
            raise KitError(
                f"消息服务器拒绝订阅,请检查它的访问规则:{refusal}",
                f"the broker refuses the subscription, check its access rules: {refusal}",
            )

    def _expect(self, kind: type[Signal]) -> Signal | None:
        end = time.monotonic() + _CONNECT_S
        while not isinstance(found := self._take(max(0.0, end - time.monotonic())), kind):
            if found is None and time.monotonic() >= end:
                raise KitError(f"消息服务器 {self._broker} 没有答复", f"the broker {self._broker} does not answer")
        return found

    def _close(self) -> None:
        self._signals.close()
        self._connection.cut()


def kept_at(broker: Broker, topics: Topics, expected: set[str], timeout_s: float) -> dict[str, bytes]:
    """What the broker hands to a newcomer, by kind; waits up to `timeout_s` for what is expected.

    Another connection with the same certificate would end a first one at some brokers, so that must be closed.
    """
    found = Hearing(topics.station)
    with Line(broker, topics, found) as line:
        line.hear(timeout_s, lambda: expected <= {each.kind for each in found.messages if each.is_stored})
        line.settle()
    return {each.kind: each.payload for each in found.messages if each.is_stored}
