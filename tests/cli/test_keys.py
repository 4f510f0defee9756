"""`station keys …`: the table that it prints is one that the settings take."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.cli.program import app as cli
from agent.core.commands import Scope
from agent.settings import load_settings

_MINIMUM = '[station]\nid = "t-1"\n[hardware]\nsimulated = true\n'


@pytest.mark.parametrize("scopes", [(), ("open",), tuple(Scope)])
def test_the_table_that_is_printed_goes_into_the_settings(tmp_path: Path, scopes: tuple[str, ...]) -> None:
    named = [word for each in scopes for word in ("--scope", each)]
    made = CliRunner().invoke(cli, ["keys", "generate", str(tmp_path / "central.key"), *named])
    assert made.exit_code == 0, made.stderr
    settings = tmp_path / "station.toml"
    settings.write_text(_MINIMUM + made.stdout, encoding="utf-8")
    assert load_settings(settings).commands.keys["central-1"].scopes == scopes


def test_a_key_that_may_do_nothing_yet_says_what_it_could(tmp_path: Path) -> None:
    file = str(tmp_path / "central.key")
    made = CliRunner().invoke(cli, ["--lang", "en", "keys", "generate", file])
    shown = CliRunner().invoke(cli, ["--lang", "en", "keys", "show", file])
    for said in (made.stderr, shown.stderr):
        assert "It may do nothing yet" in said
        assert all(each in said for each in Scope)
    assert "nothing yet" not in CliRunner().invoke(cli, ["keys", "show", file, "--scope", "open"]).stderr


def test_a_scope_that_there_is_not_makes_no_key(tmp_path: Path) -> None:
    file = tmp_path / "central.key"
    made = CliRunner().invoke(cli, ["keys", "generate", str(file), "--scope", "all"])
    assert made.exit_code == 2
    assert "'open', 'roster', 'operate', 'records'" in made.stderr
    assert not file.exists()
