"""A pass as one of two factors: it waits unspent, is redeemed only when the door is to open, and never twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core.admission import REDEEM_S
from agent.core.codes import CodeRules
from agent.core.pass_book import PassRules
from agent.core.passback import VisitRules
from agent.core.passes import Pass, station_digest
from agent.core.schedule import Admission
from agent.effects import CheckPin, FindCard, RedeemPass
from agent.events import CardFound, CardRead, KeyPressed, MemberErased, PassChecked, PassRedeemed, PinChecked, Restored
from tests.core.station_play import RULES, Play, member, ready

HERE = station_digest("here")
OFTEN = Pass(1, "a" * 16, "m-1", stations=(HERE,))
ONCE = replace(OFTEN, pass_id="b" * 16, is_once=True)
GUEST = replace(OFTEN, pass_id="c" * 16, holder="g-1", is_guest=True)
STRICT = replace(RULES, passes=PassRules(HERE), codes=CodeRules(readers={"front": False}, factors_needed=2))
WINDOW_S = RULES.recognition.code_window_s


def station(*, rules: object = STRICT) -> Play:
    people = (member("m-1", 1), member("m-2", 2))
    return ready(*people, rules=rules, restored=Restored(revoked_passes=frozenset()))  # type: ignore[arg-type]


def show(play: Play, token: Pass) -> None:
    play.put(PassChecked(play.now, token, "", 1_500, True))


def show_card(play: Play, member_id: str | None) -> None:
    play.put(CardRead(play.now, "front", "4711"))
    play.put(CardFound(play.now, play.found(FindCard)[-1].request, member_id))


def type_code(play: Play, member_id: str | None) -> None:
    for key in "123456#2580#":
        play.put(KeyPressed(play.now, "front", key))
    play.put(PinChecked(play.now, play.found(CheckPin)[-1].request, member_id))


def redeem(play: Play, outcome: str = "redeemed") -> None:
    order = play.found(RedeemPass)[-1]
    play.put(PassRedeemed(play.now, order.pass_id, outcome, order.until))


def reasons(play: Play) -> list[str]:
    return [each["reason"] for each in play.logged("access.refused")]


def second(play: Play, way: str, who: int = 1) -> None:
    match way:
        case "face":
            play.see_face(who, track=who)
        case "card":
            show_card(play, f"m-{who}")
        case "keypad":
            type_code(play, f"m-{who}")


@pytest.mark.parametrize("way", ["face", "card", "keypad"])
def test_a_pass_and_another_way_of_its_holder_open(way: str) -> None:
    play = station()
    show(play, OFTEN)
    assert play.lock_orders() == []
    assert play.patterns() == ["look_here"]
    assert play.logged("access.first_factor") == [{"way": "pass", "member": "m-1", "pass": OFTEN.pass_id}]
    second(play, way)
    assert play.lock_orders() == [True]
    assert play.logged("access.granted") == [{"way": f"pass+{way}", "member": "m-1", "pass": OFTEN.pass_id}]


@pytest.mark.parametrize("way", ["face", "card", "keypad"])
def test_the_pass_may_come_second(way: str) -> None:
    play = station()
    second(play, way)
    show(play, OFTEN)
    assert play.lock_orders() == [True]
    assert play.logged("access.granted") == [{"way": f"{way}+pass", "member": "m-1", "pass": OFTEN.pass_id}]


@pytest.mark.parametrize("way", ["face", "card", "keypad"])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_pass_for_once_is_redeemed_when_nothing_else_is_missing_and_before_it_opens(way: str, is_first: bool) -> None:
    play = station()
    if is_first:
        show(play, ONCE)
        assert play.found(RedeemPass) == []
        second(play, way)
    else:
        second(play, way)
        show(play, ONCE)
    assert [each.pass_id for each in play.found(RedeemPass)] == [ONCE.pass_id]
    assert play.lock_orders() == []
    redeem(play)
    assert play.lock_orders() == [True]
    assert play.logged("access.granted")[0]["pass"] == ONCE.pass_id


@pytest.mark.parametrize("way", ["face", "card", "keypad"])
def test_the_second_factor_of_somebody_else_neither_opens_nor_spends(way: str) -> None:
    play = station()
    show(play, ONCE)
    second(play, way, who=2)
    play.wait(WINDOW_S)
    assert play.lock_orders() == []
    assert play.found(RedeemPass) == []
    show(play, ONCE)
    second(play, "keypad" if way == "card" else "card")
    redeem(play)
    assert play.lock_orders() == [True]


def test_a_wrong_code_leaves_the_pass_waiting_and_unspent() -> None:
    play = station()
    show(play, ONCE)
    type_code(play, None)
    show_card(play, None)
    assert reasons(play) == ["code_wrong", "code_wrong"]
    assert play.found(RedeemPass) == []
    type_code(play, "m-1")
    redeem(play)
    assert play.lock_orders() == [True]


def test_a_second_factor_that_comes_too_late_spends_nothing() -> None:
    play = station()
    show(play, ONCE)
    play.wait(WINDOW_S)
    show_card(play, "m-1")
    assert (play.lock_orders(), play.found(RedeemPass)) == ([], [])


def test_a_face_of_the_last_moment_that_is_judged_after_it_opens_nothing() -> None:
    play = station()
    show(play, OFTEN)
    shown_at = play.now
    play.take()
    play.see_face(1, at=shown_at + WINDOW_S - 0.05, frames=1)
    play.see_face(1, at=shown_at + WINDOW_S + 0.1, frames=2)
    assert play.lock_orders() == []
    assert [each["way"] for each in play.logged("access.first_factor")] == ["face"]


def test_the_same_pass_still_held_up_is_one_presentation() -> None:
    play = station()
    for _ in range(5):
        show(play, ONCE)
        play.wait(0.5)
    assert len(play.logged("access.first_factor")) == 1


def test_two_passes_of_one_member_are_one_factor() -> None:
    play = station()
    show(play, OFTEN)
    show(play, ONCE)
    assert (play.lock_orders(), play.found(RedeemPass)) == ([], [])


def test_a_guest_has_no_second_factor_and_is_refused() -> None:
    play = station()
    for token in (GUEST, replace(GUEST, is_once=True)):
        show(play, token)
    assert reasons(play) == ["second_needed"] * 2
    assert play.found(RedeemPass) == []


def test_a_pass_that_is_revoked_while_it_waits_opens_nothing() -> None:
    for token in (OFTEN, ONCE):
        play = station()
        show(play, token)
        play.ask("passes.revoke", pass_id=token.pass_id)
        show_card(play, "m-1")
        assert reasons(play) == ["pass_revoked"]
        assert (play.lock_orders(), play.found(RedeemPass)) == ([], [])


def test_a_member_who_is_erased_while_their_pass_waits_spends_nothing() -> None:
    play = station()
    show(play, ONCE)
    play.ask("members.erase", id="m-1")
    play.put(MemberErased(play.now, "m-1", "r-1", existed=True))
    play.see_face(1)
    assert (play.lock_orders(), play.found(RedeemPass)) == ([], [])


def test_a_pass_for_once_that_is_spent_opens_with_no_second_factor_either() -> None:
    play = station()
    show(play, ONCE)
    show_card(play, "m-1")
    redeem(play, "spent")
    assert (play.lock_orders(), reasons(play)) == ([], ["pass_spent"])


def test_a_disk_that_is_silent_keeps_the_door_shut() -> None:
    play = station()
    show(play, ONCE)
    show_card(play, "m-1")
    play.wait(REDEEM_S + 2)
    redeem(play)
    assert (play.lock_orders(), reasons(play)) == ([], ["pass_not_redeemed"])


def test_where_one_way_is_enough_by_now_the_pass_is_not_spent_for_it() -> None:
    play = station()
    show(play, ONCE)
    play.ask("door.hold_open")
    show_card(play, "m-1")
    assert play.found(RedeemPass) == []
    assert play.logged("access.granted") == [{"way": "card", "member": "m-1"}]


def test_factors_that_were_enough_as_the_pass_was_shown_are_enough_when_it_is_spent() -> None:
    play = station(rules=replace(STRICT, codes=CodeRules()))
    show(play, ONCE)
    play.state = replace(play.state, admission=Admission.TWO_FACTORS)
    redeem(play)
    assert play.lock_orders() == [True]


def test_a_full_station_refuses_a_pass_before_it_is_spent() -> None:
    play = station(rules=replace(STRICT, codes=CodeRules(), visits=VisitRules(capacity=1)))
    play.see_face(2)
    play.move_leaf(is_open=True)
    play.move_leaf(is_open=False)
    for token in (ONCE, replace(GUEST, is_once=True)):
        show(play, token)
    assert reasons(play) == ["full", "full"]
    assert play.found(RedeemPass) == []
