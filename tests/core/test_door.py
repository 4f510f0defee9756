"""The door's table, walked over its whole product; what follows from long sequences is in test_door_properties."""

from itertools import product

import pytest

from agent.core.door import (
    ADMITTING_NOBODY,
    LEAF_ALARMS,
    MAX_CAUSES,
    STANDING_OPEN,
    Alarm,
    AlarmCleared,
    AlarmRaised,
    Bolt,
    Cause,
    Contact,
    DoorState,
    DoorTimings,
    Input,
    Lock,
    LockKind,
    Mode,
    ModeChanged,
    OrderRefused,
    Passed,
    Phase,
    Refused,
    Report,
    Unused,
    Wishes,
    due,
    is_energised,
    standing,
)
from agent.core.door_table import COLUMNS, ROWS, TABLE, step

TIMINGS = DoorTimings(release_s=5, open_alarm_s=30, open_warning_s=0, relock_grace_s=0.25)
RIDER = Cause("face", "m-1", seen_at=0.0)
BUTTON = Cause("exit_button")
WISHES = [
    Wishes(fire, emergency, order, hours)
    for fire, emergency, order, hours in product(
        (False, True), (False, True), (None, Mode.HELD_OPEN, Mode.BLOCKED, Mode.LOCKED_DOWN), (False, True)
    )
]
PRODUCT = [
    DoorState(
        wishes,
        contact,
        bolt,
        alarms,
        release_ends_at=105.0 if phase is Phase.ACCESSED else None,
        relock_ends_at=100.1 if phase is Phase.RELOCKING else None,
    )
    for wishes, phase, contact, bolt, alarms in product(
        WISHES, Phase, Contact, Bolt, (frozenset[Alarm](), frozenset(Alarm), LEAF_ALARMS)
    )
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


def test_every_cell_of_the_table_is_written_once() -> None:
    named = [(what, mode) for what, modes, _row in ROWS for mode in modes]
    assert len(set(named)) == len(named)
    assert set(named) == set(TABLE) == set(product(Input, Mode))
    assert all(len(row) == len(COLUMNS) for row in TABLE.values())


@pytest.mark.parametrize("what", Input)
def test_no_state_and_input_leaves_the_product_or_breaks_its_promises(what: Input) -> None:
    for state in PRODUCT:
        after, reports = step(state, what, 100.0, TIMINGS, BUTTON if what is Input.EXIT else RIDER)
        if after.lock is Lock.RELEASED and state.lock is Lock.SECURED:
            assert after.mode in STANDING_OPEN or what in (Input.GRANT, Input.EXIT)
        if after.mode is not state.mode:
            assert ModeChanged(after.mode) in reports
        if what is Input.EXIT:
            assert after.lock is Lock.RELEASED
        if what is Input.GRANT and state.mode in ADMITTING_NOBODY:
            assert after.lock is state.lock
            assert Refused(RIDER) in reports
        if after.wishes.is_fire:
            assert (after.mode, after.lock) == (Mode.RELEASED_BY_FIRE, Lock.RELEASED)
        elif after.wishes.is_emergency:
            assert (after.mode, after.lock) == (Mode.EMERGENCY, Lock.RELEASED)
        raised = {report.alarm for report in reports if isinstance(report, AlarmRaised)}
        cleared = {report.alarm for report in reports if isinstance(report, AlarmCleared)}
        assert after.alarms == (state.alarms | raised) - cleared
        assert after.release_ends_at is None or after.relock_ends_at is None


def test_who_wins() -> None:
    order = [Mode.NORMAL, Mode.UNLOCKED, Mode.LOCKED_DOWN, Mode.EMERGENCY, Mode.RELEASED_BY_FIRE]
    inputs = [Input.HOURS_BEGAN, Input.LOCK_DOWN, Input.EMERGENCY_BEGAN, Input.FIRE_BEGAN]
    for sequence in (inputs, inputs[::-1]):  # whichever comes first
        state, _ = play(*sequence)
        assert state.mode is Mode.RELEASED_BY_FIRE
        found: list[Mode] = [state.mode]
        for what in (Input.FIRE_ENDED, Input.EMERGENCY_ENDED, Input.RESUME, Input.HOURS_ENDED):
            state, _ = play(what, state=state, at=10)
            found.append(state.mode)
        assert found == order[::-1]


@pytest.mark.parametrize("what", [Input.HOLD_OPEN, Input.BLOCK])
def test_only_resume_ends_a_lock_down(what: Input) -> None:
    state, reports = play(Input.LOCK_DOWN, what)
    assert (state.mode, reports[-1]) == (Mode.LOCKED_DOWN, OrderRefused())
    state, reports = play(Input.FIRE_BEGAN, what, Input.FIRE_ENDED, state=state)
    assert state.mode is Mode.LOCKED_DOWN


def test_an_order_given_during_a_fire_holds_after_it() -> None:
    state, _ = play(Input.FIRE_BEGAN, Input.HOLD_OPEN, Input.FIRE_ENDED)
    assert state.mode is Mode.HELD_OPEN
    state, _ = play(Input.FIRE_BEGAN, Input.RESUME, Input.LOCK_DOWN, Input.FIRE_ENDED, state=state)
    assert (state.mode, state.lock) == (Mode.LOCKED_DOWN, Lock.SECURED)


def test_an_emergency_raises_its_alarm_also_under_a_fire() -> None:
    state, _ = play(Input.FIRE_BEGAN, Input.EMERGENCY_BEGAN)
    assert state.alarms == {Alarm.FIRE, Alarm.EMERGENCY}
    state, _ = play(Input.FIRE_ENDED, state=state)
    assert state.mode is Mode.EMERGENCY
    assert state.alarms == {Alarm.EMERGENCY}


def test_a_leaf_that_bounces_or_a_strike_that_is_slow_is_no_break_in() -> None:
    state, _ = play(Input.GRANT, Input.OPENED, Input.CLOSED)
    bounced, reports = step(state, Input.OPENED, 2.2, TIMINGS)
    assert (bounced.lock, reports) == (Lock.SECURED, ())
    settled, _ = step(state, Input.RELOCK_ENDED, 2.25, TIMINGS)
    _, reports = step(settled, Input.OPENED, 2.3, TIMINGS)
    assert reports == (AlarmRaised(Alarm.FORCED),)


def test_who_pushes_while_the_strike_falls_in_has_passed() -> None:
    state, _ = play(Input.GRANT)
    state, reports = step(state, Input.RELEASE_ENDED, 5.0, TIMINGS)
    assert (state.lock, state.phase, reports) == (Lock.SECURED, Phase.RELOCKING, ())
    _, reports = step(state, Input.OPENED, 5.1, TIMINGS)
    assert reports == (Passed(RIDER),)


def test_a_delay_before_relocking_keeps_the_lock_released_behind_the_leaf() -> None:
    timings = DoorTimings(relock_delay_s=1.0)
    state, _ = play(Input.GRANT, Input.OPENED)
    state, _ = step(state, Input.CLOSED, 3.0, timings)
    assert (state.lock, due(state, 3.9), due(state, 4.0)) == (Lock.RELEASED, (), (Input.RELEASE_ENDED,))
    state, reports = step(state, Input.RELEASE_ENDED, 4.0, timings)
    assert (state.lock, reports) == (Lock.SECURED, ())


def test_who_needs_longer_has_longer_and_nobody_shortens_it() -> None:
    slow = Cause("card", "m-2", needs_longer=True)
    state, _ = step(DoorState(contact=Contact.CLOSED), Input.GRANT, 0.0, TIMINGS, slow)
    state, _ = step(state, Input.GRANT, 1.0, TIMINGS, RIDER)
    assert state.release_ends_at == TIMINGS.extended_release_s
    state, _ = step(state, Input.OPENED, 2.0, TIMINGS)
    assert state.open_time_ends_at == 2.0 + TIMINGS.extended_open_alarm_s


def test_the_door_reminds_before_it_alarms() -> None:
    timings = DoorTimings(open_alarm_s=30, open_warning_s=10)
    state, _ = step(DoorState(), Input.OPENED, 0.0, timings)
    assert due(state, 20.0) == (Input.WARNING_DUE,)
    state, reports = step(state, Input.WARNING_DUE, 20.0, timings)
    assert reports == (AlarmRaised(Alarm.OPEN_WARNING),)
    _, reports = step(state, Input.OPEN_TIME_ENDED, 30.0, timings)
    assert reports == (AlarmCleared(Alarm.OPEN_WARNING, 30.0), AlarmRaised(Alarm.OPEN_TOO_LONG))


def test_a_reminder_longer_than_the_open_time_begins_at_its_half() -> None:
    state, _ = step(DoorState(), Input.OPENED, 0.0, DoorTimings(open_alarm_s=6, open_warning_s=10))
    assert state.warning_at == 3.0


def test_more_people_than_were_let_in_is_tailgating_until_the_leaf_is_closed() -> None:
    state, reports = play(Input.GRANT, Input.OPENED, Input.ENTERED)
    assert reports == (Passed(RIDER),)
    state, reports = play(Input.ENTERED, state=state, at=3)
    assert reports == (AlarmRaised(Alarm.TAILGATING),)
    _, reports = play(Input.CLOSED, state=state, at=4)
    assert reports == (AlarmCleared(Alarm.TAILGATING, 3.0),)


def test_who_slips_in_while_somebody_leaves_is_tailgating() -> None:
    _, reports = play(Input.EXIT, Input.OPENED, Input.ENTERED)
    assert reports == (Passed(BUTTON), AlarmRaised(Alarm.TAILGATING))


def test_a_counter_that_is_late_still_counts_for_the_opening_before() -> None:
    state, _ = play(Input.GRANT, Input.OPENED, Input.CLOSED, Input.ENTERED)
    assert state.alarms == frozenset()
    state, _ = play(Input.ENTERED, state=state)
    assert state.alarms == {Alarm.TAILGATING}


def test_everybody_may_come_through_a_door_that_stands_open() -> None:
    state, _ = play(Input.HOURS_BEGAN, Input.OPENED, *[Input.ENTERED] * 9)
    assert state.alarms == frozenset()


def test_a_bolt_that_does_not_follow_the_lock_is_a_fault_until_it_does() -> None:
    state, _ = play(Input.BOLT_SECURED, Input.GRANT)
    assert state.bolt_due_at == 3.0
    state, reports = step(state, Input.BOLT_OVERDUE, 3.0, TIMINGS)
    assert reports == (AlarmRaised(Alarm.LOCK_FAULT),)
    _, reports = step(state, Input.BOLT_RELEASED, 3.1, TIMINGS)
    assert reports == (AlarmCleared(Alarm.LOCK_FAULT, None),)


def test_a_bolt_that_is_not_thrown_behind_a_closed_leaf_is_a_fault() -> None:
    state, _ = play(Input.BOLT_RELEASED)
    assert due(state, 2.0) == (Input.BOLT_OVERDUE,)
    lost, _ = step(state, Input.BOLT_LOST, 1.0, TIMINGS)
    assert lost.deadline() is None


def test_nobody_expects_a_thrown_bolt_while_the_leaf_is_open() -> None:
    state, _ = play(Input.GRANT, Input.BOLT_RELEASED, Input.OPENED, Input.RELEASE_ENDED)
    assert (state.lock, state.bolt_due_at) == (Lock.SECURED, None)


def test_tampering_is_an_alarm_in_every_mode_and_opens_nothing() -> None:
    for wishes in WISHES:
        before = DoorState(wishes, Contact.CLOSED)
        after, reports = step(before, Input.TAMPERED, 1.0, TIMINGS)
        assert (after.lock, reports) == (before.lock, (AlarmRaised(Alarm.TAMPER),))


def test_a_contact_that_cannot_be_read_is_a_fault_until_it_can() -> None:
    state, reports = play(Input.CONTACT_LOST)
    assert reports == (AlarmRaised(Alarm.CONTACT_FAULT),)
    state, reports = play(Input.CLOSED, state=state)
    assert (state.contact, reports) == (Contact.CLOSED, (AlarmCleared(Alarm.CONTACT_FAULT, None),))


@pytest.mark.parametrize("what", [Input.LOCK_DOWN, Input.BLOCK])
def test_leaving_is_honoured_where_nobody_comes_in(what: Input) -> None:
    state, _ = play(what, Input.EXIT)
    assert state.lock is Lock.RELEASED
    _, reports = play(Input.OPENED, Input.CLOSED, state=state)
    assert reports == (Passed(BUTTON),)


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
    state, reports = play(Input.RELEASE_ENDED, Input.RELOCK_ENDED, state=state, at=5.0)
    assert (state.lock, state.phase) == (Lock.SECURED, Phase.IDLE)
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


def test_two_guests_with_passes_are_two_people() -> None:
    state, _ = play(Input.EXIT)
    for n in (1, 2, 2):
        state, _ = step(state, Input.GRANT, 1.0, TIMINGS, Cause("pass", pass_id=f"p-{n}"))
    _, reports = step(state, Input.OPENED, 2.0, TIMINGS)
    assert [each.cause.pass_id for each in reports if isinstance(each, Passed)] == [None, "p-1", "p-2"]


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
    assert reports == (Passed(RIDER), AlarmRaised(Alarm.CONTACT_FAULT))
    assert state.lock is Lock.RELEASED
    for what in (Input.OPENED, Input.CLOSED, Input.RELEASE_ENDED):
        _, reports = step(state, what, 3.0, TIMINGS)
        assert not [each for each in reports if isinstance(each, (Passed, Unused))]


def test_a_door_that_stands_open_is_no_longer_timed_when_the_contact_is_lost() -> None:
    state, _ = play(Input.GRANT, Input.OPENED, Input.OPEN_TIME_ENDED)
    state, reports = step(state, Input.CONTACT_LOST, 9.0, TIMINGS)
    assert reports == (AlarmCleared(Alarm.OPEN_TOO_LONG, 8.0), AlarmRaised(Alarm.CONTACT_FAULT))


def test_a_lock_down_leaves_the_door_to_who_is_leaving_but_to_nobody_else() -> None:
    state, reports = play(Input.GRANT, Input.EXIT, Input.LOCK_DOWN)
    assert reports == (ModeChanged(Mode.LOCKED_DOWN), Unused(RIDER))
    assert (state.lock, state.release_ends_at) == (Lock.RELEASED, 6.0)
    opened, reports = step(state, Input.OPENED, 4.0, TIMINGS)
    assert reports == (Passed(BUTTON),)
    closed, _ = step(opened, Input.CLOSED, 5.0, TIMINGS)
    assert closed.lock is Lock.SECURED
    unused, reports = play(Input.RELEASE_ENDED, Input.RELOCK_ENDED, state=state, at=6.0)
    assert (unused.lock, reports) == (Lock.SECURED, (Unused(BUTTON),))


def test_a_lock_down_secures_behind_who_has_left_already() -> None:
    state, _ = play(Input.EXIT, Input.OPENED, Input.LOCK_DOWN)
    assert state.lock is Lock.SECURED
    assert state.open_time_ends_at == 31.0


def test_a_lock_down_ends_an_unlocked_door_with_somebody_leaving() -> None:
    state, _ = play(Input.HOLD_OPEN, Input.EXIT, Input.LOCK_DOWN)
    assert (state.mode, state.lock, state.release_ends_at) == (Mode.LOCKED_DOWN, Lock.RELEASED, 6.0)


def test_resume_leaves_the_door_to_who_was_granted_a_moment_before() -> None:
    state, _ = play(Input.HOLD_OPEN, Input.GRANT, Input.RESUME)
    assert (state.mode, state.lock) == (Mode.NORMAL, Lock.RELEASED)
    state, reports = play(Input.RELEASE_ENDED, Input.RELOCK_ENDED, state=state, at=6.0)
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
    assert state.alarms == {Alarm.FORCED, Alarm.CONTACT_FAULT}
    state, _ = play(Input.CLOSED, state=state, at=9.0)
    assert state.alarms == frozenset()


def test_an_order_of_before_the_start_stands() -> None:
    assert standing("locked_down").mode is Mode.LOCKED_DOWN
    assert standing("held_open").lock is Lock.RELEASED
    assert {standing(none) for none in ("", "none", "normal", "released_by_fire")} == {DoorState()}
