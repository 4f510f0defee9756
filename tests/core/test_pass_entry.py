"""A pass at the door: judged, redeemed before it opens, and said why when it does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.core import admission
from agent.core.admission import ANSWER_S, FRESH_S, MAX_REDEMPTIONS, QUIET_S, REDEEM_S
from agent.core.pass_book import PassRules
from agent.core.pass_entry import MAX_REVOKED
from agent.core.passes import Pass, in_order, station_digest
from agent.effects import AppendEntry, CheckPass, RedeemPass, RevokePass
from agent.events import (
    CodeSeen,
    EntriesLogged,
    PassChecked,
    PassRedeemed,
    PassRevoked,
    PauseSkipped,
    Restored,
    StorageOpened,
)
from tests.core.station_play import MASTER, RULES, VIEWER, Play, member, ready, receipts

HERE = station_digest("here")
RULES_HERE = replace(RULES, passes=PassRules(HERE))
OFTEN = Pass(1, "a" * 16, "m-1", stations=(HERE,), valid_from=1_000, valid_until=2_000)
ONCE = replace(OFTEN, pass_id="b" * 16, is_once=True)
GUEST = Pass(1, "c" * 16, "g-1", is_guest=True)
NOW_MINUTE = 1_500


def station(
    *, revoked: frozenset[str] | None = frozenset(), rules: Any = RULES_HERE, is_suspended: bool = False
) -> Play:
    people = (member("m-1", 1, is_suspended=is_suspended), member("m-2", 2))
    return ready(*people, rules=rules, restored=Restored(revoked_passes=revoked))


def show(play: Play, token: Pass | None, *, fault: str = "", minute: int = NOW_MINUTE, is_trusted: bool = True) -> None:
    play.put(PassChecked(play.now, token, fault, minute, is_trusted))


def answer(play: Play, outcome: str) -> None:
    """What the disk says of the last order."""
    until = [each.until for each in play.state.passes.redemptions.values()] or [0.0]
    play.put(PassRedeemed(play.now, ONCE.pass_id, outcome, until[-1]))


def refusals(play: Play) -> list[str]:
    return [each["reason"] for each in play.logged("access.refused")]


def test_a_code_is_checked_as_it_comes_into_view() -> None:
    play = station()
    play.put(CodeSeen(play.now, "WHATEVER"))
    assert play.found(CheckPass) == [CheckPass(play.now, "WHATEVER")]
    assert play.lock_orders() == []


def test_a_pass_opens_for_its_member_and_the_log_names_the_pass() -> None:
    play = station()
    show(play, OFTEN)
    assert play.lock_orders() == [True]
    assert play.patterns() == ["granted"]
    assert play.logged("access.granted") == [{"way": "pass", "member": "m-1", "pass": "a" * 16}]
    play.move_leaf(is_open=True)
    (visit,) = play.logged("visit.entered")
    assert (visit["member"], visit["pass"]) == ("m-1", "a" * 16)


def test_guests_are_not_enrolled_and_two_are_two() -> None:
    play = station()
    show(play, GUEST)
    show(play, replace(GUEST, pass_id="d" * 16))
    play.move_leaf(is_open=True)
    assert [each["pass"] for each in play.logged("visit.entered")] == ["c" * 16, "d" * 16]
    assert {each["member"] for each in play.logged("visit.entered")} == {None}
    assert play.inside == 2


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (replace(OFTEN, holder="m-9"), "not_enrolled"),
        (replace(OFTEN, stations=in_order(["there"])), "pass_other_station"),
        (replace(OFTEN, valid_until=1_200), "pass_expired"),
        (replace(OFTEN, valid_from=1_800), "pass_early"),
        (replace(OFTEN, pass_id="f" * 16), "pass_revoked"),
    ],
)
def test_a_pass_that_does_not_hold_is_refused_with_its_reason(token: Pass, reason: str) -> None:
    play = station(revoked=frozenset({"f" * 16}))
    for each in (token, replace(token, stations=token.stations or (HERE,), is_once=True)):
        play.take()
        show(play, each)
        assert play.lock_orders() == []
        assert play.found(RedeemPass) == []
        assert refusals(play) == [reason]
        assert play.logged("access.refused")[0]["pass"] == token.pass_id
        assert play.patterns() == ["refused"]


def test_a_suspended_member_stays_out_with_a_pass() -> None:
    play = station(is_suspended=True)
    show(play, OFTEN)
    assert (play.lock_orders(), refusals(play)) == ([], ["suspended"])


@pytest.mark.parametrize("token", [OFTEN, ONCE, GUEST])
def test_nobody_comes_in_by_a_pass_while_the_station_is_locked_down(token: Pass) -> None:
    play = station()
    play.ask("door.lock_down")
    play.take()
    show(play, token)
    assert (play.lock_orders(), refusals(play), play.found(RedeemPass)) == ([], ["locked_down"], [])


def test_a_forged_pass_is_refused_and_logged_and_any_other_code_only_shown() -> None:
    play = station()
    show(play, None, fault="pass_forged")
    assert refusals(play) == ["pass_forged"]
    show(play, None, fault="pass_unreadable")
    assert refusals(play) == ["pass_forged"]
    assert play.patterns() == ["refused", "refused"]
    assert play.lock_orders() == []


def test_an_unset_clock_judges_time_limits_only_where_the_settings_say_so() -> None:
    play = station()
    show(play, OFTEN, is_trusted=False)
    assert refusals(play) == ["pass_clock_not_set"]
    show(play, GUEST, is_trusted=False)
    assert play.lock_orders() == [True]
    play = station(rules=replace(RULES, passes=PassRules(HERE, trusts_unset_clock=True)))
    show(play, OFTEN, is_trusted=False)
    assert play.lock_orders() == [True]


def test_no_pass_opens_before_it_is_known_what_was_revoked() -> None:
    play = station(revoked=None)
    for token in (OFTEN, ONCE, GUEST):
        show(play, token)
    assert refusals(play) == ["pass_not_checked"] * 3
    people = tuple(play.state.members.values())
    play.put(StorageOpened(play.now, Restored(members=people, revoked_passes=frozenset({OFTEN.pass_id}))))
    show(play, OFTEN)
    assert refusals(play)[-1] == "pass_revoked"
    show(play, GUEST)
    assert play.lock_orders() == [True]


def test_a_revocation_from_before_the_ledger_could_be_read_stays() -> None:
    play = station(revoked=None)
    play.ask("passes.revoke", pass_id=GUEST.pass_id)
    play.put(StorageOpened(play.now, Restored(revoked_passes=frozenset())))
    show(play, GUEST)
    assert refusals(play) == ["pass_revoked"]


def test_whoever_left_while_the_machine_was_busy_opens_nothing() -> None:
    play = station()
    play.put_late(play.now + FRESH_S + 0.1, PassChecked(play.now, OFTEN, "", NOW_MINUTE, True))
    assert (play.lock_orders(), refusals(play)) == ([], [])


# --- for once --------------------------------------------------------------------------------------------------------


def test_a_pass_for_once_opens_only_after_the_disk_has_spent_it() -> None:
    play = station()
    show(play, ONCE)
    assert play.found(RedeemPass) == [RedeemPass(ONCE.pass_id, play.now, play.now + REDEEM_S)]
    assert (play.lock_orders(), play.patterns(), play.log_types()) == ([], [], [])
    seen_at = play.now
    play.wait(0.5)
    answer(play, "redeemed")
    assert play.lock_orders() == [True]
    assert play.state.door.causes[0].seen_at == seen_at
    assert play.logged("access.granted") == [{"way": "pass", "member": "m-1", "pass": ONCE.pass_id}]


@pytest.mark.parametrize(("outcome", "reason"), [("spent", "pass_spent"), ("late", "pass_not_redeemed")])
def test_a_pass_that_the_disk_does_not_spend_opens_nothing(outcome: str, reason: str) -> None:
    play = station()
    show(play, ONCE)
    answer(play, outcome)
    assert (play.lock_orders(), refusals(play)) == ([], [reason])


def test_a_silent_disk_keeps_the_door_shut_and_its_late_answer_changes_nothing() -> None:
    play = station()
    show(play, ONCE)
    play.wait(REDEEM_S + ANSWER_S)
    assert refusals(play) == ["pass_not_redeemed"]
    answer(play, "redeemed")
    assert (play.lock_orders(), len(refusals(play))) == ([], 1)


def test_an_answer_that_nobody_waits_for_opens_nothing() -> None:
    play = station()
    play.put(PassRedeemed(play.now, ONCE.pass_id, "redeemed", 1.0))
    assert play.lock_orders() == []


def test_an_order_that_was_given_up_does_not_answer_for_the_next() -> None:
    play = station()
    show(play, ONCE)
    (first,) = play.found(RedeemPass)
    play.wait(REDEEM_S + ANSWER_S)
    show(play, ONCE)
    play.take()
    play.put(PassRedeemed(play.now, ONCE.pass_id, "late", first.until))
    assert play.orders == []
    play.put(PassRedeemed(play.now, ONCE.pass_id, "redeemed", play.state.passes.redemptions[ONCE.pass_id].until))
    assert play.lock_orders() == [True]


def test_the_same_code_still_held_up_is_one_presentation() -> None:
    play = station()
    show(play, ONCE)
    show(play, ONCE)
    assert len(play.found(RedeemPass)) == 1
    answer(play, "redeemed")
    play.take()
    show(play, ONCE)
    assert play.orders == []
    play.wait(QUIET_S)
    show(play, ONCE)
    assert len(play.found(RedeemPass)) == 1


@pytest.mark.parametrize("what", ["door.lock_down", "passes.revoke"])
def test_what_happens_while_the_disk_writes_still_counts(what: str) -> None:
    play = station()
    show(play, ONCE)
    play.ask(what, pass_id=ONCE.pass_id)
    play.take()
    answer(play, "redeemed")
    assert play.lock_orders() == []
    assert refusals(play) in (["locked_down"], ["pass_revoked"])


def test_so_many_and_no_more_are_redeemed_at_one_time() -> None:
    play = station()
    for n in range(MAX_REDEMPTIONS + 1):
        show(play, replace(ONCE, pass_id=f"{n:016x}"))
    assert len(play.found(RedeemPass)) == MAX_REDEMPTIONS
    assert refusals(play) == ["pass_not_redeemed"]


def test_a_pause_that_was_skipped_takes_nothing_of_the_disks_time() -> None:
    play = station()
    show(play, ONCE)
    play.put_late(play.now + 3600, PauseSkipped(play.now + 3600, 3600))
    answer(play, "redeemed")
    assert play.lock_orders() == [True]


def test_what_is_remembered_of_passes_is_bounded() -> None:
    play = station()
    for n in range(60):
        show(play, replace(GUEST, pass_id=f"{n:016x}"))
    assert len(play.state.passes.quiet_until) == admission.MAX_QUIET


# --- revoking --------------------------------------------------------------------------------------------------------


def test_a_revoked_pass_opens_nothing_from_now_on_and_done_is_said_once_it_is_durable() -> None:
    play = station()
    play.ask("passes.revoke", pass_id=OFTEN.pass_id)
    assert play.found(RevokePass) == [RevokePass("r-1", OFTEN.pass_id, play.now)]
    assert play.logged("control.done")[0] == {
        "action": "passes.revoke",
        "actor": MASTER.name,
        "kind": "local",
        "pass": OFTEN.pass_id,
    }
    show(play, OFTEN)
    assert (play.lock_orders(), refusals(play), play.replies()) == ([], ["pass_revoked"], [])
    play.put(PassRevoked(play.now, "r-1", OFTEN.pass_id))
    assert play.replies() == []
    entries = play.found(AppendEntry)
    play.put(EntriesLogged(play.now, receipts(*entries)))
    (reply,) = play.replies()
    assert reply.ok
    assert play.logged("pass.revoked") == [{"pass": OFTEN.pass_id}]


def test_only_a_master_revokes() -> None:
    play = station()
    play.ask("passes.revoke", actor=VIEWER, pass_id=OFTEN.pass_id)
    assert play.problem_codes() == ["request.forbidden"]
    show(play, OFTEN)
    assert play.lock_orders() == [True]


def test_so_many_are_revoked_and_then_the_key_has_to_go() -> None:
    play = station(revoked=frozenset(f"{n:016x}" for n in range(MAX_REVOKED)))
    play.ask("passes.revoke", pass_id=OFTEN.pass_id)
    assert play.problem_codes() == ["request.busy"]
    play.ask("passes.revoke", request="r-2", pass_id="0" * 16)
    assert play.replies("r-2") == []
