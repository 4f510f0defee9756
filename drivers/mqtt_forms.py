"""What smart plugs and sensors say over MQTT, and how they are told something: a table of forms, pure functions.

A form names the topics of one device and reads each of them (`drivers.mqtt_message`); nothing here knows of
connections, times or threads.

- Zigbee2MQTT: `guide/usage/mqtt_topics_and_messages` and `exposes` at www.zigbee2mqtt.io. Energy is in kWh; `contact`
  is true while the door is shut; devices with a battery give its `voltage` in mV.
- Tasmota: `MQTT`, `Commands` and `JSON-Status-Responses` at tasmota.github.io/docs; the default FullTopic, one relay.
  `Total` is in kWh.
- Shelly, first generation: shelly-api-docs.shelly.cloud/gen1, "MQTT"; energy is in watt-minutes.
- Shelly, later generations: shelly-api-docs.shelly.cloud/gen2, "Mqtt", "Notifications", "Switch" and the other
  components; energy is in watt-hours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from drivers.mqtt_message import (
    Command,
    Form,
    Reading,
    boolean_text,
    number_text,
    read_availability,
    reads_json,
    reads_text,
)

# --- Zigbee2MQTT -----------------------------------------------------------------------------------------------------

_ZIGBEE_NUMBERS = {
    "power": "power_w",
    "current": "current_a",
    "energy": "energy_kwh",
    "temperature": "temperature_c",
    "humidity": "humidity_percent",
    "illuminance": "illuminance_lx",
    "co2": "co2_ppm",
    "battery": "battery_percent",
    "linkquality": "link_quality",
}
_ZIGBEE_STATES = ("water_leak", "smoke", "gas", "occupancy", "presence", "tamper", "battery_low")


def _zigbee(message: dict[str, Any], reading: Reading) -> None:
    for key, quantity in _ZIGBEE_NUMBERS.items():
        reading.number(quantity, message.get(key))
    if "battery" not in message and "battery_low" not in message:
        reading.number("voltage_v", message.get("voltage"))  # of the mains; a battery's is in mV and of no use here
    for name in _ZIGBEE_STATES:
        reading.state(name, message.get(name))
    reading.state("open", message.get("contact"), inverted=True)
    reading.relay(message.get("state"))


ZIGBEE2MQTT = Form(
    topics={
        "zigbee2mqtt/{name}": reads_json(_zigbee),
        "zigbee2mqtt/{name}/availability": read_availability,
        "zigbee2mqtt/bridge/state": read_availability,
    },
    turn_on=Command("zigbee2mqtt/{name}/set", b'{"state":"ON"}'),
    turn_off=Command("zigbee2mqtt/{name}/set", b'{"state":"OFF"}'),
    ask=None,  # `get` works only for what the device exposes, and sensors sleep
)

# --- Tasmota ---------------------------------------------------------------------------------------------------------

_TASMOTA_ENERGY = {"Power": "power_w", "Voltage": "voltage_v", "Current": "current_a", "Total": "energy_kwh"}
_MOST_SENSORS = 20  # of one device; each is a member of its message


def _tasmota_sensor(message: dict[str, Any], reading: Reading) -> None:
    energy = message.get("ENERGY")
    if isinstance(energy, dict):
        for key, quantity in _TASMOTA_ENERGY.items():
            reading.number(quantity, energy.get(key))
    elif energy is not None:
        reading.faults.append("ENERGY is not an object")
    is_fahrenheit = message.get("TempUnit") == "F"
    for name, sensor in list(message.items())[:_MOST_SENSORS]:
        if not isinstance(sensor, dict) or name in ("ENERGY", "ESP32"):  # the latter is the temperature of the chip
            continue
        if "temperature_c" not in reading.values:
            reading.number("temperature_c", _celsius(sensor.get("Temperature"), is_fahrenheit))
        if "humidity_percent" not in reading.values:
            reading.number("humidity_percent", sensor.get("Humidity"))


def _celsius(value: object, is_fahrenheit: bool) -> object:
    if is_fahrenheit and isinstance(value, int | float) and -1000 < value < 1000:
        return (value - 32.0) / 1.8
    return value  # what is left is beyond every limit in both scales, or no number


def _tasmota_status(message: dict[str, Any], reading: Reading) -> None:
    content = message.get("StatusSNS")
    if isinstance(content, dict):
        _tasmota_sensor(content, reading)
    else:
        reading.faults.append("StatusSNS is missing")


def _tasmota_state(message: dict[str, Any], reading: Reading) -> None:
    reading.relay(message.get("POWER", message.get("POWER1")))


_relay_text = reads_text(lambda text, reading: reading.relay(text))

TASMOTA = Form(
    topics={
        "tele/{name}/SENSOR": reads_json(_tasmota_sensor),
        "tele/{name}/STATE": reads_json(_tasmota_state),
        "tele/{name}/LWT": read_availability,
        "stat/{name}/STATUS10": reads_json(_tasmota_status),
        "stat/{name}/POWER": _relay_text,
        "stat/{name}/POWER1": _relay_text,
    },
    turn_on=Command("cmnd/{name}/POWER", b"ON"),
    turn_off=Command("cmnd/{name}/POWER", b"OFF"),
    ask=Command("cmnd/{name}/STATUS", b"10"),
)

# --- Shelly ----------------------------------------------------------------------------------------------------------


def _first_relay(text: str, reading: Reading) -> None:
    if text == "overpower":  # it has switched itself off
        reading.states.update({"on": False, "overpower": True})
    else:
        reading.relay(text)
        if reading.states:
            reading.states["overpower"] = False


SHELLY_GEN1 = Form(
    topics={
        "shellies/{name}/online": read_availability,
        "shellies/{name}/relay/0": reads_text(_first_relay),
        "shellies/{name}/relay/0/power": number_text("power_w"),
        "shellies/{name}/relay/0/energy": number_text("energy_kwh", 1.0 / 60_000.0),
        "shellies/{name}/sensor/temperature": number_text("temperature_c"),
        "shellies/{name}/sensor/humidity": number_text("humidity_percent"),
        "shellies/{name}/sensor/battery": number_text("battery_percent"),
        "shellies/{name}/sensor/flood": boolean_text("water_leak"),
    },
    turn_on=Command("shellies/{name}/relay/0/command", b"on"),
    turn_off=Command("shellies/{name}/relay/0/command", b"off"),
    ask=Command("shellies/{name}/command", b"update"),
)


def _member(component: dict[str, Any], key: str, inner: str, reading: Reading) -> object:
    """Look up a number in an object that may be missing."""
    found = component.get(key)
    if isinstance(found, dict):
        return found.get(inner)
    if found is not None:
        reading.faults.append(f"{key} is not an object")
    return None


def _meter(component: dict[str, Any], reading: Reading) -> None:
    for key, quantity in (("apower", "power_w"), ("voltage", "voltage_v"), ("current", "current_a")):
        reading.number(quantity, component.get(key))
    reading.number("energy_kwh", _member(component, "aenergy", "total", reading), 1e-3)


def _switch(component: dict[str, Any], reading: Reading) -> None:
    _meter(component, reading)
    reading.state("on", component.get("output"))


_COMPONENTS: Mapping[str, Callable[[dict[str, Any], Reading], None]] = {
    "switch:0": _switch,
    "pm1:0": _meter,
    "input:0": lambda component, reading: reading.state("input", component.get("state")),
    "temperature:0": lambda component, reading: reading.number("temperature_c", component.get("tC")),
    "humidity:0": lambda component, reading: reading.number("humidity_percent", component.get("rh")),
    "flood:0": lambda component, reading: reading.state("water_leak", component.get("alarm")),
    "smoke:0": lambda component, reading: reading.state("smoke", component.get("alarm")),
    "devicepower:0": lambda component, reading: reading.number(
        "battery_percent", _member(component, "battery", "percent", reading)
    ),
}


def _notification(message: dict[str, Any], reading: Reading) -> None:
    if message.get("method") not in ("NotifyStatus", "NotifyFullStatus"):
        return  # an event, such as a button that was pressed twice
    status = message.get("params")
    if not isinstance(status, dict):
        reading.faults.append("params is not an object")
        return
    for name, take in _COMPONENTS.items():
        component = status.get(name)
        if isinstance(component, dict):
            take(component, reading)
        elif component is not None:
            reading.faults.append(f"{name} is not an object")


SHELLY_GEN2 = Form(
    topics={
        "{name}/online": read_availability,
        "{name}/events/rpc": reads_json(_notification),
        **{f"{{name}}/status/{component}": reads_json(take) for component, take in _COMPONENTS.items()},
    },
    turn_on=Command("{name}/command/switch:0", b"on"),
    turn_off=Command("{name}/command/switch:0", b"off"),
    ask=Command("{name}/command/switch:0", b"status_update"),
)

FORMS: Mapping[str, Form] = {
    "zigbee2mqtt": ZIGBEE2MQTT,
    "tasmota": TASMOTA,
    "shelly_gen1": SHELLY_GEN1,
    "shelly_gen2": SHELLY_GEN2,
}
