"""Whoever comes to the door of a running agent, to measure how soon the lock follows; see `bench/decision.py`."""

from __future__ import annotations

import queue
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.app import App
from agent.core.door import Contact
from agent.core.supervision import Phase
from agent.events import (
    CardRead,
    DoorContactChanged,
    Event,
    ExitButtonPressed,
    FaceSeen,
    KeyPressed,
    SignalChanged,
)
from agent.loop import Inbox

SEED = 20261122
PATIENCE_S = 60.0  # for a first start, which converts the network; only a failure waits so long
DEBOUNCE_S = 0.005  # shorter than a real contact's, for more samples; what is measured begins after it
CARD, NUMBER, PIN = "0815", "12", "2580"
# Between two facts; seconds lie there at a door. The log and the broker are mostly done with the one before by then.
_PAUSE_S = (0.005, 0.03)
_PIN_EVERY = 40  # openings; each is 50 ms of Argon2id, which nobody types that often
_FIRST_TRACK = 1_000_000  # never one of the child's


class Stopwatch(Inbox):
    """An inbox that knows when the fact that is being decided was posted."""

    def __init__(self) -> None:
        super().__init__()
        self._posted: dict[int, float] = {}
        self.posted_at: float | None = None
        self.taken_at = 0.0

    def post(self, event: Event) -> None:
        """See `Inbox`."""
        self._posted[id(event)] = time.monotonic()
        super().post(event)

    def take(self, timeout_s: float) -> Event | None:
        """See `Inbox`."""
        event = super().take(timeout_s)
        self.taken_at = time.monotonic()
        self.posted_at = None if event is None else self._posted.pop(id(event), None)
        return event


@dataclass(frozen=True, slots=True)
class Sample:
    """`fact`: what moved the lock; `is_up`: whether the vision child ran then.

    `waited_ms`: how much of `took_ms` had gone before the deciding thread began with it.
    """

    fact: str
    took_ms: float
    waited_ms: float
    is_up: bool


class Visitor:
    """Comes and goes at the door of a running agent some ten times a second. Not the deciding thread."""

    def __init__(self, app: App, inbox: Stopwatch, faces: NDArray[np.float32]) -> None:
        """`faces`: (members, 2, 128), two pictures of each."""
        self.samples: list[Sample] = []
        self._app = app
        self._inbox = inbox
        self._faces = faces
        self._random = random.Random(SEED)
        self._count = 0
        self._moved: queue.SimpleQueue[tuple[float, float, float | None]] = queue.SimpleQueue()
        app.hardware.lock.on_moved = lambda _is_energised, _seen_at: self._moved.put(
            (time.monotonic(), inbox.taken_at, inbox.posted_at)
        )

    def come_and_go(self) -> None:
        """One opening by the next way in or out; then the leaf opens and shuts, or the fire is over."""
        self._count += 1
        way = ("face", "exit", "card", "exit", "fire")[self._count % 5]
        if self._count % _PIN_EVERY == 0:
            way = "keypad"
        elif way == "face" and not self.knows_faces():
            way = "card"  # without a child nobody sees a face
        if way == "fire":
            self._take_edge("fire", SignalChanged(self._now(), "fire", True))
            self._pause()
            self._take_edge("fire", SignalChanged(self._now(), "fire", False))
        else:
            ways: dict[str, Callable[[], None]] = {
                "face": self._show_face,
                "card": self._hold_card,
                "keypad": self._type,
                "exit": self._press_exit,
            }
            ways[way]()
            self._take(way)
            self._pause()
            self._inbox.post(DoorContactChanged(self._now(), True))
            wait_for(lambda: self._contact() is Contact.OPEN, "the leaf is not seen")
            self._pause()
            self._take_edge("contact", DoorContactChanged(self._now(), False))
        self._pause()

    def _pause(self) -> None:
        time.sleep(self._random.uniform(*_PAUSE_S))

    def _show_face(self) -> None:
        track = _FIRST_TRACK + self._count
        first_at = self._now()
        for vector in self._faces[self._random.randrange(len(self._faces))]:
            self._inbox.post(FaceSeen(self._now(), track, first_at, vector, 1.0, 160, "live"))

    def _hold_card(self) -> None:
        self._inbox.post(CardRead(self._now(), "cards", CARD))

    def _type(self) -> None:
        for key in f"{NUMBER}#{PIN}#":
            self._inbox.post(KeyPressed(self._now(), "keys", key))

    def _press_exit(self) -> None:
        self._inbox.post(ExitButtonPressed(self._now()))

    def _take(self, way: str) -> None:
        """The lock has moved; the time runs from the fact that was being decided then, such as a worker's answer."""
        moved_at, taken_at, posted_at = self._moved.get(timeout=PATIENCE_S)
        if posted_at is None:
            raise RuntimeError(f"the lock moved by itself, not by the {way}")
        self._keep(way, posted_at, taken_at, moved_at)

    def _take_edge(self, what: str, edge: DoorContactChanged | SignalChanged) -> None:
        self._inbox.post(edge)
        moved_at, taken_at, _posted_at = self._moved.get(timeout=PATIENCE_S)
        self._keep(what, edge.at + DEBOUNCE_S, taken_at, moved_at)

    def _keep(self, fact: str, due_at: float, taken_at: float, moved_at: float) -> None:
        state = self._app.loop.state
        is_up = state is not None and state.vision.phase is Phase.RUNNING
        self.samples.append(Sample(fact, 1000 * (moved_at - due_at), 1000 * (taken_at - due_at), is_up))

    def knows_faces(self) -> bool:
        """Whether the gallery of all members is there."""
        state = self._app.loop.state
        return state is not None and state.gallery is not None and len(state.gallery.members) == len(self._faces)

    def _contact(self) -> Contact | None:
        state = self._app.loop.state
        return None if state is None else state.door.contact

    def _now(self) -> float:
        return self._app.clock.now()


def wait_for(condition: Callable[[], bool], failure: str) -> None:
    """Wait until it is so. Raises RuntimeError with `failure` after a minute."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(failure)
        time.sleep(0.0005)
