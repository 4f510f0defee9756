"""Withdrawal, proof of erasure, retention and a person's own data, as the rules order them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.core import roster
from agent.effects import (
    BuildGallery,
    EncodePhoto,
    EraseMember,
    ReadRetention,
    RunQuery,
    SaveMember,
    WithdrawConsent,
)
from agent.events import (
    ConsentWithdrawn,
    ErasureReceipt,
    MemberDates,
    MemberErased,
    MemberSaved,
    PhotoEncoded,
    QueryAnswered,
    RetentionRead,
    TimePassed,
)
from tests.core.station_play import CONSENT, Play, face_of, member, ready

TODAY = datetime(2026, 11, 22, tzinfo=UTC)


def dates(
    member_id: str, *, seen_days: int = 0, left_days: int = 300, ended: str = "", has_templates: bool = True
) -> MemberDates:
    seen = (TODAY - timedelta(days=seen_days)).date().isoformat()
    until = (TODAY + timedelta(days=left_days)).isoformat()
    return MemberDates(member_id, seen, until, ended, has_templates)


def look(play: Play, *members: MemberDates, is_trusted: bool = True, wrong_by: timedelta = timedelta(0)) -> None:
    """The disk gives the dates; the wall goes with station time unless it is wrong."""
    utc = TODAY + timedelta(seconds=play.now) + wrong_by
    play.put(RetentionRead(play.now, utc.isoformat(), is_trusted, members))


# --- withdrawal ------------------------------------------------------------------------------------------------------


def test_a_face_is_forgotten_the_moment_its_consent_is_withdrawn_and_the_member_stays() -> None:
    play = ready(member("m-1", 1), member("m-2", 2))
    play.ask("members.withdraw", id="m-1")
    (order,) = play.found(WithdrawConsent)
    assert (order.member_id, order.why) == ("m-1", "withdrawn")
    play.see_face(1)
    assert play.lock_orders() == []
    assert [each.id for each in play.found(BuildGallery)[-1].members if each.templates] == ["m-2"]
    assert set(play.state.members) == {"m-1", "m-2"}
    assert play.replies() == []
    play.put(ConsentWithdrawn(play.now, "r-1", "m-1", existed=True, templates=1, why="withdrawn"))
    assert play.replies() == []
    play.write_log()
    assert play.replies()[-1].ok
    assert play.logged("member.consent_ended") == [{"member": "m-1", "templates": 1, "why": "withdrawn"}]


def test_whoever_is_not_there_cannot_withdraw() -> None:
    play = ready()
    play.ask("members.withdraw", id="m-9")
    play.put(ConsentWithdrawn(play.now, "r-1", "m-9", existed=False, templates=0, why="withdrawn"))
    assert play.problem_codes() == ["member.unknown"]
    assert play.logged("member.consent_ended") == []


def test_a_withdrawal_ends_an_enrolment_of_the_same_member() -> None:
    play = ready()
    play.ask("members.enrol", id="m-1", name="Somebody", photos=(b"a",), consent=CONSENT)
    play.ask("members.withdraw", request="r-2", id="m-1")
    assert play.problem_codes("r-1") == ["request.invalid"]
    assert not play.state.enrolments


def test_a_disk_that_does_not_answer_is_said() -> None:
    play = ready(member("m-1", 1))
    play.ask("members.withdraw", id="m-1")
    play.wait(60.0)
    assert play.problem_codes() == ["storage.failed"]


# --- removed and enrolled again --------------------------------------------------------------------------------------

ERASED = {"action": "members.erase", "told": lambda at, request: MemberErased(at, "m-1", request, existed=True)}
WITHDRAWN = {
    "action": "members.withdraw",
    "told": lambda at, request: ConsentWithdrawn(at, request, "m-1", existed=True, templates=1, why="withdrawn"),
}


def enrol(play: Play, person: int, request: str) -> SaveMember:
    """Enrol m-1 up to the order to save them."""
    is_again = "m-1" in play.state.members
    play.ask("members.enrol", request=request, id="m-1", name="x", photos=(b"a",), consent=CONSENT, again=is_again)
    play.record_consent()
    play.put(PhotoEncoded(play.now, play.found(EncodePhoto)[-1].order, face_of(person)))
    return play.found(SaveMember)[-1]


@pytest.mark.parametrize("removal", [ERASED, WITHDRAWN])
def test_who_is_enrolled_again_stays_though_the_removal_is_told_late(removal: dict[str, Any]) -> None:
    play = ready(member("m-1", 1), member("m-2", 2))
    play.ask(removal["action"], request="gone", id="m-1")
    order = enrol(play, 1, "back")
    play.put(MemberSaved(play.now, order.member, "back"))
    play.put(removal["told"](play.now, "gone"))  # a reader kept the disk from being cleaned until now
    play.build_gallery()
    play.write_log()
    assert [play.replies(request)[-1].ok for request in ("gone", "back")] == [True, True]
    assert play.state.removals == {}
    play.take()
    play.see_face(1)
    assert play.lock_orders() == [True]


@pytest.mark.parametrize("removal", [ERASED, WITHDRAWN])
def test_who_was_being_saved_when_they_were_removed_is_not_let_in(removal: dict[str, Any]) -> None:
    play = ready(member("m-2", 2))
    order = enrol(play, 1, "in")
    play.ask(removal["action"], request="gone", id="m-1")
    play.put(MemberSaved(play.now, order.member, "in"))
    play.see_face(1)
    assert play.lock_orders() == []
    assert play.problem_codes("in") == ["request.invalid"]
    assert play.logged("member.enrolled") == []
    play.put(removal["told"](play.now, "gone"))
    play.write_log()
    assert play.replies("gone")[-1].ok
    assert play.state.removals == {}
    assert ("m-1" in play.state.members) is (removal is WITHDRAWN)


def test_removals_that_wait_for_the_disk_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster, "MAX_REMOVALS", 3)
    play = ready()
    for n in range(5):
        play.ask("members.erase", request=f"r-{n}", id=f"m-{n}")
    assert len(play.found(EraseMember)) == len(play.state.removals) == 3
    assert play.problem_codes("r-4") == ["request.busy"]


# --- the proof of an erasure -----------------------------------------------------------------------------------------


def test_the_receipt_goes_to_who_asked_and_the_log_holds_neither_salt_nor_id() -> None:
    play = ready(member("m-1", 1))
    play.ask("members.erase", id="m-1")
    receipt = ErasureReceipt("2026-11-22T03:04:05.000Z", "d" * 64, {"templates": 1, "members": 1}, "5a17")
    play.put(MemberErased(play.now, "m-1", "r-1", existed=True, receipt=receipt))
    play.write_log()
    told = play.replies()[-1].result["receipt"]
    assert (told["salt"], told["digest"], told["rows"]) == ("5a17", "d" * 64, {"templates": 1, "members": 1})
    (body,) = play.logged("member.erased")
    assert body == {"why": "asked", "digest": "d" * 64, "rows": {"templates": 1, "members": 1}}


@pytest.mark.parametrize(
    ("action", "kind"),
    [("members.erase", "member.erasure_requested"), ("members.withdraw", "member.withdrawal_requested")],
)
@pytest.mark.parametrize("member_id", ["m-1", "nobody"])
def test_who_asks_for_an_erasure_is_in_the_log_whatever_comes_of_it(action: str, kind: str, member_id: str) -> None:
    play = ready(member("m-1", 1))
    play.ask(action, id=member_id)
    assert play.logged(kind) == [{"actor": "master", "kind": "local"}]


# --- retention -------------------------------------------------------------------------------------------------------


def test_the_dates_are_looked_at_soon_after_a_start_and_then_daily() -> None:
    play = ready()
    counts: list[int] = []
    for at in (roster.FIRST_REVIEW_S - 1, roster.FIRST_REVIEW_S, *(n * roster.REVIEW_S + 601 for n in (1, 2))):
        play.put_late(at, TimePassed(at))
        counts.append(len(play.found(ReadRetention)))
    assert counts == [0, 1, 2, 3]


def test_who_did_not_come_for_a_year_is_erased_without_anybody_asking() -> None:
    play = ready(member("m-1", 1), member("m-2", 2))
    look(play, dates("m-1", seen_days=366), dates("m-2", seen_days=364))
    assert [(each.member_id, each.why) for each in play.found(EraseMember)] == [("m-1", "unseen")]
    assert set(play.state.members) == {"m-2"}
    play.put(MemberErased(play.now, "m-1", play.found(EraseMember)[0].request, existed=True, why="unseen"))
    assert play.logged("member.erased") == [{"why": "unseen"}]


def test_a_consent_that_ended_takes_the_face_with_it_and_is_told() -> None:
    play = ready(member("m-1", 1))
    look(play, dates("m-1", left_days=-1))
    assert [(each.member_id, each.why) for each in play.found(WithdrawConsent)] == [("m-1", "expired")]
    play.see_face(1)
    assert play.lock_orders() == []
    fault = play.state.faults["consent.expired", "consent"]
    assert "m-1" in fault.text.en
    look(play, dates("m-1", left_days=-40, ended="expired", has_templates=False))
    assert ("consent.expired", "consent") not in play.state.faults


def test_the_end_of_a_consent_is_told_a_month_ahead_with_ids_and_over_once_it_is_renewed() -> None:
    play = ready(member("m-1", 1), member("m-2", 2))
    look(play, dates("m-1", left_days=29), dates("m-2"))
    assert play.state.faults["consent.expiring", "consent"].text.en.endswith("m-1")
    look(play, dates("m-1", left_days=28), dates("m-2", left_days=30))
    assert "m-1, m-2" in play.state.faults["consent.expiring", "consent"].text.en
    look(play, dates("m-1"), dates("m-2"))
    assert ("consent.expiring", "consent") not in play.state.faults
    assert not play.found(WithdrawConsent)


@pytest.mark.parametrize("wrong_by", [timedelta(days=800), timedelta(days=-800)])
def test_a_clock_that_jumped_erases_nobody_until_it_has_gone_on_evenly(wrong_by: timedelta) -> None:
    play = ready(member("m-1", 1))
    old = dates("m-1", seen_days=10)
    look(play, old, is_trusted=False)
    assert play.state.review_at == play.now + roster.REVIEW_AGAIN_S
    play.wait(60.0)
    look(play, old, is_trusted=False, wrong_by=wrong_by)
    assert not play.found(EraseMember)
    look(play, old, is_trusted=False)  # it was set right: again it is one look alone
    assert not play.found(EraseMember)
    play.wait(60.0)
    look(play, dates("m-1", seen_days=400), is_trusted=False)
    assert len(play.found(EraseMember)) == 1


def test_many_are_erased_a_few_at_a_time() -> None:
    play = ready()
    look(play, *(dates(f"m-{n}", seen_days=400) for n in range(roster.MAX_AT_ONCE + 5)))
    assert len(play.found(EraseMember)) == roster.MAX_AT_ONCE
    assert play.state.review_at == play.now + roster.REVIEW_AGAIN_S


def test_a_face_without_a_consent_on_record_is_a_fault() -> None:
    play = ready(member("m-1", 1))
    look(play, MemberDates("m-1", "2026-11-22", None, "", has_templates=True))
    assert ("consent.unrecorded", "consent") in play.state.faults


# --- own data --------------------------------------------------------------------------------------------------------


def test_the_log_of_a_person_names_nobody_else() -> None:
    play = ready(member("m-1", 1), member("m-2", 2))
    play.ask("members.data", id="m-1", part="log", epoch=1, after=3, after_id="x")
    (order,) = play.found(RunQuery)
    assert (order.query, dict(order.arguments)) == ("member_log", {"id": "m-1", "epoch": 1, "after": 3})
    row = {"epoch": 1, "sequence": 4, "body": '{"member":"m-1","look_alikes":["m-2"]}'}
    play.put(QueryAnswered(play.now, "r-1", (row,)))
    assert "m-2" not in repr(play.replies()[-1].result)
    assert play.replies()[-1].result["rows"][0]["body"]["member"] == "m-1"
