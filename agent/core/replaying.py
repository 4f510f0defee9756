"""Entries of the log that the central server asks for again, on their way to the broker.

A broker's acknowledgement is not delivery: one that dies may lose what it acknowledged, and the server sees the gap. A
replay sends what stands in the log once more, in order, and never touches the outbox's cursor: it only goes up to where
the cursor is, and what is beyond comes by itself, so no entry is ever under way in both.

What is new goes first. A replay asks for its next page only while the outbox has nothing to send, it lives on what the
outbox leaves of the common rate and leaves half of one burst of that, and it may be under way with half of the window.

An entry goes as the log has it when its page is read: one that is blanked or pruned then is so in the replay. A page
that was read a moment before goes as it was read, as entries of the outbox do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from agent.core.outbox import ROUNDING, Limits, Outbox, Position, burst, is_idle, refilled
from agent.effects import Effect, ReadEntries, ReplayEntries
from agent.events import LoggedEntry, LogPlace

MAX_ENTRIES = 10_000  # of one request: days of a busy station, and 200 s at the usual rate
MAX_HOLES = 20  # that are named; pruning makes one and a restored backup another, more come from a damaged log
READ_S = 30.0  # for one page: a card that is slower than that does not answer
PATIENCE_S = 90.0  # without any progress; the link gives a PUBACK 60 s, and ends the session then
_MAX_WINDOW = 50  # in memory: 3 MB of the longest bodies


class Stuck(Enum):
    """What a replay that does not get on waits for."""

    DISK = "disk"
    BROKER = "broker"
    BACKLOG = "backlog"


@dataclass(frozen=True, slots=True)
class Replay:
    """`first` to `last` were asked for, and `end` is the last that may go.

    `passed`: the last one that was handed to the link or is not there; `count` were acknowledged, from `lowest` to
    `highest`; `holes`: what was asked for and is not there; `anchor`: the last entry of the whole log that was pruned;
    `until`: without progress it has failed then.
    """

    request: str
    session: str
    epoch: int
    first: int
    last: int
    end: int
    passed: int
    until: float
    in_flight: frozenset[int] = frozenset()
    count: int = 0
    lowest: int | None = None
    highest: int | None = None
    holes: tuple[tuple[int, int], ...] = ()
    anchor: LogPlace | None = None
    questions: int = 0
    is_reading: bool = False

    @property
    def question(self) -> str:
        """The name of the newest question to the log."""
        return f"{self.request}#{self.questions}"

    @property
    def is_done(self) -> bool:
        """Whether all that can go is acknowledged."""
        return self.passed >= self.end and not self.in_flight and not self.is_reading

    @property
    def stuck(self) -> Stuck:
        """What it waits for."""
        if self.is_reading:
            return Stuck.DISK
        return Stuck.BROKER if self.in_flight else Stuck.BACKLOG

    def deadline(self, sending: Outbox, limits: Limits) -> float:
        """When the rate allows a further page, if it waits for that alone; when it has failed at the latest."""
        if not _may_ask(self, sending, limits):
            return self.until
        missing = _page(self, limits) + _reserve(limits) - sending.allowance
        waits_s = max(0.0, missing) / limits.entries_per_s if limits.entries_per_s else 0.0
        return min(self.until, sending.allowance_at + waits_s)

    def result(self) -> dict[str, Any]:
        """What became of it so far, as the server is told."""
        pruned = self.anchor
        if pruned is not None and (pruned.epoch, pruned.sequence) < (self.epoch, self.first):
            pruned = None
        return {
            "epoch": self.epoch,
            "first": self.first,
            "last": self.last,
            "sent": self.count,
            "from": self.lowest,
            "to": self.highest,
            "missing": [list(each) for each in self.holes],
            "pruned": None
            if pruned is None
            else {"epoch": pruned.epoch, "sequence": pruned.sequence, "hash": pruned.hash},
            "beyond": None if self.end >= self.last else [max(self.first, self.end + 1), self.last],
        }


def begin(  # noqa: PLR0917 - the request, and where the outbox is
    request: str, session: str, epoch: int, first: int, last: int, cursor: Position, now: float
) -> Replay:
    """A replay of `first` to `last` of an epoch, as far as the cursor is."""
    last = max(first, min(last, first + MAX_ENTRIES - 1))
    end = last
    if epoch >= cursor[0]:
        end = min(last, cursor[1]) if epoch == cursor[0] else 0
    return Replay(request, session, epoch, first, last, end, first - 1, now + PATIENCE_S)


def ask(replay: Replay, sending: Outbox, now: float, limits: Limits) -> tuple[Replay, Outbox, tuple[Effect, ...]]:
    """Ask for the next page when there is one and the outbox leaves room for it."""
    if not _may_ask(replay, sending, limits):
        return replay, sending, ()
    sending = refilled(sending, now, limits)
    page = _page(replay, limits)
    if sending.allowance + ROUNDING < page + _reserve(limits):
        return replay, sending, ()
    asking = replace(replay, is_reading=True, questions=replay.questions + 1, until=now + READ_S)
    return asking, sending, (ReadEntries(asking.question, replay.epoch, replay.passed, replay.end, page),)


def take(
    replay: Replay, sending: Outbox, entries: Sequence[LoggedEntry], anchor: LogPlace | None, now: float
) -> tuple[Replay, Outbox, tuple[Effect, ...]]:
    """Send the page that was asked for; a page without entries says that no more are there."""
    found = {each.sequence for each in entries}
    holes, after = list(replay.holes), replay.passed
    for sequence in sorted(found):
        _note_hole(holes, after + 1, sequence - 1)
        after = sequence
    if not entries:
        _note_hole(holes, after + 1, replay.end)
        after = replay.end
    replay = replace(
        replay,
        passed=after,
        in_flight=replay.in_flight | found,
        holes=tuple(holes),
        anchor=anchor,
        is_reading=False,
        until=now + PATIENCE_S,
    )
    if not entries:
        return replay, sending, ()
    sending = replace(sending, allowance=sending.allowance - len(entries))
    return replay, sending, (ReplayEntries(replay.session, replay.request, tuple(entries)),)


def acknowledge(replay: Replay, epoch: int, sequence: int, now: float) -> Replay:
    """Take one PUBACK; one for what is not under way counts for nothing."""
    if epoch != replay.epoch or sequence not in replay.in_flight:
        return replay
    return replace(
        replay,
        in_flight=replay.in_flight - {sequence},
        count=replay.count + 1,
        lowest=sequence if replay.lowest is None else min(replay.lowest, sequence),
        highest=sequence if replay.highest is None else max(replay.highest, sequence),
        until=replay.until if replay.is_reading else now + PATIENCE_S,
    )


def put_off(replay: Replay | None, seconds: float) -> Replay | None:
    """Station time jumped ahead; neither disk nor broker lived through that."""
    return None if replay is None else replace(replay, until=replay.until + seconds)


def _may_ask(replay: Replay, sending: Outbox, limits: Limits) -> bool:
    """Whether it waits for nothing but the rate."""
    if replay.is_reading or replay.passed >= replay.end or not is_idle(sending):
        return False
    return len(replay.in_flight) + _page(replay, limits) <= _window(limits)


def _window(limits: Limits) -> int:
    return max(1, min(_MAX_WINDOW, limits.window // 2))


def _page(replay: Replay, limits: Limits) -> int:
    """Some at a time, so that not every entry costs the disk a query."""
    return min(max(1, min(_window(limits), int(burst(limits)) // 4)), replay.end - replay.passed)


def _reserve(limits: Limits) -> int:
    """What stays of the allowance for entries that are new."""
    return int(burst(limits)) // 2


def _note_hole(holes: list[tuple[int, int]], first: int, last: int) -> None:
    if first > last:
        return
    if holes and holes[-1][1] == first - 1:
        holes[-1] = (holes[-1][0], last)
    elif len(holes) < MAX_HOLES:
        holes.append((first, last))
