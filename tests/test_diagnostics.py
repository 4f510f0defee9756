"""Collecting a bundle: every section by itself, bounded in time, and nothing private in free texts."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent import diagnostics, log_ring, machine
from agent.clock import SystemClock
from agent.core.bundle import PART_BYTES, as_sent, unpacked
from agent.diagnostics import DiagnosticsCollector
from agent.effects import CollectDiagnostics
from agent.events import DiagnosticsCollected, Event
from agent.settings import Settings, settings_from

SECTIONS = {
    *("collected", "station", "versions", "machine", "disk", "files", "database", "tables", "entries"),
    *("settings", "threads", "messages"),
}


def settings_of(folder: Path) -> Settings:
    return settings_from(
        {
            "station": {"id": "east-1", "master_name": "张三", "master_phone": "138-0000"},
            "state": {"directory": str(folder)},
            "control": {"roles": {"zhangsan": "master"}},
            "mqtt": {"host": "broker.example.org"},
            "notify": {"recipients": {"lisi": {"urls": ["li-mail"]}}},
            "hardware": {"simulated": True},
        },
        folder,
    )


class Collector:
    """The collector, and what it said."""

    def __init__(self, folder: Path, ring: log_ring.LogRing) -> None:
        self.said: queue.Queue[Event] = queue.Queue()
        self.worker = DiagnosticsCollector(settings_of(folder), ring, SystemClock(), self.said.put)

    def bundle(self, **sections: Any) -> dict[str, Any]:
        self.worker.collect(CollectDiagnostics("r-1", {"station": {"id": "east-1"}, **sections}))
        told = self.said.get(timeout=30)
        assert isinstance(told, DiagnosticsCollected)
        assert told.request == "r-1"
        assert all(len(as_sent(part)) <= PART_BYTES for part in told.parts)
        return unpacked(told.parts)


@contextmanager
def collecting(folder: Path) -> Iterator[Collector]:
    with log_ring.kept() as ring:
        collector = Collector(folder, ring)
        try:
            yield collector
        finally:
            collector.worker.close()


def test_every_section_is_there_though_the_database_is_not(tmp_path: Path) -> None:
    (tmp_path / "station.db").write_bytes(b"x" * 5_000)
    (tmp_path / "zhangsan.jpg").write_bytes(b"x" * 7)
    with collecting(tmp_path) as collector:
        logging.getLogger("agent.x").warning("sensors.plug: out of reach")
        whole = collector.bundle()
    assert set(whole) == SECTIONS
    assert whole["files"] == [{"file": "station.db", "bytes": 5_000}, {"others": 1, "bytes": 7}]
    assert {each["rows"] for each in whole["tables"]} == {None}
    assert "error" in whole["entries"]
    assert whole["versions"]["libraries"]["numpy"]
    assert whole["machine"]["process"]["memory_kib"] > 1_000
    assert whole["disk"]["free_bytes"] > 0
    assert "diagnostics-threads" in {each["thread"] for each in whole["threads"]}
    assert [each["message"] for each in whole["messages"]] == ["sensors.plug: out of reach"]


def test_a_section_that_fails_or_hangs_says_so_and_the_rest_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()

    def fail() -> dict[str, Any]:
        raise ZeroDivisionError("a name of somebody")

    def hang(_folder: Path) -> dict[str, Any]:
        released.wait(30)
        return {}

    monkeypatch.setattr(machine, "versions", fail)
    monkeypatch.setattr(machine, "machine", lambda: {"load": float("nan")})
    monkeypatch.setattr(machine, "disk", hang)
    monkeypatch.setattr(diagnostics, "SECTION_S", 1.2)
    with collecting(tmp_path) as collector:
        try:
            whole = collector.bundle()
            again = collector.bundle()
        finally:
            released.set()
    assert whole["versions"] == {"error": "ZeroDivisionError"}
    assert whole["machine"] == {"error": "ValueError"}
    assert whole["disk"] == {"error": "no answer within 1 s"}
    assert "still does not" in again["disk"]["error"]
    assert set(whole) == set(again) == SECTIONS
    assert "somebody" not in str(whole)


def test_free_texts_lose_private_words_credentials_and_long_numbers_and_nothing_else_does(tmp_path: Path) -> None:
    with collecting(tmp_path) as collector:
        log = logging.getLogger("agent.x")
        log.warning("rtsp://user:se@cret@10.0.0.1/1 cannot be opened")
        log.warning("no link to broker.example.org:8883: %s/station.db is full", tmp_path)
        log.warning("the account zhangsan, 张三 and lisi called 13800001234 from /dev/video0 for 25.5 s, listing all")
        log.warning("camera /home/wangwu/门.mp4: no such file; consent in /home/wangwu: /homework is whole")
        whole = collector.bundle(
            sensors=[{"sensor": "sensors.lisi", "error": "zhangsan pulled it"}],
            faults=[{"text": "张三", "where": "lock"}],
        )
    assert [each["message"] for each in whole["messages"]] == [
        "rtsp://…@10.0.0.1/1 cannot be opened",
        "no link to …:8883: …/station.db is full",
        "the account …, … and … called … from /dev/video0 for 25.5 s, listing all",
        "camera /home/…/门.mp4: no such file; consent in /home/…: /homework is whole",
    ]
    assert whole["sensors"] == [{"sensor": "sensors.lisi", "error": "… pulled it"}]
    assert whole["faults"] == [{"text": "…", "where": "lock"}]


def test_a_bundle_under_way_is_not_begun_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def wait(_folder: Path) -> dict[str, Any]:
        released.wait(30)
        return {}

    monkeypatch.setattr(machine, "disk", wait)
    with collecting(tmp_path) as collector:
        collector.worker.collect(CollectDiagnostics("r-1", {}))
        collector.worker.collect(CollectDiagnostics("r-2", {}))
        released.set()
        assert isinstance(told := collector.said.get(timeout=30), DiagnosticsCollected)
        assert told.request == "r-1"
    assert collector.said.empty()
