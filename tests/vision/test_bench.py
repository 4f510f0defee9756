"""The comparison with `face_recognition`, in the process of its own that it needs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agent.vision import bench
from agent.vision.bench import FACES_MIN, BenchError, run_bench


def test_both_say_the_same_and_every_sample_is_kept() -> None:
    report = run_bench(samples=1)

    assert report["max_abs_difference"] <= 1e-5
    assert report["max_abs_difference"] == max(report["differences"])
    assert report["faces"] == len(report["differences"]) >= FACES_MIN
    for key in ("embed", "path", "path_whole", "match"):
        ours, reference = report[f"{key}_ms"], report[f"{key}_reference_ms"]
        assert report[f"{key}_ratio"] == pytest.approx(reference / ours)
        assert min(ours, reference) > 0
        assert len(report["samples_ms"][key]["ours"]) == len(report["samples_ms"][key]["reference"]) >= 1
    by_width = report["path_by_face_width_px"]
    assert set(by_width) == {"90", "120", "160", "220"}
    assert all(min(each.values()) > 0 for each in by_width.values())
    assert report["embed_ratio"] > 2  # that it is much quicker is for `make bench`, on a machine at rest
    assert set(report["detectors"]) == {"hog"}


def test_a_folder_with_too_few_faces_is_said_to_have_too_few(collins_path: Path, tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(collins_path.read_bytes())
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(BenchError, match="only 1 faces were found"):
        run_bench(tmp_path, samples=1)


@pytest.mark.parametrize("source", ["quit()", "raise ImportError('no models')"])
def test_a_reference_that_cannot_be_loaded_says_what_to_install(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "face_recognition.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "face_recognition", raising=False)
    with pytest.raises(BenchError, match="install the packages face-recognition"):
        bench._load_reference()


def test_a_process_that_dies_is_an_error_and_not_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(BenchError):
        run_bench()
