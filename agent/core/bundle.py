"""A bundle of sections in parts that each stand by themselves: whole sections and whole rows, never slices of bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

PART_BYTES = 48 * 1024  # with what stands around it far below the 64 KiB of a message


def packed(sections: Mapping[str, Any], limit: int = PART_BYTES) -> list[dict[str, Any]]:
    """Whole sections in as few parts as they fill in their order; rows of one that is a list may go on in the next.

    What is too large for any part by itself says that instead.
    """
    parts: list[dict[str, Any]] = []
    part: dict[str, Any] = {}
    size = 0
    for name, content in sections.items():
        pieces = [[row] for row in content] if isinstance(content, list) and content else [content]
        for piece in pieces:
            bytes_ = len(as_sent({name: piece})) + 1
            if bytes_ > limit:
                piece = {"error": "too large"} if not isinstance(piece, list) else [{"error": "too large"}]  # noqa: PLW2901
                bytes_ = len(as_sent({name: piece})) + 1
            if part and size + bytes_ > limit:
                parts.append(part)
                part, size = {}, 0
            if name in part:
                part[name] += piece
            else:
                part[name] = piece
            size += bytes_
    return [*parts, part] if part or not parts else parts


def unpacked(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The whole bundle of its parts in their order."""
    whole: dict[str, Any] = {}
    for part in parts:
        for name, content in part.items():
            before = whole.get(name)
            whole[name] = [*before, *content] if isinstance(before, list) and isinstance(content, list) else content
    return whole


def as_sent(value: Any) -> bytes:
    """As it goes out. Raises ValueError or TypeError for what cannot."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
