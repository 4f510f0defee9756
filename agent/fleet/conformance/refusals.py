"""Promises about commands that must be refused. A station that breaks one may do what it is told: open its door."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

from agent import command_keys
from agent.command_gate import CommandClaims, sign
from agent.core.commands import Refusal, Scope
from agent.core.problems import Words
from agent.fleet.conformance.answers import NO_ANSWER, QUIET_MODES, ask_nonce
from agent.fleet.conformance.bench import Bench
from agent.fleet.conformance.promises import Finding, Need, Promise, broken, holds, not_checked

_OTHER = "conformance-other"
_PAD_BYTES = 50_000  # base64 makes more than 64 KiB of it


def _refused(bench: Bench, claims: CommandClaims, code: Refusal, payload: bytes | None = None) -> Finding:
    """It must be answered with this code, and with nothing else.

    Sent twice where no answer comes: a station that somebody has just flooded answers no refusal for a while.
    """
    replies = bench.call.ask(claims, payload) or bench.call.ask(claims, payload)
    if not replies:
        return NO_ANSWER
    last = replies[-1]
    if last.text("status") != "refused":
        told = f"{last.text('status')} {last.text('code')}".strip()
        return broken(f"没有拒绝:{told}", f"it was not refused: {told}")
    if last.text("code") != code.value:
        return broken(f"拒绝的代码为 {last.text('code')}", f"it was refused as {last.text('code')}")
    return holds(code.value, code.value)


def _unheeded(bench: Bench, claims: CommandClaims, payload: bytes) -> Finding:
    """Its id is nobody's word, so it need not be answered; it must not be carried out."""
    bench.call.line.send(payload)
    if not bench.call.is_reached():
        return broken("此后站点不再回复", "after it the station answers no more")
    taken = [each for each in bench.call.told(claims.id) if each.text("status") != "refused"]
    if taken:
        return broken(f"没有拒绝:{taken[-1].text('status')}", f"it was not refused: {taken[-1].text('status')}")
    return holds("没有执行", "it was not carried out")


def _body(claims: CommandClaims) -> dict[str, Any]:
    return claims.model_dump(mode="json", exclude_none=True)


def malformed(bench: Bench) -> Finding:
    """A header with more than it may have, and claims with more."""
    call = bench.call
    claims = call.claims("station.refresh")
    found = _unheeded(bench, claims, call.signed_otherwise(_body(claims), {"jku": "https://example.org/keys"}))
    if found.verdict != "holds":
        return found
    claims = call.claims("station.refresh")
    return _refused(bench, claims, Refusal.MALFORMED, call.signed_otherwise({**_body(claims), "more": 1}))


def oversized(bench: Bench) -> Finding:
    """Right but for white space."""
    claims = bench.call.claims("station.refresh")
    return _unheeded(bench, claims, bench.call.signed_otherwise(_body(claims), pad_bytes=_PAD_BYTES))


def unknown_key(bench: Bench) -> Finding:
    """Signed by a key that nobody has."""
    stranger = command_keys.generate(f"conformance-{secrets.token_hex(4)}")
    claims = bench.call.claims("station.refresh")
    return _unheeded(bench, claims, sign(claims, stranger.name, stranger.private).encode())


def bad_signature(bench: Bench) -> Finding:
    """Under our name, by another key."""
    stranger = command_keys.generate("conformance")
    claims = bench.call.claims("station.refresh")
    return _unheeded(bench, claims, sign(claims, bench.call.key.name, stranger.private).encode())


def wrong_station(bench: Bench) -> Finding:
    """Rightly signed, for somebody else."""
    claims = bench.call.claims("station.refresh").model_copy(update={"station": _OTHER})
    return _refused(bench, claims, Refusal.WRONG_STATION)


def retained(bench: Bench) -> Finding:
    """Taken out of the broker again at once."""
    call = bench.call
    if not call.is_v5:
        return not_checked("MQTT 3.1.1 中看不出", "MQTT 3.1.1 does not show it")
    claims = call.claims("station.refresh")
    try:
        replies = call.ask(claims, retain=True)
    finally:
        call.line.send(b"", retain=True)
    told = [f"{each.text('status')} {each.text('code')}".strip() for each in replies]
    if told != [f"refused {Refusal.RETAINED.value}"]:
        seen = ", ".join(told)
        return broken(f"回复:{seen or '无'}", f"answers: {seen or 'none'} (does the station speak MQTT 3.1.1?)")
    return holds(told[0], told[0])


def unknown_command(bench: Bench) -> Finding:
    """A name that there is not."""
    return _refused(bench, bench.call.claims("conformance.none"), Refusal.UNKNOWN_COMMAND)


def bad_arguments(bench: Bench) -> Finding:
    """One too many."""
    return _refused(bench, bench.call.claims("station.refresh", {"conformance": 1}), Refusal.BAD_ARGUMENTS)


def stale_session(bench: Bench) -> Finding:
    """One that never was."""
    claims = bench.call.claims("station.refresh", session=secrets.token_hex(8))
    return _refused(bench, claims, Refusal.STALE_SESSION)


def not_in_scope(bench: Bench) -> Finding:
    """Of what the key may not do, something that would change nothing."""
    if not bench.scopes:
        return not_checked("没有说明密钥的权限(--scopes)", "what the key may do was not said (--scopes)")
    if Scope.OPERATE not in bench.scopes:
        claims = bench.call.claims("fault.update", {"fault": "conformance.none@nowhere", "stage": "seen"})
    elif Scope.OPEN not in bench.scopes and bench.hearing.mode in QUIET_MODES:
        nonce = ask_nonce(bench)
        if isinstance(nonce, Finding):
            return nonce
        claims = bench.call.claims("door.resume", nonce=nonce.text)
    else:
        return not_checked("需要没有 operate 或 open 权限的密钥", "it needs a key that may not operate, or not open")
    return _refused(bench, claims, Refusal.NOT_IN_SCOPE)


def nonce_made_up(bench: Bench) -> Finding:
    """An unlock with a nonce that was never given out."""
    return _refused(bench, bench.call.claims("door.unlock", nonce=secrets.token_hex(16)), Refusal.STALE_NONCE)


def nonce_used(bench: Bench) -> Finding:
    """An unlock with a nonce that a `door.resume`, which had nothing to end, has used."""
    if bench.hearing.mode not in QUIET_MODES:
        mode = bench.hearing.mode or "?"
        return not_checked(f"门的模式为 {mode}", f"the door's mode is {mode}")
    nonce = ask_nonce(bench)
    if isinstance(nonce, Finding):
        return nonce
    told = [each.text("status") for each in bench.call.ask(bench.call.claims("door.resume", nonce=nonce.text))]
    if not told or told[0] == "refused":
        return not_checked("新的 nonce 也被拒绝", "a fresh nonce was refused too")
    return _refused(bench, bench.call.claims("door.unlock", nonce=nonce.text), Refusal.STALE_NONCE)


def nonce_expired(bench: Bench) -> Finding:
    """An unlock with a nonce that was given out too long ago."""
    if bench.spare is None:
        return not_checked("没有 nonce", "no nonce was given out at the beginning")
    left_s = bench.spare.until - time.monotonic()
    if left_s > bench.limits.answer_s:
        return not_checked(f"nonce 还有效 {left_s:.0f} 秒", f"listen for longer: it still holds for {left_s:.0f} s")
    bench.call.line.hear(left_s + 0.2)
    return _refused(bench, bench.call.claims("door.unlock", nonce=bench.spare.text), Refusal.STALE_NONCE)


def stale_revision(bench: Bench) -> Finding:
    """The lowest revision there is, twice, about a member that there is not."""
    nobody = f"conformance-{secrets.token_hex(4)}"
    replies = bench.call.ask(bench.call.claims("members.resume", {"id": nobody}, revision=1))
    if not replies:
        return NO_ANSWER
    if replies[-1].text("code") == Refusal.STALE_REVISION.value:
        return holds(Refusal.STALE_REVISION.value, Refusal.STALE_REVISION.value)
    return _refused(bench, bench.call.claims("members.resume", {"id": nobody}, revision=1), Refusal.STALE_REVISION)


def _promise(name: str, zh: str, en: str, check: Callable[[Bench], Finding], scope: Scope | None = None) -> Promise:
    return Promise(name, Words(f"拒绝{zh}", f"Refused: {en}."), check, Need.KEY, scope)


PROMISES = (
    _promise("malformed", "格式不对的指令", "what is no compact JWS, or has more than it may", malformed),
    _promise("oversized", "超过 64 KiB 的指令", "what has more than 64 KiB", oversized),
    _promise("unknown_key", "未知密钥", "an unknown key", unknown_key),
    _promise("bad_signature", "错误的签名", "a wrong signature", bad_signature),
    _promise("wrong_station", "其他站点的指令", "a command for another station", wrong_station),
    _promise("retained", "保留的消息", "a retained message", retained),
    _promise("unknown_command", "未知的指令", "a command that there is not", unknown_command),
    _promise("bad_arguments", "不符的参数", "arguments that do not fit", bad_arguments),
    _promise("not_in_scope", "密钥权限之外的指令", "what the key may not do", not_in_scope),
    _promise("stale_session", "不是当前的 session", "a session that is not the present one", stale_session),
    _promise("nonce_made_up", "从未发放的 nonce", "a nonce that was never given out", nonce_made_up, Scope.OPEN),
    _promise("nonce_used", "已用过的 nonce", "a nonce that is used up", nonce_used, Scope.OPEN),
    _promise("nonce_expired", "过期的 nonce", "a nonce that is too old", nonce_expired, Scope.OPEN),
    _promise("stale_revision", "不大于已有的 revision", "a revision that is not greater", stale_revision, Scope.ROSTER),
)
