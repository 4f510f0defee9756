"""What is kept of a member: changed by the master or from afar, in one piece; and a validity at every way in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.core import particulars
from agent.core.access import KnownTime, Reason, refusal_by_validity
from agent.core.codes import CARD, KEYPAD, CodeRules
from agent.core.pass_book import PassRules
from agent.core.passes import Pass, station_digest
from agent.effects import (
    CheckPin,
    EraseMember,
    FindCard,
    LoadCredentials,
    PutMember,
    RunQuery,
    SaveMember,
    SealMember,
    SuspendMember,
)
from agent.events import (
    CardFound,
    CardRead,
    ClockRead,
    CredentialsRefused,
    KeyPressed,
    Member,
    MemberErased,
    MemberPut,
    MemberSaved,
    MemberSealed,
    MemberSuspended,
    PassChecked,
    PinChecked,
    PutRefused,
    QueryAnswered,
    Restored,
    SealedCard,
    SealedPin,
    StorageOpened,
)
from tests.core.station_play import RULES, Play, begin, member, ready
from tests.core.test_commands import at_work, noted, replies, send, statuses, write

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
HERE = station_digest("here")
DOOR = replace(RULES, codes=CodeRules(readers={"front": False}), passes=PassRules(HERE))
CARDS = ((SealedCard("k-1", "1" * 64),),)
PIN = SealedPin("k-1", b"salt", b"hash", b"duress")


def at_the_door(who: Member, **restored: Any) -> Play:
    return ready(who, rules=DOOR, restored=Restored(revoked_passes=frozenset(), **restored))


def read_clock(play: Play, utc: datetime, *, is_trusted: bool = True) -> None:
    play.put(ClockRead(play.now, utc, is_trusted))


def by_face(play: Play) -> None:
    play.see_face(1, track=7, frames=5)


def by_card(play: Play) -> None:
    play.put(CardRead(play.now, "front", "4711"))
    play.put(CardFound(play.now, play.found(FindCard)[-1].request, "m-1"))


def by_pin(play: Play) -> None:
    for key in "12#2580#":
        play.put(KeyPressed(play.now, "front", key))
    play.put(PinChecked(play.now, play.found(CheckPin)[-1].request, "m-1"))


def by_pass(play: Play) -> None:
    play.put(PassChecked(play.now, Pass(1, "a" * 16, "m-1", stations=(HERE,)), "", 1_500, True))


WAYS: list[Callable[[Play], None]] = [by_face, by_card, by_pin, by_pass]


def come(play: Play, way: Callable[[Play], None] = by_card) -> list[str]:
    """Why they were refused, if they were; the door opened otherwise."""
    play.take()
    way(play)
    reasons = [str(each["reason"]) for each in play.logged("access.refused")]
    assert (reasons == []) is (True in play.lock_orders())
    return reasons


# --- validity at the door --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_a_validity_that_is_over_or_has_not_begun_keeps_out_by_every_way_in(way: Callable[[Play], None]) -> None:
    for begins, ends, reason in (
        (None, NOON, "validity_over"),
        (NOON + HOUR, None, "validity_early"),
        (NOON - HOUR, NOON + HOUR, None),
    ):
        play = at_the_door(replace(member("m-1", 1), valid_from=begins, valid_until=ends))
        read_clock(play, NOON)
        assert come(play, way) == ([] if reason is None else [reason])


def test_a_validity_ends_and_begins_by_the_time_that_goes_by() -> None:
    play = at_the_door(replace(member("m-1", 1), valid_from=NOON + HOUR, valid_until=NOON + 2 * HOUR))
    read_clock(play, NOON)
    for seconds, expected in ((3_590.0, ["validity_early"]), (20.0, []), (3_600.0, ["validity_over"])):
        play.wait(seconds)
        assert come(play) == expected


def test_a_clock_that_nobody_vouches_for_ends_no_validity_and_begins_none() -> None:
    ending, beginning = Member("m-1", valid_until=NOON), Member("m-1", valid_from=NOON)
    for who, expected in ((ending, []), (beginning, ["validity_clock_not_set"])):
        play = at_the_door(who)
        read_clock(play, NOON + 1000 * HOUR, is_trusted=False)
        assert come(play) == expected


def test_what_was_over_once_stays_over_when_the_clock_is_lost() -> None:
    play = at_the_door(Member("m-1", valid_until=NOON))
    read_clock(play, NOON)
    read_clock(play, NOON - 1000 * HOUR, is_trusted=False)
    assert come(play) == ["validity_over"]
    again = at_the_door(Member("m-1", valid_until=NOON), vouched_utc=NOON)
    read_clock(again, NOON - 1000 * HOUR, is_trusted=False)
    assert come(again) == ["validity_over"], "the log has the time of before the start"


def test_time_goes_on_from_the_last_clock_that_counted() -> None:
    play = at_the_door(Member("m-1", valid_until=NOON + HOUR), vouched_utc=NOON)
    assert come(play) == []
    play.wait(3_601.0)
    assert come(play) == ["validity_over"]


def test_a_time_source_that_sets_the_clock_back_is_believed() -> None:
    play = at_the_door(Member("m-1", valid_until=NOON), vouched_utc=NOON + HOUR)
    read_clock(play, NOON - HOUR)
    assert come(play) == []


def test_any_clock_counts_where_the_settings_say_so_but_none_that_goes_back() -> None:
    rules = replace(DOOR, passes=PassRules(HERE, trusts_unset_clock=True))
    play = ready(Member("m-1", valid_from=NOON, valid_until=NOON + HOUR), rules=rules)
    for utc, expected in ((NOON - HOUR, ["validity_early"]), (NOON, []), (NOON + HOUR, ["validity_over"])):
        read_clock(play, utc, is_trusted=False)
        assert come(play) == expected
    read_clock(play, NOON, is_trusted=False)
    assert come(play) == ["validity_over"]


def test_storage_that_opens_late_brings_the_time_that_is_certain() -> None:
    play = at_the_door(Member("m-1"))
    play.put(StorageOpened(play.now, Restored(members=(Member("m-1", valid_until=NOON),), vouched_utc=NOON)))
    assert come(play) == ["validity_over"]


def test_an_end_counts_from_its_very_moment_and_so_does_a_beginning() -> None:
    who = Member("m-1", valid_from=NOON, valid_until=NOON + HOUR)
    moment = timedelta(milliseconds=1)
    found = [
        refusal_by_validity(who, KnownTime(at, is_exact=True))
        for at in (NOON - moment, NOON, NOON + HOUR - moment, NOON + HOUR)
    ]
    assert found == [Reason.VALIDITY_EARLY, None, None, Reason.VALIDITY_OVER]
    assert refusal_by_validity(who, KnownTime()) is Reason.VALIDITY_CLOCK_NOT_SET
    assert refusal_by_validity(Member("m-1"), KnownTime()) is None


# --- the master's change ---------------------------------------------------------------------------------------------


def test_the_master_changes_a_validity_and_it_counts_once_it_is_on_the_disk() -> None:
    play = at_the_door(Member("m-1"))
    read_clock(play, NOON)
    play.ask("members.put", id="m-1", valid_until="2026-11-22T20:00:00.0009+08:00", categories=[3, 1])
    (order,) = play.found(PutMember)
    assert order.given == {"valid_until", "categories"}
    assert (order.valid_until, order.categories, order.may_create) == (NOON, (1, 3), False)
    assert come(play) == []
    play.put(MemberPut(play.now, "r-1", Member("m-1", valid_until=NOON), changed=("categories", "valid_until")))
    assert play.logged("member.changed") == [{"member": "m-1", "changed": ["valid_until", "categories"]}]
    assert play.replies() == []
    play.write_log()
    assert play.replies()[-1].ok
    assert come(play) == ["validity_over"]


def test_a_limit_that_is_null_is_given_and_one_that_is_left_out_is_not() -> None:
    play = at_the_door(Member("m-1"))
    play.ask("members.put", id="m-1", valid_until=None)
    (order,) = play.found(PutMember)
    assert (order.given, order.valid_until) == (frozenset({"valid_until"}), None)


def test_what_the_disk_refuses_is_said_and_changes_nothing() -> None:
    play = at_the_door(Member("m-1"))
    play.ask("members.put", id="m-1", valid_from="2027-01-01T00:00:00Z")
    play.put(PutRefused(play.now, "r-1", "m-1", "member.validity"))
    assert play.problem_codes() == ["member.validity"]
    assert play.state.members == {"m-1": Member("m-1")}
    assert play.logged("member.changed") == []


# --- from afar -------------------------------------------------------------------------------------------------------


def put(play: Play, command: str = "c-1", revision: int = 1, **arguments: Any) -> None:
    send(play, "members.put", command, revision=revision, arguments={"id": "m-9", **arguments})


def stored(play: Play, **what: Any) -> None:
    """The disk has carried out the newest order."""
    order = play.found(PutMember)[-1]
    play.put(MemberPut(play.now, order.request, Member(order.member_id), **{"was_created": True, **what}))


def test_somebody_is_taken_up_from_afar_and_done_is_said_once_all_of_it_is_durable() -> None:
    play = at_work()
    put(play, cards=["0017"], pin="2580", number="42", valid_until="2027-01-01T00:00:00Z")
    (seal,) = play.found(SealMember)
    assert (seal.cards, seal.pin) == (("0017",), "2580")
    assert play.found(PutMember) == []
    play.put(MemberSealed(play.now, seal.request, "m-9", CARDS, PIN))
    (order,) = play.found(PutMember)
    assert (order.cards, order.pin, order.number, order.may_create) == (CARDS, PIN, "42", True)
    assert order.given == {"cards", "pin", "valid_until"}
    assert play.state.members == {}, "nobody comes in by what is not on the disk"
    stored(play, changed=("pin", "cards", "valid_until"), card_count=1, has_pin=True)
    assert play.logged("member.added") == [{"member": "m-9"}]
    assert play.logged("member.changed") == [{"member": "m-9", "changed": ["valid_until", "cards", "pin"]}]
    assert play.found(LoadCredentials) != []
    assert statuses(play) == ["accepted"]
    write(play)
    assert statuses(play) == ["accepted", "done"]
    assert {key: replies(play)[-1].result[key] for key in ("member", "created")} == {"member": "m-9", "created": True}
    assert "number" not in replies(play)[-1].result
    assert "m-9" in play.state.members


def test_no_secret_stands_in_anything_that_is_printed() -> None:
    play = at_work()
    put(play, cards=["987654321"], pin="258036914", number="4242424242")
    (seal,) = play.found(SealMember)
    play.put(MemberSealed(play.now, seal.request, "m-9", CARDS, PIN))
    for secret in ("987654321", "258036914", "4242424242", "1" * 64, "hash"):
        assert secret not in repr((play.state, play.orders))


def test_a_number_that_was_drawn_is_told() -> None:
    play = at_work()
    put(play, pin="2580")
    play.put(MemberSealed(play.now, "command:c-1", "m-9", (), PIN))
    stored(play, changed=("pin",), has_pin=True, number="123456")
    write(play)
    assert replies(play)[-1].result["number"] == "123456"
    assert noted(play)["reply"]["c-1"]["result"] == {
        key: value for key, value in replies(play)[-1].result.items() if key != "number"
    }


@pytest.mark.parametrize(("pin", "code"), [("12", "pin.length"), ("1234", "pin.weak"), ("1" * 12, "pin.weak")])
def test_a_weak_pin_fails_before_anything_is_done(pin: str, code: str) -> None:
    play = at_work()
    put(play, pin=pin, cards=["17"])
    assert statuses(play) == ["accepted", f"failed: {code}"]
    assert play.found(SealMember) == []


def test_what_the_worker_or_the_disk_refuses_fails_with_its_code_and_nothing_is_changed() -> None:
    play = at_work(member("m-1", 1))
    put(play, "c-1", 1, cards=["17"])
    play.put(CredentialsRefused(play.now, "command:c-1", "credentials.key_lost", "k-1"))
    put(play, "c-2", 2, cards=["17"])
    play.put(MemberSealed(play.now, "command:c-2", "m-9", CARDS))
    play.put(PutRefused(play.now, "command:c-2", "m-9", "card.taken", "m-1"))
    assert statuses(play, "c-1") == ["accepted", "failed: credentials.key_lost"]
    assert statuses(play, "c-2") == ["accepted", "failed: card.taken"]
    assert replies(play, "c-2")[-1].result == {}, "whose it is stays here"
    assert (set(play.state.members), dict(play.state.puts)) == ({"m-1"}, {})


def test_commands_about_a_member_keep_their_order_also_when_only_one_has_a_card() -> None:
    play = at_work(member("m-1", 1))
    put(play, "c-1", 1, cards=["17"], valid_until="2027-01-01T00:00:00Z")
    put(play, "c-2", 2, valid_until="2026-01-01T00:00:00Z")
    assert [each.request for each in play.found(SealMember)] == ["command:c-1", "command:c-2"]
    assert play.found(PutMember) == []


def test_an_erasure_ends_a_put_that_is_under_way_before_it() -> None:
    play = at_work(member("m-1", 1))
    put(play, "c-1", 1, id="m-1", cards=["17"])
    send(play, "members.erase", "c-2", revision=2, arguments={"id": "m-1"})
    assert statuses(play, "c-1") == ["accepted", "failed: request.invalid"]
    play.put(MemberSealed(play.now, "command:c-1", "m-1", CARDS))
    assert play.found(PutMember) == []


def test_a_put_that_the_disk_takes_before_an_erasure_brings_nobody_back() -> None:
    play = at_work()
    put(play)
    play.put(MemberSealed(play.now, "command:c-1", "m-9"))
    send(play, "members.erase", "c-2", revision=2, arguments={"id": "m-9"})
    stored(play)
    assert play.state.members == {}
    assert play.logged("member.added") == []
    (erasure,) = play.found(EraseMember)
    play.put(MemberErased(play.now, "m-9", erasure.request, existed=True))
    write(play)
    assert statuses(play, "c-2") == ["accepted", "done"]


def test_a_put_after_an_erasure_makes_a_new_member() -> None:
    play = at_work(member("m-9", 1))
    send(play, "members.erase", "c-0", revision=1, arguments={"id": "m-9"})
    put(play, "c-1", 2)
    play.put(MemberErased(play.now, "m-9", "command:c-0", existed=True))
    play.put(MemberSealed(play.now, "command:c-1", "m-9"))
    stored(play)
    assert play.state.members == {"m-9": Member("m-9")}


def test_an_erasure_before_a_put_still_ends_an_enrolment_that_was_being_saved() -> None:
    play = at_work()
    play.ask("members.add", id="m-9", name="Somebody")
    (save,) = play.found(SaveMember)
    send(play, "members.erase", "c-0", revision=1, arguments={"id": "m-9"})
    put(play, "c-1", 2)
    play.put(MemberSaved(play.now, save.member, save.request))
    assert play.state.members == {}
    play.put(MemberErased(play.now, "m-9", "command:c-0", existed=True))
    play.put(MemberSealed(play.now, "command:c-1", "m-9"))
    stored(play)
    assert set(play.state.members) == {"m-9"}


def test_a_suspension_right_behind_waits_until_they_are_taken_up_and_nothing_lets_them_in_between() -> None:
    play = at_work()
    put(play)
    send(play, "members.suspend", "c-2", revision=2, arguments={"id": "m-9"})
    play.put(MemberSealed(play.now, "command:c-1", "m-9"))
    assert statuses(play, "c-2") == ["accepted"]
    stored(play)
    assert play.state.members["m-9"].is_suspended
    (order,) = play.found(SuspendMember)
    play.put(MemberSuspended(play.now, order.request, "m-9", True, True))
    write(play)
    assert statuses(play, "c-2") == ["accepted", "done"]
    assert play.state.held == ()


def test_a_suspension_of_somebody_who_is_not_taken_up_after_all_has_failed() -> None:
    play = at_work()
    put(play, cards=["17"])
    send(play, "members.suspend", "c-2", revision=2, arguments={"id": "m-9"})
    play.put(CredentialsRefused(play.now, "command:c-1", "credentials.key_lost", "k-1"))
    assert statuses(play, "c-2") == ["accepted", "failed: member.unknown"]
    put(play, "c-3", 3)
    send(play, "members.suspend", "c-4", revision=4, arguments={"id": "m-9"})
    send(play, "members.erase", "c-5", revision=5, arguments={"id": "m-9"})
    assert statuses(play, "c-4") == ["accepted", "failed: member.unknown"]


def test_a_suspension_counts_though_the_disk_takes_longer_than_anybody_waits() -> None:
    play = at_work()
    put(play)
    send(play, "members.suspend", "c-2", revision=2, arguments={"id": "m-9"})
    play.put(MemberSealed(play.now, "command:c-1", "m-9"))
    play.wait(60.0)
    assert statuses(play, "c-2") == ["accepted", "failed: storage.failed"]
    stored(play)
    assert play.state.members["m-9"].is_suspended


def test_a_face_and_a_suspension_that_came_in_between_stay() -> None:
    play = at_work(member("m-9", 1))
    put(play, needs_longer=True)
    play.put(MemberSealed(play.now, "command:c-1", "m-9"))
    play.ask("members.suspend", id="m-9")
    play.put(MemberPut(play.now, "command:c-1", Member("m-9", needs_longer=True), changed=("needs_longer",)))
    found = play.state.members["m-9"]
    assert (found.needs_longer, found.is_suspended, len(found.templates)) == (True, True, 1)


def test_an_id_that_is_being_taken_up_from_afar_is_not_taken_up_at_the_station_too() -> None:
    play = at_work()
    put(play)
    play.ask("members.add", request="r-5", id="m-9", name="Somebody")
    assert play.problem_codes("r-5") == ["request.busy"]
    assert play.found(SaveMember) == []


def test_nobody_is_taken_up_while_it_is_not_known_who_is_there() -> None:
    play = begin(restored=Restored(is_read=False))
    play.connect("s-1")
    play.state = replace(play.state, commands=replace(play.state.commands, is_known=True))
    put(play)
    assert statuses(play) == ["accepted", "failed: storage.failed"]


def test_a_redelivered_put_gets_its_answer_and_does_nothing() -> None:
    play = at_work()
    put(play)
    play.put(MemberSealed(play.now, "command:c-1", "m-9"))
    stored(play)
    write(play)
    put(play)
    assert statuses(play) == ["accepted", "done", "done"]
    assert len(play.found(SealMember)) == 1


def test_cards_and_a_pin_that_were_taken_away_open_nothing_though_the_worker_may_still_know_them() -> None:
    play = at_the_door(Member("m-1"))
    play.connect("s-1")
    send(play, "members.put", arguments={"id": "m-1", "cards": [], "pin": None})
    (seal,) = play.found(SealMember)
    assert (seal.cards, seal.pin) == ((), "")
    play.put(MemberSealed(play.now, seal.request, "m-1"))
    assert play.found(PutMember)[-1].given == {"cards", "pin"}
    play.put(MemberPut(play.now, seal.request, Member("m-1"), changed=("cards", "pin")))
    assert play.state.codes.taken_away == {("m-1", CARD), ("m-1", KEYPAD)}
    assert come(play, by_card) == ["code_wrong"]
    play.ask("members.put", id="m-1", categories=[1])
    play.put(MemberPut(play.now, "r-1", Member("m-1"), changed=("cards",), card_count=1))
    assert play.state.codes.taken_away == {("m-1", KEYPAD)}


def test_so_many_changes_wait_for_the_disk_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(particulars, "MAX_PUTS", 2)
    play = at_the_door(Member("m-1"))
    for number in range(3):
        play.ask("members.put", request=f"r-{number}", id="m-1", needs_longer=True)
    assert play.problem_codes("r-2") == ["request.busy"]
    assert len(play.found(PutMember)) == 2


# --- the digest ------------------------------------------------------------------------------------------------------


def test_a_page_of_the_digest_is_answered_and_neither_logged_nor_kept() -> None:
    play = at_work(member("m-1", 1))
    send(play, "members.digest", arguments={"after": "", "limit": 2})
    (query,) = play.found(RunQuery)
    assert (query.query, dict(query.arguments)) == ("roster_digest", {"after": "", "limit": 2})
    page = {"members": [{"id": "m-1", "digest": "0" * 64}], "count": 1, "digest": "1" * 64, "next": None}
    play.put(QueryAnswered(play.now, query.request, (page,)))
    assert statuses(play) == ["accepted", "done"]
    assert replies(play)[-1].result == page
    assert play.log_types() == []
    assert (dict(play.state.commands.answers), dict(play.state.commands.running)) == ({}, {})


def test_a_digest_that_cannot_be_read_has_failed() -> None:
    play = at_work()
    send(play, "members.digest")
    play.put(QueryAnswered(play.now, play.found(RunQuery)[0].request, (), "the query failed"))
    assert statuses(play) == ["accepted", "failed: request.invalid"]
    send(play, "members.digest", "c-2")
    play.wait(60.0)
    assert statuses(play, "c-2") == ["accepted", "failed: request.timed_out"]
    assert dict(play.state.commands.running) == {}
