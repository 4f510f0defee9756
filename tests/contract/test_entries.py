"""The table of the log's entries is what the agent writes: neither more nor less."""

from __future__ import annotations

from pathlib import Path

import pytest

import agent
from agent.contract.entries import ENTRIES, body_model
from tests.contract.log_types import UnreadableTypeError, types_in

AGENT = Path(agent.__file__).parent


def written(folder: Path, source: str) -> set[str]:
    """The types that a module of rules with this source writes."""
    rules = folder / "rules"
    rules.mkdir()
    (rules / "rule.py").write_text(source)
    return types_in(rules, folder / "none")


def test_every_type_that_is_written_is_in_the_table_and_no_other() -> None:
    assert types_in(AGENT / "core", AGENT / "storage") == set(ENTRIES), (
        "give the type its row in agent/contract/entries.py"
    )


def test_a_further_type_is_found_however_it_is_written(tmp_path: Path) -> None:
    source = """
def one(turn, is_new): turn.log("new.one", {}); turn.log("new.two" if is_new else "new.three", {})
def _keep(turn, kind): turn.log(kind, {})
def two(turn): _keep(turn, "new.four"); _keep(turn, kind="new.five")
"""
    assert written(tmp_path, source) == {"new.one", "new.two", "new.three", "new.four", "new.five"}


def test_a_type_that_cannot_be_read_is_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(UnreadableTypeError, match=r"rule\.py:2"):
        written(tmp_path, "def one(turn, names):\n    turn.log(names[0], {})\n")


def test_every_field_has_a_meaning_and_every_type_a_sentence() -> None:
    for kind, entry in ENTRIES.items():
        assert entry.means.endswith("."), kind
        assert all(part.means for part in entry.parts.values()), kind
        assert set(body_model(kind).model_fields) == set(entry.parts)
