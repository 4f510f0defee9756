"""One turn of the rules: the state as it changes and the orders as they gather.

`step` of `core.station` makes a Turn for each event; the rules work on it and it is read out at the end. It lives for
one call, so the rules stay functions of (state, event, now).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from agent.core import repairs
from agent.core.access import KnownTime
from agent.core.problems import Problem, Words, problem
from agent.core.state import Rules, StationState, Waiting
from agent.effects import AppendEntry, Effect, Note, Reply, VisitChange

DISK_PATIENCE_S = 10.0  # how long a request waits for the disk; an SD card may pause, and a query may take 5 s
MAX_DETAIL = 300  # characters; a reason is often an exception's text, and a message has bounds


@dataclass(slots=True)
class Turn:
    """`now`: station time."""

    state: StationState
    rules: Rules
    now: float
    effects: list[Effect] = field(default_factory=list)

    def set(self, **changes: Any) -> None:
        """Change the state; what is already so changes nothing."""
        if any(getattr(self.state, name) is not value for name, value in changes.items()):
            self.state = self.state.changed(changes)

    def do(self, *effects: Effect) -> None:
        """Add orders."""
        self.effects.extend(effects)

    def log(
        self,
        kind: str,
        body: Mapping[str, Any],
        *,
        tag: str = "",
        visits: tuple[VisitChange, ...] = (),
        notes: tuple[Note, ...] = (),
        may_wait: bool = False,
    ) -> None:
        """Append an entry of type `station.KIND`."""
        self.do(AppendEntry(self.now, f"station.{kind}", body, tag, visits, notes, may_wait))

    def utc(self) -> str | None:
        """Now, RFC 3339 in UTC, by the last look at the wall clock; None before the first."""
        clock = self.state.clock
        if clock is None:
            return None
        at = clock.utc + timedelta(seconds=self.now - clock.at)
        return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def known_time(self) -> KnownTime:
        """What is known of the time: by the newest look at a clock that counted, and what has gone by since."""
        vouched, clock = self.state.vouched, self.state.clock
        if vouched is None:
            return KnownTime()
        is_exact = clock is not None and (clock.is_trusted or self.rules.passes.trusts_unset_clock)
        return KnownTime(vouched.utc + timedelta(seconds=self.now - vouched.at), is_exact)

    def has_fault(self, code: str, where: str) -> bool:
        """Whether this fault stands."""
        return (code, where) in self.state.faults

    def raise_fault(self, code: str, where: str, detail: str | Words = "") -> None:
        """Raise a fault; the same one is not raised twice, nor one that was being repaired before the start."""
        key = (code, where)
        if key in self.state.faults:
            return
        words = detail if isinstance(detail, Words) else Words(detail, detail)
        found = problem(code, where, Words(words.zh[:MAX_DETAIL], words.en[:MAX_DETAIL]), self.now)
        self.set(faults={**self.state.faults, key: found})
        known = self.state.repairs.get(key)
        if known is not None:
            self._set_repair(replace(known, problem=found, is_present=True))
            return
        repair = repairs.begin(found, self.utc())
        self._set_repair(repair)
        body = {"code": code, "where": where, "severity": found.severity.value}
        self.log("fault.raised", body, notes=(repairs.note(repair),))

    def word_fault(self, code: str, where: str, detail: str) -> None:
        """Raise a fault, or put one that stands into new words: what it is about has changed, not that it is."""
        found = self.state.faults.get((code, where))
        if found is None:
            self.raise_fault(code, where, detail)
        else:
            reworded = problem(code, where, detail[:MAX_DETAIL], found.since)
            if reworded == found:
                return
            self.set(faults={**self.state.faults, (code, where): reworded})
            self._set_repair(replace(self.state.repairs[code, where], problem=reworded))

    def clear_fault(self, code: str, where: str) -> None:
        """It is proven that the fault is over, also when it was raised before the start."""
        key = (code, where)
        found, repair = self.state.faults.get(key), self.state.repairs.get(key)
        if repair is None:
            return
        self.set(
            faults={other: each for other, each in self.state.faults.items() if other != key},
            repairs={other: each for other, each in self.state.repairs.items() if other != key},
        )
        lasted_s = None if found is None or found.since is None else round(self.now - found.since, 3)
        self.log("fault.cleared", {"code": code, "where": where, "lasted_s": lasted_s}, notes=(repairs.forgotten(key),))

    def _set_repair(self, repair: repairs.Repair) -> None:
        self.set(repairs={**self.state.repairs, repair.key: repair})

    def refuse(self, request: str, *problems: Problem) -> None:
        """Answer a control request with what is wrong."""
        self.do(Reply(request, ok=False, problems=tuple(each.as_dict() for each in problems)))

    def expect(
        self, request: str, late: Problem, result: Mapping[str, Any] | None = None, *, needs_lock: bool = False
    ) -> None:
        """Answer this request later; after `DISK_PATIENCE_S` with what is `late`. Only who is expected is answered."""
        waiting = Waiting(self.now + DISK_PATIENCE_S, late, result or {}, needs_lock)
        self.set(waiting={**self.state.waiting, request: waiting})

    def forget(self, request: str) -> Waiting | None:
        """Take a request from those that wait: its answer comes now. None when it has had one."""
        found = self.state.waiting.get(request)
        if found is not None:
            self.set(waiting={key: each for key, each in self.state.waiting.items() if key != request})
        return found

    def answer_when_logged(
        self, request: str, result: Mapping[str, Any], place: str, *, needs_lock: bool = False
    ) -> None:
        """Answer once the entry tagged with this request is durable, or say after a while that it is not.

        `needs_lock`: it is done only if the lock's relay could be driven.
        """
        late = problem("storage.failed", place, "the log entry is not on the disk yet")
        self.expect(request, late, result, needs_lock=needs_lock)
