"""Columns for people, aligned also where a character is two cells wide, and CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import typer

from agent.cli.language import clean, pick, say
from agent.core.problems import Words

Cells = Callable[[Mapping[str, Any]], Sequence[object]]

# What Excel, LibreOffice and WPS take for the beginning of a formula, also in its full-width form.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"  # without it Excel does not take a file for UTF-8


def columns(header: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """Lines with the columns aligned; None is shown as nothing."""
    texts = [list(header), *([clean("" if cell is None else str(cell)) for cell in row] for row in rows)]
    widths = [max(_width(row[index]) for row in texts) for index in range(len(header))]
    for row in texts:
        cells = (cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def tell_rows(
    rows: Sequence[Mapping[str, Any]], as_json: bool, nothing: Words, titles: Sequence[Words], cells: Cells
) -> None:
    """Print the rows of a list: as JSON, as columns, or that there are none. `cells`: those of one row."""
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
    elif not rows:
        say(nothing.zh, nothing.en)
    else:
        for line in columns([pick(title) for title in titles], [cells(row) for row in rows]):
            typer.echo(line)


def csv_lines(names: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A CSV file line by line (RFC 4180, UTF-8 with its mark), safe to open in a spreadsheet."""
    yield BYTE_ORDER_MARK + _csv_line(names)
    for row in rows:
        yield _csv_line([row.get(name) for name in names])


def _csv_line(cells: Sequence[object]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerow([_guard(cell) for cell in cells])
    return text.getvalue()


def _guard(cell: object) -> object:
    """Text that a spreadsheet would compute gets an apostrophe, which makes it text (OWASP, CSV injection)."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
