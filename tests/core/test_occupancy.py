"""Who is inside, when leaving does not say who leaves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.core.occupancy import MAX_VISITS, Occupancy, Visit, enter, forget, leave
from agent.effects import BeginVisit, EndVisit, VisitChange


def come(state: Occupancy, *members: str | None, at: float = 0.0) -> tuple[Occupancy, list[VisitChange]]:
    changes: list[VisitChange] = []
    for member in members:
        state, more = enter(state, "a", member, at)
        changes += more
    return state, changes


def go(state: Occupancy, times: int = 1, at: float = 9.0) -> tuple[Occupancy, list[EndVisit]]:
    ended: list[EndVisit] = []
    for _ in range(times):
        state, more = leave(state, at, "exit_button")
        ended += more
    return state, ended


def test_an_entry_begins_a_visit_and_the_exit_ends_it() -> None:
    state, changes = come(Occupancy(), "m-1", at=1.0)
    assert changes == [BeginVisit("a-1", "m-1", 1.0)]
    assert state.count == 1
    state, ended = go(state)
    assert ended == [EndVisit("a-1", 9.0, "exit_button")]
    assert state.count == 0


def test_nobody_leaves_an_empty_room() -> None:
    state = Occupancy(begun=3)
    assert leave(state, 1.0, "exit_button") == (state, ())


def test_with_several_inside_visits_end_together_when_the_room_is_empty() -> None:
    state, _ = come(Occupancy(), "m-1", "m-2", None)
    state, ended = go(state, 2)
    assert (state.count, ended) == (1, [])
    state, ended = go(state)
    assert ended == [EndVisit(f"a-{n}", 9.0, "room_empty") for n in (1, 2, 3)]
    assert (state.count, state.unnamed_exits) == (0, 0)


def test_a_member_who_comes_again_had_left_unseen() -> None:
    state, _ = come(Occupancy(), "m-1")
    state, changes = come(state, "m-1", at=5.0)
    assert changes == [EndVisit("a-1", 5.0, "entered_again"), BeginVisit("a-2", "m-1", 5.0)]
    assert state.count == 1


def test_a_member_who_comes_again_was_one_of_the_unnamed_exits() -> None:
    state, _ = come(Occupancy(), "m-1", "m-2")
    state, _ = go(state)
    assert state.count == 1
    state, _ = come(state, "m-1")
    assert (state.count, state.unnamed_exits) == (2, 0)


def test_anonymous_visitors_are_different_people() -> None:
    state, changes = come(Occupancy(), None, None)
    assert state.count == 2
    assert len({change.visit for change in changes}) == 2


def test_visits_of_an_earlier_start_end_like_any_other() -> None:
    state, _ = come(Occupancy((Visit("earlier-1", "m-1"),)), "m-2")
    _, ended = go(state, 2)
    assert {each.visit for each in ended} == {"earlier-1", "a-1"}


def test_those_who_left_unseen_do_not_pile_up_for_ever() -> None:
    state, changes = come(Occupancy(), *[None] * (MAX_VISITS + 1))
    assert len(state.visits) == state.count == MAX_VISITS
    assert [each for each in changes if isinstance(each, EndVisit)] == [EndVisit("a-1", 0.0, "left_unseen")]


@given(st.lists(st.sampled_from(["m-1", "m-2", "m-3", None, "leave"]), max_size=60))
def test_whoever_comes_and_goes_each_visit_begins_and_ends_at_most_once(steps: list[str | None]) -> None:
    state, open_visits, ever = Occupancy(), set[str](), set[str]()
    for what in steps:
        before = state.count
        changes: tuple[VisitChange, ...]
        if what == "leave":
            state, changes = leave(state, 1.0, "exit_button")
            assert state.count == max(0, before - 1)
        else:
            state, changes = enter(state, "a", what, 1.0)
            assert state.count in (before, before + 1)
        for change in changes:
            if isinstance(change, BeginVisit):
                assert change.visit not in ever
                ever.add(change.visit)
                open_visits.add(change.visit)
            else:
                open_visits.remove(change.visit)
        assert {visit.id for visit in state.visits} == open_visits
        assert 0 <= state.count <= len(open_visits)
        assert (state.count == 0) == (not open_visits)


def test_a_member_who_is_erased_while_inside_is_inside_no_more() -> None:
    inside, _ = enter(Occupancy(), "v", "m-1", 1.0)
    inside, _ = enter(inside, "v", "m-2", 2.0)
    after, ended = forget(inside, "m-1", 3.0)
    assert ended == (EndVisit("v-1", 3.0, "erased"),)
    assert ([each.member_id for each in after.visits], after.count) == (["m-2"], 1)
    assert forget(after, "m-1", 4.0) == (after, ())


def test_an_erasure_after_an_unnamed_exit_leaves_the_count_as_it_is() -> None:
    inside, _ = enter(Occupancy(), "v", "m-1", 1.0)
    inside, _ = enter(inside, "v", "m-2", 2.0)
    inside, _ = leave(inside, 3.0, "exit_button")
    after, _ = forget(inside, "m-1", 4.0)
    assert (after.count, len(after.visits), after.unnamed_exits) == (1, 1, 0)


def test_of_anonymous_visits_whoever_came_first_leaves() -> None:
    state, _ = come(Occupancy(), None, None, None)
    state, ended = go(state, 2)
    assert [each.visit for each in ended] == ["a-1", "a-2"]
    assert (state.count, [each.id for each in state.visits]) == (1, ["a-3"])


def test_exits_from_before_the_last_name_left_end_anonymous_visits_with_the_next() -> None:
    state = Occupancy((Visit("v-1", None), Visit("v-2", None), Visit("v-3", None)), unnamed_exits=1)
    state, ended = go(state)
    assert [each.visit for each in ended] == ["v-1", "v-2"]
    assert (state.count, state.unnamed_exits) == (1, 0)
