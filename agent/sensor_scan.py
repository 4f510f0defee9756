"""Finds what is attached to this machine, for whoever installs it: each with the lines for the settings.

Needs no agent, and disturbs none: a serial port is asked only where it is named, and one that another program holds is
said to be held. The kernel's 1-Wire and IIO devices and the local broker may be asked beside a running agent.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from agent.core.problems import Words
from agent.core.spoken import system_words
from agent.sensor_settings import PlugsSettings, SerialSettings
from agent.settings import Settings
from drivers import iio, modbus_meter, mqtt_scan, one_wire, serial_ports
from drivers.errors import DriverError
from drivers.modbus_line import LineError, ModbusLine
from drivers.mqtt_connection import MqttBroker

_PARITIES: dict[str, Literal["N", "E", "O"]] = {"none": "N", "even": "E", "odd": "O"}

_HELD = Words(
    "运行中的站点程序占用了它配置的串口:请先停止(sudo systemctl stop station-agent)",
    "A running agent holds the ports that its settings name: end it first (sudo systemctl stop station-agent)",
)


@dataclass(frozen=True, slots=True)
class Attached:
    """Something that is there. `known_as`: the settings' table that has it already; empty: none has.

    `lines`: what to put into the settings to use it.
    """

    kind: str
    address: str
    description: str
    known_as: str = ""
    lines: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {**asdict(self), "lines": list(self.lines)}


@dataclass(frozen=True, slots=True)
class Unsearched:
    """Something that could not be searched, and why."""

    where: str
    reason: Words


Found = Iterator[Attached | Unsearched]


def scan_machine(settings: Settings | None, *, one_wire_root: Path = one_wire.ROOT, iio_root: Path = iio.ROOT) -> Found:
    """Serial ports (unasked), 1-Wire thermometers and IIO sensors. `settings`: to say what they have already."""
    yield from _searched("serial ports", lambda: _ports(settings))
    yield from _searched("1-Wire", lambda: _kernel(settings, "ds18b20", one_wire.scan(one_wire_root)))
    yield from _searched("IIO", lambda: _kernel(settings, "iio", iio.scan(iio_root)))


def scan_plugs(settings: Settings | None, plugs: PlugsSettings, seconds: float) -> Found:
    """Devices that show themselves at the broker within `seconds`."""
    yield from _searched(f"MQTT broker {plugs.host}:{plugs.port}", lambda: _devices(settings, plugs, seconds))


def scan_line(
    settings: Settings | None, name: str, line: SerialSettings, addresses: Iterable[int] = modbus_meter.ADDRESSES
) -> Found:
    """Ask every address on a Modbus line, as `name` of the settings, who it is; some 0.4 s for each that is silent.

    Yields as they are found.
    """
    opened = ModbusLine(line.port, baud=line.baud, parity=_PARITIES[line.parity], stop_bits=line.stop_bits)
    known = {each.address: key for key, each in (settings.sensors if settings else {}).items() if each.line == name}
    try:
        for found in modbus_meter.scan(opened, addresses):
            yield _meter(name, line.port, found, known.get(found.address))
    except LineError as error:
        is_held = getattr(error.__cause__, "errno", None) in (errno.EAGAIN, errno.EBUSY)
        why = _reason(error)
        yield Unsearched(line.port, Words(f"{_HELD.zh};{why.zh}", f"{why.en}. {_HELD.en}") if is_held else why)
    finally:
        opened.close()


def _searched(where: str, search: Callable[[], Iterable[Attached]]) -> Found:
    try:
        yield from search()
    except (DriverError, OSError, ValueError) as error:
        yield Unsearched(where, _reason(error))


def _reason(error: Exception) -> Words:
    """Drivers speak English: before what they say, in Chinese, what the system's error means."""
    cause = error.__cause__ if isinstance(error, DriverError) else error
    known = system_words(cause).zh.partition("(")[0] if isinstance(cause, OSError) else "设备没有正常答复"
    return Words(f"{known};请检查接线、电源、地址和权限。驱动程序报告:{error}", str(error))


def _ports(settings: Settings | None) -> Iterator[Attached]:
    known = _known_ports(settings)
    for found in serial_ports.scan():
        lines = (
            "# a line with power meters: then `station sensors scan --line meters`",
            "[serial.meters]",
            f"port = {_quoted(found.address)}",
            "# or a radar",
            "[sensors.radar]",
            'driver = "ld2410"',
            f"port = {_quoted(found.address)}",
        )
        yield _attached("serial", found.address, found.description, known.get(_real(found.address), ""), lines)


def _known_ports(settings: Settings | None) -> dict[Path, str]:
    if settings is None:
        return {}
    known = {_real(each.port): f"serial.{name}" for name, each in settings.serial.items()}
    return known | {_real(each.port): f"sensors.{name}" for name, each in settings.sensors.items() if each.port}


def _real(port: str) -> Path:
    return Path(port).resolve()


def _kernel(settings: Settings | None, driver: str, found: Iterable[Any]) -> Iterator[Attached]:
    for each in found:
        yield _attached(
            driver,
            each.address,
            each.description,
            _known_device(settings, driver, each.address),
            _sensor_lines(each.address, driver=driver, device=each.address),
        )


def _devices(settings: Settings | None, plugs: PlugsSettings, seconds: float) -> Iterator[Attached]:
    broker = MqttBroker(plugs.host, plugs.port, plugs.username or None, plugs.password_file, plugs.ca_file)
    for each in mqtt_scan.scan(broker, seconds):
        form, _, name = each.address.partition(":")
        known = _known_device(settings, form, name)
        yield _attached(form, name, each.description, known, _sensor_lines(name, driver=form, device=name))


def _meter(line: str, port: str, found: modbus_meter.Found, known: str | None) -> Attached:
    address = f"{port} address {found.address}"
    if not found.kinds:
        return Attached("modbus", address, f"no meter that is known here: {found.problem}")
    kinds = " or ".join(found.kinds)
    lines = _sensor_lines(f"meter_{found.address}", driver=found.kinds[0], line=line, address=found.address)
    return _attached("modbus", address, kinds, f"sensors.{known}" if known else "", lines)


def _attached(kind: str, address: str, description: str, known_as: str, lines: tuple[str, ...]) -> Attached:
    return Attached(kind, address, description, known_as, () if known_as else lines)


def _known_device(settings: Settings | None, driver: str, device: str) -> str:
    sensors = settings.sensors if settings is not None else {}
    return next(
        (f"sensors.{name}" for name, each in sensors.items() if (each.driver, each.device) == (driver, device)), ""
    )


def _sensor_lines(called: str, **keys: str | int) -> tuple[str, ...]:
    values = (f"{key} = {_quoted(value) if isinstance(value, str) else value}" for key, value in keys.items())
    return (f"[sensors.{_table_name(called)}]", *values)


def _table_name(called: str) -> str:
    """A name that a table may have, from what a device is called."""
    name = re.sub(r"[^a-z0-9_-]+", "_", called.lower()).strip("_-")
    return (name if name[:1].isalpha() else f"s_{name}")[:32].rstrip("_-")


def _quoted(text: str) -> str:
    """A TOML string: backslashes and quotes escaped; devices' names have no control characters."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
