"""Supplies: counted, taken, lent, out of date, and the faults that follow."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from agent.core import supplies
from agent.core.supplies import MAX_LOANS, Supply, SupplyRules, faults
from agent.effects import AppendEntry, KeepNotes
from agent.events import ClockRead, Restored
from tests.core.station_play import RULES, VIEWER, Play, begin, member, ready

DAY_S = 86_400.0
PADS = SupplyRules(minimum=1, check_every_s=DAY_S, warning_days=30)
BANKS = SupplyRules(minimum=2, lend_s=3600.0)
OURS = replace(RULES, supplies={"aed_pads": PADS, "power_banks": BANKS})
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOW = NOON.timestamp()


def at_noon(*members: Any, days: float = 0.0) -> Play:
    play = ready(*members, rules=OURS)
    read(play, days=days)
    play.take()
    return play


def read(play: Play, *, days: float = 0.0, is_trusted: bool = True) -> None:
    play.put(ClockRead(play.now, NOON + timedelta(days=days), is_trusted))


def ask(play: Play, action: str, supply: str, **given: Any) -> None:
    play.ask(f"supplies.{action}", supply=supply, **given)
    play.write_log()


def wrong(play: Play, supply: str) -> set[str]:
    return {code for code, where in play.state.faults if where == supply}


def restarted(play: Play) -> Play:
    notes: dict[str, dict[str, Any]] = {}
    for order in play.orders:
        for note in order.notes if isinstance(order, (AppendEntry, KeepNotes)) else ():
            if note.body is not None:
                notes.setdefault(note.kind, {})[note.name] = note.body
    return begin(rules=OURS, restored=Restored(notes=notes))


@pytest.mark.parametrize(
    ("supply", "expected"),
    [
        (Supply(), {"supply.check_due"}),
        (Supply(0, None, NOW), {"supply.empty"}),
        (Supply(1, None, NOW), set()),
        (Supply(1, date(2026, 11, 21), NOW), {"supply.expired"}),
        (Supply(1, date(2026, 11, 22), NOW), {"supply.expiring"}),
        (Supply(1, date(2026, 12, 22), NOW), {"supply.expiring"}),
        (Supply(1, date(2026, 12, 23), NOW), set()),
        (Supply(1, None, NOW - DAY_S + 1), set()),
        (Supply(1, None, NOW - DAY_S), {"supply.check_due"}),
        (Supply(1, None, NOW - 2 * DAY_S), {"supply.check_overdue"}),
        (Supply(1, None, None), {"supply.check_due"}),
        (Supply(0, date(2026, 1, 1), NOW - 9 * DAY_S), {"supply.empty", "supply.expired", "supply.check_overdue"}),
    ],
)
def test_what_is_wrong_follows_from_the_count_the_date_and_the_last_round(supply: Supply, expected: set[str]) -> None:
    assert set(faults(supply, PADS, NOW, NOON.date())) == expected


def test_two_of_three_are_too_few_and_say_so() -> None:
    assert faults(Supply(2, None, NOW), SupplyRules(minimum=3), NOW, NOON.date()) == {"supply.low": "2/3"}


def test_a_round_puts_right_what_was_wrong() -> None:
    play = at_noon()
    assert wrong(play, "aed_pads") == {"supply.check_due"}
    ask(play, "check", "aed_pads", quantity=0)
    assert wrong(play, "aed_pads") == {"supply.empty"}
    ask(play, "check", "aed_pads", quantity=2, best_before="2026-12-01")
    assert wrong(play, "aed_pads") == {"supply.expiring"}
    ask(play, "check", "aed_pads", quantity=2, best_before="2028-12-01")
    assert wrong(play, "aed_pads") == set()
    assert play.logged("supply.checked")[-1] == {
        "supply": "aed_pads",
        "quantity": 2,
        "best_before": "2028-12-01",
        "by": "master",
    }


def test_a_round_that_is_left_out_is_due_and_then_overdue() -> None:
    play = at_noon()
    ask(play, "check", "aed_pads", quantity=1)
    for days, expected in ((0.9, set()), (1.1, {"supply.check_due"}), (2.1, {"supply.check_overdue"})):
        read(play, days=days)
        assert wrong(play, "aed_pads") == expected


def test_a_round_is_done_without_a_clock_that_somebody_set() -> None:
    play = ready(rules=OURS)
    read(play, is_trusted=False)
    assert wrong(play, "aed_pads") == {"supply.check_due"}
    ask(play, "check", "aed_pads", quantity=1)
    assert wrong(play, "aed_pads") == set()
    assert wrong(play, "power_banks") == {"supply.check_due"}


def test_a_clock_that_nobody_set_makes_nothing_out_of_date() -> None:
    play = at_noon()
    ask(play, "check", "aed_pads", quantity=1, best_before="2027-06-30")
    read(play, days=3000.0, is_trusted=False)
    assert wrong(play, "aed_pads") == set()
    read(play, days=3000.0)
    assert "supply.expired" in wrong(play, "aed_pads")


def test_a_power_bank_is_lent_and_comes_back() -> None:
    play = at_noon(member("m-1", 1))
    ask(play, "check", "power_banks", quantity=3)
    ask(play, "take", "power_banks", member_id="m-1")
    assert play.logged("supply.taken") == [
        {"supply": "power_banks", "quantity": 1, "left": 2, "member": "m-1", "by": "master"}
    ]
    read(play, days=0.5)
    assert wrong(play, "power_banks") == {"supply.not_returned"}
    ask(play, "return", "power_banks", member_id="m-1")
    assert wrong(play, "power_banks") == set()
    assert play.state.supplies["power_banks"].quantity == 3


def test_who_has_not_borrowed_brings_nothing_back() -> None:
    play = at_noon(member("m-1", 1), member("m-2", 2))
    ask(play, "check", "power_banks", quantity=3)
    ask(play, "take", "power_banks", member_id="m-1")
    play.ask("supplies.return", request="r-2", supply="power_banks", member_id="m-2")
    assert play.problem_codes("r-2") == ["supply.not_lent"]
    ask(play, "return", "power_banks")  # nobody says who: it is the one that was borrowed first
    assert play.state.supplies["power_banks"].loans == ()


@pytest.mark.parametrize(
    ("action", "given", "code"),
    [
        ("take", {"supply": "aed_pads"}, "supply.not_enough"),
        ("take", {"supply": "power_banks", "quantity": 4}, "supply.not_enough"),
        ("take", {"supply": "power_banks", "member_id": "m-9"}, "member.unknown"),
        ("return", {"supply": "power_banks"}, "supply.not_lent"),
        ("check", {"supply": "gold", "quantity": 1}, "supply.unknown"),
        ("return", {"supply": "aed_pads", "quantity": supplies.MAX_QUANTITY + 1}, "supply.too_many"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(action: str, given: dict[str, Any], code: str) -> None:
    play = at_noon()
    ask(play, "check", "power_banks", quantity=3)
    before = play.state.supplies
    play.ask(f"supplies.{action}", request="r-2", **given)
    assert play.problem_codes("r-2") == [code]
    assert play.state.supplies == before


def test_loans_have_a_bound() -> None:
    play = at_noon()
    ask(play, "check", "power_banks", quantity=1000)
    ask(play, "take", "power_banks", quantity=MAX_LOANS)
    play.ask("supplies.take", request="r-2", supply="power_banks")
    assert play.problem_codes("r-2") == ["supply.too_many_loans"]


def test_what_was_counted_and_lent_outlives_a_restart() -> None:
    play = at_noon(member("m-1", 1))
    ask(play, "check", "power_banks", quantity=3, best_before="2030-01-01")
    ask(play, "take", "power_banks", member_id="m-1")
    again = restarted(play)
    assert again.state.supplies == play.state.supplies


@pytest.mark.parametrize("odd", [{}, {"quantity": "x"}, {"quantity": 1, "best_before": "never"}, {"loans": 3}])
def test_a_note_that_cannot_be_read_is_a_supply_never_counted(odd: dict[str, Any]) -> None:
    play = begin(rules=OURS, restored=Restored(notes={"supply": {"aed_pads": odd}}))
    assert play.state.supplies["aed_pads"] == Supply()


def test_nobody_learns_what_an_erased_member_had() -> None:
    play = at_noon(member("m-1", 1))
    ask(play, "check", "power_banks", quantity=3)
    ask(play, "take", "power_banks", member_id="m-1")
    play.take()
    play.ask("members.erase", id="m-1")
    assert [each.member_id for each in play.state.supplies["power_banks"].loans] == [None]
    assert "m-1" not in repr(play.found(KeepNotes))
    assert play.found(KeepNotes)


def test_screens_and_the_server_see_counts_and_nobody() -> None:
    play = at_noon(member("m-1", 1))
    play.connect()
    ask(play, "check", "power_banks", quantity=3)
    ask(play, "take", "power_banks", member_id="m-1")
    body = play.published("supplies/power_banks")[-1]
    assert (body["quantity"], body["lent"], body["usable"]) == (2, 1, "yes")
    assert "m-1" not in repr(play.published("supplies/power_banks"))
    ask(play, "check", "power_banks", quantity=0)
    assert play.published("supplies/power_banks")[-1]["usable"] == "no"


def test_a_viewer_sees_the_list_and_changes_nothing() -> None:
    play = at_noon()
    play.ask("supplies.list", actor=VIEWER)
    assert [each["supply"] for each in play.replies()[-1].result["rows"]] == ["aed_pads", "power_banks"]
    play.ask("supplies.check", actor=VIEWER, supply="aed_pads", quantity=5)
    assert play.problem_codes() == ["request.forbidden"]
