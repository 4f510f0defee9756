"""`station sensors …`: what each sensor says now, and what is attached to this machine."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.connection import connect, reporting
from agent.cli.language import clean, complain, pick, say
from agent.cli.options import ConfigOption, JsonOption, LanguageOption, SocketOption, settings_path
from agent.cli.table import columns
from agent.core.problems import Words

if TYPE_CHECKING:
    from agent.sensor_scan import Attached, Unsearched
    from agent.sensor_settings import SerialSettings
    from agent.settings import Settings

app = typer.Typer(help="传感器 / Sensors.", no_args_is_help=True, rich_markup_mode=None)

WATCH_S = 1.0
"""How often `--watch` asks: most sensors are read every two seconds."""

_TITLES = (
    Words("传感器", "sensor"),
    Words("类型", "kind"),
    Words("量", "quantity"),
    Words("数值", "value"),
    Words("多久前", "age"),
)
_NEW_SCREEN = "\x1b[H\x1b[2J"


@app.command("read")
def read(
    *,
    watch: Annotated[bool, typer.Option("--watch", help="持续显示 / Show it again every second")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """显示各传感器的原始数值 / Show each sensor's raw values, how old they are, and what is wrong with it."""
    client = connect(config, socket)
    while True:
        with reporting():
            rows = client.request("sensors.read")["rows"]
        if as_json:
            typer.echo(json.dumps(rows, ensure_ascii=False, indent=None if watch else 2))
        else:
            if watch and sys.stdout.isatty():
                sys.stdout.write(_NEW_SCREEN)
            _tell(rows)
        if not watch:
            return
        sys.stdout.flush()
        time.sleep(WATCH_S)


def _tell(rows: list[dict[str, Any]]) -> None:
    if not rows:
        say("配置文件中没有传感器。", "The settings name no sensors.")
        return
    cells = [cell for row in rows for cell in _cells(row)]
    for line in columns([pick(title) for title in _TITLES], cells):
        typer.echo(line)
    for row in rows:
        if row["error"]:
            name, error, since = row["sensor"], row["error"], _age(row["failed_s"])
            complain(f"故障:{name}({since}):{error}", f"failed: {name} ({since}): {error}")


def _cells(row: dict[str, Any]) -> Iterator[list[object]]:
    name = f"{row['sensor']} !" if row["error"] else row["sensor"]
    for index, each in enumerate(row["values"]):
        first = [name, row["kind"]] if index == 0 else ["", ""]
        yield [*first, each["quantity"], _value(each["value"]), _age(each["age_s"])]
    if not row["values"]:
        yield [name, row["kind"], "", pick(Words("尚无数据", "nothing yet")), ""]


def _value(value: object) -> str:
    if value is None:
        return pick(Words("无法读取", "cannot be read"))
    if isinstance(value, bool):
        return pick(Words("是", "yes") if value else Words("否", "no"))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _age(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


@app.command("scan")
def scan(
    *,
    line: Annotated[
        str | None,
        typer.Option("--line", help="在配置的串行总线上查找电表 / Also ask a line of the settings for meters"),
    ] = None,
    port: Annotated[
        str | None, typer.Option("--port", help="在这个串口上查找电表 / Also ask this serial port for meters")
    ] = None,
    baud: Annotated[int, typer.Option("--baud", help="波特率(与 --port 同用)/ Its speed, with --port")] = 9600,
    parity: Annotated[str, typer.Option("--parity", help="校验 / Parity, with --port: none, even, odd")] = "none",
    addresses: Annotated[
        str, typer.Option("--addresses", help="地址范围 / Which addresses to ask, as 1-20; all take 90 s")
    ] = "1-247",
    mqtt: Annotated[
        bool | None,
        typer.Option("--mqtt/--no-mqtt", help="是否查找 MQTT 设备 / Listen at the local broker; else where used"),
    ] = None,
    seconds: Annotated[float, typer.Option("--seconds", min=0.5, max=60, help="监听秒数 / How long to listen")] = 3.0,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    _lang: LanguageOption = None,
) -> None:
    """查找已连接的传感器,并给出配置 / Find what is attached, with the lines for the settings. Needs no agent."""
    from agent.sensor_scan import scan_line, scan_machine, scan_plugs
    from agent.sensor_settings import PLUGS, PlugsSettings

    settings = _settings(settings_path(config))
    wanted = range(*_bounds(addresses))
    lines = dict(_lines(settings, line, port, baud, parity))
    found = _Telling(as_json)
    found.take(scan_machine(settings))
    is_used = settings is not None and any(each.driver in PLUGS for each in settings.sensors.values())
    if is_used if mqtt is None else mqtt:
        found.take(scan_plugs(settings, settings.plugs if settings else PlugsSettings(), seconds))
    for name, each in lines.items():
        found.take(scan_line(settings, name, each, wanted))
    found.end()


class _Telling:
    """Shows what is found as it comes, for a long line takes a minute and a half."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._rows: list[dict[str, Any]] = []
        self._has_failed = False

    def take(self, found: Iterable[Attached | Unsearched]) -> None:
        from agent.sensor_scan import Unsearched

        for each in found:
            if isinstance(each, Unsearched):
                self._has_failed = True
                complain(f"无法查找 {each.where}:{each.reason.zh}", f"{each.where} was not searched: {each.reason.en}")
                continue
            self._rows.append(each.as_dict())
            if not self._as_json:
                self._show(each)

    def _show(self, each: Attached) -> None:
        typer.echo(clean(f"{each.kind}: {each.address} ({each.description})"))
        if each.known_as:
            say(f"    已在配置中:{each.known_as}", f"    in the settings as {each.known_as}")
        for text in each.lines:
            typer.echo(clean(f"    {text}"))
        sys.stdout.flush()

    def end(self) -> None:
        if self._as_json:
            typer.echo(json.dumps(self._rows, ensure_ascii=False, indent=2))
        elif not self._rows:
            say("没有找到任何设备。", "Nothing was found.")
        if self._has_failed:
            raise typer.Exit(1)


def _settings(path: Path) -> Settings | None:
    """What can be made of the file; a scan helps to write it, so it may be missing or wrong."""
    from agent.settings import SettingsError, load_settings

    try:
        return load_settings(path)
    except SettingsError as error:
        if error.rest is None:
            complain(f"没有可用的配置文件 {path}。", f"No settings are used: {error}")
        return error.rest


def _bounds(addresses: str) -> tuple[int, int]:
    first, _, last = addresses.partition("-")
    try:
        low, high = int(first), int(last or first)
    except ValueError:
        low, high = 0, 0
    if not 1 <= low <= high <= 247:
        raise typer.BadParameter("1-247", param_hint="--addresses")
    return low, high + 1


def _lines(
    settings: Settings | None, line: str | None, port: str | None, baud: int, parity: str
) -> Iterator[tuple[str, SerialSettings]]:
    from pydantic import ValidationError

    from agent.sensor_settings import SerialSettings

    if line is not None:
        if settings is None or line not in settings.serial:
            raise typer.BadParameter(f"[serial.{line}]?", param_hint="--line")
        yield line, settings.serial[line]
    if port is not None:
        try:
            chosen = SerialSettings.model_validate({"port": port, "baud": baud, "parity": parity})
        except ValidationError as error:
            place = error.errors()[0]["loc"][0]
            raise typer.BadParameter(error.errors()[0]["msg"], param_hint=f"--{place}") from None
        yield "meters", chosen
