"""A pair of light barriers in the doorway that counts people and tells in from out.

The outer beam is nearer to the street. Whoever comes in interrupts the outer one, both, the inner one, none; whoever
leaves does it the other way round; whoever turns back leaves the pair where he came from. For that the beams lie closer
together than a body is thick. Two people count as two when both beams are free between them.

Untested on hardware: tested on gpiozero's mock pins and against a fake of the `gpiod` module.
"""

from __future__ import annotations

import enum
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gpiozero import Factory

from drivers.edges import EdgeInput, Pull
from drivers.errors import DeviceError

_logger = logging.getLogger(__name__)

OUTER, INNER = 0, 1
_NAMES = ("outer", "inner")

GLITCH_S = 0.005
"""A shorter change of one beam is a disturbance: in this time a runner moves 3 cm."""

# The two lines' edges arrive by threads of their own; a busy machine hands them over late, and the order is everything.
_SETTLE_S = 0.1
# More wait only when a beam swings without end. More than _MAX_IN_WINDOW, so that an overflow is always reported.
_MAX_EDGES = 256
# A person makes 4 to 12 edges and takes a second; more than this in a window is a receiver that hunts.
_WINDOW_S = 10.0
_MAX_IN_WINDOW = 200
# The thread only waits and calls; longer means that a receiver hangs.
_JOIN_S = 2.0


class Beams(enum.Enum):
    """Which beams are interrupted."""

    CLEAR = enum.auto()
    OUTER = enum.auto()
    INNER = enum.auto()
    BOTH = enum.auto()


class Passage(enum.Enum):
    """How far somebody has come. `LOST`: an edge was missed; wait until the doorway is free."""

    NOBODY = enum.auto()
    ENTERS_OUTER = enum.auto()
    ENTERS_BOTH = enum.auto()
    ENTERS_INNER = enum.auto()
    LEAVES_INNER = enum.auto()
    LEAVES_BOTH = enum.auto()
    LEAVES_OUTER = enum.auto()
    LOST = enum.auto()


# For each passage what comes next when the beams are now clear, outer, inner, both. Somebody who stops or steps back
# stays within his direction; what one edge cannot bring about is LOST, or NOBODY when the doorway is free.
_NEXT = {
    Passage.NOBODY: (Passage.NOBODY, Passage.ENTERS_OUTER, Passage.LEAVES_INNER, Passage.LOST),
    Passage.ENTERS_OUTER: (Passage.NOBODY, Passage.ENTERS_OUTER, Passage.LOST, Passage.ENTERS_BOTH),
    Passage.ENTERS_BOTH: (Passage.NOBODY, Passage.ENTERS_OUTER, Passage.ENTERS_INNER, Passage.ENTERS_BOTH),
    Passage.ENTERS_INNER: (Passage.NOBODY, Passage.LOST, Passage.ENTERS_INNER, Passage.ENTERS_BOTH),
    Passage.LEAVES_INNER: (Passage.NOBODY, Passage.LOST, Passage.LEAVES_INNER, Passage.LEAVES_BOTH),
    Passage.LEAVES_BOTH: (Passage.NOBODY, Passage.LEAVES_OUTER, Passage.LEAVES_INNER, Passage.LEAVES_BOTH),
    Passage.LEAVES_OUTER: (Passage.NOBODY, Passage.LEAVES_OUTER, Passage.LOST, Passage.LEAVES_BOTH),
    Passage.LOST: (Passage.NOBODY, Passage.LOST, Passage.LOST, Passage.LOST),
}
_COUNTS = {(Passage.ENTERS_INNER, Beams.CLEAR): True, (Passage.LEAVES_OUTER, Beams.CLEAR): False}

TABLE: dict[tuple[Passage, Beams], tuple[Passage, bool | None]] = {
    (passage, beams): (then, _COUNTS.get((passage, beams)))
    for passage, row in _NEXT.items()
    for beams, then in zip(Beams, row, strict=True)
}
"""Passage and beams → passage, and whether somebody entered (True), left (False) or neither (None)."""


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """`at`: station time, seconds. `beam`: `OUTER` or `INNER`."""

    at: float
    beam: int
    is_interrupted: bool


def without_glitches(edges: Sequence[Edge]) -> list[Edge]:
    """The edges in the order of their times, without changes of one beam shorter than `GLITCH_S`."""
    kept: tuple[list[Edge], list[Edge]] = ([], [])
    for edge in sorted(edges):
        before = kept[edge.beam]
        if not before or edge.at - before[-1].at >= GLITCH_S:
            before.append(edge)
        elif edge.is_interrupted is not before[-1].is_interrupted:
            before.pop()
    return sorted((*kept[OUTER], *kept[INNER]))


def beams_of(is_interrupted: Sequence[bool]) -> Beams:
    """The beams' state from that of the outer and the inner one."""
    outer, inner = is_interrupted
    if outer:
        return Beams.BOTH if inner else Beams.OUTER
    return Beams.INNER if inner else Beams.CLEAR


class Counter(Protocol):
    """Something that counts people in the doorway."""

    def close(self) -> None:
        """Let go of the device; nothing is reported afterwards. Closing twice does nothing."""


OnCount = Callable[[float, bool], None]
"""`on_count(at, is_entering)`: one person, as he leaves the last beam; `at` in station time."""


class BeamPair:
    """A `Counter` on two pins: by default receivers that pull to ground while they see their light.

    So an interrupted beam, a cut wire and a receiver without power read high. `on_count` runs on this counter's thread
    some 0.1 s after the fact, and so do `on_failed(at, reason)`, once when a beam stays interrupted for `blocked_s`,
    swings without end or cannot be read, and `on_recovered(at)` once both are well. While one is interrupted nothing is
    counted. `on_died(worker, reason)`: the thread died of a mistake. Raises `PinError`.
    """

    def __init__(
        self,
        outer_pin: int,
        inner_pin: int,
        on_count: OnCount,
        *,
        interrupted_is_high: bool = True,
        pull: Pull = "up",
        blocked_s: float = 60.0,
        on_failed: Callable[[float, str], None] | None = None,
        on_recovered: Callable[[float], None] | None = None,
        on_died: Callable[[str, str], None] | None = None,
        pin_factory: Factory,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_count = on_count
        self._on_failed = on_failed
        self._on_recovered = on_recovered
        self._on_died = on_died
        self._interrupted_is_high = interrupted_is_high
        self._blocked_s = blocked_s
        self._clock = clock
        self._changed = threading.Condition()
        self._edges: deque[Edge] = deque(maxlen=_MAX_EDGES)
        self._has_overflown = False
        self._is_gone = False
        self._is_closed = False
        self._faults: dict[str, str] = {}
        self._latest: deque[float] = deque(maxlen=_MAX_IN_WINDOW)
        self._inputs: list[EdgeInput] = []
        try:
            for beam, pin in ((OUTER, outer_pin), (INNER, inner_pin)):
                self._inputs.append(self._open(beam, pin, pull, pin_factory))
        except BaseException:
            for each in self._inputs:
                each.close()
            raise
        self._levels = [False, False]
        self._since = [clock(), clock()]
        self._passage = Passage.NOBODY
        self._look()
        self._thread = threading.Thread(target=self._run, name=f"beams-{outer_pin}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """See `Counter`."""
        with self._changed:
            if self._is_closed:
                return
            self._is_closed = True
            self._changed.notify()
        for each in self._inputs:
            each.close()
        self._thread.join(_JOIN_S)
        if self._thread.is_alive():
            _logger.error("%s did not end in %s s: a receiver hangs", self._thread.name, _JOIN_S)

    def _open(self, beam: int, pin: int, pull: Pull, factory: Factory) -> EdgeInput:
        return EdgeInput(
            f"{_NAMES[beam]} beam",
            pin,
            pull=pull,
            on_edge=lambda at, is_high: self._edge_seen(beam, at, is_high),
            pin_factory=factory,
            clock=self._clock,
        )

    def _edge_seen(self, beam: int, at: float, is_high: bool | None) -> None:
        with self._changed:
            if is_high is None:
                self._is_gone = True
            else:
                self._has_overflown = self._has_overflown or len(self._edges) == _MAX_EDGES
                self._edges.append(Edge(at, beam, is_high is self._interrupted_is_high))
                self._latest.append(at)
            self._changed.notify()

    def _run(self) -> None:
        try:
            while (due := self._next_edges()) is not None:
                for edge in due:
                    self._take(edge)
                self._judge()
        except Exception as error:  # the border of this thread
            _logger.exception("a counter's thread died")
            if self._on_died is not None:
                self._on_died("beams", f"{type(error).__name__}: {error}")

    def _next_edges(self) -> list[Edge] | None:
        """The edges that are old enough to be in order; none when there is something to judge; None at the end."""
        with self._changed:
            self._changed.wait_for(self._has_news, self._rest_s())
            if self._edges:
                self._changed.wait_for(lambda: self._is_closed, _SETTLE_S)
            if self._is_closed:
                return None
            horizon = self._clock() - _SETTLE_S
            edges = without_glitches(self._edges)
            self._edges.clear()
            self._edges.extend(edge for edge in edges if edge.at > horizon)
            if self._has_overflown:
                self._edges.clear()
                return []
            return [edge for edge in edges if edge.at <= horizon]

    def _has_news(self) -> bool:
        return self._is_closed or bool(self._edges) or (self._is_gone and "gone" not in self._faults)

    def _rest_s(self) -> float | None:
        """Seconds to the next moment at which something is to be judged without an edge."""
        now = self._clock()
        ends = [since + self._blocked_s for level, since in zip(self._levels, self._since, strict=True) if level]
        ends = [end for end in ends if end > now]
        if "flicker" in self._faults:
            ends.append(now + _WINDOW_S)
        return max(0.0, min(ends) - now) if ends else None

    def _take(self, edge: Edge) -> None:
        if edge.is_interrupted is self._levels[edge.beam]:
            return
        self._levels[edge.beam] = edge.is_interrupted
        self._since[edge.beam] = edge.at
        self._passage, is_entering = TABLE[self._passage, beams_of(self._levels)]
        if is_entering is not None and "flicker" not in self._faults and not self._is_closed:
            self._on_count(edge.at, is_entering)

    def _look(self) -> None:
        """Take the beams as they are; who stands in them now is not counted."""
        for beam, each in enumerate(self._inputs):
            try:
                self._levels[beam] = each.is_high is self._interrupted_is_high
            except DeviceError:
                self._is_gone = True
        self._passage = Passage.NOBODY if beams_of(self._levels) is Beams.CLEAR else Passage.LOST

    def _judge(self) -> None:
        now = self._clock()
        faults = {}
        if self._is_gone:
            faults["gone"] = "the beams cannot be read: check the GPIO chip, then restart"
        for beam in (OUTER, INNER):
            if self._levels[beam] and now - self._since[beam] >= self._blocked_s:
                faults[f"blocked {beam}"] = (
                    f"the {_NAMES[beam]} beam has been interrupted for {self._blocked_s:g} s: "
                    "take away what stands in it, then check its power, its wire and its aim"
                )
        if len(self._latest) == _MAX_IN_WINDOW and now - self._latest[0] <= _WINDOW_S:
            faults["flicker"] = "a beam swings without end: check its aim, its power and the sun in its receiver"
        if self._has_overflown:
            self._has_overflown = False
            self._look()
        self._tell(now, faults)

    def _tell(self, now: float, faults: dict[str, str]) -> None:
        had, self._faults = self._faults, faults
        if self._is_closed:
            return
        if faults and not had and self._on_failed is not None:
            self._on_failed(now, next(iter(faults.values())))
        if had and not faults and self._on_recovered is not None:
            self._on_recovered(now)
