"""The report of the bars: what it runs, and how it says what was met."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

import bench.__main__ as report
from agent.vision.evaluate import Protocol, judge
from agent.vision.people import People
from bench.bar import Bar, not_measured
from bench.evaluation import Wanted
from tests.crowd import Crowd


def test_every_bar_is_a_line_with_its_verdict() -> None:
    bars = [
        Bar("vector", "≥ 15 ×", "16 ×", True),
        Bar("画面", "≥ 8 ×", "7 ×", False),
        not_measured("x", "y", "no file"),
    ]
    title, *lines = report.table(bars)

    assert [line.split()[-1] for line in lines] == ["met", "MET", "measured"]
    assert "NOT MET" in lines[1]
    assert "no file" in lines[2]
    assert lines[0].index("≥") == title.index("bar")
    assert lines[1].index("≥") == title.index("bar") - 2  # two characters that are two cells wide each


def test_a_name_that_is_no_measurement_is_a_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert report.main(["nonsense"]) == 2
    said = capsys.readouterr().err
    assert "nonsense" in said
    for name in ("engine", "evaluation", "idle"):
        assert name in said


def test_only_what_is_named_is_run_and_a_bar_that_is_not_met_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> Iterator[Bar]:
        yield Bar("speed", "≥ 2 ×", "1 ×", False)

    def never() -> Iterator[Bar]:
        raise AssertionError("this was not asked for")

    monkeypatch.setattr(report, "_measurements", lambda: {"one": fails, "other": never})
    assert report.main(["one"]) == 0
    assert "NOT MET" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("shares", "is_met"),
    [((0.01, 0.02, 0.03), True), ((0.02, 0.02, 0.03), False), ((0.01, 0.04, 0.03), False), ((0.01, 0.02, 0.05), False)],
)
def test_a_bar_is_met_only_when_every_share_is_small_enough(shares: tuple[float, float, float], is_met: bool) -> None:
    wanted = Wanted(Protocol(8), fpir=0.015, fpir_p95=0.03, fnir=0.04)
    fpir, fpir_p95, fnir = shares
    crowd = {f"p{n}": tuple(each) for n, each in enumerate(Crowd().people(12, 5))}
    measured = judge(People(crowd, {}), Protocol(8, splits=1), engine="dlib", weights="w")
    measured = replace(measured, fpir=fpir, fpir_p95=fpir_p95, fnir=fnir)

    assert wanted.is_met(measured) is is_met
    assert wanted.text == "FPIR ≤ 1.5%, p95 ≤ 3%, FNIR ≤ 4%"
