"""Reads in the sources which types of entries the agent logs, so that none is forgotten in the contract."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.events import CredentialsChanged

_NAMED = ("turn", "self")  # what `.log(…)` is called on where it appends an entry
_PREFIX = "station."
_TYPE = re.compile(r"station\.(?!db)[a-z_]+(\.[a-z_]+)?")  # the database is called station.db


class UnreadableTypeError(AssertionError):
    """A type that cannot be read in the source."""


@dataclass(frozen=True)
class _Function:
    """The function in which a call stands, and its file."""

    tree: ast.Module
    definition: ast.FunctionDef | None


def types_in(rules: Path, storage: Path) -> set[str]:
    """Types without `station.`: from every `turn.log(…)` under `rules`, and every `"station.…"` under `storage`."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(rules.rglob("*.py"))}
    found: set[str] = set()
    for path, tree in trees.items():
        for call, where in _calls(tree):
            if _is_log(call):
                try:
                    found |= _words(call.args[0], where, trees)
                except UnreadableTypeError as error:
                    raise UnreadableTypeError(f"{path.name}:{call.lineno}: {error}") from None
    for path in sorted(storage.rglob("*.py")):
        found |= set(_stored(ast.parse(path.read_text(encoding="utf-8"))))
    return found


def _stored(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _TYPE.fullmatch(node.value):
            yield node.value.removeprefix(_PREFIX)


def _is_log(call: ast.Call) -> bool:
    called = call.func
    return (
        isinstance(called, ast.Attribute)
        and called.attr == "log"
        and isinstance(called.value, ast.Name)
        and called.value.id in _NAMED
    )


def _calls(tree: ast.Module) -> Iterator[tuple[ast.Call, _Function]]:
    def walk(node: ast.AST, inside: ast.FunctionDef | None) -> Iterator[tuple[ast.Call, _Function]]:
        if isinstance(node, ast.FunctionDef):
            inside = node
        if isinstance(node, ast.Call):
            yield node, _Function(tree, inside)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, inside)

    return walk(tree, None)


def _words(node: ast.expr, where: _Function, trees: Mapping[Path, ast.Module]) -> set[str]:
    """Every text that this expression can be."""
    match node:
        case ast.Constant(value=str(text)):
            return {text} if text else set()
        case ast.IfExp(body=one, orelse=other):
            return _words(one, where, trees) | _words(other, where, trees)
        case ast.JoinedStr(
            values=[ast.Constant(value=str(start)), ast.FormattedValue(value=ast.Attribute(attr="what"))]
        ):
            return {start + end for end in _endings(trees)}
        case ast.Name(id=name):
            return _given(name, where, trees)
    raise UnreadableTypeError(f"write the type as a text that can be read here, not as {ast.unparse(node)}")


def _given(name: str, where: _Function, trees: Mapping[Path, ast.Module]) -> set[str]:
    """What callers give for a parameter."""
    function = where.definition
    if function is None or name not in (parameters := [each.arg for each in function.args.args]):
        raise UnreadableTypeError(f"write the type as a text that can be read here, not as {name}")
    place, found = parameters.index(name), set[str]()
    searched = [where.tree] if function.name.startswith("_") else list(trees.values())
    for tree in searched:
        for call, caller in _calls(tree):
            if (
                call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            ) != function.name:
                continue
            given = [each.value for each in call.keywords if each.arg == name] or call.args[place : place + 1]
            for each in given:
                found |= _words(each, caller, trees)
    return found


def _endings(_trees: Mapping[Path, ast.Module]) -> set[str]:
    """`what` of `CredentialsChanged`, as its own sentence lists it."""
    sentence = (CredentialsChanged.__doc__ or "").partition("`what`: ")[2].partition(".\n")[0]
    return set(re.findall(r"`([a-z_]+)`", sentence))
