"""The URLs that messages go to: a file of secrets, for a URL holds the token of whoever may write to a group.

It is TOML, one line each, `NAME = "URL"`; the settings know the names only. Nothing here passes on what a line holds.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from agent.private_file import PrivateFile, PrivateFileError, find_private

CREDENTIAL = "notify.urls"
"""The name of the credential, and of the file in the state directory where the settings name none."""

URLS_REFUSED = "notify.urls_refused"
URL_MISSING = "notify.url_missing"

_FILE_BYTES = 64 * 1024  # some hundred URLs
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_URL_CHARACTERS = 2000  # apprise reads no longer ones in practice; a wrong line may be a whole letter

Faults = tuple[tuple[str, str, str], ...]


class UrlsError(Exception):
    """The file cannot be used; the text says why and holds nothing of it."""


class Url:
    """One URL. It is neither printed nor logged; only `secret` gives it."""

    __slots__ = ("secret",)

    def __init__(self, secret: str) -> None:
        self.secret = secret

    def __repr__(self) -> str:
        return "Url(…)"


def find_urls(path: Path, environment: Mapping[str, str]) -> PrivateFile:
    """The credential when systemd gave one to this process, else the file."""
    return find_private(path, environment, CREDENTIAL)


def read_urls(file: PrivateFile) -> dict[str, Url]:
    """Every URL by its name. Raises `UrlsError`."""
    try:
        text = file.read(_FILE_BYTES).decode("utf-8-sig")
        found = tomllib.loads(text)
    except PrivateFileError as error:
        raise UrlsError(str(error)) from None
    except UnicodeDecodeError:
        raise UrlsError(f"{file.path}: not UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        # Its own words may repeat a part of the line.
        line = re.search(r"at line (\d+)", str(error))
        place = f", line {line[1]}" if line else ""
        raise UrlsError(f'{file.path}{place}: every line must look like NAME = "URL"') from None
    urls: dict[str, Url] = {}
    for number, (name, url) in enumerate(found.items(), 1):
        if not _NAME.fullmatch(name):
            raise UrlsError(f"{file.path}: the name of entry {number} must be letters, digits, dashes and underscores")
        if not isinstance(url, str) or "://" not in url or len(url) > _URL_CHARACTERS or not url.isprintable():
            # Not by its name either: somebody may have written the token there.
            raise UrlsError(f"{file.path}: entry {number} is not a URL in quotes")
        urls[name] = Url(url)
    return urls


def faults_of(ways: Mapping[str, tuple[str, ...]], file: PrivateFile) -> Faults:
    """What is wrong with the file for these recipients: (code of `core.problems`, where, detail)."""
    if not ways:
        return ()
    try:
        urls = read_urls(file)
    except UrlsError as error:
        return ((URLS_REFUSED, "notify.urls_file", str(error)),)
    lacking = {name: [way for way in names if way not in urls] for name, names in ways.items()}
    return tuple((URL_MISSING, name, ", ".join(names)) for name, names in lacking.items() if names)
