"""What this machine is and how it fares, read from the kernel: versions, load, heat, memory, disk, files.

What a machine does not tell is None. Nothing here names a host, an account or a person.
"""

from __future__ import annotations

import os
import platform
import resource
import shutil
import threading
import time
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Any

from agent import __version__
from agent.mqtt.discovery import NOTE_FILE
from agent.storage.opening import HEAD_FILE, LEDGER_FILE, READINGS_DATABASE, STATION_DATABASE
from agent.storage.set_aside import SUSPECT_MARK

LIBRARIES = (
    *("apprise", "cryptography", "dlib-bin", "face-recognition", "gpiod", "gpiozero", "joserfc", "numpy"),
    *("opencv-python-headless", "paho-mqtt", "pillow", "pydantic", "pymodbus", "pyserial", "sqlite-utils", "typer"),
)

_DATABASES = (STATION_DATABASE, READINGS_DATABASE)
FILES = frozenset(
    {
        *(f"{name}{suffix}" for name in _DATABASES for suffix in ("", "-wal", "-shm")),
        *(HEAD_FILE, LEDGER_FILE, SUSPECT_MARK, NOTE_FILE),
        *("template.keys", "credential.keys", "notify.urls", "stage.json", "networks", "models"),
    }
)
"""What the agent itself keeps in its folder; of everything else only the number and the bytes are told."""

_FILES_MAX = 2_000  # that are looked at; the folder has some dozens
_TEXT_MAX = 200  # characters of what a file of the kernel says


def versions() -> dict[str, Any]:
    """Of the agent and of what it stands on."""
    return {
        "agent": __version__,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "model": _read("/sys/firmware/devicetree/base/model"),
        "system": _system(),
        "libc": " ".join(platform.libc_ver()).strip() or None,
        "libraries": {name: _version(name) for name in LIBRARIES},
    }


def machine() -> dict[str, Any]:
    """Load, heat and memory, of the machine and of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "uptime_s": _number(_read("/proc/uptime")),
        "load": _load(),
        "cpus": os.cpu_count(),
        "temperatures_c": _temperatures(),
        "memory_kib": _memory(),
        "process": {
            "memory_kib": _of_process("VmRSS"),
            "memory_peak_kib": _of_process("VmHWM"),
            "threads": threading.active_count(),
            "open_files": sum(1 for _ in Path("/proc/self/fd").iterdir()),
            "cpu_s": round(usage.ru_utime + usage.ru_stime, 1),
            "runs_s": round(time.monotonic() - _began_at(), 1),
        },
    }


def disk(folder: Path) -> dict[str, Any]:
    """Of the file system that the state is on. Raises OSError."""
    usage = shutil.disk_usage(folder)
    system = os.statvfs(folder)
    return {
        "bytes": usage.total,
        "free_bytes": usage.free,
        "inodes": system.f_files,
        "free_inodes": system.f_favail,
        "is_read_only": bool(system.f_flag & os.ST_RDONLY),
    }


def files(folder: Path) -> list[dict[str, Any]]:
    """Sizes of what the agent keeps there; a folder's with all that is in it. Raises OSError."""
    known: dict[str, int] = {}
    others, other_bytes = 0, 0
    for entry in sorted(islice(folder.iterdir(), _FILES_MAX)):
        size = _size(entry)
        if entry.name in FILES:
            known[entry.name] = size
        else:
            others, other_bytes = others + 1, other_bytes + size
    rows: list[dict[str, Any]] = [{"file": name, "bytes": size} for name, size in known.items()]
    return [*rows, {"others": others, "bytes": other_bytes}]


def threads() -> list[dict[str, Any]]:
    """Those of this process."""
    return [{"thread": each.name, "is_daemon": each.daemon} for each in threading.enumerate()]


def _size(entry: Path) -> int:
    if not entry.is_dir() or entry.is_symlink():
        return _bytes(entry)
    return sum(_bytes(each) for each in islice(entry.rglob("*"), _FILES_MAX) if not each.is_dir())


def _bytes(file: Path) -> int:
    """One that has gone since it was listed, as a write-ahead file does, has none."""
    try:
        return file.lstat().st_size
    except FileNotFoundError:
        return 0


def _load() -> list[float] | None:
    try:
        return [round(each, 2) for each in os.getloadavg()]
    except OSError:
        return None


def _system() -> str | None:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")[:_TEXT_MAX] or None
    except OSError:
        return None


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _temperatures() -> dict[str, float]:
    found: dict[str, float] = {}
    for zone in sorted(Path("/sys/class/thermal").glob("thermal_zone*"))[:20]:
        value = _number(_read(zone / "temp"))
        if value is not None:
            found[_read(zone / "type") or zone.name] = value / 1000
    return found


def _memory() -> dict[str, int]:
    wanted = ("MemTotal", "MemAvailable", "SwapTotal", "SwapFree", "Dirty")
    found = dict(line.split(":", 1) for line in _lines("/proc/meminfo") if ":" in line)
    return {name: int(found[name].split()[0]) for name in wanted if name in found}


def _of_process(name: str) -> int | None:
    found = dict(line.split(":", 1) for line in _lines("/proc/self/status") if ":" in line)
    return int(found[name].split()[0]) if name in found else None


def _began_at() -> float:
    """When this process began, monotonic, by its field 22 in /proc/self/stat (proc(5)): ticks since the boot."""
    fields = (_read("/proc/self/stat", limit=4096) or "").rpartition(")")[2].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK") if len(fields) > 19 else time.monotonic()


def _number(text: str | None) -> float | None:
    try:
        return float((text or "").split()[0])
    except (ValueError, IndexError):
        return None


def _lines(path: str) -> list[str]:
    return (_read(path, limit=16_384) or "").splitlines()


def _read(path: str | Path, *, limit: int = _TEXT_MAX) -> str | None:
    try:
        with Path(path).open("rb") as file:
            return file.read(limit).decode("utf-8", "replace").strip("\x00\n ") or None
    except OSError:
        return None
