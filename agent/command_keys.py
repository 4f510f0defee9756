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

from agent.core.spoken import SpokenError, system_words

_FILE_BYTES_MAX = 10_000
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class CommandKeyError(SpokenError):
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
        raise CommandKeyError(
            "密钥名为 1 到 64 个字符(a-z 0-9 . _ -),以字母或数字开头",
            "a key's name has 1 to 64 of a-z 0-9 . _ - and begins with a letter or a digit",
        )
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
        raise CommandKeyError(
            f"{path} 已存在:密钥从不覆盖,请换一个文件名",
            f"{path} is there already: a key is never overwritten; name another file",
        ) from None
    except OSError as error:
        raise _of_the_system(path, error) from None


def load(path: Path) -> CommandSigner:
    """Read a file that `save` wrote. Raises `CommandKeyError`."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise CommandKeyError(
                    f"{path} 能被其他账户读取:请执行 chmod 600 {path}",
                    f"{path} can be read by others: run `chmod 600 {path}`",
                )
            content = json.loads(file.read(_FILE_BYTES_MAX))
        name = str(content.pop("kid"))
        private = OKPKey.import_key(content)
    except OSError as error:
        raise _of_the_system(path, error) from None
    except (ValueError, KeyError, TypeError, AttributeError, JoseError):
        raise _no_key_file(path) from None
    if not _NAME.fullmatch(name) or not private.is_private or private.as_dict(private=False).get("crv") != "Ed25519":
        raise _no_key_file(path)
    return CommandSigner(name, private)


def _no_key_file(path: Path) -> CommandKeyError:
    return CommandKeyError(
        f"{path} 不是 station keys generate 生成的密钥文件", f"{path} is no key file of `station keys generate`"
    )


def _of_the_system(path: Path, error: OSError) -> CommandKeyError:
    why = system_words(error)
    return CommandKeyError(f"{path}:{why.zh}", f"{path}: {why.en}")
