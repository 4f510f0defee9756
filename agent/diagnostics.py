"""Collects a bundle for a support engineer on a thread of its own, without personal data.

Each section is bounded in time and stands by itself: one that fails, or does not end, says so in the bundle and the
rest is there. The bundle goes out in parts, each an object of JSON that can be read alone.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from agent import diagnostic_settings, machine
from agent.clock import Clock
from agent.core.bundle import as_sent, packed
from agent.effects import CollectDiagnostics
from agent.events import DiagnosticsCollected, Event
from agent.log_ring import LogRing
from agent.settings import Settings
from agent.storage import counting
from agent.storage.database import DatabaseError, explain
from agent.storage.opening import READINGS_DATABASE, STATION_DATABASE

log = logging.getLogger(__name__)

SECTION_S = 5.0
WHOLE_S = 25.0  # less than whoever asked waits for (`core.diagnosis.PATIENCE_S`)
_JOIN_S = 0.2
_WEEK = timedelta(days=7)

_FREE_TEXTS = frozenset({"message", "error", "text"})  # what drivers, libraries and the disk wrote into our own rows
_OF_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
_CREDENTIALS = re.compile(r"://\S*@")
_HOME = re.compile(r"(?<=/home/)[^/\s:;,'\")]+")  # whose it is
_LONG_NUMBER = re.compile(r"(?<!\w)\+?\d{7,}(?!\w)")

Section = Callable[[], Any]


class DiagnosticsCollector:
    """Carries out `CollectDiagnostics`; `DiagnosticsCollected` answers. The rules ask for one at a time."""

    def __init__(self, settings: Settings, ring: LogRing, clock: Clock, post: Callable[[Event], None]) -> None:
        self._settings = settings
        self._ring = ring
        self._clock = clock
        self._post = post
        self._thread: threading.Thread | None = None
        self._hanging: dict[str, threading.Thread] = {}
        self._words = _private_words(settings)

    def collect(self, order: CollectDiagnostics) -> None:
        """Begin; never blocks. While a bundle is under way another is not begun, and whoever asked hears nothing."""
        if self._thread is not None and self._thread.is_alive():
            log.warning("a bundle of diagnostics is still being collected: another one is not begun")
            return
        self._thread = threading.Thread(target=self._work, args=(order,), name="diagnostics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Wait a moment for the end; what hangs ends with the process."""
        for thread in (self._thread, *self._hanging.values()):
            if thread is not None:
                thread.join(_JOIN_S)

    def _work(self, order: CollectDiagnostics) -> None:
        try:
            collected = self._collect(order.sections)
            parts = tuple(packed(masked(collected, self._words)))
        except Exception:  # the top of this worker: a bundle is worth no restart of the station
            log.exception("the diagnostics could not be collected")
            parts = ({"collector": {"error": "it failed; the station's own log says where"}},)
        self._post(DiagnosticsCollected(self._clock.now(), order.request, parts))

    def _collect(self, told: Mapping[str, Any]) -> dict[str, Any]:
        until = time.monotonic() + WHOLE_S
        found = {"collected": {"at": self._clock.wall().isoformat()}, **told}
        for name, section in self._sections().items():
            found[name] = self._within(name, section, min(SECTION_S, max(0.0, until - time.monotonic())))
        return found

    def _sections(self) -> dict[str, Section]:
        folder = self._settings.state.directory
        station = folder / STATION_DATABASE
        return {
            "versions": machine.versions,
            "machine": machine.machine,
            "disk": lambda: machine.disk(folder),
            "files": lambda: machine.files(folder),
            "database": lambda: counting.about(station),
            "tables": lambda: counting.tables(station, folder / READINGS_DATABASE, SECTION_S - 1),
            "entries": lambda: counting.entries(station, self._clock.wall().utc - _WEEK, SECTION_S / 2),
            "settings": lambda: diagnostic_settings.rows(self._settings),
            "threads": machine.threads,
            "messages": self._ring.lines,
        }

    def _within(self, name: str, section: Section, seconds: float) -> Any:
        """What it gives, or why it gives nothing."""
        before = self._hanging.get(name)
        if before is not None and before.is_alive():
            return {"error": "it did not end the last time, and still does not"}
        given: list[Any] = []
        thread = threading.Thread(target=_try, args=(section, given), name=f"diagnostics-{name}", daemon=True)
        thread.start()
        thread.join(seconds)
        if thread.is_alive():
            self._hanging[name] = thread
            return {"error": f"no answer within {seconds:.0f} s"}
        return given[0]


def _try(section: Section, given: list[Any]) -> None:
    try:
        found = section()
        as_sent(found)  # what cannot travel is found here
    except (OSError, DatabaseError) as error:
        found = {"error": explain(error)}
    except Exception as error:  # the border of a section
        log.exception("a section of the diagnostics failed")
        found = {"error": type(error).__name__}
    given.append(found)


# --- what is taken out of free texts ----------------------------------------------------------------------------------


def _private_words(settings: Settings) -> tuple[re.Pattern[str], ...]:
    """What the settings say about people, accounts and places, in case that a text repeats it."""
    station, mqtt = settings.station, settings.mqtt
    words: set[str] = {station.master_name, station.master_phone, station.name, station.address, station.hotline}
    words |= {mqtt.username, settings.plugs.username, *settings.control.roles, *settings.notify.recipients}
    words |= {way for each in settings.notify.recipients.values() for way in each.urls}
    words |= {host for host in (mqtt.host, settings.plugs.host) if host not in _OF_THIS_MACHINE}
    words |= {str(settings.state.directory), str(settings.control.socket.parent)}  # perhaps in somebody's home
    longest_first = sorted((word for word in words if len(word.strip()) > 1), key=len, reverse=True)
    return tuple(_whole(word) for word in longest_first)


def _whole(word: str) -> re.Pattern[str]:
    """A word of letters is one only where it stands alone; Chinese has no spaces."""
    return re.compile(rf"(?<!\w){re.escape(word)}(?!\w)" if word.isascii() else re.escape(word))


def masked(value: Any, words: Iterable[re.Pattern[str]], *, is_free: bool = False) -> Any:
    """The same with `…` in free texts: for private words, credentials in URLs, whose home it is, and long numbers."""
    if isinstance(value, Mapping):
        return {key: masked(each, words, is_free=key in _FREE_TEXTS) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [masked(each, words) for each in value]
    if not is_free or not isinstance(value, str):
        return value
    text = _HOME.sub("…", _LONG_NUMBER.sub("…", _CREDENTIALS.sub("://…@", value)))
    for word in words:
        text = word.sub("…", text)
    return text
