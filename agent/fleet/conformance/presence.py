"""Promises about being there: status, birth and last will, and live state that is told again in time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

from agent.core.problems import Words
from agent.fleet.conformance.bench import Bench
from agent.fleet.conformance.hearing import Heard
from agent.fleet.conformance.promises import Finding, Promise, broken, holds, not_checked

BEAT_S = 30.0
_LATE_S = 5.0  # a beat on its way, and the clocks of two machines
_GRACE_S = 1.0  # a message on its way: `holds_s` has its own reserve


def status(bench: Bench) -> Finding:
    """Retained, so a station that has ever been online has one."""
    newest = bench.hearing.status
    if newest is None:
        return broken("没有 status", "there is no `status`")
    if newest.text("status") != "online":
        return broken("站点有消息,status 却是 offline", "it publishes, and `status` says offline")
    if len(newest.text("session")) < 8 or not newest.text("since"):
        return broken("缺少 session 或 since", "session or since is missing")
    return holds(f"版本 {newest.text('contract')}", f"version {newest.text('contract')}")


def birth(bench: Bench) -> Finding:
    """After an `offline` nothing comes before the next birth, and that has a session of its own."""
    past: set[str] = set()
    session, is_over, births = "", False, 0
    for each in bench.hearing.messages:
        if each.kind == "commands" or (each.is_stored and each.kind != "status"):
            continue
        if each.kind != "status":
            if is_over:
                return broken(f"{each.kind} 先于 status 到达", f"{each.kind} came before the birth")
            continue
        told = each.text("session")
        if each.text("status") == "offline":
            is_over = is_over or told == session or not session
            session = session or told
            continue
        if told in past or (is_over and told == session):
            return broken("新连接沿用旧 session", "a new connection has the session of an old one")
        births += told != session and not each.is_stored
        past |= {session} - {"", told}
        session, is_over = told, False
    if not births:
        return not_checked("期间没有新的连接", "it did not connect anew meanwhile")
    return holds(f"{births} 次连接", f"{births} connections")


def will(bench: Bench) -> Finding:
    """Nobody can force one from outside without cutting the station off; it is looked at when it comes."""
    sessions = [each.text("session") for each in bench.hearing.of("status") if each.text("status") == "online"]
    found = [
        each
        for each in bench.hearing.live("status")
        if each.text("status") == "offline" and each.body is not None and each.body.get("since") is None
    ]
    if not found:
        return not_checked(
            "期间没有断线,从外部无法在不切断站点的情况下查验",
            "the station was not cut off meanwhile, and nothing else shows the will",
        )
    if any(each.text("session") not in sessions for each in found):
        return broken("遗嘱的 session 不是该连接的", "the will does not name the session that ended")
    return holds(f"{len(found)} 次", f"seen {len(found)} times")


def observed(bench: Bench) -> Finding:
    """By the clock of this machine, which must be right."""
    count = 0
    for kind, heard in bench.hearing.states().items():
        before = ""
        for each in heard:
            if each.is_stored:
                continue
            at, holds_s = _moment(each), _holds_s(each)
            if at is None or holds_s is None or holds_s <= 0:
                return broken(f"{kind} 没有 observed_at 或 holds_s", f"{kind} names no observed_at or holds_s")
            age_s = (each.utc - at).total_seconds()
            if not -_LATE_S <= age_s <= holds_s + _LATE_S:
                return broken(
                    f"{kind} 的 observed_at 与本机时钟相差 {age_s:.0f} 秒;时钟准吗?",
                    f"observed_at of {kind} is {age_s:.0f} s before this machine's clock; are both clocks right?",
                )
            if each.text("observed_at") < before:
                return broken(f"{kind} 的 observed_at 倒退", f"observed_at of {kind} went back")
            before, count = each.text("observed_at"), count + 1
    if not count:
        return not_checked("没有收到新的状态", "no live state was heard")
    return holds(f"{count} 条消息", f"{count} messages")


def renewed(bench: Bench) -> Finding:
    """Told again before it no longer holds; what the broker had before counts from the time that it names."""
    hearing = bench.hearing
    told_again, once = 0, ""
    for kind, heard in hearing.states().items():
        tellings = [each for each in map(_telling, heard) if each is not None]
        if not tellings:
            continue  # left over from a part that the settings no longer name: a receiver sees it stale, which is right
        if len(tellings) == 1:
            once = kind
        told_again += len(tellings) > 1
        ends = [*(at for at, _ in tellings[1:]), hearing.ended]
        for (at, holds_s), until in zip(tellings, ends, strict=True):
            if until - at > holds_s + _GRACE_S:
                return broken(
                    f"{kind} 有效 {holds_s:.0f} 秒,{until - at:.0f} 秒没有更新",
                    f"{kind} holds for {holds_s:.0f} s and was not told again for {until - at:.0f} s",
                )
    if once or not told_again:
        listened = f"{hearing.ended - hearing.began:.0f}"
        return not_checked(
            f"听了 {listened} 秒,{once or 'state'} 没有再次发布",
            f"listened for {listened} s, and {once or 'no state'} was not told again in it",
        )
    return holds(f"{told_again} 个部分", f"{told_again} parts")


def _telling(message: Heard) -> tuple[float, float] | None:
    """When it was told, monotonic, s, and for how long it holds; None for what was stale before anybody listened."""
    holds_s = _holds_s(message) or 0.0
    if not message.is_stored:
        return message.at, holds_s
    at = _moment(message)
    age_s = holds_s + 1 if at is None else (message.utc - at).total_seconds()
    return None if age_s > holds_s else (message.at - max(0.0, age_s), holds_s)


def beat(bench: Bench) -> Finding:
    """Without being asked; a new connection begins anew."""
    hearing = bench.hearing
    needed_s = BEAT_S + _LATE_S
    if hearing.listened_s < needed_s:
        return not_checked(
            f"只听了 {hearing.listened_s:.0f} 秒,需要 {needed_s:.0f} 秒",
            f"listened for {hearing.listened_s:.0f} s, it needs {needed_s:.0f} s",
        )
    marks = [hearing.began, *_beats(bench), hearing.quiet_until]
    longest_s = max(later - earlier for earlier, later in pairwise(marks))
    if longest_s > needed_s:
        return broken(f"health 停了 {longest_s:.0f} 秒", f"no `health` for {longest_s:.0f} s")
    return holds(f"最长间隔 {longest_s:.0f} 秒", f"{longest_s:.0f} s between two at the most")


def _beats(bench: Bench) -> Iterator[float]:
    hearing = bench.hearing
    for each in hearing.messages:
        if each.at <= hearing.quiet_until and not each.is_stored and each.kind in {"state/health", "status"}:
            yield each.at


def _moment(message: Heard) -> datetime | None:
    try:
        return datetime.fromisoformat(message.text("observed_at"))
    except ValueError:
        return None


def _holds_s(message: Heard) -> float | None:
    value = None if message.body is None else message.body.get("holds_s")
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


PROMISES = (
    Promise(
        "status",
        Words("status 说明在线、session 与版本", "`status` says online, with the session, the version and since when."),
        status,
    ),
    Promise(
        "birth",
        Words("每次连接先发 status,session 不重复", "Each connection begins with a birth of a new session."),
        birth,
    ),
    Promise("will", Words("断线时遗嘱带有该 session", "The last will names the session that ended."), will),
    Promise(
        "observed",
        Words(
            "每个 state 注明观测时间与有效秒数", "Every `state` names the time of observation and how long it holds."
        ),
        observed,
    ),
    Promise(
        "renewed",
        Words("每个 state 在失效之前更新", "Every `state` is told again before it no longer holds."),
        renewed,
    ),
    Promise("beat", Words("health 每 30 秒一次", "`state/health` beats every 30 s."), beat),
)
