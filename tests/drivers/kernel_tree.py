"""Folders laid out as the kernel's for 1-Wire thermometers and IIO sensors, with the texts that it prints."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

# The sensor's registers: low and high byte of the temperature, two alarm limits, configuration, three internal bytes.
_REST = (0x4B, 0x46, 0x7F, 0xFF)


def crc8(data: bytes) -> int:
    """The checksum of 1-Wire (x^8 + x^5 + x^4 + 1, least significant bit first)."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x8C if crc & 1 else 0)
    return crc


def w1_slave(temperature_c: float, *, byte_6: int | None = None, is_damaged: bool = False) -> str:
    """The kernel's answer. `byte_6`: 0x0C after power-on, else 16 minus the sixteenths, by the data sheet."""
    sixteenths = round(temperature_c * 16)
    low, high = sixteenths.to_bytes(2, "little", signed=True)
    sixth = 0x10 - (low & 0x0F) if byte_6 is None else byte_6
    pad = bytes((low, high, *_REST, sixth, 0x10))
    crc = crc8(pad)
    last = crc ^ 0x5A if is_damaged else crc
    hexes = " ".join(f"{each:02x}" for each in (*pad, last))
    verdict = "NO" if is_damaged else "YES"
    return f"{hexes} : crc={crc:02x} {verdict}\n{hexes} t={int(sixteenths * 1000 / 16)}\n"


class OneWireTree:
    """`root` is what /sys/bus/w1/devices is."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "w1_bus_master1").mkdir(parents=True, exist_ok=True)

    def set(self, address: str, text: str) -> None:
        """Plug a sensor in, or let it answer otherwise."""
        (self.root / address).mkdir(exist_ok=True)
        (self.root / address / "w1_slave").write_text(text, encoding="ascii")

    def pull_out(self, address: str) -> None:
        """The kernel drops a sensor that is not found any more, with its folder."""
        (self.root / address / "w1_slave").unlink()
        (self.root / address).rmdir()


BME280 = {
    "name": "bme280",
    "in_temp_input": "21840",
    "in_pressure_input": "100.512316406",
    "in_humidityrelative_input": "43210",
}
SCD41 = {
    "name": "scd41",
    "in_temp_raw": "26324",
    "in_temp_offset": "-16852.114286",
    "in_temp_scale": "2.670288085",
    "in_humidityrelative_raw": "28639",
    "in_humidityrelative_scale": "1.525878906",
    "in_concentration_co2_raw": "812",
    "in_concentration_co2_scale": "0.000100",
    "in_concentration_co2_sampling_frequency": "0.2",
}
ADS1115 = {
    "name": "ads1015",
    "in_voltage0_raw": "13200",
    "in_voltage0_scale": "0.125000000",
    "in_voltage1_raw": "-80",
    "in_voltage1_scale": "0.125000000",
    "in_voltage0-voltage1_raw": "13280",
    "in_voltage0-voltage1_scale": "0.1",
}


class IioTree:
    """`root` is what /sys/bus/iio/devices is: links to folders that lie under what each device hangs on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.root = folder / "bus" / "iio" / "devices"
        self.root.mkdir(parents=True)

    def plug_in(self, number: int, place: str, files: Mapping[str, str]) -> None:
        device = self._folder / "devices" / place / f"iio:device{number}"
        device.mkdir(parents=True)
        (self.root / device.name).symlink_to(device)
        for name, text in files.items():
            self.set(number, name, text)

    def set(self, number: int, name: str, text: str) -> None:
        (self.root / f"iio:device{number}" / name).write_text(f"{text}\n", encoding="ascii")

    def pull_out(self, number: int) -> None:
        link = self.root / f"iio:device{number}"
        device = link.resolve()
        for path in device.iterdir():
            path.unlink()
        link.unlink()
        device.rmdir()


def unreadable(path: Path) -> None:
    """Let an attribute fail with EIO, as a broken bus does: a link to a place in memory that nothing stands at."""
    path.unlink()
    path.symlink_to(f"/proc/{os.getpid()}/mem")
