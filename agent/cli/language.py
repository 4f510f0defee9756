"""Says things to a person in Chinese or English: as `--lang` says, else as the account's locale does."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from enum import StrEnum

from agent.core.problems import Problem, Severity, Words


class Language(StrEnum):
    """What the command line can speak."""

    ZH = "zh"
    EN = "en"


_chosen: list[Language] = []  # what --lang said last; a command is one process


def choose(language: Language | None) -> Language | None:
    """Speak this language from now on; None changes nothing."""
    if language is not None:
        _chosen[:] = [language]
    return language


def spoken() -> Language:
    """The language in force."""
    if _chosen:
        return _chosen[0]
    for name in ("STATION_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            return Language.ZH if value.lower().startswith("zh") else Language.EN
    return Language.EN


def pick(words: Words) -> str:
    """The text in the language in force."""
    return words.zh if spoken() is Language.ZH else words.en


def say(zh: str, en: str) -> None:
    """Print one line."""
    sys.stdout.write(clean(pick(Words(zh, en))) + "\n")
    sys.stdout.flush()


def complain(zh: str, en: str) -> None:
    """Print one line to the error stream."""
    sys.stderr.write(clean(pick(Words(zh, en))) + "\n")


def tell_problems(problems: Iterable[Problem]) -> None:
    """Print each problem with its place and, on a line of its own, what to do."""
    for each in problems:
        label = Words("警告", "warning") if each.severity is Severity.WARNING else Words("错误", "error")
        where = f"{each.where}: " if each.where else ""
        sys.stderr.write(clean(f"{pick(label)}: {where}{pick(each.text)}") + "\n")
        sys.stderr.write(clean(f"    → {pick(each.remedy)}") + "\n")


def clean(text: str) -> str:
    """Text without characters that could steer a terminal."""
    return "".join(character if character.isprintable() else "�" for character in text)


def clean_json(text: str) -> str:
    """The same JSON, with `\\u` escapes for characters that could steer a terminal or that have no UTF-8."""
    return "".join(each if each.isprintable() or each == "\n" else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[place : place + 4]}" for place in range(0, len(units), 4))
