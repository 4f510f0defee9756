"""Private keys of the central server, for whoever sends commands from this end: made, kept in files, read back."""

from __future__ import annotations

import base64
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

_FILE_BYTES_MAX = 10_000
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class CommandKeyError(Exception):
    """A key's file cannot be used; the message names the fault and the remedy."""


@dataclass(frozen=True, slots=True)
class CommandSigner:
    """A private key and the name that stations know it by."""

    name: str
    private: OKPKey = field(repr=False)

    @property
    def public_text(self) -> str:
        """The public half as the settings hold it: base64 of its 32 bytes."""
        x = str(self.private.as_dict(private=False)["x"])
        return base64.b64encode(base64.urlsafe_b64decode(x + "=" * (-len(x) % 4))).decode()


def generate(name: str) -> CommandSigner:
    """A fresh key. Raises `CommandKeyError` for a name that settings do not allow."""
    if not _NAME.fullmatch(name):
        raise CommandKeyError("a key's name has 1 to 64 of a-z 0-9 . _ - and begins with a letter or a digit")
    return CommandSigner(name, OKPKey.generate_key("Ed25519"))


def save(key: CommandSigner, path: Path) -> None:
    """Write a new file that only its owner can read, a JWK (RFC 8037). Raises `CommandKeyError`."""
    text = json.dumps({**key.private.as_dict(private=True), "kid": key.name}, indent=2) + "\n"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise CommandKeyError(f"{path} is there already: a key is never overwritten; name another file") from None
    except OSError as error:
        raise CommandKeyError(f"{path}: {error.strerror}") from None


def load(path: Path) -> CommandSigner:
    """Read a file that `save` wrote. Raises `CommandKeyError`."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise CommandKeyError(f"{path} can be read by others: run `chmod 600 {path}`")
            content = json.loads(file.read(_FILE_BYTES_MAX))
        name = str(content.pop("kid"))
        private = OKPKey.import_key(content)
    except OSError as error:
        raise CommandKeyError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, JoseError):
        raise CommandKeyError(f"{path} is no key file of `station keys generate`") from None
    if not _NAME.fullmatch(name) or not private.is_private or private.as_dict(private=False).get("crv") != "Ed25519":
        raise CommandKeyError(f"{path} is no key file of `station keys generate`")
    return CommandSigner(name, private)
