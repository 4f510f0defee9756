"""Settings that cannot be true together: each one is allowed, the pair is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.core.problems import Problem, problem
from agent.mistakes import Contradictions, conflict
from agent.opening_hours import overlaps
from agent.sensor_contradictions import pins_of_sensors, sensor_contradictions

if TYPE_CHECKING:
    from agent.link_settings import MqttSettings
    from agent.settings import Settings, StationSettings


def contradictions(settings: Settings, wrong: frozenset[str]) -> list[Problem]:
    """What cannot be true together. `wrong`: places that were reported already and are not judged again."""
    found = [
        *_pins(settings),
        *_schedule(settings),
        *_door(settings),
        *_recognition(settings),
        *_engine(settings),
        *_codes(settings),
        *_readers(settings),
        *_visits(settings),
        *_mqtt(settings.mqtt),
        *_log(settings),
        *_recipients(settings),
        *sensor_contradictions(settings),
        *_coordinates(settings.station),
    ]
    return [each for places, each in found if not any(_is_within(place, wrong) for place in places)]


def _is_within(place: str, wrong: frozenset[str]) -> bool:
    steps = place.split(".")
    return any(".".join(steps[: count + 1]) in wrong for count in range(len(steps)))


def pins_of(settings: Settings) -> dict[str, int | None]:
    """The pin of every device that is fitted, by its setting's path; None: it has none yet."""
    pins: dict[str, int | None] = {"lock.pin": settings.lock.pin}
    if settings.contact.fitted:
        pins["contact.pin"] = settings.contact.pin
    if settings.exit_button.fitted:
        pins["exit_button.pin"] = settings.exit_button.pin
    if settings.call_button.fitted:
        pins["call_button.pin"] = settings.call_button.pin
    for name, wire in (("fire", settings.fire), ("tamper", settings.tamper), ("bolt", settings.bolt)):
        if wire.fitted:
            pins[f"{name}.pin"] = wire.pin
    if settings.emergency.enabled and settings.emergency.pin is not None:
        pins["emergency.pin"] = settings.emergency.pin
    if settings.motion.fitted:
        pins["motion.pin"] = settings.motion.pin
    if settings.counter.fitted:
        pins |= {"counter.outer_pin": settings.counter.outer_pin, "counter.inner_pin": settings.counter.inner_pin}
    for name in ("light_pin", "buzzer_pin"):
        if (pin := getattr(settings.indicator, name)) is not None:
            pins[f"indicator.{name}"] = pin
    for name, reader in settings.readers.items():
        if reader.driver == "wiegand":
            pins |= {f"readers.{name}.d0_pin": reader.d0_pin, f"readers.{name}.d1_pin": reader.d1_pin}
    return pins | pins_of_sensors(settings)


def _pins(settings: Settings) -> Contradictions:
    users: dict[int, str] = {}
    for where, pin in pins_of(settings).items():
        if pin is None:
            if where.startswith("readers."):
                yield (where,), problem("settings.missing", where)
            elif not settings.hardware.simulated:
                fitted = where.rpartition(".")[0] + ".fitted"
                yield (where, fitted, "hardware.simulated"), problem("settings.missing", where)
        elif pin in users:
            other = users[pin]
            yield conflict(where, (other,), f"引脚 {pin} 已用于 {other}", f"pin {pin} is already used by {other}")
        else:
            users[pin] = where


def _schedule(settings: Settings) -> Contradictions:
    for where, words in overlaps(settings.schedule):
        yield conflict(where, (), words.zh, words.en)


def _door(settings: Settings) -> Contradictions:
    for name in ("unlock_s", "open_alarm_s"):
        usual, extended = getattr(settings.door, name), getattr(settings.door, f"extended_{name}")
        if extended < usual and f"extended_{name}" in settings.door.model_fields_set:
            yield conflict(
                f"door.extended_{name}",
                (f"door.{name}",),
                f"不能小于 door.{name}({usual}),现为 {extended}",
                f"must be at least door.{name} ({usual}), is {extended}",
            )


def _recognition(settings: Settings) -> Contradictions:
    needed, refuse = settings.recognition.frames_needed, settings.recognition.refuse_after_frames
    if refuse < needed:
        yield conflict(
            "recognition.refuse_after_frames",
            ("recognition.frames_needed",),
            f"不能小于 recognition.frames_needed({needed}),现为 {refuse}",
            f"must be at least recognition.frames_needed ({needed}), is {refuse}",
        )


def _engine(settings: Settings) -> Contradictions:
    if settings.vision.engine == "sface" and settings.vision.detector == "hog":
        yield conflict(
            "vision.detector",
            ("vision.engine",),
            "引擎 sface 需要 YuNet 找到的特征点:应为 auto 或 yunet",
            "the engine sface needs the points that YuNet finds: must be auto or yunet",
        )


def _codes(settings: Settings) -> Contradictions:
    if settings.codes.block_max_s < settings.codes.block_s:
        yield conflict(
            "codes.block_max_s",
            ("codes.block_s",),
            f"不能小于 codes.block_s({settings.codes.block_s} 秒),现为 {settings.codes.block_max_s} 秒",
            f"must be at least codes.block_s ({settings.codes.block_s} s), is {settings.codes.block_max_s} s",
        )


def _readers(settings: Settings) -> Contradictions:
    devices: dict[str, str] = {}
    for name, reader in settings.readers.items():
        where = f"readers.{name}"
        if reader.driver == "simulated" and not settings.hardware.simulated:
            yield conflict(
                f"{where}.driver",
                ("hardware.simulated",),
                "模拟的读卡器只能与 hardware.simulated = true 一起使用",
                "a simulated reader needs hardware.simulated = true",
            )
        if reader.driver == "hid" and reader.device is None:
            yield (f"{where}.device", f"{where}.driver"), problem("settings.missing", f"{where}.device")
        if reader.driver == "hid" and reader.device is not None:
            if reader.device in devices:
                other = devices[reader.device]
                yield conflict(
                    f"{where}.device", (other,), f"该设备已用于 {other}", f"this device is already used by {other}"
                )
            else:
                devices[reader.device] = f"{where}.device"
        if reader.side == "inside" and reader.sends == "keys":
            yield conflict(
                f"{where}.sends",
                (f"{where}.side",),
                "室内只能装读卡器:出门不需要密码",
                "inside there can only be a reader of cards: nobody needs a PIN to leave",
            )


def _visits(settings: Settings) -> Contradictions:
    has_exit_reader = any(each.side == "inside" for each in settings.readers.values())
    if settings.visits.passback == "hard" and not has_exit_reader:
        yield conflict(
            "visits.passback",
            ("readers",),
            'hard 需要一台 side = "inside" 的读卡器,否则离开的人无法再进入',
            'hard needs a reader with side = "inside", or whoever has left could not come in again',
        )


def _mqtt(mqtt: MqttSettings) -> Contradictions:
    tls = mqtt.tls
    if (tls.cert_file is None) != (tls.key_file is None):
        where, other = ("mqtt.tls.key_file", "mqtt.tls.cert_file")
        if tls.key_file is not None:
            where, other = other, where
        yield conflict(
            where, (other,), f"设置了 {other},也必须设置 {where}", f"{other} is set, so {where} must be set too"
        )
    if not tls.enabled and (tls.ca_file or tls.cert_file or tls.key_file):
        yield conflict(
            "mqtt.tls.enabled",
            (),
            "设置了 TLS 文件,但没有启用 TLS:连接不会加密",
            "TLS files are set but TLS is off: the link would not be encrypted",
        )
    if mqtt.password_file is not None and not mqtt.username:
        yield conflict(
            "mqtt.password_file", ("mqtt.username",), "有密码就必须有 mqtt.username", "a password needs mqtt.username"
        )


def _log(settings: Settings) -> Contradictions:
    may_confirm = any("records" in key.scopes for key in settings.commands.keys.values())
    if settings.log.prune_after == "confirmed" and not (settings.mqtt.enabled and may_confirm):
        yield conflict(
            "log.prune_after",
            ("mqtt.enabled", "commands.keys"),
            "confirmed 需要启用 MQTT,并有一个 records 权限的密钥,否则没有谁能确认",
            "confirmed needs mqtt.enabled and a key with the scope records, or nobody can confirm anything",
        )


def _recipients(settings: Settings) -> Contradictions:
    for name, recipient in settings.notify.recipients.items():
        where = f"notify.recipients.{name}"
        if not recipient.alarms and not recipient.faults:
            yield conflict(
                f"{where}.alarms",
                (f"{where}.faults",),
                f"与 {where}.faults 不能都为空:这样什么都不会通知",
                f"cannot be empty together with {where}.faults: this recipient would be told nothing",
            )
        if len(set(recipient.urls)) < len(recipient.urls):
            yield conflict(f"{where}.urls", (), "同一个名称写了两次", "names the same URL twice")


def _coordinates(station: StationSettings) -> Contradictions:
    if (station.latitude is None) != (station.longitude is None):
        where, other = ("station.longitude", "station.latitude")
        if station.latitude is None:
            where, other = other, where
        yield conflict(
            where, (other,), f"设置了 {other},也必须设置 {where}", f"{other} is set, so {where} must be set too"
        )
