"""The settings as a support engineer may see them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from agent import diagnostic_settings
from agent.diagnostic_settings import COUNTED, TABLES, TEXTS
from agent.settings import Settings, settings_from

LEFT_OUT = {"station", "state", "vault", "commands", "control", "notify"}

PRIVATE = {
    "station": {
        "id": "east-1",
        "name": "张三纪念驿站",
        "address": "城东路 1 号 2 单元",
        "latitude": 30.123456,
        "longitude": 120.654321,
        "master_name": "张三",
        "master_phone": "13800001234",
        "hotline": "12351",
        "opening_hours": "zhangsan is here all day",
        "equipment": ["zhangsans-oven"],
    },
    "state": {"directory": "/home/zhangsan/state"},
    "mqtt": {
        "enabled": True,
        "host": "broker.zhangsan.example",
        "username": "zhangsan-mqtt",
        "password_file": "zhangsan.password",
        "prefix": "zhangsan",
    },
    "control": {"roles": {"zhangsan": "master"}, "socket": "/run/zhangsan.sock"},
    "camera": {"source": "rtsp://zhangsan:secret-word@10.11.12.13/1"},
    "sensors": {"plug": {"driver": "tasmota", "device": "zhangsans-plug"}},
    "appliances": {"lamp": {"kind": "light", "label_zh": "张三的灯", "label_en": "zhangsan's", "power": "plug"}},
    "notify": {"recipients": {"zhangsan": {"urls": ["zhangsan-mail"]}}, "urls_file": "zhangsan.urls"},
    "hardware": {"simulated": True},
}


def rows(data: dict[str, Any]) -> dict[str, Any]:
    settings = settings_from(data, Path("/etc/zhangsan"))
    return {row["path"]: row for row in diagnostic_settings.rows(settings)}


def test_nothing_about_a_person_an_account_or_a_place_is_told() -> None:
    text = json.dumps(list(rows(PRIVATE).values()), ensure_ascii=False)
    for secret in ("zhangsan", "张三", "secret-word", "13800001234", "城东", "10.11.12.13", "30.12", "120.65", "12351"):
        assert secret not in text, secret


def test_what_is_left_out_is_told_to_be_set_or_not_and_people_are_counted() -> None:
    told = rows(PRIVATE)
    assert told["mqtt.host"] == {"path": "mqtt.host", "is_set": True}
    assert told["station.latitude"] == {"path": "station.latitude", "is_set": True}
    assert told["mqtt.tls.ca_file"] == {"path": "mqtt.tls.ca_file", "is_set": False}
    assert told["camera.source"] == {"path": "camera.source", "is_set": True}
    assert told["notify.recipients"]["count"] == told["control.roles"]["count"] == 1


def test_numbers_switches_and_words_of_a_list_are_told() -> None:
    told = {path: row.get("value") for path, row in rows(PRIVATE).items()}
    assert told["station.id"] == "east-1"
    assert told["mqtt.port"] == 1883
    assert told["mqtt.enabled"] is True
    assert told["lock.kind"] == "fail_secure"
    assert told["sensors.plug.driver"] == "tasmota"
    assert told["appliances.lamp.power"] == "plug"
    assert told["assessment.repair_h"] == [24.0, 48.0, 96.0, 168.0]
    assert rows({**PRIVATE, "camera": {"source": "/dev/video2"}})["camera.source"]["value"] == "/dev/video2"


def test_a_new_table_of_settings_is_told_only_once_somebody_has_decided_it() -> None:
    assert set(Settings.model_fields) == TABLES | LEFT_OUT


def test_the_list_of_what_is_told_names_settings_that_there_are() -> None:
    for form in (*TEXTS, *COUNTED):
        model: Any = Settings
        for step in form.split("."):
            if step == "*":
                continue
            fields = model.model_fields
            assert step in fields, form
            model = next((each for each in _models(fields[step].annotation)), None)


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [each for part in getattr(annotation, "__args__", ()) for each in _models(part)]
