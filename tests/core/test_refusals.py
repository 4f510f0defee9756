"""Refused requests in the log: whoever goes on trying does not fill it."""

from __future__ import annotations

from agent.core.refusals import LOGGED_EVERY_S, MAX_KEPT, Refusals, note, tell_due
from agent.core.station import next_deadline
from agent.effects import Reply
from agent.events import Actor, TimePassed
from tests.core.station_play import VIEWER, Play, ready


def try_often(play: Play, count: int, action: str = "door.unlock", actor: Actor = VIEWER) -> None:
    for n in range(count):
        play.ask(action, actor=actor, request=f"r-{play.now}-{action}-{n}")


def test_a_thousand_attempts_are_two_entries_and_a_thousand_answers() -> None:
    play = ready()
    try_often(play, 1000)
    play.wait(LOGGED_EVERY_S)
    first = {"action": "door.unlock", "actor": "screen", "role": "viewer"}
    assert play.logged("control.refused") == [first, {**first, "more": 999}]
    assert [each.ok for each in play.found(Reply)] == [False] * 1000


def test_who_goes_on_is_in_the_log_once_a_minute_and_each_attempt_is_counted() -> None:
    play = ready()
    for _ in range(10):
        try_often(play, 7)
        play.wait(LOGGED_EVERY_S)
    counts = [body.get("more", 1) for body in play.logged("control.refused")]
    assert counts == [1, 6] + [7] * 9
    assert sum(counts) == 70


def test_who_stops_and_comes_back_is_logged_at_once() -> None:
    play = ready()
    for _ in range(2):
        try_often(play, 1)
        play.wait(2 * LOGGED_EVERY_S)
        assert play.state.refusals == {}
    assert [body.get("more") for body in play.logged("control.refused")] == [None, None]


def test_accounts_and_actions_are_told_apart() -> None:
    play = ready()
    for actor in (VIEWER, Actor("local", "web", "viewer")):
        for action in ("door.unlock", "visits.list"):
            try_often(play, 3, action, actor)
    assert len(play.logged("control.refused")) == 4


def test_the_count_is_told_without_a_further_event() -> None:
    play = ready()
    try_often(play, 2)
    at = play.now + LOGGED_EVERY_S
    due_at = next_deadline(play.state, play.rules)
    assert due_at is not None
    assert due_at <= at
    play.put_late(at, TimePassed(at))
    assert play.logged("control.refused")[-1]["more"] == 1


def test_what_is_remembered_is_bounded() -> None:
    refusals: Refusals = {}
    for n in range(10 * MAX_KEPT):
        refusals, body = note(refusals, Actor("local", f"account-{n}", "viewer"), "door.unlock", float(n) / MAX_KEPT)
        assert body is not None
    assert len(refusals) == MAX_KEPT
    assert tell_due(refusals, 1e6) == ({}, ())
