"""`station status`: one look at everything."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any

import typer

from agent.cli.connection import connect, reporting
from agent.cli.language import clean, pick, tell_problems
from agent.cli.options import ConfigOption, JsonOption, LanguageOption, SocketOption
from agent.cli.times import local_time, zone_in
from agent.control.wire import problem_from
from agent.core.problems import Words

# The values of the enumerations in `core.door`, `core.appliance`, `core.supervision` and of `health`.
_VALUES: Mapping[str, Words] = {
    "normal": Words("正常", "normal"),
    "unlocked": Words("开放时间", "opening hours"),
    "held_open": Words("保持打开", "held open"),
    "blocked": Words("停用", "blocked"),
    "locked_down": Words("封锁", "locked down"),
    "emergency": Words("紧急开门", "EMERGENCY"),
    "released_by_fire": Words("消防联动开门", "RELEASED BY FIRE"),
    "secured": Words("已锁", "locked"),
    "released": Words("已开锁", "released"),
    "open": Words("门开着", "open"),
    "closed": Words("门关着", "closed"),
    "unknown": Words("未知", "unknown"),
    "forced": Words("报警:被强行打开", "ALARM: forced open"),
    "open_warning": Words("请关门", "please close the door"),
    "open_too_long": Words("报警:开门时间过长", "ALARM: open too long"),
    "tailgating": Words("报警:尾随进入", "ALARM: tailgating"),
    "tamper": Words("报警:设备被拆动", "ALARM: tampered with"),
    "lock_fault": Words("报警:门锁未动作", "ALARM: the lock did not follow"),
    "contact_fault": Words("报警:门磁无法读取", "ALARM: the door contact cannot be read"),
    "fire": Words("报警:火警", "ALARM: fire"),
    "duress": Words("报警:有人被胁迫", "ALARM: somebody was forced"),
    "guessing": Words("报警:有人试猜密码", "ALARM: somebody guesses codes"),
    "call": Words("门口有人呼叫", "SOMEBODY AT THE DOOR CALLS"),
    "off": Words("断电", "off"),
    "standby": Words("待机", "standby"),
    "running": Words("运行中", "running"),
    "fault": Words("故障", "FAULT"),
    "starting": Words("启动中", "starting"),
    "stopped": Words("已停止", "stopped"),
    "waiting": Words("等待重试", "waiting to try again"),
    "yes": Words("可用", "usable"),
    "no": Words("不可用", "NOT USABLE"),
    "ok": Words("正常", "ok"),
    "failed": Words("故障", "failed"),
}


_USABLE: Mapping[str, Words] = {
    "yes": Words("可用", "usable"),
    "no": Words("不可用", "NOT USABLE"),
    "unknown": Words("可用性未知", "not known to be usable"),
}

_INSIDE: Mapping[str, Words] = {
    "occupied": Words("传感器:有人", "sensors: somebody"),
    "empty": Words("传感器:无人", "sensors: nobody"),
}

_AIR: Mapping[str, str] = {
    "temperature_c": "{:.1f} °C",
    "humidity_percent": "{:.0f} %",
    "co2_ppm": "CO₂ {:.0f} ppm",
}

_ADMISSIONS: Mapping[str, Words] = {
    "open": Words("开放,所有人", "everybody"),
    "members": Words("成员", "members"),
    "two_factors": Words("成员,需两种方式", "members with two proofs"),
    "closed": Words("关闭", "nobody"),
}


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status")(status)


def status(
    as_json: JsonOption = False,
    watch: Annotated[bool, typer.Option("--watch", help="持续显示变化 / Go on with every change")] = False,
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """站点状态 / How the station is."""
    with reporting():
        client = connect(config, socket)
        if not watch:
            snapshot = client.request("status")
            if as_json:
                typer.echo(json.dumps(snapshot, ensure_ascii=False, indent=2))
            else:
                _Screen(snapshot).show()
            return
        screen: _Screen | None = None
        for message in client.stream("subscribe"):
            if as_json:
                typer.echo(json.dumps(message, ensure_ascii=False))
            elif screen is None or "part" not in message:
                screen = _Screen(message)
                screen.show()
            else:
                screen.show_change(message["part"], message["body"])


class _Screen:
    """The station in words. What the first snapshot says of the station itself holds for the changes after it."""

    def __init__(self, snapshot: Mapping[str, Any]) -> None:
        self._snapshot = snapshot
        self._station = snapshot.get("station", {})
        self._labels = snapshot.get("labels", {})
        self._has_broker = snapshot.get("broker", {}).get("enabled", True)
        self._has_contact = snapshot.get("fitted", {}).get("contact", True)
        self._faults = _by_place(snapshot.get("parts", {}).get("health", {}))

    def show(self) -> None:
        """Everything, then every fault with its remedy."""
        snapshot = self._snapshot
        name = " ".join(str(self._station[key]) for key in ("id", "name") if self._station.get(key))
        if name:
            typer.echo(_line(Words("站点", "station"), name))
        for part, body in snapshot.get("parts", {}).items():
            self._show_part(part, body)
        typer.echo(_line(Words("中心服务器", "server"), self._link(snapshot)))
        typer.echo(_line(Words("成员", "members"), str(snapshot.get("members", ""))))
        typer.echo(_line(Words("记录", "log"), pick(_newest(snapshot.get("log", {})))))
        tell_problems(problem_from(fault) for fault in self._faults.values())

    def show_change(self, part: str, body: Mapping[str, Any]) -> None:
        """One part anew; of faults, which began and which are over, with the time."""
        self._show_part(part, body)
        if part == "notice" and body.get("notice") is None:
            typer.echo(_line(Words("通知", "notice"), pick(Words("已撤下", "taken down"))))
        if part != "health":
            return
        before, self._faults = self._faults, _by_place(body)
        now = datetime.now(zone_in(self._station)).strftime("%Y-%m-%d %H:%M")
        for place, fault in self._faults.items():
            if place not in before:
                found = problem_from(fault)
                typer.echo(clean(f"{now} {pick(Words('故障', 'fault'))}: {found.where}: {pick(found.text)}"))
                typer.echo(clean(f"    → {pick(found.remedy)}"))
        for place, fault in before.items():
            if place not in self._faults:
                found = problem_from(fault)
                typer.echo(clean(f"{now} {pick(Words('故障消除', 'over'))}: {found.where}: {pick(found.text)}"))

    def _show_part(self, part: str, body: Mapping[str, Any]) -> None:
        for line in self._lines(part, body):
            typer.echo(line)

    def _link(self, snapshot: Mapping[str, Any]) -> str:
        if not self._has_broker:
            return pick(Words("关闭", "off"))
        is_connected = snapshot.get("broker", {}).get("connected")
        link = Words("已连接", "connected") if is_connected else Words("未连接", "not connected")
        count = snapshot.get("parts", {}).get("health", {}).get("backlog")
        if count is None:
            return pick(link)
        rest = Words(f"{count} 条待上报", f"{count} waiting to be sent") if count else Words("全部已上报", "all sent")
        return pick(Words(f"{link.zh},{rest.zh}", f"{link.en}; {rest.en}"))

    def _notice(self, notice: Mapping[str, Any]) -> str:
        text = pick(Words(str(notice.get("zh", "")), str(notice.get("en", ""))))
        mark = "! " if notice.get("level") == "warning" else ""
        if notice.get("until") is None:
            return f"{mark}{text}"
        until = local_time(notice["until"], zone_in(self._station))
        return f"{mark}{text} ({pick(Words('至', 'until'))} {until})"

    def _lines(self, part: str, body: Mapping[str, Any]) -> Iterator[str]:
        if part == "door":
            contact = _value(body.get("contact"))
            if not self._has_contact and body.get("contact") == "unknown":
                contact = pick(Words("未安装门磁", "contact not fitted"))
            values = [_value(body.get("mode")), _value(body.get("lock")), contact]
            yield _line(Words("门", "door"), ", ".join([*values, *(_value(each) for each in body.get("alarms", []))]))
            yield _line(Words("进门", "who comes in"), _admission(body.get("admission")))
        elif part == "occupancy":
            inside = _INSIDE.get(str(body.get("state")))
            said = "" if inside is None else f"; {pick(inside)} ({body.get('confidence', 0):.0%})"
            yield _line(Words("在站人数", "inside"), f"{body.get('count', '')}{said}")
        elif part == "health":
            has_picture = not any(fault.get("code") == "camera.failed" for fault in body.get("faults", []))
            is_blind = body.get("vision") == "running" and not has_picture
            faces = pick(Words("没有画面", "no picture")) if is_blind else _value(body.get("vision"))
            yield _line(Words("人脸识别", "recognition"), faces)
            yield _line(Words("存储", "storage"), _value(body.get("storage")))
            if self._has_broker:
                yield _line(Words("待上报", "to be sent"), str(body.get("backlog", "")))
            yield _line(Words("故障", "faults"), str(len(body.get("faults", []))))
        elif part == "environment":
            yield _line(Words("室内", "room"), ", ".join(_air(body)))
        elif part == "notice":
            notice = body.get("notice")
            if notice is not None:
                yield _line(Words("通知", "notice"), self._notice(notice))
        elif part.startswith("supplies/"):
            name = part.removeprefix("supplies/")
            given = self._labels.get(name, {})
            count = "?" if body.get("quantity") is None else str(body.get("quantity"))
            yield _line(Words(given.get("zh", name), given.get("en", name)), f"{count}, {_value(body.get('usable'))}")
        else:
            name = part.removeprefix("appliances/")
            given = self._labels.get(name, {})
            power = body.get("power_w")
            watts = "" if power is None else f", {power:.0f} W"
            label = Words(given.get("zh", name), given.get("en", name))
            usable = _USABLE.get(str(body.get("usable")))
            if body.get("switched_off"):
                usable = Words("已远程关断", "switched off by an order")
            can = "" if usable is None else f"{pick(usable)}; "
            yield _line(label, f"{can}{_value(body.get('state'))}{watts}")


def _newest(log: Mapping[str, Any]) -> Words:
    """The last entry. A new epoch begins where the log begins anew."""
    epoch, sequence = log.get("epoch"), log.get("sequence")
    if not sequence:
        return Words("还没有记录", "no entries yet")
    return Words(f"第 {sequence} 条(第 {epoch} 纪元)", f"entry {sequence} (epoch {epoch})")


def _air(body: Mapping[str, Any]) -> Iterator[str]:
    """What is known of the air; a station need not measure all of it."""
    values = [(body.get(key), form) for key, form in _AIR.items()]
    known = [form.format(value) for value, form in values if value is not None]
    yield from known or [_value("unknown")]


def _by_place(health: Mapping[str, Any]) -> dict[tuple[str, str], Mapping[str, Any]]:
    return {(str(fault.get("code")), str(fault.get("where"))): fault for fault in health.get("faults", [])}


def _admission(value: object) -> str:
    words = _ADMISSIONS.get(str(value))
    return pick(words) if words else str(value)


def _line(label: Words, text: str) -> str:
    return clean(f"{pick(label)}: {text}")


def _value(value: object) -> str:
    words = _VALUES.get(str(value))
    return pick(words) if words else str(value)
