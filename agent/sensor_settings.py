"""The settings of sensors: the wires and brokers they are on, contacts, and the appliances they tell of.

An appliance names the sensors that tell of it, so that one sensor is described once. `sensor_contradictions` says what
of all this cannot be true together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from agent.settings_fields import FilePath, Level, Name, Pin, Table, Text

METERS = ("pzem004t", "sdm120", "sdm230", "sdm630")
"""Drivers of meters on a Modbus line."""

PLUGS = ("zigbee2mqtt", "tasmota", "shelly_gen1", "shelly_gen2")
"""Forms of devices at the local MQTT broker."""

MEASURES: Mapping[str, frozenset[str]] = {
    **dict.fromkeys((*METERS, "simulated"), frozenset({"power"})),
    **dict.fromkeys(PLUGS, frozenset({"power", "temperature", "humidity", "co2", "state"})),
    "ds18b20": frozenset({"temperature"}),
    "iio": frozenset({"temperature", "humidity", "co2"}),
    "ld2410": frozenset({"presence"}),
}
"""What an appliance, a contact or the room may use a driver for."""

METER_PACE_S = 2.0  # a microwave runs for a minute: its cycles are seen whole
AIR_PACE_S = 30.0  # temperatures move slowly, and a thermometer that is asked without a break warms itself

SerialPort = Annotated[str, Field(pattern=r"^/dev/[A-Za-z0-9._:+=@#,/-]{1,200}$")]


class SerialSettings(Table):
    """One line with Modbus meters; speed and parity hold for all of them."""

    port: SerialPort
    baud: Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200] = 9600
    parity: Literal["none", "even", "odd"] = "none"
    stop_bits: Literal[1, 2] = 1


class PlugsSettings(Table):
    """The local broker of plugs and sensors: never that of the central server. With `ca_file` the link is TLS."""

    host: str = Field(default="127.0.0.1", min_length=1, max_length=253)
    port: int = Field(default=1883, ge=1, le=65_535)
    username: str = Field(default="", max_length=128)
    password_file: FilePath | None = None
    ca_file: FilePath | None = None


class SensorSettings(Table):
    """One sensor; the table's name is its name in faults and readings.

    Meters: `line` (a table of `serial`) and `address`. Thermometers, IIO sensors and MQTT devices: `device`. Radars:
    `port`. `interval_s`: of those that are asked; `stale_s`: of those that speak by themselves over MQTT.
    """

    driver: Literal[
        "pzem004t",
        "sdm120",
        "sdm230",
        "sdm630",
        "ds18b20",
        "iio",
        "zigbee2mqtt",
        "tasmota",
        "shelly_gen1",
        "shelly_gen2",
        "ld2410",
        "simulated",
    ]
    line: Name | None = None
    address: int | None = Field(default=None, ge=1, le=247)
    device: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    port: SerialPort | None = None
    interval_s: float | None = Field(default=None, ge=0.2, le=3600)
    stale_s: float = Field(default=900.0, ge=10, le=604_800)

    @property
    def pace_s(self) -> float:
        """Seconds between two readings of a sensor that is asked."""
        return self.interval_s or (AIR_PACE_S if self.driver in ("ds18b20", "iio") else METER_PACE_S)

    @property
    def silence_s(self) -> float:
        """Seconds without a reading after which nothing is known any more: five that were missed, or `stale_s`."""
        return self.stale_s if self.driver in PLUGS else max(10.0, 5 * self.pace_s)


ContactKind = Literal[
    "water", "waste", "aed_cabinet", "first_aid", "leak", "smoke", "mains", "tamper", "battery_low", "other"
]

_STATES: Mapping[str, str] = {
    "water": "input",
    "waste": "input",
    "aed_cabinet": "open",
    "first_aid": "open",
    "leak": "water_leak",
    "smoke": "smoke",
    "mains": "input",
    "tamper": "tamper",
    "battery_low": "battery_low",
    "other": "input",
}


class NamedContactSettings(Table):
    """One contact or float with a meaning; the table's name is its name in events and faults.

    On a `pin`, or a two-state value of an MQTT `sensor` (`state`, one of what such devices tell).
    """

    kind: ContactKind
    pin: Pin | None = None
    sensor: Name | None = None
    state: (
        Literal["open", "water_leak", "smoke", "gas", "tamper", "battery_low", "input", "occupancy", "presence", "on"]
        | None
    ) = None
    active_when: Level | None = None

    @property
    def is_active_high(self) -> bool:
        """Whether a high level, or a state that is true, says what `kind` is called.

        On a pin a cut wire reads high: it says that there is no water, and that there is no mains.
        """
        if self.active_when is not None:
            return self.active_when == "high"
        return self.kind != "mains" or self.sensor is not None

    @property
    def shown_by(self) -> str:
        """The state of the MQTT device that tells it."""
        return self.state or _STATES[self.kind]


class RoomSettings(Table):
    """The sensors that tell of the air in the room; not set: that is not measured."""

    temperature: Name | None = None
    humidity: Name | None = None
    co2: Name | None = None


class ApplianceSettings(Table):
    """One appliance; the table's name is its name on the wire. `power`, `temperature`: sensors; `water`: a contact.

    `learn` not set: levels are learned where neither of them is set. Limits that are not set are those of its kind
    (`core.appliance_kinds`).
    """

    kind: Literal[
        "microwave",
        "water_dispenser",
        "refrigerator",
        "air_conditioner",
        "heater",
        "television",
        "charger",
        "tyre_inflator",
        "light",
        "kettle",
        "aed",
        "router",
        "other",
    ]
    label_zh: Text = ""
    label_en: Text = ""
    power: Name | None = None
    temperature: Name | None = None
    water: Name | None = None
    can_switch: bool = False
    switch_off_when_empty_min: float | None = Field(default=None, ge=5, le=1440)
    standby_above_w: float = Field(default=0.5, ge=0, le=10_000)
    running_above_w: float = Field(default=20.0, gt=0, le=10_000)
    learn: bool | None = None
    run_max_min: float | None = Field(default=None, ge=1, le=10_080)
    idle_max_h: float | None = Field(default=None, ge=1, le=720)
    dead_max_min: float | None = Field(default=None, ge=1, le=10_080)
    short_min: float | None = Field(default=None, ge=0.5, le=60)
    weak_below: float | None = Field(default=None, gt=0, lt=1)
    warm_above_c: float | None = Field(default=None, ge=-30, le=30)
    warm_after_h: float | None = Field(default=None, ge=0.1, le=48)
