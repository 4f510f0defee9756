"""The notice on the station's screens."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.control.protocol import NOTICE_MAX, Request, RequestError, decode_arguments
from agent.core import noticeboard
from agent.effects import AppendEntry
from agent.events import ClockRead, Restored, StorageOpened
from tests.core.station_play import Play, begin, ready

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
TEXT = {"zh": "今天停水至 18:00。", "en": "The water is off until 18:00."}


def at_noon(*, is_trusted: bool = True, restored: Restored | None = None) -> Play:
    play = ready(restored=restored)
    play.put(ClockRead(play.now, NOON, is_trusted))
    play.connect()
    play.take()
    return play


def put(play: Play, request: str = "r-1", **given: Any) -> None:
    play.ask("notice.put", request=request, zh=TEXT["zh"], en=TEXT["en"], **given)


def shown(play: Play) -> Mapping[str, Any] | None:
    notice: Mapping[str, Any] | None = noticeboard.shown(play.state)["notice"]
    return notice


def pass_time(play: Play, seconds: float, *, is_trusted: bool = True) -> None:
    """With a clock that is read each minute."""
    end = play.now + seconds
    while play.now < end:
        play.wait(min(60.0, end - play.now))
        play.put(ClockRead(play.now, play_time(play), is_trusted))


def play_time(play: Play) -> datetime:
    clock = play.state.clock
    assert clock is not None
    return clock.utc + timedelta(seconds=play.now - clock.at)


def kept(play: Play) -> dict[str, Mapping[str, Any] | None]:
    notes = [note for entry in play.found(AppendEntry) for note in entry.notes if note.kind == noticeboard.KIND]
    return {note.name: note.body for note in notes}


def test_a_notice_is_shown_at_once_and_done_once_it_is_on_the_disk() -> None:
    play = at_noon()
    put(play, level="warning", until="2026-11-22T18:00:00+08:00")
    assert shown(play) is None, "that time is over: 10:00 UTC"
    assert play.problem_codes() == ["notice.over"]

    put(play, "r-2", level="warning", until="2026-11-23T02:00:00+08:00")
    wanted = {**TEXT, "level": "warning", "until": "2026-11-22T18:00:00Z", "put_at": "2026-11-22T12:00:00.000Z"}
    assert play.published("notice")[-1] == {"notice": wanted}
    assert play.replies("r-2") == []
    play.write_log()
    assert play.replies("r-2")[-1].ok


def test_the_log_says_who_and_until_when_and_not_what_was_written() -> None:
    play = at_noon()
    put(play)
    assert play.logged("notice.put") == [{"level": "info", "until": None, "by": "master", "kind": "local"}]
    assert all(TEXT["zh"] not in str(entry.body) for entry in play.found(AppendEntry))


def test_a_newer_notice_takes_the_place_of_the_one_before() -> None:
    play = at_noon()
    put(play, until="2026-11-22T18:00:00Z")
    play.ask("notice.put", request="r-2", zh="停电", en="No power")
    notice = shown(play)
    assert notice is not None
    assert (notice["en"], notice["until"]) == ("No power", None)
    pass_time(play, 8 * 3600.0)
    assert shown(play) == notice, "the end of the former one is not its own"


def test_it_comes_down_by_itself_at_its_time_and_not_before() -> None:
    play = at_noon()
    put(play, until="2026-11-22T12:30:00Z")
    pass_time(play, 1799.0)
    assert shown(play) is not None
    play.wait(1.0)
    assert shown(play) is None
    assert play.logged("notice.cleared") == [{"why": "until"}]
    assert kept(play) == {"notice": None}
    assert play.published("notice")[-1] == {"notice": None}


def test_a_clock_that_nobody_vouches_for_takes_nothing_down_until_it_is_set() -> None:
    play = at_noon(is_trusted=False)
    put(play, until="2026-11-22T12:30:00Z")
    pass_time(play, 7200.0, is_trusted=False)
    assert shown(play) is not None
    play.put(ClockRead(play.now, NOON + timedelta(hours=2), True))
    assert shown(play) is None


def test_it_is_taken_down_by_whoever_wants_and_twice_is_no_mistake() -> None:
    play = at_noon()
    put(play)
    play.ask("notice.clear", request="r-2")
    play.write_log()
    assert play.replies("r-2")[-1].result["cleared"] is True
    assert shown(play) is None
    assert play.logged("notice.cleared") == [{"why": "asked", "by": "master", "kind": "local"}]
    play.ask("notice.clear", request="r-3")
    assert play.replies("r-3")[-1].result == {"cleared": False}
    assert len(play.logged("notice.cleared")) == 1


def test_it_outlives_a_restart() -> None:
    play = at_noon()
    put(play, until="2026-11-22T18:00:00Z")
    again = ready(restored=Restored(notes={noticeboard.KIND: {"notice": kept(play)["notice"] or {}}}))
    assert shown(again) == shown(play)
    again.put(ClockRead(again.now, NOON + timedelta(hours=7), True))
    assert shown(again) is None, "its time was over while the station was off"


def test_one_that_a_later_disk_brings_is_older_than_what_was_put_up_since() -> None:
    before = StorageOpened(0.0, Restored(notes={noticeboard.KIND: {"notice": {**TEXT, "level": "info"}}}))
    untouched = begin()
    untouched.put(before)
    assert shown(untouched) is not None
    cleared = begin()
    cleared.ask("notice.put", zh="停电", en="No power")
    cleared.ask("notice.clear")
    cleared.put(before)
    assert shown(cleared) is None


@pytest.mark.parametrize("body", [{}, {"zh": 1, "en": "x"}, {**TEXT, "level": "loud"}, {**TEXT, "until": 5}])
def test_a_note_that_makes_no_sense_is_no_notice(body: dict[str, Any]) -> None:
    assert shown(ready(restored=Restored(notes={noticeboard.KIND: {"notice": {"level": "info", **body}}}))) is None


@pytest.mark.parametrize(
    "text", ["", "  ", "two\nlines", "\x1b[2J", "evil \u202e", "x" * (NOTICE_MAX + 1), "zero\u200bwidth", 5]
)
def test_what_a_screen_cannot_show_is_refused(text: object) -> None:
    with pytest.raises(RequestError):
        decode_arguments(Request(id="1", action="notice.put", arguments={**TEXT, "en": text}))


def test_the_space_of_chinese_type_is_a_space() -> None:
    given = decode_arguments(Request(id="1", action="notice.put", arguments={**TEXT, "zh": " 停水\u3000请见谅 "}))
    assert given["zh"] == "停水 请见谅"
    assert given["level"] == "info"
    assert "until" not in given
