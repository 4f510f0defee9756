"""Plays facts to the station's rules and keeps every order: what the tests of the rules stand on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from agent.core import station
from agent.core.appliance import Profile
from agent.core.consent import ConsentRules, ConsentText
from agent.core.enrolment import EnrolmentRules
from agent.core.gallery import build_gallery
from agent.core.state import Rules, StationState
from agent.effects import (
    AppendEntry,
    BuildGallery,
    DeenergiseLock,
    Effect,
    EnergiseLock,
    PublishState,
    ReadOutbox,
    RecordConsent,
    Reply,
    ShowIndication,
)
from agent.events import (
    Actor,
    BrokerConnected,
    ConsentRecorded,
    ControlRequested,
    DoorContactChanged,
    EntriesLogged,
    Event,
    FaceSeen,
    GalleryBuilt,
    Member,
    Receipt,
    Restored,
    Template,
    TimePassed,
    VisionStarted,
)

ENGINE = ("dlib", "0" * 64)
MASTER = Actor("local", "master", "master")
VIEWER = Actor("local", "screen", "viewer")
TEXTS = {"zh": ConsentText("同意。", "1" * 64), "en": ConsentText("I consent.", "2" * 64)}
CONSENT = {"version": "v-1", "language": "en", "how": "screen"}
RULES = Rules(
    version="1",
    visit_prefix="a",
    appliances={"microwave": Profile(running_above_w=100.0)},
    sensors={"sensors.microwave": "tasmota", "sensors.radar": "ld2410", "motion": "motion", "counter": "counter"},
    consent=ConsentRules("v-1", TEXTS),
    enrolment=EnrolmentRules(min_frames=1),
)

Kind = TypeVar("Kind", bound=Effect)


def face_of(person: int) -> NDArray[np.float32]:
    """(128,) float32, length 1: people with different numbers are as far apart as can be."""
    vector = np.zeros(128, np.float32)
    vector[person] = 1.0
    return vector


def member(name: str, person: int, *, is_suspended: bool = False) -> Member:
    """A member with the face of that person."""
    return Member(name, (Template(*ENGINE, face_of(person)),), is_suspended)


def receipts(*entries: AppendEntry, epoch: int = 1, after: int = 0) -> tuple[Receipt, ...]:
    """What the disk says about these entries."""
    return tuple(Receipt(epoch, after + n, each.tag) for n, each in enumerate(entries, 1))


@dataclass
class Play:
    """A station and its time. `orders` are those since the last `take`, each with its time in `ordered_at`.

    Deadlines that come are kept.
    """

    state: StationState
    rules: Rules
    now: float = 0.0
    orders: list[Effect] = field(default_factory=list)
    ordered_at: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ordered_at = [self.now] * len(self.orders)

    def put(self, event: Event, now: float | None = None) -> None:
        """Take one fact, at its own time or later, after all deadlines before that."""
        self.wait_until(event.at if now is None else now)
        self._step(event)

    def put_late(self, now: float, *events: Event) -> None:
        """Facts that waited in the inbox while nothing decided; they are taken one after the other at `now`."""
        self.now = now
        for event in events:
            self._step(event)

    def wait(self, seconds: float) -> None:
        """Let time pass, waking at every deadline as the loop does."""
        self.wait_until(self.now + seconds)

    def wait_until(self, at: float) -> None:
        """See `wait`; a time that has passed is now."""
        for _ in range(10_000):
            deadline = station.next_deadline(self.state, self.rules)
            if deadline is None or deadline > at:
                break
            self.now = max(self.now, deadline)
            self._step(TimePassed(self.now))
        else:
            raise AssertionError("a deadline stays due: the loop would spin")
        if at > self.now:
            self.now = at
            self._step(TimePassed(at))

    def _step(self, event: Event) -> None:
        self.state, effects = station.step(self.state, event, self.now, self.rules)
        self.orders += effects
        self.ordered_at += [self.now] * len(effects)

    # --- what happens ------------------------------------------------------------------------------------------------

    def see_engine(self) -> None:
        """Vision comes up, and its gallery is built."""
        self.put(VisionStarted(self.now, *ENGINE))
        self.build_gallery()

    def build_gallery(self) -> None:
        """Carry out the newest order for a gallery."""
        order = self.found(BuildGallery)[-1]
        engine = (order.engine, order.weights)
        templates = [(m.id, t.vector) for m in order.members for t in m.templates if (t.engine, t.weights) == engine]
        gallery = build_gallery(templates, engine=order.engine, weights=order.weights)
        self.put(GalleryBuilt(self.now, order.request, gallery))

    def see_face(self, person: int, *, track: int = 1, frames: int = 2, at: float | None = None) -> None:
        """So many frames with one face, a tenth of a second apart."""
        first_at = self.now if at is None else at
        for n in range(frames):
            self.put(FaceSeen(first_at + n / 10, track, first_at, face_of(person), liveness="live"))

    def move_leaf(self, *, is_open: bool | None) -> None:
        """The leaf moves, and half a second later it has settled."""
        self.put(DoorContactChanged(self.now, is_open))
        self.wait(0.5)

    def ask(self, action: str, *, actor: Actor = MASTER, request: str = "r-1", **arguments: Any) -> None:
        """Somebody asks over the control socket."""
        self.put(ControlRequested(self.now, request, actor, action, arguments))

    def record_consent(self) -> None:
        """The disk has the consent that was ordered last."""
        order = self.found(RecordConsent)[-1]
        self.put(ConsentRecorded(self.now, order.request, order.member_id, "c-1", "2027-11-22T00:00:00.000Z"))

    def write_log(self) -> None:
        """The disk has everything that was logged since the last `take`."""
        newest = self.state.outbox.newest
        self.put(EntriesLogged(self.now, receipts(*self.found(AppendEntry), epoch=max(1, newest[0]), after=newest[1])))

    def connect(self, session: str = "s-1") -> None:
        """The link to the broker comes up."""
        self.put(BrokerConnected(self.now, session))

    # --- what was ordered --------------------------------------------------------------------------------------------

    def found(self, kind: type[Kind]) -> list[Kind]:
        """The orders of this type since the last `take`."""
        return [each for each in self.orders if isinstance(each, kind)]

    def take(self) -> list[Effect]:
        """The orders since the last call."""
        orders, self.orders, self.ordered_at = self.orders, [], []
        return orders

    def logged(self, kind: str = "") -> list[Mapping[str, Any]]:
        """The bodies of entries of type `station.KIND`."""
        return [each.body for each in self.found(AppendEntry) if each.type == f"station.{kind}"]

    def log_types(self) -> list[str]:
        """The types of the entries in order, without `station.`."""
        return [each.type.removeprefix("station.") for each in self.found(AppendEntry)]

    def replies(self, request: str = "r-1") -> list[Reply]:
        """The answers to one request."""
        return [each for each in self.found(Reply) if each.request == request]

    def problem_codes(self, request: str = "r-1") -> list[str]:
        """What the last answer says is wrong."""
        return [each["code"] for each in self.replies(request)[-1].problems]

    def lock_orders(self) -> list[bool]:
        """Whether each order to the lock put current on it."""
        orders = [each for each in self.orders if isinstance(each, (EnergiseLock, DeenergiseLock))]
        return [isinstance(each, EnergiseLock) for each in orders]

    def patterns(self) -> list[str]:
        """Light and sound, in order."""
        return [each.pattern for each in self.found(ShowIndication)]

    def published(self, part: str) -> list[Mapping[str, Any]]:
        """The bodies published for one part."""
        return [each.body for each in self.found(PublishState) if each.part == part]

    def reads(self) -> list[ReadOutbox]:
        """The questions to the log."""
        return self.found(ReadOutbox)

    @property
    def inside(self) -> int:
        """How many people are inside."""
        return self.state.occupancy.count


def begin(*members: Member, rules: Rules = RULES, restored: Restored | None = None) -> Play:
    """A station just started, its orders kept."""
    restored = replace(restored or Restored(), members=members or (restored or Restored()).members)
    state, effects = station.begin(rules, restored, 0.0)
    return Play(state, rules, 0.0, list(effects))


def ready(*members: Member, rules: Rules = RULES, restored: Restored | None = None) -> Play:
    """A station that has settled: the leaf closed, vision up, the gallery built; its orders taken."""
    play = begin(*members, rules=rules, restored=restored)
    play.move_leaf(is_open=False)
    play.see_engine()
    play.take()
    return play
