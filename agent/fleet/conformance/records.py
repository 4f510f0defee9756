"""Promises about what the server asks for: entries again, what it has safely, and whether its roster is the same."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.core.commands import Scope
from agent.core.problems import Words
from agent.fleet.conformance.answers import NO_ANSWER
from agent.fleet.conformance.bench import Bench
from agent.fleet.conformance.hearing import Heard
from agent.fleet.conformance.promises import Finding, Need, Promise, broken, holds, not_checked

_DIAGNOSIS_S = 60.0
_PART_BYTES = 48 * 1024
_TRIES = 3  # a roster may change between two pages
_PAGES = 100  # of 200 members each, in this version
_MOST = 20  # entries that are asked for again
_REPLAY_S = 100.0  # a replay lets a backlog go first, and gives up after 90 s
_BEYOND = 1_000_000  # entries that a station does not write in a run


def replayed(bench: Bench) -> Finding:
    """The newest few of one epoch that were heard: the same ids, the same hashes, and the count."""
    run = _newest_run(bench)
    if not run:
        return not_checked("期间没有收到日志", "no entry of the log came meanwhile")
    epoch, first, last = run[0]["epoch"], int(run[0]["sequence"]), int(run[-1]["sequence"])
    call, began, since = bench.call, time.monotonic(), len(bench.hearing.messages)
    claims = call.claims("log.replay", {"epoch": epoch, "first": first, "last": last})
    replies = call.ask(claims, most_s=_REPLAY_S)
    count = _result(replies[-1]).get("sent") if replies else 0
    if isinstance(count, int):  # of another topic, so a broker may deliver the answer before the last of them
        call.line.hear(bench.limits.answer_s, lambda: len(bench.hearing.entries(since)) >= count)
    bench.replays.append((began, time.monotonic()))
    if not replies:
        return NO_ANSWER
    result = _result(replies[-1])
    if replies[-1].text("status") != "done":
        what = f"{replies[-1].text('status')} {replies[-1].text('code')}".strip()
        return broken(f"没有完成:{what}", f"it was not done: {what}")
    beyond = result.get("beyond")
    if isinstance(beyond, list) and beyond:  # the broker had not acknowledged these: they are news, and no replay
        run = [each for each in run if int(each["sequence"]) < beyond[0]]
    if not run:
        return not_checked("站点尚未得知送达", "the broker has acknowledged none of them yet")
    again = {each.text("id"): each for each in bench.hearing.entries(since)}
    for each in run:
        found = again.get(str(each["id"]))
        if found is None:
            return broken(f"{each['id']} 没有再次到达", f"{each['id']} did not come again")
        if (found.body or {}).get("hash") != each["hash"]:
            return broken(f"{each['id']} 的 hash 不同", f"{each['id']} came with another hash")
    if result.get("sent") != len(run):
        return broken(f"sent 为 {result.get('sent')!r:.20}", f"sent is {result.get('sent')!r:.20}, not {len(run)}")
    return holds(f"{len(run)} 条", f"{len(run)} entries")


def _newest_run(bench: Bench) -> list[Mapping[str, Any]]:
    """Entries that follow one another up to the newest, at most `_MOST`."""
    by_place: dict[tuple[int, int], Mapping[str, Any]] = {}
    for each in bench.hearing.entries():
        body = each.body or {}
        if isinstance(body.get("epoch"), int) and each.text("sequence").isascii() and each.text("sequence").isdigit():
            by_place[body["epoch"], int(each.text("sequence"))] = body
    run: list[Mapping[str, Any]] = []
    epoch, sequence = max(by_place, default=(0, 0))
    while (epoch, sequence) in by_place and len(run) < _MOST:
        run.insert(0, by_place[epoch, sequence])
        sequence -= 1
    return run


def unconfirmed(bench: Bench) -> Finding:
    """What would be confirmed is never true: an entry that is yet to come, and one with another hash."""
    run = _newest_run(bench)
    if not run:
        return not_checked("期间没有收到日志", "no entry of the log came meanwhile")
    newest, oldest = ({"epoch": each["epoch"], "sequence": int(each["sequence"])} for each in (run[-1], run[0]))
    beyond = {**newest, "sequence": newest["sequence"] + _BEYOND, "hash": "0" * 64}
    other = {**oldest, "hash": "0" * 64}  # the newest may not be acknowledged yet
    for arguments, code in ((beyond, "log.beyond_cursor"), (other, "log.other_hash")):
        replies = bench.call.ask(bench.call.claims("log.confirm", arguments))
        if not replies:
            return NO_ANSWER
        told = f"{replies[-1].text('status')} {replies[-1].text('code')}".strip()
        if told != f"failed {code}":
            return broken(f"应为 {code},回复 {told}", f"the answer is {told}, not failed {code}")
    return holds("两次都没有接受", "neither was taken")


def _result(reply: Heard) -> Mapping[str, Any]:
    found = None if reply.body is None else reply.body.get("result")
    return found if isinstance(found, dict) else {}


def digests(bench: Bench) -> Finding:
    """One member on the first page, so that there is a second one where there are two members."""
    for _ in range(_TRIES):
        found = _whole_roster(bench)
        if not isinstance(found, _Roster):
            return found
        if len(found.told) == 1:
            break
    else:
        return not_checked("名单在查验时不断改变", "the roster went on changing meanwhile")
    ((count, digest),) = found.told
    ids = [name.encode() for name, _ in found.members]
    if ids != sorted(set(ids)):
        return broken("成员没有按编号排序", "the members are not in the order of their ids")
    if count != len(ids):
        return broken(f"count 为 {count},列出 {len(ids)} 人", f"count is {count}, and {len(ids)} are listed")
    if hashlib.sha256("".join(each for _, each in found.members).encode()).hexdigest() != digest:
        return broken("digest 不是各成员摘要的摘要", "the digest is not that of the members' digests")
    return holds(f"{count} 人", f"{count} members")


@dataclass(frozen=True, slots=True)
class _Roster:
    """All pages: (id, digest) of each member, and what the pages say of the whole, which should be one thing."""

    members: tuple[tuple[str, str], ...]
    told: frozenset[tuple[int, str]]


def _whole_roster(bench: Bench) -> _Roster | Finding:
    members: list[tuple[str, str]] = []
    told: set[tuple[int, str]] = set()
    page: dict[str, Any] = {"limit": 1}
    for _ in range(_PAGES):
        replies = bench.call.ask(bench.call.claims("members.digest", page))
        if not replies:
            return NO_ANSWER
        if replies[-1].text("status") != "done":
            what = f"{replies[-1].text('status')} {replies[-1].text('code')}".strip()
            return broken(f"没有完成:{what}", f"it was not done: {what}")
        match _result(replies[-1]):
            case {"members": [*rows], "count": int(count), "digest": str(digest), "next": (str() | None) as after}:
                members += [(str(each.get("id")), str(each.get("digest"))) for each in rows if isinstance(each, dict)]
                told.add((count, digest))
            case _:
                return broken("缺少 members、count、digest 或 next", "members, count, digest or next is missing")
        if after is None:
            return _Roster(tuple(members), frozenset(told))
        page = {"after": after}
    return not_checked(f"超过 {_PAGES} 页", f"it has more than {_PAGES} pages")


def diagnosed(bench: Bench) -> Finding:
    """Every part once, each an object that can be read alone. That no person is in it `privacy` looks at."""
    replies = bench.call.ask(bench.call.claims("diagnostics.collect"), most_s=_DIAGNOSIS_S)
    if not replies:
        return NO_ANSWER
    if replies[-1].text("status") != "done":
        what = f"{replies[-1].text('status')} {replies[-1].text('code')}".strip()
        return broken(f"没有完成:{what}", f"it was not done: {what}")
    told = [each for each in replies if (each.body or {}).get("part") is not None]
    numbers = [(each.body or {}).get("part") for each in told]
    count = (replies[-1].body or {}).get("parts")
    is_whole = numbers == list(range(1, len(numbers) + 1)) and count == len(numbers)  # and not as many as it says
    if not is_whole:
        return broken(f"各部分为 {numbers!r:.40},共 {count!r:.10}", f"the parts are {numbers!r:.40} of {count!r:.10}")
    largest = max(len(json.dumps(_result(each), ensure_ascii=False).encode()) for each in told)
    if largest > _PART_BYTES or not all(_result(each) for each in told):
        return broken(f"最大的部分 {largest} 字节", f"a part is empty, or larger than it may be: {largest} bytes")
    return holds(f"{count} 个部分", f"{count} parts")


PROMISES = (
    Promise(
        "replayed",
        Words("log.replay 原样再发日志", "`log.replay` sends the same entries again, and says how many."),
        replayed,
        Need.KEY,
        Scope.RECORDS,
    ),
    Promise(
        "unconfirmed",
        Words(
            "log.confirm 不接受尚未送达的日志与不同的 hash",
            "`log.confirm` takes nothing beyond what the broker has, and no other hash.",
        ),
        unconfirmed,
        Need.KEY,
        Scope.RECORDS,
    ),
    Promise(
        "digests_of_members",
        Words(
            "members.digest 分页列出全部成员的摘要",
            "`members.digest` pages through all members, and its sum is theirs.",
        ),
        digests,
        Need.KEY,
        Scope.ROSTER,
    ),
    Promise(
        "diagnosed",
        Words(
            "diagnostics.collect 分部分送来,每部分可单独阅读",
            "`diagnostics.collect` comes in parts, each to be read alone.",
        ),
        diagnosed,
        Need.KEY,
        Scope.RECORDS,
    ),
)
