"""The last lines of the agent's own logging."""

from __future__ import annotations

import logging

from agent import log_ring
from agent.log_ring import LINE_MAX, LINES_MAX, LogRing


def test_our_own_lines_are_kept_and_the_libraries_are_not() -> None:
    with log_ring.kept() as ring:
        logging.getLogger("agent.somewhere").warning("%s: %s", "sensors.plug", "out of reach")
        logging.getLogger("drivers.somewhere").error("the line is gone")
        logging.getLogger("apprise").error("mailto://somebody:secret@example.org")
        logging.getLogger("agent.somewhere").debug("too fine to be kept by default")
        logging.getLogger().error("nobody's")
    logging.getLogger("agent.somewhere").warning("after the end")
    lines = ring.lines()
    assert [(each["level"], each["logger"], each["message"]) for each in lines] == [
        ("WARNING", "agent.somewhere", "sensors.plug: out of reach"),
        ("ERROR", "drivers.somewhere", "the line is gone"),
    ]
    assert lines[0]["at"] <= lines[1]["at"]


def test_memory_and_lines_are_bounded_and_a_line_is_one_line() -> None:
    with log_ring.kept() as ring:
        for number in range(LINES_MAX + 10):
            logging.getLogger("agent.x").warning("%d", number)
        logging.getLogger("agent.x").warning("two\nlines \x1b[2J \ud800 %s", "x" * 10_000)
    lines = ring.lines()
    assert len(lines) == LINES_MAX
    assert lines[0]["message"] == "11"
    assert len(lines[-1]["message"]) <= LINE_MAX
    assert lines[-1]["message"].isprintable()


def test_of_an_exception_its_type_and_place_are_kept_and_not_its_words() -> None:
    with log_ring.kept() as ring:
        try:
            int("somebody's number")
        except ValueError:
            logging.getLogger("agent.x").exception("it failed")
    (line,) = ring.lines()
    assert line["raised"].startswith("ValueError at test_log_ring.py:")
    assert "somebody" not in str(line)


def test_a_message_that_cannot_be_made_fails_nobody() -> None:
    ring = LogRing()
    ring.handle(logging.LogRecord("agent.x", logging.WARNING, __file__, 1, "%d", ("not a number",), None))
    assert "cannot be made" in ring.lines()[0]["message"]
