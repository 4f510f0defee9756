"""What a machine says of itself, also one that says little."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent import machine


def test_this_machine_tells_its_versions_and_how_it_fares() -> None:
    told = machine.versions()
    assert told["libraries"].keys() == set(machine.LIBRARIES)
    assert None not in told["libraries"].values(), "a library is called otherwise now"
    fares = machine.machine()
    assert fares["memory_kib"]["MemTotal"] > 0
    assert 0 < fares["process"]["runs_s"] < fares["uptime_s"] + 1
    assert machine.disk(Path("/"))["bytes"] > 0


def test_what_a_service_may_not_see_of_the_kernel_is_none_and_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden(*_: object, **__: object) -> None:
        return None

    def refuse() -> tuple[float, float, float]:
        raise OSError("no /proc/loadavg")

    monkeypatch.setattr(machine, "_read", hidden)
    monkeypatch.setattr(os, "getloadavg", refuse)
    fares = machine.machine()
    assert (fares["uptime_s"], fares["load"], fares["memory_kib"], fares["temperatures_c"]) == (None, None, {}, {})
    assert fares["process"]["memory_kib"] is None


def test_sizes_are_told_by_name_for_our_own_files_alone(tmp_path: Path) -> None:
    (tmp_path / "station.db").write_bytes(b"x" * 10)
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks" / "one").write_bytes(b"x" * 20)
    (tmp_path / "networks" / "two").write_bytes(b"x" * 5)
    (tmp_path / "somebody.jpg").write_bytes(b"x" * 7)
    (tmp_path / "head").symlink_to(tmp_path / "gone")
    told = machine.files(tmp_path)
    assert {each["file"]: each["bytes"] for each in told if "file" in each and each["file"] != "head"} == {
        "networks": 25,
        "station.db": 10,
    }
    assert told[-1] == {"others": 1, "bytes": 7}
    assert "somebody" not in str(told)


def test_a_file_that_vanishes_while_it_is_looked_at_has_no_bytes(tmp_path: Path) -> None:
    assert machine._bytes(tmp_path / "station.db-wal") == 0
