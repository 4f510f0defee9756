"""`station models …` as an account uses it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.cli import models as commands
from agent.cli.models import app
from agent.vision.models import PUBLISHED, Model, install_model, sha256_of, state_of

CONTENT = b"a small network"
YUNET = Path(__file__).parents[2].parent / "shared/data/models/face_detection_yunet_2023mar.onnx"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STATION_LANG", "en")
    path = tmp_path / "station.toml"
    path.write_text('[station]\nid = "t"\n[hardware]\nsimulated = true\n[state]\ndirectory = "state"\n')
    return path


def test_every_published_file_is_listed_with_where_it_belongs_and_comes_from(config: Path, tmp_path: Path) -> None:
    listed = CliRunner().invoke(app, ["list", "--config", str(config)])
    as_json = json.loads(CliRunner().invoke(app, ["list", "--config", str(config), "--json"]).stdout)

    assert listed.exit_code == 0
    assert [each["name"] for each in as_json] == list(PUBLISHED)
    for each in as_json:
        model = PUBLISHED[each["name"]]
        assert each["state"] == "missing"
        assert each["path"] == str(tmp_path / "state" / "models" / model.file)
        assert model.sha256 in listed.stdout
        assert model.source in listed.stdout
    assert "yunet: not installed" in listed.stdout


def test_a_wrong_file_is_refused_and_nothing_is_copied(config: Path, tmp_path: Path) -> None:
    (tmp_path / "f.onnx").write_bytes(b"not a network")
    done = CliRunner().invoke(app, ["install", "yunet", "--file", str(tmp_path / "f.onnx"), "--config", str(config)])

    assert done.exit_code == 1
    assert "its sha256 is" in done.stderr
    assert PUBLISHED["yunet"].source in done.stderr
    assert not (tmp_path / "state").exists()


def test_the_published_file_is_put_where_the_settings_say(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table: Mapping[str, Model] = {
        "yunet": Model("yunet", "y.onnx", sha256_of(CONTENT), 64, "MIT", "https://example.org")
    }
    monkeypatch.setattr(commands, "PUBLISHED", table)
    monkeypatch.setattr(commands, "install_model", lambda name, file, folder: install_model(name, file, folder, table))
    monkeypatch.setattr(commands, "state_of", lambda name, folder: state_of(name, folder, table))
    (tmp_path / "f.onnx").write_bytes(CONTENT)
    done = CliRunner().invoke(app, ["install", "yunet", "--file", str(tmp_path / "f.onnx"), "--config", str(config)])

    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "state" / "models" / "y.onnx").read_bytes() == CONTENT
    assert "yunet: installed" in CliRunner().invoke(app, ["list", "--config", str(config)]).stdout


def test_the_real_file_of_yunet_is_installed(config: Path, tmp_path: Path) -> None:
    if not YUNET.is_file():
        pytest.skip("needs YuNet's file in ../shared/data/models")
    done = CliRunner().invoke(app, ["install", "yunet", "--file", str(YUNET), "--models", str(tmp_path)])

    assert done.exit_code == 0, done.stderr
    assert (tmp_path / YUNET.name).read_bytes() == YUNET.read_bytes()


def test_a_name_that_does_not_exist_is_a_wrong_use(config: Path) -> None:
    done = CliRunner().invoke(app, ["install", "arcface", "--file", str(config), "--config", str(config)])

    assert done.exit_code == 2
    assert "one of yunet, sface" in done.stderr


def test_settings_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["list", "--config", str(tmp_path / "none.toml")]).exit_code == 1
