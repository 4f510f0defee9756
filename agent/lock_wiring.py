"""How the lock is wired, read from a settings file that may be wrong everywhere else: for `station lock-safe`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from agent.core.problems import Problem, problem
from agent.door_settings import HardwareSettings, LockSettings
from agent.mistakes import problems_of
from agent.settings import SettingsError, parse, read
from agent.settings_fields import Table

_TableType = TypeVar("_TableType", bound=Table)


@dataclass(frozen=True, slots=True)
class LockWiring:
    """What is needed to take the current off the lock. `pin` is None when the hardware is simulated."""

    pin: int | None
    active_high: bool
    gpio_chip: str


def load_lock_wiring(path: Path) -> LockWiring:
    """Read how the lock is wired from a file that may be wrong everywhere else. Raises `SettingsError`.

    A file that is not even TOML is tried again with the tables [lock] and [hardware] alone: a typing error elsewhere
    must not keep current on a lock.
    """
    text = read(path, errors="replace")  # a comment in another encoding must not keep current on a lock either
    try:
        data = parse(path, text)
    except SettingsError:
        data = parse(path, _only_tables(text, ("lock", "hardware")))
        if "lock" not in data:
            raise
    found: list[Problem] = []
    hardware = _lenient(HardwareSettings, data.get("hardware", {}), ("simulated", "gpio_chip"), "hardware", found)
    lock = _lenient(LockSettings, data.get("lock", {}), ("pin", "active_high"), "lock", found)
    if found or lock is None or hardware is None:
        raise SettingsError(tuple(found))
    if not hardware.simulated and lock.pin is None:
        raise SettingsError((problem("settings.missing", "lock.pin"),))
    return LockWiring(None if hardware.simulated else lock.pin, lock.active_high, hardware.gpio_chip)


def _lenient(
    model: type[_TableType], table: object, keys: tuple[str, ...], where: str, found: list[Problem]
) -> _TableType | None:
    """Check these keys of a table; an unknown one is refused, for it may be a misspelt `active_high`."""
    passed_over = model.model_fields.keys() - set(keys)
    data = {key: value for key, value in table.items() if key not in passed_over} if isinstance(table, dict) else table
    try:
        return model.model_validate(data)
    except ValidationError as error:
        found += [
            replace(each, where=f"{where}.{each.where}".strip(".")) for each in problems_of(error, model, frozenset())
        ]
        return None


def _only_tables(text: str, names: tuple[str, ...]) -> str:
    kept, is_kept = [], False
    for line in text.splitlines():
        if header := re.match(r"\s*\[+\s*([^\]#]*)", line):
            is_kept = header[1].strip() in names
        if is_kept:
            kept.append(line)
    return "\n".join(kept)
