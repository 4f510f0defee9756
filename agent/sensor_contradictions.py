"""Settings of sensors that cannot be true together: who names whom, and who is where."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.core.appliance_kinds import KINDS
from agent.core.problems import Words, problem
from agent.mistakes import Contradiction, Contradictions, conflict, show
from agent.sensor_settings import MEASURES, METERS, PLUGS, ApplianceSettings, NamedContactSettings, SensorSettings

if TYPE_CHECKING:
    from agent.settings import Settings

WIRES_OF_THE_DOOR = ("fire", "emergency", "tamper", "bolt")
"""Signals with tables of their own; a contact of the same name would speak for them."""

PZEM_BAUD = 9600  # fixed in the meter ("PZEM-004T V3.0 User Manual", 2.1)

NEVER_SWITCHED = {
    "refrigerator": Words("冰箱", "a refrigerator"),
    "aed": Words("AED", "an AED"),
    "router": Words("路由器", "a router"),
}
SAVED = ("light", "heater", "air_conditioner")
"""Kinds that serve only whoever is inside."""

_OF_POWER = ("learn", "run_max_min", "idle_max_h", "dead_max_min", "short_min", "weak_below")
_OF_TEMPERATURE = ("warm_above_c", "warm_after_h")
_REQUIRED = {"sensors": "driver", "contacts": "kind", "serial": "port"}
_PLACES = ("line", "address", "device", "port")
_NEEDED = {
    **dict.fromkeys(METERS, ("line", "address")),
    **dict.fromkeys(("ds18b20", "iio", *PLUGS), ("device",)),
    "ld2410": ("port",),
}
# As the drivers take them: the form of a device's name, and words for a name of another form.
_ONE_WIRE = (
    re.compile(r"28-[0-9a-f]{12}"),
    Words("应为 28- 加 12 位小写十六进制数字", "must be 28- and twelve digits or letters a to f"),
)
_IIO = (
    re.compile(r"[^@/\s]+(@[^@/\n]+)?"),
    Words("应为 IIO 设备名,或 名称@位置", "must be the name of an IIO device, or NAME@PLACE"),
)
_TOPIC = (
    re.compile(r"(?!\$|bridge(/|$))[^+#/\x00-\x1f\x7f]+(/[^+#/\x00-\x1f\x7f]+)*"),
    Words(
        "应为设备在主题中的名称,不含 + 和 #,首尾没有 /",
        "must be the device's name in its topics, without + and #, and without a slash at either end",
    ),
)
_FORMS = {"ds18b20": _ONE_WIRE, "iio": _IIO, **dict.fromkeys(PLUGS, _TOPIC)}


def sensor_contradictions(settings: Settings) -> Contradictions:
    """What cannot be true of sensors, contacts and appliances."""
    yield from _ports(settings)
    yield from _plugs(settings)
    for name, sensor in settings.sensors.items():
        yield from _sensor(settings, f"sensors.{name}", sensor)
    yield from _shared_devices(settings)
    for name, contact in settings.contacts.items():
        yield from _contact(settings, name, contact)
    yield from _one_mains(settings)
    yield from _shared_meters(settings)
    for quantity, sensor in settings.room:
        if sensor is not None:
            yield from _use(settings, f"room.{quantity}", sensor, quantity)
    for name, appliance in settings.appliances.items():
        yield from _appliance(settings, f"appliances.{name}", appliance)


def pins_of_sensors(settings: Settings) -> dict[str, int | None]:
    """The pins of contacts, by their settings' paths."""
    return {f"contacts.{name}.pin": each.pin for name, each in settings.contacts.items() if each.pin is not None}


def _ports(settings: Settings) -> Contradictions:
    """A port is opened for one alone."""
    users: dict[str, str] = {}
    named = {f"serial.{name}.port": each.port for name, each in settings.serial.items()}
    named |= {
        f"sensors.{name}.port": each.port
        for name, each in settings.sensors.items()
        if each.driver == "ld2410" and each.port is not None
    }
    for where, port in named.items():
        if port in users:
            yield _taken(where, users[port])
        users.setdefault(port, where)


def _plugs(settings: Settings) -> Contradictions:
    plugs = settings.plugs
    if plugs.password_file is not None and not plugs.username:
        yield conflict(
            "plugs.password_file",
            ("plugs.username",),
            "有密码就必须有 plugs.username",
            "a password needs plugs.username",
        )


def _sensor(settings: Settings, where: str, sensor: SensorSettings) -> Contradictions:
    driver = sensor.driver
    if driver == "simulated":
        if not settings.hardware.simulated:
            yield conflict(
                f"{where}.driver",
                ("hardware.simulated",),
                "模拟的传感器只能与 hardware.simulated = true 一起使用,否则会上报虚假读数",
                "a simulated sensor needs hardware.simulated = true, or invented readings would be reported",
            )
        return
    for key in _PLACES:
        value = getattr(sensor, key)
        if key in _NEEDED[driver] and value is None:
            yield (f"{where}.{key}", f"{where}.driver"), problem("settings.missing", f"{where}.{key}")
        elif key not in _NEEDED[driver] and value is not None:
            needed = ", ".join(_NEEDED[driver])
            yield conflict(
                f"{where}.{key}",
                (f"{where}.driver",),
                f"{driver} 没有 {key};它需要 {needed}",
                f"{driver} has no {key}; it needs {needed}",
            )
    yield from _pace(where, sensor)
    if driver in _FORMS and sensor.device is not None:
        pattern, words = _FORMS[driver]
        if not pattern.fullmatch(sensor.device):
            shown = show(sensor.device)
            said = Words(f"{words.zh},现为 {shown}", f"{words.en}, is {shown}")
            yield (f"{where}.device", f"{where}.driver"), problem("settings.invalid_value", f"{where}.device", said)
    if driver in METERS and sensor.line is not None:
        yield from _line(settings, where, sensor, sensor.line)


def _pace(where: str, sensor: SensorSettings) -> Contradictions:
    speaks = sensor.driver in (*PLUGS, "ld2410")
    if speaks and sensor.interval_s is not None:
        yield conflict(
            f"{where}.interval_s",
            (f"{where}.driver",),
            f"{sensor.driver} 自己上报,不需要 interval_s",
            f"{sensor.driver} speaks by itself: take interval_s away",
        )
    if sensor.driver not in PLUGS and "stale_s" in sensor.model_fields_set:
        yield conflict(
            f"{where}.stale_s",
            (f"{where}.driver",),
            "只有 MQTT 设备有 stale_s",
            "only MQTT devices have stale_s",
        )


def _line(settings: Settings, where: str, sensor: SensorSettings, name: str) -> Contradictions:
    line = settings.serial.get(name)
    if line is None:
        yield _unknown(f"{where}.line", "serial", name)
    elif sensor.driver == "pzem004t" and line.baud != PZEM_BAUD:
        yield conflict(
            f"{where}.line",
            (f"serial.{name}.baud",),
            f"pzem004t 固定为 {PZEM_BAUD} 波特,而 serial.{name}.baud 为 {line.baud}",
            f"a pzem004t speaks at {PZEM_BAUD} baud only, serial.{name}.baud is {line.baud}",
        )


def _shared_devices(settings: Settings) -> Contradictions:
    """Two sensors at one address: one of them is a mistake."""
    users: dict[tuple[str, ...], str] = {}
    for name, each in settings.sensors.items():
        if each.driver in METERS and each.line is not None and each.address is not None:
            place, key = (each.line, str(each.address)), "address"
        elif each.driver in _FORMS and each.device is not None:
            place, key = (each.driver, each.device), "device"
        else:
            continue
        where = f"sensors.{name}.{key}"
        if place in users:
            yield _taken(where, users[place])
        users.setdefault(place, where)


def _contact(settings: Settings, name: str, contact: NamedContactSettings) -> Contradictions:
    where = f"contacts.{name}"
    if name in WIRES_OF_THE_DOOR:
        yield conflict(
            where,
            (),
            f"名称 {name} 属于表 [{name}],请换一个名称",
            f"the name {name} belongs to the table [{name}]: choose another one",
        )
    if contact.pin is not None and contact.sensor is not None:
        yield conflict(
            f"{where}.sensor",
            (f"{where}.pin",),
            "引脚和传感器只能设置一个",
            "a contact has a pin or a sensor, not both",
        )
    elif contact.pin is None and contact.sensor is None and not settings.hardware.simulated:
        yield (f"{where}.pin", f"{where}.sensor", "hardware.simulated"), problem("settings.missing", f"{where}.pin")
    if contact.sensor is not None:
        yield from _use(settings, f"{where}.sensor", contact.sensor, "state")
    elif contact.state is not None:
        yield conflict(
            f"{where}.state",
            (f"{where}.sensor",),
            "只有 MQTT 传感器有 state",
            "only a contact of an MQTT sensor has a state",
        )


def _one_mains(settings: Settings) -> Contradictions:
    first, *others = [name for name, each in settings.contacts.items() if each.kind == "mains"] or [""]
    for name in others:
        yield conflict(
            f"contacts.{name}.kind",
            (f"contacts.{first}.kind",),
            f"市电只能有一个触点,已有 contacts.{first}",
            f"one contact tells of the mains, and contacts.{first} does",
        )


def _shared_meters(settings: Settings) -> Contradictions:
    users: dict[str, str] = {}
    for name, appliance in settings.appliances.items():
        if appliance.power is None:
            continue
        where = f"appliances.{name}.power"
        if appliance.power in users:
            other = users[appliance.power]
            yield conflict(
                where,
                (other,),
                f"传感器 {appliance.power} 已用于 {other}:一个电表只能测一台电器",
                f"the sensor {appliance.power} is already used by {other}: a meter tells of one appliance",
            )
        users.setdefault(appliance.power, where)


def _appliance(settings: Settings, where: str, appliance: ApplianceSettings) -> Contradictions:
    running, standby = appliance.running_above_w, appliance.standby_above_w
    if running <= standby:
        yield conflict(
            f"{where}.running_above_w",
            (f"{where}.standby_above_w",),
            f"必须大于 {where}.standby_above_w({standby} 瓦),现为 {running} 瓦",
            f"must be more than {where}.standby_above_w ({standby} W), is {running} W",
        )
    for quantity, name in (("power", appliance.power), ("temperature", appliance.temperature)):
        if name is not None:
            yield from _use(settings, f"{where}.{quantity}", name, quantity)
    if appliance.water is not None:
        tank = settings.contacts.get(appliance.water)
        if tank is None:
            yield _unknown(f"{where}.water", "contacts", appliance.water)
        elif tank.kind != "water":
            yield conflict(
                f"{where}.water",
                (f"contacts.{appliance.water}.kind",),
                f"contacts.{appliance.water} 的 kind 应为 water,现为 {tank.kind}",
                f"contacts.{appliance.water} must be of the kind water, is {tank.kind}",
            )
    if appliance.can_switch:
        yield from _switching(settings, where, appliance)
    yield from _saving(where, appliance)
    yield from _limits(where, appliance)


def _switching(settings: Settings, where: str, appliance: ApplianceSettings) -> Contradictions:
    if appliance.kind in NEVER_SWITCHED:
        words = NEVER_SWITCHED[appliance.kind]
        yield conflict(
            f"{where}.can_switch", (f"{where}.kind",), f"{words.zh}不允许远程关断", f"{words.en} is never switched off"
        )
    sensor = settings.sensors.get(appliance.power or "")
    if appliance.power is None or (sensor is not None and sensor.driver not in PLUGS):
        yield conflict(
            f"{where}.can_switch",
            (f"{where}.power",),
            f"{where}.power 必须是可开关的 MQTT 插座({', '.join(PLUGS)})",
            f"{where}.power must be a plug at the MQTT broker ({', '.join(PLUGS)})",
        )


def _saving(where: str, appliance: ApplianceSettings) -> Contradictions:
    if appliance.switch_off_when_empty_min is None:
        return
    place = f"{where}.switch_off_when_empty_min"
    if appliance.kind not in SAVED:
        able = ", ".join(SAVED)
        yield conflict(
            place,
            (f"{where}.kind",),
            f"无人时只关断 {able};食物、饮水、急救和网络可能依赖其他电器,现为 {appliance.kind}",
            f"only {able} is switched off when nobody is inside, for food, water, help or the network may hang on "
            f"others; this is a {appliance.kind}",
        )
    elif not appliance.can_switch:
        yield conflict(
            place,
            (f"{where}.can_switch",),
            f"需要 {where}.can_switch = true",
            f"needs {where}.can_switch = true",
        )


def _limits(where: str, appliance: ApplianceSettings) -> Contradictions:
    """A limit that no sensor can show to be passed would only seem to watch."""
    for keys, needed in ((_OF_POWER, "power"), (_OF_TEMPERATURE, "temperature")):
        if getattr(appliance, needed) is not None:
            continue
        for key in keys:
            if getattr(appliance, key) not in (None, False):
                yield conflict(
                    f"{where}.{key}",
                    (f"{where}.{needed}",),
                    f"需要设置 {where}.{needed}",
                    f"needs a sensor: set {where}.{needed}",
                )
    has_limit = appliance.warm_above_c is not None or KINDS[appliance.kind].warm_above_c is not None
    if appliance.warm_after_h is not None and not has_limit:
        yield conflict(
            f"{where}.warm_after_h",
            (f"{where}.warm_above_c", f"{where}.kind"),
            f"需要设置 {where}.warm_above_c",
            f"needs {where}.warm_above_c",
        )


def _use(settings: Settings, where: str, name: str, quantity: str) -> Contradictions:
    """A sensor must be there and be able to tell this."""
    sensor = settings.sensors.get(name)
    if sensor is None:
        yield _unknown(where, "sensors", name)
    elif quantity not in MEASURES[sensor.driver]:
        able = ", ".join(driver for driver, quantities in MEASURES.items() if quantity in quantities)
        yield conflict(
            where,
            (f"sensors.{name}.driver",),
            f"sensors.{name}({sensor.driver})不能提供这个量,可用的类型:{able}",
            f"sensors.{name} ({sensor.driver}) does not tell this; what does: {able}",
        )


def _unknown(where: str, tables: str, name: str) -> Contradiction:
    others = (f"{tables}.{name}.{_REQUIRED[tables]}",)  # a table that lacks this was left out for it
    return conflict(where, others, f"没有表 [{tables}.{name}]", f"there is no table [{tables}.{name}]")


def _taken(where: str, other: str) -> Contradiction:
    return conflict(where, (other,), f"已用于 {other}", f"is already used by {other}")
