"""`station members card`, `pin`, `uncard` and `unpin` as an account uses them."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core.problems import problem
from agent.effects import Reply
from tests.cli.test_cli import _Agent

_STATION = Path(sys.executable).with_name("station")


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[_Agent]:
    with _Agent(tmp_path) as running:
        yield running


def _pin(agent: _Agent, typed: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [_STATION, "members", "pin", "m-1", *options, "--lang", "en", "--config", agent.config],
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_card_is_given_by_its_number(agent: _Agent) -> None:
    done = agent.run("members", "card", "m-1", "--number", "0012345678")

    assert (done.returncode, done.stderr) == (0, "")
    assert dict(agent.asked[0].arguments) == {"id": "m-1", "number": "0012345678", "read": False}


def test_a_card_is_read_at_the_door(agent: _Agent) -> None:
    advice = {"zh": "请刷卡", "en": "Hold it there."}
    agent.answer = lambda asked: [
        Reply(asked.request, ok=True, result={"advice": advice}, is_last=False),
        Reply(asked.request, ok=True, result={"member": "m-1"}),
    ]
    done = agent.run("members", "card", "m-1", "--read")

    assert done.stdout.splitlines() == ["Hold it there.", "m-1 can come in with this card."]
    assert agent.asked[0].arguments["read"] is True


@pytest.mark.parametrize("options", [(), ("--read", "--number", "1")])
def test_a_card_is_given_one_way_or_the_other(agent: _Agent, options: tuple[str, ...]) -> None:
    done = agent.run("members", "card", "m-1", *options)

    assert done.returncode == 2
    assert agent.asked == []


def test_a_pin_is_asked_for_and_the_number_told(agent: _Agent) -> None:
    agent.answer = lambda asked: [Reply(asked.request, ok=True, result={"number": "123456"})]
    done = _pin(agent, "2580\n2580\n2581\n2581\n", "--duress")

    assert (done.returncode, done.stderr) == (0, "")
    assert "123456" in done.stdout
    assert "2580" not in done.stdout
    assert dict(agent.asked[0].arguments) == {"id": "m-1", "pin": "2580", "duress": "2581"}


def test_a_pin_that_was_mistyped_goes_nowhere(agent: _Agent) -> None:
    for typed in ("2580\n2581\n", "\n\n", ""):
        assert _pin(agent, typed).returncode == 2
    assert agent.asked == []


def test_there_is_no_way_to_give_a_pin_on_the_command_line(agent: _Agent) -> None:
    shown = agent.run("members", "pin", "--help").stdout
    done = agent.run("members", "pin", "m-1", "2580")

    assert "--pin" not in shown
    assert done.returncode == 2
    assert agent.asked == []


def test_what_is_typed_at_a_terminal_is_not_shown(agent: _Agent) -> None:
    agent.answer = lambda asked: [Reply(asked.request, ok=True, result={"number": "123456"})]
    screen, keyboard = pty.openpty()
    command = [str(_STATION), "members", "pin", "m-1", "--lang", "en", "--config", str(agent.config)]
    process = subprocess.Popen(command, stdin=keyboard, stdout=keyboard, stderr=keyboard, start_new_session=True)
    os.close(keyboard)
    shown, answered, deadline = "", 0, time.monotonic() + 60
    while process.poll() is None or select.select([screen], [], [], 0)[0]:
        assert time.monotonic() < deadline, shown
        if not select.select([screen], [], [], 0.1)[0]:
            continue
        try:
            shown += os.read(screen, 1000).decode()
        except OSError:  # the other end is closed
            break
        if shown.count(": ") > answered and shown.endswith(": "):
            answered = shown.count(": ")
            os.write(screen, b"2580\n")
    os.close(screen)

    assert process.wait(10) == 0, shown
    assert "123456" in shown
    assert "2580" not in shown
    assert agent.asked[0].arguments["pin"] == "2580"


def test_cards_and_pins_are_taken_away(agent: _Agent) -> None:
    agent.answer = lambda asked: [Reply(asked.request, ok=True, result={"count": 2})]
    assert "taken away: 2" in agent.run("members", "uncard", "m-1").stdout
    assert agent.run("members", "unpin", "m-1").returncode == 0
    assert [each.action for each in agent.asked] == ["members.uncard", "members.unpin"]


def test_no_pin_is_said_to_be_taken_away_where_there_was_none(agent: _Agent) -> None:
    agent.answer = lambda asked: [Reply(asked.request, ok=True, result={"count": 1})]
    assert "The PIN of m-1 is taken away." in agent.run("members", "unpin", "m-1").stdout
    agent.answer = lambda asked: [Reply(asked.request, ok=True, result={"count": 0})]
    assert agent.run("members", "unpin", "m-1").stdout == "m-1 has no PIN.\n"


def test_a_refusal_says_why_and_never_the_pin(agent: _Agent) -> None:
    agent.answer = lambda asked: [Reply(asked.request, ok=False, problems=(problem("pin.weak", "pin").as_dict(),))]
    done = _pin(agent, "1111\n1111\n")

    assert done.returncode == 1
    assert "first that anybody tries" in done.stderr
    assert "1111" not in done.stdout + done.stderr


@pytest.mark.parametrize("number", ["", "12 34", "0x1", "g", "1" * 33])
def test_what_is_no_number_of_a_card_is_refused_without_repeating_it(agent: _Agent, number: str) -> None:
    done = agent.run("members", "card", "m-1", "--number", number)

    assert done.returncode == 1
    assert agent.asked == []
    assert len(number) < 5 or number not in done.stderr
