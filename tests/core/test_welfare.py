"""Checks on people, and what is switched off when nobody is there."""

from __future__ import annotations

from dataclasses import replace

from agent.core import welfare
from agent.core.appliance import Appliance, Profile, Running
from agent.core.appliance_kinds import KINDS
from agent.core.presence import Inside, Presence
from agent.core.welfare import Welfare, WelfareRules

RULES = WelfareRules()
INSIDE = Presence(claim=Inside.OCCUPIED, since=1000.0, moved_at=1300.0, door_at=1000.0, at=1300.0)
EMPTY = Presence(claim=Inside.EMPTY, since=5000.0, at=5000.0)


def checked(state: Welfare, inside: Presence, now: float) -> tuple[Welfare, list[str | None]]:
    state, found = welfare.tend(state, inside, RULES, now)
    return state, [each.kind for each in found]


def test_somebody_who_does_not_move_is_to_be_looked_after_once() -> None:
    state = Welfare()
    due_at = welfare.deadline(state, INSIDE, RULES)
    assert due_at == 1300.0 + RULES.still_s
    assert checked(state, INSIDE, due_at - 1)[1] == []
    state, found = checked(state, INSIDE, due_at)
    assert found == ["still"]
    assert checked(state, INSIDE, due_at + 600) == (state, [])
    assert welfare.deadline(state, INSIDE, RULES) is None


def test_movement_ends_a_check() -> None:
    state, _ = checked(Welfare(), INSIDE, 1300.0 + RULES.still_s)
    state, found = checked(state, replace(INSIDE, moved_at=5000.0), 5000.0)
    assert (found, state.check) == ([None], None)


def test_an_acknowledged_check_is_quiet_and_comes_back_if_still_nobody_moves() -> None:
    now = 1300.0 + RULES.still_s
    state, _ = checked(Welfare(), INSIDE, now)
    state = welfare.acknowledge(state, RULES, now + 60)
    assert welfare.acknowledge(state, RULES, now + 70) is state
    assert checked(state, INSIDE, now + RULES.quiet_s)[1] == []
    assert welfare.deadline(state, INSIDE, RULES) == now + 60 + RULES.quiet_s
    assert checked(state, INSIDE, now + 60 + RULES.quiet_s)[1] == ["still"]


def test_a_stay_far_beyond_the_usual_is_to_be_looked_after_though_somebody_moves() -> None:
    awake = replace(INSIDE, moved_at=1000.0 + RULES.stay_s)
    assert checked(Welfare(), awake, 1000.0 + RULES.stay_s)[1] == ["stay"]
    long_stays = Welfare(stays=(3600.0,) * 10)
    assert welfare.usual_stay_s(long_stays) == 3600.0
    assert checked(long_stays, awake, 1000.0 + RULES.stay_s)[1] == []
    later = replace(INSIDE, moved_at=1000.0 + 4 * 3600.0)
    assert checked(long_stays, later, 1000.0 + 4 * 3600.0)[1] == ["stay"]


def test_stays_are_learned_and_few_of_them_teach_nothing() -> None:
    state = Welfare()
    for n in range(9):
        at = 10_000.0 * n
        state, _ = checked(state, replace(INSIDE, since=at, moved_at=at, door_at=at), at)
        state, _ = checked(state, replace(EMPTY, since=at + 900.0), at + 900.0)
    assert state.stays == (900.0,) * 9
    assert welfare.usual_stay_s(state) is None


def test_an_empty_room_needs_no_check() -> None:
    assert welfare.deadline(Welfare(), EMPTY, RULES) is None
    assert checked(Welfare(), EMPTY, 1e6)[1] == []


def test_only_what_serves_people_is_switched_off_and_only_after_a_while() -> None:
    kinds = ("light", "heater", "refrigerator", "router", "aed", "television", "air_conditioner")
    after_s = 1200.0
    profiles = {kind: Profile(5.0, kind=kind, limits=KINDS[kind], saving_after_s=after_s) for kind in kinds}
    profiles["television"] = replace(profiles["television"], saving_after_s=None)
    running = {kind: Appliance(running=Running.RUNNING) for kind in kinds} | {
        "air_conditioner": Appliance(running=Running.OFF)
    }
    off_at = EMPTY.since + after_s
    assert welfare.to_switch_off(EMPTY, running, profiles) == {"light": off_at, "heater": off_at}
    assert welfare.to_switch_off(INSIDE, running, profiles) == {}
    assert welfare.to_switch_off(replace(EMPTY, claim=Inside.UNKNOWN), running, profiles) == {}


def test_a_check_is_raised_at_its_deadline_whatever_its_last_bit() -> None:
    for n in range(200):
        moved_at = 14_000.0 + n / 7  # the sum has a bit less behind its point
        inside = replace(INSIDE, moved_at=moved_at, door_at=moved_at)
        due_at = welfare.deadline(Welfare(), inside, RULES)
        assert due_at is not None
        assert checked(Welfare(), inside, due_at)[1]
