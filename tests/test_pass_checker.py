"""The worker that turns a code's text into a fact."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from agent import pass_checker
from agent.clock import SystemClock, WallTime
from agent.core.passes import Pass
from agent.effects import CheckPass
from agent.events import Event, PassChecked, WorkerFailed
from agent.pass_checker import PassChecker
from agent.signatures import generate, public_key, sign

KEY = generate(3)
PASS = Pass(3, "0123456789abcdef", "g-1", is_guest=True)
WAIT_S = 20.0


class SetClock(SystemClock):
    def wall(self) -> WallTime:
        return WallTime(datetime(1970, 1, 1, 0, 5, 59, tzinfo=UTC), is_trusted=False)


@pytest.fixture
def said() -> queue.Queue[Event]:
    return queue.Queue()


@pytest.fixture
def checker(said: queue.Queue[Event]) -> Iterator[PassChecker]:
    checker = PassChecker({3: public_key(KEY.public_text)}, SetClock(), said.put)
    yield checker
    checker.close()


def test_each_code_gets_one_answer_with_the_time_of_the_check(checker: PassChecker, said: queue.Queue[Event]) -> None:
    for at, text in enumerate((sign(KEY, PASS), sign(generate(3), PASS), "NO PASS")):
        checker.check(CheckPass(float(at), text))
    assert [said.get(timeout=WAIT_S) for _ in range(3)] == [
        PassChecked(0.0, PASS, "", 5, False),
        PassChecked(1.0, None, "pass_forged", 5, False),
        PassChecked(2.0, None, "pass_unreadable", 5, False),
    ]


def test_a_worker_that_dies_says_so(
    checker: PassChecker, said: queue.Queue[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: object) -> Pass:
        raise RuntimeError("broken")

    monkeypatch.setattr(pass_checker, "verify", break_down)
    checker.check(CheckPass(0.0, "TEXT"))
    failed = said.get(timeout=WAIT_S)
    assert isinstance(failed, WorkerFailed)
    assert failed.worker == "passes"
