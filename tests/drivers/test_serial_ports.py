from __future__ import annotations

from pathlib import Path

import pytest
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from drivers import serial_ports
from drivers.found import Found


def port(device: Path, description: str = "n/a") -> ListPortInfo:
    found = ListPortInfo(str(device))
    found.description = description
    return found


def test_usb_ports_are_named_by_what_does_not_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = [tmp_path / name for name in ("ttyUSB0", "ttyUSB1", "ttyAMA0")]
    for each in devices:
        each.touch()
    by_id = tmp_path / "by-id"
    by_id.mkdir()
    adapter = by_id / "usb-Silicon_Labs_CP2102_0001-if00-port0"
    adapter.symlink_to("../ttyUSB1")
    ports = [port(devices[1], "CP2102 USB to UART Bridge"), port(devices[2]), port(devices[0], "ttyUSB0")]
    monkeypatch.setattr(list_ports, "comports", lambda: ports)
    assert list(serial_ports.scan(by_id)) == [
        Found("serial", str(devices[2]), "serial port"),
        Found("serial", str(devices[0]), "serial port"),
        Found("serial", str(adapter), "CP2102 USB to UART Bridge"),
    ]


def test_whatever_this_machine_has_is_listed() -> None:
    assert all(Path(each.address).exists() for each in serial_ports.scan())
