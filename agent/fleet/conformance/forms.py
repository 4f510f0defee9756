"""Promises about each message by itself: its topic, its form, its size, its delivery, and what it never carries."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from agent.contract.entries import ENTRIES, PREFIX, body_model
from agent.core.problems import Words
from agent.fleet.conformance.bench import Bench
from agent.fleet.conformance.hearing import Heard
from agent.fleet.conformance.promises import Finding, Promise, broken, holds, not_checked
from agent.mqtt.payloads import MAX_PAYLOAD_BYTES, NAMED, STATES, About, CommandReply, LogEvent, Readings, Status

_MODELS: Mapping[str, type[BaseModel]] = {
    "status": Status,
    "about": About,
    "log": LogEvent,
    "readings": Readings,
    "replies": CommandReply,
}
_OURS = "commands"  # we hear them too, and they are not the station's
# Of people, whoever else may be meant: no message of a station has a use for these. `about` names the master where the
# settings make that public, and a command's entry its own name.
_PERSONAL = frozenset(
    {
        "name",
        "full_name",
        "first_name",
        "last_name",
        "surname",
        "nickname",
        "phone",
        "phone_number",
        "email",
        "id_number",
        "birthday",
        "birth_date",
        "gender",
        "photo",
        "photos",
        "picture",
        "image",
        "portrait",
        "face",
        "faces",
        "template",
        "embedding",
        "encoding",
        "vector",
        "landmarks",
        "card",
        "card_number",
        "card_uid",
        "uid",
        "pin",
        "password",
        "secret",
        "token",
        "private",
    }
)
_NAMED_COMMANDS = frozenset({"station.command.accepted"})


def _is_known(kind: str) -> bool:
    head, slash, rest = kind.partition("/")
    if head != "state":
        return kind in _MODELS
    part, _, name = rest.partition("/")
    return bool(slash) and part in STATES and (part in NAMED) == bool(name) and "/" not in name


def _published(bench: Bench) -> list[Heard]:
    return [each for each in bench.hearing.messages if each.kind != _OURS]


def _first(found: Iterator[Words], count: int) -> Finding:
    first = next(found, None)
    if first is not None:
        return broken(first.zh, first.en)
    return holds(f"{count} 条消息", f"{count} messages")


def topics(bench: Bench) -> Finding:
    """Nothing else under the station's id."""
    heard = _published(bench)
    wrong = sorted({each.kind for each in heard if not _is_known(each.kind)})
    if wrong and bench.hearing.knows_all:
        return broken(f"约定中没有主题 {wrong[0]}", f"the contract has no topic {wrong[0]}")
    if not bench.hearing.hears_all:
        return not_checked("消息服务器不让听其他主题", "the broker lets this account hear no other topics")
    return holds(f"{len({each.kind for each in heard})} 个主题", f"{len({each.kind for each in heard})} topics")


def forms(bench: Bench) -> Finding:
    """Strict models; the bodies of entries too."""
    heard = [each for each in _published(bench) if _is_known(each.kind)]
    knows_all = bench.hearing.knows_all
    return _first((Words(why, why) for each in heard for why in misfits(each, knows_all=knows_all)), len(heard))


def misfits(message: Heard, *, knows_all: bool) -> Iterator[str]:
    """What does not fit, in English: field names and the validator's words."""
    head = message.kind.split("/")
    model = STATES[head[1]] if head[0] == "state" else _MODELS[message.kind]
    yield from (f"{message.kind}: {each}" for each in _errors(model, message.payload, knows_all=knows_all))
    data = None if message.body is None else message.body.get("data")
    if message.kind != "log" or not isinstance(data, dict):
        return
    kind = message.text("type").removeprefix(PREFIX)
    if kind in ENTRIES:
        found = _errors(body_model(kind), json.dumps(data).encode(), knows_all=knows_all)
        yield from (f"log, {PREFIX}{kind}: data.{each}" for each in found)
    elif knows_all:
        yield f"log: there is no type {message.text('type')[:100]}"


def _errors(model: type[BaseModel], payload: bytes, *, knows_all: bool) -> Iterator[str]:
    try:
        model.model_validate_json(payload)
    except ValidationError as error:
        for each in error.errors(include_url=False, include_input=False):
            if knows_all or each["type"] != "extra_forbidden":
                yield f"{'.'.join(map(str, each['loc'])) or 'message'}: {each['msg']}"
    except RecursionError:
        yield "message: too deep"


def sizes(bench: Bench) -> Finding:
    """64 KiB."""
    heard = _published(bench)
    largest = max(heard, key=lambda each: len(each.payload), default=None)
    if largest is None:
        return not_checked("没有收到消息", "nothing was heard")
    what = f"{largest.kind}: {len(largest.payload):,}"
    if len(largest.payload) > MAX_PAYLOAD_BYTES:
        return broken(f"{what} 字节", f"{what} bytes")
    return holds(f"最大 {what} 字节", f"the largest, {what} bytes")


def delivery(bench: Bench) -> Finding:
    """QoS 1."""
    heard = _published(bench)
    return _first((Words(f"{e.kind}:QoS {e.qos}", f"{e.kind}: QoS {e.qos}") for e in heard if e.qos != 1), len(heard))


def kept(bench: Bench) -> Finding:
    """A newcomer learns how things are: the newest message of each topic, none of an earlier time."""
    newest: dict[str, Heard] = {}
    for each in bench.hearing.messages:
        if _is_known(each.kind) and (each.kind in {"status", "about"} or each.kind.startswith("state/")):
            newest[each.kind] = each
    if not newest:
        return not_checked("没有收到状态", "no state was heard")
    for kind, each in newest.items():
        payload = bench.hearing.kept.get(kind)
        if payload is None:
            return broken(f"{kind} 没有保留", f"{kind} is not retained")
        if payload != each.payload and not _is_as_new(payload, each):
            return broken(f"{kind} 保留的是旧消息", f"what is retained of {kind} is older than what was heard")
    return holds(f"{len(newest)} 个主题", f"{len(newest)} topics")


def _is_as_new(payload: bytes, than: Heard) -> bool:
    """By what the message itself says of its time; `about` has none and changes with a restart only."""
    try:
        body = json.loads(payload)
    except ValueError:
        return False
    name = "observed_at" if than.kind.startswith("state/") else "since"
    return isinstance(body, dict) and str(body.get(name) or "") >= than.text(name)  # two may fall in one millisecond


def passing(bench: Bench) -> Finding:
    """What is news once."""
    for kind in ("log", "readings", "replies"):
        if kind in bench.hearing.kept:
            return broken(f"{kind} 被保留", f"{kind} is retained")
    heard = {each.kind for each in bench.hearing.messages} & {"log", "readings", "replies"}
    if not heard:
        return not_checked("没有收到日志、读数或回复", "no log, readings or replies were heard")
    return holds(", ".join(sorted(heard)), ", ".join(sorted(heard)))


def privacy(bench: Bench) -> Finding:
    """Field names of people's data, in whatever depth."""
    heard = [each for each in _published(bench) if each.kind != "about" and each.body is not None]
    for each in heard:
        allowed = {"name"} if each.text("type") in _NAMED_COMMANDS else set()
        found = sorted((_names(each.body) & _PERSONAL) - allowed)
        if found:
            where = f"{each.kind} {each.text('type')}".strip()
            return broken(f"{where} 含字段 {found[0]}", f"{where} has a field {found[0]}")
    return holds(f"{len(heard)} 条消息", f"{len(heard)} messages")


def _names(value: Any) -> set[str]:
    found: set[str] = set()
    waiting = [value]
    while waiting:  # not recursive: a hostile message may be deep
        each = waiting.pop()
        if isinstance(each, Mapping):
            found.update(str(name).lower() for name in each)
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)
    return found


PROMISES = (
    Promise("topics", Words("只在约定的主题上发布", "It publishes on the contract's topics only."), topics),
    Promise("forms", Words("每条消息符合其格式", "Every message has the form that the schemas say."), forms),
    Promise("sizes", Words("消息不超过 64 KiB", "No message has more than 64 KiB."), sizes),
    Promise("delivery", Words("每条消息以 QoS 1 发布", "Everything goes with QoS 1."), delivery),
    Promise(
        "kept",
        Words("status、about、state 的最新消息被保留", "The newest `status`, `about` and `state` are retained."),
        kept,
    ),
    Promise("passing", Words("log、readings、replies 不保留", "`log`, `readings` and `replies` are not."), passing),
    Promise(
        "privacy",
        Words("没有人脸、特征、姓名、卡号、PIN", "No message carries a face, a template, a name, a card or a PIN."),
        privacy,
    ),
)
