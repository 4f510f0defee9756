"""Base45 (RFC 9285): bytes in the 45 characters of a QR code's alphanumeric mode, three characters for two bytes."""

from __future__ import annotations

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_VALUES = {character: value for value, character in enumerate(ALPHABET)}


class Base45Error(ValueError):
    """Not base45; the message never repeats the text."""


def encode(data: bytes) -> str:
    """Two bytes become three characters, a last single one two; the least significant character comes first."""
    text: list[str] = []
    for start in range(0, len(data), 2):
        pair = data[start : start + 2]
        value = int.from_bytes(pair, "big")
        for _ in range(len(pair) + 1):
            value, digit = divmod(value, 45)
            text.append(ALPHABET[digit])
    return "".join(text)


def decode(text: str) -> bytes:
    """The bytes of `text`, which is the only text that `encode` makes of them. Raises `Base45Error`."""
    if len(text) % 3 == 1:
        raise Base45Error("a character is missing or too many")
    data = bytearray()
    for start in range(0, len(text), 3):
        group = text[start : start + 3]
        try:
            value = sum(_VALUES[character] * 45**place for place, character in enumerate(group))
        except KeyError:
            raise Base45Error("a character is not of the alphabet") from None
        length = len(group) - 1
        if value >= 256**length:
            raise Base45Error("a group of characters is more than its bytes can hold")
        data += value.to_bytes(length, "big")
    return bytes(data)
