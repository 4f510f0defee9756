"""Supplies: how many there are, until when they are good, when somebody last looked, and who borrowed one.

The union's words are "made up when missing, renewed when old": so each has a minimum, a best-before date and a round on
which it is checked off. What is due or overdue is a fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

from agent.effects import Note

KIND = "supply"
DAY_S = 86_400.0
MAX_LOANS = 100  # of one supply; a station lends a dozen power banks
MAX_QUANTITY = 100_000
OVERDUE_AFTER = 2.0  # rounds: one that was left out is due, two are a habit

EMPTY, LOW = "supply.empty", "supply.low"
EXPIRED, EXPIRING = "supply.expired", "supply.expiring"
CHECK_DUE, CHECK_OVERDUE = "supply.check_due", "supply.check_overdue"
NOT_RETURNED = "supply.not_returned"
CODES = (EMPTY, LOW, EXPIRED, EXPIRING, CHECK_OVERDUE, CHECK_DUE, NOT_RETURNED)
"""What can be wrong with one, the worst first."""
OF_ROUNDS = (CHECK_DUE, CHECK_OVERDUE)
_BY_THE_CLOCK = frozenset({EXPIRED, EXPIRING, CHECK_DUE, CHECK_OVERDUE, NOT_RETURNED})
_OUT_OF_USE = frozenset({EMPTY, EXPIRED})


@dataclass(frozen=True, slots=True)
class SupplyRules:
    """`minimum`: fewer are a fault; `warning_days` before the best-before date; `lend_s` None: it is not lent."""

    minimum: int = 1
    check_every_s: float = 7 * DAY_S
    warning_days: int = 30
    lend_s: float | None = None


@dataclass(frozen=True, slots=True)
class Loan:
    """One that somebody has. `member_id` None: nobody said who. `at`: seconds since 1970 UTC, None: not known."""

    member_id: str | None
    at: float | None


@dataclass(frozen=True, slots=True)
class Supply:
    """`quantity`: in the station, None: never counted. `best_before`: the earliest. `checked_at`: as in `Loan`."""

    quantity: int | None = None
    best_before: date | None = None
    checked_at: float | None = None
    loans: tuple[Loan, ...] = field(default=())


class SupplyError(Exception):
    """It cannot be done; the message is a problem's code."""


def check(supply: Supply, quantity: int, best_before: date | None, now: float | None) -> Supply:
    """Somebody counted it on a round; `best_before` None: it has none."""
    return replace(supply, quantity=quantity, best_before=best_before, checked_at=now)


def take(supply: Supply, rules: SupplyRules, quantity: int, member_id: str | None, now: float | None) -> Supply:
    """Somebody takes, or borrows, so many. Raises `SupplyError`."""
    if supply.quantity is None or quantity > supply.quantity:
        raise SupplyError("supply.not_enough")
    if rules.lend_s is None:
        return replace(supply, quantity=supply.quantity - quantity)
    if len(supply.loans) + quantity > MAX_LOANS:
        raise SupplyError("supply.too_many_loans")
    return replace(
        supply, quantity=supply.quantity - quantity, loans=(*supply.loans, *(Loan(member_id, now),) * quantity)
    )


def give_back(supply: Supply, rules: SupplyRules, quantity: int, member_id: str | None) -> Supply:
    """Somebody brings so many back; without a name those that were borrowed first. Raises `SupplyError`."""
    if (supply.quantity or 0) + quantity > MAX_QUANTITY:
        raise SupplyError("supply.too_many")
    loans = supply.loans
    if rules.lend_s is not None:
        theirs = [each for each in loans if member_id is None or each.member_id == member_id][:quantity]
        if len(theirs) < quantity:
            raise SupplyError("supply.not_lent")
        for each in theirs:
            index = loans.index(each)
            loans = (*loans[:index], *loans[index + 1 :])
    return replace(supply, quantity=(supply.quantity or 0) + quantity, loans=loans)


def forget(supply: Supply, member_id: str) -> Supply:
    """A member is erased: what they have stays lent, to nobody who is known."""
    if all(each.member_id != member_id for each in supply.loans):
        return supply
    loans = tuple(replace(each, member_id=None) if each.member_id == member_id else each for each in supply.loans)
    return replace(supply, loans=loans)


def faults(supply: Supply, rules: SupplyRules, now: float | None, today: date | None) -> dict[str, str]:
    """What is wrong, by code, with the particulars. `now`: seconds since 1970 UTC, `today`: the station's date.

    Both None while the clock cannot be trusted: then only what was counted is judged.
    """
    found: dict[str, str] = {}
    if supply.quantity is None:
        return {CHECK_DUE: ""}
    if supply.quantity == 0 and rules.minimum > 0:
        found[EMPTY] = f"0/{rules.minimum}"
    elif supply.quantity < rules.minimum:
        found[LOW] = f"{supply.quantity}/{rules.minimum}"
    if now is None or today is None:
        return found
    if supply.best_before is not None:
        left = (supply.best_before - today).days
        if left < 0:
            found[EXPIRED] = supply.best_before.isoformat()
        elif left <= rules.warning_days:
            found[EXPIRING] = supply.best_before.isoformat()
    age_s = None if supply.checked_at is None else now - supply.checked_at
    if age_s is None or age_s >= rules.check_every_s:
        is_overdue = age_s is not None and age_s >= OVERDUE_AFTER * rules.check_every_s
        found[CHECK_OVERDUE if is_overdue else CHECK_DUE] = ""
    if rules.lend_s is not None:
        late = sum(each.at is not None and now - each.at >= rules.lend_s for each in supply.loans)
        if late:
            found[NOT_RETURNED] = str(late)
    return found


def judged(is_clock_known: bool) -> tuple[str, ...]:
    """The codes that `faults` can say anything about; the others stay as they are."""
    return CODES if is_clock_known else tuple(code for code in CODES if code not in _BY_THE_CLOCK)


def usable(supply: Supply, wrong: frozenset[str]) -> str:
    """`yes`, `no`, or `unknown` while nobody has counted it."""
    if supply.quantity is None:
        return "unknown"
    return "no" if wrong & _OUT_OF_USE else "yes"


def body(supply: Supply) -> dict[str, Any]:
    """JSON values, also of the note."""
    return {
        "quantity": supply.quantity,
        "best_before": None if supply.best_before is None else supply.best_before.isoformat(),
        "checked_at": utc_text(supply.checked_at),
        "loans": [{"member": each.member_id, "at": utc_text(each.at)} for each in supply.loans],
    }


def note(name: str, supply: Supply) -> Note:
    """What a start finds again."""
    return Note(KIND, name, body(supply))


def restored(names: Mapping[str, SupplyRules], notes: Mapping[str, Mapping[str, Any]]) -> dict[str, Supply]:
    """Every supply of the settings; one whose note cannot be read was never counted."""
    return {name: _read(notes[name]) if name in notes else Supply() for name in names}


def _read(found: Mapping[str, Any]) -> Supply:
    try:
        quantity, best_before = found["quantity"], found["best_before"]
        return Supply(
            None if quantity is None else int(quantity),
            None if best_before is None else date.fromisoformat(best_before),
            _seconds(found["checked_at"]),
            tuple(Loan(each["member"], _seconds(each["at"])) for each in found["loans"][:MAX_LOANS]),
        )
    except (KeyError, TypeError, ValueError):
        return Supply()


def _seconds(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text).timestamp()


def utc_text(seconds: float | None) -> str | None:
    """RFC 3339 of seconds since 1970 UTC."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
