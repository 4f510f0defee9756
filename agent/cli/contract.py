"""`station contract`: what a station publishes and takes, for whoever writes the other end."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from agent.cli.options import LanguageOption


class Format(StrEnum):
    """How it is written."""

    ASYNCAPI = "asyncapi"
    MARKDOWN = "markdown"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("contract")(contract)


def contract(
    format_: Annotated[
        Format, typer.Option("--format", help="asyncapi(JSON)或 markdown / AsyncAPI as JSON, or Markdown")
    ] = Format.MARKDOWN,
    _lang: LanguageOption = None,
) -> None:
    """打印与中心服务器的接口约定 / Print the contract with the central server."""
    from agent.contract.documents import asyncapi_text, markdown_text

    typer.echo(asyncapi_text() if format_ is Format.ASYNCAPI else markdown_text(), nl=False)
