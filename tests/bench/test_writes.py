"""The measurement of what is written: what it models, and what it says where it cannot count sectors."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from bench import writes


def test_a_modelled_day_has_its_visits_within_the_day_and_counters_only_grow() -> None:
    entries = list(writes._entries(random.Random(1), 0.0, 200))
    kinds = [each.type for each in entries]
    assert kinds.count("station.visit.entered") == kinds.count("station.visit.left") == 200
    assert all(0 <= each.at < writes.DAY_S for each in entries)
    values = writes.Values(random.Random(1))
    counted = [values.next("mains", "energy_kwh") for _ in range(1000)]
    assert counted == sorted(counted)
    assert counted[-1] > counted[0]
    assert len(writes.SENSORS) == 12


def test_without_the_right_to_mount_it_counts_what_the_process_wrote_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writes, "_try", lambda *_: False)
    monkeypatch.setattr(writes, "SENSORS", {"mains": (60.0, ("power_w",))})
    with writes._disk(tmp_path) as disk:
        found = writes._measure_each(disk)
    assert found.verdict == ""
    assert "3 commits in 3 minutes" in found.measured
    assert "no right to mount" in found.measured
