"""The other end of `post`: collects events and waits for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from agent.effects import AppendEntry, Effect, EraseMember, SaveMember
from agent.events import EntriesLogged, Event, Member, MemberErased, MemberSaved, Receipt
from agent.storage.writer import StorageWriter

# Generous: what is waited for comes in milliseconds, on a machine that may be busy with others' work.
WAIT_S = 20.0

_E = TypeVar("_E", bound=Event)


class Inbox:
    """Called on any thread with an event."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._changed = threading.Condition()

    def __call__(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def all(self, kind: type[_E]) -> list[_E]:
        with self._changed:
            return [event for event in self.events if isinstance(event, kind)]

    def wait(self, kind: type[_E], match: Callable[[_E], bool] = lambda _: True) -> _E:
        deadline = time.monotonic() + WAIT_S
        with self._changed:
            while True:
                for event in self.events:
                    if isinstance(event, kind) and match(event):
                        return event
                left = deadline - time.monotonic()
                assert left > 0, f"no such {kind.__name__} came; there are {self.events[-5:]}"
                self._changed.wait(left)

    def receipts(self) -> list[Receipt]:
        return [receipt for event in self.all(EntriesLogged) for receipt in event.receipts]

    def wait_for_tag(self, tag: str) -> Receipt:
        event = self.wait(EntriesLogged, lambda e: any(r.tag == tag for r in e.receipts))
        return next(receipt for receipt in event.receipts if receipt.tag == tag)


def append(writer: StorageWriter, inbox: Inbox, tag: str, **fields: object) -> Receipt:
    """Append one entry and wait until it is told."""
    writer.submit(entry(tag, **fields))
    return inbox.wait_for_tag(tag)


def entry(tag: str, **fields: object) -> AppendEntry:
    return AppendEntry(at=100.0, type="station.test.happened", body={"tag": tag, **fields}, tag=tag)


def save(writer: StorageWriter, inbox: Inbox, member: Member, name: str = "Wang Fang") -> None:
    """Save a member and wait until they are told."""
    request = f"save-{len(inbox.events)}"
    submit(writer, SaveMember(request, member, name, at=100.0))
    inbox.wait(MemberSaved, lambda e: e.request == request)


def erase(writer: StorageWriter, inbox: Inbox, member_id: str) -> bool:
    """Erase a member, wait until it is told, and say whether there was one."""
    request = f"erase-{len(inbox.events)}"
    submit(writer, EraseMember(request, member_id, at=100.0))
    return inbox.wait(MemberErased, lambda e: e.request == request).existed


def submit(writer: StorageWriter, *effects: Effect) -> None:
    for effect in effects:
        writer.submit(effect)


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {WAIT_S} s: {what}"
        time.sleep(0.01)
