"""Who is inside, and what follows for who comes in: exits that are read, time limits, anti-passback, capacity."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core.access import Reason
from agent.core.codes import CodeRules
from agent.core.occupancy import Occupancy, Visit, enter, expire, leave, leave_named
from agent.core.passback import Passback, VisitRules, is_inside, refusal_of
from agent.effects import FindCard
from agent.events import CardFound, CardRead, CodeUnchecked, ExitButtonPressed, OpenVisit, Restored
from tests.core.station_play import RULES, Play, member, ready

READERS = CodeRules(readers={"front": False, "exit": True})
PEOPLE = (member("m-1", 1), member("m-2", 2))


def station(restored: Restored | None = None, **rules: object) -> Play:
    chosen = replace(RULES, codes=READERS, visits=VisitRules(**rules))  # type: ignore[arg-type]
    return ready(*PEOPLE, rules=chosen, restored=restored)


def walk_through(play: Play) -> None:
    play.move_leaf(is_open=True)
    play.move_leaf(is_open=False)
    play.wait(10.0)


def read(play: Play, reader: str, member_id: str | None) -> None:
    play.put(CardRead(play.now, reader, "4711"))
    play.put(CardFound(play.now, play.found(FindCard)[-1].request, member_id))


def come_in(play: Play, member_id: str) -> None:
    read(play, "front", member_id)
    walk_through(play)


def go_out(play: Play, member_id: str | None) -> None:
    read(play, "exit", member_id)
    walk_through(play)


def refused(play: Play) -> list[str]:
    return [each["reason"] for each in play.logged("access.refused")]


# --- exits that are read ---------------------------------------------------------------------------------------------


def test_an_exit_that_is_read_ends_that_members_visit_and_no_other() -> None:
    play = station()
    come_in(play, "m-1")
    come_in(play, "m-2")
    go_out(play, "m-1")
    assert [each.member_id for each in play.state.occupancy.visits] == ["m-2"]
    assert play.state.occupancy.unnamed_exits == 0
    assert play.logged("visit.left")[-1]["inside"] == 1


def test_who_follows_through_the_open_door_by_their_own_card_has_left_too() -> None:
    play = station(passback=Passback.HARD)
    come_in(play, "m-1")
    come_in(play, "m-2")
    read(play, "exit", "m-1")
    play.move_leaf(is_open=True)
    read(play, "exit", "m-2")
    assert play.inside == 0
    play.move_leaf(is_open=False)
    play.wait(10.0)
    play.take()
    read(play, "front", "m-2")
    assert refused(play) == []
    assert play.lock_orders() == [True]


def test_a_card_that_is_read_twice_while_the_door_is_open_is_one_person() -> None:
    play = station()
    for member_id in ("m-1", "m-2"):
        come_in(play, member_id)
    read(play, "exit", "m-1")
    play.move_leaf(is_open=True)
    read(play, "exit", "m-1")
    assert [each.member_id for each in play.state.occupancy.visits] == ["m-2"]
    assert play.inside == 1


@pytest.mark.parametrize("contact", [True, None])
def test_who_is_named_after_the_door_counted_somebody_is_that_somebody(contact: bool | None) -> None:
    play = station()
    for member_id in ("m-1", "m-2"):
        come_in(play, member_id)
    if contact is None:
        play.move_leaf(is_open=None)
    play.put(CardRead(play.now, "exit", "4711"))
    if contact:
        play.move_leaf(is_open=True)
    assert play.inside == 1
    play.put(CardFound(play.now, play.found(FindCard)[-1].request, "m-1"))
    assert [each.member_id for each in play.state.occupancy.visits] == ["m-2"]
    assert (play.inside, play.state.occupancy.unnamed_exits) == (1, 0)


def test_an_exit_by_a_card_that_nobody_has_is_honoured_and_names_nobody() -> None:
    play = station()
    come_in(play, "m-1")
    come_in(play, "m-2")
    go_out(play, None)
    assert (len(play.state.occupancy.visits), play.inside) == (2, 1)
    assert refused(play) == []


def test_nobody_is_kept_in_or_refused_by_a_worker_that_does_not_answer() -> None:
    play = station()
    come_in(play, "m-1")
    play.take()
    play.put(CardRead(play.now, "exit", "4711"))
    assert play.lock_orders() == [True]
    play.put(CodeUnchecked(play.now, play.found(FindCard)[-1].request))
    walk_through(play)
    assert play.inside == 0
    assert refused(play) == []


def test_who_was_read_and_did_not_go_is_not_taken_for_the_next_who_does() -> None:
    play = station()
    come_in(play, "m-1")
    come_in(play, "m-2")
    read(play, "exit", "m-1")
    play.wait(60.0)
    play.put(ExitButtonPressed(play.now))
    walk_through(play)
    assert [each.member_id for each in play.state.occupancy.visits] == ["m-1", "m-2"]
    assert play.inside == 1


def test_a_named_exit_of_the_last_ends_the_visits_of_those_who_left_unnamed() -> None:
    state = Occupancy((Visit("v-1", "m-1"), Visit("v-2", "m-2")), unnamed_exits=1)
    state, ended = leave_named(state, 5.0, "exit_reader", "m-1")
    assert [(each.visit, each.how) for each in ended] == [("v-1", "exit_reader"), ("v-2", "room_empty")]
    assert state == Occupancy()


# --- time limits -----------------------------------------------------------------------------------------------------


def test_a_visit_that_nobody_ends_is_over_after_its_limit() -> None:
    play = station(limit_s=3600.0)
    come_in(play, "m-1")
    play.wait(3500.0)
    assert play.inside == 1
    play.wait(200.0)
    assert play.inside == 0
    assert play.logged("visit.left")[-1]["way"] == "time_limit"


def test_a_visit_from_before_the_start_is_given_its_time_once_more() -> None:
    play = station(Restored(open_visits=(OpenVisit("before-1", "m-1"),)), limit_s=3600.0)
    play.wait(3500.0)
    assert play.inside == 1
    play.wait(200.0)
    assert play.inside == 0


def test_only_the_visits_that_are_over_end_and_their_unnamed_exits_with_them() -> None:
    state, _ = enter(Occupancy(), "a", "m-1", 0.0)
    state, _ = enter(state, "a", "m-2", 50.0)
    state, _ = leave(state, 60.0, "exit_button")
    state, ended = expire(state, 100.0, 100.0)
    assert [each.visit for each in ended] == ["a-1"]
    assert (len(state.visits), state.unnamed_exits) == (1, 0)
    assert expire(state, 149.9, 100.0) == (state, ())


# --- anti-passback ---------------------------------------------------------------------------------------------------


def test_hard_refuses_who_is_inside_until_they_have_left() -> None:
    play = station(passback=Passback.HARD)
    come_in(play, "m-1")
    play.take()
    read(play, "front", "m-1")
    assert refused(play) == ["already_inside"]
    assert play.lock_orders() == []
    go_out(play, "m-1")
    play.take()
    read(play, "front", "m-1")
    assert play.lock_orders() == [True]


def test_soft_lets_them_in_and_says_so_in_the_log() -> None:
    play = station(passback=Passback.SOFT)
    come_in(play, "m-1")
    come_in(play, "m-1")
    assert play.logged("access.passback") == [{"way": "card", "member": "m-1"}]
    assert len(play.logged("visit.entered")) == 2
    assert play.inside == 1


def test_off_takes_no_notice() -> None:
    play = station()
    come_in(play, "m-1")
    come_in(play, "m-1")
    assert play.logged("access.passback") == []
    assert refused(play) == []


def test_nobody_is_refused_while_it_is_not_certain_who_left() -> None:
    occupancy = Occupancy((Visit("v-1", "m-1"), Visit("v-2", "m-2")), unnamed_exits=1)
    assert not is_inside(occupancy, "m-1")
    assert refusal_of(occupancy, "m-1", VisitRules(passback=Passback.HARD)) is None


# --- capacity --------------------------------------------------------------------------------------------------------


def test_a_full_station_asks_to_wait_until_somebody_leaves() -> None:
    play = station(capacity=1)
    come_in(play, "m-1")
    play.take()
    read(play, "front", "m-2")
    assert refused(play) == ["full"]
    assert play.lock_orders() == []
    go_out(play, "m-1")
    read(play, "front", "m-2")
    assert play.lock_orders()[-1] is True


@pytest.mark.parametrize(("member_id", "reason"), [("m-1", None), ("m-2", Reason.FULL)])
def test_who_has_a_visit_there_makes_a_full_station_no_fuller(member_id: str, reason: Reason | None) -> None:
    assert refusal_of(Occupancy((Visit("v-1", "m-1"),)), member_id, VisitRules(capacity=1)) is reason
