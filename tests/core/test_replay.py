"""`log.replay` from the command to its end, as the whole station goes about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.problems import Words
from agent.core.replaying import PATIENCE_S, READ_S
from agent.effects import AppendEntry, MoveCursor, PublishReply, ReadEntries, ReplayEntries
from agent.events import (
    Actor,
    BrokerConnected,
    BrokerDisconnected,
    EntriesAcknowledged,
    EntriesLogged,
    EntriesRead,
    EntryReplayed,
    LogPlace,
    OutboxRead,
    PauseSkipped,
    Receipt,
    Restored,
)
from tests.core.station_play import VIEWER, Play, begin
from tests.core.test_commands import replies, send, statuses
from tests.core.test_outbox import entries

RANGE: dict[str, Any] = {"epoch": 1, "first": 3, "last": 6}


def connected(cursor: int = 20) -> Play:
    """A station whose log the broker has already up to the cursor."""
    play = begin(restored=Restored(cursor=(1, cursor), newest=(1, cursor)))
    play.connect("s-1")
    play.take()
    return play


def ask(play: Play, command: str = "c-1", **arguments: Any) -> None:
    send(play, "log.replay", command, arguments={**RANGE, **arguments})


def answer(play: Play, *sequences: int, anchor: LogPlace | None = None) -> None:
    question = play.found(ReadEntries)[-1]
    page = entries(*[(question.epoch, each) for each in sequences])
    play.put(EntriesRead(play.now, question.question, page, anchor))


def test_a_replay_is_accepted_and_done_when_the_broker_has_the_last_entry() -> None:
    play = connected()
    ask(play)
    answer(play, 3, 4, 5, 6)
    (sent,) = play.found(ReplayEntries)
    assert (sent.session, [each.sequence for each in sent.entries]) == ("s-1", [3, 4, 5, 6])
    for sequence in (3, 4, 5):
        play.put(EntryReplayed(play.now, sent.request, 1, sequence))
    assert statuses(play) == ["accepted"]
    play.put(EntryReplayed(play.now, sent.request, 1, 6))
    assert statuses(play) == ["accepted", "done"]
    result = replies(play)[-1].result
    assert (result["sent"], result["from"], result["to"]) == (4, 3, 6)
    assert play.state.replay is None
    assert play.state.outbox.cursor == (1, 20)
    assert play.found(MoveCursor) == []


def test_one_replay_at_a_time() -> None:
    play = connected()
    ask(play)
    ask(play, "c-2")
    assert statuses(play, "c-2") == ["accepted", "failed: request.busy"]
    answer(play, 3, 4, 5, 6)
    for sequence in (3, 4, 5, 6):
        play.put(EntryReplayed(play.now, "command:c-1", 1, sequence))
    ask(play, "c-3")
    assert statuses(play, "c-1")[-1] == "done"
    assert statuses(play, "c-3") == ["accepted"]


@pytest.mark.parametrize("event", [BrokerDisconnected(0.0, Words("cut", "cut")), BrokerConnected(0.0, "s-2")])
def test_a_session_that_ends_ends_the_replay_with_what_was_sent_so_far(
    event: BrokerConnected | BrokerDisconnected,
) -> None:
    play = connected()
    ask(play)
    answer(play, 3, 4, 5, 6)
    play.put(EntryReplayed(play.now, "command:c-1", 1, 3))
    play.put(event, now=play.now)
    assert statuses(play)[-1] == "failed: broker.disconnected"
    assert replies(play)[-1].result["sent"] == 1
    play.put(EntryReplayed(play.now, "command:c-1", 1, 4))  # late, and of nobody
    answer(play, 3)
    assert len(statuses(play)) == 2
    assert len(play.found(ReplayEntries)) == 1


def test_a_disk_that_cannot_be_read_ends_it() -> None:
    play = connected()
    ask(play)
    (question,) = play.found(ReadEntries)
    play.put(EntriesRead(play.now, question.question, error="disk I/O error"))
    assert statuses(play)[-1] == "failed: storage.failed"


def test_a_disk_that_does_not_answer_ends_it_in_time_and_its_late_answer_is_nothing() -> None:
    play = connected()
    ask(play)
    play.wait(READ_S)
    assert statuses(play)[-1] == "failed: storage.failed"
    answer(play, 3, 4, 5, 6)
    assert play.found(ReplayEntries) == []


def test_a_broker_that_does_not_acknowledge_ends_it_in_time() -> None:
    play = connected()
    ask(play)
    answer(play, 3, 4, 5, 6)
    play.wait(PATIENCE_S)
    assert statuses(play)[-1] == "failed: request.timed_out"


def test_a_backlog_that_does_not_end_ends_it_in_time() -> None:
    play = begin(restored=Restored(cursor=(1, 10), newest=(1, 20)))
    play.connect("s-1")
    ask(play)
    play.wait(PATIENCE_S)
    assert statuses(play)[-1] == "failed: request.busy"
    assert play.found(ReadEntries) == []


def test_time_that_jumps_ahead_ends_no_replay() -> None:
    play = connected()
    ask(play)
    play.put_late(play.now + 1_000.0, PauseSkipped(play.now + 1_000.0, 1_000.0))
    assert statuses(play) == ["accepted"]


def test_an_entry_that_cannot_go_ends_it_and_is_named() -> None:
    play = connected()
    ask(play)
    answer(play, 3, 4, 5, 6)
    play.put(EntryReplayed(play.now, "command:c-1", 1, 3, "quota exceeded"))
    assert statuses(play)[-1] == "failed: log.not_taken"


def test_an_epoch_that_never_was_fails_and_one_that_is_gone_is_done_with_nothing() -> None:
    play = begin(restored=Restored(cursor=(3, 20), newest=(3, 20)))
    play.connect("s-1")
    ask(play, epoch=4)
    assert statuses(play) == ["accepted", "failed: log.unknown_epoch"]
    ask(play, "c-2", epoch=2)
    answer(play, anchor=LogPlace(3, 9, "ab" * 32))
    assert statuses(play, "c-2")[-1] == "done"
    result = replies(play, "c-2")[-1].result
    assert (result["sent"], result["missing"]) == (0, [[3, 6]])
    assert result["pruned"] == {"epoch": 3, "sequence": 9, "hash": "ab" * 32}


def test_while_the_log_is_not_open_nothing_is_promised() -> None:
    play = begin(restored=Restored(is_read=False))
    play.connect("s-1")
    ask(play)
    assert statuses(play) == ["accepted", "failed: storage.failed"]


def test_on_the_stations_own_socket_it_takes_an_administrator_and_a_link() -> None:
    play = connected()
    play.ask("log.replay", actor=VIEWER)
    assert play.problem_codes() == ["request.forbidden"]
    play.put(BrokerDisconnected(play.now, Words("cut", "cut")))
    play.ask("log.replay", actor=Actor("local", "root", "administrator"), request="r-2", **RANGE)
    assert play.problem_codes("r-2") == ["broker.disconnected"]


def test_no_answer_is_given_twice() -> None:
    play = connected()
    ask(play, first=21, last=30)
    assert statuses(play) == ["accepted", "done"]
    assert replies(play)[-1].result["beyond"] == [21, 30]
    play.wait(2 * PATIENCE_S)
    assert len([each for each in play.found(PublishReply) if each.command == "c-1"]) == 2


# --- whatever happens ------------------------------------------------------------------------------------------------

PRUNED, NEWEST = 12, 60
ANCHOR = LogPlace(1, PRUNED, "ab" * 32)


class Exchange:
    """A station with its disk and broker, which answer in any order, late, wrongly or not at all."""

    def __init__(self) -> None:
        self.play = begin(restored=Restored(cursor=(1, NEWEST), newest=(1, NEWEST)))
        self.sessions = self.commands = 0
        self.answered: set[str] = set()
        self.acknowledged: set[tuple[str, int]] = set()
        self.connect()

    def connect(self) -> None:
        self.sessions += 1
        self.play.connect(f"s-{self.sessions}")

    def command(self, name: str, **arguments: Any) -> None:
        self.commands += 1
        session = self.play.state.session or "none"
        send(self.play, name, f"c-{self.commands}", arguments=arguments, session=session)

    def replay(self, number: int) -> None:
        self.command("log.replay", epoch=1 + number // 50, first=1 + number, last=1 + number + number % 17)

    def confirm(self, number: int) -> None:
        self.command("log.confirm", epoch=1, sequence=1 + number, hash=("" if number % 3 else "cd") * 32)

    def read(self, number: int) -> None:
        asked = [each for each in self.play.found(ReadEntries) if each.question not in self.answered]
        if not asked:
            return
        order = asked[-1 if number % 3 else 0]
        self.answered.add(order.question)
        if number % 7 == 0:
            self.play.put(EntriesRead(self.play.now, order.question, error="it cannot be read"))
            return
        first = max(order.after, PRUNED) + 1
        last = min(order.last, first + order.limit - 1)
        page = entries(*[(1, each) for each in range(first, last + 1)]) if order.epoch == 1 else ()
        self.play.put(EntriesRead(self.play.now, order.question, page, ANCHOR))

    def acknowledge(self, number: int) -> None:
        sent = [(order.request, each.sequence) for order in self.play.found(ReplayEntries) for each in order.entries]
        for request, sequence in sent[-1 - number % 5 :] if number % 2 else sent:
            self.acknowledged.add((request, sequence))
            error = "quota exceeded" if number == 59 else ""
            self.play.put(EntryReplayed(self.play.now, request, 1, sequence, error))

    def outbox(self, number: int) -> None:
        state = self.play.state.outbox
        if state.is_reading and number % 5:
            found = entries(*[(1, each) for each in range(state.sent[1] + 1, state.newest[1] + 1)])
            self.play.put(OutboxRead(self.play.now, found))
        if places := self.play.state.outbox.in_flight:
            self.play.put(EntriesAcknowledged(self.play.now, self.play.state.session or "", places))

    def go_on(self, number: int) -> None:
        """Everybody does their part for a while."""
        for _ in range(1 + number % 4):
            self.write(number)
            self.outbox(1)
            self.read(1)
            self.acknowledge(0)
            self.play.wait(0.2)

    def write(self, _number: int) -> None:
        logged = self.play.found(AppendEntry)
        done = self.play.state.entries_logged
        receipts = tuple(Receipt(1, NEWEST + done + n, each.tag) for n, each in enumerate(logged[done:], 1))
        if receipts:
            self.play.put(EntriesLogged(self.play.now, receipts))


STEPS: dict[str, Callable[[Exchange, int], None]] = {
    "replay": Exchange.replay,
    "confirm": Exchange.confirm,
    "read": Exchange.read,
    "acknowledge": Exchange.acknowledge,
    "write": Exchange.write,
    "outbox": Exchange.outbox,
    "go on": Exchange.go_on,
    "connect": lambda world, _: world.connect(),
    "disconnect": lambda world, _: world.play.put(BrokerDisconnected(world.play.now, Words("cut", "cut"))),
    "wait": lambda world, number: world.play.wait(number / 20),
}


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(st.sampled_from([*STEPS, "replay", "go on", "go on", "go on", "go on"]), st.integers(0, 59)),
        min_size=5,
        max_size=60,
    )
)
def test_every_replay_has_one_true_end_whatever_happens(steps: Sequence[tuple[str, int]]) -> None:
    world, confirmed = Exchange(), (0, 0)
    play = world.play
    for name, number in steps:
        STEPS[name](world, number)
        assert play.state.confirmed >= confirmed, "it never goes back"
        confirmed = play.state.confirmed
    play.wait(2 * PATIENCE_S)
    ends = [body["id"] for body in play.logged("command.ended")]
    assert sorted(ends) == sorted(body["id"] for body in play.logged("command.accepted"))
    for order in play.found(ReadEntries):
        assert (order.epoch, order.last) <= play.state.outbox.cursor
    for reply in play.found(PublishReply):
        if reply.status == "done" and "sent" in reply.result:
            check_result(world, reply)


def check_result(world: Exchange, reply: PublishReply) -> None:
    """What is said to be sent was acknowledged, and with what is missing or beyond it makes up the whole range."""
    result = reply.result
    sent = {sequence for request, sequence in world.acknowledged if request == f"command:{reply.command}"}
    missing = {each for first, last in result["missing"] for each in range(first, last + 1)}
    beyond = set(range(result["beyond"][0], result["beyond"][1] + 1)) if result["beyond"] else set()
    assert result["sent"] == len(sent)
    assert sent | missing | beyond == set(range(result["first"], result["last"] + 1))
    assert len(sent) + len(missing) + len(beyond) == result["last"] - result["first"] + 1
    assert missing == {each for each in range(result["first"], result["last"] + 1) if each <= PRUNED}
    assert (result["pruned"] is None) is (not missing)
