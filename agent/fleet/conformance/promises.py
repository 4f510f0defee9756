"""What a promise is, and what can be found about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from agent.core.commands import Scope
from agent.core.problems import Words
from agent.core.spoken import SpokenError

if TYPE_CHECKING:
    from agent.fleet.conformance.bench import Bench


class KitError(SpokenError):
    """The station cannot be asked at all; the message says what to do."""


class Verdict(StrEnum):
    """What became of a promise."""

    HOLDS = "holds"
    BROKEN = "broken"
    NOT_CHECKED = "not_checked"


class Need(StrEnum):
    """What a check needs: `LISTENING` sends nothing; `MAY_OPEN` opens the door."""

    LISTENING = "listening"
    KEY = "key"
    MAY_OPEN = "may_open"


@dataclass(frozen=True, slots=True)
class Finding:
    """`seen`: what showed that a promise is broken, or why it was not checked; of one that holds, how much was seen."""

    verdict: Verdict
    seen: Words


@dataclass(frozen=True, slots=True)
class Promise:
    """One sentence of the contract. `scope`: what the key must be allowed.

    `check` is called once a run, and once more when the station connected anew meanwhile, unless it opens the door.
    """

    name: str
    says: Words
    check: Callable[[Bench], Finding]
    need: Need = Need.LISTENING
    scope: Scope | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """How long is waited, s.

    listen_s: for what comes by itself; `health` beats every 30 s. answer_s: for an answer, and for what follows from
    it. refusal_log_s: refusals that repeat are counted and written once a minute, so one that is not new comes late.
    """

    listen_s: float = 35.0
    answer_s: float = 10.0
    refusal_log_s: float = 65.0


def holds(zh: str, en: str) -> Finding:
    """It does, as far as was looked at."""
    return Finding(Verdict.HOLDS, Words(zh, en))


def broken(zh: str, en: str) -> Finding:
    """It does not."""
    return Finding(Verdict.BROKEN, Words(zh, en))


def not_checked(zh: str, en: str) -> Finding:
    """Nothing was found out."""
    return Finding(Verdict.NOT_CHECKED, Words(zh, en))
