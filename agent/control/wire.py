"""What travels over the control socket: one JSON object a line, UTF-8, with a version.

A client sends a request and gets one answer or, for a subscription, several; the last one says so. Requests on one
connection are answered one after the other. Everything is bounded, for a client may be anything that found the socket.

Apart from `protocol`, so that a command starts without building models that only the agent needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.core.problems import Problem, Severity, Words

VERSION = 1

PHOTOS_MAX = 6  # core.enrolment.MAX_PHOTOS; a test holds them together
CARDS_MAX = 8  # storage.credentials.MAX_CARDS; a test holds them together
DIGESTS_MAX = 200  # storage.roster_digest.PAGE_MEMBERS; a test holds them together
PHOTO_BYTES_MAX = 6 * 1024 * 1024  # a 12-megapixel JPEG has about 4 MiB
PLAIN_REQUEST_BYTES_MAX = 64 * 1024  # every other request; a bigger one is let in one at a time
REQUEST_BYTES_MAX = 48 * 1024 * 1024 + PLAIN_REQUEST_BYTES_MAX  # six such photos in base64, and what stands around them
RESPONSE_BYTES_MAX = 4 * 1024 * 1024  # a page of 500 rows has some 150 KiB
PAGE_ROWS = 500  # what storage gives at once


def problem_from(data: Mapping[str, Any]) -> Problem:
    """A problem as it came over the wire. Raises `ValueError` when it is none."""
    try:
        return Problem(
            str(data["code"]),
            str(data["where"]),
            Severity(data["severity"]),
            Words(str(data["text"]["zh"]), str(data["text"]["en"])),
            Words(str(data["remedy"]["zh"]), str(data["remedy"]["en"])),
            data.get("since"),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a problem: {error!r}") from None
