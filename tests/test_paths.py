"""Where things are: paths that count from a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.paths import beside
from agent.settings import load_settings


def test_a_path_loses_its_steps_back(tmp_path: Path) -> None:
    assert beside(tmp_path / "config", Path("../var/try")) == tmp_path / "var" / "try"
    assert beside(tmp_path, Path("/srv/a/../b")) == Path("/srv/b")
    assert beside(tmp_path / "config" / "..", Path("state")) == tmp_path / "state"


def test_a_path_without_them_stays_as_it_is_written(tmp_path: Path) -> None:
    assert beside(Path("config"), Path("var")) == Path("config/var")
    assert beside(tmp_path, Path("/srv/b")) == Path("/srv/b")


def test_a_step_back_from_a_link_goes_where_the_system_goes(tmp_path: Path) -> None:
    (tmp_path / "real" / "config").mkdir(parents=True)
    (tmp_path / "config").symlink_to(tmp_path / "real" / "config")
    assert beside(tmp_path / "config", Path("../var")) == tmp_path / "real" / "var"


def test_a_link_that_is_named_last_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "first.pem").touch()
    (tmp_path / "live.pem").symlink_to(tmp_path / "first.pem")
    assert beside(tmp_path / "config", Path("../live.pem")) == tmp_path / "live.pem"


def test_links_in_a_circle_are_left_to_whoever_opens_the_file(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(OSError, match="link"):
        (beside(tmp_path / "a", Path("../c")) / "x").read_text()


def test_the_settings_paths_are_read_so(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    file = tmp_path / "config" / "station.toml"
    file.write_text(
        '[station]\nid = "s-1"\n[hardware]\nsimulated = true\n'
        '[camera]\nsource = "simulated"\n[state]\ndirectory = "../var/try"\n',
        encoding="utf-8",
    )
    settings = load_settings(file)
    assert settings.state.directory == tmp_path / "var" / "try"
    assert ".." not in str(settings.models_folder)
