"""The figures of a month as people read them: tables, and words for what is not known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from agent.cli.language import clean, pick, spoken
from agent.cli.table import columns
from agent.cli.times import local_time, zone_in
from agent.core import alarms
from agent.core.assessment import LOWER_IS_BETTER, Criterion
from agent.core.problems import CATALOGUE, Words

WAYS: Mapping[str, Words] = {
    "face": Words("人脸", "face"),
    "card": Words("刷卡", "card"),
    "pin": Words("编号和密码", "number and PIN"),
    "pass": Words("通行码", "pass"),
    "remote": Words("远程开门", "opened by the master"),
    "open_hours": Words("开放时间", "while the door was open"),
    "erased": Words("已清除", "erased since"),
}
"""Ways in that have a name for people; others are shown as the log has them."""

CRITERIA: Mapping[Criterion, tuple[Words, str]] = {
    Criterion.AVAILABILITY: (Words("电器可用率", "appliances usable"), "%"),
    Criterion.REPAIR: (Words("故障修复时间", "faults put right after"), " h"),
    Criterion.SUPPLIES: (Words("物资齐全", "supplies in order"), "%"),
    Criterion.ROUNDS: (Words("按时检查", "rounds done in time"), "%"),
    Criterion.ALARMS: (Words("报警确认时间", "alarms acknowledged after"), " h"),
}


def rows_of(figures: Mapping[str, Any]) -> Iterator[tuple[str, str, str, Any]]:
    """Every figure as (section, name, figure, value), for a spreadsheet."""
    visits = figures["visits"]
    for name in ("total", "members", "anonymous", "erased"):
        yield "visits", "", name, visits[name]
    for way, count in visits["by_way"].items():
        yield "visits", way, "total", count
        for hour, counted in enumerate(visits["by_hour"][way]):
            yield "visits", way, f"hour_{hour:02}", counted
    for reason, count in visits["refused"].items():
        yield "refused", reason, "total", count
    for section, keys in _KEYS.items():
        for row in figures[section]:
            yield from _figures_of(section, "@".join(row[key] for key in keys), row, keys)
    for part in figures["assessment"]["parts"]:
        yield "assessment", part["criterion"], "value", part["value"]
        yield "assessment", part["criterion"], "stars", part["stars"]
    yield "assessment", "", "stars", figures["assessment"]["stars"]
    for name, value in figures["remarks"].items():
        yield "remarks", "", name, value


_KEYS: Mapping[str, tuple[str, ...]] = {
    "appliances": ("appliance",),
    "energy": ("sensor",),
    "faults": ("code", "where"),
    "supplies": ("supply",),
    "alarms": ("alarm",),
}


def _figures_of(
    section: str, name: str, row: Mapping[str, Any], keys: Sequence[str]
) -> Iterator[tuple[str, str, str, Any]]:
    for figure, value in row.items():
        if isinstance(value, Mapping):
            for code, days in value.items():
                yield section, name, f"{code}_{figure}", days
        elif figure not in keys:
            yield section, name, figure, value


def show(figures: Mapping[str, Any]) -> Iterator[str]:
    """The lines of the report."""
    zone = zone_in(figures)
    begins, ends = (local_time(figures[each], zone) for each in ("begins", "ends"))
    yield f"{figures['month']}  {begins} – {ends} ({figures['timezone']})"
    yield f"{pick(Words('开放小时数', 'hours open'))}: {figures['open_h']}"
    yield from _visits(figures["visits"])
    label = _Labels(figures["labels"])
    for section, (title, head) in _TABLES.items():
        rows = [[_cell(section, row, key, label) for key, _ in head] for row in figures[section]]
        if rows:
            yield ""
            yield from columns([pick(title), *(pick(words) for _, words in head[1:])], rows)
    yield from _assessment(figures["assessment"])


def remarks_of(figures: Mapping[str, Any]) -> Iterator[Words]:
    """What the figures cannot say."""
    found, zone = figures["remarks"], zone_in(figures)
    begins, ends = (datetime.fromisoformat(figures[each]) for each in ("begins", "ends"))
    log_begins, life_begins = _moment(found["log_begins"]), _moment(found["life_begins"])
    if not found["is_known"]:
        yield Words(
            "本月没有任何记录,因此不评星。", "nothing was recorded in this month, so there is nothing to judge by."
        )
    elif life_begins is not None and life_begins > begins:
        at = local_time(found["life_begins"], zone)
        yield Words(
            f"驿站的第一条记录在 {at},此前的时间不计入。",
            f"the station's first entry is of {at}: the hours before it do not count.",
        )
    elif life_begins is None and log_begins is not None and log_begins > begins:
        at = local_time(found["log_begins"], zone)
        if found["is_pruned"]:
            yield Words(
                f"{at} 之前的记录已超过保存期,按未知计。", f"the log before {at} is no longer kept: unknown until then."
            )
        else:
            yield Words(f"记录从 {at} 开始。", f"the log begins at {at}.")
    measured = _moment(found["readings_begin"])
    if measured is None or measured >= ends:
        yield Words("本月没有读数,无法计算能耗。", "there are no readings of this month, so no energy.")
    elif measured > begins:
        at = local_time(found["readings_begin"], zone)
        yield Words(f"读数从 {at} 开始,能耗只计此后。", f"readings begin at {at}: energy counts from then on.")
    if not found["is_over"]:
        yield Words("本月尚未结束。", "the month is not over.")
    if found["undated"]:
        count = found["undated"]
        yield Words(
            f"{count} 条记录写入时时钟未校准,时间可能不准。",
            f"{count} entries were written while nothing had set the clock: their times may be wrong.",
        )
    if found["blanked"]:
        count = found["blanked"]
        yield Words(
            f"{count} 条记录的正文已清除,只计次数。", f"the bodies of {count} entries were erased: they only count."
        )
    yield Words("到访按进门方式分类,不按成员类别。", "visits are told apart by the way in, not by members' categories.")


_ANY = Words("", "")
_TABLES: Mapping[str, tuple[Words, Sequence[tuple[str, Words]]]] = {
    "appliances": (
        Words("电器", "Appliances"),
        (
            ("appliance", _ANY),
            ("available_percent", Words("可用 %", "usable %")),
            ("usable_h", Words("可用 h", "usable h")),
            ("unusable_h", Words("不可用 h", "not usable h")),
            ("unknown_h", Words("未知 h", "unknown h")),
        ),
    ),
    "energy": (
        Words("能耗", "Energy"),
        (
            ("sensor", _ANY),
            ("energy_kwh", Words("kWh", "kWh")),
            ("by", Words("依据", "by")),
            ("minutes", Words("已测分钟", "minutes measured")),
            ("resets", Words("电表重置", "counter began anew")),
        ),
    ),
    "faults": (
        Words("故障", "Faults"),
        (
            ("code", _ANY),
            ("count", Words("次数", "times")),
            ("stood_h", Words("持续 h", "stood h")),
            ("mean_repair_h", Words("平均修复 h", "put right after h")),
            ("longest_repair_h", Words("最长 h", "longest h")),
            ("is_open", _ANY),
        ),
    ),
    "supplies": (
        Words("物资", "Supplies"),
        (
            ("supply", _ANY),
            ("checked", Words("检查", "checked")),
            ("taken", Words("取用", "taken")),
            ("returned", Words("归还", "returned")),
            ("in_order_percent", Words("齐全 %", "in order %")),
            ("rounds_percent", Words("按时检查 %", "rounds in time %")),
            ("days", Words("天数", "days")),
        ),
    ),
    "alarms": (
        Words("报警", "Alarms"),
        (
            ("alarm", _ANY),
            ("count", Words("次数", "times")),
            ("mean_unacknowledged_h", Words("平均未确认 h", "unseen h, mean")),
            ("longest_unacknowledged_h", Words("最长 h", "longest h")),
            ("is_unacknowledged", _ANY),
        ),
    ),
}
_YES = {"faults": Words("未关闭", "still open"), "alarms": Words("尚未确认", "nobody has seen it")}
_BY = {"counter": Words("电表计数", "counter"), "power": Words("功率", "power")}


class _Labels:
    """Names of appliances and supplies as the settings label them."""

    def __init__(self, labels: Mapping[str, Mapping[str, str]]) -> None:
        self._labels = labels

    def __call__(self, name: str) -> str:
        return self._labels.get(name, {}).get(spoken().value, name)


def _visits(visits: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield pick(
        Words(
            f"到访 {visits['total']} 次:成员 {visits['members']} 人,匿名 {visits['anonymous']} 次,"
            f"已清除 {visits['erased']} 次",
            f"Visits: {visits['total']}, by {visits['members']} members; {visits['anonymous']} anonymous, "
            f"{visits['erased']} erased since",
        )
    )
    refused = sum(visits["refused"].values())
    yield pick(Words(f"拒绝 {refused} 次", f"Refused: {refused}"))
    ways = list(visits["by_way"])
    if not ways:
        return
    named = [pick(WAYS.get(way, Words(way, way))) for way in ways]
    rows = [
        [f"{hour:02}:00", *(visits["by_hour"][way][hour] or "" for way in ways)]
        for hour in range(24)
        if any(visits["by_hour"][way][hour] for way in ways)
    ]
    total = [pick(Words("合计", "total")), *(visits["by_way"][way] for way in ways)]
    yield from columns(["", *named], [*rows, total])


def _cell(section: str, row: Mapping[str, Any], key: str, label: _Labels) -> object:
    if key == "code":
        known = CATALOGUE.get(row["code"])
        text = row["code"] if known is None else pick(known.text.fill("…"))
        return clean(f"{label(row['where'])}: {text}")
    if key == "alarm":
        return pick(alarms.WORDS.get(row["alarm"], Words(row["alarm"], row["alarm"])))
    value = row[key]
    if key in {"appliance", "sensor", "supply"}:
        return label(value)
    if key == "days":
        return ", ".join(f"{code.partition('.')[2]} {days:g}" for code, days in value.items())
    if isinstance(value, bool):
        return pick(_YES[section]) if value else ""
    return pick(_BY[value]) if key == "by" else value


def _assessment(assessment: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    stars = assessment["stars"]
    if stars is None:
        yield pick(Words("自评:没有可评的数据", "Self-assessment: nothing to judge by"))
    else:
        yield f"{pick(Words('自评', 'Self-assessment'))}: {'★' * stars}{'☆' * (5 - stars)}"
    for part in assessment["parts"]:
        criterion = Criterion(part["criterion"])
        name, unit = CRITERIA[criterion]
        if part["stars"] is None:
            reason = (
                Words("不计入", "left out") if not part["weight"] else Words("无数据,不计入", "nothing to judge by")
            )
            yield f"    {pick(name)}: {pick(reason)}"
            continue
        sign = "≤" if criterion in LOWER_IS_BETTER else "≥"
        limits = " ".join(f"{5 - n}★ {sign} {limit:g}{unit};" for n, limit in enumerate(part["limits"]))
        value, weight = f"{part['value']:g}{unit}", f"× {part['weight']:g}"
        yield f"    {pick(name)}: {value} → {'★' * part['stars']} {weight}  ({limits.rstrip(';')})"


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
