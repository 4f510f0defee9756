"""Promises about commands that are carried out. Nothing here changes anything at the station."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any

from agent.core.commands import Scope
from agent.core.problems import Words
from agent.fleet.conformance.bench import Bench, Deed, Nonce
from agent.fleet.conformance.hearing import Heard
from agent.fleet.conformance.promises import Finding, Need, Promise, broken, holds, not_checked

NO_ANSWER = broken("没有回复", "no answer")
DEAF = broken("没有回复;站点配置中有这把密钥吗?", "no answer; is this key in the station's settings?")
QUIET_MODES = frozenset({"normal"})
"""Of the door, in which `door.resume` has nothing to end."""
_NONCE_S = 30.0
_KIND_OF_END = ("station.command.accepted", "station.command.ended")
_BURST = 60  # at once: a server at work has a few refused in a minute
_QUIET_S = 1.0


def answered(bench: Bench) -> Finding:
    """On `replies`, with its id."""
    call = bench.call
    since = len(bench.hearing.messages)
    replies = call.ask(call.claims("station.refresh"))
    bench.found["refreshed"] = since
    return _done(replies) if replies else DEAF


def _done(replies: list[Heard]) -> Finding:
    last = replies[-1]
    if last.text("status") != "done":
        what = f"{last.text('status')} {last.text('code')}".strip()
        return broken(f"回复为 {what}", f"the answer is {what}")
    return holds("done", "done")


def refreshed(bench: Bench) -> Finding:
    """Everything that a broker without persistence has forgotten."""
    since = bench.found.get("refreshed")
    if since is None:
        return not_checked("没有发出指令", "it was not asked")
    hearing = bench.hearing
    live = {each.kind for each in hearing.messages if not each.is_stored and each.kind.startswith("state/")}
    wanted = {"status", "about", "state/door", "state/occupancy", "state/health"} | live

    def missing() -> set[str]:
        return wanted - {each.kind for each in hearing.messages[since:] if not each.is_stored}

    if not bench.call.line.hear(bench.limits.answer_s, lambda: not missing()):
        kind = min(missing())
        return broken(f"没有再次发布 {kind}", f"{kind} was not published again")
    return holds(f"{len(wanted)} 个主题", f"{len(wanted)} topics")


def nonces(bench: Bench) -> Finding:
    """Two that differ, each with how long it holds."""
    found: set[str] = set()
    for _ in range(2):
        result = ask_nonce(bench)
        if isinstance(result, Finding):
            return result
        found.add(result.text)
    if len(found) < 2:
        return broken("两次给出同一个 nonce", "the same nonce was given out twice")
    return holds("两个不同的 nonce", "two that differ")


def ask_nonce(bench: Bench) -> Nonce | Finding:
    """A nonce, or why there is none."""
    call = bench.call
    asked_at = time.monotonic()
    replies = call.ask(call.claims("nonce.request"))
    if not replies:
        return NO_ANSWER
    result = _result(replies[-1])
    text, holds_s = result.get("nonce"), result.get("holds_s")
    if not isinstance(text, str) or not 8 <= len(text) <= 64:
        return broken(f"没有 nonce({replies[-1].text('code')})", f"no nonce ({replies[-1].text('code')})")
    if not isinstance(holds_s, (int, float)) or not 0 < holds_s <= _NONCE_S:
        return broken(f"holds_s 为 {holds_s!r:.20}", f"holds_s is {holds_s!r:.20}")
    return Nonce(text, asked_at + float(holds_s))


def _result(reply: Heard) -> Mapping[str, Any]:
    found = None if reply.body is None else reply.body.get("result")
    return found if isinstance(found, dict) else {}


def deed_of(bench: Bench) -> Deed | Finding:
    """One command that is accepted and changes nothing, sent once a run."""
    if bench.deed is None:
        found = _harmless(bench)
        if isinstance(found, Finding):
            return found
        name, arguments, proof = found
        claims = bench.call.claims(name, arguments, **proof)
        payload = bench.call.signed(claims)
        bench.deed = Deed(claims.id, name, payload, tuple(bench.call.ask(claims, payload)))
    return bench.deed


def _harmless(bench: Bench) -> tuple[str, dict[str, Any], dict[str, Any]] | Finding:
    if Scope.OPERATE in bench.scopes:
        return "fault.update", {"fault": f"conformance.none@{secrets.token_hex(4)}", "stage": "seen"}, {}
    if Scope.OPEN in bench.scopes and bench.hearing.mode in QUIET_MODES:
        nonce = ask_nonce(bench)
        return nonce if isinstance(nonce, Finding) else ("door.resume", {}, {"nonce": nonce.text})
    return not_checked(
        "需要有 operate 权限的密钥(或有 open 权限且门为常态)",
        "it needs a key that may operate, or one that may open while the door is in its normal mode",
    )


def accepted_first(bench: Bench) -> Finding:
    """Accepted, then done or failed."""
    deed = deed_of(bench)
    if isinstance(deed, Finding):
        return deed
    told = [each.text("status") for each in deed.replies]
    if told in (["accepted", "done"], ["accepted", "failed"]):
        return holds(f"{deed.name}:{'、'.join(told)}", f"{deed.name}: {', '.join(told)}")
    what = ", ".join(told)
    return broken(f"{deed.name} 的回复为:{what or '无'}", f"the answers to {deed.name}: {what or 'none'}")


def repeated(bench: Bench) -> Finding:
    """The very same message again: the last answer again, and nothing else."""
    deed = deed_of(bench)
    if isinstance(deed, Finding):
        return deed
    if not deed.replies:
        return NO_ANSWER
    since = len(bench.hearing.messages)
    bench.call.line.send(deed.payload)
    replies = bench.call.replies(deed.command, since)
    if not replies:
        return NO_ANSWER
    first, again = deed.replies[-1], replies[-1]
    if len(replies) > 1 or any(first.text(name) != again.text(name) for name in ("status", "code")):
        return broken(f"再次执行了 {deed.name}", f"{deed.name} was carried out again, or answered otherwise")
    if _result(first) != _result(again):
        return broken("回复的 result 不同", "the result of the answer differs")
    return holds(f"{again.text('status')} {again.text('code')}", f"{again.text('status')} {again.text('code')}")


def logged(bench: Bench) -> Finding:
    """What was accepted, and what became of it."""
    deed = deed_of(bench)
    if isinstance(deed, Finding):
        return deed

    def found() -> list[Heard]:
        entries = bench.hearing.entries(bench.commands_since)
        return list({each.text("id"): each for each in entries if _data(each).get("id") == deed.command}.values())

    bench.call.line.hear(bench.limits.answer_s, lambda: len(found()) >= len(_KIND_OF_END))
    types = tuple(each.text("type") for each in found())
    if sorted(types) != sorted(_KIND_OF_END):
        return broken(
            f"日志中只有:{'、'.join(types) or '无'}", f"of {deed.name} the log has: {', '.join(types) or 'nothing'}"
        )
    told = deed.replies[-1].text("status") if deed.replies else ""
    said = next(str(_data(each).get("status")) for each in found() if each.text("type") == _KIND_OF_END[1])
    if said != told:
        return broken(f"日志为 {said},回复为 {told}", f"the log says {said}, the answer said {told}")
    return holds(deed.name, deed.name)


def refusals_logged(bench: Bench) -> Finding:
    """By the key's name; those that repeat within a minute are counted, and written at its end."""

    def found() -> bool:
        return any(
            each.text("type") == "station.control.refused" and _data(each).get("actor") == bench.call.key.name
            for each in bench.hearing.entries(bench.commands_since)
        )

    if bench.call.line.hear(bench.limits.refusal_log_s, found):
        return holds("已记录", "they are")
    waited = f"{bench.limits.refusal_log_s:.0f}"
    return broken(f"{waited} 秒内没有记录", f"none was written within {waited} s")


def bounded(bench: Bench) -> Finding:
    """A burst for another station: whoever shouts is not shouted back at."""
    call, hearing = bench.call, bench.hearing
    wrong = [call.claims("station.refresh").model_copy(update={"station": "conformance-other"}) for _ in range(_BURST)]
    payloads = [call.signed(each) for each in wrong]
    ids = {each.id for each in wrong}
    since = len(hearing.messages)
    for payload in payloads:
        call.line.send(payload, is_paced=False)

    def count() -> int:
        return sum(each.text("id") in ids for each in hearing.live("replies", since))

    before = -1
    while before < count() < _BURST:
        before = count()
        call.line.hear(_QUIET_S, lambda: count() > before)  # noqa: B023 - called within this turn only
    if count() >= _BURST:
        return broken(f"{_BURST} 条一一回复", f"each of {_BURST} at once was answered")
    return holds(f"{_BURST} 条回复 {count()} 条", f"{count()} of {_BURST} at once were answered")


def _data(entry: Heard) -> Mapping[str, Any]:
    found = None if entry.body is None else entry.body.get("data")
    return found if isinstance(found, dict) else {}


_KEY = Need.KEY

FIRST = (
    Promise(
        "answered", Words("每条指令在 replies 中得到回复", "Each command is answered with its id."), answered, _KEY
    ),
    Promise(
        "refreshed",
        Words(
            "station.refresh 再次发布 status、about 与全部 state",
            "`station.refresh` publishes `status`, `about` and every `state` again.",
        ),
        refreshed,
        _KEY,
    ),
    Promise("nonces", Words("按请求发放 nonce,有效 30 秒", "A nonce is given out on request, for 30 s."), nonces, _KEY),
    Promise(
        "accepted_first", Words("先 accepted,再 done 或 failed", "Accepted, then done or failed."), accepted_first, _KEY
    ),
    Promise(
        "repeated",
        Words("重复的编号只得到原来的回复", "A repeated id gets the last answer again and does nothing."),
        repeated,
        _KEY,
    ),
    Promise("logged", Words("接受的指令记入日志", "What is accepted is in the log, and how it ended."), logged, _KEY),
)
LAST = (
    Promise("refusals_logged", Words("拒绝的指令记入日志", "What is refused is in the log."), refusals_logged, _KEY),
    Promise("bounded", Words("拒绝的回复有频率限制", "Refusals are answered within a rate only."), bounded, _KEY),
)
