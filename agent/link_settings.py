"""The tables of the settings that are about who is connected: the broker, its commands, and the control socket."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo

from agent.mistakes import fault
from agent.paths import DEFAULT_SOCKET
from agent.settings_fields import CommandPublicKey, FilePath, Name, Table, in_base

SOCKET_PATH_MAX = 107  # bytes in sockaddr_un.sun_path without its NUL (unix(7))


def _prefix(value: str) -> str:
    if not re.fullmatch(r"[^+#$/\x00-\x1f\s][^+#/\x00-\x1f\s]*(/[^+#/\x00-\x1f\s]+)*", value):
        raise fault(
            "不能为空,不能含空格、+、#,不能以 / 或 $ 开头,也不能以 / 结尾",
            "must not be empty, hold spaces, + or #, begin with / or $, or end with /",
        )
    return value


def _socket(value: Path, info: ValidationInfo) -> Path:
    path = in_base(value, info)
    if (length := len(bytes(path))) > SOCKET_PATH_MAX:
        raise fault(
            f"路径太长:{length} 字节,最多 {SOCKET_PATH_MAX} 字节",
            f"the path is too long: {length} bytes, at most {SOCKET_PATH_MAX}",
        )
    return path


Role = Literal["viewer", "master", "administrator"]
KeyName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


class TlsSettings(Table):
    """Encryption of the link to the broker. Without `ca_file` the system's authorities are trusted."""

    enabled: bool = False
    ca_file: FilePath | None = None
    cert_file: FilePath | None = None
    key_file: FilePath | None = None


def _is_local(host: str) -> bool:
    """Whether a broker of this name is on this machine: nobody is on the way to it."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class HomeAssistantSettings(Table):
    """Lets Home Assistant find the station by itself, at the same broker."""

    enabled: bool = False
    prefix: Annotated[str, Field(max_length=128), AfterValidator(_prefix)] = "homeassistant"
    language: Literal["zh", "en"] = "zh"


class MqttSettings(Table):
    """The link to the central server's broker."""

    enabled: bool = False
    host: str = Field(default="localhost", min_length=1, max_length=253)
    port: int = Field(default=1883, ge=1, le=65_535)
    version: Literal["5", "3.1.1"] = "5"
    prefix: Annotated[str, Field(max_length=128), AfterValidator(_prefix)] = "stations"
    username: str = Field(default="", max_length=128)
    password_file: FilePath | None = None
    keepalive_s: int = Field(default=30, ge=5, le=3600)
    reconnect_s_max: int = Field(default=60, ge=1, le=3600)
    in_flight_max: int = Field(default=20, ge=1, le=1000)
    entries_per_s_max: int = Field(default=50, ge=0, le=1000)  # 0: no bound
    tls: TlsSettings = TlsSettings()
    home_assistant: HomeAssistantSettings = HomeAssistantSettings()

    @property
    def is_in_the_clear(self) -> bool:
        """Whether the link leaves this machine without encryption."""
        return self.enabled and not self.tls.enabled and not _is_local(self.host)


class CommandKeySettings(Table):
    """One key of the central server: its public half, base64 of 32 bytes, and what it may do."""

    public: CommandPublicKey
    scopes: Annotated[
        tuple[Literal["open", "roster", "operate", "records"], ...], Field(strict=False, max_length=4)
    ] = ()


class CommandsSettings(Table):
    """Who may send commands over the broker; without a key nobody may."""

    keys: Mapping[KeyName, CommandKeySettings] = Field(default_factory=dict, max_length=20)


class ControlSettings(Table):
    """The local socket of the command line. `roles`: an account of this machine → what it may do."""

    socket: Annotated[Path, Field(strict=False), AfterValidator(_socket)] = DEFAULT_SOCKET
    roles: Mapping[Name, Role] = Field(default_factory=dict, max_length=100)
