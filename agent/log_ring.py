"""The last lines of the agent's own logging, kept in memory for a support engineer.

Nothing in our messages names a person, by rule. A line has its time, level, logger and message; of an exception its
type and where it was raised, never its words, which are a library's.
"""

from __future__ import annotations

import logging
import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

LINES_MAX = 300  # some hours of a lively station, and most of a day's of a quiet one
LINE_MAX = 400  # characters
LOGGERS = ("agent", "drivers")  # not the libraries': what they say is not ours to vouch for

Line = dict[str, str]


class LogRing(logging.Handler):
    """Keeps the newest `LINES_MAX`. For every thread."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[Line] = deque(maxlen=LINES_MAX)

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`; a message that cannot be made is told as that."""
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - the border to whoever logs: what they log must not fail them
            message = "(a message that cannot be made)"
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _plain(message),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["raised"] = _raised(record.exc_info[1])
        self._lines.append(line)

    def lines(self) -> list[Line]:
        """The oldest first."""
        self.acquire()
        try:
            return list(self._lines)
        finally:
            self.release()


def _plain(text: str) -> str:
    """One line that is valid UTF-8."""
    cut = text if len(text) <= LINE_MAX else f"{text[: LINE_MAX - 1]}…"
    return "".join(each if each.isprintable() else " " for each in cut).encode("utf-8", "replace").decode()


def _raised(error: BaseException | None) -> str:
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    place = f" at {frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"


@contextmanager
def kept() -> Iterator[LogRing]:
    """Keep what our own loggers say, until the end."""
    ring = LogRing()
    for name in LOGGERS:
        logging.getLogger(name).addHandler(ring)
    try:
        yield ring
    finally:
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(ring)
