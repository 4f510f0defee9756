"""Signing and verifying passes: the one place that knows their keys (Ed25519, RFC 8032)."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from agent.core import base45
from agent.core.passes import KEY_IDS, SIGNED_PREFIX, Pass, PassError, pack, split, unpack

TEXT_LENGTH_MAX = 200  # characters of a code that are looked at; a pass has 165 at the most
_FILE_TITLE = "station-agent pass key"
_FILE_BYTES_MAX = 10_000
_PRIME = 2**255 - 19


class UnreadablePassError(ValueError):
    """The text of a code is no pass at all."""


class ForgedPassError(ValueError):
    """A pass by its form, but no configured key signed it."""


class KeyFileError(Exception):
    """A private key's file cannot be used; the message names the fault and the remedy."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and the id that stations know it by."""

    key_id: int
    private: Ed25519PrivateKey = field(repr=False)

    @property
    def public_text(self) -> str:
        """The public key as the settings hold it: base64 of its 32 bytes."""
        return base64.b64encode(self.private.public_key().public_bytes_raw()).decode("ascii")


def public_key(text: str) -> Ed25519PublicKey:
    """The key that the settings write as `text`. Raises ValueError."""
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        raw = b""
    if len(raw) != 32 or base64.b64encode(raw).decode("ascii") != text:
        raise ValueError("not base64 of 32 bytes")
    if _is_weak(raw):
        raise ValueError("no key of anybody: signatures for it can be made without a private key")
    return Ed25519PublicKey.from_public_bytes(raw)


def sign(key: SigningKey, token: Pass) -> str:
    """The text of the code of a pass. Raises `PassError`."""
    body = pack(token)
    return base45.encode(body + key.private.sign(SIGNED_PREFIX + body))


def read(text: str) -> Pass:
    """What a code says, whoever signed it: for showing, never for deciding. Raises `UnreadablePassError`."""
    return unpack_text(text)[0]


def verify(text: str, keys: Mapping[int, Ed25519PublicKey]) -> Pass:
    """Make a code's text a fact. Raises `UnreadablePassError`, `ForgedPassError`."""
    token, body, signature = unpack_text(text)
    key = keys.get(token.key_id)
    if key is None:
        raise ForgedPassError(f"no key {token.key_id} is configured")
    try:
        key.verify(signature, SIGNED_PREFIX + body)
    except InvalidSignature:
        raise ForgedPassError("the signature is not one of this key") from None
    return token


def unpack_text(text: str) -> tuple[Pass, bytes, bytes]:
    """A code's pass, its body and its signature, unchecked. Raises `UnreadablePassError`."""
    if len(text) > TEXT_LENGTH_MAX:
        raise UnreadablePassError("the code is longer than any pass")
    try:
        body, signature = split(base45.decode(text))
        return unpack(body), body, signature
    except (base45.Base45Error, PassError) as error:
        raise UnreadablePassError(str(error)) from None


def generate(key_id: int) -> SigningKey:
    """A fresh key. Raises ValueError for an id that there is not."""
    if key_id not in KEY_IDS:
        raise ValueError(f"a key's id is {KEY_IDS[0]} to {KEY_IDS[-1]}")
    return SigningKey(key_id, Ed25519PrivateKey.generate())


def save(key: SigningKey, path: Path) -> None:
    """Write a new file that only its owner can read. Raises `KeyFileError`, also when there is one already."""
    pem = key.private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(f"{_FILE_TITLE} {key.key_id}\n".encode() + pem)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise KeyFileError(f"{path} is there already: a key is never overwritten; name another file") from None
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from None


def load(path: Path) -> SigningKey:
    """Read a file that `save` wrote. Raises `KeyFileError`."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise KeyFileError(f"{path} can be read by others: run `chmod 600 {path}`")
            content = file.read(_FILE_BYTES_MAX)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from None
    title, _, pem = content.partition(b"\n")
    words = title.decode("ascii", "replace").rpartition(" ")
    try:
        key_id = int(words[2])
        private = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        key_id, private = 0, None
    if words[0] != _FILE_TITLE or key_id not in KEY_IDS or not isinstance(private, Ed25519PrivateKey):
        raise KeyFileError(f"{path} is no key file of `station passes keygen`")
    return SigningKey(key_id, private)


def _is_weak(raw: bytes) -> bool:
    """Whether the point has an order of at most 8, as an all-zero placeholder has (RFC 8032, section 5.1.3).

    Those of order 1, 2 and 4 have y = 1, −1 and 0; those of order 8 double to y = 0, which needs x² = −y², and that
    makes d·y⁴ + 2y² − 1 = 0 of the curve's equation.
    """
    y = (int.from_bytes(raw, "little") & (1 << 255) - 1) % _PRIME
    if y in (0, 1, _PRIME - 1):
        return True
    d = -121665 * pow(121666, -1, _PRIME)
    return (d * pow(y, 4, _PRIME) + 2 * y * y - 1) % _PRIME == 0
