"""Asks one station for every promise of the contract."""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import dataclass

from agent.command_keys import CommandSigner
from agent.core.commands import Scope
from agent.core.problems import Words
from agent.fleet.conformance import answers, forms, journal, opening, presence, records, refusals
from agent.fleet.conformance.bench import Bench, Caller
from agent.fleet.conformance.hearing import Hearing
from agent.fleet.conformance.line import Line, kept_at
from agent.fleet.conformance.promises import Finding, KitError, Limits, Need, Promise, Verdict, broken, not_checked
from agent.mqtt.client import Broker
from agent.mqtt.payloads import CONTRACT_VERSION
from agent.mqtt.topics import Topics

_log = logging.getLogger(__name__)

PROMISES: tuple[Promise, ...] = (
    *forms.PROMISES,
    *presence.PROMISES,
    *journal.PROMISES,
    *answers.FIRST,
    *refusals.PROMISES,
    *records.PROMISES,
    *opening.PROMISES,
    *answers.LAST,
)
"""In the order in which they are asked and printed; those that only listen are judged at the end, over everything."""


_SEEN_MAX = 500  # characters of what showed it: names of fields may be a station's own
_FIRST = answers.FIRST[0].name
_DEAF = not_checked("站点不回复指令", "it answers no command")


@dataclass(frozen=True, slots=True)
class Report:
    """What was found, in the order of `PROMISES`."""

    station: str
    contract: str
    findings: tuple[tuple[Promise, Finding], ...]

    def count(self, verdict: Verdict) -> int:
        """How many of them."""
        return Counter(finding.verdict for _, finding in self.findings)[verdict]

    def broken(self) -> set[str]:
        """The names of the promises that are."""
        return {promise.name for promise, finding in self.findings if finding.verdict is Verdict.BROKEN}


@dataclass(frozen=True, slots=True)
class Authority:
    """A key, what the station's settings allow it, and whether the door may open."""

    key: CommandSigner
    scopes: frozenset[Scope] = frozenset()
    may_open: bool = False


def examine(broker: Broker, topics: Topics, authority: Authority | None = None, limits: Limits | None = None) -> Report:
    """Listen, command where there is a key, and judge. Takes `listen_s` and some seconds. Raises `KitError`."""
    limits = limits or Limits()
    hearing = Hearing(topics.station)
    bench = Bench(hearing, limits)
    found: dict[str, Finding] = {}
    with Line(broker, topics, hearing) as line:
        hearing.began = time.monotonic()
        if authority is not None:
            bench.scopes, bench.may_open = authority.scopes, authority.may_open
            bench.caller = Caller(line, hearing, authority.key, limits, is_v5=broker.protocol == "5")
            _begin(bench, line)
        line.hear(hearing.began + limits.listen_s - time.monotonic())
        hearing.quiet_until = time.monotonic()
        _look(hearing)
        if bench.caller is not None:
            bench.commands_since = len(hearing.messages)
            for each in PROMISES:
                if each.need is not Need.LISTENING:
                    found[each.name] = _DEAF if found.get(_FIRST) == answers.DEAF else _ask(bench, each)
            line.settle()
        hearing.ended = time.monotonic()
    expected = {each.kind for each in hearing.messages if each.kind.startswith(("status", "about", "state/"))}
    hearing.kept = kept_at(broker, topics, expected, min(limits.answer_s, limits.listen_s))
    for each in PROMISES:
        if each.name not in found:
            found[each.name] = _ask(bench, each)
    return Report(topics.station, hearing.contract, tuple((each, found[each.name]) for each in PROMISES))


def _begin(bench: Bench, line: Line) -> None:
    """Have a nonce given out that is too old at the end."""
    line.hear(bench.limits.answer_s, lambda: bench.hearing.session is not None)
    if bench.hearing.session is None:
        raise KitError(
            f"站点 {bench.hearing.station} 没有连接这个消息服务器:编号和主题前缀对吗?",
            f"station {bench.hearing.station} is not online at this broker: is its id right, and its prefix?",
        )
    if Scope.OPEN in bench.scopes:
        nonce = answers.ask_nonce(bench)
        bench.spare = None if isinstance(nonce, Finding) else nonce


def _look(hearing: Hearing) -> None:
    """Raise `KitError` for a station that cannot be judged."""
    if not any(each.kind != "commands" for each in hearing.messages):
        raise KitError(
            f"没有收到站点 {hearing.station} 的任何消息:编号和主题前缀对吗?",
            f"nothing was heard of station {hearing.station}: is its id right, and its prefix?",
        )
    if hearing.contract.partition(".")[0] != CONTRACT_VERSION.partition(".")[0]:
        raise KitError(
            f"站点遵守约定 {hearing.contract:.20},本程序只认识 {CONTRACT_VERSION}",
            f"the station keeps contract {hearing.contract:.20}; this kit knows {CONTRACT_VERSION}",
        )
    status = hearing.status
    is_offline = status is not None and status.text("status") == "offline"
    if is_offline and not any(each.kind.startswith("state/") and not each.is_stored for each in hearing.messages):
        raise KitError(
            f"站点 {hearing.station} 不在线:请启动后再试",
            f"station {hearing.station} is offline: start it, and try again",
        )


def _ask(bench: Bench, promise: Promise) -> Finding:
    if promise.need is not Need.LISTENING and bench.caller is None:
        return not_checked("需要密钥(--key)", "it needs a key (--key)")
    if promise.scope is not None and promise.scope not in bench.scopes:
        scope = promise.scope.value
        return not_checked(
            f"需要有 {scope} 权限的密钥(--scopes)", f"it needs a key that may do {scope}; name that with --scopes"
        )
    if promise.need is Need.MAY_OPEN and not bench.may_open:
        return not_checked("会开门,需要 --may-open", "it opens the door: needs --may-open")
    session = bench.hearing.session
    finding = judged(bench, promise)
    is_disturbed = promise.need is Need.KEY and bench.hearing.session != session
    if finding.verdict is Verdict.BROKEN and is_disturbed:  # it connected anew, so what named the old session is stale
        bench.deed = None
        finding = judged(bench, promise)
    return finding


def judged(bench: Bench, promise: Promise) -> Finding:
    """What a station sends may be anything: where it cannot be computed with, that is what is wrong with it."""
    try:
        found = promise.check(bench)
    except KitError:
        raise
    except Exception as error:  # noqa: BLE001 - the border to what a station made up
        _log.debug("%s cannot be judged", promise.name, exc_info=True)
        name = type(error).__name__
        return broken(f"站点发来的内容无法判断({name})", f"what the station sends cannot be judged ({name})")
    return Finding(found.verdict, Words(found.seen.zh[:_SEEN_MAX], found.seen.en[:_SEEN_MAX]))
