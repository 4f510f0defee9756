"""What one message of a plug or a sensor says: its values, their limits, and how bytes are read. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

MAX_PAYLOAD_BYTES = 16 * 1024
"""The longest of these messages, a Shelly's full status, has about 4 KiB."""

MAX_NAME = 100  # characters; Tasmota allows as many for a whole topic

LIMITS: Mapping[str, tuple[float, float]] = {
    "power_w": (-100_000.0, 100_000.0),  # negative: what feeds in
    "voltage_v": (0.0, 500.0),
    "current_a": (0.0, 500.0),
    "energy_kwh": (0.0, 1e8),
    "temperature_c": (-60.0, 150.0),
    "humidity_percent": (0.0, 100.0),
    "illuminance_lx": (0.0, 200_000.0),
    "co2_ppm": (0.0, 100_000.0),
    "battery_percent": (0.0, 100.0),
    "link_quality": (0.0, 255.0),
}
"""Quantities, each with the least and the most that a plug or a sensor can mean; what lies beyond is not a reading."""

STATES = frozenset(
    ("on", "overpower", "open", "water_leak", "smoke", "gas", "occupancy", "presence", "tamper", "battery_low", "input")
)
"""Values of two states. `on`: the relay has switched through; `open`: the contact is not made."""

SWITCHABLE = "on"
"""The state that answers an order."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What one message said: only what is in it. `is_online` None: nothing of that. `faults`: what was not readable."""

    values: Mapping[str, float] = field(default_factory=dict)
    states: Mapping[str, bool] = field(default_factory=dict)
    is_online: bool | None = None
    faults: tuple[str, ...] = ()


Parser = Callable[[bytes], Heard]


@dataclass(frozen=True, slots=True)
class Command:
    """A topic, with `{name}` for the device's name, and what to publish there."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Form:
    """How one maker's devices speak. `topics`: with `{name}` for the device's name, each with what reads it.

    `ask` makes the device tell its state; None where nothing does that without waking a battery.
    """

    topics: Mapping[str, Parser]
    turn_on: Command
    turn_off: Command
    ask: Command | None


class Reading:
    """Collects what is found in one message."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}
        self.states: dict[str, bool] = {}
        self.faults: list[str] = []

    def number(self, quantity: str, value: object, factor: float = 1.0) -> None:
        """Take a JSON number; null and nothing mean that the device does not know."""
        if value is None:
            return
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.faults.append(f"{quantity} is not a number")
            return
        low, high = LIMITS[quantity]
        if low / factor <= value <= high / factor:  # before a product: an integer may be too long for a float
            self.values[quantity] = value * factor
        else:  # NaN comes here, too
            self.faults.append(f"{quantity} is beyond what can be")

    def state(self, name: str, value: object, *, inverted: bool = False) -> None:
        """Take a JSON boolean."""
        if value is None:
            return
        if isinstance(value, bool):
            self.states[name] = value is not inverted
        else:
            self.faults.append(f"{name} is neither true nor false")

    def relay(self, value: object) -> None:
        """Take ON or OFF."""
        if value is None:
            return
        known = value.upper() if isinstance(value, str) else ""
        if known in ("ON", "OFF"):
            self.states["on"] = known == "ON"
        else:
            self.faults.append("the relay's state is neither ON nor OFF")

    def heard(self) -> Heard:
        """Return what was found."""
        return Heard(self.values, self.states, None, tuple(self.faults))


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _json_object(payload: bytes) -> dict[str, Any]:
    """Read a JSON object. Raises ValueError for everything else, NaN and what nests too deeply among it."""
    try:
        content = json.loads(payload, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("it nests too deeply") from error
    if not isinstance(content, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - one error for all that is not a message
    return content


def reads_json(take: Callable[[dict[str, Any], Reading], None]) -> Parser:
    """Return a parser around what takes a JSON object's fields."""

    def parse(payload: bytes) -> Heard:
        if not payload:
            return Heard()  # somebody cleared a retained message
        reading = Reading()
        try:
            take(_json_object(payload), reading)
        except ValueError:
            return Heard(faults=("it is not a JSON object",))
        return reading.heard()

    return parse


def reads_text(take: Callable[[str, Reading], None]) -> Parser:
    """Return a parser around what takes a short text."""

    def parse(payload: bytes) -> Heard:
        if not payload:
            return Heard()
        reading = Reading()
        try:
            take(payload[:MAX_NAME].decode().strip(), reading)
        except ValueError:
            return Heard(faults=("it is not a text that is known here",))
        return reading.heard()

    return parse


def number_text(quantity: str, factor: float = 1.0) -> Parser:
    """Return a parser of a number as plain text."""
    return reads_text(lambda text, reading: reading.number(quantity, float(text), factor))


def boolean_text(name: str) -> Parser:
    """Return a parser of `true` and `false` as plain text."""
    return reads_text(lambda text, reading: reading.state(name, {"true": True, "false": False}.get(text, text)))


def read_availability(payload: bytes) -> Heard:
    """Read `{"state": "online"}`, `online`, `Online` or `true`, and their opposites."""
    if not payload:
        return Heard()
    try:
        text = payload.decode()
        word = _json_object(payload).get("state") if text.startswith("{") else text
    except ValueError:
        word = None
    known = {"online": True, "true": True, "offline": False, "false": False}
    is_online = known.get(word.strip().lower()) if isinstance(word, str) else None
    return (
        Heard(is_online=is_online) if is_online is not None else Heard(faults=("it says neither online nor offline",))
    )


def check_name(name: str) -> None:
    """Raise ValueError for a name that would reach other topics than the device's own."""
    if not 0 < len(name) <= MAX_NAME or any(each in "+#" or not each.isprintable() for each in name):
        raise ValueError(
            f"{name!r} is not a device's name over MQTT: give the name in its topics, 1 to {MAX_NAME} characters "
            "without + and #"
        )
    if any(not level for level in name.split("/")) or name.startswith("$") or name.partition("/")[0] == "bridge":
        raise ValueError(f"{name!r} is not a device's name over MQTT: give its name without a slash at either end")
