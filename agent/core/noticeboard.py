"""The notice on the station's screens: one at a time, such as "the water is off until 18:00".

It outlives a restart. One with an end comes down by itself, once a clock that a time source has set says so: a clock
that nobody vouches for takes nothing down. The log says who put it up and until when, and not what it said, for people
write there what they like.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from agent.core.posted import LEVELS, Board, Notice
from agent.core.problems import problem
from agent.core.state import StationState
from agent.core.turn import Turn
from agent.effects import Note, Reply
from agent.events import ControlRequested, Restored

KIND, _NAME = "noticeboard", "notice"


def begin(turn: Turn, restored: Restored) -> None:
    """Go on with the one that was up; at the start, or once the disk can be read. What was done since is newer."""
    if turn.state.board.is_touched:
        return
    body = restored.notes.get(KIND, {}).get(_NAME)
    turn.set(board=Board(None if body is None else _read(body)))


def put(turn: Turn, asked: ControlRequested) -> None:
    """Put one up in the place of the one before."""
    given = asked.arguments.get("until")
    until = None if given is None else datetime.fromisoformat(given).astimezone(UTC)
    now = _trusted_utc(turn)
    if until is not None and now is not None and until <= now:
        turn.refuse(asked.request, problem("notice.over", "until", _text(until) or ""))
        return
    level = str(asked.arguments.get("level", LEVELS[0]))
    notice = Notice(str(asked.arguments["zh"]), str(asked.arguments["en"]), level, until, turn.utc())
    turn.set(board=Board(notice, is_touched=True))
    said = {"level": level, "until": _text(until)}
    body = {**said, "by": asked.actor.name, "kind": asked.actor.kind}
    turn.log("notice.put", body, tag=asked.request, notes=(_note(notice),))
    turn.answer_when_logged(asked.request, said, asked.action)


def clear(turn: Turn, asked: ControlRequested) -> None:
    """Take it down; that there is none is what was wanted, too."""
    if turn.state.board.notice is None:
        turn.do(Reply(asked.request, ok=True, result={"cleared": False}))
        return
    _take_down(turn, "asked", asked)
    turn.answer_when_logged(asked.request, {"cleared": True}, asked.action)


def tend(turn: Turn) -> None:
    """Take down what is over."""
    due_at = deadline(turn.state)
    if due_at is not None and turn.now >= due_at:
        _take_down(turn, "until", None)


def deadline(state: StationState) -> float | None:
    """When it is over, station time; None: never, or nobody knows what time it is."""
    notice, clock = state.board.notice, state.clock
    if notice is None or notice.until is None or clock is None or not clock.is_trusted:
        return None
    return clock.at + (notice.until - clock.utc).total_seconds()


def shown(state: StationState) -> Mapping[str, Any]:
    """The part `notice` of what the station shows."""
    notice = state.board.notice
    return {"notice": None if notice is None else _body(notice)}


def _take_down(turn: Turn, why: str, asked: ControlRequested | None) -> None:
    turn.set(board=Board(None, is_touched=True))
    by = {} if asked is None else {"by": asked.actor.name, "kind": asked.actor.kind}
    tag = "" if asked is None else asked.request
    turn.log("notice.cleared", {"why": why, **by}, tag=tag, notes=(Note(KIND, _NAME, None),))


def _trusted_utc(turn: Turn) -> datetime | None:
    clock = turn.state.clock
    return clock.utc + timedelta(seconds=turn.now - clock.at) if clock is not None and clock.is_trusted else None


def _note(notice: Notice) -> Note:
    return Note(KIND, _NAME, _body(notice))


def _body(notice: Notice) -> dict[str, Any]:
    return {
        "zh": notice.zh,
        "en": notice.en,
        "level": notice.level,
        "until": _text(notice.until),
        "put_at": notice.put_at,
    }


def _read(body: Mapping[str, Any]) -> Notice | None:
    """One that this version does not understand is none."""
    zh, en, level, until, put_at = (body.get(key) for key in ("zh", "en", "level", "until", "put_at"))
    if not isinstance(zh, str) or not isinstance(en, str) or level not in LEVELS:
        return None
    try:
        ends = None if until is None else datetime.fromisoformat(until).astimezone(UTC)
    except (TypeError, ValueError):
        return None
    return Notice(zh, en, str(level), ends, put_at if isinstance(put_at, str) else None)


def _text(until: datetime | None) -> str | None:
    return None if until is None else until.isoformat(timespec="seconds").replace("+00:00", "Z")
