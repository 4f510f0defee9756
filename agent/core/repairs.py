"""What becomes of a fault: raised, seen, being repaired, put right, checked, each with time and who.

A fault (`Turn.raise_fault`) is what is wrong now. Its repair is what people do about it: there is one for every fault,
it outlives a restart, and it ends by itself only when the same sensor that raised the fault proves that it is over.
What no sensor can prove (`REPORTED`) ends when somebody has put it right and somebody has checked it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from agent.core.problems import CATALOGUE, Problem, Words, problem
from agent.effects import Note

KIND = "repair"
MAX_REPAIRS = 200  # far more than a station has things that break; bounds what people can report
BEFORE_THE_START = Words("重启前发现,尚未再次确认", "found before the last start, and not seen again since")
MAX_STEPS = 20  # the newest; the log has all of them

Key = tuple[str, str]
"""Code and place, as faults are known by."""

REPORTED: Mapping[str, str] = {
    "broken": "reported.broken",
    "dirty": "reported.dirty",
    "missing": "reported.missing",
    "other": "reported.other",
}
"""What people may report that no sensor sees: their word → the problem's code."""


class Stage(StrEnum):
    """How far the repair of a fault is. CHECKED ends it."""

    RAISED = "raised"
    SEEN = "seen"
    IN_REPAIR = "in_repair"
    PUT_RIGHT = "put_right"
    CHECKED = "checked"


class Answer(StrEnum):
    """What becomes of a step that somebody wants to take."""

    TAKEN = "taken"
    ALREADY = "already"
    NOT_PUT_RIGHT = "not_put_right"


_R, _S, _I, _P, _C = Stage
_T, _A, _N = Answer
STEPS: Mapping[tuple[Stage, Stage], Answer] = {
    (_R, _S): _T, (_R, _I): _T, (_R, _P): _T, (_R, _C): _N,
    (_S, _S): _A, (_S, _I): _T, (_S, _P): _T, (_S, _C): _N,
    (_I, _S): _A, (_I, _I): _A, (_I, _P): _T, (_I, _C): _N,
    (_P, _S): _A, (_P, _I): _T, (_P, _P): _A, (_P, _C): _T,
}  # fmt: skip
"""From a stage that is open to one that somebody names."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `at`: RFC 3339 in UTC, None while the clock is not known; `by`: an account, or `agent`."""

    stage: Stage
    at: str | None
    by: str


@dataclass(frozen=True, slots=True)
class Repair:
    """`is_present`: the fault stands now; False for one that was reported or has not been seen since the start."""

    problem: Problem
    is_present: bool
    steps: tuple[Step, ...]

    @property
    def stage(self) -> Stage:
        """How far it is."""
        return self.steps[-1].stage

    @property
    def key(self) -> Key:
        """See `Key`."""
        return self.problem.code, self.problem.where

    def as_dict(self) -> dict[str, Any]:
        """JSON values, as replies carry it."""
        return {
            **self.problem.as_dict(),
            "id": identity(self.key),
            "stage": self.stage.value,
            "is_present": self.is_present,
            "raised_at": self.steps[0].at,
            "steps": [{"stage": each.stage.value, "at": each.at, "by": each.by} for each in self.steps],
        }


Repairs = Mapping[Key, Repair]


def identity(key: Key) -> str:
    """What people and the central server call it: `CODE@PLACE`."""
    return f"{key[0]}@{key[1]}"


def begin(found: Problem, at: str | None, by: str = "agent", *, is_present: bool = True) -> Repair:
    """Of a fault that is new."""
    return Repair(found, is_present, (Step(Stage.RAISED, at, by),))


def advance(repair: Repair, stage: Stage, at: str | None, by: str) -> tuple[Repair, Answer]:
    """Somebody says that it has come so far; the repair is as it was unless the step is taken."""
    answer = STEPS[repair.stage, stage]
    if answer is not Answer.TAKEN:
        return repair, answer
    steps = (*repair.steps, Step(stage, at, by))
    kept = steps if len(steps) <= MAX_STEPS else (steps[0], *steps[1 - MAX_STEPS :])
    return replace(repair, steps=kept), answer


def note(repair: Repair) -> Note:
    """What a start finds again: not the particulars, which are those of a moment and may be a program's own words."""
    found = repair.problem
    body = {
        "code": found.code,
        "where": found.where,
        "steps": [[each.stage.value, each.at, each.by] for each in repair.steps],
    }
    return Note(KIND, identity(repair.key), body)


def forgotten(key: Key) -> Note:
    """It is over."""
    return Note(KIND, identity(key), None)


def restored(notes: Mapping[str, Mapping[str, Any]]) -> dict[Key, Repair]:
    """The repairs that were open; one that this version does not understand is left out."""
    found = (_read(body) for body in notes.values())
    return {each.key: each for each in found if each is not None}


def _read(body: Mapping[str, Any]) -> Repair | None:
    try:
        code, where = str(body["code"]), str(body["where"])
        if code not in CATALOGUE:
            return None
        steps = tuple(Step(Stage(stage), None if at is None else str(at), str(by)) for stage, at, by in body["steps"])
    except (KeyError, TypeError, ValueError):
        return None
    if not steps or steps[-1].stage is Stage.CHECKED:
        return None
    return Repair(problem(code, where, BEFORE_THE_START), False, steps)
