"""Checks the log of one station as it arrived: nothing missing, nothing altered. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agent.mqtt.payloads import LogEvent
from agent.storage.chain import GENESIS, body_digest, canonical, entry_hash

Place = tuple[int, int]
"""(epoch, sequence)."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Entries `first` to `last` (both included) of an epoch have not arrived."""

    epoch: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Forgery:
    """An entry that is not what the station wrote, and in what that shows."""

    epoch: int
    sequence: int
    reason: str


@dataclass(frozen=True, slots=True)
class Audit:
    """`entries` were looked at; `unlinked` are those whose predecessor is missing, so that their link is unproven."""

    entries: int
    gaps: tuple[Gap, ...]
    forgeries: tuple[Forgery, ...]
    unlinked: tuple[Place, ...]

    @property
    def is_whole(self) -> bool:
        """Nothing is missing between the first and the last entry, and every one follows from the one before."""
        return not self.gaps and not self.forgeries


def audit(events: Iterable[LogEvent]) -> Audit:
    """Look at the events of one station, each once, in any order.

    A missing beginning is no gap (whoever begins to listen late has none of it), but the first entry is `unlinked`. The
    first entry of a later epoch may follow any entry of an earlier one: a restored backup ends somewhere before.
    """
    ordered = sorted(events, key=lambda event: (event.epoch, event.sequence))
    gaps: list[Gap] = []
    forgeries: list[Forgery] = []
    unlinked: list[Place] = []
    before: LogEvent | None = None
    earlier_hashes: set[str] = set()
    for event in ordered:
        sequence = int(event.sequence)
        same_epoch = before is not None and before.epoch == event.epoch
        follows = int(before.sequence) + 1 if same_epoch and before is not None else 1
        if sequence > follows and before is not None:
            gaps.append(Gap(event.epoch, follows, sequence - 1))
        candidates: set[str] = set()
        if same_epoch and before is not None:
            candidates = {before.hash} if sequence == follows else set()
        elif sequence == 1:
            candidates = {GENESIS} | earlier_hashes
        forgeries += [Forgery(event.epoch, sequence, reason) for reason in _contradictions(event)]
        if not any(_follows(event, previous) for previous in candidates):
            if same_epoch and sequence == follows:
                reason = "the hash does not follow from the entry before it, its header and its digest"
                forgeries.append(Forgery(event.epoch, sequence, reason))
            else:
                unlinked.append((event.epoch, sequence))
        earlier_hashes.add(event.hash)
        before = event
    return Audit(len(ordered), tuple(gaps), tuple(forgeries), tuple(unlinked))


def _contradictions(event: LogEvent) -> list[str]:
    """What shows within the event alone."""
    reasons = []
    station = event.source.removeprefix("/stations/")
    if event.id != f"{station}/{event.epoch}/{int(event.sequence)}":
        reasons.append("its id does not name its source, epoch and sequence")
    if (event.data is None) != (event.salt is None):
        reasons.append("body and salt travel only together")
    if event.data is not None and event.salt is not None:
        try:
            fits = body_digest(event.salt, canonical(event.data)) == event.digest
        except (ValueError, TypeError, RecursionError):
            fits = False
        if not fits:
            reasons.append("the body does not fit its digest")
    return reasons


def _follows(event: LogEvent, previous: str) -> bool:
    entry = event.entry()
    expected = entry_hash(
        previous,
        entry.boot,
        entry.clock,
        entry.epoch,
        entry.monotonic_ms,
        entry.sequence,
        entry.time,
        entry.type,
        entry.digest,
    )
    return expected == entry.hash
