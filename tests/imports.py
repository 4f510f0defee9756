"""Reads who imports what out of sources, without running them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_DYNAMIC = ("import_module", "__import__")


@dataclass(frozen=True, slots=True)
class Import:
    """One name that `module` imports, in full (`agent.events.Member`). `is_for_types`: only a type checker sees it."""

    module: str
    target: str
    line: int
    is_for_types: bool = False

    def is_of(self, *packages: str) -> bool:
        """Whether it comes from one of these packages or modules."""
        return any(self.target == each or self.target.startswith(f"{each}.") for each in packages)

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.target}"


@dataclass(frozen=True, slots=True)
class Source:
    """One module: its dotted name, what it imports, and every dotted name that its code uses (`cv2.VideoCapture`)."""

    name: str
    imports: tuple[Import, ...]
    uses: tuple[tuple[str, int], ...]


def read_tree(root: Path, *packages: str) -> tuple[Source, ...]:
    """Every module of these packages under `root`, in the order of their names."""
    paths = [path for package in packages for path in (root / package).rglob("*.py")]
    return tuple(sorted((read_source(path, root) for path in paths), key=lambda source: source.name))


def read_source(path: Path, root: Path) -> Source:
    """One module. Imports in functions count, and so do those by a name that is written out."""
    parts = path.relative_to(root).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    name = ".".join(parts[:-1] if is_package else parts)
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    imports = tuple(_imports(tree, name, name if is_package else name.rpartition(".")[0], is_for_types=False))
    return Source(name, imports, tuple(_uses(tree, imports)))


def _imports(node: ast.AST, module: str, package: str, *, is_for_types: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(module, alias.name, child.lineno, is_for_types)
        elif isinstance(child, ast.ImportFrom):
            origin = _origin(child, package)
            for alias in child.names:
                yield Import(
                    module, origin if alias.name == "*" else f"{origin}.{alias.name}", child.lineno, is_for_types
                )
        elif isinstance(child, ast.If) and _asks_for_types(child.test):
            for part in child.body:
                yield from _imports(ast.Module([part], []), module, package, is_for_types=True)
            for part in child.orelse:
                yield from _imports(ast.Module([part], []), module, package, is_for_types=is_for_types)
        else:
            if isinstance(child, ast.Call) and (target := _dynamic(child)):
                yield Import(module, target, child.lineno, is_for_types)
            yield from _imports(child, module, package, is_for_types=is_for_types)


def _origin(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    above = package.split(".")[: len(package.split(".")) - (node.level - 1)]
    return ".".join([*above, *([node.module] if node.module else [])])


def _asks_for_types(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def _dynamic(call: ast.Call) -> str:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    first = call.args[0] if call.args else None
    if name in _DYNAMIC and isinstance(first, ast.Constant) and isinstance(first.value, str):
        return first.value
    return ""


def _uses(tree: ast.AST, imports: tuple[Import, ...]) -> Iterator[tuple[str, int]]:
    """Dotted names as they are written, with the short name of an import put back in full."""
    full: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                origin = f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
                full[alias.asname or alias.name.partition(".")[0]] = (
                    origin if alias.asname or isinstance(node, ast.ImportFrom) else alias.name.partition(".")[0]
                )
    for each in imports:
        yield each.target, each.line
    for node in ast.walk(tree):
        if isinstance(node, (ast.Attribute, ast.Name)) and (dotted := _dotted(node)):
            head, _, rest = dotted.partition(".")
            yield (f"{full.get(head, head)}.{rest}" if rest else full.get(head, head)), node.lineno


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := _dotted(node.value)):
        return f"{before}.{node.attr}"
    return ""
