"""Errors that a person reads: in both languages of the station, with what the system or a broker says at the end."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from types import MappingProxyType

from agent.core.problems import Words

_OF_THE_SYSTEM: Mapping[int, Words] = MappingProxyType(
    {
        errno.ENOENT: Words("没有这个文件", "there is no such file"),
        errno.ENOTDIR: Words("路径中有一段不是目录", "a part of its path is no folder"),
        errno.EISDIR: Words("这是目录,不是文件", "it is a folder, not a file"),
        errno.EACCES: Words("当前账户没有权限", "this account may not do that"),
        errno.EPERM: Words("当前账户没有权限", "this account may not do that"),
        errno.EROFS: Words("磁盘只读", "the disk can only be read"),
        errno.ENOSPC: Words("磁盘已满", "the disk is full"),
        errno.ECONNREFUSED: Words("那里没有程序在监听", "nothing listens there"),
        errno.ECONNRESET: Words("对方断开了连接", "the other side ended the connection"),
        errno.EPIPE: Words("对方断开了连接", "the other side ended the connection"),
        errno.ETIMEDOUT: Words("没有答复", "no answer"),
        errno.EHOSTUNREACH: Words("网络无法到达", "the network does not lead there"),
        errno.ENETUNREACH: Words("网络无法到达", "the network does not lead there"),
    }
)


class SpokenError(Exception):
    """An error whose message is for people. `words`: both languages; `str()` is the English one."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.words = Words(zh, en)


class WrongUseError(SpokenError, ValueError):
    """What somebody typed cannot be used."""


def error_words(error: BaseException) -> Words:
    """What to tell of an error: its own words, else those of the system, with the file if there is one."""
    if isinstance(error, SpokenError):
        return error.words
    words, name = system_words(error), error.filename if isinstance(error, OSError) else None
    return words if name is None else Words(f"{name}:{words.zh}", f"{name}: {words.en}")


def system_words(error: BaseException) -> Words:
    """What an error of the system means, where that is known, and in brackets what the system says. Names no file."""
    said = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    number = error.errno if isinstance(error, OSError) else None
    known = Words("没有答复", "no answer") if isinstance(error, TimeoutError) else _OF_THE_SYSTEM.get(number or 0)
    return Words(said, said) if known is None else Words(f"{known.zh}({said})", f"{known.en} ({said})")
