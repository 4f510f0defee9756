"""Finds the agent of this machine, and says what is wrong when it refuses."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from agent.cli.language import tell_problems
from agent.cli.options import settings_path
from agent.control.client import ControlClient, ControlError
from agent.core.problems import Words, problem
from agent.core.spoken import system_words
from agent.paths import DEFAULT_SETTINGS, DEFAULT_SOCKET, beside


def connect(config: Path | None, socket: Path | None) -> ControlClient:
    """A client for the agent. Nothing is sent yet."""
    return ControlClient(socket or _socket_in(settings_path(config)))


@contextmanager
def reporting() -> Iterator[None]:
    """Print a refusal's problems and end with exit code 1."""
    try:
        yield
    except ControlError as error:
        tell_problems(error.problems)
        raise typer.Exit(1) from None


def _socket_in(path: Path) -> Path:
    """The socket that the settings name. A file that this account may not read, or that is wrong, names the default.

    A file that is named and not there ends the command: the agent meant is not the one at the default.
    """
    try:
        named = tomllib.loads(path.read_text(encoding="utf-8-sig"))["control"]["socket"]
        return beside(path.parent, Path(str(named)))
    except FileNotFoundError as error:
        if path == DEFAULT_SETTINGS:
            return DEFAULT_SOCKET
        why = system_words(error)
        detail = Words(f"{path}:{why.zh}", f"{path}: {why.en}")
        tell_problems([problem("settings.unreadable", str(path), detail)])
        raise typer.Exit(1) from None
    except (OSError, ValueError, KeyError, TypeError):
        return DEFAULT_SOCKET
