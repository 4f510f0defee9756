"""`station members data ID`: everything stored about a person, for them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Any

import typer

from agent.cli.language import clean, pick
from agent.cli.times import local_time, zone_in
from agent.control.client import ControlClient
from agent.core.problems import Words

_PARTS = {
    "member": Words("成员", "member"),
    "consents": Words("同意记录", "consents"),
    "templates": Words("人脸特征(只列说明,数字已加密)", "stored faces (described; the numbers are encrypted)"),
    "credentials": Words("卡和密码(只存不可还原的摘要)", "cards and PIN (stored as hashes that cannot be turned back)"),
    "visits": Words("到访", "visits"),
    "log": Words("涉及本人的记录", "log entries that name this person"),
}

_LABELS = {
    "id": Words("编号", "id"),
    "name": Words("姓名", "name"),
    "created_at_utc": Words("登记时间", "enrolled"),
    "is_suspended": Words("暂停", "suspended"),
    "suspended_until_utc": Words("暂停至", "suspended until"),
    "needs_longer": Words("进门需要更长时间", "needs longer at the door"),
    "valid_from_utc": Words("资格开始", "access begins"),
    "valid_until_utc": Words("资格到期", "access ends"),
    "categories": Words("类别", "categories"),
    "last_seen_on": Words("最近到访(UTC 日期)", "last seen (day in UTC)"),
    "version": Words("文本版本", "version of the text"),
    "language": Words("语言", "language"),
    "text_sha256": Words("文本的 sha256", "sha256 of the text"),
    "purpose": Words("用途", "purpose"),
    "how": Words("方式", "how"),
    "recorded_by": Words("记录人(账户)", "recorded by (account)"),
    "is_under_age": Words("未成年", "under age"),
    "guardian": Words("监护人", "guardian"),
    "given_at_utc": Words("同意时间", "given"),
    "until_utc": Words("有效至", "until"),
    "until": Words("有效至", "until"),
    "ended_at_utc": Words("结束时间", "ended"),
    "ended_why": Words("结束原因", "ended because"),
    "engine": Words("识别引擎", "engine"),
    "weights": Words("网络的 sha256", "sha256 of the network"),
    "is_encrypted": Words("已加密", "encrypted"),
    "bytes": Words("字节数", "bytes"),
    "member_id": Words("成员", "member"),
    "entered_at_utc": Words("进入", "entered"),
    "left_at_utc": Words("离开", "left"),
    "entered_epoch": Words("进入记录的轮次", "entry logged in epoch"),
    "entered_sequence": Words("进入记录的序号", "entry logged as"),
    "left_epoch": Words("离开记录的轮次", "exit logged in epoch"),
    "left_sequence": Words("离开记录的序号", "exit logged as"),
    "epoch": Words("轮次", "epoch"),
    "sequence": Words("序号", "entry"),
    "type": Words("事件", "what"),
    "time": Words("时间", "when"),
    "member": Words("成员", "member"),
    "way": Words("方式", "way"),
    "reason": Words("原因", "reason"),
    "visit": Words("到访", "visit"),
    "visits": Words("到访", "visits"),
    "ended": Words("结束的到访", "visits ended"),
    "inside": Words("在站人数", "people inside"),
    "look_alikes": Words("相像的成员", "look-alikes"),
    "action": Words("操作", "action"),
    "actor": Words("账户", "account"),
    "kind": Words("来源", "from"),
    "why": Words("原因", "because"),
    "templates": Words("人脸特征数", "stored faces"),
    "changed": Words("修改项", "what was changed"),
    "within_s": Words("限时(秒)", "within seconds"),
}

_TYPES = {
    "station.member.consented": Words("同意刷脸", "consented"),
    "station.member.enrolled": Words("登记", "enrolled"),
    "station.member.added": Words("添加", "taken up without a face"),
    "station.member.changed": Words("修改", "changed"),
    "station.member.suspended": Words("暂停进门", "suspended"),
    "station.member.resumed": Words("恢复进门", "resumed"),
    "station.member.consent_ended": Words("同意结束", "the consent ended"),
    "station.access.granted": Words("门为其打开", "the door was opened"),
    "station.access.refused": Words("未能进门", "refused at the door"),
    "station.access.not_taken": Words("开门后未进入", "did not go through"),
    "station.visit.entered": Words("进入", "came in"),
    "station.visit.left": Words("离开", "left"),
    "station.control.done": Words("站长操作", "somebody at the command line acted"),
}

_VALUES = {
    "how": {"paper": Words("纸面", "on paper"), "screen": Words("屏幕", "on screen")},
    "purpose": {"door_entry": Words("开门", "to open the door")},
    "language": {"zh": Words("中文", "Chinese"), "en": Words("英文", "English")},
    "ended_why": {
        "withdrawn": Words("撤回", "it was withdrawn"),
        "expired": Words("到期", "its time was over"),
        "renewed": Words("被新的同意取代", "a newer one took its place"),
    },
    "guardian": {
        "father": Words("父亲", "father"),
        "mother": Words("母亲", "mother"),
        "grandparent": Words("祖父母", "grandparent"),
        "sibling": Words("兄弟姐妹", "brother or sister"),
        "other": Words("其他", "other"),
    },
    "type": _TYPES,
}

_TIMES = ("time", "until")


def gather(client: ControlClient, member: str) -> tuple[dict[str, Any], tzinfo]:
    """All parts, long ones page by page, and the station's zone. Raises `ControlError`."""
    found: dict[str, Any] = {}
    zone: tzinfo = UTC
    for part in _PARTS:
        rows: list[dict[str, Any]] = []
        after: dict[str, Any] = {}
        while True:
            answer = client.request("members.data", id=member, part=part, **after)
            zone = zone_in(answer)
            if not (page := answer["rows"]):
                break
            rows += page
            if part == "visits":
                after = {"after_entered_at": page[-1]["entered_at_utc"], "after_id": page[-1]["id"]}
            elif part == "log":
                after = {"epoch": page[-1]["epoch"], "after": page[-1]["sequence"]}
            else:
                break
        found[part] = rows
    return found, zone


def print_for_reading(found: Mapping[str, Sequence[Mapping[str, Any]]], zone: tzinfo) -> None:
    """One block for each part, a line for each value, in words; times in the station's zone."""
    for part, title in _PARTS.items():
        typer.echo(f"== {pick(title)} ({len(found[part])})")
        for row in found[part]:
            for label, text in _lines(row, zone):
                typer.echo(clean(f"  {label}: {text}"))
            typer.echo("")


def _lines(row: Mapping[str, Any], zone: tzinfo) -> Iterator[tuple[str, str]]:
    for key, value in row.items():
        if isinstance(value, Mapping):  # the body of a log entry
            yield from _lines(value, zone)
        elif value is not None and value != []:
            words = _LABELS.get(key)
            yield (pick(words) if words else key), _in_words(key, value, zone)


def _in_words(key: str, value: object, zone: tzinfo) -> str:
    words = _VALUES.get(key, {}).get(str(value))
    if words is not None:
        return pick(words)
    if key.startswith("is_") or key == "needs_longer" or isinstance(value, bool):
        return pick(Words("是", "yes") if value else Words("否", "no"))
    if isinstance(value, str):
        return local_time(value, zone) if key.endswith("_utc") or key in _TIMES else value
    if isinstance(value, list):
        return ", ".join(str(each) for each in value)
    return json.dumps(value, ensure_ascii=False)
