"""Which entries are on their way: in order, none left out, never too many."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from agent.core import outbox
from agent.core.outbox import RETRY_S, START, Limits, Outbox, Position
from agent.effects import Effect, MoveCursor, PublishEntries, ReadOutbox
from agent.events import LoggedEntry

LIMITS = Limits(window=4, entries_per_s=100.0)


def entry(position: Position) -> LoggedEntry:
    return LoggedEntry(
        *position, "station.started", "2026-11-22T03:04:05.678Z", "b", 0, "synchronised", "{}", "", "", ""
    )


def entries(*positions: Position) -> tuple[LoggedEntry, ...]:
    return tuple(entry(position) for position in positions)


def positions_of(orders: tuple[Effect, ...]) -> list[Position]:
    return [(e.epoch, e.sequence) for order in orders if isinstance(order, PublishEntries) for e in order.entries]


@dataclass
class Link:
    """The log, the rules of the outbox and a broker that may keep or lose what it is sent."""

    log: list[Position] = field(default_factory=list)
    state: Outbox = field(default_factory=Outbox)
    limits: Limits = LIMITS
    now: float = 0.0
    question: ReadOutbox | None = None
    sent: list[Position] = field(default_factory=list)
    moved: list[Position] = field(default_factory=list)

    def append(self, *positions: Position) -> None:
        self.log += positions
        for position in positions:
            self.state = outbox.logged(self.state, position)
        self.ask()

    def connect(self, session: str) -> None:
        self.state = outbox.connected(self.state, session, self.now, self.limits)
        self.sent = []
        self.ask()

    def disconnect(self) -> None:
        self.state = outbox.disconnected(self.state)

    def ask(self) -> None:
        self.state, orders = outbox.ask(self.state, self.now, self.limits)
        for order in orders:
            assert isinstance(order, ReadOutbox)
            assert self.question is None, "one question at a time"
            self.question = order

    def read(self) -> tuple[LoggedEntry, ...]:
        """What the log answers; the answer is not given yet."""
        assert self.question is not None
        after = (self.question.epoch, self.question.after)
        return entries(*[each for each in self.log if each > after][: self.question.limit])

    def answer(self, found: tuple[LoggedEntry, ...] | None = None) -> list[Position]:
        """Give the answer; returns what was handed to the broker."""
        found = self.read() if found is None else found
        self.question = None
        self.state, orders = outbox.take(self.state, found, self.now, self.limits)
        handed = positions_of(orders)
        self.sent += handed
        self.ask()
        return handed

    def acknowledge(self, position: Position, session: str | None = None) -> None:
        self.state, orders = outbox.acknowledge(self.state, session or self.state.session or "", position)
        self.moved += [(order.epoch, order.sequence) for order in orders if isinstance(order, MoveCursor)]
        self.ask()


def test_nothing_is_asked_for_before_there_is_a_link() -> None:
    link = Link()
    link.append((1, 1))
    assert link.question is None
    link.connect("s-1")
    assert link.question == ReadOutbox(0, 0, 4)


def test_the_window_bounds_what_is_in_flight_and_opens_with_each_acknowledgement() -> None:
    link = Link()
    link.append(*[(1, n) for n in range(1, 10)])
    link.connect("s-1")
    assert link.answer() == [(1, 1), (1, 2), (1, 3), (1, 4)]
    assert link.question is None
    link.now = 1.0
    link.acknowledge((1, 1))
    assert link.answer() == [(1, 5)]


def test_the_cursor_moves_over_acknowledged_entries_in_order_only() -> None:
    link = Link()
    link.append((1, 1), (1, 2), (1, 3))
    link.connect("s-1")
    link.answer()
    link.acknowledge((1, 2))
    link.acknowledge((1, 2))
    assert link.moved == []
    link.acknowledge((1, 1))
    assert link.moved == [(1, 2)]
    link.acknowledge((1, 3))
    assert link.moved == [(1, 2), (1, 3)]
    assert link.state.acknowledged_count == 3


def test_an_acknowledgement_of_another_session_or_of_nothing_sent_counts_for_nothing() -> None:
    link = Link()
    link.append((1, 1))
    link.connect("s-1")
    link.answer()
    link.acknowledge((1, 1), session="s-0")
    link.acknowledge((1, 2))
    assert link.moved == []
    assert link.state.cursor == START


def test_after_a_reconnect_everything_behind_the_cursor_goes_again() -> None:
    link = Link()
    link.append((1, 1), (1, 2), (1, 3))
    link.connect("s-1")
    link.answer()
    link.acknowledge((1, 1))
    link.disconnect()
    link.connect("s-2")
    assert link.answer() == [(1, 2), (1, 3)]


def test_what_a_new_epoch_leaves_behind_goes_first() -> None:
    link = Link(log=[(1, 1), (1, 2), (1, 3)], state=Outbox(newest=(1, 3), cursor=(1, 1)))
    link.append((2, 1))
    link.connect("s-1")
    assert link.question == ReadOutbox(1, 1, 4)
    assert link.answer() == [(1, 2), (1, 3), (2, 1)]
    for position in ((1, 2), (1, 3), (2, 1)):
        link.acknowledge(position)
    assert link.state.cursor == (2, 1)


def test_the_answer_to_an_earlier_sessions_question_leaves_nothing_out() -> None:
    link = Link(limits=replace(LIMITS, window=2))
    link.append(*[(1, n) for n in range(1, 6)])
    link.connect("s-1")
    link.answer()
    link.now = 1.0
    link.acknowledge((1, 1))
    late = link.read()
    assert late == entries((1, 3))
    link.disconnect()
    link.connect("s-2")
    assert link.answer(late) == []
    assert link.answer() == [(1, 2), (1, 3)]


def test_an_answer_while_the_link_is_down_is_dropped_and_asked_for_again() -> None:
    link = Link()
    link.append((1, 1))
    link.connect("s-1")
    link.disconnect()
    assert link.answer() == []
    link.connect("s-2")
    assert link.answer() == [(1, 1)]


def test_a_read_that_fails_passes_over_nothing_and_is_tried_again_later() -> None:
    link = Link()
    link.append((1, 1), (1, 2))
    link.connect("s-1")
    assert link.answer(()) == []
    assert link.question is None
    assert link.state.deadline(LIMITS) == RETRY_S
    link.append((1, 3))
    assert link.question is None
    link.now = RETRY_S
    link.ask()
    assert link.answer() == [(1, 1), (1, 2), (1, 3)]


def test_a_log_that_was_pruned_to_the_end_does_not_stop_what_comes_after() -> None:
    link = Link(state=Outbox(newest=(1, 9), cursor=(1, 5)))
    link.connect("s-1")
    assert link.answer() == []
    link.append((1, 10))
    link.now = RETRY_S
    link.ask()
    assert link.answer() == [(1, 10)]
    link.acknowledge((1, 10))
    assert link.state.cursor == (1, 10)


def test_more_than_was_asked_for_is_not_sent() -> None:
    link = Link()
    link.append(*[(1, n) for n in range(1, 10)])
    link.connect("s-1")
    assert link.answer(entries(*link.log)) == link.log[:4]
    link.now = 1.0
    link.acknowledge((1, 1))
    assert link.answer() == [(1, 5)]


def test_the_rate_bounds_a_backlog_and_says_when_it_goes_on() -> None:
    link = Link(limits=Limits(window=100, entries_per_s=2.0))
    link.append(*[(1, n) for n in range(1, 10)])
    link.connect("s-1")
    assert link.answer() == [(1, 1), (1, 2)]
    assert link.question is None
    assert link.state.deadline(link.limits) == 0.5
    link.now = 0.5
    link.ask()
    assert link.answer() == [(1, 3)]


def test_without_a_bound_only_the_window_holds_a_backlog_back() -> None:
    link = Link(limits=Limits(window=100, entries_per_s=None))
    link.append(*[(1, n) for n in range(1, 1001)])
    link.connect("s-1")
    while link.question is not None:
        for position in link.answer():
            link.acknowledge(position)
    assert link.state.cursor == (1, 1000)
    assert link.now == 0.0


def test_the_log_is_not_asked_for_single_entries_while_the_window_is_nearly_full() -> None:
    link = Link(limits=Limits(window=20, entries_per_s=None))
    link.append(*[(1, n) for n in range(1, 101)])
    link.connect("s-1")
    sent = link.answer()
    for position in sent[:4]:
        link.acknowledge(position)
    assert link.question is None
    assert link.state.deadline(link.limits) is None
    link.acknowledge(sent[4])
    assert link.answer() == [(1, n) for n in range(21, 26)]


def test_a_run_of_acknowledgements_counts_as_each_of_them() -> None:
    state = outbox.connected(Outbox(newest=(1, 3)), "s-1", 0.0, LIMITS)
    state, _ = outbox.take(replace(state, is_reading=True), entries((1, 1), (1, 2), (1, 3)), 0.0, LIMITS)
    state, orders = outbox.acknowledge(state, "s-1", (1, 2), (1, 3), (1, 9))
    assert orders == ()
    state, orders = outbox.acknowledge(state, "s-1", (1, 1), (1, 3))
    assert orders == (MoveCursor(1, 3),)
    assert (state.in_flight, state.acknowledged, state.acknowledged_count) == ((), frozenset(), 3)


@given(rate=st.floats(0.1, 1000), start=st.floats(0, 1e7))
def test_at_its_deadline_the_outbox_asks(rate: float, start: float) -> None:
    link = Link(limits=Limits(window=10, entries_per_s=rate), now=start)
    link.append(*[(1, n) for n in range(1, 100)])
    link.connect("s-1")
    for _ in range(5):
        while link.question is not None:
            for position in link.answer():
                link.acknowledge(position)
        deadline = link.state.deadline(link.limits)
        assert deadline is not None
        assert deadline >= link.now
        link.now = deadline
        link.ask()
        assert link.question is not None


class Interleavings(RuleBasedStateMachine):
    """Any order of entries, links, losses, answers and acknowledgements."""

    answers = Bundle("answers")

    @initialize()
    def begin(self) -> None:
        self.link = Link()
        self.sessions = 0
        self.delivered: set[Position] = set()

    @rule(count=st.integers(1, 6))
    def entries_are_logged(self, count: int) -> None:
        epoch, sequence = self.link.state.newest
        self.link.append(*[(max(1, epoch), sequence + n) for n in range(1, count + 1)])

    @rule()
    def a_new_epoch_begins(self) -> None:
        self.link.append((self.link.state.newest[0] + 1, 1))

    @rule()
    def the_link_comes_up(self) -> None:
        self.sessions += 1
        self.link.connect(f"s-{self.sessions}")

    @rule()
    def the_link_goes_down(self) -> None:
        self.link.disconnect()

    @rule(seconds=st.floats(0, 10))
    def time_passes(self, seconds: float) -> None:
        self.link.now += seconds
        self.link.ask()

    @rule(works=st.booleans())
    def the_log_answers(self, works: bool) -> None:
        if self.link.question is not None:
            self.link.answer(None if works else ())

    @rule(choice=st.randoms(use_true_random=False), old=st.booleans())
    def the_broker_acknowledges(self, choice: object, old: bool) -> None:
        if self.link.sent:
            position = self.link.sent[choice.randrange(len(self.link.sent))]  # type: ignore[attr-defined]
            if not old and self.link.state.session is not None:
                self.delivered.add(position)
            self.link.acknowledge(position, "s-0" if old else None)

    @invariant()
    def the_window_is_never_exceeded(self) -> None:
        if hasattr(self, "link"):
            assert len(self.link.state.in_flight) <= LIMITS.window

    @invariant()
    def one_session_sends_the_log_in_order_and_without_a_gap(self) -> None:
        if hasattr(self, "link") and self.link.sent:
            first = self.link.log.index(self.link.sent[0])
            assert self.link.sent == self.link.log[first : first + len(self.link.sent)]

    @invariant()
    def the_cursor_passes_over_nothing_that_was_not_delivered(self) -> None:
        if hasattr(self, "link"):
            behind = {position for position in self.link.log if position <= self.link.state.cursor}
            assert behind <= self.delivered
            assert self.link.moved == sorted(set(self.link.moved))

    def teardown(self) -> None:
        """With a link that lasts, everything arrives."""
        if not hasattr(self, "link"):
            return
        link = self.link
        link.connect("s-last")
        for _ in range(4 * len(link.log) + 10):
            if link.question is not None:
                link.answer()
            for position in link.state.in_flight:
                self.delivered.add(position)
                link.acknowledge(position)
            link.now += RETRY_S
            link.ask()
        assert link.state.cursor == (link.log[-1] if link.log else START)
        assert self.delivered == set(link.log)


TestInterleavings = Interleavings.TestCase
