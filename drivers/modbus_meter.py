"""Mains power meters on a Modbus line: Peacefair PZEM-004T v3 and Eastron SDM120, SDM230 and SDM630.

Registers, all read by function 4:
- PZEM-004T: "PZEM-004T V3.0 User Manual" (Peacefair), 2.3 "Read the measurement result". Whole numbers; two registers
  make one number, the low one first. 0x0009 is the power alarm, 0 or 0xFFFF. The RS-485 sister PZEM-016 has the same.
- Eastron: "SDM120 Modbus Protocol", "SDM230Modbus Protocol V1.2" and "SDM630Modbus Protocol V1.7" (Eastron), input
  registers. IEEE 754 floats in two registers, the high one first; only whole floats can be asked for, at most 30 at
  once.

Untested on hardware: tested against pymodbus's server behind pseudo-terminals.
"""

from __future__ import annotations

import math
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from drivers.errors import DeviceError
from drivers.modbus_line import DisturbedAnswerError, LineError, ModbusLine, NoAnswerError

Registers = Mapping[int, int]

# Below drivers.bus.READ_LIMIT_S by what a busy machine may add.
_READ_S = 1.6
# One address of a scan. Meters answer within 0.2 s; those that are not there cost this much each.
_PROBE_S = 0.3
# All 247 addresses take about 90 s; a line that is slow and full takes no longer than this.
_SCAN_S = 240.0
ADDRESSES = range(1, 248)
"""What a device may have; 0 is everybody, 248 and more are reserved."""

_NO_ALARM, _ALARM = 0, 0xFFFF

# Beyond these the wire or the type is wrong, not the mains: by the end of the quantity's name, lowest and highest.
_PLAUSIBLE: Mapping[str, tuple[float, float]] = {
    "_v": (0.0, 400.0),
    "_a": (-10_000.0, 10_000.0),
    "_w": (-1e7, 1e7),
    "_kwh": (0.0, 1e8),
    "_hz": (40.0, 70.0),
    "power_factor": (-1.01, 1.01),  # floats of a meter overshoot 1 by their rounding
}


@dataclass(frozen=True, slots=True)
class MeterType:
    """How to read one type of meter.

    `blocks`: the registers to ask for, first and count. Those of one type differ in length, so that an answer that
    comes late is never taken for the next one. `decode`: registers by their numbers → values.
    """

    blocks: tuple[tuple[int, int], ...]
    decode: Callable[[Registers], dict[str, float]]


def _pzem(registers: Registers) -> dict[str, float]:
    def double(low: int) -> int:
        return registers[low + 1] << 16 | registers[low]

    if registers[9] not in (_NO_ALARM, _ALARM):
        raise DeviceError(f"the alarm is {registers[9]}, not 0 or 65535: check the meter's type in the settings")
    return {
        "power_w": double(3) / 10,
        "voltage_v": registers[0] / 10,
        "current_a": double(1) / 1000,
        "energy_kwh": double(5) / 1000,
        "frequency_hz": registers[7] / 10,
        "power_factor": registers[8] / 100,
    }


def _floats(places: Mapping[str, int]) -> Callable[[Registers], dict[str, float]]:
    """`places`: the first of two registers, by quantity."""

    def decode(registers: Registers) -> dict[str, float]:
        return {
            quantity: struct.unpack(">f", struct.pack(">HH", registers[place], registers[place + 1]))[0]
            for quantity, place in places.items()
        }

    return decode


_FREQUENCY_AND_ENERGY = {"frequency_hz": 0x46, "energy_kwh": 0x48}
_SINGLE_PHASE = MeterType(
    ((0x00, 0x20), (0x46, 0x04)),
    _floats(
        {"power_w": 0x0C, "voltage_v": 0x00, "current_a": 0x06, "power_factor": 0x1E} | _FREQUENCY_AND_ENERGY,
    ),
)
_THREE_PHASES = MeterType(
    ((0x00, 0x24), (0x2A, 0x20)),
    _floats(
        {"power_w": 0x34, "voltage_v": 0x2A, "current_a": 0x30, "power_factor": 0x3E}
        | _FREQUENCY_AND_ENERGY
        | {
            f"l{phase + 1}_{quantity}": first + 2 * phase
            for phase in range(3)
            for quantity, first in {"power_w": 0x0C, "voltage_v": 0x00, "current_a": 0x06, "power_factor": 0x1E}.items()
        }
    ),
)

METER_TYPES: Mapping[str, MeterType] = {
    "pzem004t": MeterType(((0x0000, 10),), _pzem),
    "sdm120": _SINGLE_PHASE,
    "sdm230": _SINGLE_PHASE,
    "sdm630": _THREE_PHASES,
}
"""By their names in the settings."""


class ModbusMeter:
    """A `drivers.bus.PolledDevice`: one meter on a line.

    Values: `power_w`, `voltage_v`, `current_a`, `energy_kwh` (imported, since it was made or reset), `frequency_hz`,
    `power_factor`. An SDM630 gives the sums of its phases under these names, for `voltage_v` their mean, and each
    phase as `l1_power_w`, `l2_voltage_v` and so on. Power and power factor of an SDM are negative while energy is
    fed back, or when its mains wires are swapped.

    `kind`: one of `METER_TYPES`. A disturbed answer is asked for once more while `read_s` lasts. `answer_s`: how long
    the meter may think, by default as the line has it. Raises ValueError for an unknown type or address.
    """

    def __init__(
        self, line: ModbusLine, address: int, kind: str, *, answer_s: float | None = None, read_s: float = _READ_S
    ) -> None:
        if kind not in METER_TYPES:
            raise ValueError(f"there is no meter type {kind!r}: use one of {', '.join(METER_TYPES)}")
        if address not in ADDRESSES:
            raise ValueError(f"no meter has the address {address}: use 1 to 247")
        self._line = line
        self._address = address
        self._type = METER_TYPES[kind]
        self._answer_s = answer_s
        self._read_s = read_s

    def read(self) -> Mapping[str, float]:
        """See `PolledDevice`."""
        until = time.monotonic() + self._read_s
        registers: dict[int, int] = {}
        for first, count in self._type.blocks:
            registers |= enumerate(self._ask(first, count, until), first)
        values = self._type.decode(registers)
        for quantity, value in values.items():
            _check(f"address {self._address} on {self._line.port}", quantity, value)
        return values

    def _ask(self, first: int, count: int, until: float) -> Iterable[int]:
        try:
            return self._line.ask(self._address, first, count, until=until, answer_s=self._answer_s)
        except DisturbedAnswerError:
            if time.monotonic() >= until:
                raise
            return self._line.ask(self._address, first, count, until=until, answer_s=self._answer_s)


def _check(name: str, quantity: str, value: float) -> None:
    """Raise `DeviceError` for what no mains has."""
    if not math.isfinite(value):
        raise DeviceError(f"{quantity} of {name} is not a number: check the meter and its type in the settings")
    for end, (lowest, highest) in _PLAUSIBLE.items():
        if quantity.endswith(end) and not lowest <= value <= highest:
            raise DeviceError(
                f"{quantity} of {name} is {value:g}, which cannot be: check the meter and its type in the settings"
            )


@dataclass(frozen=True, slots=True)
class Found:
    """Somebody who answers. `kinds`: the meter types that fit, none when it is something else; then `problem` says why.

    SDM120 and SDM230 look alike.
    """

    address: int
    kinds: tuple[str, ...]
    problem: str = ""


def scan(
    line: ModbusLine, addresses: Iterable[int] = ADDRESSES, *, probe_s: float = _PROBE_S, limit_s: float = _SCAN_S
) -> Iterator[Found]:
    """Ask every address once who it is, and yield those that answer as they are found.

    About 0.4 s for each address where nobody is. Only devices with this line's speed and parity are found; the pollers
    of the line may go on meanwhile. Raises `LineError` when the line cannot be used, or the scan took longer than
    `limit_s`.
    """
    deadline = time.monotonic() + limit_s
    for address in addresses:
        if time.monotonic() >= deadline:
            raise LineError(f"the scan of {line.port} ended after {limit_s:g} s before {address}: scan fewer addresses")
        found = _identify(line, address, probe_s)
        if found is not None:
            yield found


def _identify(line: ModbusLine, address: int, probe_s: float) -> Found | None:
    problem = ""
    # A single-phase SDM lacks the sums of an SDM630 or has noughts there; an SDM630 has all of the other's.
    for kinds in (("pzem004t",), ("sdm630",), ("sdm120", "sdm230")):
        try:
            values = ModbusMeter(line, address, kinds[0], answer_s=probe_s).read()
        except LineError:
            raise
        except NoAnswerError as error:
            if not problem:
                return None
            problem = str(error)
        except DeviceError as error:
            problem = str(error)
        else:
            if values["voltage_v"] >= 1:
                return Found(address, kinds)
            problem = f"address {address} on {line.port} measures no voltage: check the meter's mains side"
    return Found(address, (), problem)
