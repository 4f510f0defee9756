"""Whatever sensor has a driver in Linux's Industrial I/O subsystem: BME280, SCD4x, ADS1115 and many more.

Files and units are those of the kernel's Documentation/ABI/testing/sysfs-bus-iio: `…_input` is in the unit already,
`…_raw` becomes so as (raw + offset) · scale. Thousandths of a degree, thousandths of a per cent, kilopascal, per cent
of a gas, millivolt.

Untested on hardware: tested on folders laid out as the kernel's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from drivers.errors import DeviceError
from drivers.found import Found
from drivers.sysfs import read_attribute

ROOT = Path("/sys/bus/iio/devices")

READ_LIMIT_S = 20.0
"""For the bus of a sensor with several slow channels: an SCD4x measures each 5 s, and the kernel waits for a new
measurement, at most 6 s, with each of its three channels."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a kind of channel gives: `per_unit` of `unit` to the kernel's unit, and what can be true."""

    name: str
    unit: str
    per_unit: float
    least: float
    most: float


# The bounds are what sensors for rooms, cold rooms and weather measure at most; what lies beyond is a fault.
QUANTITIES = {
    "temp": Quantity("temperature", "c", 0.001, -55.0, 150.0),
    "humidityrelative": Quantity("humidity", "percent", 0.001, -1.0, 105.0),
    "pressure": Quantity("pressure", "hpa", 10.0, 300.0, 1250.0),
    "concentration_co2": Quantity("co2", "ppm", 10_000.0, 100.0, 40_000.0),  # air out of doors has 400
    "voltage": Quantity("voltage", "v", 0.001, -1000.0, 1000.0),
}

# Of a converter only single inputs, not the differences between two; of the gases only CO2.
_CHANNEL = re.compile(
    r"(?P<stem>in_(?P<kind>temp|humidityrelative|pressure|voltage|concentration)(?P<number>\d{0,3})(?P<gas>_co2)?)"
    r"_(?:raw|input)"
)
_ADDRESS = re.compile(r"(?P<name>[^@/\s]+)(?:@(?P<place>[^@/\n]+))?")  # a label may have spaces
# A number as the kernel prints it. No exponents and no nan, whatever a broken driver may say.
_NUMBER = re.compile(r"-?\d{1,12}(?:\.\d{1,12})?")


class IioSensor:
    """A `PolledDevice` that gives what its channels measure.

    `temperature_c`, `humidity_percent`, `pressure_hpa`, `co2_ppm`, `voltage_v`; numbered channels of a converter are
    `channel_0_v` …, other numbered ones `temperature_0_c` …

    `address`: the device's name, such as `bme280`, and where there are several of it `NAME@PLACE`; the place is its
    label or what it hangs on, such as `1-0076` (bus 1, address 0x76). Never its number, which changes with the order of
    booting. A read takes as long as the sensor does, see `READ_LIMIT_S`. Raises ValueError for an address of another
    form.
    """

    def __init__(self, address: str, *, root: Path = ROOT) -> None:
        match = _ADDRESS.fullmatch(address)
        if match is None:
            raise ValueError(
                f"no sensor is called {address!r}: use its name as in {ROOT}, or NAME@PLACE, as the scan shows"
            )
        self._address = address
        self._name: str = match["name"]
        self._place: str | None = match["place"]
        self._root = root

    def read(self) -> Mapping[str, float]:
        """See `PolledDevice`."""
        device = self._find()
        values = dict(_read_channels(device, f"the sensor {self._address}"))
        if not values:
            raise DeviceError(f"the sensor {self._address} has no channel that is known: use another sensor")
        return values

    def _find(self) -> Path:
        """Its folder, looked for each time: after it was plugged in again it has another number."""
        found = [path for path in _devices(self._root) if self._is_meant(path)]
        if not found:
            raise DeviceError(
                f"the sensor {self._address} is not there: check its wires, its power and that its overlay is loaded"
            )
        if len(found) > 1:
            addresses = ", ".join(f"{self._name}@{_place(path)}" for path in found)
            raise DeviceError(f"there are {len(found)} sensors {self._address}: use one of {addresses} in the settings")
        return found[0]

    def _is_meant(self, path: Path) -> bool:
        return _text(path / "name") == self._name and self._place in (None, _text(path / "label"), _place(path))


def scan(root: Path = ROOT) -> Iterator[Found]:
    """The sensors with a known channel; each under its name, or as `NAME@PLACE` where the name is not enough."""
    known = [
        (path, name, channels)
        for path in _devices(root)
        if (name := _text(path / "name")) and (channels := [channel.key for channel in _channels(path)])
    ]
    names = [name for _, name, _ in known]
    for path, name, channels in known:
        address = name if names.count(name) == 1 else f"{name}@{_place(path)}"
        yield Found("iio", address, f"{_text(path / 'label') or name}: {', '.join(channels)}")


def _devices(root: Path) -> list[Path]:
    return sorted(root.glob("iio:device*"))


def _place(path: Path) -> str:
    """What the device hangs on: the name of the folder that its own folder is in."""
    return path.resolve().parent.name


def _text(path: Path) -> str:
    """A name or label; empty where there is none."""
    try:
        return read_attribute(path, path.name).strip()
    except DeviceError:
        return ""


@dataclass(frozen=True, slots=True)
class _Channel:
    """`stems`: what its files' names begin with; scale and offset may stand under a later one, for all of its kind."""

    key: str
    stems: tuple[str, ...]
    quantity: Quantity


def _channels(device: Path) -> list[_Channel]:
    """Each channel once, though it may have both a raw and a converted file."""
    matches = (_CHANNEL.fullmatch(path.name) for path in sorted(device.glob("in_*")))
    known = (match for match in matches if match is not None and match["kind"] + (match["gas"] or "") in QUANTITIES)
    return list({match["stem"]: _channel(match) for match in known}.values())


def _channel(match: re.Match[str]) -> _Channel:
    kind, number, gas = match["kind"], match["number"], match["gas"] or ""
    quantity = QUANTITIES[kind + gas]
    name = quantity.name
    if number:
        name = f"channel_{number}" if name == "voltage" else f"{name}_{number}"
    stems = (match["stem"], f"in_{kind}{gas}", f"in_{kind}")
    return _Channel(f"{name}_{quantity.unit}", stems, quantity)


def _read_channels(device: Path, what: str) -> Iterator[tuple[str, float]]:
    for channel in _channels(device):
        quantity = channel.quantity
        value = _in_kernel_units(device, channel.stems, what) * quantity.per_unit
        if not quantity.least <= value <= quantity.most:
            raise DeviceError(
                f"{what} says {channel.key} = {value:g}, which cannot be: check its wires, then replace it"
            )
        yield channel.key, value


def _in_kernel_units(device: Path, stems: tuple[str, ...], what: str) -> float:
    if (converted := device / f"{stems[0]}_input").exists():
        return _number(converted, what)
    raw = _number(device / f"{stems[0]}_raw", what)
    offset = _optional(device, stems, "offset", what)
    scale = _optional(device, stems, "scale", what)
    return (raw + (0.0 if offset is None else offset)) * (1.0 if scale is None else scale)


def _optional(device: Path, stems: tuple[str, ...], suffix: str, what: str) -> float | None:
    for stem in stems:
        if (path := device / f"{stem}_{suffix}").exists():
            return _number(path, what)
    return None


def _number(path: Path, what: str) -> float:
    text = read_attribute(path, f"{what} ({path.name})").strip()
    if not _NUMBER.fullmatch(text):
        said = "nothing" if not text else "no number"
        raise DeviceError(f"{what} gives {said} for {path.name}: check its wires and its power")
    return float(text)
