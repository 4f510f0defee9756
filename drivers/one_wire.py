"""Thermometers on the 1-Wire bus (DS18B20), read through the kernel's `w1_therm`.

Its attribute `w1_slave` starts a conversion and gives two lines: the nine bytes of the sensor's scratchpad with a CRC
and YES or NO, and the bytes that are kept with the temperature in thousandths of a degree (the kernel's
Documentation/w1/slaves/w1_therm.rst). It is read rather than `temperature`, which hides the bytes: they tell a shorted
line (zeros, whose CRC is right) and a sensor that has just lost its power from a measurement.

Untested on hardware: tested on folders laid out as the kernel's.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from drivers.errors import DeviceError
from drivers.found import Found
from drivers.sysfs import read_attribute

ROOT = Path("/sys/bus/w1/devices")

COLDEST_C, HOTTEST_C = -55.0, 125.0
"""What a DS18B20 measures (its data sheet)."""

POWER_ON_C = 85.0
"""What the sensor's register holds after power-on, before the first conversion (its data sheet)."""

# An 85.000 is believed when the last good reading was this near: what is really that hot was nearly as hot a moment
# ago. Longer ago than a few turns says nothing any more.
_NEAR_C = 10.0
_NEAR_S = 300.0
# Byte 6 of a scratchpad that no conversion has filled; a genuine sensor that measured 85 has 10 there. The kernel's own
# check (bit 0 of its `features`) goes by it as well.
_POWER_ON_BYTE = 0x0C

_ADDRESS = re.compile(r"28-[0-9a-f]{12}")
_ANSWER = re.compile(r"(?P<bytes>(?:[0-9a-f]{2} ){9}): crc=[0-9a-f]{2} (?P<crc>YES|NO)\n.* ?t=(?P<milli>-?\d{1,7})\s*")


class Ds18b20:
    """A `PolledDevice` that gives `temperature_c`, in steps of 1/16 degree.

    `address`: as in /sys/bus/w1/devices, such as `28-0316a2794aff`. A read takes 0.75 s, which is the conversion. It
    can hang in the kernel while the bus is broken; that is what `BusPoller.hanging` is for. `clock`: seconds, to judge
    how old the last good reading is. Raises ValueError for an address that no DS18B20 has.
    """

    def __init__(self, address: str, *, root: Path = ROOT, clock: Callable[[], float] = time.monotonic) -> None:
        if not _ADDRESS.fullmatch(address):
            raise ValueError(
                f"no DS18B20 is called {address!r}: use 28- and twelve digits or letters a to f, as in {ROOT}"
            )
        self._what = f"the thermometer {address}"
        self._path = root / address / "w1_slave"
        self._clock = clock
        self._last: tuple[float, float] | None = None

    def read(self) -> Mapping[str, float]:
        """See `PolledDevice`."""
        temperature_c = self._judge(read_attribute(self._path, self._what))
        self._last = (self._clock(), temperature_c)
        return {"temperature_c": temperature_c}

    def _judge(self, text: str) -> float:
        """The temperature in the kernel's answer. Raises `DeviceError`."""
        if not text.strip():  # the kernel's driver has tried five times
            raise DeviceError(f"{self._what} gave no reading: check its wires, its power and the pull-up of 4.7 kOhm")
        answer = _ANSWER.fullmatch(text)
        if answer is None:
            raise DeviceError(f"{self._what} gave what is no reading: check that w1_therm is its kernel driver")
        if answer["crc"] == "NO":
            raise DeviceError(
                f"{self._what} answers with wrong checksums: shorten or shield its wires, check the pull-up"
            )
        scratchpad = bytes.fromhex(answer["bytes"])
        if not any(scratchpad):  # the CRC of zeros is zero
            raise DeviceError(f"{self._what} gives only zeros: its data line has a short to ground")
        temperature_c = int(answer["milli"]) / 1000.0
        if not COLDEST_C <= temperature_c <= HOTTEST_C:
            raise DeviceError(
                f"{self._what} says {temperature_c:.3f} degrees and measures {COLDEST_C:.0f} to {HOTTEST_C:.0f}: "
                "check its power, then replace it"
            )
        if temperature_c == POWER_ON_C and not self._believes_85(scratchpad):
            raise DeviceError(f"{self._what} had just lost its power (85 degrees): check its plug and its wires")
        return temperature_c

    def _believes_85(self, scratchpad: bytes) -> bool:
        if self._last is None or scratchpad[6] == _POWER_ON_BYTE:
            return False
        at, temperature_c = self._last
        return self._clock() - at <= _NEAR_S and abs(temperature_c - POWER_ON_C) <= _NEAR_C


def scan(root: Path = ROOT) -> Iterator[Found]:
    """The DS18B20 that the kernel has found on its 1-Wire buses; none where there is no such bus."""
    for path in sorted(root.glob("28-*")):
        if _ADDRESS.fullmatch(path.name):
            yield Found("one_wire", path.name, "DS18B20 thermometer")
