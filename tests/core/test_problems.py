"""The one model for what is wrong."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

import agent
from agent.core.problems import CATALOGUE, Severity, Words, problem

SOURCES = Path(agent.__file__).parent


def _codes_in(path: Path) -> set[str]:
    """First arguments of calls of `problem` and `raise_fault` that are written out."""
    codes = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in ("problem", "raise_fault", "word_fault"):
                codes.add(str(node.args[0].value))
    return codes


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_problem_has_text_and_remedy_in_both_languages(code: str) -> None:
    kind = CATALOGUE[code]
    for words in (kind.text, kind.remedy):
        assert any("\u4e00" <= letter <= "\u9fff" for letter in words.zh)
        assert words.en
        assert ("{detail}" in words.zh) == ("{detail}" in words.en)
    assert "{" not in kind.remedy.en.replace("{detail}", "")
    assert kind.remedy.en.endswith(".")


def test_every_code_that_the_agent_uses_is_in_the_catalogue() -> None:
    used = {code for path in SOURCES.rglob("*.py") for code in _codes_in(path)}
    assert len(used) > 15
    assert used <= set(CATALOGUE)


def test_an_unknown_code_is_a_mistake_of_the_programme() -> None:
    with pytest.raises(KeyError):
        problem("no.such.code", "here")


def test_the_particulars_stand_in_both_texts() -> None:
    found = problem("camera.failed", "camera", "unplugged", since=3.0)
    assert (found.severity, found.since) == (Severity.ERROR, 3.0)
    assert "unplugged" in found.text.zh
    assert "unplugged" in found.text.en
    two = problem("camera.failed", "camera", Words("拔掉了", "unplugged"))
    assert "拔掉了" in two.text.zh
    assert "拔掉了" not in two.text.en


def test_a_text_without_its_particulars_ends_where_it_ends() -> None:
    found = problem("settings.unknown_key", "opening").text
    assert (found.zh, found.en) == ("没有这个配置项。", "There is no such setting.")


def test_particulars_that_look_like_a_place_are_only_text() -> None:
    assert problem("camera.failed", "camera", "{detail} {0}").text.en.endswith("{detail} {0}")


def test_a_problem_goes_over_the_wire_as_json() -> None:
    found = problem("camera.failed", "camera", "unplugged", since=3.0).as_dict()
    assert json.loads(json.dumps(found)) == found
    assert set(found) == {"code", "where", "severity", "text", "remedy", "since"}
