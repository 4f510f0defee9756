"""Errors for people: both languages, and what the system says at the end."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from agent.core.problems import Words
from agent.core.spoken import SpokenError, WrongUseError, error_words, system_words
from agent.events import BrokerDisconnected
from tests.core.station_play import ready


def test_what_the_system_says_comes_after_what_it_means(tmp_path: Path) -> None:
    with pytest.raises(OSError) as told:
        (tmp_path / "none").read_text()
    assert system_words(told.value) == Words(
        "没有这个文件(No such file or directory)", "there is no such file (No such file or directory)"
    )


def test_what_is_not_known_is_said_as_the_system_says_it() -> None:
    strange = OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    assert system_words(strange) == Words(os.strerror(errno.EXDEV), os.strerror(errno.EXDEV))
    assert system_words(ValueError()) == Words("ValueError", "ValueError")


def test_silence_is_said_however_it_was_found() -> None:
    assert system_words(TimeoutError("timed out")) == Words("没有答复(timed out)", "no answer (timed out)")


def test_an_error_with_words_keeps_them() -> None:
    assert error_words(SpokenError("门", "door")) == Words("门", "door")
    assert str(WrongUseError("门", "door")) == "door"


def test_why_the_link_is_down_is_told_in_both_languages() -> None:
    play = ready()
    play.put(BrokerDisconnected(play.now, Words("服务器没有答复", "the broker did not answer")))
    (fault,) = (each for each in play.state.faults.values() if each.code == "broker.disconnected")
    assert fault.text.zh.endswith(":服务器没有答复")
    assert fault.text.en.endswith(": the broker did not answer")
