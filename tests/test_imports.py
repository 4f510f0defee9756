"""The rules about who may import what, held by reading the sources; each rule is shown to be able to fail."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import agent
from tests.imports import Import, Source, read_tree

ROOT = Path(agent.__file__).parents[1]
Sources = tuple[Source, ...]

# The wires are opened in modules of their own, the door's and the sensors', so that app.py stays the plan of the whole.
# Searching for what is attached is for installing, without an agent: it must not share a module with the running one.
# Footage plays files and no camera; `drivers.camera` stays the one that decodes video.
OPEN_DRIVERS = (
    "agent.app",
    "agent.hardware",
    "agent.sensor_hardware",
    "agent.sensor_scan",
    "agent.sensor_twins",
    "agent.vision.process",
    "agent.vision.footage",
)
LOCK_SAFE = ("agent.cli", ("drivers.lock", "drivers.pins", "drivers.errors"))
"""Where the command that makes the lock safe may stand, and the little that it may need of the drivers."""

CORE_MAY = ("agent.core", "agent.events", "agent.effects", "numpy")
# Of the standard library, what asks for the time, touches the outside, waits, or differs at every call.
IMPURE = (
    "asyncio",
    "concurrent",
    "fcntl",
    "glob",
    "http",
    "io",
    "logging",
    "mmap",
    "multiprocessing",
    "os",
    "pathlib",
    "queue",
    "random",
    "sched",
    "secrets",
    "select",
    "selectors",
    "shutil",
    "signal",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "sys",
    "tempfile",
    "threading",
    "time",
    "urllib",
    "uuid",
)
IMPURE_NAMES = ("open", "print", "input", "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.date.today")

VAGUE = {"util", "utils", "helper", "helpers", "common", "manager", "managers"}


def runtime(sources: Sources) -> Iterator[Import]:
    """Imports that happen when the programme runs."""
    return (each for source in sources for each in source.imports if not each.is_for_types)


def every(sources: Sources) -> Iterator[Import]:
    """All imports: a layer that knows another's types depends on it as well."""
    return (each for source in sources for each in source.imports)


def _stands_in(module: str, *packages: str) -> bool:
    return any(module == each or module.startswith(f"{each}.") for each in packages)


# --- the rules: what breaks them, in words ---------------------------------------------------------------------------


def drivers_know_no_agent(sources: Sources) -> list[str]:
    """Drivers know pins and volts, never people or rules."""
    return [str(each) for each in every(sources) if _stands_in(each.module, "drivers") and each.is_of("agent")]


def only_the_edge_opens_drivers(sources: Sources) -> list[str]:
    """The agent's parts get what they need; only the edge and the lock-safe command name a driver."""
    place, allowed = LOCK_SAFE
    breaches = []
    for each in every(sources):
        if not _stands_in(each.module, "agent") or not each.is_of("drivers"):
            continue
        if each.module not in OPEN_DRIVERS and not (_stands_in(each.module, place) and each.is_of(*allowed)):
            breaches.append(str(each))
    return breaches


def one_command_makes_the_lock_safe(sources: Sources) -> list[str]:
    """The exception for the lock is one module, not a door into the drivers."""
    found = {each.module for each in every(sources) if _stands_in(each.module, "agent.cli") and each.is_of("drivers")}
    return [] if len(found) <= 1 else [f"{name} imports a driver" for name in sorted(found)]


def core_is_pure(sources: Sources) -> list[str]:
    """Rules are functions: no input or output, no clock, no threads, no logging."""
    breaches = []
    for source in sources:
        if not _stands_in(source.name, "agent.core"):
            continue
        for each in source.imports:
            top = each.target.partition(".")[0]
            is_standard = top in sys.stdlib_module_names and not each.is_of(*IMPURE)
            if not is_standard and not each.is_of(*CORE_MAY):
                breaches.append(str(each))
        breaches += [f"{source.name}:{line} uses {name}" for name, line in source.uses if name in IMPURE_NAMES]
    return breaches


def _importers(sources: Sources, *packages: str) -> set[str]:
    return {each.module for each in runtime(sources) if each.is_of(*packages)}


def one_captures(sources: Sources) -> list[str]:
    """A camera may hang or freeze: one module knows how to handle that."""
    users = {source.name for source in sources for name, _ in source.uses if name == "cv2.VideoCapture"}
    return [] if len(users) <= 1 else [f"{name} uses cv2.VideoCapture" for name in sorted(users)]


def one_imports_dlib(sources: Sources) -> list[str]:
    """dlib holds the interpreter's lock while it computes: one module keeps it in its place."""
    users = _importers(sources, "dlib")
    return [] if len(users) <= 1 else [f"{name} imports dlib" for name in sorted(users)]


def one_imports_sqlite(sources: Sources) -> list[str]:
    """One module opens databases, with the pragmas that make an entry durable."""
    users = _importers(sources, "sqlite3", "sqlite_utils")
    return [] if len(users) <= 1 else [f"{name} imports sqlite" for name in sorted(users)]


def one_imports_paho_on_each_side(sources: Sources) -> list[str]:
    """One in the agent, and one in the driver for MQTT devices."""
    users = _importers(sources, "paho")
    breaches = []
    for side in ("agent", "drivers"):
        ours = sorted(name for name in users if _stands_in(name, side))
        breaches += [] if len(ours) <= 1 else [f"{name} imports paho" for name in ours]
    return breaches


def names_say_what_a_module_is_about(sources: Sources) -> list[str]:
    """Nobody knows what belongs into a module of helpers."""
    names = {part for source in sources for part in source.name.split(".")}
    return [f"a module is called {name}" for name in sorted(names) if VAGUE & set(name.split("_"))]


Rule = Callable[[Sources], list[str]]

# Each rule with a small tree that breaks it once: the files and what they hold.
RULES: list[tuple[Rule, dict[str, str]]] = [
    (drivers_know_no_agent, {"drivers/lock.py": "from agent.events import Event"}),
    (drivers_know_no_agent, {"drivers/lock.py": "from agent import events"}),
    (drivers_know_no_agent, {"drivers/a/lock.py": "def f():\n    import agent.clock"}),
    (
        drivers_know_no_agent,
        {"drivers/lock.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from agent.clock import Clock"},
    ),
    (drivers_know_no_agent, {"drivers/lock.py": "import importlib\nimportlib.import_module('agent.clock')"}),
    (only_the_edge_opens_drivers, {"agent/mqtt/link.py": "from drivers.lock import LockRelay"}),
    (only_the_edge_opens_drivers, {"agent/vision/pipeline.py": "from drivers import camera"}),
    (only_the_edge_opens_drivers, {"agent/control/server.py": "def f():\n    from drivers.lock import LockRelay"}),
    (only_the_edge_opens_drivers, {"agent/sensor_reports.py": "from drivers.radar import Presence"}),
    (only_the_edge_opens_drivers, {"agent/cli/sensors.py": "from drivers.one_wire import scan"}),
    (only_the_edge_opens_drivers, {"agent/cli/door.py": "from drivers.contact import DoorContact"}),
    (
        one_command_makes_the_lock_safe,
        {"agent/cli/safe.py": "import drivers.lock", "agent/cli/door.py": "import drivers.lock"},
    ),
    (core_is_pure, {"agent/core/door.py": "import time"}),
    (core_is_pure, {"agent/core/door.py": "from agent.core import turn\nfrom agent.clock import Clock"}),
    (core_is_pure, {"agent/core/door.py": "import pydantic"}),
    (core_is_pure, {"agent/core/door.py": "import logging.handlers"}),
    (core_is_pure, {"agent/core/door.py": "def f():\n    from os import path"}),
    (core_is_pure, {"agent/core/door.py": "from ..storage import log"}),
    (core_is_pure, {"agent/core/__init__.py": "from ..storage import log"}),
    (core_is_pure, {"agent/core/door.py": "from datetime import datetime\ndatetime.now()"}),
    (core_is_pure, {"agent/core/door.py": "import datetime as d\nd.datetime.now()"}),
    (core_is_pure, {"agent/core/door.py": "open('/etc/passwd')"}),
    (
        one_captures,
        {
            "drivers/camera.py": "import cv2\ncv2.VideoCapture(0)",
            "agent/vision/process.py": "import cv2\ncv2.VideoCapture",
        },
    ),
    (
        one_captures,
        {
            "drivers/camera.py": "import cv2\ncv2.VideoCapture(0)",
            "drivers/b.py": "def f():\n    from cv2 import VideoCapture as V\n    return V(0)",
        },
    ),
    (
        one_captures,
        {"drivers/camera.py": "import cv2\ncv2.VideoCapture(0)", "drivers/b.py": "import cv2 as c\nc.VideoCapture(0)"},
    ),
    (one_imports_dlib, {"agent/vision/a.py": "import dlib", "agent/vision/b.py": "def f():\n    import dlib"}),
    (
        one_imports_sqlite,
        {"agent/storage/a.py": "import sqlite3", "agent/storage/b.py": "from sqlite_utils import Database"},
    ),
    (one_imports_paho_on_each_side, {"agent/a.py": "import paho.mqtt.client", "agent/b.py": "from paho import mqtt"}),
    (one_imports_paho_on_each_side, {"drivers/a.py": "import paho", "drivers/b.py": "import paho"}),
    (names_say_what_a_module_is_about, {"agent/storage/utils.py": ""}),
    (names_say_what_a_module_is_about, {"drivers/pin_helpers.py": ""}),
    (names_say_what_a_module_is_about, {"agent/common/door.py": ""}),
    (names_say_what_a_module_is_about, {"agent/device_manager/__init__.py": ""}),
]
ALLOWED: list[tuple[Rule, dict[str, str]]] = [
    (only_the_edge_opens_drivers, {"agent/hardware.py": "from drivers.lock import LockRelay"}),
    (only_the_edge_opens_drivers, {"agent/vision/process.py": "from drivers.camera import open_camera"}),
    (only_the_edge_opens_drivers, {"agent/cli/lock_safe.py": "def f():\n    from drivers.lock import LockRelay"}),
    (
        core_is_pure,
        {"agent/core/door.py": "import math\nfrom . import turn\nfrom agent import effects\nimport numpy.linalg"},
    ),
    (
        core_is_pure,
        {"agent/core/door.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from numpy.typing import A"},
    ),
    (core_is_pure, {"agent/loop.py": "import time\nimport logging"}),
    (
        one_captures,
        {"drivers/camera.py": "import cv2\ncv2.VideoCapture(0)", "agent/vision/detector.py": "import cv2\ncv2.resize"},
    ),
    (
        one_imports_dlib,
        {
            "agent/vision/a.py": "import dlib",
            "agent/vision/b.py": "import typing\nif typing.TYPE_CHECKING:\n    import dlib",
        },
    ),
    (one_imports_paho_on_each_side, {"agent/a.py": "import paho", "drivers/b.py": "import paho"}),
    (names_say_what_a_module_is_about, {"agent/utilities_of_a_station.py": ""}),
]


def grow(root: Path, files: dict[str, str]) -> Sources:
    """Write a small tree and read it."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return read_tree(root, "agent", "drivers")


@pytest.fixture(scope="module")
def ours() -> Sources:
    return read_tree(ROOT, "agent", "drivers")


@pytest.mark.parametrize("rule", dict.fromkeys(rule for rule, _ in RULES), ids=lambda rule: rule.__name__)
def test_the_sources_keep_the_rule(rule: Rule, ours: Sources) -> None:
    assert rule(ours) == [], rule.__doc__


@pytest.mark.parametrize(("rule", "files"), RULES, ids=lambda each: getattr(each, "__name__", "tree"))
def test_the_rule_finds_what_breaks_it(rule: Rule, files: dict[str, str], tmp_path: Path) -> None:
    assert rule(grow(tmp_path, files))


@pytest.mark.parametrize(("rule", "files"), ALLOWED, ids=lambda each: getattr(each, "__name__", "tree"))
def test_the_rule_lets_pass_what_keeps_it(rule: Rule, files: dict[str, str], tmp_path: Path) -> None:
    assert rule(grow(tmp_path, files)) == []


def test_the_whole_of_the_sources_was_read(ours: Sources) -> None:
    names = {source.name for source in ours}
    assert {"agent", "agent.core.door", "drivers.lock", "drivers.simulated.lock"} <= names
    assert len(names) > 50
    assert [str(each) for each in every(ours) if each.module == "agent.core.access"] != []


def test_the_libraries_with_one_importer_have_that_one(ours: Sources) -> None:
    assert _importers(ours, "sqlite3", "sqlite_utils") == {"agent.storage.database"}
    assert _importers(ours, "dlib") == {"agent.vision.dlib_models"}
    assert _importers(ours, "paho") == {"agent.mqtt.client", "drivers.mqtt_connection"}
    assert {s.name for s in ours for name, _ in s.uses if name == "cv2.VideoCapture"} == {"drivers.camera"}
