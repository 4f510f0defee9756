"""The settings as a support engineer may see them: what is listed here, and of everything else only that it is set.

Told are numbers, switches and words from a fixed list, in the tables of `TABLES`; and of texts those of `TEXTS`, as
long as they look as they should. So no secret, host, address, phone, file, account or name of a person is in it, nor
will be when a setting is added: it is not told until it stands here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from agent.settings import Settings

TABLES = frozenset(
    {
        *("appliances", "assessment", "bolt", "call_button", "camera", "codes", "consent", "contact", "contacts"),
        *("counter", "door", "emergency", "enrolment", "exit_button", "fire", "hardware", "indicator", "liveness"),
        *("lock", "log", "motion", "mqtt", "passes", "plugs", "readers", "readings", "recognition", "retention"),
        *("room", "schedule", "sensors", "serial", "supplies", "tamper", "vision", "visits", "welfare"),
    }
)
COUNTED = frozenset({"commands.keys", "control.roles", "notify.recipients", "passes.keys"})
"""Tables whose names are people's, accounts' or keys': only how many they are is told."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_DEVICE = re.compile(r"/dev/[A-Za-z0-9._:+=@#,/-]{1,200}")
_HOURS = re.compile(r"[0-9:,\-– a-z_]{0,60}")
TEXTS: Mapping[str, re.Pattern[str]] = {
    "station.id": re.compile(r"[a-z0-9-]{1,64}"),
    "station.timezone": re.compile(r"[A-Za-z0-9_+/-]{1,64}"),
    "hardware.gpio_chip": _DEVICE,
    "camera.source": re.compile(r"simulated|/dev/video[0-9]{1,3}"),
    "consent.version": re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"),
    "serial.*.port": _DEVICE,
    "sensors.*.port": _DEVICE,
    "sensors.*.line": _NAME,
    "readers.*.device": _DEVICE,
    "appliances.*.power": _NAME,
    "appliances.*.temperature": _NAME,
    "appliances.*.water": _NAME,
    "contacts.*.sensor": _NAME,
    "room.temperature": _NAME,
    "room.humidity": _NAME,
    "room.co2": _NAME,
    **{
        f"schedule.{day}": _HOURS
        for day in ("every_day", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    },
    "schedule.exceptions.*": _HOURS,
}
_PLAIN = frozenset({"station.id", "station.timezone", "station.is_master_public"})  # of a table that is not told
_NAMES = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,40}")  # of tables that settings name, and days

Row = dict[str, Any]


def rows(settings: Settings) -> list[Row]:
    """Each setting with its `path`, and its `value` or `is_set`; of some tables their `count`."""
    return list(_table(settings, "", ""))


def _table(table: BaseModel, path: str, form: str) -> Iterator[Row]:
    for name, info in type(table).model_fields.items():
        yield from _one(getattr(table, name), info.annotation, _join(path, name), _join(form, name))


def _one(value: Any, annotation: Any, path: str, form: str) -> Iterator[Row]:
    """`form`: the path with `*` for a name that the settings gave."""
    if form in COUNTED:
        yield {"path": path, "count": len(value)}
    elif isinstance(value, BaseModel):
        yield from _table(value, path, form)
    elif isinstance(value, Mapping):
        for number, (key, each) in enumerate(value.items(), 1):
            name = str(key) if _NAMES.fullmatch(str(key)) else str(number)
            yield from _one(each, None, f"{path}.{name}", f"{form}.*")
    else:
        told = _told(value, annotation, form)
        yield {"path": path, "is_set": value not in (None, "", ())} if told is None else {"path": path, "value": told}


def _told(value: Any, annotation: Any, form: str) -> Any:
    """What may be told of it; None: that it is set."""
    if form.partition(".")[0] not in TABLES and form not in _PLAIN:
        return None
    if isinstance(value, tuple):
        parts = [_told(each, None, form) for each in value]
        return None if not parts or None in parts else parts
    if isinstance(value, bool | int | float):
        return value
    pattern = TEXTS.get(form)
    if isinstance(value, str) and (_is_word(annotation) or (pattern is not None and pattern.fullmatch(value))):
        return value
    return None


def _is_word(annotation: Any) -> bool:
    """Whether it is one of a fixed list of words, or may be None."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return all(each is type(None) or _is_word(each) for each in get_args(annotation))
    return origin is Literal


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
