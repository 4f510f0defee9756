"""What a message says: the station, what, since when, and what to do next, in the recipient's language.

It leaves the station, so it holds no particulars of a problem (they may name members, files or a program's own words)
and no place that is a member's id: `station status` shows those to who may see them.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

from agent.core import alarms
from agent.core.notices import Delivery, Recipient, Standing, Subject
from agent.core.problems import CATALOGUE, Words

if TYPE_CHECKING:
    from agent.core.state import Plate  # which loads numpy, and the command line needs only words

BODY_BYTES = 1800  # in UTF-8: a text for a WeCom group bot may have 2048, with the title
TITLE_CHARACTERS = 60

_PARTICULARS = re.compile(r"\s*[::(,,]?\s*\{detail\}\)?")
_ABOUT_PEOPLE = frozenset({"vault.template_refused"})  # their place is a member's id

_SEE = Words("请立即查看,然后", "Look at it now, then")
NEXT: Mapping[str, Words] = {
    "fire": Words("请立即拨打 119,确认站内人员已离开;之后", "Call the fire service and get everybody out; after that"),
    "emergency": Words(
        "可能有人需要急救(AED):请联系站内人员,必要时拨打 120;之后",
        "Somebody may need help or the AED: call them, and an ambulance if need be; after that",
    ),
    "duress": Words(
        "有人可能受到胁迫:请报警(110),不要自行前往,不要打电话到站内;之后",
        "Somebody may be threatened: call the police, do not go there and do not call the station; after that",
    ),
    "forced": Words(
        "请查看现场或联系安保,不要独自进入;之后", "Have the place looked at, do not go in alone; after that"
    ),
    "tamper": Words("请查看设备外壳和线路;之后", "Look at the housing and the wires; after that"),
    "call": Words(
        "请联系门口的人:执行 station door unlock 开门,或",
        "See to them: `station door unlock` opens, or say that you know:",
    ),
    "welfare": Words(
        "请联系或查看站内人员,必要时拨打 120;之后",
        "Call or look after whoever is inside, with an ambulance if need be; after that",
    ),
    "open_too_long": Words("请派人关门;之后", "Have the door closed; after that"),
}
"""What to do about an alarm, before it is acknowledged; `_SEE` for all others."""

REASONS: Mapping[str, Words] = {
    "timed_out": Words("没有及时答复", "no answer in time"),
    "unreachable": Words("连接不上", "it cannot be reached"),
    "refused": Words("对方拒绝了消息", "the service refused the message"),
    "server_error": Words("对方服务器出错", "the service has a fault of its own"),
    "redirected": Words("对方要求转到别处,未跟随", "the service wanted it elsewhere, which is not followed"),
    "bad_url": Words("URL 不正确", "the URL is not one that can be used"),
    "no_url": Words("URL 文件中没有这个名称", "the file of URLs has no such name"),
    "urls_refused": Words("URL 文件不能使用", "the file of URLs cannot be used"),
    "busy": Words("等待发送的消息太多", "too many messages wait"),
    "failed": Words("发送失败", "it could not be sent"),
}
"""Why a message did not arrive. None of them holds anything of a URL or of an answer."""


def compose(
    delivery: Delivery, recipient: Recipient, plate: Plate, zone: tzinfo, members: Container[str]
) -> tuple[str, str]:
    """Title and body. `members`: ids that must not stand in it."""
    speak = _Speaker(recipient.language, plate, zone, members)
    subjects = list(delivery.about.items())
    name = (plate.name or plate.id)[:TITLE_CHARACTERS]
    if len(subjects) == 1:
        what = speak.what(*subjects[0])
    elif subjects:
        what = speak.pick(Words(f"{len(subjects)} 项待处理", f"{len(subjects)} things to see to"))
    else:
        what = speak.pick(Words("免打扰期间情况", "what happened meanwhile"))
    title = speak.pick(Words(f"【{name}】{what}", f"{name}: {what}"))
    head = [speak.kept_back()] if delivery.was_quiet else []
    tail: list[str] = []
    if delivery.passed:
        gone = Words(";", "; ").en if recipient.language == "en" else ";"
        text = gone.join(speak.what(subject, each) for subject, each in list(delivery.passed.items())[:5])
        more = len(delivery.passed) - 5
        tail.append(speak.over(text, more))
    if delivery.held:
        tail.append(speak.held(delivery.held, recipient.per_hour))
    items = [speak.item(subject, each) for subject, each in subjects]
    return " ".join(title.split()), _within(head, items, tail, speak)


def trial(recipient: Recipient, plate: Plate) -> tuple[str, str]:
    """Title and body of a message that only shows that messages arrive."""
    speak = _Speaker(recipient.language, plate, None, ())
    name = " ".join((plate.name or plate.id)[:TITLE_CHARACTERS].split())
    title = speak.pick(Words(f"【{name}】测试消息", f"{name}: a test"))
    body = Words(
        "这是一条测试消息,由站长发出,无需处理。",
        "This is a test that the station master asked for. Nothing is to be done.",
    )
    return title, speak.pick(body)


class _Speaker:
    """Puts what rules know into one language."""

    def __init__(self, language: str, plate: Plate, zone: tzinfo | None, members: Container[str]) -> None:
        self._language = language
        self._plate = plate
        self._zone = zone
        self._members = members

    def pick(self, words: Words) -> str:
        """The text in this language."""
        return words.zh if self._language == "zh" else words.en

    def what(self, subject: Subject, each: Standing) -> str:
        """One line: what it is."""
        kind, code, where = subject
        if kind == "alarm":
            text = self.pick(alarms.WORDS[code])
            return text if each.times == 1 else f"{text} × {each.times}"
        text = self._plain(CATALOGUE[code].text)
        if not where or code in _ABOUT_PEOPLE or where in self._members:
            return text
        return f"{self._plate.labels.get(where, {}).get(self._language, where)}: {text}"

    def item(self, subject: Subject, each: Standing) -> str:
        """What, since when, what to do."""
        kind, code, _ = subject
        is_over = "" if each.is_active else self.pick(Words("(已结束,尚无人确认)", " (over, but nobody has seen it)"))
        lines = [
            f"■ {self.what(subject, each)}",
            self.pick(Words("时间:", "Since: ")) + self._time(each.begun) + is_over,
        ]
        if kind == "alarm":
            then = f"station alarms acknowledge {code}"
            lines.append(self.pick(NEXT.get(code, _SEE)) + self.pick(Words(f"执行 {then}", f" `{then}`")))
        else:
            lines.append(self.pick(Words("处理:", "To do: ")) + self._plain(CATALOGUE[code].remedy))
        return "\n".join(lines)

    def kept_back(self) -> str:
        """Before what was kept back."""
        return self.pick(Words("免打扰期间汇总:", "Kept back until now:"))

    def over(self, text: str, more: int) -> str:
        """What needs nobody any more."""
        rest = self.pick(Words(f" 等另外 {more} 项", f" and {more} more")) if more > 0 else ""
        return self.pick(Words(f"期间出现过、已自行恢复:{text}{rest}", f"Came and went meanwhile: {text}{rest}"))

    def held(self, count: int, per_hour: int) -> str:
        """What the limit kept back."""
        return self.pick(
            Words(
                f"因每小时最多 {per_hour} 条,有 {count} 条消息推迟到这一条。",
                f"{count} message{'s' if count > 1 else ''} waited for this one: at most {per_hour} an hour.",
            )
        )

    def left_out(self, count: int) -> str:
        """What does not fit."""
        return self.pick(
            Words(f"另有 {count} 项:执行 station status 查看。", f"And {count} more: see `station status`.")
        )

    def _time(self, stored: str | None) -> str:
        if stored is None:
            return self.pick(Words("未知(时钟未校准)", "not known (the clock was not set)"))
        return datetime.fromisoformat(stored).astimezone(self._zone).strftime("%Y-%m-%d %H:%M")

    def _plain(self, words: Words) -> str:
        """Without its particulars."""
        text = _PARTICULARS.sub("", self.pick(words)).strip()
        return text if text.endswith(("。", ".", "!", "?")) else text + self.pick(Words("。", "."))


def _within(head: list[str], items: list[str], tail: list[str], speak: _Speaker) -> str:
    """As many of the items as fit, and how many do not."""
    for count in range(len(items), -1, -1):
        left = [speak.left_out(len(items) - count)] if count < len(items) else []
        body = "\n\n".join([*head, *items[:count], *left, *tail])
        if len(body.encode()) <= BODY_BYTES:
            return body
    return "\n\n".join([*head, speak.left_out(len(items))])
