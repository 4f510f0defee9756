"""docs/door.md says what the table does."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from agent.core import door_reactions as do
from agent.core import door_table
from agent.core.door import Input, Mode

_MAKER = Path(__file__).parents[2] / "docs" / "make_door.py"


@pytest.fixture
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_door", _MAKER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_document_is_made_from_the_table_as_it_is(maker: ModuleType) -> None:
    assert maker.TARGET.read_text(encoding="utf-8") == maker.text(), "run `python docs/make_door.py`"


def test_a_changed_cell_makes_the_document_stale(maker: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    row = (do.refuse,) * 9
    monkeypatch.setitem(door_table.TABLE, (Input.FIRE_BEGAN, Mode.NORMAL), row)
    assert maker.TARGET.read_text(encoding="utf-8") != maker.text()
    monkeypatch.undo()
    monkeypatch.setattr(maker, "ROWS", maker.ROWS[1:])
    assert maker.TARGET.read_text(encoding="utf-8") != maker.text()


def test_every_mode_and_input_is_in_it(maker: ModuleType) -> None:
    text = maker.text()
    assert all(f"| {each.value} |" in text for each in (*Mode, *Input))
