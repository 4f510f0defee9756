"""Promises about the log: its events, its order, its chain. Computed by `recipe`, not by the agent's own code."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from agent.core.problems import Words
from agent.fleet.conformance import recipe
from agent.fleet.conformance.bench import Bench
from agent.fleet.conformance.hearing import Heard
from agent.fleet.conformance.promises import Finding, Promise, broken, holds, not_checked

_DIGITS = 19  # of the greatest 64-bit integer with a sign
_BACKLOG_S = 60.0
_DAY_S = 86_400.0  # a station's clock that nobody has set yet is off by months rather than minutes
_LEEWAY_S = 10.0  # on its way, and the clocks of two machines: nearer to the minute nothing is said

Judge = Callable[[Heard, Mapping[str, Any]], Words | None]
"""What is wrong with one entry, None: nothing."""


def _nothing() -> Finding:
    return not_checked("期间没有收到日志", "no entry of the log came meanwhile")


def _each(bench: Bench, judge: Judge) -> Finding:
    """Look at every entry by itself; those that a judge does not look at raise StopIteration."""
    looked = 0
    for heard in bench.hearing.entries():
        try:
            wrong = judge(heard, heard.body or {})
        except StopIteration:
            continue
        except (KeyError, ValueError, TypeError, RecursionError) as error:
            name = type(error).__name__
            wrong = Words(f"无法计算({name})", f"it cannot be computed ({name})")
        if wrong is not None:
            return broken(f"{_place(heard)}:{wrong.zh}", f"{_place(heard)}: {wrong.en}")
        looked += 1
    if not looked:
        return _nothing()
    return holds(f"{looked} 条", f"{looked} entries")


def _place(heard: Heard) -> str:
    return heard.text("id")[:100] or "log"


def _number(heard: Heard) -> tuple[int, int] | None:
    """(epoch, sequence), however it is padded; None for one that has none."""
    epoch = None if heard.body is None else heard.body.get("epoch")
    sequence = heard.text("sequence")
    if not isinstance(epoch, int) or not re.fullmatch(r"[0-9]{1,30}", sequence):
        return None
    return epoch, int(sequence)


def _numbered(bench: Bench) -> Iterator[tuple[tuple[int, int], Heard]]:
    """In the order of arrival."""
    for each in bench.hearing.entries():
        number = _number(each)
        if number is not None:
            yield number, each


def event(bench: Bench) -> Finding:
    """What CloudEvents and the contract ask of the envelope."""
    source = f"/stations/{bench.hearing.station}"

    def judge(heard: Heard, body: Mapping[str, Any]) -> Words | None:
        number = _number(heard) or (body.get("epoch"), heard.text("sequence"))
        if body.get("specversion") != "1.0" or not heard.text("type").startswith("station."):
            return Words("specversion 或 type 不对", "specversion or type is wrong")
        if body.get("source") != source:
            return Words("source 不是该站点", "source is not this station")
        if body.get("id") != f"{bench.hearing.station}/{number[0]}/{number[1]}":
            return Words("id 不是 ID/EPOCH/SEQUENCE", "id is not ID/EPOCH/SEQUENCE")
        if ("data" in body) != (body.get("datacontenttype") == "application/json"):
            return Words("datacontenttype 与 data 不符", "datacontenttype does not fit data")
        return None

    return _each(bench, judge)


def padding(bench: Bench) -> Finding:
    """So that the order of the text is the order of the numbers."""

    def judge(_heard: Heard, body: Mapping[str, Any]) -> Words | None:
        is_padded = re.fullmatch(rf"[0-9]{{{_DIGITS}}}", str(body.get("sequence"))) is not None
        is_text = isinstance(body.get("sequence"), str)
        return None if is_padded and is_text else Words(f"不是 {_DIGITS} 位数字", f"it has not {_DIGITS} digits")

    return _each(bench, judge)


def gaps(bench: Bench) -> Finding:
    """What is missing between the first that was news and the last; what a replay brought again may fill it."""
    by_epoch: dict[int, set[int]] = {}
    first: dict[int, int] = {}
    for (epoch, sequence), each in _numbered(bench):
        by_epoch.setdefault(epoch, set()).add(sequence)
        if not bench.is_replayed(each):
            first[epoch] = min(sequence, first.get(epoch, sequence))
    count = 0
    for epoch, begin in first.items():
        found = by_epoch[epoch]
        missing = next((each for each in range(begin, max(found)) if each not in found), None)
        if missing is not None:
            return _unless_replayed(bench, broken(f"缺少 {epoch}/{missing}", f"{epoch}/{missing} is missing"))
        count += max(found) - begin + 1
    if count < 2:
        return _nothing()
    return holds(f"{count} 条", f"{count} entries")


def order(bench: Bench) -> Finding:
    """Within one connection; after a new one what was not acknowledged comes again, and in a replay what was asked."""
    newest: tuple[int, int] = (-1, -1)
    count, session = 0, ""
    for each in bench.hearing.messages:
        if each.kind == "status" and each.text("status") == "online" and each.text("session") != session:
            session, newest = each.text("session"), (-1, -1)
        number = _number(each) if each.kind == "log" and not each.is_stored else None
        if number is None or number == newest:  # QoS 1 may deliver one twice
            continue
        if number < newest:
            if bench.is_replayed(each):
                continue
            late = f"{newest[0]}/{newest[1]}"
            return _unless_replayed(bench, broken(f"{_place(each)} 晚于 {late}", f"{_place(each)} came after {late}"))
        newest, count = number, count + 1
    if count < 2:
        return _nothing()
    return holds(f"{count} 条", f"{count} entries")


def _unless_replayed(bench: Bench, found: Finding) -> Finding:
    """What looks like disorder may be a replay that another server asked for: the log says so."""
    for each in bench.hearing.entries():
        data = (each.body or {}).get("data")
        if isinstance(data, dict) and data.get("name") == "log.replay" and data.get("id") not in bench.own:
            return not_checked("期间有其他方的 log.replay", "somebody else's log.replay ran meanwhile")
    return found


def once(bench: Bench) -> Finding:
    """An entry may come twice, and is then the same."""
    known: dict[tuple[int, int], tuple[str, str]] = {}
    again = 0
    for number, each in _numbered(bench):
        what = each.text("hash"), each.text("id")
        if known.setdefault(number, what) != what:
            return broken(f"{_place(each)} 再次到达时不同", f"{_place(each)} came again and differs")
        again += 1
    if again == len(known):
        return not_checked("没有重复到达的", "none came twice") if not known else holds("无重复", "none came twice")
    return holds(f"{again - len(known)} 条再次到达,内容相同", f"{again - len(known)} came again, the same")


def chain(bench: Bench) -> Finding:
    """Each hash follows from the one before it."""
    first = {number: each for number, each in reversed([*_numbered(bench)])}
    events = {number: recipe.read(each.payload) for number, each in first.items()}
    links = 0
    for (epoch, sequence), each in sorted(events.items(), key=lambda found: found[0]):
        before = events.get((epoch, sequence - 1))
        if before is None:
            continue
        try:
            is_right = recipe.hash_of(each, str(before.get("hash"))) == each.get("hash")
        except (KeyError, ValueError, TypeError):
            is_right = False
        if not is_right:
            where = f"{epoch}/{sequence}"
            return broken(f"{where} 的 hash 与前一条不符", f"the hash of {where} does not follow from the one before")
        links += 1
    if not links:
        return _nothing()
    return holds(f"{links} 处相连", f"{links} links")


def digests(bench: Bench) -> Finding:
    """A body and its salt travel together, and give the digest."""

    def judge(heard: Heard, body: Mapping[str, Any]) -> Words | None:
        if ("data" in body) != ("salt" in body):
            return Words("data 与 salt 没有同在", "data and salt do not travel together")
        if "data" not in body:
            raise StopIteration
        is_right = recipe.digest_of(recipe.read(heard.payload)) == body.get("digest")
        return None if is_right else Words("digest 与内容不符", "the digest is not that of the body")

    return _each(bench, judge)


def historical(bench: Bench) -> Finding:
    """Rung for, or only counted. By the clock of this machine, which must be right."""

    def judge(heard: Heard, body: Mapping[str, Any]) -> Words | None:
        age_s = (heard.utc - datetime.fromisoformat(heard.text("time"))).total_seconds()
        was_unset = body.get("clock") != "synchronised" and abs(age_s) > _DAY_S
        if was_unset or abs(age_s - _BACKLOG_S) < _LEEWAY_S:
            raise StopIteration
        if body.get("historical") is not (age_s > _BACKLOG_S):
            said = str(body.get("historical")).lower()
            return Words(f"早 {age_s:.0f} 秒,historical 为 {said}", f"{age_s:.0f} s old, and historical is {said}")
        return None

    return _each(bench, judge)


PROMISES = (
    Promise(
        "event",
        Words("日志是 CloudEvents 事件,id 为 ID/EPOCH/SEQUENCE", "An entry is a CloudEvent, its id ID/EPOCH/SEQUENCE."),
        event,
    ),
    Promise("padding", Words("sequence 以零补足 19 位", "`sequence` is padded with zeros."), padding),
    Promise("gaps", Words("序号没有缺失", "`sequence` has no gaps."), gaps),
    Promise("order", Words("同一连接内按顺序", "Entries come in order within one connection."), order),
    Promise("once", Words("再次到达的日志内容相同", "An entry that comes again is the same one."), once),
    Promise(
        "chain", Words("hash 与前一条相连", "`hash` follows from the entry before, the header and the digest."), chain
    ),
    Promise("digests", Words("digest 是 salt 与内容的摘要", "`digest` is that of `salt` and `data`."), digests),
    Promise(
        "historical",
        Words("发送时早于一分钟的为 historical", "`historical` is true for what is older than a minute as it is sent."),
        historical,
    ),
)
