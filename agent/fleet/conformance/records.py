"""Promises about what the server asks of the log: entries again, and what it has safely."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from agent.core.commands import Scope
from agent.core.problems import Words
from agent.fleet.conformance.answers import NO_ANSWER
from agent.fleet.conformance.bench import Bench
from agent.fleet.conformance.hearing import Heard
from agent.fleet.conformance.promises import Finding, Need, Promise, broken, holds, not_checked

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
    ids = {str(each["id"]) for each in run}
    if any(each.text("status") == "done" for each in replies):
        call.line.hear(bench.limits.answer_s, lambda: ids <= {e.text("id") for e in bench.hearing.entries(since)})
    bench.replays.append((began, time.monotonic()))
    if not replies:
        return NO_ANSWER
    result = _result(replies[-1])
    if replies[-1].text("status") != "done":
        what = f"{replies[-1].text('status')} {replies[-1].text('code')}".strip()
        return broken(f"没有完成:{what}", f"it was not done: {what}")
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
    newest = run[-1]
    place = {"epoch": newest["epoch"], "sequence": int(newest["sequence"])}
    beyond = {**place, "sequence": place["sequence"] + _BEYOND, "hash": "0" * 64}
    other = {**place, "hash": "0" * 64}
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
)
