"""What goes once more: exactly what was asked for and is there, after all that is new, and never past the cursor."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core import outbox, replaying
from agent.core.outbox import Limits, Outbox
from agent.core.replaying import MAX_ENTRIES, MAX_HOLES, PATIENCE_S, READ_S, Replay, Stuck
from agent.effects import Effect, PublishEntries, ReadEntries, ReadOutbox, ReplayEntries
from agent.events import LoggedEntry, LogPlace
from tests.core.test_outbox import entries

LIMITS = Limits(window=20, entries_per_s=50.0)


@dataclass
class Sender:
    """A log, the rules of both ways out of it, and a broker that acknowledges when it is told to."""

    newest: int = 40
    cursor: int = 40
    pruned: int = 0
    limits: Limits = LIMITS
    now: float = 100.0
    state: Outbox = field(default_factory=Outbox)
    replay: Replay | None = None
    is_asked: bool = False
    question: ReadEntries | None = None
    new: list[int] = field(default_factory=list)
    again: list[int] = field(default_factory=list)
    sent_at: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        fresh = Outbox(newest=(1, self.newest), cursor=(1, self.cursor))
        self.state = outbox.connected(fresh, "s-1", self.now, self.limits)

    def begin(self, first: int, last: int, epoch: int = 1) -> Replay:
        self.replay = replaying.begin("r-1", "s-1", epoch, first, last, self.state.cursor, self.now)
        self.ask()
        return self.replay

    def append(self, count: int) -> None:
        self.newest += count
        self.state = outbox.logged(self.state, (1, self.newest))
        self.ask()

    def ask(self) -> None:
        self.state, orders = outbox.ask(self.state, self.now, self.limits)
        self.carry_out(orders)
        if self.replay is not None:
            self.replay, self.state, orders = replaying.ask(self.replay, self.state, self.now, self.limits)
            self.carry_out(orders)

    def carry_out(self, orders: tuple[Effect, ...]) -> None:
        for order in orders:
            match order:
                case ReadOutbox():
                    self.is_asked = True
                case ReadEntries():
                    assert self.state.sent >= self.state.newest, "what is new goes first"
                    self.question = order
                case PublishEntries(_, found):
                    self.new += [each.sequence for each in found]
                    self.sent_at += [self.now] * len(found)
                case ReplayEntries(_, _, found):
                    self.again += [each.sequence for each in found]
                    self.sent_at += [self.now] * len(found)

    def answer_outbox(self) -> None:
        after, self.is_asked = self.state.sent[1], False
        found = entries(*[(1, n) for n in range(max(after, self.pruned) + 1, self.newest + 1)])
        self.state, orders = outbox.take(self.state, found, self.now, self.limits)
        self.carry_out(orders)
        self.ask()

    def page(self) -> tuple[LoggedEntry, ...]:
        """What the log has for the question."""
        asked = self.question
        assert asked is not None
        first = max(asked.after, self.pruned) + 1
        last = min(asked.last, self.newest, first + asked.limit - 1)
        return entries(*[(asked.epoch, n) for n in range(first, last + 1)])

    def answer(self) -> list[int]:
        """Give a page; returns what went to the link."""
        assert self.replay is not None
        page, before = self.page(), len(self.again)
        self.question = None
        anchor = LogPlace(1, self.pruned, "ab" * 32) if self.pruned else None
        self.replay, self.state, orders = replaying.take(self.replay, self.state, page, anchor, self.now)
        self.carry_out(orders)
        self.ask()
        return self.again[before:]

    def acknowledge(self, sequence: int) -> None:
        assert self.replay is not None
        self.replay = replaying.acknowledge(self.replay, 1, sequence, self.now)
        self.ask()

    def finish(self) -> Replay:
        """With a disk and a broker that answer."""
        assert self.replay is not None
        for _ in range(10_000):
            if self.replay.is_done:
                return self.replay
            if self.is_asked:
                self.answer_outbox()
            for position in self.state.in_flight:
                self.state, _ = outbox.acknowledge(self.state, "s-1", position)
            if self.question is not None:
                self.answer()
            for sequence in sorted(self.replay.in_flight):
                self.acknowledge(sequence)
            self.now += 0.05
            self.ask()
        raise AssertionError("it never ends")


def test_what_was_asked_for_goes_in_order_and_is_done_when_the_last_of_it_is_acknowledged() -> None:
    sender = Sender()
    sender.begin(3, 9)
    assert sender.question == ReadEntries("r-1#1", 1, 2, 9, 5)
    assert sender.answer() == [3, 4, 5, 6, 7]
    assert sender.question == ReadEntries("r-1#2", 1, 7, 9, 2)
    assert sender.answer() == [8, 9]
    for sequence in (9, 3, 4, 5, 6, 7):  # a broker may acknowledge in any order
        sender.acknowledge(sequence)
        assert sender.replay is not None
        assert not sender.replay.is_done
    assert sender.finish().result() == {
        "epoch": 1,
        "first": 3,
        "last": 9,
        "sent": 7,
        "from": 3,
        "to": 9,
        "missing": [],
        "pruned": None,
        "beyond": None,
    }


def test_nothing_goes_that_the_cursor_has_not_passed() -> None:
    sender = Sender(newest=40, cursor=35)
    sender.begin(30, 50)
    assert sender.question is None, "five entries are new and go first"
    replay = sender.finish()
    assert sender.again == [30, 31, 32, 33, 34, 35]
    assert sorted(sender.new) == [36, 37, 38, 39, 40]
    assert replay.result()["beyond"] == [36, 50]


@pytest.mark.parametrize(("epoch", "first"), [(1, 36), (1, 1_000), (2, 1)])
def test_what_is_wholly_beyond_the_cursor_is_done_at_once_with_nothing(epoch: int, first: int) -> None:
    sender = Sender(cursor=35)
    replay = sender.begin(first, first + 5, epoch)
    assert replay.is_done
    assert sender.question is None
    assert (replay.result()["sent"], replay.result()["beyond"]) == (0, [first, first + 5])


def test_what_was_pruned_is_named_with_the_place_that_the_chain_goes_on_from() -> None:
    sender = Sender(pruned=12)
    sender.begin(5, 20)
    replay = sender.finish()
    assert sender.again == list(range(13, 21))
    found = replay.result()
    assert (found["sent"], found["from"], found["to"], found["missing"]) == (8, 13, 20, [[5, 12]])
    assert found["pruned"] == {"epoch": 1, "sequence": 12, "hash": "ab" * 32}


def test_pruning_that_took_nothing_of_what_was_asked_for_is_not_mentioned() -> None:
    sender = Sender(pruned=12)
    sender.begin(13, 14)
    assert sender.finish().result()["pruned"] is None


def test_what_goes_between_two_pages_is_missing_and_said() -> None:
    sender = Sender()
    sender.begin(1, 20)
    sender.answer()
    sender.pruned = 8
    sender.now += 1.0
    replay = sender.finish()
    assert sender.again == [1, 2, 3, 4, 5, *range(9, 21)]
    assert replay.result()["missing"] == [[6, 8]]
    assert replay.result()["pruned"]["sequence"] == 8


def test_a_former_epoch_ends_where_the_station_has_no_more_of_it() -> None:
    sender = Sender(newest=40)
    sender.state = outbox.connected(Outbox(newest=(2, 3), cursor=(2, 3)), "s-1", sender.now, sender.limits)
    sender.begin(36, 60)
    replay = sender.finish()
    assert sender.again == [36, 37, 38, 39, 40]
    assert replay.result()["missing"] == [[41, 60]]


def test_more_than_is_allowed_at_one_time_is_cut() -> None:
    sender = Sender(newest=50_000, cursor=50_000)
    assert sender.begin(1, 50_000).last == MAX_ENTRIES


def test_holes_that_are_named_have_a_bound() -> None:
    replay = replaying.begin("r-1", "s-1", 1, 1, 1_000, (1, 1_000), 0.0)
    odd = entries(*[(1, n) for n in range(2, 200, 2)])
    replay, _, _ = replaying.take(replay, Outbox(), odd, None, 0.0)
    assert len(replay.holes) == MAX_HOLES


# --- beside what is new ----------------------------------------------------------------------------------------------


def test_an_entry_of_now_finds_half_of_the_rate_and_half_of_the_window() -> None:
    sender = Sender(newest=1_000, cursor=1_000)
    sender.begin(1, 1_000)
    while sender.question is not None:
        sender.answer()
    assert len(sender.again) == 10
    assert sender.state.allowance >= 10
    sender.append(5)
    assert sender.is_asked
    sender.answer_outbox()
    assert sender.new == [1001, 1002, 1003, 1004, 1005]


def test_a_replay_waits_for_the_backlog_and_goes_on_after_it() -> None:
    sender = Sender(newest=1_000, cursor=500)
    sender.begin(1, 20)
    sender.finish()
    assert sender.new == list(range(501, 1_001))
    assert sender.again == list(range(1, 21))


@settings(max_examples=50)
@given(rate=st.integers(1, 1000), window=st.integers(1, 1000), count=st.integers(1, 60), seed=st.integers(0, 2**16))
def test_both_together_keep_to_the_rate_and_nothing_is_left_out(rate: int, window: int, count: int, seed: int) -> None:
    limits = Limits(window, float(rate))
    random = Random(seed)
    sender = Sender(newest=200, cursor=200, limits=limits)
    first = random.randint(1, 60)
    sender.begin(first, first + count - 1)
    began = sender.now
    for _ in range(5_000):
        assert sender.replay is not None
        if sender.replay.is_done and sender.state.sent >= sender.state.newest:
            break
        match random.randrange(5):
            case 0 if sender.newest < 250:
                sender.append(random.randint(1, 3))
            case 1 if sender.is_asked:
                sender.answer_outbox()
            case 2 if sender.question is not None:
                sender.answer()
            case 3 if sender.replay.in_flight:
                sender.acknowledge(random.choice(sorted(sender.replay.in_flight)))
            case 4 if sender.state.in_flight:
                sender.state, _ = outbox.acknowledge(sender.state, "s-1", random.choice(sender.state.in_flight))
                sender.ask()
            case _:
                sender.now += random.uniform(0, 10 / rate)
                sender.ask()
        assert len(sender.replay.in_flight) <= max(1, window // 2)
    assert sender.again == list(range(first, first + count))
    assert sender.new == list(range(201, sender.newest + 1))
    # A page that was asked for may go beside entries that were asked for meanwhile: one page and one burst at most.
    most = 2 * min(window, rate) + 2
    for index, at in enumerate(sender.sent_at):
        assert index + 1 <= most + (at - began) * rate


def test_without_a_bound_on_the_rate_the_window_alone_bounds_a_replay() -> None:
    sender = Sender(newest=1_000, cursor=1_000, limits=Limits(20, None))
    sender.begin(1, 1_000)
    for _ in range(2):
        sender.answer()
    assert sender.question is None, "half of the window"
    for sequence in tuple(sender.again):
        sender.acknowledge(sequence)
    assert sender.question is not None
    assert sender.finish().count == 1_000


@given(rate=st.integers(1, 1000), window=st.integers(1, 1000), start=st.floats(0, 1e7))
def test_at_its_deadline_a_replay_asks_or_has_failed(rate: int, window: int, start: float) -> None:
    sender = Sender(newest=50_000, cursor=50_000, limits=Limits(window, float(rate)), now=start)
    sender.begin(1, 10_000)
    for _ in range(5):
        while sender.question is not None:
            for sequence in sender.answer():
                sender.acknowledge(sequence)
        assert sender.replay is not None
        deadline = sender.replay.deadline(sender.state, sender.limits)
        assert sender.now <= deadline < sender.replay.until
        sender.now = deadline
        sender.ask()
        assert sender.question is not None


# --- when nothing moves ----------------------------------------------------------------------------------------------


def test_a_replay_knows_what_it_waits_for_and_for_how_long() -> None:
    sender = Sender()
    replay = sender.begin(1, 3)
    assert (replay.stuck, replay.until) == (Stuck.DISK, sender.now + READ_S)
    sender.now += 1.0
    sender.answer()
    assert sender.replay is not None
    assert (sender.replay.stuck, sender.replay.until) == (Stuck.BROKER, sender.now + PATIENCE_S)
    sender.now += 1.0
    sender.acknowledge(2)
    assert sender.replay.until == sender.now + PATIENCE_S
    sender.acknowledge(2)  # a second PUBACK is nothing
    assert sender.replay.count == 1
    waiting = Sender(newest=100, cursor=1).begin(1, 1)
    assert waiting.stuck is Stuck.BACKLOG
