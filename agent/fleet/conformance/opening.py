"""Promises that only an open door shows. Somebody stands there, or it stays shut because nobody pushes."""

from __future__ import annotations

from agent.core.commands import Scope
from agent.core.problems import Words
from agent.fleet.conformance.answers import NO_ANSWER, QUIET_MODES, ask_nonce
from agent.fleet.conformance.bench import Bench, Deed
from agent.fleet.conformance.hearing import Heard
from agent.fleet.conformance.promises import Finding, Need, Promise, broken, holds, not_checked

_UNLOCK_S = 60.0  # the answer says whether the door was opened, so it comes when the release time is over


def unlocks(bench: Bench) -> Finding:
    """With a fresh nonce; done once the relay moved."""
    if bench.hearing.mode not in QUIET_MODES:
        return not_checked(f"门的模式为 {bench.hearing.mode}", f"the door's mode is {bench.hearing.mode}")
    nonce = ask_nonce(bench)
    if isinstance(nonce, Finding):
        return nonce
    call = bench.call
    claims = call.claims("door.unlock", nonce=nonce.text)
    payload = call.signed(claims)
    since = len(bench.hearing.messages)
    replies = call.ask(claims, payload, most_s=_UNLOCK_S)
    bench.found["unlock"] = Deed(claims.id, "door.unlock", payload, tuple(replies))
    if not replies:
        return NO_ANSWER
    last = replies[-1]
    result = (last.body or {}).get("result")
    if last.text("status") != "done" or not isinstance(result, dict):
        what = f"{last.text('status')} {last.text('code')}".strip()
        return broken(f"没有开门:{what}", f"it was not unlocked: {what}")
    if not isinstance(result.get("opened"), bool | None) or "opened" not in result:
        return broken("回复没有 opened", "the answer does not say whether the door was opened")
    if not call.line.hear(bench.limits.answer_s, lambda: _releases(bench, since) > 0):
        return broken("state/door 没有显示 released", "state/door never said that the lock was released")
    opened = str(result["opened"]).lower()
    return holds(f"opened 为 {opened}", f"opened: {opened}")


def opens_once(bench: Bench) -> Finding:
    """The same message again."""
    deed = bench.found.get("unlock")
    if not isinstance(deed, Deed) or not deed.replies:
        return not_checked("没有开门", "it was not unlocked")
    call = bench.call
    is_locked = call.line.hear(_UNLOCK_S, lambda: _lock(bench) == "secured")
    if not is_locked:
        return not_checked("门锁没有复位", "the lock was not secured again")
    since = len(bench.hearing.messages)
    call.line.send(deed.payload)
    replies = call.replies(deed.command, since)
    call.line.settle()
    if _releases(bench, since) or _granted(bench, since):
        return broken("门锁再次打开", "the lock was released again")
    if [_told(each) for each in replies] != [_told(deed.replies[-1])]:
        return broken("没有得到原来的回复", "it did not get the last answer again")
    return holds("门锁没有动", "the lock did not move")


def _told(reply: Heard) -> tuple[str, str]:
    return reply.text("status"), reply.text("code")


def _lock(bench: Bench) -> str:
    return ([each.text("lock") for each in bench.hearing.of("state/door")] or [""])[-1]


def _releases(bench: Bench, since: int) -> int:
    return sum(each.text("lock") == "released" for each in bench.hearing.live("state/door", since))


def _granted(bench: Bench, since: int) -> bool:
    return any(each.text("type") == "station.access.granted" for each in bench.hearing.entries(since))


PROMISES = (
    Promise(
        "unlocks",
        Words(
            "合法的 door.unlock 开门,回复说明是否有人推开",
            "A rightful `door.unlock` opens, and says whether somebody did.",
        ),
        unlocks,
        Need.MAY_OPEN,
        Scope.OPEN,
    ),
    Promise(
        "opens_once",
        Words("重复的编号不再开门", "A repeated id opens nothing more."),
        opens_once,
        Need.MAY_OPEN,
        Scope.OPEN,
    ),
)
