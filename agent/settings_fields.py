"""What the tables of the settings are made of: the base of every table, and kinds of values that several use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo

from agent.mistakes import fault
from agent.paths import beside


def in_base(value: Path, info: ValidationInfo) -> Path:
    """A path that counts from the settings file's folder."""
    if not str(value).isprintable():
        raise fault("路径中有不可见字符", "the path holds characters that cannot be printed")
    base: Path = (info.context or {}).get("base", Path())
    return beside(base, value)


# Strict mode takes a path or a tuple only as such; TOML has strings and arrays.
FilePath = Annotated[Path, Field(strict=False), AfterValidator(in_base)]
Pin = Annotated[int, Field(ge=0, le=511)]
Level = Literal["low", "high"]
Text = Annotated[str, Field(max_length=200)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]


def _is_public_key(value: str) -> bool:
    from agent.signatures import public_key

    try:
        public_key(value)
    except ValueError:
        return False
    return True


def _pass_key(value: str) -> str:
    if not _is_public_key(value):
        raise fault(
            "不是通行码公钥;请原样使用 station passes keygen 输出的那一行",
            "is no public key of passes: copy the line that `station passes keygen` prints",
        )
    return value


def _command_key(value: str) -> str:
    if not _is_public_key(value):
        raise fault(
            "不是指令公钥;请原样使用 station keys generate 或 station keys show 输出的那一行",
            "is no public key of commands: copy the line that `station keys generate` or `station keys show` prints",
        )
    return value


PassPublicKey = Annotated[str, AfterValidator(_pass_key)]
CommandPublicKey = Annotated[str, AfterValidator(_command_key)]


class Table(BaseModel):
    """What every table has: nothing is converted, nothing unknown is passed over."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)
