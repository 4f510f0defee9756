"""Which entries of the log are on their way to the broker.

The log itself is the outbox. At most `window` entries are in flight; the cursor moves over the acknowledged ones in
order, and after a reconnect everything behind it is sent again (the server takes each entry once).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from agent.effects import Effect, MoveCursor, PublishEntries, ReadOutbox
from agent.events import LoggedEntry

Position = tuple[int, int]
"""(epoch, sequence), ordered as the log is."""

START: Position = (0, 0)

RETRY_S = 5.0  # after a read that gave nothing; the disk may be failing, and asking again costs one small query
ROUNDING = 1e-3  # of an allowance that has grown to 1; a float of station time has steps of nanoseconds


@dataclass(frozen=True, slots=True)
class Limits:
    """`window`: entries in flight, bounds memory here and at the broker.

    `entries_per_s`: spares a thin uplink and a server with many stations; None: as fast as the broker takes them.
    """

    window: int = 100
    entries_per_s: float | None = 200.0


@dataclass(frozen=True, slots=True)
class Outbox:
    """`newest` is the last durable entry, `sent` the last one handed to the link, `cursor` the last one confirmed.

    `is_outdated`: the question under way is an earlier session's; its answer would leave out what has to be sent again.
    """

    newest: Position = START
    cursor: Position = START
    sent: Position = START
    in_flight: tuple[Position, ...] = ()
    acknowledged: frozenset[Position] = frozenset()
    session: str | None = None
    is_reading: bool = False
    is_outdated: bool = False
    retry_at: float | None = None
    allowance: float = 0.0
    allowance_at: float = 0.0
    acknowledged_count: int = 0

    def deadline(self, limits: Limits) -> float | None:
        """When the rate allows a further entry, if one waits for that alone."""
        if self.session is None or self.is_reading or self.sent >= self.newest:
            return None
        if not _room(self, limits):
            return None
        missing = max(0.0, 1 - self.allowance)
        allowed_at = self.allowance_at + (missing / limits.entries_per_s if limits.entries_per_s else 0.0)
        return allowed_at if self.retry_at is None else max(allowed_at, self.retry_at)


Result = tuple[Outbox, tuple[Effect, ...]]


def logged(state: Outbox, newest: Position) -> Outbox:
    """A further entry is durable."""
    return replace(state, newest=max(state.newest, newest))


def opened(state: Outbox, cursor: Position, newest: Position) -> Outbox:
    """The log could be opened after the start: what the broker had before that is not sent again."""
    cursor = max(state.cursor, cursor)
    return replace(state, cursor=cursor, sent=max(state.sent, cursor), newest=max(state.newest, newest), retry_at=None)


def connected(state: Outbox, session: str, now: float, limits: Limits) -> Outbox:
    """Begin again behind the cursor: what was in flight is in doubt."""
    return replace(
        state,
        session=session,
        sent=state.cursor,
        in_flight=(),
        acknowledged=frozenset(),
        is_outdated=state.is_reading,
        retry_at=None,
        allowance=burst(limits),
        allowance_at=now,
    )


def disconnected(state: Outbox) -> Outbox:
    """Stop; nothing is forgotten, the cursor stands."""
    return replace(state, session=None, in_flight=(), acknowledged=frozenset(), is_outdated=state.is_reading)


def acknowledge(state: Outbox, session: str, *positions: Position) -> Result:
    """Take PUBACKs; the cursor moves when the oldest ones are all in. Another session's count for nothing."""
    in_flight = state.in_flight
    if session != state.session or not (known := set(positions).intersection(in_flight)):
        return state, ()
    acknowledged = state.acknowledged | known
    done = 0
    while done < len(in_flight) and in_flight[done] in acknowledged:
        done += 1
    if not done:
        return replace(state, acknowledged=acknowledged), ()
    cursor = in_flight[done - 1]
    moved = replace(
        state,
        cursor=cursor,
        in_flight=in_flight[done:],
        acknowledged=acknowledged - set(in_flight[:done]),
        acknowledged_count=state.acknowledged_count + done,
    )
    return moved, (MoveCursor(*cursor),)


def take(state: Outbox, entries: tuple[LoggedEntry, ...], now: float, limits: Limits) -> Result:
    """Send what was read; an answer to an earlier session's question is dropped. Every question gets one answer."""
    is_wanted = state.is_reading and not state.is_outdated and state.session is not None
    state = replace(state, is_reading=False, is_outdated=False)
    if not is_wanted:
        return state, ()
    fresh = tuple(entry for entry in entries if (entry.epoch, entry.sequence) > state.sent)
    fresh = fresh[: max(0, limits.window - len(state.in_flight))]
    if not fresh:
        # All behind `sent` is pruned, or the read failed. Nobody knows which, so nothing is passed over.
        return replace(state, retry_at=now + RETRY_S), ()
    positions = tuple((entry.epoch, entry.sequence) for entry in fresh)
    state = refilled(state, now, limits)
    sending = replace(
        state,
        sent=positions[-1],
        in_flight=state.in_flight + positions,
        allowance=state.allowance - len(positions),
        retry_at=None,
    )
    return sending, (PublishEntries(state.session or "", fresh),)


def ask(state: Outbox, now: float, limits: Limits) -> Result:
    """Ask for the next entries when there are any, the window has room and the rate allows."""
    if state.session is None or state.is_reading or state.sent >= state.newest:
        return state, ()
    if state.retry_at is not None and now < state.retry_at:
        return state, ()
    state = refilled(state, now, limits)
    room = min(_room(state, limits), int(state.allowance + ROUNDING))
    if room < 1:
        return state, ()
    return replace(state, is_reading=True), (ReadOutbox(*state.sent, room),)


def _room(state: Outbox, limits: Limits) -> int:
    """How many more the window takes; none until it is a good part of it, for a question costs more than an entry."""
    room = limits.window - len(state.in_flight)
    return room if room >= max(1, limits.window // 4) else 0


def is_idle(state: Outbox) -> bool:
    """Whether there is a link and nothing of the log waits to be sent."""
    return state.session is not None and not state.is_reading and state.sent >= state.newest


def burst(limits: Limits) -> float:
    """How many entries may go at once after a while of silence: one second's worth."""
    if limits.entries_per_s is None:
        return float(limits.window)
    return float(max(1, min(limits.window, int(limits.entries_per_s))))


def refilled(state: Outbox, now: float, limits: Limits) -> Outbox:
    """With the allowance that has grown until now."""
    if limits.entries_per_s is None:
        return replace(state, allowance=burst(limits), allowance_at=now)
    grown = state.allowance + max(0.0, now - state.allowance_at) * limits.entries_per_s
    return replace(state, allowance=min(burst(limits), grown), allowance_at=now)
