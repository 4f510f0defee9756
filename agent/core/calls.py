"""A call: somebody at the door asks the station master to come or to open."""

from __future__ import annotations

from dataclasses import dataclass

BOUNCE_S = 0.5  # a button bounces for milliseconds; nobody means two presses within half a second


@dataclass(frozen=True, slots=True)
class CallRules:
    """`waits_s`: how long a call waits to be answered."""

    waits_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Call:
    """A call that waits. Station time; `presses`: how often the button was pressed for it."""

    began_at: float
    until: float
    presses: int = 1
