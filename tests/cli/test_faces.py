"""`station faces …` as an account uses it."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agent.cli.evaluation import default_choice
from agent.cli.faces import app


def _portrait(package: str, file: str) -> Path:
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, path in (
        ("collins", _portrait("skimage", "data/astronaut.png")),
        ("hopper", _portrait("matplotlib", "mpl-data/sample_data/grace_hopper.jpg")),
    ):
        (tmp_path / name).mkdir()
        for number in range(2):
            shutil.copy(path, tmp_path / name / f"{number}{path.suffix}")
    return tmp_path


def test_evaluation_of_two_portraits_prints_json_and_leaves_nothing_behind(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    arguments = [
        "evaluate",
        ".",
        "--gallery",
        "1",
        "--enrol",
        "1",
        "--probe",
        "1",
        "--splits",
        "4",
        "--seed",
        "3",
        "--detector",
        "hog",
        "--json",
    ]
    before = sorted(folder.rglob("*"))

    result = CliRunner().invoke(app, arguments)

    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["fpir"] == 0.0
    assert report["fnir"] == 0.0
    assert report["gallery"] == 1
    assert report["strangers"] == 1
    assert report["probes"] == 8
    assert report["seed"] == 3
    assert "4/4" in result.stderr
    assert sorted(folder.rglob("*")) == before


def test_evaluation_is_told_in_both_languages(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["evaluate", str(folder), "--gallery", "1", "--enrol", "1", "--probe", "1", "--splits", "1"]
    monkeypatch.setenv("STATION_LANG", "en")
    english = CliRunner().invoke(app, arguments).stdout
    monkeypatch.setenv("STATION_LANG", "zh")
    chinese = CliRunner().invoke(app, arguments).stdout

    assert "strangers let in (FPIR) 0.00% [0.00%, " in english
    assert "陌生人被放进 FPIR 0.00%" in chinese


def test_a_gallery_larger_than_the_folder_says_how_many_there_are(folder: Path) -> None:
    result = CliRunner().invoke(app, ["evaluate", str(folder), "--gallery", "5", "--enrol", "1", "--probe", "1"])

    assert result.exit_code == 2
    assert "there are 2 such people" in result.stderr


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["evaluate", str(tmp_path / "faces"), "--gallery", "5"])

    assert result.exit_code == 2
    assert "is not a folder" in result.stderr


def test_evaluation_takes_the_settings_of_a_station(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    config = tmp_path_factory.mktemp("settings") / "station.toml"
    config.write_text(
        '[station]\nid = "t"\n[hardware]\nsimulated = true\n[recognition]\nmax_distance = 0.11\ntarget_fpir = 0.2\n'
        '[vision]\nface_min_width_px = 1000\ndetector = "hog"\n'
    )
    arguments = ["evaluate", str(folder), "--gallery", "1", "--enrol", "1", "--probe", "1", "--splits", "1", "--json"]
    report = json.loads(CliRunner().invoke(app, [*arguments, "--config", str(config)]).stdout)

    assert report["target_fpir"] == 0.2
    assert report["threshold"] <= 0.11
    assert report["failures"] == {"too_far": 4}
    assert CliRunner().invoke(app, [*arguments, "--config", str(config) + ".none"]).exit_code == 1


@pytest.mark.parametrize(
    ("options", "engine", "ceiling"),
    [({}, "dlib", 0.30), ({"engine": "sface"}, "sface", None), ({"engine": "dlib"}, "dlib", 0.30)],
)
def test_a_ceiling_holds_for_its_own_engine(options: dict[str, str], engine: str, ceiling: float | None) -> None:
    none: dict[str, Any] = {"engine": None, "detector": None, "models": None, "target_fpir": None}
    chosen = default_choice().with_options(**{**none, **options})

    assert (chosen.engine, chosen.ceiling) == (engine, ceiling)
    assert chosen.target_fpir == 0.01


def test_a_still_picture_is_never_live() -> None:
    picture = _portrait("skimage", "data/astronaut.png")
    result = CliRunner().invoke(app, ["liveness", str(picture), "--detector", "hog", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {
        "files": [{"file": str(picture), "verdict": "undecided", "reason": "too_short"}]
    }


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("no video")
    result = CliRunner().invoke(app, ["liveness", str(text), "--detector", "hog", "--lang", "en"])
    assert result.exit_code == 2
    assert "notes.mp4" in result.output
