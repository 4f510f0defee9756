"""Reads the texts that people consent to."""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from agent.core.consent import LANGUAGES, ConsentText

log = logging.getLogger(__name__)

BYTES_MAX = 32 * 1024  # some pages; more nobody reads before they agree
_SHIPPED = (Path(__file__).parents[1] / "config/consent", Path(sys.prefix) / "share/station-agent/config/consent")


def load_texts(folder: Path | None, version: str) -> Mapping[str, ConsentText]:
    """The texts of a version by language. `folder`: None for those that come with the agent.

    One that is missing or unreadable is logged and left out: nobody can consent to it, and the door does not need it.
    """
    texts: dict[str, ConsentText] = {}
    for language in LANGUAGES:
        path = find_text(folder, version, language)
        try:
            texts[language] = _read(path)
        except (OSError, ValueError) as error:
            log.warning("nobody can consent in %s: %s cannot be used (%s)", language, path, error)
    return texts


def find_text(folder: Path | None, version: str, language: str) -> Path:
    """Where the text is, or should be."""
    name = f"{version}.{language}.md"
    folders = _SHIPPED if folder is None else (folder,)
    return next((each / name for each in folders if os.access(each / name, os.R_OK)), folders[0] / name)


def _read(path: Path) -> ConsentText:
    with path.open("rb") as file:
        data = file.read(BYTES_MAX + 1)
    if len(data) > BYTES_MAX:
        raise ValueError(f"it has more than {BYTES_MAX} bytes")
    return ConsentText(data.decode("utf-8-sig"), hashlib.sha256(data).hexdigest())
