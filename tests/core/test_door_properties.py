"""The door under any sequence of facts, compared with an oracle that does not know its table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from agent.core import door_reactions as do
from agent.core.door import (
    NOBODY,
    AlarmCleared,
    AlarmRaised,
    Cause,
    DoorState,
    DoorTimings,
    Input,
    Mode,
    Passed,
    Refused,
    Report,
    Unused,
    due,
)
from agent.core.door_reactions import Reaction
from agent.core.door_table import COLUMNS, TABLE, step
from tests.core.door_oracle import Expected

STEPS_AT_LEAST = 20_000
TIMINGS = (
    DoorTimings(),
    DoorTimings(relock_delay_s=1.0, relock_grace_s=0.5, open_warning_s=25.0),
    DoorTimings(release_s=1.0, open_alarm_s=5.0, relock_grace_s=0.0, bolt_move_s=0.5),
)
TIMERS = {
    Input.RELEASE_ENDED,
    Input.RELOCK_ENDED,
    Input.WARNING_DUE,
    Input.OPEN_TIME_ENDED,
    Input.BOLT_OVERDUE,
}
FACTS = [each for each in Input if each not in TIMERS]
OFTEN = [Input.GRANT, Input.EXIT, Input.OPENED, Input.CLOSED, Input.OPENED, Input.CLOSED, Input.RESUME, Input.ENTERED]
ENDS = [Input.FIRE_ENDED, Input.FIRE_ENDED, Input.EMERGENCY_ENDED, Input.EMERGENCY_ENDED]
PEOPLE = 6  # fewer than the causes that the door remembers
WAITS_S = (0.0, 0.05, 0.1, 0.1, 0.2, 0.3, 0.6, 0.9, 1.5, 2.5, 5.5, 16.0, 21.0, 31.0, 61.0, 3600.0, 90_000.0)

Step = tuple[Input, int, float, bool]
STEPS = st.lists(
    st.tuples(
        st.sampled_from([*FACTS, *OFTEN, *OFTEN, *ENDS]),
        st.integers(0, PEOPLE - 1),
        st.sampled_from(WAITS_S),
        st.booleans(),
    ),
    min_size=60,
    max_size=120,
)


@dataclass
class Trial:
    """One door beside its oracle. Every cause is told apart by its number."""

    timings: DoorTimings
    state: DoorState = field(default_factory=DoorState)
    now: float = 0.0
    reports: list[Report] = field(default_factory=list)
    number: int = 0

    def __post_init__(self) -> None:
        self.expected = Expected(self.timings)

    def play(self, steps: Sequence[Step]) -> None:
        for what, person, wait_s, is_late in steps:
            self._wait(wait_s, is_late)
            self._take(what, person)
            if is_late:
                self._let_time_do_its_work()
                self._compare()
        self._wait(3600.0, False)
        assert self.state.phase.value == "idle"
        self._count_causes()

    def _wait(self, wait_s: float, is_late: bool) -> None:
        """Let time pass, waking at each deadline as the loop does; a loop that stood still takes the fact first."""
        until = self.now + wait_s
        while not is_late and (deadline := self.state.deadline()) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            self._let_time_do_its_work()
            self._compare()
        self.now = until
        if not is_late:
            self._let_time_do_its_work()
            self._compare()

    def _let_time_do_its_work(self) -> None:
        for _ in range(4):  # what is due may bring something that is due at once
            self.expected.tick(self.now)
            for what in due(self.state, self.now):
                self._put(what, NOBODY)
        assert due(self.state, self.now) == (), "a deadline stays due: the loop would spin"

    def _take(self, what: Input, person: int) -> None:
        self.number += 1
        cause = NOBODY
        if what is Input.EXIT:
            cause = Cause("exit_button", None, self.number)
        elif what is Input.GRANT:
            cause = Cause("face", f"m-{person}", self.number, needs_longer=person == 0)
        # The leaf's own time is known: the strike had fallen in before it moved.
        if self.state.relock_ends_at is not None and self.state.relock_ends_at < self.now:
            self._put(Input.RELOCK_ENDED, NOBODY)
        self.expected.settle_strike(self.now)
        self.expected.take(what, self.now, cause)
        self._put(what, cause)
        self._compare()
        if what is Input.EXIT:
            assert self.state.lock.value == "released"

    def _put(self, what: Input, cause: Cause) -> None:
        before = self.state
        self.state, reports = step(before, what, self.now, self.timings, cause)
        self.reports += reports
        raised = [each.alarm for each in reports if isinstance(each, AlarmRaised)]
        cleared = [each.alarm for each in reports if isinstance(each, AlarmCleared)]
        assert len(set(raised)) == len(raised)
        assert not set(raised) & before.alarms
        assert self.state.alarms == (before.alarms | set(raised)) - set(cleared)

    def _compare(self) -> None:
        expected, state = self.expected, self.state
        assert state.mode.value == expected.mode
        assert (state.admitted, state.entered) == (expected.let_in, expected.went_in)
        assert (state.lock.value == "released") == expected.is_released
        assert state.contact.value == expected.leaf
        assert {alarm.value for alarm in state.alarms} == expected.alarms

    def _count_causes(self) -> None:
        for kind, causes in (
            (Passed, self.expected.passed),
            (Unused, self.expected.unused),
            (Refused, self.expected.refused),
        ):
            told = Counter(each.cause for each in self.reports if isinstance(each, kind))
            assert told == Counter(causes), kind.__name__
            assert set(told.values()) <= {1}


def test_the_door_does_what_is_expected_of_it_whatever_happens() -> None:
    taken = 0

    @settings(max_examples=360, deadline=None, suppress_health_check=list(HealthCheck))
    @given(steps=STEPS, timings=st.sampled_from(TIMINGS))
    def whatever_happens(steps: Sequence[Step], timings: DoorTimings) -> None:
        nonlocal taken
        Trial(timings).play(steps)
        taken += len(steps)

    whatever_happens()
    assert taken >= STEPS_AT_LEAST


ALWAYS = range(len(COLUMNS))
IDLE_CLOSED, ACCESSED_CLOSED, ACCESSED_OPEN = 0, 3, 4
MUTATIONS: dict[str, tuple[Input, Mode, Sequence[int], Reaction]] = {
    "a grant opens in a lock-down": (Input.GRANT, Mode.LOCKED_DOWN, ALWAYS, do.release),
    "the exit button is dead in a lock-down": (Input.EXIT, Mode.LOCKED_DOWN, ALWAYS, do.ignore),
    "the exit button is dead while blocked": (Input.EXIT, Mode.BLOCKED, ALWAYS, do.refuse),
    "fire does not end a lock-down": (Input.FIRE_BEGAN, Mode.LOCKED_DOWN, ALWAYS, do.ignore),
    "fire does not go before an emergency": (Input.FIRE_BEGAN, Mode.EMERGENCY, ALWAYS, do.begin_emergency),
    "the break glass does not open a blocked door": (Input.EMERGENCY_BEGAN, Mode.BLOCKED, ALWAYS, do.ignore),
    "an emergency under fire is forgotten": (Input.EMERGENCY_BEGAN, Mode.RELEASED_BY_FIRE, ALWAYS, do.ignore),
    "a fire never ends": (Input.FIRE_ENDED, Mode.RELEASED_BY_FIRE, ALWAYS, do.ignore),
    "a break-in goes unnoticed": (Input.OPENED, Mode.NORMAL, (IDLE_CLOSED,), do.let_through),
    "a break-in goes unnoticed in a lock-down": (Input.OPENED, Mode.LOCKED_DOWN, (IDLE_CLOSED,), do.find_open),
    "the lock stays released when nobody comes": (Input.RELEASE_ENDED, Mode.NORMAL, (ACCESSED_CLOSED,), do.ignore),
    "the lock stays released behind who came": (Input.CLOSED, Mode.NORMAL, (ACCESSED_OPEN,), do.shut),
    "a door that stands open raises no alarm": (Input.OPEN_TIME_ENDED, Mode.NORMAL, ALWAYS, do.warn),
    "nobody is reminded": (Input.WARNING_DUE, Mode.NORMAL, ALWAYS, do.overdue),
    "holding open ends a lock-down": (Input.HOLD_OPEN, Mode.LOCKED_DOWN, ALWAYS, do.hold_open),
    "a lock-down leaves the door held open": (Input.LOCK_DOWN, Mode.HELD_OPEN, ALWAYS, do.ignore),
    "opening hours end a block": (Input.HOURS_BEGAN, Mode.BLOCKED, ALWAYS, do.resume),
    "who slips in goes unnoticed": (Input.ENTERED, Mode.NORMAL, ALWAYS, do.ignore),
    "tampering goes unnoticed in a lock-down": (Input.TAMPERED, Mode.LOCKED_DOWN, ALWAYS, do.ignore),
    "a stuck bolt goes unnoticed": (Input.BOLT_SECURED, Mode.NORMAL, ALWAYS, do.lose_bolt),
    "a dead contact goes unnoticed": (Input.CONTACT_LOST, Mode.UNLOCKED, ALWAYS, do.ignore),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_door_with_a_wrong_cell_is_found_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    what, mode, columns, wrong = MUTATIONS[name]
    row = tuple(wrong if n in columns else reaction for n, reaction in enumerate(TABLE[what, mode]))
    assert row != TABLE[what, mode]
    monkeypatch.setitem(TABLE, (what, mode), row)

    @settings(
        max_examples=400,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(steps=STEPS, timings=st.sampled_from(TIMINGS))
    def whatever_happens(steps: Sequence[Step], timings: DoorTimings) -> None:
        Trial(timings).play(steps)

    with pytest.raises(AssertionError):
        whatever_happens()


def test_the_oracle_does_not_know_the_table() -> None:
    import tests.core.door_oracle as oracle

    names = {getattr(each, "__module__", "") for each in vars(oracle).values()}
    assert not {each for each in names if each and each.startswith(("agent.core.door_table", "agent.core.door_rea"))}
