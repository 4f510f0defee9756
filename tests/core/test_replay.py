"""`log.replay` from the command to its end, as the whole station goes about it."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core.replaying import PATIENCE_S, READ_S
from agent.effects import MoveCursor, PublishReply, ReadEntries, ReplayEntries
from agent.events import (
    Actor,
    BrokerConnected,
    BrokerDisconnected,
    EntriesRead,
    EntryReplayed,
    LogPlace,
    PauseSkipped,
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


@pytest.mark.parametrize("event", [BrokerDisconnected(0.0, "cut"), BrokerConnected(0.0, "s-2")])
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
    play.put(BrokerDisconnected(play.now, "cut"))
    play.ask("log.replay", actor=Actor("local", "root", "administrator"), request="r-2", **RANGE)
    assert play.problem_codes("r-2") == ["broker.disconnected"]


def test_no_answer_is_given_twice() -> None:
    play = connected()
    ask(play, first=21, last=30)
    assert statuses(play) == ["accepted", "done"]
    assert replies(play)[-1].result["beyond"] == [21, 30]
    play.wait(2 * PATIENCE_S)
    assert len([each for each in play.found(PublishReply) if each.command == "c-1"]) == 2
