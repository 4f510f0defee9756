"""Checks the log of one station as it arrived: nothing missing, nothing altered. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from agent.core.replaying import MAX_ENTRIES
from agent.mqtt.payloads import LogEvent
from agent.storage.chain import GENESIS, body_digest, canonical, entry_hash

EPOCH_BEGAN = "station.log.epoch_began"

Place = tuple[int, int]
"""(epoch, sequence)."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Entries `first` to `last` (both included) of an epoch have not arrived."""

    epoch: int
    first: int
    last: int

    def requests(self) -> Iterator[Mapping[str, int]]:
        """The arguments of `log.replay` that ask for exactly these; several where one may not ask for so many."""
        for first in range(self.first, self.last + 1, MAX_ENTRIES):
            yield {"epoch": self.epoch, "first": first, "last": min(self.last, first + MAX_ENTRIES - 1)}


@dataclass(frozen=True, slots=True)
class Anchor:
    """The last entry that the station let go of, as `log.replay` answers it: its place and its hash."""

    epoch: int
    sequence: int
    hash: str


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


def audit(events: Iterable[LogEvent], *, anchor: Anchor | None = None, is_from_first: bool = False) -> Audit:
    """Look at the events of one station, each once, in any order.

    A missing beginning is no gap unless `is_from_first` (whoever begins to listen late has none of it), but the first
    entry is `unlinked`. The first entry of a later epoch may follow any entry of an earlier one: a restored backup ends
    somewhere before. What lies up to the `anchor` is no gap, for nobody has it, and the entry after it follows from it.
    """
    ordered = sorted(events, key=lambda event: (event.epoch, event.sequence))
    gaps: list[Gap] = []
    forgeries: list[Forgery] = []
    unlinked: list[Place] = []
    before: Place = (0, 0)
    links: dict[Place, str] = {} if anchor is None else {(anchor.epoch, anchor.sequence): anchor.hash}
    for event in ordered:
        place = (event.epoch, int(event.sequence))
        gaps += _gaps_before(event, before, is_from_first=is_from_first)
        forgeries += [Forgery(*place, reason) for reason in _contradictions(event)]
        previous = links.get((place[0], place[1] - 1))
        may_follow = {previous} if previous else {GENESIS, *links.values()} if place[1] == 1 else set()
        if not any(_follows(event, each) for each in may_follow):
            if previous:
                reason = "the hash does not follow from the entry before it, its header and its digest"
                forgeries.append(Forgery(*place, reason))
            else:
                unlinked.append(place)
        links[place] = event.hash
        before = place
    if anchor is not None:
        gaps = [each for gap in gaps for each in _beyond(gap, anchor)]
    return Audit(len(ordered), tuple(gaps), tuple(forgeries), tuple(unlinked))


def _gaps_before(event: LogEvent, before: Place, *, is_from_first: bool) -> Iterator[Gap]:
    """What is missing between the entry before, (0, 0) for none, and this one."""
    epoch, sequence = event.epoch, int(event.sequence)
    is_first = before == (0, 0)
    if epoch == before[0]:
        first = before[1] + 1
    else:
        first = sequence if is_first and not is_from_first else 1
        ended = event.data.get("after") if event.type == EPOCH_BEGAN and event.data else None
        match ended:
            case {"epoch": int(of), "sequence": int(last)} if of == before[0] and last > before[1]:
                yield Gap(of, before[1] + 1, last)  # the new epoch follows an entry that has not come
    if sequence > first:
        yield Gap(epoch, first, sequence - 1)


def _beyond(gap: Gap, anchor: Anchor) -> Iterator[Gap]:
    """What of a gap the station may still have."""
    if (gap.epoch, gap.last) > (anchor.epoch, anchor.sequence):
        first = max(gap.first, anchor.sequence + 1) if gap.epoch == anchor.epoch else gap.first
        yield Gap(gap.epoch, first, gap.last)


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
