"""The door's table, walked over its whole product."""

from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.door import (
    COLUMNS,
    MAX_CAUSES,
    TABLE,
    Alarm,
    AlarmCleared,
    AlarmRaised,
    Cause,
    Contact,
    DoorState,
    DoorTimings,
    Input,
    Lock,
    LockKind,
    Mode,
    ModeChanged,
    Passed,
    Refused,
    Report,
    Unused,
    due,
    is_energised,
    standing,
    step,
)

TIMINGS = DoorTimings(release_s=5, open_alarm_s=30)
RIDER = Cause("face", "m-1", seen_at=0.0)
BUTTON = Cause("exit_button")
ALARMS = [frozenset(each) for n in range(3) for each in combinations(Alarm, n)]
PRODUCT = [
    DoorState(mode, lock, contact, alarms) for mode, lock, contact, alarms in product(Mode, Lock, Contact, ALARMS)
]


def play(*inputs: Input, state: DoorState | None = None, at: float = 0.0) -> tuple[DoorState, tuple[Report, ...]]:
    """Put inputs one second apart; returns the state and every report."""
    state = state or DoorState(contact=Contact.CLOSED)
    reports: tuple[Report, ...] = ()
    for what in inputs:
        cause = {Input.GRANT: RIDER, Input.EXIT: BUTTON}.get(what, Cause("nobody"))
        state, more = step(state, what, at, TIMINGS, cause)
        reports += more
        at += 1
    return state, reports


def test_every_cell_of_the_table_is_written() -> None:
    assert set(TABLE) == set(product(Input, Mode))
    assert all(len(row) == len(COLUMNS) for row in TABLE.values())


@pytest.mark.parametrize("what", Input)
def test_no_state_and_input_leaves_the_product_or_breaks_its_promises(what: Input) -> None:
    for state in PRODUCT:
        after, reports = step(state, what, 100.0, TIMINGS, BUTTON if what is Input.EXIT else RIDER)
        if after.lock is Lock.RELEASED and state.lock is Lock.SECURED:
            assert what in (Input.GRANT, Input.EXIT, Input.HOLD_OPEN)
        if after.mode is not state.mode:
            assert what in (Input.HOLD_OPEN, Input.LOCK_DOWN, Input.RESUME)
            assert ModeChanged(after.mode) in reports
        if after.lock is Lock.RELEASED and after.mode is not Mode.UNLOCKED and state.lock is Lock.SECURED:
            assert after.release_ends_at == 105.0
        if what is Input.EXIT:
            assert after.lock is Lock.RELEASED
        if what is Input.GRANT and state.mode is Mode.LOCKED_DOWN:
            assert after.lock is state.lock
            assert reports == (Refused(RIDER),)
        raised = {report.alarm for report in reports if isinstance(report, AlarmRaised)}
        cleared = {report.alarm for report in reports if isinstance(report, AlarmCleared)}
        assert after.alarms == (state.alarms | raised) - cleared
        assert not raised & state.alarms


def test_a_grant_opens_and_the_door_relocks_as_soon_as_it_is_closed() -> None:
    state, reports = play(Input.GRANT, Input.OPENED)
    assert state.lock is Lock.RELEASED
    assert reports == (Passed(RIDER),)
    state, reports = play(Input.CLOSED, state=state, at=2.0)
    assert (state.lock, state.contact, reports) == (Lock.SECURED, Contact.CLOSED, ())


def test_the_door_relocks_when_nobody_enters() -> None:
    state, _ = play(Input.GRANT)
    assert due(state, 4.9) == ()
    assert due(state, 5.0) == (Input.RELEASE_ENDED,)
    state, reports = play(Input.RELEASE_ENDED, state=state, at=5.0)
    assert state.lock is Lock.SECURED
    assert reports == (Unused(RIDER),)


def test_a_second_grant_prolongs_the_release_and_counts_once() -> None:
    state, reports = play(Input.GRANT, Input.GRANT, Input.OPENED)
    assert reports == (Passed(RIDER),)
    assert state.release_ends_at == 6.0


def test_two_riders_granted_before_one_opening_both_pass() -> None:
    other = Cause("face", "m-2")
    state, _ = play(Input.GRANT)
    state, _ = step(state, Input.GRANT, 1.0, TIMINGS, other)
    _, reports = step(state, Input.OPENED, 2.0, TIMINGS)
    assert reports == (Passed(RIDER), Passed(other))


def test_an_opening_without_a_cause_is_forced_until_it_is_closed() -> None:
    state, reports = play(Input.OPENED)
    assert reports == (AlarmRaised(Alarm.FORCED),)
    state, reports = play(Input.CLOSED, state=state, at=7.0)
    assert reports == (AlarmCleared(Alarm.FORCED, 7.0),)
    assert state.alarms == frozenset()


def test_a_door_found_open_at_the_start_is_not_called_forced() -> None:
    _, reports = play(Input.OPENED, state=DoorState())
    assert reports == ()


def test_a_door_held_open_alarms_and_clears_when_closed() -> None:
    state, _ = play(Input.GRANT, Input.OPENED)
    state, _ = step(state, Input.RELEASE_ENDED, 6.0, TIMINGS)
    assert state.open_time_ends_at == 31.0
    assert due(state, 31.0) == (Input.OPEN_TIME_ENDED,)
    state, reports = step(state, Input.OPEN_TIME_ENDED, 31.0, TIMINGS)
    assert reports == (AlarmRaised(Alarm.OPEN_TOO_LONG),)
    _, reports = step(state, Input.CLOSED, 41.0, TIMINGS)
    assert reports == (AlarmCleared(Alarm.OPEN_TOO_LONG, 40.0),)


def test_leaving_is_honoured_in_a_lock_down() -> None:
    state, _ = play(Input.LOCK_DOWN, Input.EXIT)
    assert state.lock is Lock.RELEASED
    _, reports = play(Input.OPENED, Input.CLOSED, state=state)
    assert reports == (Passed(BUTTON),)


def test_a_lock_down_takes_a_release_back() -> None:
    state, reports = play(Input.GRANT, Input.LOCK_DOWN)
    assert state.lock is Lock.SECURED
    assert reports == (ModeChanged(Mode.LOCKED_DOWN), Unused(RIDER))


def test_an_unlocked_door_may_stand_open_without_alarm() -> None:
    state, _ = play(Input.HOLD_OPEN, Input.OPENED)
    assert state.deadline() is None
    state, _ = play(Input.RESUME, state=state, at=100.0)
    assert (state.lock, state.open_time_ends_at) == (Lock.SECURED, 130.0)


def test_without_a_contact_a_grant_counts_as_a_passage_at_once() -> None:
    state, reports = play(Input.GRANT, Input.GRANT, state=DoorState())
    assert reports == (Passed(RIDER),)
    state, reports = step(state, Input.RELEASE_ENDED, 6.0, TIMINGS)
    assert (state.lock, state.causes, reports) == (Lock.SECURED, (), ())


def test_repeated_presses_of_the_exit_button_are_one_exit() -> None:
    _, reports = play(Input.EXIT, Input.EXIT, Input.OPENED, Input.EXIT)
    assert reports == (Passed(BUTTON),)


def test_who_comes_through_an_unlocked_door_and_who_did_not() -> None:
    state, reports = play(Input.HOLD_OPEN, Input.GRANT)
    assert due(state, 6.0) == (Input.RELEASE_ENDED,)
    state, reports = step(state, Input.RELEASE_ENDED, 6.0, TIMINGS)
    assert (state.lock, reports) == (Lock.RELEASED, (Unused(RIDER),))


def test_who_did_not_come_before_the_door_was_held_open_did_not_come() -> None:
    state, _ = play(Input.GRANT, Input.HOLD_OPEN)
    assert due(state, 5.0) == (Input.RELEASE_ENDED,)
    state, reports = step(state, Input.RELEASE_ENDED, 5.0, TIMINGS)
    assert (state.lock, reports) == (Lock.RELEASED, (Unused(RIDER),))
    _, reports = step(state, Input.OPENED, 3600.0, TIMINGS)
    assert reports == ()


def test_everybody_counts_who_comes_through_an_unlocked_door_that_stands_open_all_day() -> None:
    state, _ = play(Input.HOLD_OPEN, Input.OPENED)
    passed: list[Cause] = []
    for n in range(3 * MAX_CAUSES):
        at = 100.0 * n
        state, reports = step(state, Input.GRANT, at, TIMINGS, Cause("face", f"m-{n}"))
        passed += [each.cause for each in reports if isinstance(each, Passed)]
        state, reports = step(state, Input.EXIT, at + 1, TIMINGS, BUTTON)
        passed += [each.cause for each in reports if isinstance(each, Passed)]
        assert due(state, at + 6) == (Input.RELEASE_ENDED,)
        state, _ = step(state, Input.RELEASE_ENDED, at + 6, TIMINGS)
    assert len(passed) == 6 * MAX_CAUSES


def test_everybody_counts_who_comes_through_one_long_opening() -> None:
    state, _ = play(Input.GRANT, Input.OPENED)
    for n in range(3 * MAX_CAUSES):
        other = Cause("face", f"other-{n}")
        state, reports = step(state, Input.GRANT, 10.0 + n, TIMINGS, other)
        assert reports == (Passed(other),)
        assert len(state.causes) <= MAX_CAUSES


def test_one_who_stands_in_the_open_door_counts_once() -> None:
    state, _ = play(Input.GRANT, Input.OPENED)
    state, _ = step(state, Input.RELEASE_ENDED, 5.0, TIMINGS)
    _, reports = step(state, Input.GRANT, 15.0, TIMINGS, RIDER)
    assert reports == ()


def test_a_contact_lost_between_grant_and_opening_does_not_lose_the_visit() -> None:
    state, reports = play(Input.GRANT, Input.CONTACT_LOST)
    assert reports == (Passed(RIDER),)
    assert state.lock is Lock.RELEASED
    for what in (Input.OPENED, Input.CLOSED, Input.RELEASE_ENDED):
        _, reports = step(state, what, 3.0, TIMINGS)
        assert reports == ()


def test_a_door_that_stands_open_is_no_longer_timed_when_the_contact_is_lost() -> None:
    state, _ = play(Input.GRANT, Input.OPENED, Input.OPEN_TIME_ENDED)
    state, reports = step(state, Input.CONTACT_LOST, 9.0, TIMINGS)
    assert reports == (AlarmCleared(Alarm.OPEN_TOO_LONG, 8.0),)


def test_a_lock_down_leaves_the_door_to_who_is_leaving_but_to_nobody_else() -> None:
    state, reports = play(Input.GRANT, Input.EXIT, Input.LOCK_DOWN)
    assert reports == (ModeChanged(Mode.LOCKED_DOWN), Unused(RIDER))
    assert (state.lock, state.release_ends_at) == (Lock.RELEASED, 6.0)
    opened, reports = step(state, Input.OPENED, 4.0, TIMINGS)
    assert reports == (Passed(BUTTON),)
    closed, _ = step(opened, Input.CLOSED, 5.0, TIMINGS)
    assert closed.lock is Lock.SECURED
    unused, reports = step(state, Input.RELEASE_ENDED, 6.0, TIMINGS)
    assert (unused.lock, reports) == (Lock.SECURED, (Unused(BUTTON),))


def test_a_lock_down_secures_behind_who_has_left_already() -> None:
    state, _ = play(Input.EXIT, Input.OPENED, Input.LOCK_DOWN)
    assert state.lock is Lock.SECURED
    assert state.open_time_ends_at == 32.0


def test_a_lock_down_ends_an_unlocked_door_with_somebody_leaving() -> None:
    state, _ = play(Input.HOLD_OPEN, Input.EXIT, Input.LOCK_DOWN)
    assert (state.mode, state.lock, state.release_ends_at) == (Mode.LOCKED_DOWN, Lock.RELEASED, 6.0)


def test_resume_leaves_the_door_to_who_was_granted_a_moment_before() -> None:
    state, _ = play(Input.HOLD_OPEN, Input.GRANT, Input.RESUME)
    assert (state.mode, state.lock) == (Mode.NORMAL, Lock.RELEASED)
    state, reports = step(state, Input.RELEASE_ENDED, 6.0, TIMINGS)
    assert (state.lock, reports) == (Lock.SECURED, (Unused(RIDER),))


def test_resume_secures_at_once_when_nobody_was_granted() -> None:
    state, _ = play(Input.HOLD_OPEN, Input.RESUME)
    assert state.lock is Lock.SECURED


def test_an_alarm_that_is_up_is_not_raised_again_by_a_lock_down() -> None:
    state, _ = play(Input.GRANT, Input.OPENED)
    state, _ = step(state, Input.OPEN_TIME_ENDED, 31.0, TIMINGS)
    state, reports = step(state, Input.LOCK_DOWN, 32.0, TIMINGS)
    assert reports == (ModeChanged(Mode.LOCKED_DOWN),)
    assert (state.alarms, state.open_time_ends_at) == (frozenset({Alarm.OPEN_TOO_LONG}), None)


@given(st.lists(st.tuples(st.sampled_from(Input), st.floats(0, 40), st.integers(0, 20)), max_size=40))
def test_every_cause_passes_or_goes_unused_once_and_no_deadline_stays_due(
    steps: list[tuple[Input, float, int]],
) -> None:
    state, now = DoorState(contact=Contact.CLOSED), 0.0
    reported: list[Report] = []
    for number, (what, wait_s, person) in enumerate(steps):
        while (deadline := state.deadline()) is not None and deadline <= now + wait_s:
            for overdue in due(state, deadline):
                state, reports = step(state, overdue, deadline, TIMINGS)
                reported += reports
            assert due(state, deadline) == ()
        now += wait_s
        if what in (Input.RELEASE_ENDED, Input.OPEN_TIME_ENDED):
            continue  # only time brings these
        before = state
        # Every cause is told apart by its first sign, here a number.
        cause = Cause("exit_button", None, number) if what is Input.EXIT else Cause("face", f"m-{person}", number)
        state, reports = step(state, what, now, TIMINGS, cause)
        reported += reports
        if state.lock is Lock.RELEASED and state.mode is not Mode.UNLOCKED:
            assert state.release_ends_at is not None
            assert now <= state.release_ends_at <= now + TIMINGS.release_s
        if before.lock is Lock.SECURED and state.lock is Lock.RELEASED:
            assert what in (Input.GRANT, Input.EXIT, Input.HOLD_OPEN)
        assert (state.mode is not Mode.UNLOCKED) or state.lock is Lock.RELEASED
        assert len(state.causes) <= MAX_CAUSES
    told = [each.cause for each in reported if isinstance(each, (Passed, Unused))]
    assert len(told) == len(set(told))
    alarms = [type(each) for each in reported if isinstance(each, (AlarmRaised, AlarmCleared))]
    assert alarms.count(AlarmRaised) - alarms.count(AlarmCleared) == len(state.alarms)


@pytest.mark.parametrize(
    ("kind", "lock", "energised"),
    [
        (LockKind.FAIL_SECURE, Lock.SECURED, False),
        (LockKind.FAIL_SECURE, Lock.RELEASED, True),
        (LockKind.FAIL_SAFE, Lock.SECURED, True),
        (LockKind.FAIL_SAFE, Lock.RELEASED, False),
    ],
)
def test_the_current_follows_the_kind_of_lock(kind: LockKind, lock: Lock, energised: bool) -> None:
    assert is_energised(lock, kind) is energised


def test_who_was_just_let_in_is_not_the_one_who_leaves_through_the_same_opening() -> None:
    _, reports = play(Input.GRANT, Input.EXIT, Input.OPENED)
    assert reports == (Passed(BUTTON), Passed(RIDER))


def test_cutting_the_contacts_wire_does_not_silence_a_forced_door() -> None:
    state, _ = play(Input.OPENED, Input.CONTACT_LOST)
    assert state.alarms == {Alarm.FORCED}
    _, reports = play(Input.CLOSED, state=state, at=9.0)
    assert reports == (AlarmCleared(Alarm.FORCED, None),)


def test_an_order_of_before_the_start_stands() -> None:
    assert standing(Mode.LOCKED_DOWN) == DoorState(Mode.LOCKED_DOWN)
    assert standing(Mode.UNLOCKED).lock is Lock.RELEASED
