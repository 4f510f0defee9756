"""The central server's commands: what is let through, what becomes of it, and what a repetition gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from agent.core.commands import (
    COMMANDS,
    MAX_DOOR_RUNNING,
    MAX_NONCES,
    MAX_REPLIES,
    MAX_RUNNING,
    MAX_WAITING,
    NONCE_S,
    Freshness,
    Refusal,
    Scope,
)
from agent.core.requests import ACTIONS
from agent.core.station import next_deadline
from agent.effects import (
    AppendEntry,
    EraseMember,
    KeepNotes,
    PublishPresence,
    PublishReply,
    PublishState,
    Reply,
    RunQuery,
)
from agent.events import (
    CommandReceived,
    CommandRejected,
    EntriesLogged,
    ErasureReceipt,
    MemberErased,
    QueryAnswered,
    Receipt,
    Restored,
)
from tests.core.station_play import RULES, Play, begin, member, ready

ALL = frozenset(Scope)
KEY = "central-1"


def at_work(*members: Any, **settings: Any) -> Play:
    play = ready(*members, rules=replace(RULES, **settings))
    play.connect("s-1")
    play.take()
    return play


def send(play: Play, name: str, command: str = "c-1", **given: Any) -> None:
    """A command with a good proof of freshness, unless `given` says otherwise."""
    proof: dict[str, Any] = {}
    match COMMANDS[name].freshness if name in COMMANDS else Freshness.SESSION:
        case Freshness.NONCE:
            proof = {"nonce": given.pop("nonce", None) or nonce(play)}
        case Freshness.REVISION:
            proof = {"revision": given.pop("revision", 1)}
        case Freshness.SESSION:
            proof = {"session": given.pop("session", "s-1")}
    arguments = given.pop("arguments", {})
    event = CommandReceived(play.now, command, name, arguments, KEY, ALL, f"{hash(command) & 0xFFFF:032x}", **proof)
    play.put(replace(event, **given))


def nonce(play: Play, number: int = 0) -> str:
    """One that the station gives out."""
    event = CommandReceived(play.now, f"n-{number}", "nonce.request", {}, KEY, frozenset(), f"{number + 1:032x}")
    play.put(replace(event, session=play.state.session))
    return str(replies(play, f"n-{number}")[-1].result["nonce"])


def replies(play: Play, command: str = "c-1") -> list[PublishReply]:
    return [each for each in play.found(PublishReply) if each.command == command]


def statuses(play: Play, command: str = "c-1") -> list[str]:
    return [each.status if not each.code else f"{each.status}: {each.code}" for each in replies(play, command)]


def write(play: Play) -> None:
    """The disk has all that was logged so far and was not told yet."""
    entries = play.found(AppendEntry)
    told = play.state.entries_logged
    receipts = tuple(Receipt(1, told + n, each.tag) for n, each in enumerate(entries[told:], 1))
    if receipts:
        play.put(EntriesLogged(play.now, receipts))


def noted(play: Play) -> dict[str, dict[str, Mapping[str, Any]]]:
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for order in play.orders:
        for note in order.notes if isinstance(order, (AppendEntry, KeepNotes)) else ():
            found.setdefault(note.kind, {}).pop(note.name, None)
            if note.body is not None:
                found[note.kind][note.name] = note.body
    return found


def test_every_command_is_a_request_that_there_is() -> None:
    assert {each.action for each in COMMANDS.values() if each.action} <= set(ACTIONS)


def test_what_opens_or_frees_the_door_needs_a_nonce_and_what_may_wait_for_the_station_a_revision() -> None:
    for name, each in COMMANDS.items():
        may_wait = each.scope is Scope.ROSTER or name in ("notice.put", "notice.clear")
        may_wait = may_wait and not each.is_question
        assert (each.freshness is Freshness.NONCE) is (each.scope is Scope.OPEN), name
        assert (each.freshness is Freshness.REVISION) is may_wait, name


# --- the life of a command -------------------------------------------------------------------------------------------


def test_an_unlock_is_accepted_and_done_once_it_is_known_whether_somebody_opened() -> None:
    play = at_work()
    send(play, "door.unlock")
    assert play.lock_orders() == [True]
    assert statuses(play) == ["accepted"]
    write(play)
    assert statuses(play) == ["accepted"]
    play.move_leaf(is_open=True)
    assert statuses(play) == ["accepted", "done"]
    assert replies(play)[-1].result["opened"] is True


def test_somebody_may_open_before_the_disk_has_the_order() -> None:
    play = at_work()
    send(play, "door.unlock")
    play.move_leaf(is_open=True)
    assert statuses(play) == ["accepted"]
    write(play)
    assert replies(play)[-1].result["opened"] is True


def test_what_became_of_an_unlock_is_not_forgotten_over_another_command() -> None:
    play = at_work(member("m-1", 1))
    send(play, "door.unlock")
    play.move_leaf(is_open=True)
    send(play, "members.put", "c-2", arguments={"id": "m-1", "needs_longer": True})
    play.move_leaf(is_open=False)
    write(play)
    assert replies(play)[-1].result["opened"] is True


def test_an_unlock_that_nobody_used_says_so() -> None:
    play = at_work()
    send(play, "door.unlock")
    write(play)
    play.wait(RULES.door.release_s + 1)
    assert statuses(play) == ["accepted", "done"]
    assert replies(play)[-1].result["opened"] is False


def test_an_unlock_while_the_door_stands_open_does_not_wait_for_ever() -> None:
    play = at_work()
    send(play, "door.hold_open", "c-0")
    send(play, "door.unlock", nonce=nonce(play, 5))
    write(play)
    play.wait(60.0)
    assert statuses(play)[-1].startswith("done")


def test_a_request_that_fails_makes_a_command_that_failed() -> None:
    play = at_work()
    send(play, "alarm.acknowledge", arguments={"alarm": "forced"})
    assert statuses(play) == ["accepted", "failed: alarm.unknown"]


def test_both_ends_of_a_command_are_in_the_log() -> None:
    play = at_work()
    send(play, "alarm.acknowledge", arguments={"alarm": "forced"})
    assert play.logged("command.accepted") == [{"id": "c-1", "name": "alarm.acknowledge", "key": KEY}]
    assert play.logged("command.ended") == [{"id": "c-1", "status": "failed", "code": "alarm.unknown"}]


def test_an_erasure_is_done_when_the_disk_says_so() -> None:
    play = at_work(member("m-1", 1))
    send(play, "members.erase", arguments={"id": "m-1"})
    (order,) = play.found(EraseMember)
    assert statuses(play) == ["accepted"]
    play.put(MemberErased(play.now, "m-1", order.request, True, None, "asked"))
    write(play)
    assert statuses(play) == ["accepted", "done"]


def test_what_proves_whom_an_erasure_was_about_is_told_and_not_kept() -> None:
    play = at_work(member("m-1", 1))
    send(play, "members.erase", arguments={"id": "m-1"})
    receipt = ErasureReceipt("2026-11-22T00:00:00.000Z", "ab" * 32, {"members": 1}, "cd" * 16)
    play.put(MemberErased(play.now, "m-1", "command:c-1", True, receipt))
    write(play)
    assert replies(play)[-1].result["receipt"]["salt"] == "cd" * 16
    kept = noted(play)["reply"]["c-1"]
    assert (kept["status"], kept["code"], kept["result"]) == ("done", "", {"omitted": "erased"})
    assert "m-1" not in str(kept)


def test_no_answer_to_a_command_goes_to_the_control_socket() -> None:
    play = at_work()
    send(play, "alarm.acknowledge", arguments={"alarm": "forced"})
    assert play.found(Reply) == []


def test_a_refresh_tells_every_part_again() -> None:
    play = at_work()
    send(play, "station.refresh")
    assert {each.part for each in play.found(PublishState)} >= {"door", "occupancy", "health"}
    assert len(play.found(PublishPresence)) == 1  # `status` and `about`, which the link knows
    assert statuses(play) == ["done"]


# --- freshness -------------------------------------------------------------------------------------------------------


def test_a_nonce_opens_once() -> None:
    play = at_work()
    good = nonce(play)
    send(play, "door.unlock", "c-1", nonce=good)
    send(play, "door.unlock", "c-2", nonce=good)
    assert statuses(play, "c-2") == ["refused: stale_nonce"]
    assert play.lock_orders() == [True]


def test_a_nonce_is_stale_after_its_time() -> None:
    play = at_work()
    good = nonce(play)
    play.wait(NONCE_S)
    send(play, "door.unlock", nonce=good)
    assert statuses(play) == ["refused: stale_nonce"]
    assert play.lock_orders() == []


def test_nonces_have_a_bound_and_the_newest_count() -> None:
    play = at_work()
    given = [nonce(play, number) for number in range(MAX_NONCES + 5)]
    assert len(play.state.commands.nonces) == MAX_NONCES
    send(play, "door.unlock", nonce=given[-1])
    assert statuses(play) == ["accepted"]


def test_a_revision_only_grows_also_over_a_restart() -> None:
    play = at_work(member("m-1", 1), member("m-2", 2))
    send(play, "members.erase", "c-1", revision=7, arguments={"id": "m-1"})
    send(play, "members.erase", "c-2", revision=7, arguments={"id": "m-2"})
    assert statuses(play, "c-2") == ["refused: stale_revision"]
    again = begin(member("m-2", 2), restored=Restored(notes=noted(play)))
    again.connect("s-2")
    send(again, "members.erase", "c-3", revision=6, arguments={"id": "m-2"})
    assert statuses(again, "c-3") == ["refused: stale_revision"]
    send(again, "members.erase", "c-4", revision=8, arguments={"id": "m-2"})
    assert statuses(again, "c-4") == ["accepted"]


def test_a_command_of_an_earlier_session_is_stale() -> None:
    play = at_work()
    play.connect("s-2")
    send(play, "alarm.acknowledge", session="s-1", arguments={"alarm": "forced"})
    assert statuses(play) == ["refused: stale_session"]


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, each in COMMANDS.items() if each.scope is not None])
def test_a_key_does_only_what_it_may(name: str) -> None:
    play = at_work()
    scope = COMMANDS[name].scope
    send(play, name, scopes=ALL - {scope})
    assert statuses(play) == ["refused: not_in_scope"]
    assert play.lock_orders() == []


@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_that_the_broker_kept_is_carried_out(name: str) -> None:
    play = at_work()
    send(play, name, is_retained=True)
    assert statuses(play) == ["refused: retained"]
    assert play.lock_orders() == []


def test_an_unknown_command_is_refused() -> None:
    play = at_work()
    send(play, "door.open_for_ever")
    assert statuses(play) == ["refused: unknown_command"]


def test_made_up_names_do_not_fill_the_log() -> None:
    play = at_work()
    for number in range(500):
        send(play, f"door.number_{number}", f"c-{number}")
    assert len(play.logged("control.refused")) == 1


def test_a_message_that_is_no_command_is_logged_once_a_minute_and_answered_within_a_rate() -> None:
    play = at_work()
    for number in range(1000):
        play.put(CommandRejected(play.now, Refusal.BAD_SIGNATURE, f"c-{number}", KEY))
    assert len(play.logged("control.refused")) == 1
    assert len(play.found(PublishReply)) <= 21
    play.wait(61.0)
    assert play.logged("control.refused")[-1]["more"] == 999


def test_refusals_are_answered_within_a_rate_also_when_they_come_bit_by_bit() -> None:
    play = at_work()
    for number in range(1000):
        play.wait(0.01)
        play.put(CommandRejected(play.now, Refusal.BAD_SIGNATURE, f"c-{number}", KEY))
    assert 20 <= len(play.found(PublishReply)) <= 20 + 2 * 10 + 1


def test_a_refused_id_is_not_kept_so_that_it_can_be_sent_again_rightly() -> None:
    play = at_work()
    send(play, "door.unlock", nonce="0" * 32)
    send(play, "door.unlock")
    assert statuses(play) == ["refused: stale_nonce", "accepted"]


def test_so_many_run_at_once_and_no_more() -> None:
    play = busy()
    send(play, "alarm.acknowledge", "c-more", arguments={"alarm": "call"})
    assert statuses(play, "c-more") == ["refused: busy"]


def test_a_roster_that_is_under_way_keeps_the_door_from_nobody() -> None:
    play = busy()
    send(play, "members.erase", "c-waits", revision=100, arguments={"id": "m-100"})
    for number in range(MAX_DOOR_RUNNING + 1):
        send(play, "door.unlock", f"d-{number}", nonce=nonce(play, number))
    assert play.lock_orders() == [True]
    assert statuses(play, f"d-{MAX_DOOR_RUNNING - 1}") == ["accepted"]
    assert statuses(play, f"d-{MAX_DOOR_RUNNING}") == ["refused: busy"]


def test_what_a_key_may_not_do_takes_no_place_of_those_that_wait() -> None:
    play = busy()
    send(play, "members.erase", "c-more", revision=100, arguments={"id": "m-1"}, scopes=frozenset({Scope.OPERATE}))
    send(play, "members.erase", "c-kept", revision=100, arguments={"id": "m-1"}, is_retained=True)
    assert (statuses(play, "c-more"), statuses(play, "c-kept")) == (["refused: not_in_scope"], ["refused: retained"])
    assert play.state.commands.waiting == ()


def test_commands_with_a_revision_wait_for_those_before_them_in_their_order() -> None:
    play = busy()
    first, second = MAX_RUNNING + 1, MAX_RUNNING + 2
    for number in (first, second):
        send(play, "members.erase", f"c-{number}", revision=number + 1, arguments={"id": f"m-{number}"})
    send(play, "members.erase", f"c-{first}", revision=first + 1, arguments={"id": f"m-{first}"})  # and once more
    assert statuses(play, f"c-{first}") == statuses(play, f"c-{second}") == []
    (order, *_) = play.found(EraseMember)
    play.put(MemberErased(play.now, order.member_id, order.request, existed=True))
    write(play)
    assert statuses(play, f"c-{first}") == ["accepted"]
    assert statuses(play, f"c-{second}") == []


def test_those_that_waited_are_taken_some_at_a_time_so_that_the_door_comes_between() -> None:
    play = busy()
    for number in range(200):
        send(play, "members.resume", f"w-{number}", revision=100 + number, arguments={"id": "nobody"})
    (order, *_) = play.found(EraseMember)
    play.put(MemberErased(play.now, order.member_id, order.request, existed=False))
    ended = [each for each in range(200) if statuses(play, f"w-{each}")]
    assert ended == list(range(16))
    assert next_deadline(play.state, play.rules) == 0.0
    play.wait(0.0)
    assert all(statuses(play, f"w-{each}") == ["accepted", "failed: member.unknown"] for each in range(200))
    assert play.state.commands.waiting == ()


def test_as_many_wait_as_a_broker_keeps_and_no_more() -> None:
    play = busy()
    for number in range(MAX_WAITING + 1):
        send(play, "members.erase", f"w-{number}", revision=100 + number, arguments={"id": f"m-{number}"})
    assert len(play.state.commands.waiting) == MAX_WAITING
    assert statuses(play, f"w-{MAX_WAITING}") == ["refused: busy"]


def test_a_stale_command_does_not_wait() -> None:
    play = busy()
    send(play, "members.erase", "c-old", revision=1, arguments={"id": "m-1"})
    assert statuses(play, "c-old") == ["refused: stale_revision"]
    assert play.state.commands.waiting == ()


def busy() -> Play:
    play = at_work()
    for number in range(MAX_RUNNING):
        send(play, "members.erase", f"c-{number}", revision=number + 1, arguments={"id": f"m-{number}"})
    return play


# --- repetition ------------------------------------------------------------------------------------------------------


def test_a_repeated_id_gets_the_answer_again_and_does_nothing() -> None:
    play = at_work()
    send(play, "door.unlock")
    write(play)
    play.move_leaf(is_open=True)
    play.move_leaf(is_open=False)
    before = play.lock_orders()
    send(play, "door.unlock", nonce=nonce(play, 9))
    assert play.lock_orders() == before
    assert statuses(play) == ["accepted", "done", "done"]
    assert replies(play)[-1].result == replies(play)[-2].result


@pytest.mark.parametrize("other", ["diagnostics.collect", "members.erase", "alarm.acknowledge"])
def test_a_question_under_way_and_a_command_of_the_same_id_are_not_mixed_up(other: str) -> None:
    play = at_work()
    send(play, "members.digest")
    send(play, other, arguments={"id": "m-1"})
    send(play, "members.digest")
    (question,) = play.found(RunQuery)
    play.put(QueryAnswered(play.now, question.request, ({"count": 0},)))
    assert statuses(play) == ["accepted", "refused: id_taken", "accepted", "done"]
    assert play.found(EraseMember) == []


def test_what_a_slow_disk_answers_late_ends_no_other_command() -> None:
    play = at_work()
    send(play, "members.digest")
    play.wait(30.0)
    send(play, "diagnostics.collect")
    (question,) = play.found(RunQuery)
    play.put(QueryAnswered(play.now, question.request, ({"count": 0},)))
    assert statuses(play) == ["accepted", "failed: request.timed_out", "refused: id_taken"]
    send(play, "members.digest")
    assert statuses(play)[-1] == "accepted"


def test_an_id_belongs_to_the_key_and_the_name_that_it_came_with() -> None:
    play = at_work()
    send(play, "alarm.acknowledge", arguments={"alarm": "forced"})
    send(play, "members.erase", arguments={"id": "m-1"})
    send(play, "alarm.acknowledge", arguments={"alarm": "forced"}, key="central-2")
    assert statuses(play)[2:] == ["refused: id_taken", "refused: id_taken"]
    again = begin(restored=Restored(notes=noted(play)))
    again.connect("s-2")
    send(again, "alarm.acknowledge", arguments={"alarm": "forced"}, key="central-2", session="s-2")
    send(again, "alarm.acknowledge", arguments={"alarm": "forced"}, session="s-2")
    assert statuses(again) == ["refused: id_taken", "failed: alarm.unknown"]


def test_what_names_the_session_is_not_taken_twice_however_many_came_since() -> None:
    play = at_work()
    for number in range(MAX_REPLIES + 5):
        send(play, "alarm.acknowledge", f"c-{number}", arguments={"alarm": "forced"})
    accepted = len(play.found(AppendEntry))
    send(play, "alarm.acknowledge", "c-0", arguments={"alarm": "forced"})
    assert statuses(play, "c-0")[-1] == "refused: id_taken"
    assert [each.type for each in play.found(AppendEntry)[accepted:]] == ["station.control.refused"]


def test_whoever_replays_a_command_without_pause_is_answered_within_a_rate() -> None:
    play = at_work()
    send(play, "door.unlock", "c-1")
    for number in range(1000):
        if number == 500:
            play.wait(2.0)
        send(play, "door.unlock", "c-1", nonce="0" * 32)
    assert 40 + 20 <= len(replies(play, "c-1")) <= 40 + 20 + 5


def test_whoever_replays_a_question_without_pause_is_answered_within_a_rate() -> None:
    play = at_work()
    for _ in range(1000):
        send(play, "nonce.request", "c-1")
        send(play, "station.refresh", "c-2")
    assert len(replies(play, "c-1")) + len(replies(play, "c-2")) == 40


def test_answers_outlive_a_restart_and_what_was_under_way_has_failed() -> None:
    play = at_work()
    send(play, "alarm.acknowledge", "c-1", arguments={"alarm": "forced"})
    send(play, "door.unlock", "c-2")
    again = begin(restored=Restored(notes=noted(play)))
    again.connect("s-2")
    again.take()
    send(again, "alarm.acknowledge", "c-1", arguments={"alarm": "forced"})
    send(again, "door.unlock", "c-2")
    assert statuses(again, "c-1") == ["failed: alarm.unknown"]
    assert statuses(again, "c-2") == ["failed: interrupted"]
    assert again.lock_orders() == []


def test_answers_have_a_bound_on_the_disk_too() -> None:
    play = at_work()
    for number in range(MAX_REPLIES + 50):
        send(play, "alarm.acknowledge", f"c-{number}", arguments={"alarm": "forced"})
    assert len(play.state.commands.answers) == MAX_REPLIES
    assert len(noted(play)["reply"]) == MAX_REPLIES


@pytest.mark.parametrize(
    "odd", [{}, {"status": "maybe", "code": "", "result": {}}, {"status": "done", "code": "", "result": 3}]
)
def test_an_answer_that_cannot_be_read_is_none(odd: dict[str, Any]) -> None:
    play = begin(restored=Restored(notes={"reply": {"c-1": odd}, "revision": {KEY: {"revision": "x"}}}))
    assert play.state.commands.answers == {}
    assert play.state.commands.revisions == {}
