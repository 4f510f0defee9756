"""`log.confirm`: the server's word counts for the very entry that stands here, and never goes back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.core.publication import parts
from agent.effects import CONFIRMED, AppendEntry, ReadEntries
from agent.events import EntriesRead, LogPlace, Restored, StorageOpened
from tests.core.station_play import Play, begin
from tests.core.test_commands import noted, replies, send, statuses, write
from tests.core.test_outbox import entries

HASH, OTHER = "ab" * 32, "cd" * 32


def connected(epoch: int = 1, cursor: int = 20, **known: Any) -> Play:
    play = begin(restored=Restored(cursor=(epoch, cursor), newest=(epoch, cursor + 5), **known))
    play.connect("s-1")
    play.take()
    return play


def confirm(play: Play, command: str = "c-1", **place: Any) -> None:
    send(play, "log.confirm", command, arguments={"epoch": 1, "sequence": 9, "hash": HASH, **place})


def answer(play: Play, hash_: str | None = HASH, *, anchor: LogPlace | None = None) -> None:
    """What the log has at the place that was asked for; None: nothing."""
    asked = play.found(ReadEntries)[-1]
    page = () if hash_ is None else (replace(entries((asked.epoch, asked.last))[0], hash=hash_),)
    play.put(EntriesRead(play.now, asked.question, page, anchor))


def shown(play: Play) -> object:
    return parts(play.state, play.rules, play.now)["health"]["confirmed"]


def confirmed(play: Play, command: str = "c-1", **place: Any) -> None:
    """To the end."""
    confirm(play, command, **place)
    answer(play)
    write(play)


def test_it_is_done_once_it_is_durable_and_shown() -> None:
    play = connected()
    assert shown(play) is None
    confirm(play)
    assert play.found(ReadEntries) == [ReadEntries("command:c-1", 1, 8, 9, 1)]
    answer(play)
    assert statuses(play) == ["accepted"]
    write(play)
    assert statuses(play) == ["accepted", "done"]
    assert replies(play)[-1].result["confirmed"] == {"epoch": 1, "sequence": 9}
    assert shown(play) == {"epoch": 1, "sequence": 9}
    assert play.logged("log.confirmed") == [{"epoch": 1, "sequence": 9, "hash": HASH}]
    assert noted(play)[CONFIRMED] == {"log": {"epoch": 1, "sequence": 9, "hash": HASH}}


@pytest.mark.parametrize("place", [(1, 21), (2, 1)])
def test_nothing_counts_that_the_broker_has_not_acknowledged(place: tuple[int, int]) -> None:
    play = connected()
    confirm(play, epoch=place[0], sequence=place[1])
    assert statuses(play) == ["accepted", "failed: log.beyond_cursor"]
    assert play.found(ReadEntries) == []
    assert shown(play) is None


def test_the_hash_of_another_log_fails_and_changes_nothing_else() -> None:
    play = connected()
    faults = dict(play.state.faults)
    confirm(play)
    answer(play, OTHER)
    assert statuses(play) == ["accepted", "failed: log.other_hash"]
    assert (shown(play), play.logged("log.confirmed"), dict(play.state.faults)) == (None, [], faults)


def test_an_entry_that_a_restored_backup_does_not_have_cannot_be_confirmed() -> None:
    play = connected(epoch=2)
    confirm(play)
    answer(play, None)
    assert statuses(play) == ["accepted", "failed: log.no_such_entry"]


def test_what_was_pruned_is_checked_by_its_last_entry_and_else_taken() -> None:
    play = connected()
    confirm(play)
    answer(play, None, anchor=LogPlace(1, 9, OTHER))
    assert statuses(play) == ["accepted", "failed: log.other_hash"]
    confirm(play, "c-2")
    answer(play, None, anchor=LogPlace(1, 9, HASH))
    write(play)
    assert statuses(play, "c-2")[-1] == "done"
    confirm(play, "c-3", sequence=8, hash=OTHER)
    answer(play, None, anchor=LogPlace(1, 9, HASH))
    assert statuses(play, "c-3")[-1] == "done"


def test_it_never_goes_back_and_says_what_holds() -> None:
    play = connected()
    confirmed(play, sequence=9)
    count = len(play.found(AppendEntry))
    confirm(play, "c-2", sequence=5)
    answer(play)
    assert statuses(play, "c-2")[-1] == "done"
    assert replies(play, "c-2")[-1].result == {"confirmed": {"epoch": 1, "sequence": 9}}
    assert [each.type for each in play.found(AppendEntry)[count:]] == [
        "station.command.accepted",
        "station.command.ended",
    ]
    confirm(play, "c-3", sequence=5, hash=OTHER)
    answer(play, HASH)
    assert statuses(play, "c-3")[-1] == "failed: log.other_hash", "an older one, too, is looked at"


def test_it_outlives_a_restart_and_a_disk_that_opens_late() -> None:
    notes = {CONFIRMED: {"log": {"epoch": 1, "sequence": 9, "hash": HASH}}}
    assert shown(connected(notes=notes)) == {"epoch": 1, "sequence": 9}
    late = begin(restored=Restored(is_read=False))
    late.connect("s-1")
    confirm(late)
    assert statuses(late) == ["accepted", "failed: storage.failed"]
    late.put(StorageOpened(late.now, Restored(cursor=(1, 20), newest=(1, 20), notes=notes)))
    assert shown(late) == {"epoch": 1, "sequence": 9}


def test_a_later_epoch_is_further_than_the_end_of_a_former_one() -> None:
    play = connected(epoch=2, notes={CONFIRMED: {"log": {"epoch": 1, "sequence": 900, "hash": HASH}}})
    confirmed(play, epoch=2, sequence=1)
    assert shown(play) == {"epoch": 2, "sequence": 1}


@pytest.mark.parametrize("body", [{}, {"epoch": 1}, {"epoch": "1", "sequence": 2}])
def test_a_note_that_cannot_be_read_is_none(body: dict[str, Any]) -> None:
    assert shown(connected(notes={CONFIRMED: {"log": body}})) is None


def test_a_disk_that_does_not_answer_or_cannot_be_read_fails_it() -> None:
    play = connected()
    confirm(play)
    play.wait(60.0)
    assert statuses(play) == ["accepted", "failed: storage.failed"]
    answer(play)  # late, and nobody waits any more
    assert shown(play) is None
    confirm(play, "c-2")
    play.put(EntriesRead(play.now, "command:c-2", error="disk I/O error"))
    assert statuses(play, "c-2")[-1] == "failed: storage.failed"


def test_a_replay_and_a_confirmation_do_not_take_each_others_answers() -> None:
    play = connected()
    send(play, "log.replay", "c-1", arguments={"epoch": 1, "first": 9, "last": 9})
    play.put(EntriesRead(play.now, "nobody", entries((1, 9))))
    confirm(play, "c-2")
    answer(play)
    write(play)
    assert statuses(play, "c-2")[-1] == "done"
    assert play.state.replay is not None
    assert play.state.replay.passed == 8
