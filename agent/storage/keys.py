"""The keys of the face templates, and where they come from: systemd's credentials, or a file that others cannot read.

The text is one key a line, 64 hexadecimal digits (256 bits), oldest first: the last one seals, all of them open. A
line `sealed` says that every template there was has been sealed with them: from then on one in the clear is a forgery.
Empty lines and what follows a `#` are passed over. A key's id is the beginning of a hash of it, so that an id can stand
in a row, a log or a message, and a key can never be taken for another.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from agent.private_file import PrivateFile, PrivateFileError, find_private
from agent.storage.head import sync_directory

CREDENTIAL = "template.keys"
"""The name of the credential, and of the file beside the database where the settings name none."""

KEY_LOST = "vault.key_lost"
KEY_REFUSED = "vault.key_refused"

_KEY_BYTES = 32  # AES-256
# NIST SP 800-38D, 8.2.2 and 8.3: with 96 random bits at most 2^32 seals with one key keep the chance that a nonce comes
# twice below 2^-32. Sealing ten thousand members every day reaches that after a thousand years.
_NONCE_BYTES = 12
_TEXT_BYTES = 64 * 1024  # nearly a thousand keys: whoever rotates each week for life has fewer
_SEALED = "sealed"
_HEADER = """\
# The keys of this station's face templates, oldest first: keep this file secret, and keep a copy of it apart from the
# backups of the database. Without it the templates cannot be read by anybody.
"""


class KeyFaultError(Exception):
    """The keys cannot be used. `code`: of `core.problems`; the text is its detail and never holds a part of a key."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class ForgedError(Exception):
    """What was to be opened is not what was sealed, or not at this place."""


class Key:
    """One key. It can be neither printed nor copied into another process; only `KeyFile` writes its text."""

    __slots__ = ("_cipher", "_secret", "id")

    def __init__(self, secret: bytes) -> None:
        if len(secret) != _KEY_BYTES:
            raise ValueError(f"a key has {_KEY_BYTES} bytes")
        self.id = sha256(b"station-agent template key id\0" + secret).hexdigest()[:16]
        self._secret = secret
        self._cipher = AESGCM(secret)

    def seal(self, plain: bytes, bound_to: bytes) -> bytes:
        """AES-256-GCM: a fresh random nonce (12 bytes), what was encrypted, and its tag (16 bytes)."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, bound_to)

    def unseal(self, sealed: bytes, bound_to: bytes) -> bytes:
        """The reverse. Raises `ForgedError` when a bit of either differs."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound_to)
        except (InvalidTag, ValueError):  # ValueError: shorter than a nonce and a tag
            raise ForgedError("it was altered, or belongs to another place") from None

    def __repr__(self) -> str:
        return f"Key({self.id})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not to be copied")

    def derive(self, purpose: bytes) -> bytes:
        """A key (32 bytes) for this purpose alone: HMAC-SHA-256 of it, from which this one cannot be had back."""
        return hmac.digest(self._secret, b"station-agent derived key\0" + purpose, "sha256")

    def text(self) -> str:
        """The line for the key file, and for nothing else."""
        return self._secret.hex()


@dataclass(frozen=True, slots=True)
class Ring:
    """Keys by id, oldest first. `is_sealed`: a template in the clear is a forgery."""

    keys: Mapping[str, Key]
    is_sealed: bool = False

    @property
    def newest(self) -> Key:
        """The one that seals."""
        return next(reversed(tuple(self.keys.values())))


def make_key() -> Key:
    """A new random key."""
    return Key(secrets.token_bytes(_KEY_BYTES))


def ring_of(*keys: Key, is_sealed: bool = False) -> Ring:
    """A ring of these keys, oldest first."""
    return Ring({each.id: each for each in keys}, is_sealed)


class KeyFile:
    """Where the keys are. `is_credential`: systemd put them there, checked who may read, and nobody can change them."""

    def __init__(self, path: Path, *, is_credential: bool = False, header: str = _HEADER) -> None:
        """`header`: the comment that a file which is written begins with."""
        self.path = path
        self._header = header
        self.is_credential = is_credential

    def exists(self) -> bool:
        """Whether there is anything under this name. Raises `KeyFaultError` when that cannot be told."""
        try:
            self.path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise KeyFaultError(KEY_REFUSED, f"{self.path}: {error.strerror}") from None
        return True

    def read(self) -> Ring:
        """Read every key. Raises `KeyFaultError`: no file, others could read it, or it holds something else."""
        try:
            content = PrivateFile(self.path, self.is_credential).read(_TEXT_BYTES)
        except PrivateFileError as error:
            raise KeyFaultError(KEY_LOST if error.is_missing else KEY_REFUSED, str(error)) from None
        return self._parse(content)

    def write(self, ring: Ring) -> None:
        """Replace the file and wait for the disk; a crash leaves the former one or this one, never a part.

        Raises `KeyFaultError`; the former file still stands then.
        """
        if self.is_credential:
            raise KeyFaultError(KEY_REFUSED, f"{self.path}: systemd's credentials cannot be changed from here")
        text = self._header + "".join(f"{each.text()}\n" for each in ring.keys.values())
        text += f"{_SEALED}\n" if ring.is_sealed else ""
        fresh = self.path.with_name(f"{self.path.name}.new")
        try:
            fresh.unlink(missing_ok=True)
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                os.fchmod(descriptor, 0o600)  # whatever the umask
                with open(descriptor, "wb", closefd=False) as file:
                    file.write(text.encode())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            fresh.replace(self.path)
            sync_directory(self.path.parent)
        except OSError as error:
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise KeyFaultError(KEY_REFUSED, f"{self.path} cannot be written: {error.strerror}") from None

    def _parse(self, content: bytes) -> Ring:
        keys: dict[str, Key] = {}
        is_sealed = False
        for number, raw in enumerate(content.split(b"\n"), 1):
            line = raw.partition(b"#")[0].strip()
            if line == _SEALED.encode():
                is_sealed = True
            elif line:
                key = _key_of(line)
                if key is None:
                    raise KeyFaultError(
                        KEY_REFUSED, f"{self.path}: line {number} is not a key of 64 hexadecimal digits"
                    )
                keys.pop(key.id, None)  # said twice, the later place counts
                keys[key.id] = key
        if not keys:
            raise KeyFaultError(KEY_LOST, f"{self.path}: there is no key in it")
        return Ring(keys, is_sealed)


def find_keys(key_file: Path, environment: Mapping[str, str], name: str = CREDENTIAL, header: str = _HEADER) -> KeyFile:
    """The credential of this name when systemd gave one to this process, else the file."""
    found = find_private(key_file, environment, name)
    return KeyFile(found.path, is_credential=found.is_credential, header=header)


def _key_of(line: bytes) -> Key | None:
    try:
        secret = bytes.fromhex(line.decode("ascii"))
    except ValueError:  # its text is not passed on
        return None
    return Key(secret) if len(secret) == _KEY_BYTES and len(line) == 2 * _KEY_BYTES else None
