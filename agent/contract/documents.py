"""The two documents as text; the copies under `docs/` are these."""

from __future__ import annotations

import json

from agent.contract.asyncapi import asyncapi
from agent.contract.markdown import markdown


def asyncapi_text() -> str:
    """AsyncAPI 3, JSON."""
    return json.dumps(asyncapi(), ensure_ascii=False, indent=1) + "\n"


def markdown_text() -> str:
    """The contract for people."""
    return markdown()
