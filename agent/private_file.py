"""Files with secrets: read only where nobody else can, and refused in words that hold nothing of what is in them."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class PrivateFileError(Exception):
    """The file cannot be used; the text says why. `is_missing`: there is none."""

    def __init__(self, detail: str, *, is_missing: bool = False) -> None:
        super().__init__(detail)
        self.is_missing = is_missing


@dataclass(frozen=True, slots=True)
class PrivateFile:
    """Where secrets are. `is_credential`: systemd put them there and checked who may read."""

    path: Path
    is_credential: bool = False

    def read(self, bytes_max: int) -> bytes:
        """All of it. Raises `PrivateFileError`: no file, others could reach it, or it is longer."""
        try:
            # Not blocking: somebody may have put a pipe there, and nobody would ever write to it.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        except (FileNotFoundError, NotADirectoryError):
            raise PrivateFileError(f"{self.path}: there is no such file", is_missing=True) from None
        except OSError as error:
            raise PrivateFileError(f"{self.path}: {error.strerror}") from None
        try:
            self._check(os.fstat(descriptor))
            content = os.read(descriptor, bytes_max + 1)
        except OSError as error:
            raise PrivateFileError(f"{self.path}: {error.strerror}") from None
        finally:
            os.close(descriptor)
        if len(content) > bytes_max:
            raise PrivateFileError(f"{self.path}: longer than {bytes_max} bytes, so not the file that was meant")
        return content

    def _check(self, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise PrivateFileError(f"{self.path}: not a file")
        if self.is_credential:
            return  # its mode shows an access list's mask, not who may read
        mode = stat.S_IMODE(status.st_mode)
        if mode & 0o077:
            raise PrivateFileError(f"{self.path}: its mode {mode:04o} lets others in; run chmod 600")
        if status.st_uid not in (0, os.geteuid()):
            raise PrivateFileError(f"{self.path}: it belongs to the account number {status.st_uid}; run chown")


def find_private(path: Path, environment: Mapping[str, str], name: str) -> PrivateFile:
    """The credential of this name when systemd gave one to this process, else the file."""
    directory = environment.get("CREDENTIALS_DIRECTORY")
    if directory and (credential := Path(directory) / name).exists():
        return PrivateFile(credential, is_credential=True)
    return PrivateFile(path)
